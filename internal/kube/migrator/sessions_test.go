package migrator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/takeover"
)

// Only sessions with BGPPeers that the node announced to before are waited for, unless the user
// says that they are down; of the others it is told.
func TestSessionsThatAreWaitedFor(t *testing.T) {
	up := endpoint.Session{Peer: "tor", State: "Established"}
	refused := endpoint.Session{Peer: "tor", State: "Active", LastError: "connection refused"}
	spare := endpoint.Session{Peer: "spare", State: "Connect"}
	for _, row := range []struct {
		name     string
		sessions []endpoint.Session
		down     []string
		// fails is in the error, says in what is told.
		fails, says string
	}{
		{name: "all up", sessions: []endpoint.Session{up}},
		{name: "one that is needed", sessions: []endpoint.Session{refused}, fails: "the session with BGPPeer tor is Active: connection refused. If it was down with MetalLB too, give --down-peers tor"},
		{name: "none", fails: "there is no session with BGPPeer tor"},
		{name: "one of two", sessions: []endpoint.Session{up, refused}, fails: "connection refused"},
		{name: "a spare one", sessions: []endpoint.Session{up, spare}, says: "the session with BGPPeer spare is Connect; it was not waited for, since nothing was announced to it"},
		{name: "a network", sessions: []endpoint.Session{up, {Peer: "hosts", State: endpoint.Listening}}},
		{name: "only a network", sessions: []endpoint.Session{{Peer: "tor", State: endpoint.Listening}}, fails: "there is no session with BGPPeer tor"},
		{name: "said to be down", sessions: []endpoint.Session{refused}, down: []string{"tor"}, says: "the session with BGPPeer tor is Active: connection refused; it was not waited for, since it is among --down-peers"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, sim := simulate(t, "n1")
				m.DownPeers = row.down
				sim.report = func(r *endpoint.SpeakerReport) { r.Sessions = slices.Clone(row.sessions) }
				routed := &v1beta1.ServiceBGPStatus{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"},
					Status: v1beta1.ServiceBGPStatusValue{Node: "n1", ServiceNamespace: "default", ServiceName: "web", Peers: []string{"tor"}}}
				if err := m.Client.Create(t.Context(), routed); err != nil {
					t.Fatal(err)
				}
				var said strings.Builder
				m.Say = func(format string, args ...any) { fmt.Fprintf(&said, format, args...) }
				err := m.Forward(t.Context(), read(t, m))
				if row.fails == "" && err != nil || row.fails != "" && (err == nil || !strings.Contains(err.Error(), row.fails)) {
					t.Errorf("got %v, want %q", err, row.fails)
				}
				if !strings.Contains(said.String(), row.says) || row.says == "" && strings.Contains(said.String(), "waited") {
					t.Errorf("said\n%swant %q", said.String(), row.says)
				}
			})
		})
	}
}

// What was announced to a peer that is down is not waited for either, but all the rest is.
func TestAnnouncesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, "n1")
		s := read(t, m)
		s.Record = &takeover.Record{Before: map[string][]string{"n1": {"default/web by layer2", "default/web to tor", "default/gone to spine"}}}
		m.DownPeers = []string{"tor"}
		if err := m.announcesAgain(t.Context(), s, "n1"); err == nil || !strings.Contains(err.Error(), "missing: default/web by layer2") || strings.Contains(err.Error(), "to tor") {
			t.Errorf("got %v", err)
		}
		s.Record.Before["n1"] = []string{"default/web to tor"}
		if err := m.announcesAgain(t.Context(), s, "n1"); err != nil {
			t.Errorf("got %v", err)
		}
		m.DownPeers = nil
		if err := m.announcesAgain(t.Context(), s, "n1"); err == nil {
			t.Error("it did not wait for a peer that is up")
		}
	})
}
