package bgp

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

// machine is the state machine of RFC 4271, section 8.2.2: for every event and state the
// next state and, after a colon, what is sent. A connection that ends is written "x", or
// as the NOTIFICATION that ends it. A session that stays but gets a second connection
// says "+". "gone" is the end of the session.
const machine = `
event              Idle      Connect        Active         OpenSent         OpenConfirm           Established
idle-hold          Connect   Connect        Active         OpenSent         OpenConfirm           Established
connect-retry      Idle      Connect        Connect        OpenSent         OpenConfirm           Established
hold               Idle      Connect        Active         Idle:4/0         Idle:4/0              Idle:4/0
keepalive          Idle      Connect        Active         OpenSent         OpenConfirm:K         Established:K
dialed             -         OpenSent:O     -              -                -                     -
dial-failed        -         Active         -              -                -                     -
accepted           Idle      OpenSent:O     OpenSent:O     OpenSent:+       OpenConfirm:+         Established:refused
closed             -         -              -              Active:x         Idle:x                Idle:x
malformed          -         -              -              Idle:1/1         Idle:1/1              Idle:1/1
open               -         -              -              OpenConfirm:K    Idle:5/2              Idle:5/3
open-wrong-as      -         -              -              Idle:2/2         Idle:5/2              Idle:5/3
open-own-hold-1    -         -              -              Idle:2/6         Idle:5/2              Idle:5/3
open-no-family     -         -              -              Idle:2/7         Idle:5/2              Idle:5/3
update             -         -              -              Idle:5/1         Idle:5/2              Established
notification       -         -              -              Idle:x           Idle:x                Idle:x
short-notification -         -              -              Idle:x           Idle:x                Idle:x
msg-keepalive      -         -              -              Idle:5/1         Established           Established
route-refresh      -         -              -              Idle:5/1         Idle:5/2              Established
short-refresh      -         -              -              Idle:5/1         Idle:5/2              Idle:7/1
bfd-down           Idle      Connect        Active         OpenSent         OpenConfirm           Idle:6/10
config-change      Connect   Connect        Connect        Connect:6/6      Connect:6/6           Connect:6/6
removed            gone      gone           gone           gone:6/3         gone:6/3              gone:6/3
restart            gone      gone           gone           gone:x           gone:x                gone:x
uninstall          gone      gone           gone           gone:6/2         gone:6/2              gone:6/2
`

func TestMachine(t *testing.T) {
	var states []string
	for line := range strings.Lines(strings.TrimSpace(machine)) {
		cells := strings.Fields(line)
		if states == nil {
			states = cells[1:]
			continue
		}
		if len(cells) != 7 {
			t.Fatalf("row %q", line)
		}
		for i, want := range cells[1:] {
			if want == "-" {
				continue // cannot happen: there is no such dial or connection
			}
			t.Run(cells[0]+"/"+states[i], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					st := newStage(t, states[i])
					st.do(cells[0])
					if got := st.outcome(); got != want {
						t.Errorf("got %s, want %s", got, want)
					}
				})
			})
		}
	}
}

// stage is a session whose events a test makes, without its loop.
type stage struct {
	*session
	t    *testing.T
	mail *mailbag // of the connection that the state is about
	base int      // messages before the event
	next *mailbag // of a connection that the event made
}

// newStage takes a session to a state.
func newStage(t *testing.T, state string) *stage {
	c := testConfig()
	c.BFD = BFDOn
	n := newFakeNet()
	n.block = true
	opts := &Options{Log: slog.New(slog.DiscardHandler), Transport: n, BFD: fakeBFD{}}
	s := &stage{session: newSession("tor", order{config: c}, opts, func() {}), t: t}
	s.bfdState = BFDUp
	s.holdDown = true // as after a failure
	steps := map[string][]string{
		"Idle": nil, "Connect": {"idle-hold"}, "Active": {"idle-hold", "dial-failed"},
		"OpenSent": {"idle-hold", "dialed"}, "OpenConfirm": {"idle-hold", "dialed", "open"},
		"Established": {"idle-hold", "dialed", "open", "msg-keepalive"},
	}
	for _, step := range steps[state] {
		s.do(step)
		if s.next != nil {
			s.mail, s.next = s.next, nil
		}
	}
	if s.state.String() != state {
		t.Fatalf("staged %v, want %v", s.state, state)
	}
	if s.mail != nil {
		s.base = len(s.mail.msgs)
	}
	t.Cleanup(func() {
		s.dropSecond(nil)
		s.drop(nil)
		s.leave()
		s.conns.Wait()
	})
	return s
}

// far makes a connection whose other end is read.
func (s *stage) far() net.Conn {
	near, far := pipe(netip.AddrPortFrom(ourAddr, 40000), netip.AddrPortFrom(peerAddr, 179))
	p := &fakePeer{t: s.t, c: far}
	s.next = p.collect()
	s.t.Cleanup(func() { far.Close() })
	return near
}

func (s *stage) do(name string) {
	open := peerOpen()
	msg := func(t wire.MessageType, b []byte) event {
		return event{kind: evMessage, conn: s.primary, message: t, body: b}
	}
	openMsg := func(edit func(*wire.Open)) event {
		edit(&open)
		return msg(wire.TypeOpen, open.Append(nil)[wire.HeaderLen:])
	}
	command := func(edit func(*order)) event {
		s.inbox.change(edit)
		return event{kind: evOrder}
	}
	end := func(e End) event { return command(func(o *order) { o.ending = &Ending{End: e} }) }
	header := make([]byte, wire.HeaderLen)
	_, _, malformed := wire.ParseHeader(header)
	var e event
	switch name {
	case "idle-hold":
		e = event{kind: evIdleHold}
	case "connect-retry":
		e = event{kind: evConnectRetry}
	case "hold":
		e = event{kind: evHold}
	case "keepalive":
		e = event{kind: evKeepalive}
	case "dialed":
		e = event{kind: evDialed, net: s.far()}
	case "dial-failed":
		s.stopDial()
		e = event{kind: evDialFailed, err: errRefuse}
	case "accepted":
		e = event{kind: evAccepted, net: s.far(), config: &s.cfg}
	case "closed":
		e = event{kind: evClosed, conn: s.primary, err: io.EOF}
	case "malformed":
		e = event{kind: evMalformed, conn: s.primary, err: malformed}
	case "open":
		e = openMsg(func(*wire.Open) {})
	case "open-wrong-as":
		e = openMsg(func(o *wire.Open) { o.ASN, o.Capabilities.FourOctetAS = 1, 1 })
	case "open-own-hold-1":
		e = openMsg(func(o *wire.Open) { o.HoldTime = 1e9 })
	case "open-no-family":
		e = openMsg(func(o *wire.Open) { o.Capabilities.Families = []wire.Family{wire.NewFamily(25, 70)} })
	case "update":
		e = msg(wire.TypeUpdate, nil)
	case "notification":
		e = msg(wire.TypeNotification, []byte{6, 4})
	case "short-notification":
		e = msg(wire.TypeNotification, []byte{6})
	case "msg-keepalive":
		e = msg(wire.TypeKeepalive, nil)
	case "route-refresh":
		e = msg(wire.TypeRouteRefresh, []byte{0, 1, 0, 1})
	case "short-refresh":
		e = msg(wire.TypeRouteRefresh, []byte{0, 1, 0})
	case "bfd-down":
		e = event{kind: evBFD, bfd: BFDDown}
	case "config-change":
		e = command(func(o *order) { o.config.Hold = 30e9 })
	case "removed":
		e = end(endRemoved)
	case "restart":
		e = end(EndRestart)
	case "uninstall":
		e = end(EndUninstall)
	default:
		s.t.Fatalf("event %q", name)
	}
	s.step(e)
	synctest.Wait()
}

// outcome says what the event has led to.
func (s *stage) outcome() string {
	out := s.state.String()
	if s.gone {
		out = "gone"
	}
	if s.mail != nil {
		s.mail.mu.Lock()
		defer s.mail.mu.Unlock()
		for _, m := range s.mail.msgs[s.base:] {
			out += ":" + letter(m)
		}
		if s.mail.closed && !strings.Contains(out, "/") {
			out += ":x"
		}
	}
	if s.next != nil {
		s.next.mu.Lock()
		defer s.next.mu.Unlock()
		switch {
		case s.second != nil && len(s.next.msgs) == 1 && s.next.msgs[0].t == wire.TypeOpen:
			out += ":+"
		case len(s.next.msgs) == 1 && letter(s.next.msgs[0]) == "6/7" && s.next.closed:
			out += ":refused"
		default:
			for _, m := range s.next.msgs {
				out += ":" + letter(m)
			}
		}
	}
	return out
}

func letter(m message) string {
	switch m.t {
	case wire.TypeNotification:
		n, _ := wire.ParseNotification(m.body)
		return strings.Trim(strings.Fields(n.String()[strings.LastIndex(n.String(), "("):])[0], "()")
	case wire.TypeKeepalive:
		return "K"
	}
	return m.t.String()[:1]
}

// A peer that takes the connection and says nothing is told why it is closed.
func TestNoOpen(t *testing.T) {
	for range 20 {
		bubble(t, nil, func(t *testing.T, r *rig) {
			r.Set(onePeer(testConfig(), nil))
			p := r.accept()
			p.expect(wire.TypeOpen)
			start := time.Now()
			p.expectNotification(wire.CodeHoldTimer, 0)
			if d := time.Since(start); d != openHold {
				t.Errorf("after %v", d)
			}
		})
	}
}
