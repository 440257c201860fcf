package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/lintel-lb/lintel/lab"
)

// printStatus writes a table. Ports of the switch have no addresses, so it is
// left out.
func printStatus(w io.Writer, s lab.Status) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "HOST\tROLE\tIPV4\tIPV6\tREADY\tFAULTS\tPROGRAMS")
	for _, h := range s.Hosts {
		if h.Role == lab.RoleSwitch {
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", h.Name, h.Role, h.V4, h.V6,
			cmp.Or(h.Ready, "-"), cmp.Or(join(h.Faults), "-"), cmp.Or(programs(h.Daemons), "-"))
	}
	return table.Flush()
}

func join(faults []lab.Fault) string {
	var out []string
	for _, f := range faults {
		out = append(out, string(f))
	}
	return strings.Join(out, ",")
}

func programs(daemons []lab.Daemon) string {
	var out []string
	for _, d := range daemons {
		if d.Alive {
			out = append(out, d.Name)
		} else {
			out = append(out, d.Name+"(dead)")
		}
	}
	return strings.Join(out, " ")
}
