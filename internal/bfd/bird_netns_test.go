//go:build netns && linux

package bfd

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bird is a BIRD daemon in a namespace.
type bird struct {
	t            testing.TB
	config, ctrl string
	kill         func()
}

func (s *space) bird(config string) *bird {
	t := s.lab.t
	t.Helper()
	dir := t.TempDir()
	b := &bird{t: t, config: filepath.Join(dir, "bird.conf"), ctrl: filepath.Join(dir, "bird.ctl")}
	b.write(config)
	b.kill = s.daemon(func() error { _, err := b.ask("show", "status"); return err },
		"bird", "-f", "-c", b.config, "-s", b.ctrl)
	return b
}

func (b *bird) write(config string) {
	b.t.Helper()
	text := "router id 192.0.2.2;\nprotocol device {}\nprotocol bfd {\n" + config + "}\n"
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bird) reconfigure(config string) {
	b.t.Helper()
	b.write(config)
	if out, err := b.ask("configure"); err != nil || !strings.Contains(out, "Reconfigur") {
		b.t.Fatalf("%v: %s", err, out)
	}
}

func (b *bird) ask(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "birdc", append([]string{"-s", b.ctrl}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("birdc: %w: %s", err, out)
	}
	return string(out), nil
}

// sees waits until BIRD shows the session with the address in a state, with an interval and a
// timeout as it prints them; empty for any.
func (b *bird) sees(addr, state, interval, timeout string) {
	b.t.Helper()
	eventually(b.t, func() error {
		out, err := b.ask("show", "bfd", "sessions")
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			// IP address, interface, state, since, interval, timeout
			f := strings.Fields(line)
			if len(f) < 6 || f[0] != addr {
				continue
			}
			n := len(f)
			if f[2] == state && (interval == "" || f[n-2] == interval) && (timeout == "" || f[n-1] == timeout) {
				return nil
			}
		}
		return fmt.Errorf("BIRD does not see %s %s %s %s: %s", addr, state, interval, timeout, out)
	})
}

const (
	bird4 = "neighbor 192.0.2.1 dev \"eth0\" local 192.0.2.2;\n"
	bird6 = "neighbor 2001:db8::1 dev \"eth0\" local 2001:db8::2;\n"
)

func birdIntervals(tx, rx, mult int) string {
	return fmt.Sprintf("interface \"eth0\" { min tx interval %d ms; min rx interval %d ms; multiplier %d; };\n", tx, rx, mult)
}

func TestBIRDOverOneHop(t *testing.T) {
	here, there := oneLink(t)
	a, c := here.linkLocal(), there.linkLocal()
	b := there.bird(birdIntervals(300, 300, 3) + bird4 + bird6 +
		fmt.Sprintf("neighbor %v dev \"eth0\" local %v;\n", a, c))
	e, _ := here.engine(Options{})
	k6 := Key{Peer: netip.MustParseAddr(there6), Local: netip.MustParseAddr(here6), Interface: "eth0"}
	kl := Key{Peer: c, Local: a, Interface: "eth0"}
	if err := e.Set(map[Key]Params{key4: {}, k6: {}, kl: {}}); err != nil {
		t.Fatal(err)
	}
	b.sees(here4, "Up", "0.300", "0.900")
	b.sees(here6, "Up", "0.300", "0.900")
	b.sees(a.String(), "Up", "0.300", "0.900")
	for _, k := range []Key{key4, k6, kl} {
		is(t, e, k, func(s Status) bool { return s.State == Up && s.DetectionTime == 900*ms && !s.Polling })
	}
}

// TestBIRDOverTwoHops: BIRD sends with the system's TTL of 64, so the minimum has to be lower.
func TestBIRDOverTwoHops(t *testing.T) {
	here, there := twoHops(t)
	b := there.bird("multihop { min tx interval 200 ms; min rx interval 200 ms; };\n" +
		"neighbor 198.51.100.1 local 198.51.100.129 multihop on;\n")
	e, _ := here.engine(Options{})
	k := Key{Peer: netip.MustParseAddr("198.51.100.129"), Local: netip.MustParseAddr("198.51.100.1"), MultiHop: true}
	set(t, e, k, Params{})
	eventually(t, func() error {
		if s := e.Snapshot(); s.Discards.TTL < 2 || s.Sessions[k].State != Down {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	set(t, e, k, Params{MinimumTTL: 63})
	b.sees("198.51.100.1", "Up", "", "")
	is(t, e, k, isUp)
}

func TestBIRDTakesOurChangesAndWeIts(t *testing.T) {
	here, there := oneLink(t)
	b := there.bird(birdIntervals(100, 100, 3) + bird4)
	e, _ := here.engine(Options{})
	set(t, e, key4, Params{})
	// BIRD prints its transmit interval, and its detection time.
	b.sees(here4, "Up", "0.300", "0.900")
	set(t, e, key4, Params{TransmitInterval: 50 * ms, ReceiveInterval: 150 * ms, DetectMultiplier: 5})
	b.sees(here4, "Up", "0.150", "0.500")
	is(t, e, key4, func(s Status) bool { return !s.Polling && s.TransmitInterval == 100*ms && s.DetectionTime == 450*ms })
	set(t, e, key4, Params{TransmitInterval: time.Second, ReceiveInterval: time.Second, DetectMultiplier: 2})
	b.sees(here4, "Up", "1.000", "2.000")
	b.reconfigure(birdIntervals(1500, 1200, 4) + bird4)
	is(t, e, key4, func(s Status) bool {
		return s.State == Up && s.TransmitInterval == 1200*ms && s.DetectionTime == 6*time.Second
	})
	if s := e.Snapshot().Sessions[key4]; s.DownEvents != 0 || s.UpEvents != 1 {
		t.Errorf("%+v", s)
	}
}

func TestBIRDAuthentication(t *testing.T) {
	for _, kind := range authTypes {
		t.Run(kind.String(), func(t *testing.T) {
			here, there := oneLink(t)
			auth := func(secret string) string {
				name := strings.ToLower(kind.String())
				return fmt.Sprintf("interface \"eth0\" { min tx interval 100 ms; min rx interval 100 ms; authentication %s; password \"%s\" { id 7; }; };\n%s",
					name, secret, bird4)
			}
			b := there.bird(auth("the secret"))
			e, _ := here.engine(Options{})
			set(t, e, key4, Params{Auth: Auth{Type: kind, Keys: []AuthKey{{7, "wrong"}}}})
			is(t, e, key4, func(s Status) bool { return s.State == Down && s.AuthFailures >= 2 })
			b.sees(here4, "Down", "", "")
			set(t, e, key4, Params{Auth: Auth{Type: kind, Keys: []AuthKey{{7, "the secret"}}}})
			b.sees(here4, "Up", "", "")
			is(t, e, key4, func(s Status) bool { return s.State == Up && s.ControlIn > 20 })
			if s := e.Snapshot().Sessions[key4]; s.DownEvents != 0 {
				t.Errorf("%+v", s)
			}

			// A BIRD that restarts begins with another sequence number.
			b.kill()
			is(t, e, key4, func(s Status) bool { return s.State == Down })
			b = there.bird(auth("the secret"))
			b.sees(here4, "Up", "", "")
			is(t, e, key4, isUp)
		})
	}
}

func TestBIRDKilledAndLinkCut(t *testing.T) {
	here, there := oneLink(t)
	config := birdIntervals(300, 300, 3) + bird4
	b := there.bird(config)
	e, _ := here.engine(Options{})
	j := follow(e)
	set(t, e, key4, Params{})
	b.sees(here4, "Up", "0.300", "0.900")
	is(t, e, key4, func(s Status) bool { return s.DetectionTime == 900*ms })
	killed := time.Now()
	b.kill()
	if ev := j.leftUp(t, killed); ev.At.Sub(killed) > 950*ms || ev.Diagnostic != DiagDetectionTimeExpired {
		t.Errorf("down after %v: %+v", ev.At.Sub(killed), ev)
	}
	b = there.bird(config)
	b.sees(here4, "Up", "0.300", "0.900")
	is(t, e, key4, func(s Status) bool { return s.DetectionTime == 900*ms })
	cut := time.Now()
	here.ip("link set eth0 down")
	if ev := j.leftUp(t, cut); ev.At.Sub(cut) > 950*ms {
		t.Errorf("down after %v: %+v", ev.At.Sub(cut), ev)
	}
	b.sees(here4, "Down", "", "")
	here.ip("link set eth0 up")
	b.sees(here4, "Up", "", "")
}

func TestBIRDSeesOurShutdown(t *testing.T) {
	here, there := oneLink(t)
	b := there.bird(birdIntervals(300, 300, 3) + bird4)
	e, _ := here.engine(Options{})
	set(t, e, key4, Params{})
	b.sees(here4, "Up", "", "")
	is(t, e, key4, isUp)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	if err := e.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("shutdown with BIRD's answer took %v", time.Since(began))
	b.sees(here4, "Down", "", "")
}

// TestPassiveWithBIRD: BIRD 2.0 has passive sessions too.
func TestPassiveWithBIRD(t *testing.T) {
	here, there := oneLink(t)
	e, _ := here.engine(Options{})
	set(t, e, key4, Params{Passive: true})
	b := there.bird(birdIntervals(300, 300, 3) + bird4)
	b.sees(here4, "Up", "", "")
	set(t, e, key4, Params{})
	b.reconfigure("interface \"eth0\" { passive on; };\n" + bird4)
	b.sees(here4, "Up", "", "")
	is(t, e, key4, isUp)
}
