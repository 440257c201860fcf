package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/plan"
)

type addr = netip.Addr

func newWhy(o *options) *cobra.Command {
	var node, peer string
	cmd := &cobra.Command{
		Use:   "why [NAMESPACE/]SERVICE | why --node NODE | why --peer BGPPEER",
		Short: "Say why a Service is or is not announced, what a node announces, or how the sessions of a peer fare",
		Example: `  kubectl lintel why web
  kubectl lintel why shop/web -o json
  kubectl lintel why --node worker-1
  kubectl lintel why --peer router-2001`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.checkOutput(); err != nil {
				return err
			}
			if named := len(args) + len(nonEmpty(node, peer)); named != 1 {
				return errors.New("name one Service, or one node with --node, or one BGPPeer with --peer")
			}
			c, err := o.connect()
			if err != nil {
				return err
			}
			var e printer
			switch {
			case node != "":
				e, err = c.explainNode(cmd.Context(), node)
			case peer != "":
				e, err = c.explainPeer(cmd.Context(), peer)
			default:
				e, err = c.explain(cmd.Context(), serviceKey(c.namespace, args[0]))
			}
			if err != nil {
				return err
			}
			return o.show(cmd.OutOrStdout(), e)
		},
	}
	cmd.Flags().StringVar(&node, "node", "", "explain a node instead of a Service")
	cmd.Flags().StringVar(&peer, "peer", "", "explain the sessions of a BGPPeer instead of a Service")
	return cmd
}

// nonEmpty lists the texts that are not empty.
func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}

// serviceKey reads [NAMESPACE/]SERVICE.
func serviceKey(namespace, arg string) lb.ServiceKey {
	if ns, name, ok := strings.Cut(arg, "/"); ok {
		return lb.ServiceKey{Namespace: ns, Name: name}
	}
	return lb.ServiceKey{Namespace: namespace, Name: arg}
}

// explanation is what `why` says about a Service.
type explanation struct {
	Service   lb.ServiceKey `json:"service"`
	Addresses []netip.Addr  `json:"addresses"`
	Pool      string        `json:"pool,omitempty"`
	Policy    string        `json:"externalTrafficPolicy,omitempty"`
	Endpoints lb.Endpoints  `json:"endpoints"`
	// Sharing are the other Services on the same addresses.
	Sharing []lb.ServiceKey `json:"sharing,omitempty"`
	// Reason is set where one reason holds on all nodes.
	Reason   lb.Reason `json:"reason,omitzero"`
	Sentence string    `json:"sentence,omitempty"`
	// Events are the latest warnings of the controller about a Service without address.
	Events []string `json:"events,omitempty"`
	// Allocation says why it has none by what is known here, where there are no such events.
	Allocation string        `json:"allocation,omitempty"`
	Nodes      []nodeVerdict `json:"nodes,omitempty"`
	// Problems are about the configuration and the membership.
	Problems []string `json:"problems,omitempty"`
}

// nodeVerdict is the line of one address and node.
type nodeVerdict struct {
	lb.Verdict
	Sentence string `json:"sentence"`
	// Unknown says why the speaker could not be asked. The verdict is then what should be.
	Unknown string `json:"unknown,omitempty"`
	// Fault says what keeps the speaker from answering on links that it is to answer on, and Mute is
	// set where it answers on none.
	Fault string `json:"fault,omitempty"`
	Mute  bool   `json:"mute,omitempty"`
}

// faultOf tells what a speaker could not do for an address that it is to answer for, as where the
// system refuses it a socket; mute where it answers on no link for that.
func faultOf(r *endpoint.SpeakerReport, a netip.Addr) (fault string, mute bool) {
	for _, x := range r.Addresses {
		if x.Address != a || x.Layer2 == nil {
			continue
		}
		var texts []string
		for _, p := range x.Layer2.Problems {
			if p.Reason == l2.SocketFailed || len(x.Layer2.Links) == 0 {
				texts = append(texts, strings.Join(nonEmpty(p.Link, string(p.Reason), p.Detail), ": "))
			}
		}
		return strings.Join(texts, "; "), len(texts) > 0 && len(x.Layer2.Links) == 0
	}
	return "", false
}

// explain finds out everything about one Service.
func (c *cluster) explain(ctx context.Context, k lb.ServiceKey) (*explanation, error) {
	p, err := c.look(ctx, &k)
	if err != nil {
		return nil, err
	}
	object := p.services[k]
	if object == nil {
		return nil, fmt.Errorf("there is no Service %s", k)
	}
	e := &explanation{Service: k, Problems: p.problems()}
	world := p.decider.World()
	svc := world.Services[k]
	if svc == nil {
		v := lb.Verdict{Reason: p.foreign[k]}
		if object.Spec.LoadBalancerClass != nil {
			v.Subject = *object.Spec.LoadBalancerClass
		}
		e.Reason, e.Sentence = v.Reason, v.Sentence()
		return e, nil
	}
	if svc.OtherController != "" {
		e.Problems = append(e.Problems, fmt.Sprintf("the Service belongs to %s and gets no address here; if that controller is gone, remove its finalizer, else create the Service with a spec.loadBalancerClass", svc.OtherController))
	}
	e.Addresses, e.Pool, e.Policy, e.Endpoints = svc.Addresses, svc.AssignedPool, svc.TrafficPolicy.String(), world.Endpoints[k]
	for _, a := range svc.Addresses {
		for _, other := range p.decider.Holders(a) {
			if other != k && !slices.Contains(e.Sharing, other) {
				e.Sharing = append(e.Sharing, other)
			}
		}
	}
	if len(svc.Addresses) == 0 {
		e.Problems = append(e.Problems, p.noController()...)
		if e.Events, err = c.warnings(ctx, object); err != nil {
			return nil, err
		}
		if len(e.Events) == 0 {
			// Events are kept for an hour, and a failure that lasts is told once.
			if s, err := c.state(ctx, p); err == nil {
				e.Allocation = plan.Allocation(s, k, time.Now()).Message
			} else {
				e.Problems = append(e.Problems, fmt.Sprintf("why it has no address is not known here: there are no events any more, and %v", err))
			}
		}
	}
	e.Nodes = p.nodeVerdicts(k)
	// Without any speaker this may be the wrong namespace, and the reason as well.
	looked := len(p.answers) > 0 || len(svc.Addresses) == 0
	if reason, same := commonReason(e.Nodes); same && reason.OfService() && looked {
		e.Reason, e.Sentence = reason, e.Nodes[0].Sentence
	}
	return e, nil
}

// nodeVerdicts gives, for each address, protocol and node, what the speaker says, or what it
// should do where it cannot be asked.
func (p *picture) nodeVerdicts(k lb.ServiceKey) []nodeVerdict {
	var out []nodeVerdict
	for _, node := range slices.Sorted(maps.Keys(p.decider.World().Nodes)) {
		for _, computed := range p.decider.AllVerdicts(k, node) {
			out = append(out, p.nodeVerdict(node, computed))
		}
	}
	slices.SortStableFunc(out, func(a, b nodeVerdict) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Protocol, b.Protocol))
	})
	return out
}

func (p *picture) nodeVerdict(node string, computed lb.Verdict) nodeVerdict {
	v := nodeVerdict{Verdict: computed, Sentence: computed.Sentence()}
	a, asked := p.answers[node]
	switch {
	case !asked:
		v.Unknown = "no speaker runs there"
	case a.err != nil:
		v.Unknown = a.err.Error()
	default:
		said := slices.IndexFunc(a.report.Verdicts, func(s lb.Verdict) bool {
			return s.Address == computed.Address && s.Protocol == computed.Protocol
		})
		if said < 0 {
			v.Unknown = "its speaker does not know this Service or address yet"
			break
		}
		v.Verdict = a.report.Verdicts[said]
		v.Sentence = v.Verdict.Sentence()
		if v.Protocol == lb.Layer2 && v.Outcome == lb.Announce {
			v.Fault, v.Mute = faultOf(a.report, v.Address)
		}
	}
	return v
}

// does says what the speaker does and why.
func (v nodeVerdict) does() (state, meaning string) {
	switch {
	case v.Unknown != "":
		return "unknown", fmt.Sprintf("cannot be asked (%s); by what is known here: %s", v.Unknown, v.Sentence)
	case v.Mute:
		return word(lb.Not), "is to answer for the address and cannot: " + v.Fault
	case v.Fault != "":
		return word(v.Outcome), v.Sentence + ", except: " + v.Fault
	}
	return word(v.Outcome), v.Sentence
}

func commonReason(nodes []nodeVerdict) (lb.Reason, bool) {
	if len(nodes) == 0 {
		return 0, false
	}
	for _, n := range nodes {
		if n.Reason != nodes[0].Reason {
			return 0, false
		}
	}
	return nodes[0].Reason, true
}

// noController says that Services wait in vain, where they do.
func (p *picture) noController() []string {
	if p.controlled {
		return nil
	}
	return []string{fmt.Sprintf("no controller is ready in namespace %s, so no Service gets an address: see to its pod, or name the namespace of Lintel with --lintel-namespace", p.resources.Namespace)}
}

// problems lists refused objects and what speakers say of their membership.
func (p *picture) problems() []string {
	var out []string
	if len(p.answers) == 0 {
		out = append(out, fmt.Sprintf("no speaker runs in namespace %s, and only what is in that namespace was looked at: name the namespace of Lintel with --lintel-namespace, or see to its speakers", p.resources.Namespace))
	}
	if p.kubeProxy != "" {
		out = append(out, p.kubeProxy)
	}
	for _, v := range p.verdicts {
		if !v.Accepted {
			out = append(out, fmt.Sprintf("%s is refused: %s", v.Object, v.Message))
		}
	}
	for _, node := range slices.Sorted(maps.Keys(p.answers)) {
		if r := p.answers[node].report; r != nil {
			for _, problem := range r.Problems {
				out = append(out, fmt.Sprintf("speaker on %s: %s", node, problem))
			}
		}
	}
	return out
}

// warnings gives the latest events of type Warning about an object, oldest first.
func (c *cluster) warnings(ctx context.Context, svc *corev1.Service) ([]string, error) {
	var list corev1.EventList
	if err := c.client.List(ctx, &list, client.InNamespace(svc.Namespace),
		client.MatchingFields{"involvedObject.name": svc.Name, "involvedObject.kind": "Service"}); err != nil {
		return nil, fmt.Errorf("list the events of %s/%s: %w", svc.Namespace, svc.Name, err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
	var out []string
	for _, e := range list.Items {
		if e.Type == corev1.EventTypeWarning && e.InvolvedObject.UID == svc.UID {
			out = append(out, e.Reason+": "+e.Message)
		}
	}
	return out[max(0, len(out)-3):], nil
}

func (e *explanation) print(out io.Writer) error {
	w := &errWriter{w: out}
	w.printf("Service %s", e.Service)
	if len(e.Addresses) > 0 {
		w.printf(", %s", join(e.Addresses))
	}
	if e.Pool != "" {
		w.printf(" from pool %s", e.Pool)
	}
	if e.Policy != "" {
		w.printf(", externalTrafficPolicy %s, %d of %d endpoints ready", e.Policy, e.Endpoints.Usable, e.Endpoints.Total)
	}
	w.printf("\n")
	for _, s := range e.Sharing {
		w.printf("  shares its address with %s\n", s)
	}
	if e.Reason != 0 {
		w.printf("\nNot announced (%s): %s.\n", e.Reason, e.Sentence)
	}
	for _, ev := range e.Events {
		w.printf("  %s\n", ev)
	}
	if e.Allocation != "" {
		w.printf("  There are no events any more. By what is known here: %s\n", e.Allocation)
	}
	if len(e.Nodes) > 0 && len(e.Addresses) > 0 {
		w.printf("\n")
		tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		t := &errWriter{w: tab}
		t.printf("ADDRESS\tPROTOCOL\tNODE\tANNOUNCES\tREASON\tMEANING\n")
		for _, n := range e.Nodes {
			state, meaning := n.does()
			t.printf("%s\t%s\t%s\t%s\t%s\t%s\n", n.Address, n.Protocol, n.Node, state, n.Reason, meaning)
		}
		if t.err == nil {
			t.err = tab.Flush()
		}
		w.err = t.err
	}
	for _, p := range e.Problems {
		w.printf("\nproblem: %s\n", p)
	}
	return w.err
}

// word is how an outcome is shown in a table.
func word(o lb.Outcome) string {
	switch o {
	case lb.Announce:
		return "yes"
	case lb.Pending:
		return "not yet"
	}
	return "no"
}

func join(addrs []netip.Addr) string {
	parts := make([]string, len(addrs))
	for i, a := range addrs {
		parts[i] = a.String()
	}
	return strings.Join(parts, " and ")
}
