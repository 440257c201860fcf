package members

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

var keyOne, keyTwo = KeyFromSecret([]byte("AAAAAAAAAAAAAAAAAAAAAA")), KeyFromSecret([]byte("BBBBBBBBBBBBBBBBBBBBBB"))

func with(primary []byte, others ...[]byte) func(*Gossip) {
	return func(g *Gossip) {
		if err := g.SetKeys(primary, others...); err != nil {
			panic(err)
		}
	}
}

func TestKeyArrivesLate(t *testing.T) {
	c := newCluster(t)
	a := c.start(c.config("a", keyed), with(keyOne))
	b := c.start(c.config("b", keyed))
	for _, n := range c.nodes {
		n.SetPeers(c.peers())
	}
	a.wait("b to refuse connections", func(s Snapshot) bool {
		u := s.Health.UnreachablePeers
		return len(u) == 1 && u[0].Node == "b" && u[0].TCP == PortRefused && u[0].UDP == PortSilent && u[0].Attempts > 1
	})
	s := b.Snapshot()
	if !alive("b")(s) || !s.Health.WaitingForKey || s.Health.Keyed || s.Health.Joined || len(s.Health.Problems()) != 1 {
		t.Errorf("without a key: %s", describe(s))
	}
	with(keyOne)(b.Gossip)
	for _, n := range c.nodes {
		n.wait("both", func(s Snapshot) bool {
			return alive("a", "b")(s) && s.Health.Keyed && s.Health.Joined && len(s.Health.Problems()) == 0 && s.Health.LastJoinError == ""
		})
	}
}

func TestKeyRotation(t *testing.T) {
	c := newCluster(t)
	for _, name := range []string{"a", "b", "d"} {
		c.start(c.config(name, keyed), with(keyOne))
	}
	c.meet()

	// A round of states that all have seen proves that keys given before are in use: a node takes
	// in keys before it tells a state.
	round := 0
	exchange := func() {
		t.Helper()
		round++
		for _, n := range c.nodes {
			must(t, n.SetState([]byte(fmt.Sprint(round))))
		}
		for _, n := range c.nodes {
			for _, of := range c.nodes {
				n.wait("the round's state", func(s Snapshot) bool {
					if len(s.Alive) != len(c.nodes) {
						t.Fatalf("a member was lost in round %d: %s", round, describe(s))
					}
					return tells(of.cfg.NodeName, fmt.Sprint(round))(s)
				})
			}
		}
	}
	exchange()
	for _, step := range []func(*Gossip){with(keyOne, keyTwo), with(keyTwo, keyOne), with(keyTwo)} {
		for _, n := range c.nodes {
			step(n.Gossip)
			exchange() // with some nodes ahead of others
		}
	}
	c.start(c.config("e", keyed), with(keyTwo))
	c.meet()
	exchange()
}

func TestWrongKeyAndNoKey(t *testing.T) {
	c := newCluster(t)
	good := c.start(c.config("good", keyed), with(keyOne))
	bad := c.start(c.config("bad", keyed), with(keyTwo))
	plain := c.start(c.config("plain"))
	good.SetPeers([]Peer{c.peer(bad), c.peer(plain)})
	bad.SetPeers([]Peer{c.peer(good)})
	plain.SetPeers([]Peer{c.peer(good)})

	cause := func(s Snapshot, node string) Cause {
		for _, u := range s.Health.UnreachablePeers {
			if u.Node == node {
				return u.Cause
			}
		}
		return ""
	}
	bad.wait("the other key to be noticed", func(s Snapshot) bool { return cause(s, "good") == CauseKey })
	good.wait("bad and plain to be noticed", func(s Snapshot) bool {
		return cause(s, "bad") == CauseKey && cause(s, "plain") == CausePlaintext
	})
	plain.wait("encryption to be noticed", func(s Snapshot) bool { return cause(s, "good") == CausePlaintext })
	for _, n := range c.nodes {
		s := n.Snapshot()
		if len(s.Alive) != 1 || s.Health.Joined || s.Health.LastJoinError == "" {
			t.Errorf("%s: %s", n.cfg.NodeName, describe(s))
		}
	}
	if p := strings.Join(bad.Snapshot().Health.Problems(), "\n"); !strings.Contains(p, "node good") || !strings.Contains(p, "another gossip key") {
		t.Errorf("bad says %q", p)
	}
	if err := plain.SetKeys(keyOne); !errors.Is(err, ErrNotKeyed) {
		t.Errorf("a key for a node in plaintext: %v", err)
	}

	with(keyOne)(bad.Gossip) // the right one after all
	good.wait("bad to be good", func(s Snapshot) bool { return alive("good", "bad")(s) && cause(s, "bad") == "" })
}

// Nothing that a keyed node sends can be read without the key, not even before the key has arrived.
func TestNothingInPlaintext(t *testing.T) {
	c := newCluster(t)
	eavesdropper := c.address()
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: eavesdropper.AsSlice(), Port: int(c.port)})
	must(t, err)
	heard := make(chan []byte, 1)
	var listening sync.WaitGroup
	listening.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 64<<10)
			n, _ := conn.Read(buf)
			conn.Close()
			select {
			case heard <- buf[:n]:
			default:
			}
		}
	})
	defer listening.Wait()
	defer tcp.Close()

	a := c.start(c.config("node-with-a-name", keyed))
	must(t, a.SetState([]byte("a secret state")))
	a.SetPeers([]Peer{{Node: "x", Addr: addrPort(eavesdropper, c.port)}})
	a.wait("the key to be missed", func(s Snapshot) bool { return s.Health.WaitingForKey && s.Alive["node-with-a-name"].State != nil })
	select {
	case p := <-heard:
		t.Fatalf("heard before the key: %q", p)
	default:
	}
	with(keyOne)(a.Gossip)
	p := <-heard
	if len(p) == 0 || bytes.Contains(p, []byte("node-with-a-name")) || bytes.Contains(p, []byte("secret")) {
		t.Errorf("heard in plaintext: %q", p)
	}
}
