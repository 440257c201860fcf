package labtest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/probe"
)

// repairTime bounds the repair of a host, which may have to boot.
const repairTime = 2 * time.Minute

// Break does something bad to a host. It is repaired when the test ends, if not
// before. A test that breaks hosts must not be parallel to others.
func (e *Env) Break(host string, fault lab.Fault) {
	e.t.Helper()
	do := map[lab.Fault]func(context.Context, string) error{
		lab.FaultCut: e.Lab.Cut, lab.FaultBlackhole: e.Lab.Blackhole, lab.FaultCrashed: e.Lab.Crash,
	}[fault]
	if do == nil {
		e.t.Fatalf("labtest: there is no fault %q", fault)
	}
	e.broken = append(e.broken, host)
	if err := do(e.t.Context(), host); err != nil {
		e.t.Fatal(err)
	}
}

// Repair ends every fault of a host. It boots a host that has crashed, and then
// returns when its node is Ready.
func (e *Env) Repair(host string) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), repairTime)
	defer cancel()
	if err := e.repair(ctx, host); err != nil {
		e.t.Fatal(err)
	}
	e.broken = slices.DeleteFunc(e.broken, func(h string) bool { return h == host })
}

func (e *Env) repair(ctx context.Context, host string) error {
	faults, err := e.Lab.Faults(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(faults[host], lab.FaultCrashed) {
		err = e.Lab.Boot(ctx, host)
	} else {
		err = e.Lab.Heal(ctx, host)
	}
	if err != nil {
		return fmt.Errorf("labtest: repair %s: %w", host, err)
	}
	return nil
}

// repairAll leaves sound hosts to the next test.
func (e *Env) repairAll() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.t.Context()), repairTime)
	defer cancel()
	for _, host := range e.broken {
		if err := e.repair(ctx, host); err != nil {
			e.t.Error(err)
		}
	}
}

// Probe begins to probe from a host and returns when the control reading is
// over, which fails the test if it is not clean. The probe is stopped when the
// test ends, if not before; its report is with what a failed test leaves.
func (e *Env) Probe(host string, opts probe.Options) *probe.Probe {
	e.t.Helper()
	if _, err := e.Lab.Host(host); err != nil {
		e.t.Fatal(err)
	}
	opts.Namespace = e.Lab.Namespace(host)
	p, err := probe.Start(e.t.Context(), opts)
	if err != nil {
		e.t.Fatal(err)
	}
	e.kept.probes = append(e.kept.probes, p)
	e.t.Cleanup(func() { p.Stop() })
	if err := p.Ready(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
	return p
}

// Capture writes packets of a host that match a filter of pcap-filter(7) until
// the test ends. The file is with what a failed test leaves. On the host
// lab.SwitchName every cable is seen.
func (e *Env) Capture(host, filter string) {
	e.t.Helper()
	file := e.kept.file(host)
	// The end of the test's own context would end tcpdump before its file is
	// complete.
	c, err := e.Lab.Capture(context.WithoutCancel(e.t.Context()), host, filter, file)
	if err != nil {
		e.t.Fatal(err)
	}
	e.kept.captures = append(e.kept.captures, capture{c, file})
	e.t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			e.t.Error(err)
		}
	})
}
