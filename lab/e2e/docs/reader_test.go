package docs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/docpage"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/labtest"
)

const (
	second = time.Second
	// stepTime bounds one script; pages that wait for long say so with kubectl wait.
	stepTime = 2 * time.Minute
	// pause is the time between attempts of a script that is retried.
	pause = 500 * time.Millisecond
)

// reader does what a page says.
type reader struct {
	env        *labtest.Env
	dir        string
	kubeconfig string
}

// newReader prepares the working directory of a page. What the page leaves in the namespace
// of the load balancer is removed when the test ends.
func newReader(t *testing.T, env *labtest.Env, page string) *reader {
	t.Helper()
	name := strings.TrimSuffix(filepath.Base(page), ".md")
	r := &reader{env: env, dir: filepath.Join(env.Lab.Dir(), "docs", name), kubeconfig: filepath.Join(env.Lab.Dir(), "docs", name+".kubeconfig")}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.RemoveAll(r.dir))
	must(os.MkdirAll(r.dir, 0o755))
	root, err := filepath.Abs(install.Root())
	must(err)
	entries, err := os.ReadDir(root)
	must(err)
	for _, e := range entries {
		must(os.Symlink(filepath.Join(root, e.Name()), filepath.Join(r.dir, e.Name())))
	}
	config, err := os.ReadFile(env.Lab.Kubeconfig())
	must(err)
	must(os.WriteFile(r.kubeconfig, config, 0o600))
	must(r.run(t.Context(), docpage.Step{Text: "kubectl config set-context --current --namespace=" + env.Namespace}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), stepTime)
		defer cancel()
		// Services first, so that the next page finds all addresses free.
		script := "kubectl delete --all services\nkubectl -n " + install.Namespace + " delete --all " + kinds
		if err := r.run(ctx, docpage.Step{Text: script}); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return r
}

// kinds are those that users write.
const kinds = "ipaddresspools,l2advertisements,bgpadvertisements,bgppeers,bfdprofiles,communities"

// carryOut does one step.
func (r *reader) carryOut(ctx context.Context, s docpage.Step) error {
	switch s.Kind {
	case docpage.Write:
		path := filepath.Join(r.dir, s.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(s.Text), 0o644)
	case docpage.Apply:
		return r.run(ctx, docpage.Step{Text: "kubectl apply -f - <<'END-OF-THE-BLOCK'\n" + s.Text + "\nEND-OF-THE-BLOCK\n"})
	}
	deadline := time.Now().Add(s.Retry)
	for {
		err := r.run(ctx, s)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// run runs a script once, and says what is wrong with what it did.
func (r *reader) run(ctx context.Context, s docpage.Step) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	host := s.Host
	if host == "" {
		host = lab.ControlPlaneName
	}
	// The script is read whole before it is run, so that a command in it that reads its
	// standard input does not take the rest.
	setup := fmt.Sprintf("export KUBECONFIG='%s' PATH='%s':\"$PATH\"; cd '%s'; ", r.kubeconfig, programs(r.env.Lab), r.dir)
	cmd, err := r.env.Lab.Command(ctx, host, "bash", "-euo", "pipefail", "-c", setup+"\n"+s.Text)
	if err != nil {
		return err
	}
	var p printed
	cmd.Stdout, cmd.Stderr = p.writer(true), p.writer(false)
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("not done in time: %w", ctx.Err())
	case err != nil && s.Fails:
		err = nil
	case err == nil && s.Fails:
		err = fmt.Errorf("it succeeds, and the page says that it fails")
	}
	if err == nil && s.Output != "" {
		err = docpage.Matches(s.Output, p.out.String())
	}
	if err != nil {
		return fmt.Errorf("%w\n%s\nit printed:\n%s", err, s.Text, p.all.String())
	}
	return nil
}

// printed is what a script prints: on standard output, and altogether.
type printed struct {
	mu       sync.Mutex
	out, all bytes.Buffer
}

type printedWriter func([]byte) (int, error)

func (w printedWriter) Write(b []byte) (int, error) { return w(b) }

func (p *printed) writer(standard bool) io.Writer {
	return printedWriter(func(b []byte) (int, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if standard {
			p.out.Write(b)
		}
		return p.all.Write(b)
	})
}
