package members

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	poll           = time.Second     // how often health is looked at
	conflictMemory = time.Minute     // how long a name conflict is reported after it was last seen
	leaveTimeout   = 2 * time.Second // how long spreading the word of leaving may take
	farewells      = 3               // members told of leaving directly
	probeWait      = 2 * time.Second // the longest stay for a probe under way at the end
	sendsAtOnce    = 16
)

// owner is the goroutine of Run: all state below is its own, and all I/O that can last is done by
// goroutines it starts, counts and waits for, which answer through results.
type owner struct {
	g     *Gossip
	log   *slog.Logger
	tasks sync.WaitGroup
	// results receives what a finished task changes.
	results chan func(now time.Time)

	bridge    *logBridge
	list      *memberlist.Memberlist // nil until the port is open
	transport *transport
	ring      *memberlist.Keyring
	keys      [][]byte // those in the ring
	bind      struct {
		err   string
		count int
		next  time.Time
	}

	news     news
	peers    []Peer // those the joiner has
	addrs    map[netip.AddrPort]string
	joins    *joiner
	store    *store
	exchange *exchange
	leaving  bool
	told     chan struct{} // closed once memberlist has told that we leave
	parted   bool          // the farewells are said
	hasLeft  bool
	said     bool   // to those who wait in Leave
	reminded string // the member that was reminded last
	joinErr  string
	health   struct {
		score int
		udp   []string
		next  time.Time
	}
}

func newOwner(g *Gossip) *owner {
	o := &owner{
		g: g, log: g.log,
		results:  make(chan func(time.Time), joinsAtOnce+sendsAtOnce),
		told:     make(chan struct{}),
		bridge:   newLogBridge(),
		store:    newStore(g.cfg.NodeName, uint64(time.Now().UnixNano())),
		exchange: newExchange(g.cfg.NodeName),
	}
	o.joins = newJoiner(jitter, rand.Uint64, func(p Peer) bool { return isMember(o.news.alive, o.addrs, p) })
	return o
}

func (o *owner) run(ctx context.Context) {
	var logging sync.WaitGroup
	stopLog := make(chan struct{})
	logging.Go(func() { o.bridge.run(o.log, stopLog) })
	defer logging.Wait()
	defer close(stopLog)
	defer o.shutdown()

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		result := func(time.Time) {}
		select {
		case <-ctx.Done():
			return
		case <-o.g.box.wake:
		case result = <-o.results:
		case <-timer.C:
		}
		now := time.Now()
		o.step(now, result)
		timer.Reset(o.wait(now))
	}
}

// step brings everything up to date with what is known at now, and with the result of a task.
func (o *owner) step(now time.Time, result func(time.Time)) {
	before := o.news
	o.news = o.g.box.look()
	o.addrs = addresses(o.news.alive)
	if o.news.dropped > 0 {
		o.log.Warn("messages dropped, the next exchange with a peer repairs that", "count", o.news.dropped)
	}

	result(now)
	o.open(now)
	o.membersChanged(before.alive, now)
	if o.news.told && o.store.setOwn(o.news.state) {
		o.announce(o.g.cfg.NodeName)
	}
	for _, raw := range o.news.messages {
		o.receive(raw, now)
	}
	o.store.expire(o.alive, now)
	o.leave()
	if o.list != nil && !o.leaving {
		if !slices.Equal(o.peers, o.news.peers) {
			o.peers = o.news.peers
			o.joins.set(o.peers, now)
		}
		for _, p := range o.joins.due(now) {
			o.join(p)
		}
	}
	if o.list != nil {
		for _, d := range o.exchange.next(sendsAtOnce, o.store, o.alive, now) {
			o.send(d)
		}
	}
	digest := message{kind: kindNotice, from: o.g.cfg.NodeName, entries: o.store.digest(o.alive)}.marshal()
	o.g.box.digest.Store(&digest)
	o.checkHealth(now)
	o.g.publish(o.snapshot())
	if o.hasLeft && !o.said {
		o.said = true
		close(o.g.left)
	}
}

// wait is how long nothing happens by itself.
func (o *owner) wait(now time.Time) time.Duration {
	waits := []time.Duration{max(o.health.next.Sub(now), time.Millisecond)}
	if o.list != nil {
		waits = append(waits, o.exchange.wait(sendsAtOnce, now))
		if !o.leaving {
			waits = append(waits, o.joins.wait(now))
		}
	}
	return slices.Min(waits)
}

func (o *owner) alive(node string) bool {
	_, ok := o.news.alive[node]
	return ok
}
