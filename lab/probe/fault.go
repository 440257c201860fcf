package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Fault says what was broken when an attempt failed.
type Fault string

const (
	// FaultAddress: nothing took the connection. Nobody answered for the
	// address, there was no route to it, or no SYN came back.
	FaultAddress Fault = "address"

	// FaultBackend: something held the address and answered for it, but not
	// with the page.
	FaultBackend Fault = "backend"

	// FaultProber: the attempt could not be made. It says nothing about the
	// network, and taints a report.
	FaultProber Fault = "prober"
)

// Reason says how an attempt failed.
type Reason string

// Reasons that blame the address.
const (
	// ReasonNeighbor: the address is on the client's own link and nobody
	// answered ARP or neighbour solicitation for it.
	ReasonNeighbor Reason = "no neighbour"

	ReasonHostUnreachable Reason = "host unreachable" // EHOSTUNREACH
	ReasonNetUnreachable  Reason = "net unreachable"  // ENETUNREACH, ENETDOWN
	ReasonSYNTimeout      Reason = "syn timeout"      // no answer to SYN in time
)

// Reasons that blame only a backend.
const (
	ReasonRefused       Reason = "refused"        // RST to a SYN
	ReasonReset         Reason = "reset"          // RST later on
	ReasonClosed        Reason = "closed"         // FIN before the answer was whole
	ReasonAnswerTimeout Reason = "answer timeout" // connected, but no whole answer in time
	ReasonBadAnswer     Reason = "bad answer"     // not HTTP
	ReasonSilent        Reason = "silent"         // a held connection without a byte for too long

	// An HTTP status of 400 or more is the Reason "http CODE".
	reasonStatus = "http "
)

// ReasonLocal blames the prober, for example for want of file descriptors.
const ReasonLocal Reason = "local error"

// Fault returns what r blames.
func (r Reason) Fault() Fault {
	switch r {
	case ReasonNeighbor, ReasonHostUnreachable, ReasonNetUnreachable, ReasonSYNTimeout:
		return FaultAddress
	case ReasonLocal:
		return FaultProber
	default:
		return FaultBackend
	}
}

// dialReason explains why no connection came about.
func dialReason(err error, n Neighbor) Reason {
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return ReasonRefused
	case errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return ReasonReset
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.ENETDOWN):
		return ReasonNetUnreachable
	case errors.Is(err, unix.EHOSTUNREACH):
		if n.Unresolved() {
			return ReasonNeighbor
		}
		return ReasonHostUnreachable
	case isTimeout(err):
		if n.Unresolved() {
			return ReasonNeighbor
		}
		return ReasonSYNTimeout
	default:
		return ReasonLocal
	}
}

// exchangeReason explains why an established connection gave no page.
func exchangeReason(err error) Reason {
	var status statusError
	switch {
	case errors.As(err, &status):
		return Reason(reasonStatus + strconv.Itoa(int(status)))
	case isTimeout(err):
		return ReasonAnswerTimeout
	case errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return ReasonReset
	case errors.Is(err, unix.EHOSTUNREACH):
		return ReasonHostUnreachable
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.ENETDOWN):
		return ReasonNetUnreachable
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ReasonClosed
	default:
		return ReasonBadAnswer
	}
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, unix.ETIMEDOUT)
}

// statusError is an HTTP status of 400 or more.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("probe: HTTP status %d", int(s)) }
