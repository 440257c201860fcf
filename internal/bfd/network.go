package bfd

import (
	"net/netip"
	"time"
)

// network opens sockets and waits for them. It is the seam between the engine and the kernel. All
// methods of it and of what it returns are called from the goroutine of [Engine.Run], except poke.
type network interface {
	// begin readies the network for the goroutine that calls it, and has the kernel prefer that to
	// ordinary programs of this system; an error says why it does not, and is no reason to stop. end
	// undoes both.
	begin() error
	end()

	// wait blocks until a receiver can be read, poke is called, or it is that time; zero for no
	// time. It returns the receivers that can be read, valid until the next call.
	wait(until time.Time) []receiver
	poke()

	// listen opens the receiving socket for all sessions of a kind.
	listen(listenKey) (receiver, error)

	// dial opens the sending socket of a session and finds the interface that the key names. The
	// source port is of the session's own (RFC 5881 section 4): the given one if it is not 0 and
	// free.
	dial(k Key, port uint16) (sender, error)

	// dialEcho opens the sending socket for echo packets of a session, from the given local
	// address and interface. forwards reports whether this system returns the peer's.
	dialEcho(k Key, local netip.Addr, ifindex int) (sender, error)
	forwards(Key) bool
}

// channel is a kind of receiving socket.
type channel uint8

const (
	singleHop channel = iota
	multiHop
	echo
)

// listenKey names a receiving socket.
type listenKey struct {
	channel channel
	v6      bool
	vrf     string // empty for the default one
	ifindex int    // for echo: the interface on which packets come back
}

// receiver is a socket that packets are read from.
type receiver interface {
	// drain reads all datagrams that are there when it is called, without blocking. The argument of
	// the function is valid during the call only.
	drain(func(*datagram)) error

	close() error
}

// sender is a socket that sends to one peer without blocking.
type sender interface {
	send([]byte) error
	port() uint16
	ifindex() int // of the interface that the session is bound to, 0 for any
	close() error
}

// datagram is a received packet.
type datagram struct {
	channel channel
	vrf     string
	src     netip.Addr // without zone
	dst     netip.Addr // without zone
	ifindex int
	ttl     int
	at      time.Time // of reception by the kernel
	payload []byte
}
