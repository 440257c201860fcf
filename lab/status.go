package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/lab/internal/machine"
	"github.com/lintel-lb/lintel/lab/internal/wire"
)

// Status is what a lab is like now.
type Status struct {
	Name  string
	Hosts []HostStatus
	// API is the error of the API server, if it does not answer. The nodes'
	// readiness is unknown then.
	API error
}

// HostStatus is what a host is like now.
type HostStatus struct {
	Name    string
	Role    Role
	V4, V6  netip.Addr
	Daemons []Daemon
	Faults  []Fault
	// Ready is the status of the node's condition: True, False or Unknown;
	// empty for hosts that are no nodes.
	Ready string
}

// Daemon is a program that the lab has started on a host.
type Daemon = machine.Daemon

// Status asks the hosts, the switch and the API server; the last for two
// seconds at most.
func (l *Lab) Status(ctx context.Context) (Status, error) {
	s := Status{Name: l.plan.Name}
	faults, err := l.Faults(ctx)
	if err != nil {
		return s, err
	}
	ready, apiErr := l.readyNodes(ctx)
	s.API = apiErr
	for _, h := range l.plan.Hosts {
		daemons, err := l.machine(h).Daemons()
		if err != nil {
			return s, err
		}
		status := HostStatus{Name: h.Name, Role: h.Role, V4: h.V4(), V6: h.V6(), Daemons: daemons, Faults: faults[h.Name]}
		if h.IsNode() {
			status.Ready = string(corev1.ConditionUnknown)
			if r, ok := ready[h.Name]; ok {
				status.Ready = r
			}
		}
		s.Hosts = append(s.Hosts, status)
	}
	return s, nil
}

// Faults returns what is wrong with which host. Sound hosts are left out.
func (l *Lab) Faults(context.Context) (map[string][]Fault, error) {
	wires, err := wire.Faults(l.plan)
	if err != nil {
		return nil, err
	}
	out := map[string][]Fault{}
	for _, h := range l.plan.Hosts {
		w := wires[h.Name]
		var faults []Fault
		if _, err := os.Stat(crashMark(l.machine(h))); err == nil {
			faults, w.Blackhole = append(faults, FaultCrashed), false // part of the crash
		}
		if w.Cut {
			faults = append(faults, FaultCut)
		}
		if w.Blackhole {
			faults = append(faults, FaultBlackhole)
		}
		if faults != nil {
			out[h.Name] = faults
		}
	}
	return out, nil
}

func (l *Lab) readyNodes(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	client, err := l.Client()
	if err != nil {
		return nil, err
	}
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("lab: API server: %w", err)
	}
	out := map[string]string{}
	for _, n := range list.Items {
		out[n.Name] = string(readiness(&n).Status)
	}
	return out, nil
}

// report is when a kubelet has last said whether its node is Ready.
type report struct {
	ready bool
	at    time.Time
}

func (l *Lab) readyReport(ctx context.Context, node string) (report, error) {
	client, err := l.Client()
	if err != nil {
		return report{}, err
	}
	n, err := client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return report{}, errors.Join(fmt.Errorf("lab: node %s", node), err)
	}
	c := readiness(n)
	return report{ready: c.Status == corev1.ConditionTrue, at: c.LastHeartbeatTime.Time}, nil
}
