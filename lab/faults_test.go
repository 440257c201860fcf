package lab

import (
	"context"
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func cutAndHeal(t *testing.T, ctx context.Context, l *Lab) {
	carrier := func() string {
		out, err := l.Exec(ctx, "n1", "cat", "/sys/class/net/eth0/carrier")
		must(t, err)
		return strings.TrimSpace(string(out))
	}
	breakAndHeal(t, ctx, l, l.Cut, FaultCut, func() {
		if c := carrier(); c != "0" {
			t.Errorf("carrier of a cut cable is %s", c)
		}
	})
	if c := carrier(); c != "1" {
		t.Errorf("carrier of a sound cable is %s", c)
	}
}

func blackholeAndHeal(t *testing.T, ctx context.Context, l *Lab) {
	breakAndHeal(t, ctx, l, l.Blackhole, FaultBlackhole, func() {
		out, err := l.Exec(ctx, "n1", "cat", "/sys/class/net/eth0/carrier")
		must(t, err)
		if c := strings.TrimSpace(string(out)); c != "1" {
			t.Errorf("carrier of a blackholed host is %s", c)
		}
	})
}

func breakAndHeal(t *testing.T, ctx context.Context, l *Lab, do func(context.Context, string) error, want Fault, check func()) {
	t.Helper()
	n, err := l.Host("n1")
	must(t, err)
	must(t, do(ctx, "n1"))
	must(t, do(ctx, "n1"))
	faults, err := l.Faults(ctx)
	must(t, err)
	if f := faults["n1"]; len(faults) != 1 || len(f) != 1 || f[0] != want {
		t.Errorf("faults %v, want n1 %s", faults, want)
	}
	check()
	if err := ping(ctx, l, "c1", n.V4().String()); err == nil {
		t.Error("n1 answers")
	}
	must(t, l.Heal(ctx, "n1"))
	for _, address := range []string{n.V4().String(), n.V6().String()} {
		eventually(t, ctx, "n1 after heal", func(ctx context.Context) error { return ping(ctx, l, "c1", address) })
	}
	faults, err = l.Faults(ctx)
	must(t, err)
	if len(faults) != 0 {
		t.Errorf("faults after heal: %v", faults)
	}
}

// crashAndBoot holds a connection to n2 and sees that nothing of its end is
// heard when n2 dies.
func crashAndBoot(t *testing.T, ctx context.Context, l *Lab) {
	n, err := l.Host("n2")
	must(t, err)
	file := t.TempDir() + "/n2.pcap"
	conn, err := l.Dial(ctx, "c1", "tcp", n.V4().String()+":10250")
	must(t, err)
	defer conn.Close()
	capture, err := l.Capture(ctx, "c1", "tcp port 10250 and src host "+n.V4().String(), file)
	must(t, err)
	must(t, l.Crash(ctx, "n2"))
	pids, err := l.machine(n).Pids()
	must(t, err)
	if len(pids) > 0 {
		t.Errorf("processes of a crashed host: %v", pids)
	}
	must(t, capture.Stop())
	packets, err := l.Exec(ctx, "c1", "tcpdump", "-n", "-r", file)
	must(t, err)
	if strings.TrimSpace(string(packets)) != "" {
		t.Errorf("n2 said as it died:\n%s", packets)
	}
	if err := l.Heal(ctx, "n2"); !errors.Is(err, ErrCrashed) {
		t.Errorf("heal of a crashed host: %v", err)
	}
	must(t, l.Boot(ctx, "n2"))
	must(t, ping(ctx, l, "c1", n.V6().String()))
	client, err := l.Client()
	must(t, err)
	eventually(t, ctx, "Pod on n2 runs again", func(ctx context.Context) error {
		list, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=n2"})
		if err != nil {
			return err
		}
		for _, p := range list.Items {
			for _, c := range p.Status.ContainerStatuses {
				if c.Ready && c.RestartCount > 0 {
					return nil
				}
			}
		}
		return errors.New("not yet")
	})
}
