// Package probe measures how long a server cannot be reached.
//
// A Probe opens a new, independent TCP connection on a fixed schedule, every
// 10ms unless told, and asks for one page over it. No attempt waits for an
// earlier one. What comes out is a list of gaps: how long no attempt
// succeeded, who answered before and after, and whether the address itself was
// gone or only the server behind it did not answer. It begins with a control
// reading, a time in which nobody breaks anything, without which a gap proves
// nothing.
//
// The sockets may live in another network namespace than the program.
package probe
