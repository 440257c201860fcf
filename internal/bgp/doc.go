// Package bgp is a BGP-4 speaker that only announces (RFC 4271). Its truth is a desired
// map from peer to prefix to path attributes; every session compares that with what it
// has written to its peer and sends the difference. Routes of peers are never read:
// their UPDATEs are framed, counted and dropped, so there is no RIB, no best path and no
// policy.
//
// An Engine owns its sessions; a session is one goroutine that runs the state machine of
// RFC 4271, section 8, with a method for each state, and that owns all of the session's
// state. Two more goroutines for each connection do the reading and the writing, so that
// a peer that does not read holds up nothing but itself.
//
// Supported beyond RFC 4271: multiprotocol (4760) over either transport with extended
// next hop (8950), capabilities (5492, 9072), four-octet AS numbers (6793), route refresh
// (2918), graceful restart as the restarting speaker (4724) with notification (8538) and
// long-lived graceful restart (9494), communities (1997, 4360, 8092) and graceful
// shutdown (8326), shutdown communication (9003), BFD down (9384), FSM error subcodes
// (6608), send hold timer (9687), TCP MD5 (2385), GTSM (5082).
package bgp
