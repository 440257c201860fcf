// Command labbeat is the kubelet's voice of nodes that have no kubelet: it
// reports their status once and renews their leases. It speaks for each node
// from that node's own network namespace, so a node that is cut off falls
// silent.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// period is how often a kubelet renews its lease.
const period = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	nodes := flag.String("nodes", "", "file with a JSON list of nodes")
	flag.Parse()
	if err := run(ctx, *kubeconfig, *nodes); err != nil {
		fmt.Fprintln(os.Stderr, "labbeat:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var nodes []node
	if err := json.Unmarshal(data, &nodes); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	var group sync.WaitGroup
	defer group.Wait()
	for i, n := range nodes {
		b, err := newBeat(config, n, log.With("node", n.Name))
		if err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
		// Spread over the period, or the API server would see them all at once.
		offset := period * time.Duration(i) / time.Duration(len(nodes))
		group.Go(func() { b.run(ctx, offset) })
	}
	return nil
}
