package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lintel-lb/lintel/lab/internal/debian"
	"github.com/lintel-lb/lintel/lab/internal/parts"
	"github.com/lintel-lb/lintel/lab/internal/wire"
)

// teardown is how long the removal of a lab that did not come up may take.
const teardown = 30 * time.Second

// Setup installs the Debian packages and builds the programs that labs need, if
// they are not there. Up does it as well.
func Setup(ctx context.Context, progress io.Writer) error {
	_, err := setup(ctx, progress)
	return err
}

func setup(ctx context.Context, progress io.Writer) ([]string, error) {
	if err := debian.Setup(ctx, progress); err != nil {
		return nil, err
	}
	return parts.Build(ctx, progress)
}

// Up brings a lab up and returns when all its nodes are Ready. What an earlier
// lab of the name has left is removed first; if that lab still runs, the error
// wraps ErrRunning. A lab that does not come up is taken down again.
func Up(ctx context.Context, o Options) (l *Lab, err error) {
	o = o.withDefaults()
	if l, err = newLab(o.Name, o.size()); err != nil {
		return nil, err
	}
	if l.audit = o.AuditLog; l.audit != "" {
		if l.audit, err = filepath.Abs(l.audit); err != nil {
			return nil, fmt.Errorf("lab: audit log: %w", err)
		}
	}
	programs, err := setup(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	lock, err := l.lock(ctx, func() { fmt.Fprintf(o.Progress, "waiting for another command on lab %s\n", o.Name) })
	if err != nil {
		return nil, err
	}
	free := lock.Release
	defer func() { err = errors.Join(err, free()) }()
	if l.machine(l.control()).Alive("kube-apiserver") {
		return nil, fmt.Errorf("%w: %q", ErrRunning, o.Name)
	}
	if err := l.remove(ctx); err != nil {
		return nil, fmt.Errorf("lab: remove what is left of an earlier lab: %w", err)
	}
	if err := l.start(ctx, o, programs); err != nil {
		if !o.Keep {
			free = lock.Remove
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), teardown)
			defer cancel()
			err = errors.Join(err, l.remove(ctx))
		}
		return nil, err
	}
	return l, nil
}

func (l *Lab) start(ctx context.Context, o Options, programs []string) error {
	s := steps{to: o.Progress, start: time.Now()}
	if err := raiseLimits(len(l.plan.With(RoleNode)), s.done); err != nil {
		return err
	}
	if err := l.writeFiles(o, programs); err != nil {
		return err
	}
	s.done("keys and configuration")
	if err := wire.Build(l.plan); err != nil {
		return err
	}
	for _, h := range l.plan.Hosts {
		if err := l.machine(h).Prepare(); err != nil {
			return err
		}
	}
	s.done("network of %d hosts", len(l.plan.Hosts))

	images, err := l.images(o.Images)
	if err != nil {
		return err
	}
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := l.startControlPlane(inner, s); err != nil {
			return err
		}
		return l.createNodes(inner)
	})
	for _, h := range l.plan.With(RoleNode) {
		group.Go(func() error { return l.startRuntime(inner, h, images) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	s.done("containerd with %d images on %d nodes", len(images), len(l.plan.With(RoleNode)))

	for _, h := range l.plan.With(RoleNode) {
		if err := l.startNode(ctx, h); err != nil {
			return err
		}
	}
	if err := l.startBeyondNodes(ctx); err != nil {
		return err
	}
	s.done("kubelets and proxies started")
	if err := l.waitReady(ctx); err != nil {
		return err
	}
	s.done("all nodes Ready")
	return nil
}

// steps tells how long it took until something was done.
type steps struct {
	to    io.Writer
	start time.Time
}

func (s steps) done(format string, args ...any) {
	fmt.Fprintf(s.to, "%5.1f s  %s\n", time.Since(s.start).Seconds(), fmt.Sprintf(format, args...))
}
