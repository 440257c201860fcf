package speaker

import (
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lintel-lb/lintel/internal/kube/mixed"
	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/links"
	"github.com/lintel-lb/lintel/internal/members"
)

func mixedSetting(zeroLocalPref bool) *corev1.ConfigMap {
	return mixed.New("metallb-system", mixed.Setting{
		Speakers: labels.SelectorFromSet(labels.Set{"app": "metallb", "component": "speaker"}), ZeroLocalPref: zeroLocalPref})
}

// The second address of a Service follows the first one while membership is mixed, and only
// then; nothing is probed meanwhile, and claims of other stations are no conflicts.
func TestMixedMembershipBeginsAndEnds(t *testing.T) {
	h := twoNodes(t)
	mine, theirs := ownedBy("n1"), ownedBy("n2")
	h.service("first", mine[0])
	h.run(nil)
	h.members.become("n1", "n2")
	h.until("the first address", func() bool { return slices.Equal(h.engine.announced(), mine[:1]) })
	h.post(func(b *batch) { b.mixed, b.mixedChanged = mixedSetting(false), true })
	h.service("two", mine[1], theirs[0])
	both := []string{mine[0], mine[1], theirs[0]}
	slices.Sort(both)
	h.until("the second address with the first", func() bool { return slices.Equal(h.engine.announced(), both) })
	if len(h.engine.probed) > 0 {
		t.Errorf("probed %v", h.engine.probed)
	}
	h.engine.mu.Lock()
	h.engine.state = l2.State{Addresses: map[netip.Addr]l2.AddressState{
		netip.MustParseAddr(mine[0]): {Conflict: &l2.Conflict{Link: "eth0", MAC: links.MAC{2, 0, 0, 0, 0, 9}}}}}
	h.engine.mu.Unlock()
	h.engine.changed <- struct{}{}
	h.until("a look at the claim", func() (seen bool) {
		h.ask(func(s *Speaker) { seen = s.disputed[netip.MustParseAddr(mine[0])] })
		return seen
	})
	h.post(func(b *batch) { b.mixed, b.mixedChanged = nil, true })
	alone := slices.Sorted(slices.Values(mine[:2]))
	h.until("the own election", func() bool { return slices.Equal(h.engine.announced(), alone) })
	for {
		select {
		case e := <-h.events.Events:
			if len(e) > 7 && e[:7] == corev1.EventTypeWarning {
				t.Errorf("event %q", e)
			}
			continue
		default:
		}
		break
	}
}

func TestPeersOfMixedMembership(t *testing.T) {
	p := &Peers{Log: slog.New(slog.DiscardHandler), Matches: func(l map[string]string) bool { return l["app"] == "lintel" }}
	pod := func(app, node, ip string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app, "component": "speaker"}},
			Spec: corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip}}
	}
	pods := map[string]*corev1.Pod{"a": pod("lintel", "n1", "10.0.0.1"), "b": pod("metallb", "n2", "10.0.0.2"), "c": pod("other", "n3", "10.0.0.3")}
	ours := members.Peer{Node: "n1", Addr: netip.MustParseAddrPort("10.0.0.1:0")}
	theirs := members.Peer{Node: "n2", Addr: netip.MustParseAddrPort("10.0.0.2:0")}
	foreign := p.foreign(mixedSetting(false), labels.Nothing())
	equal := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
	if diff := cmp.Diff([]members.Peer{ours, theirs}, p.peers(pods, foreign), equal); diff != "" {
		t.Errorf("mixed (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]members.Peer{ours, theirs}, p.peers(pods, p.foreign(&corev1.ConfigMap{}, foreign)), equal); diff != "" {
		t.Errorf("a setting that cannot be read (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]members.Peer{ours}, p.peers(pods, p.foreign(nil, foreign)), equal); diff != "" {
		t.Errorf("not mixed (-want +got)\n%s", diff)
	}
}
