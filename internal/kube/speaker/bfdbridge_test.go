package speaker

import (
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lintel-lb/lintel/internal/bfd"
	"github.com/lintel-lb/lintel/internal/bgp"
)

// fakeBFD is an engine that has these sessions.
type fakeBFD struct{ sessions map[bfd.Key]bfd.Status }

func (f fakeBFD) Snapshot() bfd.Snapshot { return bfd.Snapshot{Sessions: f.sessions} }

// fakePaths is an engine that remembers what it is told.
type fakePaths struct {
	fakeBFD
	set  map[bfd.Key]bfd.Params
	tell func(bfd.Event)
}

func (f *fakePaths) Set(d map[bfd.Key]bfd.Params) error        { f.set = d; return nil }
func (f *fakePaths) Subscribe(tell func(bfd.Event)) (_ func()) { f.tell = tell; return func() {} }

// fakeRouters are the routers on links.
type fakeRouters struct {
	mu      sync.Mutex
	router  map[string]netip.Addr
	doubted []string
	changed func(string)
}

func (f *fakeRouters) Router(iface string) netip.Addr {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.router[iface]
}
func (f *fakeRouters) Doubt(iface string, r netip.Addr) {
	f.doubted = append(f.doubted, r.String()+"%"+iface)
}
func (f *fakeRouters) Subscribe(changed func(string)) { f.changed = changed }

func (f *fakeRouters) become(iface, router string) {
	f.mu.Lock()
	f.router[iface] = netip.MustParseAddr(router)
	f.mu.Unlock()
	f.changed(iface)
}

// The BFD session of an unnumbered peer begins when its router is known and follows it. The
// loss of the path reaches BGP, and has another router looked for.
func TestBFDFollowsTheRouterOnALink(t *testing.T) {
	engine, routers := &fakePaths{}, &fakeRouters{router: map[string]netip.Addr{}}
	b := NewBFDBridge(engine, routers, slog.New(slog.DiscardHandler))
	states, stop := b.Watch("tor")
	defer stop()
	is := func(want ...bgp.BFDState) {
		t.Helper()
		for _, w := range want {
			select {
			case got := <-states:
				if got != w {
					t.Fatalf("BGP was told %v, not %v", got, w)
				}
			case <-time.After(time.Second):
				t.Fatalf("BGP was not told %v", w)
			}
		}
	}
	key := func(peer string) bfd.Key { return bfd.Key{Interface: "eth0", Peer: netip.MustParseAddr(peer)} }
	sets := func(want ...bfd.Key) {
		t.Helper()
		d := map[bfd.Key]bfd.Params{}
		for _, k := range want {
			d[k] = bfd.Params{DetectMultiplier: 5}
		}
		if diff := cmp.Diff(d, engine.set, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Fatalf("the engine's sessions (-want +got):\n%s", diff)
		}
	}
	is(bgp.BFDUnknown)
	b.set(map[string]bfdPath{"tor": {key: bfd.Key{Interface: "eth0"}, params: bfd.Params{DetectMultiplier: 5}}})
	sets()
	is(bgp.BFDUnknown)

	routers.become("eth1", "fe80::9")
	sets()
	routers.become("eth0", "fe80::a")
	sets(key("fe80::a"))
	is(bgp.BFDUnknown)
	engine.tell(bfd.Event{Key: key("fe80::a"), From: bfd.Init, To: bfd.Up})
	is(bgp.BFDUp)

	engine.tell(bfd.Event{Key: key("fe80::a"), From: bfd.Up, To: bfd.Down, RemoteState: bfd.Down})
	is(bgp.BFDDown)
	if diff := cmp.Diff([]string{"fe80::a%eth0"}, routers.doubted); diff != "" {
		t.Errorf("doubted (-want +got):\n%s", diff)
	}
	routers.become("eth0", "fe80::b")
	sets(key("fe80::b"))
	is(bgp.BFDUnknown)
	engine.tell(bfd.Event{Key: key("fe80::b"), From: bfd.Init, To: bfd.Up})
	is(bgp.BFDUp)
}

// The state of a BFD session does not outlive it: one that is wanted again is not known to be
// switched off on purpose, for which a strict BGP session would not wait.
func TestBFDStateEndsWithItsSession(t *testing.T) {
	b := NewBFDBridge(&fakePaths{}, &fakeRouters{}, slog.New(slog.DiscardHandler))
	key := bfd.Key{Peer: netip.MustParseAddr("192.0.2.1")}
	paths := map[string]bfdPath{"tor": {key: key}}
	b.set(paths)
	b.changed(bfd.Event{Key: key, From: bfd.Init, To: bfd.Up})
	b.set(nil)
	b.changed(bfd.Event{Key: key, From: bfd.Up, To: bfd.AdminDown}) // how sessions leave
	b.set(paths)
	states, stop := b.Watch("tor")
	defer stop()
	if got := <-states; got != bgp.BFDUnknown {
		t.Errorf("BGP was told %v", got)
	}
}

// BFD is taken away from a peer only when its BGP session has ended, or was set anew without it.
// Until then both ends have their BFD session, and no reason to close BGP for.
func TestBFDOutlastsBGP(t *testing.T) {
	engine := &fakePaths{}
	b := NewBFDBridge(engine, &fakeRouters{}, slog.New(slog.DiscardHandler))
	key, other := bfd.Key{Peer: netip.MustParseAddr("192.0.2.1")}, bfd.Key{Peer: netip.MustParseAddr("192.0.2.2")}
	sets := func(want ...bfd.Key) {
		t.Helper()
		if len(engine.set) != len(want) {
			t.Errorf("the engine has %v, not %v", engine.set, want)
		}
		for _, k := range want {
			if _, ok := engine.set[k]; !ok {
				t.Errorf("the engine has %v, not %v", engine.set, want)
			}
		}
	}
	b.set(map[string]bfdPath{"tor": {key: key}, "idle": {key: other}})
	b.changed(bfd.Event{Key: key, From: bfd.Init, To: bfd.Up})
	states, stop := b.Watch("tor")
	_, stopTwin := b.Watch("tor") // as of the next life of a session that is ending
	for range 2 {
		b.set(nil)
		sets(key)
		if got := <-states; got != bgp.BFDUp {
			t.Errorf("BGP was told %v", got)
		}
	}
	stop()
	sets(key)
	stopTwin()
	sets()
	b.set(map[string]bfdPath{"tor": {key: key}})
	sets(key)
	_, stop = b.Watch("tor")
	b.set(nil)
	b.set(map[string]bfdPath{"tor": {key: other}}) // wanted again, elsewhere
	sets(other)
	stop()
	sets(other)
}

// A BGP session that is about to leave its router for another one does not hear that nothing is known
// of the path: strict ones would close in a way over which routers may keep the routes.
func TestBFDOfAnotherRouter(t *testing.T) {
	b := NewBFDBridge(&fakePaths{}, &fakeRouters{}, slog.New(slog.DiscardHandler))
	key, other := bfd.Key{Peer: netip.MustParseAddr("192.0.2.1")}, bfd.Key{Peer: netip.MustParseAddr("192.0.2.2")}
	b.set(map[string]bfdPath{"tor": {key: key}})
	b.changed(bfd.Event{Key: key, From: bfd.Init, To: bfd.Up})
	old, stop := b.Watch("tor")
	if got := <-old; got != bgp.BFDUp {
		t.Fatalf("BGP was told %v", got)
	}
	b.set(map[string]bfdPath{"tor": {key: other}})
	b.changed(bfd.Event{Key: other, From: bfd.Down, To: bfd.Init})
	select {
	case got := <-old:
		t.Errorf("the session with the router before was told %v", got)
	default:
	}
	stop()
	now, stop := b.Watch("tor")
	defer stop()
	if got := <-now; got != bgp.BFDInit {
		t.Errorf("the session with the new router was told %v", got)
	}
	multihop := other
	multihop.MultiHop = true
	b.set(map[string]bfdPath{"tor": {key: multihop}}) // the same router: the session stays
	if got := <-now; got != bgp.BFDUnknown {
		t.Errorf("the session that stays was told %v", got)
	}
}

func TestBFDMetrics(t *testing.T) {
	r := prometheus.NewRegistry()
	addr := netip.MustParseAddr
	if err := r.Register(&bfdCollector{fakeBFD{map[bfd.Key]bfd.Status{
		{Peer: addr("192.0.2.1")}: {
			Facts:    bfd.Facts{State: bfd.Up},
			Counters: bfd.Counters{ControlIn: 10, ControlOut: 11, EchoIn: 12, EchoOut: 13, UpEvents: 3, DownEvents: 2, AuthFailures: 4, LateTimers: 5},
		},
		{Peer: addr("192.0.2.1"), VRF: "red"}:       {Facts: bfd.Facts{State: bfd.Down}},
		{Peer: addr("fe80::1"), Interface: "eth1"}:  {Facts: bfd.Facts{State: bfd.Init}},
		{Peer: addr("2001:db8::1"), MultiHop: true}: {Facts: bfd.Facts{State: bfd.AdminDown}},
	}}}); err != nil {
		t.Fatal(err)
	}
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got, up := map[string]float64{}, map[string]float64{}
	for _, family := range all {
		for _, m := range family.GetMetric() {
			if family.GetName() == "metallb_bfd_session_up" {
				up[m.GetLabel()[0].GetValue()+" in "+m.GetLabel()[1].GetValue()] = m.GetGauge().GetValue()
			}
			if m.GetLabel()[0].GetValue() == "192.0.2.1" && m.GetLabel()[1].GetValue() == "default" {
				got[strings.TrimPrefix(family.GetName(), "metallb_bfd_")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	if diff := cmp.Diff(map[string]float64{"192.0.2.1 in default": 1, "192.0.2.1 in red": 0, "eth1 in default": 0, "2001:db8::1 in default": 0}, up); diff != "" {
		t.Errorf("metallb_bfd_session_up (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]float64{
		"session_up": 1, "control_packet_input": 10, "control_packet_output": 11, "echo_packet_input": 12, "echo_packet_output": 13,
		"session_up_events": 3, "session_down_events": 2, "zebra_notifications": 5, "auth_failures": 4, "late_timers": 5,
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBFDWords(t *testing.T) {
	now := time.Unix(10000, 0)
	key := bfd.Key{Peer: netip.MustParseAddr("192.0.2.1")}
	signed := bfd.Params{Auth: bfd.Auth{Type: bfd.AuthKeyedSHA1, Keys: []bfd.AuthKey{{ID: 7, Secret: "hidden"}}}}
	up := bfd.Facts{State: bfd.Up, RemoteState: bfd.Up, Since: now.Add(-time.Minute), RemoteDiscriminator: 1,
		TransmitInterval: 50 * time.Millisecond, ReceiveInterval: 60 * time.Millisecond, DetectionTime: 180 * time.Millisecond}
	down := bfd.Facts{State: bfd.Down, Since: now.Add(-5 * time.Second)}
	with := func(f bfd.Facts, edit func(*bfd.Facts)) bfd.Facts { edit(&f); return f }
	for _, c := range []struct {
		name   string
		params bfd.Params
		status bfd.Status
		want   string
	}{
		{"up", bfd.Params{}, bfd.Status{Facts: up},
			"with 192.0.2.1, Up for 1m0s; sends every 50ms, expects a packet every 60ms and takes 180ms without one for down"},
		{"lost before", bfd.Params{}, bfd.Status{Facts: with(up, func(f *bfd.Facts) { f.LastDown, f.LastDownAt = bfd.DiagDetectionTimeExpired, now.Add(-time.Hour) })},
			"; was last lost 1h0m0s ago: control detection time expired"},
		{"echo", bfd.Params{EchoMode: true}, bfd.Status{Facts: with(up, func(f *bfd.Facts) { f.Echo, f.EchoInterval = bfd.EchoActive, 50*time.Millisecond })},
			"; echo is active, every 50ms"},
		{"nobody", bfd.Params{}, bfd.Status{Facts: down, Counters: bfd.Counters{ControlOut: 5}}, "Down for 5s; the router is not heard"},
		{"passive", bfd.Params{Passive: true}, bfd.Status{Facts: down}, "waits for the router to begin (passiveMode)"},
		{"administration", bfd.Params{}, bfd.Status{Facts: with(down, func(f *bfd.Facts) { f.RemoteDiscriminator = 1 })}, "the router has it down by administration"},
		{"half open", bfd.Params{}, bfd.Status{Facts: with(down, func(f *bfd.Facts) {
			f.RemoteDiscriminator, f.RemoteState, f.RemoteDiagnostic = 1, bfd.Down, bfd.DiagDetectionTimeExpired
		})}, `the router says Down; its reason is "control detection time expired"`},
		{"wrong key", signed, bfd.Status{Facts: down, Counters: bfd.Counters{AuthFailures: 3}},
			"; signs with key 7, keyed SHA1; 3 packets were dropped for their authentication: compare auth of the BFDProfile"},
		{"no auth here", bfd.Params{}, bfd.Status{Facts: down, Counters: bfd.Counters{AuthFailures: 3}}, "does the router sign, and this profile has no auth?"},
		{"no socket", bfd.Params{}, bfd.Status{Facts: with(down, func(f *bfd.Facts) { f.Error = "no such interface" })}, "; no such interface"},
		{"poll", bfd.Params{}, bfd.Status{Facts: with(up, func(f *bfd.Facts) { f.Polling = true })}, "; other intervals are being agreed on"},
		{"busy", bfd.Params{}, bfd.Status{Facts: up, Counters: bfd.Counters{LateTimers: 2}}, "; 2 timers fired more than 10 ms late"},
	} {
		got := bfdWords(key, c.params, c.status, now)
		if !strings.Contains(got, c.want) || strings.Contains(got, "hidden") {
			t.Errorf("%s: %q lacks %q, or shows a key", c.name, got, c.want)
		}
	}
}

// Of every peer with BFD there is something to say, also before there is a session.
func TestBFDIsExplained(t *testing.T) {
	tor := bfd.Key{Peer: netip.MustParseAddr("192.0.2.1")}
	engine := &fakePaths{fakeBFD: fakeBFD{map[bfd.Key]bfd.Status{tor: {Facts: bfd.Facts{State: bfd.Up}}}}}
	b := NewBFDBridge(engine, &fakeRouters{}, slog.New(slog.DiscardHandler))
	b.set(map[string]bfdPath{"tor": {key: tor}, "link": {key: bfd.Key{Interface: "eth0"}}, "new": {key: bfd.Key{Peer: netip.MustParseAddr("192.0.2.2")}}})
	got := b.explain(time.Unix(0, 0))
	if x := got["tor"]; x.state != "Up" {
		t.Errorf("tor: %+v", x)
	}
	if x := got["link"]; x.state != "Down" || !strings.Contains(x.detail, "no router was heard on link eth0") {
		t.Errorf("link: %+v", x)
	}
	if x := got["new"]; x.state != "Down" || x.detail != "about to begin" {
		t.Errorf("new: %+v", x)
	}
	if none := (*BFDBridge)(nil).explain(time.Unix(0, 0)); none != nil {
		t.Errorf("without BFD: %v", none)
	}
}
