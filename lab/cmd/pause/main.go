// Command pause is the first process of a Pod sandbox: it holds the Pod's
// namespaces, reaps orphans that end up with it as process 1, and ends on
// SIGTERM or SIGINT.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// SIGCHLDs may merge, so one is enough to learn that there is something to
	// reap; a full buffer loses nothing.
	child := make(chan os.Signal, 1)
	signal.Notify(child, syscall.SIGCHLD)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	for {
		select {
		case <-child:
			reap()
		case <-stop:
			return
		}
	}
}

// reap collects every child that has ended.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if pid <= 0 || err != nil {
			return
		}
	}
}
