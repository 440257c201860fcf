package speaker

import (
	"log/slog"
	"maps"
	"sync"

	"github.com/lintel-lb/lintel/internal/bfd"
	"github.com/lintel-lb/lintel/internal/bgp"
)

// BFDBridge tells BGP sessions how the BFD sessions of their peers fare. It is the bgp.BFD of
// the BGP engine. Peers may share a BFD session.
type BFDBridge struct {
	engine *bfd.Engine
	log    *slog.Logger

	mu       sync.Mutex
	paths    map[string]bfd.Key
	states   map[bfd.Key]bgp.BFDState
	watchers map[string][]*bfdWatcher
}

// bfdWatcher is one BGP session that listens.
type bfdWatcher struct{ states chan bgp.BFDState }

// NewBFDBridge connects to an engine, which the caller runs.
func NewBFDBridge(engine *bfd.Engine, log *slog.Logger) *BFDBridge {
	b := &BFDBridge{engine: engine, log: log, paths: map[string]bfd.Key{}, states: map[bfd.Key]bgp.BFDState{}, watchers: map[string][]*bfdWatcher{}}
	engine.Subscribe(b.changed)
	return b
}

// set replaces the BFD sessions of all peers.
func (b *BFDBridge) set(paths map[string]bfdPath) {
	desired := make(map[bfd.Key]bfd.Params, len(paths))
	b.mu.Lock()
	b.paths = make(map[string]bfd.Key, len(paths))
	for peer, p := range paths {
		b.paths[peer] = p.key
		desired[p.key] = p.params
	}
	maps.DeleteFunc(b.states, func(k bfd.Key, _ bgp.BFDState) bool { _, wanted := desired[k]; return !wanted })
	for peer, list := range b.watchers {
		for _, w := range list {
			w.tell(b.state(peer))
		}
	}
	b.mu.Unlock()
	if err := b.engine.Set(desired); err != nil {
		b.log.Error("BFD sessions are refused", "error", err)
	}
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
	b.states[e.Key] = stateOf(e)
	for peer, key := range b.paths {
		if key != e.Key {
			continue
		}
		for _, w := range b.watchers[peer] {
			w.tell(b.states[key])
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
	w := &bfdWatcher{states: make(chan bgp.BFDState, 2)}
	b.mu.Lock()
	defer b.mu.Unlock()
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
		if len(list) == 0 {
			delete(b.watchers, peer)
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
