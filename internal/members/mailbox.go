package members

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	marker          = "lintel/1" // node metadata of our speakers; MetalLB's have none
	mailboxMessages = 1024
	mailboxBytes    = 16 << 20
)

// mailbox carries what callers and memberlist's callbacks say to the goroutine that owns everything.
// Nobody blocks on it: callers' words replace each other, the list of members is kept as it is now
// rather than as events, and messages that do not fit are dropped, which the next push/pull repairs.
type mailbox struct {
	wake chan struct{}

	mu   sync.Mutex
	news news
	udp  map[string]udpTrouble

	// What memberlist asks of us, prepared by the owner.
	digest    atomic.Pointer[[]byte]
	gossip    notices
	neighbors atomic.Int64
}

// news is what has come in since the owner last looked. Fields that are always current come with
// every look; the others are there once.
type news struct {
	peers     []Peer // current; nil before the first list
	listed    bool
	keys      [][]byte // current, primary first
	state     []byte   // current
	told      bool     // a state was set
	leave     bool
	alive     map[string]Member   // current; a copy
	conflicts map[string]conflict // current; a copy
	messages  [][]byte
	size      int // of messages, bytes
	dropped   int // messages
}

type conflict struct {
	Conflict
	at time.Time
}

// udpTrouble counts probes of a member in a row that had no direct answer over UDP.
type udpTrouble struct {
	failures int
	since    time.Time
}

func newMailbox(retransmit int) *mailbox {
	b := &mailbox{
		wake: make(chan struct{}, 1),
		udp:  map[string]udpTrouble{},
		news: news{alive: map[string]Member{}, conflicts: map[string]conflict{}},
	}
	b.gossip.mult = retransmit
	return b
}

// update changes the news under the lock and wakes the owner.
func (b *mailbox) update(change func(*news)) {
	b.mu.Lock()
	change(&b.news)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// look returns the news.
func (b *mailbox) look() news {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.news
	n.alive = maps.Clone(n.alive)
	n.conflicts = maps.Clone(n.conflicts)
	b.news.messages, b.news.size, b.news.dropped = nil, 0, 0
	return n
}

// forgetConflicts drops those noted before t.
func (b *mailbox) forgetConflicts(t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.news.conflicts, func(_ string, c conflict) bool { return c.at.Before(t) })
}

// udpBlocked lists the members whose UDP answers have been missing for at least the given time.
func (b *mailbox) udpBlocked(now time.Time, atLeast time.Duration) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for node, u := range b.udp {
		if u.failures >= 3 && now.Sub(u.since) >= atLeast {
			out = append(out, node)
		}
	}
	slices.Sort(out)
	return out
}

// The methods below are memberlist's callbacks. memberlist holds its lock during those about members.

// NotifyJoin implements memberlist.EventDelegate.
func (b *mailbox) NotifyJoin(n *memberlist.Node) { b.NotifyUpdate(n) }

// NotifyUpdate implements memberlist.EventDelegate.
func (b *mailbox) NotifyUpdate(n *memberlist.Node) {
	m := Member{Name: n.Name, Addr: addrOf(n), Foreign: string(n.Meta) != marker}
	b.update(func(w *news) {
		w.alive[m.Name] = m
		b.neighbors.Store(int64(len(w.alive)))
	})
}

// NotifyLeave implements memberlist.EventDelegate.
func (b *mailbox) NotifyLeave(n *memberlist.Node) {
	name := n.Name
	b.update(func(w *news) {
		delete(w.alive, name)
		delete(b.udp, name)
		b.neighbors.Store(int64(len(w.alive)))
	})
}

// NotifyConflict implements memberlist.ConflictDelegate.
func (b *mailbox) NotifyConflict(existing, other *memberlist.Node) {
	c := conflict{Conflict{existing.Name, addrOf(existing), addrOf(other)}, time.Now()}
	b.update(func(w *news) { w.conflicts[c.Node] = c })
}

// NodeMeta implements memberlist.Delegate.
func (b *mailbox) NodeMeta(int) []byte { return []byte(marker) }

// NotifyMsg implements memberlist.Delegate.
func (b *mailbox) NotifyMsg(p []byte) {
	if !bytes.HasPrefix(p, []byte(magic)) {
		return
	}
	p = bytes.Clone(p)
	b.update(func(w *news) {
		if len(w.messages) >= mailboxMessages || w.size+len(p) > mailboxBytes {
			w.dropped++
			return
		}
		w.messages = append(w.messages, p)
		w.size += len(p)
	})
}

// GetBroadcasts implements memberlist.Delegate.
func (b *mailbox) GetBroadcasts(overhead, limit int) [][]byte {
	return b.gossip.take(overhead, limit, int(b.neighbors.Load()))
}

// LocalState implements memberlist.Delegate.
func (b *mailbox) LocalState(bool) []byte {
	if d := b.digest.Load(); d != nil {
		return *d
	}
	return nil
}

// MergeRemoteState implements memberlist.Delegate.
func (b *mailbox) MergeRemoteState(p []byte, _ bool) { b.NotifyMsg(p) }

// AckPayload implements memberlist.PingDelegate.
func (b *mailbox) AckPayload() []byte { return nil }

// NotifyPingComplete implements memberlist.PingDelegate.
func (b *mailbox) NotifyPingComplete(n *memberlist.Node, _ time.Duration, _ []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.udp, n.Name)
}

// udpProbeFailed is called when a member did not answer a probe over UDP, before TCP is tried.
func (b *mailbox) udpProbeFailed(node string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, alive := b.news.alive[node]; !alive {
		return
	}
	u := b.udp[node]
	if u.failures == 0 {
		u.since = time.Now()
	}
	u.failures++
	b.udp[node] = u
}

func addrOf(n *memberlist.Node) netip.AddrPort {
	a, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(a.Unmap(), n.Port)
}
