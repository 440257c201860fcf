package bgp

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/probe"
)

// Tests in this file break hosts and speakers, so each runs alone.

const profile = `
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: '{{.Name}}', namespace: metallb-system}
spec: {transmitInterval: {{.Vars.Interval}}, receiveInterval: {{.Vars.Interval}}, detectMultiplier: 3}
`

// lostBound is how long a fault may be seen: far more than BFD needs, far less than the hold
// time. How long it is seen is printed.
const lostBound = 10 * time.Second

// patient is for what must not fail at all: a busy machine may be slow, but a SYN that was lost
// is sent again after a second only.
const patient = 900 * time.Millisecond

// sessionsScene has sessions that BFD watches from both ends in the interval of so many
// milliseconds; 0 is without BFD.
func sessionsScene(t testing.TB, interval int, peerLines ...string) *scene {
	t.Helper()
	var groupLines []string
	switch interval {
	case 0:
	case 50:
		groupLines = []string{"bfd profile fast"}
	default:
		groupLines = []string{"bfd"}
	}
	s := newScene(t, over4(groupLines...))
	if interval != 0 {
		s.Apply(profile, map[string]any{"Interval": interval})
		peerLines = append(peerLines, "bfdProfile: '"+s.Name+"'")
	}
	s.peer("four", router4, peerLines...)
	s.advertise("")
	if interval != 0 {
		s.watched()
	}
	return s
}

// watchedScene has the Service web with policy Local and pages on these nodes, announced over
// such sessions.
func watchedScene(t testing.TB, interval int, nodes []string, peerLines ...string) (*scene, netip.Prefix) {
	t.Helper()
	s := sessionsScene(t, interval, peerLines...)
	v4, _ := s.pages("Local", nodes...)
	s.whole(v4, nodes...)
	return s, v4
}

// whole waits until all nodes have sessions, and these announce the prefix and serve.
func (s *scene) whole(p netip.Prefix, nodes ...string) {
	s.t.Helper()
	s.router.sessions(false, s.nodes()...)
	s.router.announced(p, nodes...)
	s.router.kernelHops(p, len(nodes))
	s.served(p, nodes...)
}

func TestBFD(t *testing.T) {
	s, v4 := watchedScene(t, 50, []string{"n1", "n2", "n3"})
	for _, w := range s.watched() {
		if w.Receive != 50 || w.Transmit != 50 {
			t.Errorf("FRR was told the intervals %d and %d ms by %s; want 50", w.Receive, w.Transmit, w.Peer)
		}
	}
	r := s.lose(v4, "n2", lab.FaultBlackhole, soon)
	lost := lostSince(r, "fault")
	t.Logf("n2 is a black hole, BFD 3 x 50 ms: connections failed for %v", lost)
	if lost == 0 || lost > lostBound || len(r.Tainted) > 0 {
		t.Errorf("requests failed for %v:\n%v", lost, r)
	}
	began := time.Now()
	s.Repair("n2")
	s.watched()
	s.whole(v4, s.nodes()...)
	t.Logf("n2 announced again %v after its repair began", time.Since(began).Round(time.Millisecond))
}

// Turning BFD on changes the session's own parameters. What that costs is printed.
func TestBFDIsTurnedOn(t *testing.T) {
	s := newScene(t, over4("bfd profile fast"))
	p := s.peer("four", router4)
	s.advertise("")
	v4, _ := s.pages("Local", s.nodes()...)
	before := s.router.sessions(false, s.nodes()...)
	s.whole(v4, s.nodes()...)
	load := s.Probe(far, probe.Options{URL: url(v4)})
	load.Mark("on")
	s.Apply(profile, map[string]any{"Interval": 50})
	s.kubectl("-n", install.Namespace, "patch", "bgppeer", p, "--type=merge", "-p", `{"spec":{"bfdProfile":"`+s.Name+`"}}`)
	s.watched()
	s.whole(v4, s.nodes()...)
	r := load.Stop()
	t.Logf("BFD is turned on for all sessions: %d of %d requests failed, for %v; sessions %+v before and %+v after",
		r.Failed(), r.Attempts, lostSince(r, "on"), before["n1"], s.router.sessions(false, s.nodes()...)["n1"])
	if lost := lostSince(r, "on"); lost > lostBound {
		t.Errorf("requests failed for %v:\n%v", lost, r)
	}
}

// lose breaks a node under load, waits until its routes are gone, which takes no longer than
// within, and until requests succeed again, and returns what became of them. The mark is
// "fault".
func (s *scene) lose(p netip.Prefix, node string, fault lab.Fault, within time.Duration) probe.Report {
	s.t.Helper()
	load := s.steady(probe.Options{URL: url(p)})
	load.Mark("fault")
	s.Break(node, fault)
	s.router.kernelHopsWithin(p, len(s.nodes())-1, within)
	s.again(load)
	r := load.Stop()
	if len(r.Tainted) > 0 {
		s.t.Logf("the measurement proves nothing: %v", r.Tainted)
	}
	return r
}

// steady probes once nothing disturbs it: a machine that is too busy for BFD loses sessions without
// any fault.
func (s *scene) steady(opts probe.Options) *probe.Probe {
	s.t.Helper()
	opts.Namespace = s.Lab.Namespace(far)
	var last error
	for range 10 {
		load, err := probe.Start(s.t.Context(), opts)
		if err != nil {
			s.t.Fatal(err)
		}
		if last = load.Ready(s.t.Context()); last == nil {
			s.t.Cleanup(func() { load.Stop() })
			return load
		}
		load.Stop()
		s.t.Logf("begun again: %v; load %s", last, loadAverage())
		s.router.sessions(false, s.nodes()...)
	}
	s.t.Fatal(last)
	return nil
}

// again waits until requests succeed.
func (s *scene) again(load *probe.Probe) {
	s.t.Helper()
	ok := load.Progress().OK
	s.Eventually("pages come again", soon, func(context.Context) error {
		if got := load.Progress(); got.OK < ok+50 {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
}

// lostSince is the time from a mark to the last failed request that began after it. A router
// that spreads connections sends some of them to healthy nodes all the while.
func lostSince(r probe.Report, mark string) time.Duration {
	var last time.Duration
	for _, g := range r.GapsSince(mark) {
		last = max(last, g.SinceMark+g.LastFailure-g.FirstFailure)
	}
	return last
}

// A speaker that is told to end keeps its routes at a router with graceful restart. No other
// node announces the address, so a route that is lost shows.
func TestSpeakerRestarts(t *testing.T) {
	// With 50 ms a busy machine makes for false alarms, which are not what this is about.
	for interval, name := range map[int]string{0: "without BFD", 300: "with BFD"} {
		t.Run(name, func(t *testing.T) {
			s, v4 := watchedScene(t, interval, []string{"n2"})
			for node, n := range s.router.sessions(false, s.nodes()...) {
				if n.Graceful.Remote != "Restart" {
					t.Errorf("FRR knows %s as %q for graceful restart", node, n.Graceful.Remote)
				}
			}
			r, took := s.restart(v4, "n2", deletePod)
			t.Logf("%d of %d requests failed; all was well after %v", r.Failed(), r.Attempts, took)
			if r.Failed() > 0 {
				t.Errorf("a planned restart lost requests:\n%v", r)
			}
		})
	}
}

// A container that the kubelet ends and starts again in the same Pod, as after a failed probe or
// for another image, is no node that shuts down: its routes are kept.
func TestSpeakerRestartsInItsPod(t *testing.T) {
	s, v4 := watchedScene(t, 0, []string{"n2"})
	r, took := s.restart(v4, "n2", syscall.SIGTERM)
	t.Logf("%d of %d requests failed; all was well after %v", r.Failed(), r.Attempts, took)
	if r.Failed() > 0 {
		t.Errorf("a restart of the container lost requests:\n%v", r)
	}
}

// deletePod stands for the end of a speaker's Pod, among signals to its process.
const deletePod = syscall.Signal(0)

// restart ends the speaker of the only node that announces a prefix, under load, and waits
// until its next process has told the router everything.
func (s *scene) restart(p netip.Prefix, node string, how syscall.Signal) (r probe.Report, took time.Duration) {
	s.t.Helper()
	before := s.speaker(node)
	if how != deletePod && before.Status.ContainerStatuses[0].RestartCount > 0 {
		// A container that ended before in the same Pod is kept waiting by kubelet.
		s.replace(node)
		before = s.speaker(node)
		s.whole(p, node)
	}
	load := s.Probe(far, probe.Options{URL: url(p), Timeout: patient})
	load.Mark("restart")
	began := time.Now()
	if how == deletePod {
		s.kubectl("-n", install.Namespace, "delete", "pod", before.Name, "--wait=false")
	} else if err := syscall.Kill(s.pid(node), how); err != nil {
		s.t.Fatal(err)
	}
	s.restarted(node, before)
	s.whole(p, node)
	s.Eventually("no route is stale", soon, func(ctx context.Context) error {
		paths, err := s.router.paths(ctx, p)
		if err == nil && (len(paths) != 1 || paths[node].Stale) {
			err = fmt.Errorf("%+v", paths)
		}
		return err
	})
	took = time.Since(began).Round(time.Millisecond)
	return load.Stop(), took
}

// replace gives a node another speaker.
func (s *scene) replace(node string) {
	s.t.Helper()
	before := s.speaker(node)
	s.kubectl("-n", install.Namespace, "delete", "pod", before.Name, "--wait=false")
	s.restarted(node, before)
}

// speaker is the speaker's Pod on a node.
func (s *scene) speaker(node string) *corev1.Pod {
	s.t.Helper()
	var found *corev1.Pod
	s.Eventually("there is a speaker on "+node, soon, func(ctx context.Context) error {
		var pods corev1.PodList
		if err := s.Client.List(ctx, &pods, client.InNamespace(install.Namespace), client.MatchingLabels{"component": "speaker"}); err != nil {
			return err
		}
		for i := range pods.Items {
			if pods.Items[i].Spec.NodeName == node && pods.Items[i].DeletionTimestamp == nil {
				found = &pods.Items[i]
				return nil
			}
		}
		return fmt.Errorf("there are %d speakers elsewhere", len(pods.Items))
	})
	return found
}

// restarted waits until a node's speaker is ready and another one than before.
func (s *scene) restarted(node string, before *corev1.Pod) {
	s.t.Helper()
	s.Eventually("the speaker of "+node+" is back", time.Minute, func(context.Context) error {
		now := s.speaker(node)
		for _, c := range now.Status.ContainerStatuses {
			if c.Ready && (now.UID != before.UID || c.RestartCount > before.Status.ContainerStatuses[0].RestartCount) {
				return nil
			}
		}
		return fmt.Errorf("%s: %+v", now.Name, now.Status.ContainerStatuses)
	})
}

// pid is the process of the speaker on a node: the one called lintel in the node's network.
func (s *scene) pid(node string) int {
	s.t.Helper()
	network, err := os.Stat(filepath.Join("/run/netns", s.Lab.Namespace(node)))
	if err != nil {
		s.t.Fatal(err)
	}
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range names {
		comm, err := os.ReadFile(name)
		if err != nil || strings.TrimSpace(string(comm)) != "lintel" {
			continue
		}
		if own, err := os.Stat(filepath.Join(filepath.Dir(name), "ns", "net")); err == nil && os.SameFile(own, network) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err != nil {
				s.t.Fatal(err)
			}
			return pid
		}
	}
	s.t.Fatalf("no process lintel runs on %s", node)
	return 0
}
