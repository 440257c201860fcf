package bgp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"text/template"
	"time"

	"github.com/lintel-lb/lintel/lab"
)

const (
	// routerASN and clusterASN are the two sides, as in the examples.
	routerASN  = 65000
	clusterASN = 65007
	// router4 and router6 are the router's addresses on the nodes' segment.
	router4 = "10.89.0.1"
	router6 = "fd89::1"
)

// frrConfig accepts sessions of every node over both families, each family as a group of its
// own. A group's lines begin with "neighbor GROUP".
const frrConfig = `
bfd
 profile fast
  transmit-interval 50
  receive-interval 50
 exit
exit
router bgp 65000
 bgp router-id 10.89.0.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax
 bgp graceful-restart
{{range $g := .}} neighbor {{.Name}} peer-group
 neighbor {{.Name}} remote-as {{.ASN}}
{{range .Lines}} neighbor {{$g.Name}} {{.}}
{{end}}{{range .Dialled}} neighbor {{.}} peer-group {{$g.Name}}
{{end}}{{if .Range}} bgp listen range {{.Range}} peer-group {{.Name}}
{{end}}{{end}} address-family ipv4 unicast
  maximum-paths 8
  maximum-paths ibgp 8
{{range .}}{{if .V4}}  neighbor {{.Name}} activate
{{end}}{{end}} exit-address-family
 address-family ipv6 unicast
  maximum-paths 8
  maximum-paths ibgp 8
{{range .}}{{if .V6}}  neighbor {{.Name}} activate
{{end}}{{end}} exit-address-family
exit
`

// group is how FRR treats the sessions from one range.
type group struct {
	Name, Range string
	Dialled     []string // addresses that FRR opens sessions to
	ASN         int
	V4, V6      bool // address families
	Lines       []string
}

// over4 and over6 are groups for sessions over one family.
func over4(lines ...string) group {
	return group{Name: "OVER4", Range: lab.NodeNet4, ASN: clusterASN, V4: true, Lines: lines}
}

func over6(lines ...string) group {
	return group{Name: "OVER6", Range: lab.NodeNet6, ASN: clusterASN, V6: true, Lines: lines}
}

// both has both address families.
func (g group) both() group { g.V4, g.V6 = true, true; return g }

// dialling opens sessions to these nodes, and waits for none.
func (g group) dialling(addrs ...string) group {
	g.Range, g.Dialled = "", addrs
	g.Lines = append(g.Lines, "timers connect 1")
	return g
}

// as is for sessions with another AS.
func (g group) as(asn int) group { g.ASN = asn; return g }

// router is FRR on the router.
type router struct {
	*lab.Router
	l *lab.Lab
	t testing.TB
}

// startRouter starts FRR afresh, with empty tables and counters, until the test ends.
func startRouter(t testing.TB, l *lab.Lab, groups ...group) router {
	t.Helper()
	var config bytes.Buffer
	if err := template.Must(template.New("frr.conf").Parse(frrConfig)).Execute(&config, groups); err != nil {
		t.Fatal(err)
	}
	r := router{l.Router(), l, t}
	if err := r.StartFRR(t.Context(), config.String()); err != nil {
		t.Fatalf("%v\n%s", err, config.String())
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		if err := r.StopFRR(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

// configure changes the running configuration.
func (r router) configure(lines ...string) {
	r.t.Helper()
	if out, err := r.Vtysh(r.t.Context(), append([]string{"configure terminal"}, lines...)...); err != nil {
		r.t.Fatalf("%v\n%s", err, out)
	}
}

// show reads JSON.
func (r router) show(ctx context.Context, command string, into any) error {
	out, err := r.Vtysh(ctx, command+" json")
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return nil
}

// neighbor is a session in FRR's eyes.
type neighbor struct {
	State       string `json:"bgpState"`
	Established int    `json:"connectionsEstablished"`
	Dropped     int    `json:"connectionsDropped"`
	Since       int64  `json:"bgpTimerUpEstablishedEpoch"`
	Reset       string `json:"lastResetDueTo"`
	Graceful    struct {
		Remote string `json:"remoteGrMode"`
		NBit   bool   `json:"nBit"`
		Timers struct {
			Received int `json:"receivedRestartTimer"`
		} `json:"timers"`
	} `json:"gracefulRestartInfo"`
}

// resetSince tells whether a session is another one than before. FRR forgets the counters of a
// session from a range with the session, so they say too little. Its times are rounded.
func (n neighbor) resetSince(before neighbor) bool {
	age := n.Since - before.Since
	return n.Established != before.Established || n.Dropped != before.Dropped || age < -1 || age > 1
}

// neighbors are all sessions, by the address of the node.
func (r router) neighbors(ctx context.Context) (map[string]neighbor, error) {
	var all map[string]json.RawMessage
	if err := r.show(ctx, "show bgp neighbors", &all); err != nil {
		return nil, err
	}
	out := map[string]neighbor{}
	for key, raw := range all {
		if _, err := netip.ParseAddr(key); err != nil {
			continue
		}
		var n neighbor
		if err := json.Unmarshal(raw, &n); err != nil {
			return nil, err
		}
		out[key] = n
	}
	return out, nil
}

// sessions waits until exactly these nodes have a session over the family, and returns them.
func (r router) sessions(v6 bool, nodes ...string) map[string]neighbor {
	r.t.Helper()
	var up map[string]neighbor
	eventually(r.t, fmt.Sprintf("FRR has sessions of %v, over IPv6: %t", nodes, v6), established, func(ctx context.Context) error {
		all, err := r.neighbors(ctx)
		if err != nil {
			return err
		}
		up = map[string]neighbor{}
		for _, h := range r.l.Hosts(lab.RoleNode) {
			a := h.V4()
			if v6 {
				a = h.V6()
			}
			if n, ok := all[a.String()]; ok && n.State == "Established" {
				up[h.Name] = n
			}
		}
		if got := slices.Sorted(keys(up)); !slices.Equal(got, slices.Sorted(slices.Values(nodes))) {
			return fmt.Errorf("FRR has sessions of %v: %+v", got, all)
		}
		return nil
	})
	return up
}

// path is one route to a prefix in FRR's table.
type path struct {
	Valid     bool
	Stale     bool
	Multipath bool
	Bestpath  struct{ Overall bool }
	LocPrf    uint32
	ASPath    struct{ String string }
	Community struct{ List []string }
	Large     struct{ List []string } `json:"largeCommunity"`
	Extended  struct{ String string } `json:"extendedCommunity"`
	Nexthops  []struct{ IP, Scope string }
	Peer      struct{ PeerID string }
	// LastUpdate is when the peer told the route last.
	LastUpdate struct{ Epoch int64 }
}

// paths are FRR's routes to exactly this prefix, by the node that announces them, or its
// address with "/6" where the session is over IPv6.
func (r router) paths(ctx context.Context, p netip.Prefix) (map[string]path, error) {
	family := "ipv4"
	if p.Addr().Is6() {
		family = "ipv6"
	}
	out, err := r.Vtysh(ctx, fmt.Sprintf("show bgp %s unicast %s json", family, p))
	if err != nil {
		return nil, fmt.Errorf("show bgp: %w\n%s", err, out)
	}
	var doc struct{ Paths []path }
	if err := json.Unmarshal(out, &doc); err != nil {
		return nil, fmt.Errorf("show bgp: %w\n%s", err, out)
	}
	paths := map[string]path{}
	for _, x := range doc.Paths {
		paths[r.nameOf(x.Peer.PeerID)] = x
	}
	return paths, nil
}

func (r router) nameOf(peer string) string {
	for _, h := range r.l.Hosts(lab.RoleNode) {
		switch peer {
		case h.V4().String():
			return h.Name
		case h.V6().String():
			return h.Name + "/6"
		}
	}
	return peer
}

// announced waits until exactly these announce the prefix, and returns their routes.
func (r router) announced(p netip.Prefix, by ...string) map[string]path {
	r.t.Helper()
	var got map[string]path
	eventually(r.t, fmt.Sprintf("%s is announced to FRR by %v", p, by), soon, func(ctx context.Context) error {
		var err error
		if got, err = r.paths(ctx, p); err != nil {
			return err
		}
		if names := slices.Sorted(keys(got)); !slices.Equal(names, slices.Sorted(slices.Values(by))) {
			return fmt.Errorf("it is announced by %v", names)
		}
		return nil
	})
	return got
}

// spread waits until FRR spreads connections to a prefix over so many of its routes. Its kernel
// follows a moment later, unless it has another route that goes first.
func (r router) spread(p netip.Prefix, n int) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("FRR uses %d routes to %s", n, p), soon, func(ctx context.Context) error {
		paths, err := r.paths(ctx, p)
		if err != nil {
			return err
		}
		used := 0
		for _, x := range paths {
			if x.Multipath || x.Bestpath.Overall {
				used++
			}
		}
		if used != n {
			return fmt.Errorf("it uses %d of %+v", used, paths)
		}
		return nil
	})
}

// kernelHops waits until the kernel of the router has FRR's route for the prefix with so many
// next hops.
func (r router) kernelHops(p netip.Prefix, n int) {
	r.t.Helper()
	r.kernelHopsWithin(p, n, soon)
}

func (r router) kernelHopsWithin(p netip.Prefix, n int, within time.Duration) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("the router's kernel has %d next hops for %s", n, p), within, func(ctx context.Context) error {
		out, err := r.l.Exec(ctx, lab.RouterName, "ip", "-json", "route", "show", p.String(), "proto", "bgp")
		if p.Addr().Is6() {
			out, err = r.l.Exec(ctx, lab.RouterName, "ip", "-6", "-json", "route", "show", p.String(), "proto", "bgp")
		}
		if err != nil {
			return err
		}
		var routes []struct {
			Gateway  string
			Nexthops []struct{ Gateway string }
		}
		if err := json.Unmarshal(out, &routes); err != nil {
			return err
		}
		got := 0
		for _, x := range routes {
			got += max(len(x.Nexthops), 1)
		}
		if got != n {
			return fmt.Errorf("it has %d: %s", got, bytes.TrimSpace(out))
		}
		return nil
	})
}

// watched is a BFD session in FRR's eyes.
type watched struct {
	Peer     string
	Status   string
	Receive  int `json:"remote-receive-interval"`
	Transmit int `json:"remote-transmit-interval"`
	// What the speaker told besides its intervals, and how the session is kept.
	Multiplier int `json:"remote-detect-multiplier"`
	Echo       int `json:"remote-echo-receive-interval"`
	MultiHop   bool
	Interface  string
	MinimumTTL int `json:"minimum-ttl"`
}

// bfdCounts are FRR's counters of a BFD session.
type bfdCounts struct {
	Peer    string
	EchoIn  int `json:"echo-packet-input"`
	Control int `json:"control-packet-input"`
	Ups     int `json:"session-up"`
	Downs   int `json:"session-down"`
}

// bfdCounters are FRR's counters by address of the speaker.
func (r router) bfdCounters(ctx context.Context) (map[string]bfdCounts, error) {
	var all []bfdCounts
	if err := r.show(ctx, "show bfd peers counters", &all); err != nil {
		return nil, err
	}
	out := map[string]bfdCounts{}
	for _, c := range all {
		out[c.Peer] = c
	}
	return out, nil
}

// bfdUp waits until FRR's BFD sessions with all these addresses are up.
func (r router) bfdUp(addrs ...string) []watched {
	r.t.Helper()
	var up []watched
	eventually(r.t, fmt.Sprintf("FRR has BFD up with %v", addrs), established, func(ctx context.Context) error {
		var all []watched
		if err := r.show(ctx, "show bfd peers", &all); err != nil {
			return err
		}
		up = nil
		var names []string
		for _, w := range all {
			if w.Status == "up" {
				up, names = append(up, w), append(names, w.Peer)
			}
		}
		slices.Sort(names)
		if !slices.Equal(names, slices.Sorted(slices.Values(addrs))) {
			return fmt.Errorf("up are %v of %+v", names, all)
		}
		return nil
	})
	return up
}

func eventually(t testing.TB, what string, deadline time.Duration, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		if last == nil || !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s; last seen: %v", deadline, what, last)
		case <-tick.C:
		}
	}
}
