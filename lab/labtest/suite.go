package labtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/image"
	"github.com/lintel-lb/lintel/lab/internal/filelock"
	"github.com/lintel-lb/lintel/lab/page"
)

// Environment variables; see the package's comment.
const (
	envLab       = "LINTEL_LAB"
	envKeep      = "LINTEL_LAB_KEEP"
	envArtifacts = "LINTEL_ARTIFACTS"
	envAudit     = "LINTEL_AUDIT"
)

const (
	// startTime is long, because the first lab on a machine is built from
	// source.
	startTime = 20 * time.Minute
	downTime  = 2 * time.Minute
)

// shared is the suite of this test binary. A test function gets nothing but its
// testing.T, so what Main sets up for it has to be found in a variable.
var shared *suite

// suite is what the tests of one test binary share.
type suite struct {
	opts  Options
	ctx   context.Context // ends when the binary is interrupted
	slots chan int
	once  sync.Once // of start
	err   error     // of start

	lab     *lab.Lab
	owned   bool // the lab was brought up by this suite
	lock    *filelock.Lock
	clients clients

	artifacts func() (string, error)
}

// Main runs the tests of a package and takes the lab down that they have used,
// also when it is interrupted. TestMain calls it; it does not return.
func Main(m *testing.M, opts Options) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	s := newSuite(ctx, opts)
	shared = s
	result := make(chan int, 1)
	go func() { result <- m.Run() }()
	code := 1
	select {
	case code = <-result:
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr, "labtest: interrupted")
	}
	stop() // from here on an interrupt ends the program at once
	if err := s.finish(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func newSuite(ctx context.Context, opts Options) *suite {
	if opts.Lab.Name == "" {
		opts.Lab.Name = defaultLab
	}
	if opts.Lab.Progress == nil {
		opts.Lab.Progress = os.Stderr
	}
	s := &suite{opts: opts, ctx: ctx, slots: make(chan int, slotCount), artifacts: sync.OnceValues(artifactsRoot)}
	for i := range slotCount {
		s.slots <- i
	}
	return s
}

// start has a lab ready. Only its first call does anything.
func (s *suite) start() error {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(s.ctx, startTime)
		defer cancel()
		s.err = s.open(ctx)
	})
	return s.err
}

func (s *suite) open(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("labtest: tests against a lab make network namespaces, mounts and containers: run them as root")
	}
	name, reuse := os.LookupEnv(envLab)
	if !reuse {
		name = s.opts.Lab.Name
	}
	// One test binary at a time: all of them divide the same addresses.
	lock, err := filelock.Acquire(ctx, filepath.Join(os.TempDir(), "lintel-labtest-"+name+".lock"), func() {
		fmt.Fprintf(os.Stderr, "labtest: waiting for other tests on lab %s\n", name)
	})
	if err != nil {
		return fmt.Errorf("labtest: %w", err)
	}
	s.lock = lock
	dir, err := os.MkdirTemp("", "lintel-labtest-")
	if err != nil {
		return fmt.Errorf("labtest: %w", err)
	}
	defer os.RemoveAll(dir)
	images, err := s.build(ctx, dir)
	if err != nil {
		return err
	}
	if reuse {
		err = s.adopt(ctx, name, images)
	} else {
		err = s.up(ctx, images)
	}
	if err != nil {
		return err
	}
	if s.clients, err = newClients(s.lab, s.opts.Scheme); err != nil {
		return err
	}
	if reuse {
		if err := s.sweep(ctx); err != nil {
			return err
		}
	}
	if s.opts.Setup == nil {
		return nil
	}
	if err := s.opts.Setup(ctx, s.lab); err != nil {
		return fmt.Errorf("labtest: setup: %w", err)
	}
	return nil
}

// build makes the archives of all images in dir.
func (s *suite) build(ctx context.Context, dir string) ([]string, error) {
	programs := append([]Program{{Package: "github.com/lintel-lb/lintel/lab/cmd/page", Image: page.Image}}, s.opts.Programs...)
	var archives []string
	for i, p := range programs {
		binary := filepath.Join(dir, fmt.Sprintf("program-%d", i))
		if err := image.BuildProgram(ctx, p.Dir, p.Package, binary); err != nil {
			return nil, fmt.Errorf("labtest: %w", err)
		}
		archives = append(archives, binary+".tar")
		if err := image.WriteFile(binary+".tar", p.Image(binary)); err != nil {
			return nil, fmt.Errorf("labtest: %w", err)
		}
	}
	return archives, nil
}

// adopt uses a lab that runs already.
func (s *suite) adopt(ctx context.Context, name string, images []string) error {
	l, err := lab.Open(name)
	if err != nil {
		return fmt.Errorf("labtest: %s=%s: %w", envLab, name, err)
	}
	want := s.opts.Lab
	for _, c := range []struct {
		role lab.Role
		want int
	}{
		{lab.RoleNode, want.Nodes}, {lab.RoleClient, want.Clients}, {lab.RoleFar, want.FarClients}, {lab.RoleLight, want.LightNodes},
	} {
		if have := len(l.Hosts(c.role)); have < c.want {
			return fmt.Errorf("labtest: the tests need %d hosts of role %s, and lab %s has %d: take it down and bring it up with more", c.want, c.role, name, have)
		}
	}
	if err := l.Load(ctx, append(images, want.Images...)...); err != nil {
		return fmt.Errorf("labtest: %w", err)
	}
	s.lab = l
	return nil
}

// up brings a lab up. One of the name that runs is what a killed or kept run
// has left: the lock says that nobody uses it.
func (s *suite) up(ctx context.Context, images []string) error {
	opts := s.opts.Lab
	if old, err := lab.Open(opts.Name); err == nil {
		fmt.Fprintf(os.Stderr, "labtest: taking down the lab %s of an earlier run\n", opts.Name)
		if err := old.Down(ctx); err != nil {
			return fmt.Errorf("labtest: %w", err)
		}
	} else if !errors.Is(err, lab.ErrNoLab) {
		return fmt.Errorf("labtest: %w", err)
	}
	if dir := os.Getenv(envAudit); dir != "" && !s.opts.Unaudited {
		opts.AuditLog = filepath.Join(dir, opts.Name+".log")
	}
	opts.Images = append(images, opts.Images...)
	l, err := lab.Up(ctx, opts)
	if err != nil {
		return fmt.Errorf("labtest: %w", err)
	}
	s.lab, s.owned = l, true
	return nil
}

// finish takes the lab down, after a start that may be under way.
func (s *suite) finish() error {
	s.once.Do(func() {})
	var err error
	switch {
	case s.lab == nil || !s.owned:
	case os.Getenv(envKeep) != "":
		fmt.Fprintf(os.Stderr, "labtest: the lab stays up; to use it again: %s=%s go test ...\n", envLab, s.lab.Name())
	default:
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), downTime)
		defer cancel()
		if down := s.lab.Down(ctx); down != nil {
			err = fmt.Errorf("labtest: %w", down)
		}
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Remove())
	}
	return err
}
