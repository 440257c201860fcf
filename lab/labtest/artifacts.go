package labtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/probe"
)

const (
	// collectTime bounds the collection for one test, and stepTime each step.
	collectTime = 2 * time.Minute
	stepTime    = 20 * time.Second

	// maxLog is how much of the end of a daemon's log is kept.
	maxLog = 4 << 20
)

// builtinResources are the kinds of Kubernetes itself whose objects are kept.
var builtinResources = []string{"services", "endpointslices.discovery.k8s.io", "nodes", "pods", "events.events.k8s.io", "leases.coordination.k8s.io"}

// keeper has what a test made for the case that it fails.
type keeper struct {
	dir      string // of captures
	probes   []*probe.Probe
	captures []capture
}

type capture struct {
	*lab.Capture
	file string
}

// file names the next capture.
func (k *keeper) file(host string) string {
	return filepath.Join(k.dir, fmt.Sprintf("%02d-%s.pcap", len(k.captures)+1, host))
}

// artifactsRoot is where the directories of failed tests go.
func artifactsRoot() (string, error) {
	if dir := os.Getenv(envArtifacts); dir != "" {
		return dir, os.MkdirAll(dir, 0o755)
	}
	return os.MkdirTemp("", "lintel-artifacts-")
}

// collect leaves a directory with all that may explain why a test has failed.
func (e *Env) collect() {
	if !e.t.Failed() {
		return
	}
	root, err := e.suite.artifacts()
	if err != nil {
		e.t.Logf("labtest: nothing can be kept: %v", err)
		return
	}
	dir := filepath.Join(root, e.Name)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.t.Context()), collectTime)
	defer cancel()
	c := collector{dir: dir}
	// The network first: it forgets soonest.
	e.collectHosts(ctx, &c)
	e.collectCaptures(&c)
	e.collectProbes(&c)
	e.collectObjects(ctx, &c)
	e.collectPodLogs(ctx, &c)
	e.collectDaemonLogs(&c)
	if len(c.errs) > 0 {
		c.write("not-collected.txt", []byte(errors.Join(c.errs...).Error()+"\n"))
	}
	e.t.Logf("labtest: what the failed test has left is in %s", dir)
}

// collector writes files below a directory and goes on after errors.
type collector struct {
	dir  string
	errs []error
}

func (c *collector) write(name string, data []byte) {
	path := filepath.Join(c.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, data, 0o644)
	}
	c.note(err)
}

func (c *collector) note(err error) {
	if err != nil {
		c.errs = append(c.errs, err)
	}
}

func (e *Env) collectHosts(ctx context.Context, c *collector) {
	for _, h := range e.Lab.Hosts(lab.RoleSwitch, lab.RoleRouter, lab.RoleControl, lab.RoleNode, lab.RoleClient, lab.RoleFar) {
		var text strings.Builder
		for _, argv := range [][]string{
			{"ip", "neigh"}, {"ip", "address"}, {"ip", "route"}, {"ip", "-6", "route"}, {"bridge", "fdb"},
		} {
			fmt.Fprintf(&text, "# %s\n", strings.Join(argv, " "))
			step, cancel := context.WithTimeout(ctx, stepTime)
			out, err := e.Lab.Exec(step, h.Name, argv...)
			cancel()
			text.Write(out)
			if err != nil {
				fmt.Fprintf(&text, "%v\n", err)
			}
			text.WriteByte('\n')
		}
		c.write(filepath.Join("network", h.Name+".txt"), []byte(text.String()))
	}
}

func (e *Env) collectCaptures(c *collector) {
	for _, p := range e.kept.captures {
		// Stopped already, but for a test that ended in its own Capture.
		c.note(p.Stop())
		data, err := os.ReadFile(p.file)
		c.note(err)
		if err == nil {
			c.write(filepath.Join("captures", filepath.Base(p.file)), data)
		}
	}
}

func (e *Env) collectProbes(c *collector) {
	for i, p := range e.kept.probes {
		r := p.Stop()
		name := filepath.Join("probes", fmt.Sprintf("%02d", i+1))
		c.write(name+".txt", []byte(r.String()))
		data, err := json.MarshalIndent(r, "", "  ")
		c.note(err)
		c.write(name+".json", data)
	}
}

func (e *Env) collectObjects(ctx context.Context, c *collector) {
	step, cancel := context.WithTimeout(ctx, stepTime)
	extensions, err := e.suite.extensionResources(step)
	cancel()
	c.note(err)
	for _, resource := range append(extensions, builtinResources...) {
		step, cancel := context.WithTimeout(ctx, stepTime)
		out, err := e.Lab.Kubectl(step, nil, "get", resource, "--all-namespaces", "--output=yaml", "--ignore-not-found")
		cancel()
		c.note(err)
		if len(out) > 0 {
			c.write(filepath.Join("objects", resource+".yaml"), out)
		}
	}
}

func (e *Env) collectPodLogs(ctx context.Context, c *collector) {
	for _, namespace := range append([]string{e.Namespace}, e.suite.opts.SystemNamespaces...) {
		step, cancel := context.WithTimeout(ctx, stepTime)
		pods, err := e.Core.CoreV1().Pods(namespace).List(step, metav1.ListOptions{})
		cancel()
		c.note(err)
		if err != nil {
			continue
		}
		for i := range pods.Items {
			e.collectPodLog(ctx, c, &pods.Items[i])
		}
	}
}

func (e *Env) collectPodLog(ctx context.Context, c *collector, pod *corev1.Pod) {
	for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		for _, previous := range []bool{false, true} {
			if previous && s.RestartCount == 0 {
				continue
			}
			step, cancel := context.WithTimeout(ctx, stepTime)
			data, err := e.Core.CoreV1().Pods(pod.Namespace).
				GetLogs(pod.Name, &corev1.PodLogOptions{Container: s.Name, Previous: previous, Timestamps: true}).DoRaw(step)
			cancel()
			if err != nil {
				c.note(fmt.Errorf("log of %s/%s %s: %w", pod.Namespace, pod.Name, s.Name, err))
				continue
			}
			name := s.Name + ".log"
			if previous {
				name = s.Name + ".previous.log"
			}
			c.write(filepath.Join("pods", pod.Namespace, pod.Name+"@"+pod.Spec.NodeName, name), data)
		}
	}
}

func (e *Env) collectDaemonLogs(c *collector) {
	for _, h := range e.Lab.Hosts() {
		logs, err := filepath.Glob(filepath.Join(e.Lab.Logs(h.Name), "*.log"))
		c.note(err)
		for _, path := range logs {
			data, err := tail(path, maxLog)
			c.note(err)
			c.write(filepath.Join("daemons", h.Name, filepath.Base(path)), data)
		}
	}
}

// tail returns at most the last n bytes of a file.
func tail(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(max(0, info.Size()-n), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}
