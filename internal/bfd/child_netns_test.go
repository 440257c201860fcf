//go:build netns && linux

package bfd

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// childEnv tells a test binary to be an engine in a process of its own, and which.
const childEnv = "LINTEL_BFD_CHILD"

// childPlan is a set of sessions for a child process.
type childPlan struct {
	Peers, Locals []netip.Addr // all pairs
	Interval      time.Duration
	Measure       time.Duration // after all are up; 0 runs until the process is ended
	Busy          int           // goroutines that do nothing but burn
}

// childReport is what a child prints after it has measured.
type childReport struct {
	Sessions    int
	Took        time.Duration // to bring all up
	User, Sys   time.Duration // processor time, in the measured time
	Wall        time.Duration
	In, Out     uint64
	Late        uint64
	Reprieves   uint64
	Downs       uint64
	MaxLateness time.Duration // since the start
}

func TestMain(m *testing.M) {
	if plan := os.Getenv(childEnv); plan != "" {
		if err := runChild(plan); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func runChild(text string) error {
	var plan childPlan
	if err := json.Unmarshal([]byte(text), &plan); err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	desired := map[Key]Params{}
	for _, peer := range plan.Peers {
		for _, local := range plan.Locals {
			desired[Key{Peer: peer, Local: local, Interface: "eth0"}] = Params{TransmitInterval: plan.Interval, ReceiveInterval: plan.Interval}
		}
	}
	e := New(Options{})
	if err := e.Set(desired); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	for range plan.Busy {
		go func() {
			for n := 0; ctx.Err() == nil; n++ {
			}
		}()
	}
	if plan.Measure == 0 {
		return <-done
	}
	began := time.Now()
	settled := func() bool {
		s := e.Snapshot()
		for _, st := range s.Sessions {
			if st.State != Up || st.Polling || st.DetectionTime != 3*plan.Interval {
				return false
			}
		}
		return len(s.Sessions) == len(desired)
	}
	for !settled() {
		select {
		case <-e.Changed():
		case <-time.After(time.Minute):
			return fmt.Errorf("sessions do not come up")
		}
	}
	r := childReport{Sessions: len(desired), Took: time.Since(began)}
	before, start := total(e.Snapshot()), time.Now()
	user, sys := used()
	select {
	case <-time.After(plan.Measure):
	case <-ctx.Done():
	}
	r.Wall = time.Since(start)
	u, y := used()
	r.User, r.Sys = u-user, y-sys
	s := e.Snapshot()
	after := total(s)
	r.In, r.Out = after.ControlIn-before.ControlIn, after.ControlOut-before.ControlOut
	r.Late, r.Reprieves, r.Downs = after.LateTimers-before.LateTimers, after.Reprieves-before.Reprieves, after.DownEvents-before.DownEvents
	r.MaxLateness = s.MaxLateness
	cancel()
	if err := <-done; err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func total(s Snapshot) (c Counters) {
	for _, st := range s.Sessions {
		c.ControlIn += st.ControlIn
		c.ControlOut += st.ControlOut
		c.LateTimers += st.LateTimers
		c.Reprieves += st.Reprieves
		c.DownEvents += st.DownEvents
	}
	return c
}

// used is the processor time of this process.
func used() (user, sys time.Duration) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // only a bad argument
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}

// child prepares a process of this binary in the namespace.
func (s *space) child(ctx context.Context, plan childPlan, env ...string) *exec.Cmd {
	s.lab.t.Helper()
	text, err := json.Marshal(plan)
	if err != nil {
		s.lab.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		s.lab.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", s.name, self)
	cmd.Env = append(append(os.Environ(), childEnv+"="+string(text)), env...)
	cmd.Stderr = os.Stderr
	return cmd
}
