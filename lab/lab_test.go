package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/lab/internal/render"
)

// testLab is a name that no one gives a lab of their own.
const testLab = "lab-test"

// TestLab takes a lab through its life. It needs root.
func TestLab(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	o := Options{Name: testLab, Nodes: 2, LightNodes: 2, Progress: os.Stderr}
	l, err := Up(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Also when a step has failed; the last step has usually done it.
		if err := l.Down(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})

	step := func(name string, f func(*testing.T, context.Context, *Lab)) {
		t.Helper()
		if !t.Run(name, func(t *testing.T) { f(t, ctx, l) }) {
			t.FailNow()
		}
	}
	step("a second lab of the name is refused", refusesSecond)
	step("pods reach each other", podsReachEachOther)
	step("clients reach nodes", clientsReachNodes)
	step("cut", cutAndHeal)
	step("blackhole", blackholeAndHeal)
	step("crash and boot", crashAndBoot)
	step("light node", lightNode)
	step("router", router)
	step("up after everything was killed", upAfterKill)
	step("down leaves nothing", downLeavesNothing)
}

func refusesSecond(t *testing.T, ctx context.Context, _ *Lab) {
	if _, err := Up(ctx, Options{Name: testLab}); !errors.Is(err, ErrRunning) {
		t.Fatalf("%v, want %v", err, ErrRunning)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ping tells whether host reaches an address within a second.
func ping(ctx context.Context, l *Lab, host, address string) error {
	_, err := l.Exec(ctx, host, "ping", "-n", "-c", "1", "-W", "1", address)
	return err
}

// eventually fails the test if check does not succeed in time.
func eventually(t *testing.T, ctx context.Context, what string, check func(context.Context) error) {
	t.Helper()
	must(t, wait(ctx, what, check))
}

func podsReachEachOther(t *testing.T, ctx context.Context, l *Lab) {
	client, err := l.Client()
	must(t, err)
	labels := map[string]string{"app": "pause"}
	_, err = client.AppsV1().DaemonSets("default").Create(ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "pause"},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "pause", Image: render.Sandbox, ImagePullPolicy: corev1.PullNever,
				}}},
			},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	var pods []corev1.Pod
	eventually(t, ctx, "two running Pods", func(ctx context.Context) error {
		list, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		pods = nil
		for _, p := range list.Items {
			if p.Status.Phase == corev1.PodRunning && len(p.Status.PodIPs) == 2 {
				pods = append(pods, p)
			}
		}
		if len(pods) != 2 {
			return fmt.Errorf("%d of 2", len(pods))
		}
		return nil
	})
	if pods[0].Spec.NodeName == pods[1].Spec.NodeName {
		t.Fatalf("both Pods are on %s", pods[0].Spec.NodeName)
	}
	// The image holds no ping: it is run with the machine's files in the Pod's
	// network, which the sandbox's process holds.
	pid, err := podProcess(ctx, l, pods[0])
	must(t, err)
	for _, ip := range pods[1].Status.PodIPs {
		eventually(t, ctx, "Pod "+ip.IP, func(ctx context.Context) error {
			_, err := l.Exec(ctx, pods[0].Spec.NodeName, "nsenter", "--target", pid, "--net", "ping", "-n", "-c", "1", "-W", "1", ip.IP)
			return err
		})
	}
	// A Service of the cluster, through kube-proxy of the Pod's node.
	_, err = l.Exec(ctx, pods[0].Spec.NodeName, "nsenter", "--target", pid, "--net",
		"bash", "-c", "exec 3<>/dev/tcp/10.96.0.1/443")
	must(t, err)
}

// podProcess returns the process id of a Pod's first container.
func podProcess(ctx context.Context, l *Lab, p corev1.Pod) (string, error) {
	id, ok := strings.CutPrefix(p.Status.ContainerStatuses[0].ContainerID, "containerd://")
	if !ok {
		return "", fmt.Errorf("container id %q", p.Status.ContainerStatuses[0].ContainerID)
	}
	out, err := l.Exec(ctx, p.Spec.NodeName, "ctr", "-n", "k8s.io", "tasks", "ls")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == id {
			return f[1], nil
		}
	}
	return "", fmt.Errorf("no task %s in\n%s", id, out)
}

func clientsReachNodes(t *testing.T, ctx context.Context, l *Lab) {
	n, err := l.Host("n2")
	must(t, err)
	for _, from := range []string{"c1", "f1"} {
		for _, address := range []string{n.V4().String(), n.V6().String()} {
			must(t, ping(ctx, l, from, address))
		}
	}
	conn, err := l.Dial(ctx, "f1", "tcp", l.control().V4().String()+":"+render.APIPort)
	must(t, err)
	if local := conn.LocalAddr().String(); !strings.HasPrefix(local, "10.90.0.11:") {
		t.Errorf("connection of f1 starts at %s", local)
	}
	must(t, conn.Close())
	if _, err := l.Dial(ctx, "f1", "tcp", "localhost:1"); err == nil {
		t.Error("a name was dialled")
	}
}

func lightNode(t *testing.T, ctx context.Context, l *Lab) {
	kubectl := l.bin() + "/kubectl"
	p, err := l.RunOnLight(ctx, "l2", "default/default", []string{kubectl, "auth", "whoami"})
	must(t, err)
	eventually(t, ctx, "answer on l2", func(context.Context) error {
		out, err := os.ReadFile(p.Log)
		if err == nil && !strings.Contains(string(out), "system:serviceaccount:default:default") {
			err = errors.New(string(out))
		}
		return err
	})
	long, err := l.RunOnLight(ctx, "l1", "default/default", []string{"/bin/sleep", "1000"})
	must(t, err)
	if !long.Alive() {
		t.Error("a program on l1 does not run")
	}
	must(t, l.Crash(ctx, "l1"))
	if long.Alive() {
		t.Error("a program survives the crash of l1")
	}
	must(t, l.Boot(ctx, "l1"))
	must(t, ping(ctx, l, "l1", "fd89::11"))
}

func router(t *testing.T, ctx context.Context, l *Lab) {
	r := l.Router()
	must(t, r.StartFRR(ctx, "router bgp 64512\n neighbor 10.89.0.11 remote-as 64513\n neighbor 10.89.0.11 bfd\nexit\n"))
	out, err := r.Vtysh(ctx, "show bgp summary json")
	must(t, err)
	if !strings.Contains(string(out), `"10.89.0.11"`) {
		t.Errorf("summary of FRR:\n%s", out)
	}
	if err := r.StartFRR(ctx, "no such thing\n"); err == nil {
		t.Error("FRR takes nonsense")
	}
	must(t, r.StopFRR(ctx))
	must(t, r.StartBIRD(ctx, "router id 10.89.0.1;\nprotocol device {}\n"))
	out, err = r.Birdc(ctx, "show", "protocols")
	must(t, err)
	if !strings.Contains(string(out), "Device") {
		t.Errorf("protocols of BIRD:\n%s", out)
	}
	if err := r.StartBIRD(ctx, "nonsense\n"); err == nil {
		t.Error("BIRD takes nonsense")
	}
	must(t, r.StopBIRD(ctx))
}

func upAfterKill(t *testing.T, ctx context.Context, l *Lab) {
	for _, h := range l.Hosts() {
		must(t, l.machine(h).Kill(ctx))
	}
	_, err := Up(ctx, Options{Name: testLab, Nodes: 1, FarClients: None, Progress: os.Stderr})
	must(t, err)
	again, err := Open(testLab)
	must(t, err)
	if hosts := again.Hosts(RoleNode, RoleLight, RoleFar); len(hosts) != 1 {
		t.Errorf("hosts %v, want n1 alone", hosts)
	}
	if _, err := os.Stat("/run/netns/" + l.Namespace("n2")); err == nil {
		t.Error("a namespace of the earlier lab is there")
	}
}

func downLeavesNothing(t *testing.T, ctx context.Context, l *Lab) {
	must(t, l.Down(ctx))
	if _, err := Open(testLab); !errors.Is(err, ErrNoLab) {
		t.Errorf("open: %v", err)
	}
	// Down has looked for itself; this looks in another way.
	for _, dir := range []string{"/run/netns", "/var/lib/lintel-lab"} {
		entries, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.Contains(e.Name(), testLab) {
				t.Errorf("left over: %s/%s", dir, e.Name())
			}
		}
	}
	cmdlines, err := processesNaming(l.Dir())
	must(t, err)
	if len(cmdlines) > 0 {
		t.Errorf("processes left: %q", cmdlines)
	}
}

// processesNaming returns the command lines that hold a text.
func processesNaming(text string) ([]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		data, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && strings.Contains(string(data), text) {
			out = append(out, string(data))
		}
	}
	return out, nil
}
