package members

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// Gossip is a Membership that takes part in the gossip of the speakers.
type Gossip struct {
	cfg     Config
	log     *slog.Logger
	ml      *memberlist.Config // template
	box     *mailbox
	started atomic.Bool
	left    chan struct{} // closed once this node has left
	ended   chan struct{} // closed once Run has returned
	snap    atomic.Pointer[Snapshot]
	changed chan struct{}
}

var _ Membership = (*Gossip)(nil)

// New checks the configuration. Nothing is opened before Run.
func New(cfg Config) (*Gossip, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	ml := cfg.memberlist()
	g := &Gossip{
		cfg: cfg, log: cfg.Log, ml: ml,
		box:     newMailbox(ml.RetransmitMult),
		left:    make(chan struct{}),
		ended:   make(chan struct{}),
		changed: make(chan struct{}, 1),
	}
	g.snap.Store(&Snapshot{
		Enabled: true, Self: cfg.NodeName,
		Alive:  map[string]Member{cfg.NodeName: {Name: cfg.NodeName}},
		Health: Health{WaitingForKey: cfg.Keyed, Port: cfg.BindPort},
	})
	return g, nil
}

// SetPeers implements Membership. A peer without an address, or with one that has a zone, cannot be
// contacted from here and is passed over.
func (g *Gossip) SetPeers(peers []Peer) {
	var list []Peer
	for _, p := range peers {
		a, port := p.Addr.Addr().Unmap(), p.Addr.Port()
		if port == 0 {
			port = g.cfg.BindPort
		}
		switch {
		case p.Node == g.cfg.NodeName, port == g.cfg.BindPort && (a == g.cfg.BindAddr || a == g.cfg.AdvertiseAddr):
			// this node
		case !a.IsValid() || a.Zone() != "" || a.IsUnspecified():
			g.log.Debug("peer without a usable address", "node", p.Node, "address", p.Addr.Addr())
		default:
			list = append(list, Peer{p.Node, netip.AddrPortFrom(a, port)})
		}
	}
	g.box.update(func(n *news) { n.peers, n.listed = list, true })
}

// SetKeys implements Membership.
func (g *Gossip) SetKeys(primary []byte, others ...[]byte) error {
	if !g.cfg.Keyed {
		return ErrNotKeyed
	}
	keys, err := checkKeys(primary, others)
	if err != nil {
		return err
	}
	g.box.update(func(n *news) { n.keys = keys })
	return nil
}

// SetState implements Membership.
func (g *Gossip) SetState(state []byte) error {
	if len(state) > MaxState {
		return fmt.Errorf("%w: %d bytes of at most %d", ErrStateTooLarge, len(state), MaxState)
	}
	own := append(make([]byte, 0, len(state)), state...)
	g.box.update(func(n *news) { n.state, n.told = own, true })
	return nil
}

// Snapshot implements Membership.
func (g *Gossip) Snapshot() Snapshot { return *g.snap.Load() }

// Changed implements Membership.
func (g *Gossip) Changed() <-chan struct{} { return g.changed }

// Leave implements Membership. It returns an error if ctx or Run ended before the members were told.
func (g *Gossip) Leave(ctx context.Context) error {
	g.box.update(func(n *news) { n.leave = true })
	select {
	case <-g.left:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("members: leave: %w", context.Cause(ctx))
	case <-g.ended:
		return fmt.Errorf("leave: %w", ErrStopped)
	}
}

// Run implements Membership. It returns ErrAlreadyRun if it was called before.
//
// memberlist does not wait for its prober. Run therefore stays, when there are other members, for as
// long as a probe under way can last: one probe interval on a node that is well, and never more than two
// seconds. On a node so late that its probes take longer, the last one ends by itself after that; it
// touches closed sockets only.
func (g *Gossip) Run(ctx context.Context) error {
	if g.started.Swap(true) {
		return ErrAlreadyRun
	}
	defer close(g.ended)
	newOwner(g).run(ctx)
	return nil
}

// publish makes s the snapshot if it differs from the current one.
func (g *Gossip) publish(s Snapshot) {
	if equal(*g.snap.Load(), s) {
		return
	}
	g.snap.Store(&s)
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

func equal(a, b Snapshot) bool {
	return a.Self == b.Self && a.Enabled == b.Enabled && reflect.DeepEqual(a.Health, b.Health) &&
		maps.EqualFunc(a.Alive, b.Alive, func(x, y Member) bool {
			return x.Addr == y.Addr && x.Foreign == y.Foreign && x.Incarnation == y.Incarnation &&
				x.Version == y.Version && (x.State == nil) == (y.State == nil) && bytes.Equal(x.State, y.State)
		})
}

// jitter spreads d by a quarter to either side.
func jitter(d time.Duration) time.Duration {
	return d - d/4 + rand.N(d/2+1)
}

// isMember tells whether a peer is among the members: by node name, or by address where no name is
// known.
func isMember(alive map[string]Member, addrs map[netip.AddrPort]string, p Peer) bool {
	if p.Node != "" {
		_, ok := alive[p.Node]
		return ok
	}
	_, ok := addrs[p.Addr]
	return ok
}

// addresses is the reverse of alive.
func addresses(alive map[string]Member) map[netip.AddrPort]string {
	out := make(map[netip.AddrPort]string, len(alive))
	for _, node := range slices.Sorted(maps.Keys(alive)) {
		out[alive[node].Addr] = node
	}
	return out
}
