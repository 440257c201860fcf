package members

import (
	"context"
	"net/netip"
)

// Membership is what the rest of a speaker sees of this package; New and Disabled make one.
// All methods but Run may be called at any time, before Run too, and from any goroutine.
type Membership interface {
	// Run takes part until ctx is done, then returns nil with everything it started ended. It can
	// be called once.
	Run(ctx context.Context) error

	// SetPeers says which peers ought to be members: each that is not is contacted at once and
	// then again, less and less often, until it is one. The list replaces the earlier one; the own
	// node in it is ignored. A node that leaves the list stays a member for as long as it is alive.
	SetPeers([]Peer)

	// SetKeys says which gossip keys to use. Messages are encrypted with primary and accepted with
	// any. To rotate without losing a message give every node the new key as other, then as
	// primary, then alone. Keys have 16, 24 or 32 bytes.
	SetKeys(primary []byte, others ...[]byte) error

	// SetState says what this node tells all others, at most MaxState bytes. It replaces what was
	// told before; telling the same again costs nothing.
	SetState([]byte) error

	// Snapshot returns what is known now. Nothing in it may be modified.
	Snapshot() Snapshot

	// Changed receives after the snapshot has changed; several changes may be told as one. There
	// is one such channel, for one receiver.
	Changed() <-chan struct{}

	// Leave tells the members that this node goes, so that they need not find out, and returns when
	// that is done or ctx is. The node stays able to listen and to answer until Run's ctx is done,
	// but is not a member any more and does not become one again.
	Leave(ctx context.Context) error
}

// Peer is a speaker that ought to be a member.
type Peer struct {
	Node string         // node name; where it is empty the address identifies the peer
	Addr netip.AddrPort // port 0 stands for the port of this node
}

// Snapshot is an immutable picture of the membership.
type Snapshot struct {
	// Enabled is false where membership is switched off: then Alive holds this node only and
	// nothing is known about others.
	Enabled bool
	// Self is the name of this node.
	Self string
	// Alive holds the members by node name: those not known to be dead or to have left. This node
	// is one of them until it leaves.
	Alive map[string]Member
	// Health tells how well membership works.
	Health Health
}

// Member is one speaker that is alive.
type Member struct {
	Name string
	// Addr is where it gossips. It is not valid for this node while it gossips nowhere.
	Addr netip.AddrPort
	// Foreign is true for a member that is not one of ours, such as a speaker of MetalLB. It never
	// tells a state.
	Foreign bool
	// State is what the node told last, perhaps in an earlier life if it has just restarted; nil
	// when it told nothing yet.
	State []byte
	// Incarnation and Version order the states of a node: Incarnation grows with each start of its
	// process, Version with each change.
	Incarnation, Version uint64
}

// disabled is the membership of a node that gossips with nobody.
type disabled struct{ self string }

// Disabled returns a Membership for a speaker without a bind address. Its snapshot says so and never
// changes, and what it is told goes nowhere.
func Disabled(node string) Membership { return disabled{node} }

func (d disabled) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (d disabled) SetPeers([]Peer)                 {}
func (d disabled) SetKeys([]byte, ...[]byte) error { return nil }
func (d disabled) SetState([]byte) error           { return nil }
func (d disabled) Changed() <-chan struct{}        { return nil }
func (d disabled) Leave(context.Context) error     { return nil }
func (d disabled) Snapshot() Snapshot {
	return Snapshot{Self: d.self, Alive: map[string]Member{d.self: {Name: d.self}}}
}
