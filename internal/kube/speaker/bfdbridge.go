package speaker

import (
	"log/slog"
	"maps"
	"net/netip"
	"sync"

	"github.com/lintel-lb/lintel/internal/bfd"
	"github.com/lintel-lb/lintel/internal/bgp"
)

// BFDEngine runs BFD sessions. It is implemented by *bfd.Engine.
type BFDEngine interface {
	// Set takes the whole desired set. It must not block.
	Set(map[bfd.Key]bfd.Params) error
	Snapshot() bfd.Snapshot
	Subscribe(func(bfd.Event)) (cancel func())
}

// LinkRouters knows the routers on the links of unnumbered peers. It is implemented by
// *bgp.LinkNeighbors.
type LinkRouters interface {
	// Router is the router in use on a link, without zone; invalid while none is known.
	Router(iface string) netip.Addr
	// Doubt says that a router was lost.
	Doubt(iface string, router netip.Addr)
	// Subscribe has f called whenever another router is in use on a link.
	Subscribe(f func(iface string))
}

// BFDBridge tells BGP sessions how the BFD sessions of their peers fare. It is the bgp.BFD of
// the BGP engine. Peers may share a BFD session. The BFD session of an unnumbered peer is with
// the router in use on the link and follows it.
type BFDBridge struct {
	engine  BFDEngine
	routers LinkRouters
	log     *slog.Logger

	mu sync.Mutex
	// wanted are the sessions by name of the peer, as they were set.
	wanted map[string]bfdPath
	// leaving are those of peers that are not wanted any more and whose BGP sessions still listen.
	leaving map[string]bfdPath
	// paths are those of both whose router is known.
	paths    map[string]bfd.Key
	states   map[bfd.Key]bgp.BFDState
	watchers map[string][]*bfdWatcher
	// refused says why the engine refused some of the sessions; nil if it did not.
	refused error
}

// bfdWatcher is one BGP session that listens.
type bfdWatcher struct {
	states chan bgp.BFDState
	// key is what was wanted when it began to listen; the zero Key if nothing was.
	key bfd.Key
}

// leftFor tells whether another router is wanted than when the BGP session began to listen. Then it is
// about to leave its router and says so itself: to hear that nothing is known of the path would have it
// close with a NOTIFICATION over which routers may keep the routes.
func (w *bfdWatcher) leftFor(wanted map[string]bfdPath, peer string) bool {
	p, ok := wanted[peer]
	return ok && w.key != (bfd.Key{}) &&
		(p.key.Peer != w.key.Peer || p.key.Interface != w.key.Interface || p.key.VRF != w.key.VRF)
}

// NewBFDBridge connects to an engine, which the caller runs, and to the routers on links.
func NewBFDBridge(engine BFDEngine, routers LinkRouters, log *slog.Logger) *BFDBridge {
	b := &BFDBridge{engine: engine, routers: routers, log: log,
		paths: map[string]bfd.Key{}, states: map[bfd.Key]bgp.BFDState{}, watchers: map[string][]*bfdWatcher{}}
	engine.Subscribe(b.changed)
	routers.Subscribe(b.routerChanged)
	return b
}

// set replaces the BFD sessions of all peers. One that is not wanted any more stays until its BGP
// session has ended: there are routers that take AdminDown for a failure of the path while BGP is
// up, and drop the routes.
func (b *BFDBridge) set(wanted map[string]bfdPath) {
	b.mu.Lock()
	defer b.mu.Unlock()
	leaving := map[string]bfdPath{}
	for peer := range b.watchers {
		if _, still := wanted[peer]; still {
			continue
		}
		if p, ok := b.wanted[peer]; ok {
			leaving[peer] = p
		} else if p, ok := b.leaving[peer]; ok {
			leaving[peer] = p
		}
	}
	b.wanted, b.leaving = wanted, leaving
	b.settle()
}

// routerChanged has the sessions on a link follow its router.
func (b *BFDBridge) routerChanged(iface string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.wanted {
		if p.key.Interface == iface {
			b.settle()
			return
		}
	}
}

// settle brings the engine in line with what is wanted; the lock is held. The engine never
// waits for a subscriber while it is set.
func (b *BFDBridge) settle() {
	desired := make(map[bfd.Key]bfd.Params, len(b.wanted))
	b.paths = make(map[string]bfd.Key, len(b.wanted))
	// What is wanted has the last word on parameters.
	for _, paths := range []map[string]bfdPath{b.leaving, b.wanted} {
		for peer, p := range paths {
			if !p.key.Peer.IsValid() {
				p.key.Peer = b.routers.Router(p.key.Interface)
			}
			if p.key.Peer.IsValid() {
				b.paths[peer] = p.key
				desired[p.key] = p.params
			}
		}
	}
	maps.DeleteFunc(b.states, func(k bfd.Key, _ bgp.BFDState) bool { _, wanted := desired[k]; return !wanted })
	for peer := range b.watchers {
		b.tell(peer)
	}
	err := b.engine.Set(desired)
	if err != nil && (b.refused == nil || err.Error() != b.refused.Error()) {
		b.log.Error("BFD sessions are refused", "error", err)
	}
	b.refused = err
}

// state is that of a peer's session; the lock is held.
func (b *BFDBridge) state(peer string) bgp.BFDState {
	k, ok := b.paths[peer]
	if !ok {
		return bgp.BFDUnknown
	}
	return b.states[k]
}

// changed is called by the engine for every change of a session's state.
func (b *BFDBridge) changed(e bfd.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Failed() && e.Key.Interface != "" {
		b.routers.Doubt(e.Key.Interface, e.Key.Peer)
	}
	for peer, key := range b.paths {
		if key != e.Key {
			continue
		}
		b.states[key] = stateOf(e) // of sessions that are wanted only, so not of one that leaves
		b.tell(peer)
	}
}

// tell has the BGP sessions of a peer hear of its state; the lock is held.
func (b *BFDBridge) tell(peer string) {
	for _, w := range b.watchers[peer] {
		if !w.leftFor(b.wanted, peer) {
			w.tell(b.state(peer))
		}
	}
}

// stateOf is the state that matters to BGP. A session that the other end took down on purpose
// says nothing about the path (RFC 5882 section 3.2).
func stateOf(e bfd.Event) bgp.BFDState {
	switch e.To {
	case bfd.Up:
		return bgp.BFDUp
	case bfd.Init:
		return bgp.BFDInit
	case bfd.AdminDown:
		return bgp.BFDAdminDown
	}
	if e.RemoteState == bfd.AdminDown {
		return bgp.BFDAdminDown
	}
	return bgp.BFDDown
}

// Watch implements bgp.BFD.
func (b *BFDBridge) Watch(peer string) (<-chan bgp.BFDState, func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &bfdWatcher{states: make(chan bgp.BFDState, 2), key: b.wanted[peer].key}
	b.watchers[peer] = append(b.watchers[peer], w)
	w.tell(b.state(peer))
	return w.states, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		list := b.watchers[peer][:0]
		for _, other := range b.watchers[peer] {
			if other != w {
				list = append(list, other)
			}
		}
		b.watchers[peer] = list
		if len(list) > 0 {
			return
		}
		delete(b.watchers, peer)
		if _, ok := b.leaving[peer]; ok {
			delete(b.leaving, peer)
			b.settle()
		}
	}
}

// tell queues a state. Of what a slow reader has not read yet, the newest stays, and before it
// a Down if there was one. Only one goroutine tells at a time.
func (w *bfdWatcher) tell(s bgp.BFDState) {
	down := false
	for unread := true; unread; {
		select {
		case old := <-w.states:
			down = down || old == bgp.BFDDown
		default:
			unread = false
		}
	}
	if down && s != bgp.BFDDown {
		w.states <- bgp.BFDDown
	}
	w.states <- s
}
