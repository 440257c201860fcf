// Package bfd is a Bidirectional Forwarding Detection speaker: RFC 5880 (protocol), RFC 5881
// (one hop over IPv4 and IPv6) and RFC 5883 (several hops). It runs the asynchronous mode, with
// the echo function for one IPv4 hop, and keyed MD5 and SHA1 authentication. Its own demand mode is
// off; that of a peer is obeyed.
//
// An [Engine] is given the whole desired set of sessions with [Engine.Set] and finds the
// difference itself. It tells state changes to subscribers from its own goroutine, within
// microseconds, and hands out immutable snapshots.
//
// The protocol is in three layers. fsm.go is the state machine of RFC 5880 section 6.8.6 as a
// pure function. session.go and its neighbours hold the variables and timers of one session; they
// take the time as an argument and return what is to be done. The engine is one goroutine that
// owns all sessions, and sockets are behind the network interface.
//
// A session is declared down by this end only when its own observation can be trusted: before a
// detection timer is judged, all sockets are read empty, packets count from the time at which the
// kernel received them, and a timer that fired late buys the peer one more packet interval, once.
//
// What it needs on Linux: UDP ports 3784 and 4784 as soon as a session of the kind is wanted, no
// right for that; CAP_NET_RAW for the echo function; and, for short intervals on a busy system,
// CAP_SYS_NICE, with which the engine's thread runs in the real-time class. Without it a cgroup with
// little CPU share, or a CPU limit, makes timers late: [Counters] and [Snapshot] tell.
package bfd
