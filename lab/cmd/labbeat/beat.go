package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/lintel-lb/lintel/lab/internal/netns"
)

// node is one that is spoken for.
type node struct {
	Name      string
	Namespace string // of its network
	Addresses []string
}

// timeout of a request. A connection that hangs is given up with it.
const timeout = 5 * time.Second

// retry is the pause after a request that has failed.
const retry = time.Second

// beat keeps one node alive.
type beat struct {
	node   node
	nodes  coreclient.NodeInterface
	leases coordinationclient.LeaseInterface
	log    *slog.Logger
}

func newBeat(shared *rest.Config, n node, log *slog.Logger) (*beat, error) {
	config := rest.CopyConfig(shared)
	config.QPS = -1
	tls, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, err
	}
	// Of HTTP/1.1, because there a request that is given up takes its
	// connection along: a node that comes back must not wait on a dead one.
	client := &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			TLSClientConfig: tls,
			DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
				err = netns.Do(n.Namespace, func() error {
					var d net.Dialer
					conn, err = d.DialContext(ctx, network, address)
					return err
				})
				return conn, err
			},
		},
	}
	core, err := coreclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	coordination, err := coordinationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	return &beat{node: n, nodes: core.Nodes(), leases: coordination.Leases(corev1.NamespaceNodeLease), log: log}, nil
}

// run reports the node's status at once, and after each silence, since others
// have called it dead then. In between it renews the lease.
func (b *beat) run(ctx context.Context, offset time.Duration) {
	reported := false
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		pause := period
		err := b.once(ctx, !reported)
		switch {
		case err != nil:
			if reported {
				b.log.Warn("node falls silent", "err", err)
			}
			reported, pause = false, retry
		case !reported:
			reported, pause = true, pause+offset-period/2
			b.log.Info("node reported")
		}
		next.Reset(max(pause, retry))
	}
}

func (b *beat) once(ctx context.Context, status bool) error {
	if err := b.renew(ctx); err != nil {
		return err
	}
	if !status {
		return nil
	}
	patch, err := statusPatch(b.node, time.Now())
	if err != nil {
		return err
	}
	if _, err := b.nodes.Patch(ctx, b.node.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	return nil
}

func (b *beat) renew(ctx context.Context) error {
	now := metav1.NowMicro()
	_, err := b.leases.Patch(ctx, b.node.Name, types.MergePatchType, leasePatch(now), metav1.PatchOptions{})
	if !apierrors.IsNotFound(err) {
		return wrap("renew lease", err)
	}
	n, err := b.nodes.Get(ctx, b.node.Name, metav1.GetOptions{})
	if err != nil {
		return wrap("node", err)
	}
	_, err = b.leases.Create(ctx, newLease(n, now), metav1.CreateOptions{})
	return wrap("create lease", err)
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(errors.New(what), err)
}
