package bgp

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/lab"
)

const bfdProfile = `
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: '{{.Name}}', namespace: metallb-system}
spec:
{{range .Vars.Lines}}  {{.}}
{{end}}`

// n1Only has a peer for one node.
const n1Only = "nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n1}}]"

func (s *scene) profile(lines ...string) {
	s.t.Helper()
	s.Apply(bfdProfile, map[string]any{"Lines": lines})
}

// bfdSays waits until why --peer says this of a node's BFD session.
func (s *scene) bfdSays(peer, node, state, words string) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("why --peer says of %s: %s, %s", node, state, words), established, func(ctx context.Context) error {
		r, err := s.why(ctx, peer)
		if err != nil {
			return err
		}
		for _, x := range r.Sessions {
			if x.Node == node && x.BFD == state && strings.Contains(x.BFDDetail, words) {
				s.t.Logf("why --peer: %s", x.BFDDetail)
				return nil
			}
		}
		return fmt.Errorf("%+v", r)
	})
}

// sees waits until FRR has exactly this session, up, and returns it.
func (s *scene) sees(addr netip.Addr, ok func(watched) bool) watched {
	s.t.Helper()
	var w watched
	s.Eventually(fmt.Sprintf("FRR sees %s as wanted", addr), established, func(ctx context.Context) error {
		var all []watched
		if err := s.router.show(ctx, "show bfd peers", &all); err != nil {
			return err
		}
		for _, w = range all {
			if w.Peer == addr.String() && w.Status == "up" && ok(w) {
				return nil
			}
		}
		return fmt.Errorf("%+v", all)
	})
	return w
}

// Every field of a BFDProfile reaches the wire, and a change of it is agreed on without loss
// of the session.
func TestFullBFDProfile(t *testing.T) {
	s := newScene(t, over4())
	s.profile("receiveInterval: 93", "transmitInterval: 95", "detectMultiplier: 4", "echoInterval: 97", "echoMode: true",
		"passiveMode: true", "minimumTtl: 253")
	heard := s.listenBFD("n1")
	p := s.peer("four", router4, "bfdProfile: '"+s.Name+"'", n1Only)
	s.router.sessions(false, "n1")
	// Passive: it waits for the router, for longer than three of its packets would take.
	s.bfdSays(p, "n1", "Down", "waits for the router to begin (passiveMode)")
	if said := heard(); said != "" {
		t.Errorf("a passive speaker sent BFD packets before the router did:\n%s", said)
	}

	s.router.configure("bfd", "profile echo", "echo-mode", "echo transmit-interval 50", "echo receive-interval 50", "transmit-interval 50", "receive-interval 50")
	s.router.configure("router bgp 65000", "neighbor OVER4 bfd", "neighbor OVER4 bfd profile echo")
	n1 := s.host("n1")
	w := s.sees(n1, func(w watched) bool {
		return w.Receive == 93 && w.Transmit == 95 && w.Multiplier == 4 && w.Echo == 97 && !w.MultiHop
	})
	t.Logf("FRR: %+v", w)
	s.bfdSays(p, "n1", "Up", "echo is active")
	s.Eventually("FRR gets its echo packets back from n1", soon, func(ctx context.Context) error {
		c, err := s.router.bfdCounters(ctx)
		if err == nil && c[n1.String()].EchoIn == 0 {
			err = fmt.Errorf("%+v", c)
		}
		return err
	})

	before, err := s.router.bfdCounters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	session := s.router.sessions(false, "n1")
	s.profile("receiveInterval: 193", "transmitInterval: 195", "detectMultiplier: 5", "minimumTtl: 253")
	s.sees(n1, func(w watched) bool { return w.Receive == 193 && w.Transmit == 195 && w.Multiplier == 5 && w.Echo == 0 })
	s.bfdSays(p, "n1", "Up", "sends every 195ms")
	after, err := s.router.bfdCounters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b, a := before[n1.String()], after[n1.String()]; a.Downs != b.Downs || a.Ups != b.Ups {
		t.Errorf("the change of the profile cost the session: %+v before, %+v after", b, a)
	}
	s.untouched(false, session)
}

// listenBFD gathers the BFD packets of a node, until the function returned is called.
func (s *scene) listenBFD(node string) func() string {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	var text syncBuffer
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.Lab.Watch(ctx, lab.RouterName, "udp port 3784 and src host "+s.host(node).String(), &text)
		if err != nil && ctx.Err() == nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(func() { cancel(); wg.Wait() })
	return func() string { return text.String() }
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}
func (b *syncBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

// A peer several hops away has BFD for several hops, with the profile's minimum TTL.
func TestMultiHopBFD(t *testing.T) {
	s := newScene(t, over4("ebgp-multihop 5", "bfd"))
	s.profile("minimumTtl: 253")
	p := s.peer("four", router4, "bfdProfile: '"+s.Name+"'", "ebgpMultiHop: true", n1Only)
	s.sees(s.host("n1"), func(w watched) bool { return w.MultiHop })
	s.bfdSays(p, "n1", "Up", "multihop")
}

// On an unnumbered link BFD watches the router there, ends BGP when the path fails, and follows
// when the router comes back with another address.
func TestUnnumberedBFD(t *testing.T) {
	s := newScene(t)
	s.router.configure("router bgp 65000", "neighbor eth0 interface remote-as 65007", "neighbor eth0 bfd", "neighbor eth0 bfd profile fast",
		"address-family ipv4 unicast", "neighbor eth0 activate", "exit-address-family",
		"address-family ipv6 unicast", "neighbor eth0 activate", "exit-address-family")
	s.profile("transmitInterval: 50", "receiveInterval: 50")
	p := s.peer("link", "", "interface: eth0", "bfdProfile: '"+s.Name+"'", n1Only)
	s.advertise("")
	v4, v6 := s.service("web", "Cluster", "n1")
	own := s.linkLocal("n1")
	whole := func() {
		t.Helper()
		w := s.sees(own, func(w watched) bool { return w.Interface == "eth0" && w.Transmit == 50 && w.Receive == 50 })
		s.bfdSays(p, "n1", "Up", "on eth0")
		s.Eventually("both routes are at the router", established, func(ctx context.Context) error {
			four, err1 := s.router.paths(ctx, v4)
			six, err2 := s.router.paths(ctx, v6)
			if err := errors.Join(err1, err2); err != nil || len(four) != 1 || len(six) != 1 {
				return fmt.Errorf("%+v, %+v: %w", four, six, err)
			}
			return nil
		})
		t.Logf("FRR: %+v", w)
	}
	whole()

	if err := s.Lab.Signal(lab.RouterName, "bfdd", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	resume := sync.OnceFunc(func() {
		if err := s.Lab.Signal(lab.RouterName, "bfdd", syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(resume)
	s.Eventually("the speaker ended BGP", soon, func(ctx context.Context) error {
		var all map[string]struct {
			State string `json:"bgpState"`
			Reset string `json:"lastResetDueTo"`
		}
		// A shell that asks all daemons would wait for the one that stands still.
		dir := filepath.Join(s.Lab.Dir(), lab.RouterName, "frr")
		out, err := s.Lab.Exec(ctx, lab.RouterName, "vtysh", "-d", "bgpd", "--vty_socket", dir, "--config_dir", dir, "-c", "show bgp neighbors json")
		if err == nil {
			err = json.Unmarshal(out, &all)
		}
		if err != nil {
			return err
		}
		if n := all["eth0"]; n.State == "Established" {
			return fmt.Errorf("%+v", n)
		} else {
			t.Logf("with a bfdd that stands still FRR lost BGP within %v: %s", time.Since(began).Round(time.Millisecond), n.Reset)
		}
		return nil
	})
	resume()
	whole()

	began = time.Now()
	old := s.linkLocal(lab.RouterName)
	s.exec(lab.RouterName, "ip", "-6", "addr", "add", "fe80::beef/64", "dev", "eth0", "nodad")
	t.Cleanup(func() { s.exec(lab.RouterName, "ip", "-6", "addr", "del", "fe80::beef/64", "dev", "eth0") })
	s.exec(lab.RouterName, "ip", "-6", "addr", "del", old.String()+"/64", "dev", "eth0")
	t.Cleanup(func() { s.exec(lab.RouterName, "ip", "-6", "addr", "add", old.String()+"/64", "dev", "eth0", "nodad") })
	s.bfdSays(p, "n1", "Up", "fe80::beef")
	whole()
	t.Logf("the router has another address: all was well after %v", time.Since(began).Round(time.Millisecond))
}

// exec runs a command on a host, also when the test is over.
func (s *scene) exec(host string, argv ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 20*time.Second)
	defer cancel()
	out, err := s.Lab.Exec(ctx, host, argv...)
	if err != nil {
		s.t.Errorf("%s: %v: %v\n%s", host, argv, err, out)
	}
	return string(out)
}

// linkLocal is the link-local address of a host.
func (s *scene) linkLocal(host string) netip.Addr {
	s.t.Helper()
	f := strings.Fields(s.exec(host, "ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"))
	for i := range f {
		if f[i] == "inet6" && i+1 < len(f) {
			if p, err := netip.ParsePrefix(f[i+1]); err == nil {
				return p.Addr()
			}
		}
	}
	s.t.Fatalf("%s has no link-local address: %v", host, f)
	return netip.Addr{}
}

const bfdKeys = `
apiVersion: v1
kind: Secret
metadata: {name: '{{.Name}}', namespace: metallb-system}
type: Opaque
data: { {{range $id, $key := .Vars.Keys}}"{{$id}}": {{$key}}, {{end}} }
`

// signedBIRD is BIRD with one session, watched by BFD with these keys.
const signedBIRD = `
router id 10.89.0.1;
protocol device {}
protocol bfd {
 interface "eth0" { min rx interval 100 ms; min tx interval 100 ms; authentication meticulous keyed sha1; %s };
}
protocol bgp n1 {
 local 10.89.0.1 as 65000;
 neighbor %s as 65007;
 ipv4 { import all; export none; };
 bfd on;
}
`

// Both ends sign their BFD packets. Keys are changed one end at a time without loss of the
// session, and a missing key is named.
func TestBFDAuthentication(t *testing.T) {
	s := newScene(t)
	r := s.Lab.Router()
	n1 := s.host("n1")
	if err := r.StopFRR(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := func(passwords string) {
		t.Helper()
		if err := r.StartBIRD(t.Context(), fmt.Sprintf(signedBIRD, passwords, n1)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		if err := r.StopBIRD(ctx); err != nil {
			t.Error(err)
		}
	})
	start(`password "right" { id 1; }; password "second" { id 2; };`)
	keys := func(keys map[string]string) {
		t.Helper()
		data := map[string]string{} // an entry that is taken out of stringData stays in the Secret
		for id, key := range keys {
			data[id] = base64.StdEncoding.EncodeToString([]byte(key))
		}
		s.Apply(bfdKeys, map[string]any{"Keys": data})
	}
	signWith := func(id int) {
		t.Helper()
		s.profile("transmitInterval: 100", "receiveInterval: 100",
			fmt.Sprintf("auth: {type: MeticulousKeyedSHA1, keyID: %d, secretRef: {name: '%s'}}", id, s.Name))
	}
	birdSees := func(state string) {
		t.Helper()
		s.Eventually("BIRD sees the BFD session "+state, established, func(ctx context.Context) error {
			out, err := r.Birdc(ctx, "show", "bfd", "sessions")
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(out)) {
				if f := strings.Fields(line); len(f) > 3 && f[0] == n1.String() && f[2] == state {
					return nil
				}
			}
			return errors.New(string(out))
		})
	}
	signWith(1)
	p := s.peer("four", router4, "bfdProfile: '"+s.Name+"'", n1Only)
	reason, message := s.condition(p, "False")
	if !strings.Contains(message, "there is no Secret") {
		t.Errorf("without the Secret the peer is refused with %s: %s", reason, message)
	}
	keys(map[string]string{"1": "wrong", "2": "wrong"})
	s.bfdSays(p, "n1", "Down", "dropped for their authentication")
	keys(map[string]string{"1": "right", "2": "second"})
	birdSees("Up")
	s.bfdSays(p, "n1", "Up", "signs with key 1, meticulous keyed SHA1")

	since := s.birdSince(t.Context(), n1)
	signWith(2)
	s.bfdSays(p, "n1", "Up", "signs with key 2, meticulous keyed SHA1")
	birdSees("Up")
	if now := s.birdSince(t.Context(), n1); now != since {
		t.Errorf("the change of the key cost the session: BIRD has it since %s, not since %s", now, since)
	}

	keys(map[string]string{"1": "right"})
	reason, message = s.condition(p, "False")
	if !strings.Contains(message, `has no entry "2"`) || !strings.Contains(message, s.Name) {
		t.Errorf("without the key the peer is refused with %s: %s", reason, message)
	}
	t.Logf("%s: %s", reason, message)
}

// birdSince is when BIRD's BFD session changed last.
func (s *scene) birdSince(ctx context.Context, peer netip.Addr) string {
	s.t.Helper()
	out, err := s.Lab.Router().Birdc(ctx, "show", "bfd", "sessions")
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 3 && f[0] == peer.String() {
			return f[3]
		}
	}
	s.t.Fatalf("BIRD knows no BFD session with %s:\n%s", peer, out)
	return ""
}
