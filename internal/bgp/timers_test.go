package bgp

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

func TestHoldTimerExpires(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), nil))
		p := r.up(peerOpen())
		start := time.Now()
		p.expectNotification(wire.CodeHoldTimer, 0)
		if d := time.Since(start); d != 90*time.Second {
			t.Errorf("after %v, want 90s", d)
		}
		if st := r.wantState(StateIdle); !strings.Contains(st.LastError, "hold timer expired") {
			t.Errorf("last error %q", st.LastError)
		}
	})
}

// The smaller hold time counts (RFC 4271, section 4.2).
func TestHoldTimeIsNegotiated(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), nil))
		o := peerOpen()
		o.HoldTime = 9 * time.Second
		p := r.up(o)
		start := time.Now()
		p.expectNotification(wire.CodeHoldTimer, 0)
		if d := time.Since(start); d != 9*time.Second {
			t.Errorf("after %v, want 9s", d)
		}
	})
}

func TestKeepalives(t *testing.T) {
	c := testConfig()
	c.Keepalive = 10 * time.Second
	for name, tt := range map[string]struct {
		config    SessionConfig
		low, high time.Duration
	}{
		"third of the hold time": {testConfig(), 22500 * time.Millisecond, 30 * time.Second},
		"as configured":          {c, 7500 * time.Millisecond, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.Set(onePeer(tt.config, nil))
				p := r.up(peerOpen())
				p.expectEndOfRIB()
				mail := p.collect()
				time.Sleep(time.Hour)
				synctest.Wait()
				n, _ := mail.count(wire.TypeKeepalive)
				if low, high := int(time.Hour/tt.high), int(time.Hour/tt.low)+1; n < low || n > high {
					t.Errorf("%d keepalives in an hour, want %d to %d", n, low, high)
				}
				if st := r.wantState(StateEstablished); st.Established != 1 {
					t.Errorf("established %d times", st.Established)
				}
			})
		})
	}
}

// Hold time 0 on either side: no keepalives, and silence is no failure.
func TestHoldTimeZero(t *testing.T) {
	ours := testConfig()
	ours.Hold = 0
	theirs := peerOpen()
	theirs.HoldTime = 0
	for name, tt := range map[string]struct {
		config SessionConfig
		open   wire.Open
	}{"ours": {ours, peerOpen()}, "theirs": {testConfig(), theirs}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.Set(onePeer(tt.config, nil))
				p := r.up(tt.open)
				p.expectEndOfRIB()
				mail := p.collect()
				time.Sleep(24 * time.Hour)
				r.wantState(StateEstablished)
				if n, _ := mail.count(wire.TypeKeepalive); n != 0 {
					t.Errorf("%d keepalives", n)
				}
				r.Set(onePeer(tt.config, map[netip.Prefix]Attributes{netip.MustParsePrefix("198.51.100.1/32"): {}}))
				synctest.Wait()
				if n, _ := mail.count(wire.TypeUpdate); n != 1 {
					t.Errorf("%d updates after a day of silence", n)
				}
			})
		})
	}
}

// Octets that never become a message do not count as a sign of life.
func TestDripDoesNotHoldSession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), nil))
		p := r.up(peerOpen())
		p.expectEndOfRIB()
		p.send(wire.AppendKeepalive(nil))
		start := time.Now()
		mail := p.collectMute()
		for _, b := range wire.AppendKeepalive(nil)[:18] {
			time.Sleep(10 * time.Second)
			if _, err := p.c.Write([]byte{b}); err != nil {
				break
			}
		}
		synctest.Wait()
		n, at := mail.count(wire.TypeNotification)
		if n != 1 || at.Sub(start) != 90*time.Second {
			t.Errorf("%d NOTIFICATIONs, after %v", n, at.Sub(start))
		}
	})
}

// A refused connection is tried again after the connect time, shortened by up to a quarter.
func TestConnectRetry(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.net.dialErr = errRefuse
		c := testConfig()
		c.Connect = 20 * time.Second
		r.Set(onePeer(c, nil))
		time.Sleep(10 * time.Minute)
		if st := r.wantState(StateActive); !strings.Contains(st.LastError, "connection refused") {
			t.Errorf("last error %q", st.LastError)
		}
		if n := r.net.dialled(); n < 30 || n > 41 {
			t.Errorf("%d dials in 10 minutes", n)
		}
		r.net.set(func() { r.net.dialErr = nil })
		r.up(peerOpen()).expectEndOfRIB()
		r.wantState(StateEstablished)
	})
}

// A dial without an answer is given up at the retry timer.
func TestConnectWithoutAnswer(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.net.block = true
		r.Set(onePeer(testConfig(), nil))
		time.Sleep(time.Minute)
		if st := r.wantState(StateConnect); !strings.Contains(st.LastError, "no answer within 5s") {
			t.Errorf("last error %q", st.LastError)
		}
		if n := r.net.dialled(); n < 12 || n > 17 {
			t.Errorf("%d dials in a minute", n)
		}
	})
}

// Sessions that are refused again and again back off to a minute; a stable one resets that.
func TestBackOff(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), nil))
		var at []time.Time
		for range 9 {
			p := r.accept()
			at = append(at, time.Now())
			p.expect(wire.TypeOpen)
			p.send(wire.Notification{Code: wire.CodeOpen, Subcode: wire.OpenBadPeerAS}.Append(nil))
			p.expectEnd()
		}
		want := time.Second
		for i := range at[1:] {
			if d := at[i+1].Sub(at[i]); d > want || d < want*3/4 {
				t.Errorf("pause %d is %v, want up to a quarter less than %v", i, d, want)
			}
			want = min(2*want, time.Minute)
		}
		if st := r.status(); !strings.Contains(st.LastError, "the peer sent NOTIFICATION OPEN message error: bad peer AS (2/2)") {
			t.Errorf("last error %q", st.LastError)
		}
		p := r.up(peerOpen())
		p.expectEndOfRIB()
		time.Sleep(stable)
		end := time.Now()
		p.c.Close()
		r.up(peerOpen())
		if d := time.Since(end); d > quickHoldDown {
			t.Errorf("back after %v from a stable session", d)
		}
	})
}

// A peer that does not read is given up after the send hold time (RFC 9687), although its
// own keepalives arrive.
func TestPeerStopsReading(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		c := testConfig()
		r.Set(onePeer(c, nil))
		p := r.up(peerOpen())
		start := time.Now()
		for time.Since(start) < 7*time.Minute {
			p.sendKeepalive()
			time.Sleep(20 * time.Second)
		}
		r.wantState(StateEstablished)
		for r.status().State == StateEstablished {
			if _, err := p.c.Write(wire.AppendKeepalive(nil)); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if d := time.Since(start); d < 8*time.Minute || d > 8*time.Minute+time.Second {
			t.Errorf("gave up after %v, want 8m", d)
		}
		if st := r.status(); !strings.Contains(st.LastError, "send hold timer expired") {
			t.Errorf("last error %q", st.LastError)
		}
	})
}

// A peer that floods UPDATEs neither stops our keepalives nor anything else.
func TestFloodOfUpdates(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), nil))
		p := r.up(peerOpen())
		p.expectEndOfRIB()
		mail := p.collectMute()
		update, _ := wire.AppendWithdrawal(nil, wire.IPv4Unicast, prefixList(500))
		const rounds, each = 120, 50
		for range rounds {
			for range each {
				p.send(update)
			}
			time.Sleep(time.Second)
		}
		r.Set(onePeer(testConfig(), map[netip.Prefix]Attributes{netip.MustParsePrefix("198.51.100.1/32"): {}}))
		st := r.wantState(StateEstablished)
		if st.Received.Updates != rounds*each {
			t.Errorf("%d updates counted", st.Received.Updates)
		}
		if n, _ := mail.count(wire.TypeKeepalive); n < 4 {
			t.Errorf("%d keepalives in two minutes", n)
		}
		if n, _ := mail.count(wire.TypeUpdate); n != 1 {
			t.Errorf("%d updates of ours", n)
		}
	})
}

func TestResetWithinMessage(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), map[netip.Prefix]Attributes{netip.MustParsePrefix("198.51.100.1/32"): {}}))
		p := r.up(peerOpen())
		p.expectEndOfRIB()
		update, _ := wire.AppendWithdrawal(nil, wire.IPv4Unicast, prefixList(50))
		p.send(update[:40])
		p.c.Close()
		st := r.wantState(StateIdle)
		if !strings.Contains(st.LastError, "connection lost") || len(st.Routes) != 0 {
			t.Errorf("last error %q, %d routes", st.LastError, len(st.Routes))
		}
		p = r.up(peerOpen())
		if u := p.expectUpdate(); len(u.Announced) != 1 {
			t.Errorf("after the reconnect: %+v", u)
		}
	})
}

func prefixList(n int) []netip.Prefix {
	out := make([]netip.Prefix, n)
	for i := range out {
		out[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 32)
	}
	return out
}
