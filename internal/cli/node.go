package cli

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"text/tabwriter"

	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/lb"
)

// nodeExplanation is what `why --node` says about a node.
type nodeExplanation struct {
	Node string `json:"node"`
	// Unknown says why the node's speaker could not be asked.
	Unknown string `json:"unknown,omitempty"`
	// Facts hold for all addresses alike.
	Facts []string   `json:"facts"`
	Links []lb.Link  `json:"links,omitempty"`
	Lines []nodeLine `json:"addresses,omitempty"`
}

// nodeLine is one address of one Service, as seen from the node.
type nodeLine struct {
	lb.Verdict
	Sentence string `json:"sentence"`
	// Disagrees is set where the speaker does not do what it should by what is known here.
	Disagrees bool `json:"disagrees,omitempty"`
	// Fault and Mute are as in a nodeVerdict.
	Fault string `json:"fault,omitempty"`
	Mute  bool   `json:"mute,omitempty"`
}

// explainNode finds out everything about one node.
func (c *cluster) explainNode(ctx context.Context, node string) (*nodeExplanation, error) {
	p, err := c.look(ctx, nil)
	if err != nil {
		return nil, err
	}
	world := p.decider.World()
	n := world.Nodes[node]
	a, asked := p.answers[node]
	if n == nil && !asked {
		return nil, fmt.Errorf("there is no Node %s", node)
	}
	e := &nodeExplanation{Node: node}
	switch {
	case !asked:
		e.Unknown = "no speaker runs there"
	case a.err != nil:
		e.Unknown = "its speaker cannot be asked: " + a.err.Error()
	default:
		e.Links = a.report.Links
	}
	e.Facts = nodeFacts(world, node, a)
	if r := a.report; r != nil {
		p.decider.SetDrained(node, r.Drained)
		for address, station := range r.Held {
			p.decider.SetProbe(address, &lb.Probe{Conflict: station})
		}
	}
	for _, address := range p.decider.Addresses() {
		for _, k := range p.decider.Holders(address) {
			for _, v := range p.decider.AllVerdicts(k, node) {
				if v.Address == address {
					e.Lines = append(e.Lines, nodeLine{Verdict: v})
				}
			}
		}
	}
	if a.report != nil {
		e.compare(a.report)
	}
	for i := range e.Lines {
		e.Lines[i].Sentence = e.Lines[i].Verdict.Sentence()
	}
	return e, nil
}

// announced is an address, and how it is made known.
type announced struct {
	address  netip.Addr
	protocol lb.Protocol
}

// compare brings in what the speaker does. It tells about addresses, which Services may share, and
// about routes that peers were sent.
func (e *nodeExplanation) compare(r *endpoint.SpeakerReport) {
	does, should := map[announced][]string{}, map[announced]bool{}
	for _, x := range r.Addresses {
		does[announced{x.Address, x.Protocol}] = append([]string{}, x.Peers...)
	}
	for i := range e.Lines {
		v := &e.Lines[i].Verdict
		at := announced{v.Address, v.Protocol}
		if v.Protocol == lb.BGP && v.Outcome == lb.Announce {
			*v = v.SentTo(func(peer string) bool { return slices.Contains(does[at], peer) })
		}
		should[at] = should[at] || v.Outcome == lb.Announce
	}
	for i := range e.Lines {
		l := &e.Lines[i]
		at := announced{l.Address, l.Protocol}
		if l.Protocol == lb.Layer2 && l.Outcome == lb.Announce {
			l.Fault, l.Mute = faultOf(r, l.Address)
		}
		l.Disagrees = (does[at] != nil) != should[at] && (l.Outcome == lb.Announce) == should[at]
	}
}

// nodeFacts are the facts about a node that bear on every address.
func nodeFacts(w *lb.World, node string, a answer) []string {
	var facts []string
	n := w.Nodes[node]
	switch {
	case n == nil:
		facts = append(facts, lb.Verdict{Reason: lb.NodeUnknown}.Sentence())
	case n.Excluded() && !w.Settings.IgnoreExcludeLabel:
		facts = append(facts, lb.Verdict{Reason: lb.NodeExcluded}.Sentence())
	case n.NetworkUnavailable:
		facts = append(facts, lb.Verdict{Reason: lb.NodeNetworkUnavailable}.Sentence())
	}
	if r := a.report; r != nil {
		facts = append(facts, fmt.Sprintf("its speaker runs version %s and sees %d members", r.Version, len(r.Members)))
		if r.Joining {
			facts = append(facts, lb.Verdict{Reason: lb.JoiningMembers}.Sentence())
		}
		if r.Gated {
			facts = append(facts, lb.Verdict{Reason: lb.DataplaneNotReady}.Sentence())
		}
		facts = append(facts, r.Problems...)
	}
	return facts
}

func (e *nodeExplanation) print(out io.Writer) error {
	w := &errWriter{w: out}
	w.printf("Node %s\n", e.Node)
	if e.Unknown != "" {
		w.printf("  unknown: %s; what follows is what it should do\n", e.Unknown)
	}
	for _, f := range e.Facts {
		w.printf("  %s\n", f)
	}
	for _, l := range e.Links {
		w.printf("  link %s: %v\n", l.Name, l.Prefixes)
	}
	if len(e.Lines) == 0 {
		w.printf("\nNo Service has an address.\n")
		return w.err
	}
	w.printf("\n")
	tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	t := &errWriter{w: tab, err: w.err}
	t.printf("ADDRESS\tPROTOCOL\tSERVICE\tANNOUNCES\tREASON\tMEANING\n")
	slices.SortStableFunc(e.Lines, func(a, b nodeLine) int { return int(a.Outcome) - int(b.Outcome) })
	for _, l := range e.Lines {
		does, meaning := nodeVerdict{Verdict: l.Verdict, Sentence: l.Sentence, Fault: l.Fault, Mute: l.Mute}.does()
		switch {
		case e.Unknown != "":
			does, meaning = "unknown", "by what is known here: "+meaning
		case l.Disagrees:
			does, meaning = opposite(l.Outcome), "by what is known here it should do otherwise: "+meaning
		}
		t.printf("%s\t%s\t%s\t%s\t%s\t%s\n", l.Address, l.Protocol, l.Service, does, l.Reason, meaning)
	}
	if t.err != nil {
		return t.err
	}
	return tab.Flush()
}

// opposite is what a speaker does that disagrees with an outcome.
func opposite(o lb.Outcome) string {
	if o == lb.Announce {
		return word(lb.Not)
	}
	return word(lb.Announce)
}
