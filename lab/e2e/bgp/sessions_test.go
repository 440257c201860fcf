package bgp

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// A peer that cannot be had says why, in words, and takes no other session with it.
func TestSessionsThatFail(t *testing.T) {
	for _, c := range []struct {
		name, address string
		group         group
		lines         []string
		words         []string
	}{
		{name: "wrong password", address: router6, group: over6("password right"), lines: []string{"password: wrong"}, words: []string{"no answer"}},
		{name: "wrong AS of the router", address: router6, group: over6(), lines: []string{"peerASN: 64999"}, words: []string{"the configuration wants AS 64999"}},
		{name: "wrong AS of the cluster", address: router6, group: over6(), lines: []string{"myASN: 64998"}, words: []string{"bad peer AS"}},
		{name: "nobody there", address: "fd89::99", group: over6(), words: []string{"no route to host", "no answer"}},
		{name: "nobody listens", address: "fd89::10", group: over6(), words: []string{"connection refused"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, over4().both(), c.group)
			good := s.peer("good", router4, "dualStackAddressFamily: true")
			before := s.router.sessions(false, s.nodes()...)
			bad := s.peer("bad", c.address, c.lines...)
			s.advertise("")
			v4, v6 := s.service("web", "Cluster", "n1")
			s.explained(bad, c.words...)
			s.event("BGPPeer", bad, "sessionDown", "is not established")
			s.told(bad, c.words...)
			s.router.sessions(true)
			s.router.announced(v4, s.nodes()...)
			s.router.announced(v6, s.nodes()...)
			s.untouched(false, before)
			s.reported("web", each(s.nodes(), good))
		})
	}
}

const secret = `
apiVersion: v1
kind: Secret
metadata: {name: '{{.Name}}', namespace: metallb-system}
type: kubernetes.io/basic-auth
stringData: {password: '{{.Vars.Password}}'}
`

// A password in a Secret is rotated without any restart but that of the session.
func TestPasswordIsRotated(t *testing.T) {
	s := newScene(t, over4("password first"), over6())
	s.Apply(secret, map[string]any{"Password": "first"})
	p := s.peer("four", router4, "passwordSecret: {name: '"+s.Name+"', namespace: metallb-system}")
	s.peer("six", router6)
	s.advertise("")
	v4, _ := s.service("web", "Cluster", "n1")
	s.router.sessions(false, s.nodes()...)
	other := s.router.sessions(true, s.nodes()...)
	s.router.announced(v4, s.nodes()...)

	s.router.configure("router bgp 65000", "neighbor OVER4 password second")
	s.Apply(secret, map[string]any{"Password": "second"})
	s.router.sessions(false, s.nodes()...)
	s.router.announced(v4, s.nodes()...)
	s.untouched(true, other)
	if reason, message := s.condition(p, "True"); message != "" {
		t.Errorf("the peer is accepted with %s: %s", reason, message)
	}
}

// A BGPPeer that is deleted ends its sessions, with a Cease that takes the routes with it.
func TestPeerIsDeleted(t *testing.T) {
	s := newScene(t, over4(), over6())
	s.peer("four", router4)
	six := s.peer("six", router6)
	s.advertise("")
	v4, v6 := s.service("web", "Cluster", "n1")
	s.router.sessions(false, s.nodes()...)
	other := s.router.sessions(true, s.nodes()...)
	s.router.announced(v4, s.nodes()...)
	s.deletePeer("four")
	s.router.announced(v4)
	s.router.sessions(false)
	s.router.announced(v6, over(s.nodes()...)...)
	s.untouched(true, other)
	s.reported("web", each(s.nodes(), six))
}

// A peer that names a BFDProfile which does not exist is refused, and is in effect as soon as
// the profile exists.
func TestUnknownBFDProfile(t *testing.T) {
	s := newScene(t, over4("bfd profile fast"), over6())
	s.peer("six", router6)
	p := s.peer("four", router4, "bfdProfile: '"+s.Name+"'")
	s.advertise("")
	other := s.router.sessions(true, s.nodes()...)
	reason, message := s.condition(p, "False")
	if reason != "UnknownBFDProfile" || !strings.Contains(message, s.Name) {
		t.Errorf("refused with %s: %s", reason, message)
	}
	r, err := s.why(t.Context(), p)
	if err != nil || !strings.Contains(r.Refused, s.Name) {
		t.Errorf("why --peer says %+v, %v", r, err)
	}
	s.router.sessions(false)

	s.Apply(profile, map[string]any{"Interval": 50})
	s.router.sessions(false, s.nodes()...)
	s.watched()
	s.untouched(true, other)
}

// watched waits until FRR sees every node by BFD, and every speaker says so.
func (s *scene) watched() []watched {
	s.t.Helper()
	var addrs []string
	for _, n := range s.nodes() {
		addrs = append(addrs, s.host(n).String())
	}
	up := s.router.bfdUp(addrs...)
	s.Eventually("why --peer says that BFD is up", soon, func(ctx context.Context) error {
		r, err := s.why(ctx, s.Name+"-four")
		if err != nil {
			return err
		}
		for _, x := range r.Sessions {
			if !strings.EqualFold(x.BFD, "up") || x.State != "Established" {
				return fmt.Errorf("%+v", r)
			}
		}
		return nil
	})
	return up
}
