package bgp

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/lintel-lb/lintel/lab"
)

// dialled are the addresses of all nodes on the router's network.
func dialled() []string {
	return []string{"10.89.0.11", "10.89.0.12", "10.89.0.13"}
}

// A passive peer is waited for on the node's own address, and nowhere else.
func TestPassivePeer(t *testing.T) {
	s := newScene(t, over4("password key").dialling(dialled()...), over6())
	six := s.peer("six", router6)
	before := s.router.sessions(true, s.nodes()...)
	four := s.peer("four", router4, "passive: true", "password: key")
	s.advertise("")
	v4, _ := s.service("web", "Cluster", "n1")
	s.router.sessions(false, s.nodes()...)
	s.nextHops(v4, s.router.announced(v4, s.nodes()...))
	s.reported("web", each(s.nodes(), four, six))
	for _, n := range s.nodes() {
		out, err := s.Lab.Exec(t.Context(), n, "ss", "-Htln", "sport", "=", ":179")
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(out))
		if len(fields) < 5 || fields[3] != s.host(n).String()+":179" || strings.Count(string(out), ":179") != 1 {
			t.Errorf("%s listens on:\n%s", n, out)
		}
	}
	s.deletePeer("four")
	s.router.announced(v4)
	for _, n := range s.nodes() {
		s.Eventually(n+" listens no more", soon, func(ctx context.Context) error {
			out, err := s.Lab.Exec(ctx, n, "ss", "-Htln", "sport", "=", ":179")
			if err == nil && len(out) > 0 {
				err = fmt.Errorf("it listens on:\n%s", out)
			}
			return err
		})
	}
	s.untouched(true, before)
}

// Routers that are known by their network only: each has a session, a line in why --peer and
// its metrics.
func TestDynamicNeighbors(t *testing.T) {
	s := newScene(t, over4("password key").dialling(dialled()...), over6().both().dialling("fd89::11", "fd89::12", "fd89::13"))
	p := s.peer("any", "", "dynamicASN: external", "peerASN: 0", "password: key", "dynamicNeighbors: {prefixes: ['10.89.0.0/29'], limit: 2}")
	s.peer("six", "", "dualStackAddressFamily: true", "dynamicNeighbors: {prefixes: ['fd89::/124']}")
	s.advertise("")
	v4, v6 := s.service("web", "Cluster", "n1")
	s.router.sessions(false, s.nodes()...)
	s.router.sessions(true, s.nodes()...)
	s.nextHops(v4, s.router.announced(v4, append(over(s.nodes()...), s.nodes()...)...))
	s.nextHops(v6, s.router.announced(v6, over(s.nodes()...)...))
	s.Eventually("why --peer tells of every router", soon, func(ctx context.Context) error {
		r, err := s.why(ctx, p)
		if err != nil {
			return err
		}
		got := map[string]string{}
		for _, x := range r.Sessions {
			got[x.Node+" "+x.Neighbor] = x.State
		}
		for _, n := range s.nodes() {
			if got[n+" 10.89.0.0/29"] != "Listening" || got[n+" "+router4] != "Established" {
				return fmt.Errorf("%+v", r)
			}
		}
		if len(got) != 2*len(s.nodes()) {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	token := s.scraper()
	for _, n := range s.nodes() {
		text := s.scrape(token, n)
		for _, want := range []string{`metallb_bgp_session_up{peer="` + router4 + `:179"} 1`, `metallb_bgp_session_up{peer="[` + router6 + `]:179"} 1`} {
			if !strings.Contains(text, want) {
				t.Errorf("the metrics of %s lack %s", n, want)
			}
		}
	}
	s.reported("web", each(s.nodes(), p, s.Name+"-six"))

	// A change of routes is an UPDATE of the same sessions.
	before := s.router.sessions(false, s.nodes()...)
	other, _ := s.service("other", "Local", "n2")
	s.router.announced(other, "n2", "n2/6")
	s.untouched(false, before)
}

// The address of the router is that of the default gateway, and follows it.
func TestPeerAtTheDefaultGateway(t *testing.T) {
	s := newScene(t, over4(), over6())
	p := s.peer("gw", "", "peerAddressFrom: {defaultGateway: IPv4}")
	s.peer("six", router6)
	s.advertise("")
	v4, _ := s.service("web", "Cluster", "n1")
	before := s.router.sessions(false, s.nodes()...)
	other := s.router.sessions(true, s.nodes()...)
	s.router.announced(v4, s.nodes()...)

	s.gateway("n2", "10.89.0.10")
	s.Eventually("n2 turns to its new gateway", soon, func(ctx context.Context) error {
		r, err := s.why(ctx, p)
		for _, x := range r.Sessions {
			if x.Node == "n2" && x.Neighbor == "10.89.0.10" && x.State != "Established" {
				return err
			}
		}
		return fmt.Errorf("%+v, %w", r, err)
	})
	s.router.sessions(false, "n1", "n3")
	s.gateway("n2", router4)
	s.router.sessions(false, s.nodes()...)
	s.router.announced(v4, s.nodes()...)
	delete(before, "n2")
	s.sameSessions(false, before)
	s.untouched(true, other)
}

// gateway changes the default route of a node.
func (s *scene) gateway(node, address string) {
	s.t.Helper()
	if out, err := s.Lab.Exec(s.t.Context(), node, "ip", "route", "replace", "default", "via", address); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
}

// The address of the router is that of an annotation of each node.
func TestPeerOfAnAnnotation(t *testing.T) {
	const key = "lintel.dev/bgp-peer-address"
	s := newScene(t, over4(), over6())
	s.annotate("n1", key, router4)
	s.annotate("n3", key, "tor")
	p := s.peer("rack", "", "peerAddressFrom: {nodeAnnotation: "+key+"}")
	s.peer("six", router6)
	s.advertise("")
	v4, _ := s.service("web", "Cluster", "n1")
	before := s.router.sessions(false, "n1")
	s.router.announced(v4, "n1")
	s.Eventually("why --peer tells what is missing", soon, func(ctx context.Context) error {
		r, err := s.why(ctx, p)
		if err != nil {
			return err
		}
		want := map[string]string{"n1": "", "n2": "node n2 has no annotation " + key, "n3": `annotation ` + key + ` of node n3 is "tor"`}
		for _, x := range r.Sessions {
			if !strings.HasPrefix(x.LastError, want[x.Node]) || want[x.Node] == "" && x.Neighbor != router4 {
				return fmt.Errorf("%+v", r)
			}
		}
		return nil
	})
	s.annotate("n2", key, router4)
	s.annotate("n3", key, router4)
	s.router.sessions(false, s.nodes()...)
	s.router.announced(v4, s.nodes()...)
	s.sameSessions(false, before)
	s.kubectl("annotate", "node", "n2", key+"-")
	s.router.sessions(false, "n1", "n3")
}

// annotate sets an annotation of a node until the test ends.
func (s *scene) annotate(node, key, value string) {
	s.t.Helper()
	s.kubectl("annotate", "node", node, key+"="+value, "--overwrite")
	s.t.Cleanup(func() { s.kubectl("annotate", "node", node, key+"-") })
}

// sameSessions fails the test if any of these sessions, of those there are, was reset since.
func (s *scene) sameSessions(v6 bool, before map[string]neighbor) {
	s.t.Helper()
	all, err := s.router.neighbors(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range s.Lab.Hosts(lab.RoleNode) {
		b, known := before[h.Name]
		if a := all[h.V4().String()]; !v6 && known && (a.Established != b.Established || a.Dropped != b.Dropped) {
			s.t.Errorf("the session of %s was reset: %+v before, %+v now", h.Name, b, a)
		}
	}
}
