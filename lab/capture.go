package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// Capture is a tcpdump that writes packets of a host to a file.
type Capture struct {
	cmd  *exec.Cmd
	done chan error
}

// Capture begins to write the packets of all of a host's links that match a
// filter of pcap-filter(7) to a file, and returns when it listens: no packet
// that is sent afterwards is missing. It goes on until Stop or the end of ctx.
// On the host SwitchName it sees every cable; the link of a host is called as
// the host there.
func (l *Lab) Capture(ctx context.Context, host, filter, file string) (*Capture, error) {
	out, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("lab: capture: %w", err)
	}
	defer out.Close()
	cmd, err := l.Command(ctx, host, tcpdump(filter, "-w", "-")...)
	if err != nil {
		return nil, err
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGINT) }
	cmd.Stdout = out
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("lab: capture on %s: %w", host, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("lab: capture on %s: %w", host, err)
	}
	// What tcpdump says before it listens is why it does not.
	lines := bufio.NewReader(stderr)
	var said strings.Builder
	for {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if strings.Contains(line, "listening on") {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("lab: capture on %s: %w: %s", host, errors.Join(cmd.Wait()), strings.TrimSpace(said.String()))
		}
	}
	c := &Capture{cmd: cmd, done: make(chan error, 1)}
	go func() {
		_, err := io.Copy(io.Discard, lines)
		c.done <- errors.Join(err, cmd.Wait())
	}()
	return c, nil
}

// Stop ends the capture and returns when the file is complete.
func (c *Capture) Stop() error {
	if err := c.cmd.Process.Signal(unix.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("lab: end capture: %w", err)
	}
	err := <-c.done
	c.done <- nil // a second Stop finds it ended
	if err != nil {
		return fmt.Errorf("lab: capture: %w", err)
	}
	return nil
}

// tcpdump writes each packet at once and resolves no names.
func tcpdump(filter string, args ...string) []string {
	argv := append([]string{"tcpdump", "-n", "-U", "-i", "any"}, args...)
	if filter != "" {
		argv = append(argv, filter)
	}
	return argv
}

// Watch shows packets as text on w until ctx ends.
func (l *Lab) Watch(ctx context.Context, host, filter string, w io.Writer) error {
	cmd, err := l.Command(ctx, host, tcpdump(filter, "-l", "-e")...)
	if err != nil {
		return err
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGINT) }
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = w, &stderr
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("lab: capture on %s: %w: %s", host, err, strings.TrimSpace(stderr.String()))
	}
	return nil
}
