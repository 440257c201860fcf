package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Command returns a command that will run on a host; its standard streams are
// the caller's to set. On a node it sees the files that the kubelet sees. The
// lab's programs come first in its PATH, and KUBECONFIG is an administrator's.
func (l *Lab) Command(ctx context.Context, host string, argv ...string) (*exec.Cmd, error) {
	_, m, err := l.find(host)
	if err != nil {
		return nil, err
	}
	return m.Command(ctx, "containerd", argv...), nil
}

// Exec runs a command on a host and returns what it writes to its standard
// output. An error carries what it wrote to standard error.
func (l *Lab) Exec(ctx context.Context, host string, argv ...string) ([]byte, error) {
	return l.run(ctx, host, nil, argv...)
}

// Kubectl runs kubectl on the control plane, with what it is to read from its
// standard input, or nil.
func (l *Lab) Kubectl(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	return l.run(ctx, ControlPlaneName, stdin, append([]string{"kubectl"}, args...)...)
}

func (l *Lab) run(ctx context.Context, host string, stdin io.Reader, argv ...string) ([]byte, error) {
	cmd, err := l.Command(ctx, host, argv...)
	if err != nil {
		return nil, err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.Bytes(), fmt.Errorf("lab: %s on %s: %w: %s", strings.Join(argv, " "), host, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}
