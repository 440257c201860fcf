package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/lb"
)

// established is the state of a session that is up.
const established = "Established"

// peerExplanation is what `why --peer` says about a BGPPeer.
type peerExplanation struct {
	Peer string `json:"peer"`
	// Refused says why the object is not in effect.
	Refused  string        `json:"refused,omitempty"`
	Warnings []string      `json:"warnings,omitempty"`
	Sessions []peerSession `json:"sessions,omitempty"`
}

// peerSession is a session of one node. With dynamic neighbours a node has several.
type peerSession struct {
	Node string `json:"node"`
	endpoint.Session
	// Unknown says why nothing is known; NotSelected that the node is to have no session.
	Unknown     string `json:"unknown,omitempty"`
	NotSelected bool   `json:"notSelected,omitempty"`
}

// explainPeer finds out how the sessions of one peer fare on all nodes.
func (c *cluster) explainPeer(ctx context.Context, name string) (*peerExplanation, error) {
	p, err := c.look(ctx, nil)
	if err != nil {
		return nil, err
	}
	e := &peerExplanation{Peer: name}
	i := slices.IndexFunc(p.verdicts, func(v config.Verdict) bool { return v.Object.Kind == config.KindPeer && v.Object.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no BGPPeer %s in namespace %s", name, c.system)
	}
	e.Warnings = p.verdicts[i].Warnings
	if !p.verdicts[i].Accepted {
		e.Refused = p.verdicts[i].Message
		return e, nil
	}
	world := p.decider.World()
	j := slices.IndexFunc(world.Config.Peers, func(x *lb.Peer) bool { return x.Name == name })
	if j < 0 {
		return nil, fmt.Errorf("the BGPPeer %s is accepted, but not in the configuration", name)
	}
	for _, node := range slices.Sorted(maps.Keys(world.Nodes)) {
		s := peerSession{Node: node, Session: endpoint.Session{Peer: name}}
		a, asked := p.answers[node]
		switch {
		case !world.Config.Peers[j].Nodes.MatchesOrEmpty(world.Nodes[node].Labels):
			s.NotSelected = true
		case !asked:
			s.Unknown = "no speaker runs there"
		case a.err != nil:
			s.Unknown = a.err.Error()
		default:
			found := false
			for _, x := range a.report.Sessions {
				if x.Peer == name {
					found = true
					e.Sessions = append(e.Sessions, peerSession{Node: node, Session: x})
				}
			}
			if found {
				continue
			}
			s.Unknown = "its speaker does not know this peer yet"
		}
		e.Sessions = append(e.Sessions, s)
	}
	return e, nil
}

func (e *peerExplanation) print(out io.Writer) error {
	w := &errWriter{w: out}
	w.printf("BGPPeer %s\n", e.Peer)
	if e.Refused != "" {
		w.printf("  refused: %s\n", e.Refused)
		return w.err
	}
	for _, warning := range e.Warnings {
		w.printf("  remark: %s\n", warning)
	}
	w.printf("\n")
	tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	t := &errWriter{w: tab, err: w.err}
	// Where the object tells the router, nobody needs to be told again.
	neighbor := func(string) string { return "" }
	if slices.ContainsFunc(e.Sessions, func(s peerSession) bool { return s.Neighbor != "" }) {
		neighbor = func(text string) string { return "\t" + text }
	}
	t.printf("NODE%s\tSTATE\tFOR\tPREFIXES\tBFD\tREMARK\n", neighbor("NEIGHBOR"))
	for _, s := range e.Sessions {
		switch {
		case s.NotSelected:
			t.printf("%s%s\t-\t\t\t\tthe nodeSelectors of the peer do not match this node\n", s.Node, neighbor(""))
		case s.Unknown != "":
			t.printf("%s%s\tunknown\t\t\t\t%s\n", s.Node, neighbor(""), s.Unknown)
		default:
			remark := s.LastError
			if s.State == established && remark != "" {
				remark = "before: " + remark
			}
			t.printf("%s%s\t%s\t%s\t%d\t%s\t%s\n", s.Node, neighbor(s.Neighbor), s.State, age(s.Since), s.Prefixes, s.BFD, remark)
		}
	}
	if t.err != nil {
		return t.err
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	for _, s := range e.Sessions {
		if s.BFDDetail != "" {
			w.printf("\nBFD of %s: %s\n", s.Node, s.BFDDetail)
		}
	}
	return w.err
}

// age is how long ago a time was, in whole seconds; empty for the zero time.
func age(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return time.Since(t).Round(time.Second).String()
}
