// Package wire is the BGP-4 message codec of an announce-only speaker: it writes every
// message, and reads all but the contents of an UPDATE (RFC 4271, with RFC 2918, 4724,
// 4760, 5492, 6793, 8092, 8950, 9003, 9072 and 9494). It does no I/O.
//
// A decoder's error carries the NOTIFICATION that answers the message, see Error.
package wire
