package wire

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/lintel-lb/lintel/lab/internal/netns"
	"github.com/lintel-lb/lintel/lab/internal/topology"
)

// Fault is what is wrong with a host's cables. The zero value is a sound one.
type Fault struct {
	// Cut: the far ends of the cables are down, so the host and the switch
	// both see that the carrier is lost.
	Cut bool
	// Blackhole: the switch's ports drop every frame in both directions;
	// nobody is told, and the carrier is there.
	Blackhole bool
}

// Cut takes the carrier from all cables of a host.
func Cut(p topology.Plan, h topology.Host) error {
	return setPorts(p, h, (*netlink.Handle).LinkSetDown)
}

// Mend gives the carrier back.
func Mend(p topology.Plan, h topology.Host) error { return setPorts(p, h, (*netlink.Handle).LinkSetUp) }

func setPorts(p topology.Plan, h topology.Host, set func(*netlink.Handle, netlink.Link) error) error {
	return with(p.Namespace("sw"), func(nl *netlink.Handle) error {
		for _, port := range h.Ports {
			link, err := nl.LinkByName(port.Remote)
			if err != nil {
				return fmt.Errorf("wire: port %s of the switch: %w", port.Remote, err)
			}
			if err := set(nl, link); err != nil {
				return fmt.Errorf("wire: port %s of the switch: %w", port.Remote, err)
			}
		}
		return nil
	})
}

const tablePrefix = "blackhole-"

// Blackhole makes the switch's ports of a host drop every frame. Doing it twice
// is the same as once.
func Blackhole(p topology.Plan, h topology.Host) error {
	var rules strings.Builder
	fmt.Fprintf(&rules, "table netdev %[1]s%[2]s {}\ndelete table netdev %[1]s%[2]s\ntable netdev %[1]s%[2]s {\n", tablePrefix, h.Name)
	for i, port := range h.Ports {
		for _, hook := range []string{"ingress", "egress"} {
			fmt.Fprintf(&rules, "  chain %s%d { type filter hook %s device %q priority 0; policy drop; }\n", hook, i, hook, port.Remote)
		}
	}
	rules.WriteString("}\n")
	_, err := nft(p, rules.String(), "-f", "-")
	return err
}

// Unblackhole lets frames pass again. It is no error if they do.
func Unblackhole(p topology.Plan, h topology.Host) error {
	_, err := nft(p, fmt.Sprintf("table netdev %[1]s%[2]s {}\ndelete table netdev %[1]s%[2]s\n", tablePrefix, h.Name), "-f", "-")
	return err
}

// Faults reads from the switch what is in force. Sound hosts are left out.
func Faults(p topology.Plan) (map[string]Fault, error) {
	out := map[string]Fault{}
	data, err := nft(p, "", "-j", "list", "tables", "netdev")
	if err != nil {
		return nil, err
	}
	var listing struct {
		Nftables []struct {
			Table *struct{ Name string }
		}
	}
	if err := json.Unmarshal(data, &listing); err != nil {
		return nil, fmt.Errorf("wire: list of nft: %w", err)
	}
	for _, entry := range listing.Nftables {
		if entry.Table == nil {
			continue
		}
		if host, ok := strings.CutPrefix(entry.Table.Name, tablePrefix); ok {
			out[host] = Fault{Blackhole: true}
		}
	}

	up := map[string]bool{}
	err = with(p.Namespace("sw"), func(nl *netlink.Handle) error {
		links, err := nl.LinkList()
		if err != nil {
			return fmt.Errorf("wire: links of the switch: %w", err)
		}
		for _, l := range links {
			up[l.Attrs().Name] = l.Attrs().Flags&net.FlagUp != 0
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, h := range p.Hosts {
		for _, port := range h.Ports {
			if isUp, there := up[port.Remote]; there && !isUp {
				f := out[h.Name]
				f.Cut = true
				out[h.Name] = f
			}
		}
	}
	return out, nil
}

// nft runs nft in the switch.
func nft(p topology.Plan, input string, args ...string) ([]byte, error) {
	var out []byte
	err := netns.Do(p.Namespace("sw"), func() error {
		cmd := exec.Command("nft", args...)
		cmd.Stdin = strings.NewReader(input)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		var err error
		if out, err = cmd.Output(); err != nil {
			return fmt.Errorf("wire: nft: %w: %s", err, strings.TrimSpace(stderr.String()))
		}
		return nil
	})
	return out, err
}
