package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lintel-lb/lintel/lab/internal/machine"
	"github.com/lintel-lb/lintel/lab/internal/wire"
)

// Fault is what is wrong with a host.
type Fault string

// Faults, as Status reports them.
const (
	FaultCut       Fault = "cut"
	FaultBlackhole Fault = "blackhole"
	FaultCrashed   Fault = "crashed"
)

// Cut pulls the host's cables out of the switch: both sides lose the carrier.
// Heal ends it.
func (l *Lab) Cut(_ context.Context, host string) error {
	h, _, err := l.alive(host)
	if err != nil {
		return err
	}
	return wire.Cut(l.plan, h)
}

// Blackhole makes the switch drop every frame from and to the host. The carrier
// stays, and nobody is told. Heal ends it.
func (l *Lab) Blackhole(_ context.Context, host string) error {
	h, _, err := l.alive(host)
	if err != nil {
		return err
	}
	return wire.Blackhole(l.plan, h)
}

// Heal ends Cut and Blackhole. A host that has neither stays as it is.
func (l *Lab) Heal(_ context.Context, host string) error {
	h, _, err := l.alive(host)
	if err != nil {
		return err
	}
	return errors.Join(wire.Unblackhole(l.plan, h), wire.Mend(l.plan, h))
}

// Crash ends a host like a lost power supply: first nothing leaves it any more,
// then everything on it is killed. No peer gets so much as a FIN. Boot starts
// it again.
func (l *Lab) Crash(ctx context.Context, host string) error {
	h, m, err := l.alive(host)
	if err != nil {
		return err
	}
	if h.Role == RoleControl || h.Role == RoleRouter {
		return fmt.Errorf("%w: %s cannot be booted on its own", ErrRole, host)
	}
	if err := wire.Blackhole(l.plan, h); err != nil {
		return err
	}
	if err := write(crashMark(m), nil); err != nil {
		return err
	}
	return m.Kill(ctx)
}

// Boot starts a node or light node as a machine that has been switched off: with
// its disk, and nothing else of what it was before. It works on a node that has
// crashed and on one that has not, and whatever was wrong with its cables ends.
// It returns when the kubelet reports that the node is Ready; of a light node,
// when it has its network.
func (l *Lab) Boot(ctx context.Context, host string) (err error) {
	h, m, err := l.find(host, RoleNode, RoleLight, RoleClient, RoleFar)
	if err != nil {
		return err
	}
	lock, err := l.lock(ctx, func() {})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if err := wire.Blackhole(l.plan, h); err != nil {
		return err
	}
	if err := m.Remove(ctx); err != nil {
		return err
	}
	if err := wire.RemoveHost(l.plan, h); err != nil {
		return err
	}
	if err := wire.AddHost(l.plan, h); err != nil {
		return err
	}
	if err := m.Prepare(); err != nil {
		return err
	}
	if err := os.Remove(crashMark(m)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("lab: %w", err)
	}
	if h.Role != RoleNode {
		return nil
	}
	return l.bootNode(ctx, h)
}

func (l *Lab) bootNode(ctx context.Context, h Host) error {
	before, err := l.readyReport(ctx, h.Name)
	if err != nil {
		return err
	}
	if err := l.startRuntime(ctx, h, nil); err != nil {
		return err
	}
	if err := l.startNode(ctx, h); err != nil {
		return err
	}
	return l.waitFor(ctx, l.machine(h), h.Name+" Ready after boot", func(ctx context.Context) error {
		now, err := l.readyReport(ctx, h.Name)
		if err != nil {
			return err
		}
		if now == before || !now.ready {
			return fmt.Errorf("last report: %+v", now)
		}
		return nil
	}, "containerd", "kubelet", "kube-proxy")
}

// alive is find for a host that has not crashed.
func (l *Lab) alive(host string) (Host, machine.Machine, error) {
	roles := []Role{RoleRouter, RoleControl, RoleNode, RoleLight, RoleClient, RoleFar}
	h, m, err := l.find(host, roles...)
	if err != nil {
		return h, m, err
	}
	if _, err := os.Stat(crashMark(m)); err == nil {
		return h, m, fmt.Errorf("%w: %s", ErrCrashed, host)
	}
	return h, m, nil
}

func crashMark(m machine.Machine) string { return filepath.Join(m.Dir, "crashed") }
