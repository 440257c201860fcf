package layer2

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// explanation is what `lintel why -o json` says, as far as tests look at it.
type explanation struct {
	Addresses []netip.Addr  `json:"addresses"`
	Reason    string        `json:"reason"`
	Sharing   []any         `json:"sharing"`
	Nodes     []nodeVerdict `json:"nodes"`
	Problems  []string      `json:"problems"`
}

type nodeVerdict struct {
	Address  netip.Addr `json:"address"`
	Node     string     `json:"node"`
	Outcome  string     `json:"outcome"`
	Reason   string     `json:"reason"`
	Links    []string   `json:"links"`
	AllLinks bool       `json:"allLinks"`
	Owner    string     `json:"owner"`
	Sentence string     `json:"sentence"`
	Unknown  string     `json:"unknown"`
}

// overview is what `lintel status -o json` says, as far as tests look at it.
type overview struct {
	Addresses []struct {
		Address netip.Addr `json:"address"`
		Pool    string     `json:"pool"`
		Nodes   []string   `json:"nodes"`
	} `json:"addresses"`
	Speakers []struct {
		Node    string `json:"node"`
		Members int    `json:"members"`
		Error   string `json:"error"`
	} `json:"speakers"`
	Waiting  []any    `json:"waiting"`
	Problems []string `json:"problems"`
}

// lintel runs a verb and returns what it prints.
func (s *scene) lintel(ctx context.Context, args ...string) ([]byte, error) {
	argv := append([]string{lintelBinary, "--kubeconfig", s.Lab.Kubeconfig()}, args...)
	return s.Lab.Exec(ctx, "cp", argv...)
}

func (s *scene) why(ctx context.Context, name string) (explanation, error) {
	var e explanation
	out, err := s.lintel(ctx, "why", "-o", "json", s.Namespace+"/"+name)
	if err == nil {
		err = json.Unmarshal(out, &e)
	}
	if err != nil {
		return e, fmt.Errorf("why: %w\n%s", err, out)
	}
	return e, nil
}

func (s *scene) status(ctx context.Context) (overview, error) {
	var o overview
	out, err := s.lintel(ctx, "status", "-o", "json")
	if err == nil {
		err = json.Unmarshal(out, &o)
	}
	if err != nil {
		return o, fmt.Errorf("status: %w\n%s", err, out)
	}
	return o, nil
}

// reasons is what a test wants to hear of each node.
type reasons map[string]string

// all gives one reason to all nodes.
func (s *scene) all(reason string) reasons {
	r := reasons{}
	for _, n := range s.nodes() {
		r[n] = reason
	}
	return r
}

// with gives another reason to some nodes.
func (r reasons) with(reason string, nodes ...string) reasons {
	for _, n := range nodes {
		r[n] = reason
	}
	return r
}

// candidate is what tests want of nodes that may announce: one of them does, and the others
// name it.
const candidate = "candidate"

// agreed waits until the wire and `lintel why` agree on every address of a Service and give the
// reasons wanted, and returns who answers, by address.
func (s *scene) agreed(name string, want reasons) map[netip.Addr]string {
	s.t.Helper()
	owners := map[netip.Addr]string{}
	s.Eventually(fmt.Sprintf("the wire and why say %v of Service %s", want, name), soon, func(ctx context.Context) error {
		addrs, err := s.ingress(ctx, name)
		if err != nil {
			return err
		}
		e, err := s.why(ctx, name)
		if err != nil {
			return err
		}
		if !slices.Equal(e.Addresses, addrs) || len(addrs) != 2 {
			return fmt.Errorf("why tells of %v, the Service has %v", e.Addresses, addrs)
		}
		for _, a := range addrs {
			owner, err := s.owner(ctx, a)
			if err != nil {
				return err
			}
			if err := e.agrees(a, owner, want); err != nil {
				return err
			}
			owners[a] = owner
		}
		return nil
	})
	return owners
}

// agrees says where what was said of an address differs from what is wanted and seen.
func (e explanation) agrees(a netip.Addr, owner string, want reasons) error {
	var wrong []string
	said := 0
	hasCandidate := false
	for _, w := range want {
		hasCandidate = hasCandidate || w == candidate
	}
	if (owner != nobody) != hasCandidate {
		wrong = append(wrong, fmt.Sprintf("answered by %q", owner))
	}
	for _, v := range e.Nodes {
		if v.Address != a {
			continue
		}
		said++
		w := want[v.Node]
		switch {
		case w == candidate && v.Node == owner:
			w = "Elected"
		case w == candidate:
			w = "OtherNode"
			if v.Owner != owner {
				wrong = append(wrong, fmt.Sprintf("%s says that %s announces, the wire says %s", v.Node, v.Owner, owner))
			}
		}
		if v.Reason != w || (v.Outcome == "announce") != (v.Node == owner) || v.Unknown != "" || v.Sentence == "" {
			wrong = append(wrong, fmt.Sprintf("%s: %s %s (%s) %s, want %s", v.Node, v.Outcome, v.Reason, v.Sentence, v.Unknown, w))
		}
	}
	if said != len(want) {
		wrong = append(wrong, fmt.Sprintf("told of %d nodes", said))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s: %s", a, strings.Join(wrong, "; "))
	}
	return nil
}

func contains(b []byte, text string) bool { return bytes.Contains(b, []byte(text)) }

// block drops TCP and UDP packets to and from a port at a node, until the test ends.
func (s *scene) block(node string, port int) {
	s.t.Helper()
	s.exec(node, "nft add table inet labtest")
	s.t.Cleanup(func() { s.exec(node, "nft delete table inet labtest") })
	for _, hook := range []string{"input", "output"} {
		s.exec(node, fmt.Sprintf("nft add chain inet labtest %s { type filter hook %s priority -10 ; }", hook, hook))
		for _, proto := range []string{"tcp", "udp"} {
			for _, end := range []string{"dport", "sport"} {
				s.exec(node, fmt.Sprintf("nft add rule inet labtest %s %s %s %d drop", hook, proto, end, port))
			}
		}
	}
}

// What a speaker that cannot be asked does is unknown, not guessed; it announces all the same.
func TestWhyOfASpeakerThatCannotBeAsked(t *testing.T) {
	s := newScene(t, "Cluster", []string{"n1"}, onNode("n2"))
	s.agreed("web", s.all("NodeNotSelected").with(candidate, "n2"))
	s.block("n2", 9120)
	e, err := s.why(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, v := range e.Nodes {
		if (v.Unknown != "") != (v.Node == "n2") {
			t.Errorf("%s: unknown %q", v.Node, v.Unknown)
		}
		told++
	}
	if told != 6 {
		t.Errorf("told of %d nodes and addresses", told)
	}
	out, err := s.lintel(t.Context(), "why", s.Namespace+"/web")
	if err != nil || !contains(out, "unknown") {
		t.Errorf("for people it says, %v:\n%s", err, out)
	}
	o, err := s.status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sp := range o.Speakers {
		if (sp.Error != "") != (sp.Node == "n2") {
			t.Errorf("status says of the speaker on %s: %q", sp.Node, sp.Error)
		}
	}
	for _, a := range s.addresses("web") {
		s.answers(a, "n2")
	}
}

func TestStatusListsAddresses(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1"})
	owners := s.agreed("web", s.all(candidate))
	s.Apply(service, map[string]any{"Name": "late", "Policy": "Cluster"})
	s.patchService("late", `{"metadata":{"annotations":{"metallb.io/address-pool":"there-is-none"}}}`)
	s.Eventually("status lists who announces", soon, func(ctx context.Context) error {
		o, err := s.status(ctx)
		if err != nil {
			return err
		}
		listed := 0
		for _, l := range o.Addresses {
			if owner, mine := owners[l.Address]; mine {
				listed++
				if l.Pool != s.Name || !slices.Equal(l.Nodes, []string{owner}) {
					return fmt.Errorf("%+v; the wire says %s", l, owner)
				}
			}
		}
		if listed != len(owners) || len(o.Speakers) != 3 || len(o.Problems) > 0 {
			return fmt.Errorf("%+v", o)
		}
		for _, sp := range o.Speakers {
			if sp.Members != 3 || sp.Error != "" {
				return fmt.Errorf("%+v", sp)
			}
		}
		return nil
	})
}

// conflictBound is how long it may take until an address that a foreign station has given up is
// announced.
const conflictBound = 90 * time.Second

// agreedForeign waits until the station alone answers for all addresses, and why tells of the
// conflict.
func (s *scene) agreedForeign(name, station string) {
	s.t.Helper()
	s.Eventually("why tells of the conflict with "+station, soon, func(ctx context.Context) error {
		e, err := s.why(ctx, name)
		if err != nil {
			return err
		}
		for _, a := range e.Addresses {
			owner, err := s.owner(ctx, a)
			if err != nil {
				return err
			}
			conflicts := 0
			for _, v := range e.Nodes {
				if v.Address == a && v.Reason == "AddressConflict" {
					conflicts++
				}
				if v.Outcome == "announce" {
					return fmt.Errorf("%+v", v)
				}
			}
			if owner != station || conflicts == 0 {
				return fmt.Errorf("%s is answered by %q; why says %+v", a, owner, e.Nodes)
			}
		}
		return nil
	})
}
