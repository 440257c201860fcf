// Package debian installs the programs that the lab takes from Debian.
package debian

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// tool is a program or file, and the package that brings it.
type tool struct{ file, pkg string }

// tools are what the lab and its users call. Paths are absolute, because the
// directories are not in everyone's PATH.
func tools() []tool {
	return []tool{
		{"/usr/sbin/runc", "runc"},
		{"/usr/sbin/nft", "nftables"},
		{"/usr/sbin/ip", "iproute2"},
		{"/usr/sbin/conntrack", "conntrack"},
		{"/usr/bin/tcpdump", "tcpdump"},
		{"/usr/sbin/arping", "arping"},
		{"/usr/bin/ndisc6", "ndisc6"},
		{"/usr/bin/ping", "iputils-ping"},
		{"/usr/lib/frr/bgpd", "frr"},
		{"/usr/sbin/bird", "bird2"},
	}
}

// missing returns the packages of which a file is not there.
func missing(tools []tool, exists func(string) bool) []string {
	var out []string
	for _, t := range tools {
		// Since the directories were merged, a file may be found under either.
		if !exists(t.file) && !exists(strings.TrimPrefix(t.file, "/usr")) && !slices.Contains(out, t.pkg) {
			out = append(out, t.pkg)
		}
	}
	return out
}

// Setup installs what is missing with apt-get, and says on progress what it does.
func Setup(ctx context.Context, progress io.Writer) error {
	packages := missing(tools(), func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	})
	if len(packages) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("debian: install these by hand, apt-get is not there: %s", strings.Join(packages, " "))
	}
	fmt.Fprintf(progress, "installing Debian packages: %s\n", strings.Join(packages, " "))
	install := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	return quietly(func() error {
		// Lists may be missing or old: they are fetched if it does not go without.
		if err := aptGet(ctx, progress, install...); err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if err := aptGet(ctx, progress, "update"); err != nil {
			return err
		}
		return aptGet(ctx, progress, install...)
	})
}

// aptGet shows one line of each package that is fetched or set up.
func aptGet(ctx context.Context, progress io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("debian: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("debian: %w", err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		for _, shown := range []string{"Get:", "Setting up "} {
			if strings.HasPrefix(lines.Text(), shown) {
				fmt.Fprintf(progress, "  %s\n", lines.Text())
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("debian: apt-get %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

const policy = "/usr/sbin/policy-rc.d"

// quietly forbids for the time of f that packages start their services: the
// lab runs routing daemons in its own namespaces, never on the machine.
func quietly(f func() error) (err error) {
	file, err := os.OpenFile(policy, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return f() // the machine's owner has a policy
	}
	if err != nil {
		return fmt.Errorf("debian: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(policy)) }()
	if _, err := file.WriteString("#!/bin/sh\nexit 101\n"); err != nil {
		return errors.Join(fmt.Errorf("debian: %s: %w", filepath.Base(policy), err), file.Close())
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("debian: %w", err)
	}
	return f()
}
