package layer2

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab/e2e/install"
)

// l2Status is one ServiceL2Status.
type l2Status struct {
	node       string
	interfaces []string
	service    string
	labels     map[string]string
	owner      string
}

// l2Statuses lists the objects about a Service of the test.
func (s *scene) l2Statuses(ctx context.Context, name string) ([]l2Status, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "metallb.io", Version: "v1beta1", Kind: "ServiceL2StatusList"})
	err := s.Client.List(ctx, list, client.InNamespace(install.Namespace),
		client.MatchingLabels{"metallb.io/service-namespace": s.Namespace, "metallb.io/service-name": name})
	if err != nil {
		return nil, err
	}
	var out []l2Status
	for _, o := range list.Items {
		st := l2Status{labels: o.GetLabels()}
		st.node, _, _ = unstructured.NestedString(o.Object, "status", "node")
		ns, _, _ := unstructured.NestedString(o.Object, "status", "serviceNamespace")
		n, _, _ := unstructured.NestedString(o.Object, "status", "serviceName")
		st.service = ns + "/" + n
		links, _, _ := unstructured.NestedSlice(o.Object, "status", "interfaces")
		for _, l := range links {
			st.interfaces = append(st.interfaces, l.(map[string]any)["name"].(string))
		}
		for _, r := range o.GetOwnerReferences() {
			st.owner = r.Kind
		}
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b l2Status) int { return slices.Compare([]string{a.node}, []string{b.node}) })
	return out, nil
}

// statusesAre waits until there is exactly one object for each of the nodes.
func (s *scene) statusesAre(name string, nodes ...string) []l2Status {
	s.t.Helper()
	var out []l2Status
	s.Eventually(fmt.Sprintf("Service %s has a ServiceL2Status for each of %v", name, nodes), time.Minute, func(ctx context.Context) error {
		var err error
		if out, err = s.l2Statuses(ctx, name); err != nil {
			return err
		}
		var have []string
		for _, st := range out {
			have = append(have, st.node)
		}
		if !slices.Equal(have, nodes) {
			return fmt.Errorf("there are objects of %v", have)
		}
		return nil
	})
	return out
}

// statusOnlyOf waits until the objects about Service web are those of the nodes that answer for
// its addresses; the node that is lost has none.
func (s *scene) statusOnlyOf(addrs []netip.Addr, lost string) {
	s.t.Helper()
	owners := map[string]bool{}
	for _, a := range addrs {
		owners[s.answersWithin(moveBound, a, s.others(lost)...)] = true
	}
	s.statusesAre("web", slices.Sorted(maps.Keys(owners))...)
}

func TestServiceL2Status(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1"}, onNode("n2"), "interfaces: [eth0, eth7]")
	for _, a := range s.addresses("web") {
		s.answers(a, "n2")
	}
	st := s.statusesAre("web", "n2")[0]
	if st.service != s.Namespace+"/web" || !slices.Equal(st.interfaces, []string{"eth0", "eth7"}) || st.labels["metallb.io/node"] != "n2" || st.owner != "Pod" {
		t.Errorf("the object says %+v", st)
	}
	s.advertise(onNode("n3"))
	if st := s.statusesAre("web", "n3")[0]; len(st.interfaces) != 0 {
		t.Errorf("all interfaces are told as %v", st.interfaces)
	}
	s.endPod("n1")
	s.statusesAre("web")
}

// The event nodeAssigned comes with a move, and with nothing else.
func TestEventNodeAssigned(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1"}, onNode("n2"))
	s.agreed("web", s.all("NodeNotSelected").with(candidate, "n2"))
	s.assigned(map[string]int32{"n2": 1})
	// Each of these has the speakers look at the Service again.
	s.pods("n3")
	s.patchService("web", `{"metadata":{"labels":{"some":"change"}}}`)
	s.endPod("n3")
	s.Eventually("one endpoint is left", soon, func(ctx context.Context) error {
		e, err := s.lintel(ctx, "why", s.Namespace+"/web")
		if err == nil && !contains(e, "1 of 1 endpoints ready") {
			err = fmt.Errorf("%s", e)
		}
		return err
	})
	s.advertise(onNode("n3"))
	s.agreed("web", s.all("NodeNotSelected").with(candidate, "n3"))
	s.assigned(map[string]int32{"n2": 1, "n3": 1})
}

// assigned waits until the events about Service web are as many for each node.
func (s *scene) assigned(want map[string]int32) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("the events nodeAssigned are %v", want), soon, func(ctx context.Context) error {
		var list corev1.EventList
		if err := s.Client.List(ctx, &list, client.InNamespace(s.Namespace)); err != nil {
			return err
		}
		got := map[string]int32{}
		for _, e := range list.Items {
			if e.InvolvedObject.Name != "web" || e.Reason != "nodeAssigned" {
				continue
			}
			for _, n := range s.nodes() {
				if e.Message == fmt.Sprintf("announcing from node %q with protocol %q", n, "layer2") {
					got[n] += max(e.Count, 1)
				}
			}
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("they are %v", got)
		}
		return nil
	})
}
