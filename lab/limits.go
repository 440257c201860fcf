package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// watchersFile holds the number of inotify instances that a user may have.
const watchersFile = "/proc/sys/fs/inotify/max_user_instances"

// watchersPerNode is what the kubelet, containerd and the Pods of a node have of them, with
// room to spare. Kernels allow 128 by default, which is enough for a handful of nodes.
const watchersPerNode = 64

// raiseLimits makes room for the nodes of this lab and of others. The limit belongs to the
// machine, so it stays; told is called if it was changed.
func raiseLimits(nodes int, told func(format string, args ...any)) error {
	b, err := os.ReadFile(watchersFile)
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	now, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("lab: %s: %w", watchersFile, err)
	}
	names, err := Names()
	if err != nil {
		return err
	}
	want := 128 + watchersPerNode*nodes*max(1, len(names))
	if now >= want {
		return nil
	}
	if err := os.WriteFile(watchersFile, []byte(strconv.Itoa(want)), 0o644); err != nil {
		return fmt.Errorf("lab: raise the limit of inotify instances: %w", err)
	}
	told("fs.inotify.max_user_instances raised from %d to %d", now, want)
	return nil
}
