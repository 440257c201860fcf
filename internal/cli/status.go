package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/lb"
)

func newStatus(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "List every address with its Services and the node that announces it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.checkOutput(); err != nil {
				return err
			}
			c, err := o.connect()
			if err != nil {
				return err
			}
			p, err := c.look(cmd.Context(), nil)
			if err != nil {
				return err
			}
			return o.show(cmd.OutOrStdout(), p.overview())
		},
	}
}

// overview is what `status` says.
type overview struct {
	Addresses []addressLine `json:"addresses"`
	Speakers  []speakerLine `json:"speakers"`
	// Waiting are Services of type LoadBalancer without an address.
	Waiting  []lb.ServiceKey `json:"waiting,omitempty"`
	Problems []string        `json:"problems,omitempty"`
}

type addressLine struct {
	Address  netip.Addr      `json:"address"`
	Pool     string          `json:"pool,omitempty"`
	Services []lb.ServiceKey `json:"services"`
	// Nodes are those whose speaker says that it answers for the address by ARP or NDP. More
	// than one is a fault.
	Nodes []string `json:"nodes"`
	// Routed are those that announce it by BGP.
	Routed   []string `json:"routed,omitempty"`
	Conflict string   `json:"conflict,omitempty"`
}

type speakerLine struct {
	Node string `json:"node"`
	Pod  string `json:"pod"`
	// Version is what the speaker says of itself. Several may run side by side.
	Version   string `json:"version,omitempty"`
	Addresses int    `json:"addresses"`
	Members   int    `json:"members"`
	// Sessions counts BGP sessions, and Established those that are up.
	Sessions    int    `json:"sessions"`
	Established int    `json:"established"`
	Error       string `json:"error,omitempty"`
}

func (p *picture) overview() overview {
	o := overview{Problems: p.problems()}
	world := p.decider.World()
	nodesOf := map[netip.Addr][]string{}
	routedBy := map[netip.Addr][]string{}
	conflicts := map[netip.Addr]string{}
	for _, node := range slices.Sorted(maps.Keys(p.answers)) {
		a := p.answers[node]
		line := speakerLine{Node: node, Pod: a.pod}
		if a.err != nil {
			line.Error = a.err.Error()
		} else {
			line.Version = a.report.Version
			line.Addresses, line.Members = len(a.report.Addresses), len(a.report.Members)
			for _, session := range a.report.Sessions {
				if session.State == endpoint.Listening {
					continue
				}
				line.Sessions++
				if session.State == established {
					line.Established++
				}
			}
			for _, announced := range a.report.Addresses {
				if announced.Protocol == lb.BGP {
					routedBy[announced.Address] = append(routedBy[announced.Address], node)
					continue
				}
				if _, mute := faultOf(a.report, announced.Address); mute {
					continue
				}
				nodesOf[announced.Address] = append(nodesOf[announced.Address], node)
				if c := announced.Layer2.Conflict; c != nil {
					conflicts[announced.Address] = fmt.Sprintf("%s on %s claims it too", c.MAC, c.Link)
				}
			}
		}
		o.Speakers = append(o.Speakers, line)
	}
	for _, a := range p.decider.Addresses() {
		line := addressLine{Address: a, Services: slices.Clone(p.decider.Holders(a)), Nodes: nodesOf[a], Routed: routedBy[a], Conflict: conflicts[a]}
		if pool := world.Config.PoolOf(a); pool != nil {
			line.Pool = pool.Name
		}
		o.Addresses = append(o.Addresses, line)
	}
	for k, s := range world.Services {
		if len(s.Addresses) == 0 {
			o.Waiting = append(o.Waiting, k)
		}
	}
	slices.SortFunc(o.Waiting, lb.ServiceKey.Compare)
	if len(o.Waiting) > 0 {
		o.Problems = append(o.Problems, p.noController()...)
	}
	return o
}

func (o overview) print(out io.Writer) error {
	tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	t := &errWriter{w: tab}
	t.printf("ADDRESS\tPOOL\tSERVICES\tANNOUNCED BY\tREMARK\n")
	for _, a := range o.Addresses {
		services := make([]string, len(a.Services))
		for i, k := range a.Services {
			services[i] = k.String()
		}
		nodes, remark := strings.Join(a.Nodes, ", "), a.Conflict
		switch {
		case len(a.Nodes) == 0 && len(a.Routed) == 0:
			nodes, remark = "-", "see: kubectl lintel why "+services[0]
		case len(a.Nodes) > 1:
			remark = strings.Join(nonEmpty("more than one node says that it answers", a.Conflict), "; ")
		}
		if len(a.Routed) > 0 {
			nodes = strings.Join(nonEmpty(nodes, "bgp: "+strings.Join(a.Routed, ", ")), "; ")
		}
		t.printf("%s\t%s\t%s\t%s\t%s\n", a.Address, a.Pool, strings.Join(services, ","), nodes, remark)
	}
	t.printf("\nNODE\tSPEAKER\tVERSION\tADDRESSES\tMEMBERS SEEN\tBGP SESSIONS UP\tERROR\n")
	for _, s := range o.Speakers {
		t.printf("%s\t%s\t%s\t%d\t%d\t%d of %d\t%s\n", s.Node, s.Pod, cmp.Or(s.Version, "-"), s.Addresses, s.Members, s.Established, s.Sessions, s.Error)
	}
	if t.err == nil {
		t.err = tab.Flush()
	}
	w := &errWriter{w: out, err: t.err}
	for _, k := range o.Waiting {
		w.printf("\nwaiting for an address: %s (kubectl lintel why %s)\n", k, k)
	}
	for _, p := range o.Problems {
		w.printf("\nproblem: %s\n", p)
	}
	return w.err
}
