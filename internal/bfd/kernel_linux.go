package bfd

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// realTimePriority is the lowest of the real-time class: above all ordinary programs, whatever their
// cgroup and nice value, and below all other real-time ones.
const realTimePriority = 1

// kernel is the network of the namespace of the thread that calls. It waits in a system call of its
// own rather than in the runtime's poller and timers: those are served by whichever thread has time,
// and only a thread of its own can be preferred by the kernel.
type kernel struct {
	ports   ports
	sockets []*socket
	before  *unix.SchedAttr // how the thread was scheduled; nil if that has not been changed
	polled  []unix.PollFd   // the event first, then the sockets
	ready   []receiver
	timeout unix.Timespec // here so that a wait allocates nothing

	mu    sync.Mutex // for event
	event int        // an eventfd that ends the wait; -1 while the engine does not run
}

func newNetwork(p ports) network { return &kernel{ports: p, event: -1} }

func (n *kernel) begin() error {
	runtime.LockOSThread()
	n.mu.Lock()
	defer n.mu.Unlock()
	var err error
	if n.event, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		n.event = -1 // waits are short then
		return fmt.Errorf("bfd: %w", os.NewSyscallError("eventfd", err))
	}
	return n.prefer()
}

// prefer moves the thread to the real-time class. Nice values do not help: they count within a cgroup
// only, and every pod is one. Threads that the Go runtime starts do not inherit the class.
func (n *kernel) prefer() error {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return fmt.Errorf("bfd: %w", os.NewSyscallError("sched_getattr", err))
	}
	err = unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: realTimePriority,
		Flags: unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0)
	if err != nil {
		return fmt.Errorf("bfd: real-time class for a thread (CAP_SYS_NICE): %w", err)
	}
	n.before = before
	return nil
}

func (n *kernel) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.event >= 0 {
		_ = unix.Close(n.event) // holds nothing
		n.event = -1
	}
	if n.before != nil && unix.SchedSetAttr(0, n.before, 0) != nil {
		return // the thread stays locked and ends with the goroutine, rather than serve others like this
	}
	runtime.UnlockOSThread()
}

func (n *kernel) poke() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.event >= 0 {
		// It fails only if the count is full, and then the wait ends anyway.
		_, _ = unix.Write(n.event, []byte{0, 0, 0, 0, 0, 0, 0, 1})
	}
}

// blindWait bounds waits that nothing else can end.
const blindWait = 100 * time.Millisecond

func (n *kernel) wait(until time.Time) []receiver {
	n.polled = append(n.polled[:0], unix.PollFd{Fd: int32(n.event), Events: unix.POLLIN})
	for _, s := range n.sockets {
		n.polled = append(n.polled, unix.PollFd{Fd: int32(s.fd), Events: unix.POLLIN})
	}
	n.ready = n.ready[:0]
	var timeout *unix.Timespec
	if !until.IsZero() || n.event < 0 {
		d := blindWait
		if !until.IsZero() {
			d = max(time.Until(until), 0)
		}
		n.timeout = unix.NsecToTimespec(int64(d))
		timeout = &n.timeout
	}
	if _, err := unix.Ppoll(n.polled, timeout, nil); err != nil {
		if !errors.Is(err, unix.EINTR) {
			time.Sleep(time.Millisecond) // only for want of kernel memory: do not spin meanwhile
		}
		return nil
	}
	if n.polled[0].Revents != 0 && n.event >= 0 {
		var count [8]byte
		_, _ = unix.Read(n.event, count[:]) // resets it
	}
	for i, s := range n.sockets {
		if n.polled[i+1].Revents != 0 {
			n.ready = append(n.ready, s)
		}
	}
	return n.ready
}
