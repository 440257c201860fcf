package bgp

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

var (
	keyRange  = netip.MustParsePrefix("192.0.2.0/29") // peerAddr is in it
	openAddr  = netip.MustParseAddr("192.0.2.33")
	errNoMD5  = passwordError(unix.ENOPROTOOPT)
	noMD5Text = "kernel was built without TCP MD5"
)

// guarded are peers on one port: "tor" with a password, as a range or as one address, and
// "open" without.
func guarded(ranged bool, key Password) Desired {
	c := passiveConfig(ModePassive)
	c.Password = key
	if ranged {
		c.PeerAddress, c.PeerRange = netip.Addr{}, keyRange
	}
	d := onePeer(c, nil)
	o := passiveConfig(ModePassive)
	o.PeerAddress = openAddr
	d.Peers["open"] = Peer{Config: o}
	return d
}

func keyPrefix(ranged bool) netip.Prefix {
	if ranged {
		return keyRange
	}
	return netip.PrefixFrom(peerAddr, 32)
}

// Where the kernel takes no key, nobody gets in without one, and the peers without a
// password are served.
func TestPasswordThatCannotBeSet(t *testing.T) {
	for _, ranged := range []bool{false, true} {
		t.Run(fmt.Sprintf("range=%v", ranged), func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.net.keyless = map[netip.Prefix]error{keyPrefix(ranged): errNoMD5}
				r.Set(guarded(ranged, "key"))
				synctest.Wait()
				port := r.net.port(listenAt)
				port.call(t, peerAddr).expectEnd()
				o := port.call(t, openAddr)
				o.handshake(peerOpen())
				o.expectEndOfRIB()
				st := r.wantState(StateActive)
				if !strings.Contains(st.LastError, noMD5Text) || !strings.Contains(st.LastError, keyPrefix(ranged).String()) {
					t.Errorf("last error %q", st.LastError)
				}
				time.Sleep(3 * listenRetry)
				if r.net.port(listenAt) != port {
					t.Error("a port was opened anew without a reason")
				}
				port.call(t, peerAddr).expectEnd()
				if st := r.Snapshot()["open"]; st.State != StateEstablished || st.LastError != "" {
					t.Errorf("the peer without a password is %v, %q", st.State, st.LastError)
				}

				r.net.set(func() { r.net.keyless = nil })
				time.Sleep(2 * listenRetry)
				synctest.Wait()
				if st := r.status(); st.LastError != "" {
					t.Errorf("last error %q", st.LastError)
				}
				p := r.net.port(listenAt).call(t, peerAddr)
				p.handshake(peerOpen())
				p.expectEndOfRIB()
				if st := r.Snapshot()["open"]; st.State != StateEstablished || st.Established != 1 {
					t.Errorf("the peer without a password is %v, established %d times", st.State, st.Established)
				}
			})
		})
	}
}

// A key that cannot replace another one leaves the peer out, not with the old key.
func TestPasswordThatCannotBeChanged(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(guarded(true, "one"))
		synctest.Wait()
		port := r.net.port(listenAt)
		p := port.call(t, peerAddr)
		p.handshake(peerOpen())
		p.expectEndOfRIB()
		r.net.set(func() { r.net.keyless = map[netip.Prefix]error{keyRange: errNoMD5} })
		r.Set(guarded(true, "two"))
		p.expectNotification(wire.CodeCease, wire.CeaseConfigChange)
		port.call(t, peerAddr).expectEnd()
		synctest.Wait()
		name := dynamicName("tor", peerAddr)
		if st := r.Snapshot()[name]; st.State == StateEstablished || !strings.Contains(st.LastError, noMD5Text) {
			t.Errorf("%v, %q", st.State, st.LastError)
		}
	})
}

// A connection that came before the password was asked for does not pass for one with it,
// wherever it waits.
func TestConnectionFromBeforeThePassword(t *testing.T) {
	for _, ranged := range []bool{false, true} {
		for _, where := range []string{"before the port", "in the port", "before the session"} {
			for _, earlier := range []Password{"", "one"} {
				t.Run(fmt.Sprintf("range=%v, %s, earlier %q", ranged, where, string(earlier)), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						n := newFakeNet()
						e := New(Options{Log: slog.New(slog.DiscardHandler), Transport: n})
						defer e.listeners.close()
						defer e.stop(Ending{End: EndRestart})
						e.Set(guarded(ranged, earlier))
						e.reconcile()
						p := n.port(listenAt).call(t, peerAddr)
						switch where {
						case "before the port": // the accepting goroutine has it
							synctest.Wait()
							e.Set(guarded(ranged, "two"))
							e.reconcile()
							synctest.Wait()
							select {
							case in := <-e.listeners.accepted:
								e.dispatch(in)
							default:
							}
						case "in the port": // the engine has it, and has not read the new password
							in := <-e.listeners.accepted
							e.Set(guarded(ranged, "two"))
							if ranged { // which takes it from what is desired
								e.dispatch(in)
								break
							}
							e.reconcile()
							e.dispatch(in)
						case "before the session":
							e.dispatch(<-e.listeners.accepted)
							e.Set(guarded(ranged, "two"))
							e.reconcile()
						}
						synctest.Wait()
						for name, st := range e.Snapshot() {
							if st.State > StateActive {
								t.Errorf("%s is %v", name, st.State)
							}
						}
						for { // an OPEN may have been sent before the change
							if _, err := p.readMessage(); err != nil {
								break
							}
						}
					})
				})
			}
		}
	}
}

// Of ranges that overlap, a peer belongs to the narrowest, whose key the kernel demands.
func TestOverlappingRanges(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		d := guarded(true, "narrow")
		wide := d.Peers["tor"]
		wide.Config.PeerRange, wide.Config.Password = netip.MustParsePrefix("192.0.2.0/24"), "wide"
		d.Peers["a wide one"] = wide
		r.Set(d)
		synctest.Wait()
		for a, want := range map[netip.Addr]string{peerAddr: "tor", netip.MustParseAddr("192.0.2.200"): "a wide one"} {
			p := r.net.port(listenAt).call(t, a)
			p.handshake(peerOpen())
			p.expectEndOfRIB()
			synctest.Wait()
			if st := r.Snapshot()[dynamicName(want, a)]; st.State != StateEstablished {
				t.Errorf("%v is no peer of %s", a, want)
			}
		}
		if n := r.net.opened; n != 1 {
			t.Errorf("the port was opened %d times", n)
		}
	})
}

// The keys are on a port of the kernel before it accepts anything: who has none gets no
// connection.
func TestKernelPortWithKey(t *testing.T) {
	tr := SystemTransport{}
	peer := netip.MustParseAddr("127.0.0.1")
	keys := map[netip.Prefix]Password{netip.PrefixFrom(peer, 32): "key"}
	ln, failed, err := tr.Listen(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"), SocketOptions{}, keys)
	if err != nil || len(failed) > 0 {
		t.Fatal(err, failed)
	}
	defer ln.Close()
	at := endpoint(ln.(*systemListener).Addr())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if c, err := tr.Dial(ctx, peer, at, SocketOptions{}); err == nil {
		c.Close()
		t.Error("a connection without the key was opened")
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := tr.Dial(ctx, peer, at, SocketOptions{Password: "key"})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// A session takes a connection for the configuration that it was accepted for, and for no
// other, whether it has read that order yet or not.
func TestConnectionOfAnotherConfiguration(t *testing.T) {
	for _, tt := range []struct {
		name         string
		ours, theirs Password // the newest order's, and the connection's
		read         bool     // the order was
		want         State
	}{
		{"of before", "two", "", true, StateConnect},
		{"of now", "two", "two", true, StateOpenSent},
		{"of the order that was not read", "two", "two", false, StateOpenSent},
		{"of no change", "", "", false, StateOpenSent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "Connect")
				s.inbox.change(func(o *order) { o.config.Password = tt.ours })
				if tt.read {
					s.step(event{kind: evOrder})
				}
				c := s.cfg
				c.Password = tt.theirs
				s.offer(s.far(), c)
				in := <-s.inbound
				s.step(event{kind: evAccepted, net: in.conn, config: &in.config})
				if s.state != tt.want {
					t.Errorf("%v, want %v", s.state, tt.want)
				}
			})
		})
	}
}

// A peer without password whose address is in a range with one on the same port can never connect.
func TestPasswordOfARangeThatAPeerLacks(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		d := guarded(true, "key")
		o := d.Peers["open"]
		o.Config.PeerAddress = netip.MustParseAddr("192.0.2.3")
		d.Peers["open"] = o
		r.Set(d)
		synctest.Wait()
		if got := r.Snapshot()["open"].LastError; !strings.Contains(got, "peers in "+keyRange.String()+" need a password on this port") {
			t.Errorf("last error %q", got)
		}
		o.Config.Password = "own"
		r.Set(Desired{Peers: map[string]Peer{"tor": d.Peers["tor"], "open": o}, Complete: true})
		synctest.Wait()
		if got := r.Snapshot()["open"].LastError; got != "" {
			t.Errorf("with a password of its own: %q", got)
		}
	})
}
