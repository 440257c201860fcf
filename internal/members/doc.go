// Package members tells which speakers are alive and carries one small document of each
// speaker, its state, to all others.
//
// It runs hashicorp/memberlist, an implementation of SWIM ("SWIM: Scalable Weakly-consistent
// Infection-style Process Group Membership Protocol", Das, Gupta, Motivala, 2002), and speaks the
// same wire format as MetalLB's speakers: port 7946, the node's name as member name, no label,
// the key of [KeyFromSecret]. So both can be members of one cluster.
//
// Membership is gossip and needs no API server. Callers say which peers ought to be members
// ([Gossip.SetPeers]), which keys to use ([Gossip.SetKeys]) and what this node tells about itself
// ([Gossip.SetState]), at any time and in any order; the package does the rest by itself. It answers
// with immutable values ([Gossip.Snapshot]) and one coalesced signal ([Gossip.Changed]).
//
// # State
//
// A member's metadata is limited to 512 bytes by the protocol, so state travels as user messages: a
// notice says who holds which version of whose state and is gossiped on every change and exchanged
// on every push/pull, and every second each member repeats its own to the next of the others; who
// lacks a version asks the holder and gets it over TCP. MetalLB's speakers ignore user messages. A version is a pair (incarnation, version), ordered in that order: the
// incarnation is set when the process starts and the version counts the changes, so what a node said
// earlier never replaces what it said later.
package members
