// Command page serves the lab's demo page: see package page.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/lintel-lb/lintel/lab/page"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	port := flag.Uint("port", 80, "TCP `port` to listen on, on every IPv4 and IPv6 address")
	drain := flag.Duration("drain", time.Second, "how long to go on accepting connections after SIGTERM")
	pod := flag.String("pod", os.Getenv("POD_NAME"), "name of this server ($POD_NAME, else the host name)")
	node := flag.String("node", os.Getenv("NODE_NAME"), "name of the node ($NODE_NAME)")
	flag.Parse()
	if *port > 65535 {
		return fmt.Errorf("page: --port %d: want 0 to 65535", *port)
	}
	if *pod == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("page: no --pod and no host name: %w", err)
		}
		*pod = name
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", net.JoinHostPort("", strconv.FormatUint(uint64(*port), 10)))
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return page.New(page.Options{
		Pod:   *pod,
		Node:  *node,
		Drain: *drain,
		Log:   slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}).Run(ctx, ln)
}
