package l2

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/lintel-lb/lintel/internal/links"
)

// entry is what is counted and seen of one owned address, on all links together. It lives
// as long as the address is desired without interruption.
type entry struct {
	addr netip.Addr

	requests   atomic.Uint64
	probes     atomic.Uint64
	responses  atomic.Uint64
	gratuitous atomic.Uint64
	unsent     atomic.Uint64
	conflicts  atomic.Uint64

	conflict atomic.Pointer[Conflict]
}

// conflictInterval is how often at most the same claim is noted anew.
const conflictInterval = time.Second

// claim notes that another station claims the address and tells whether that is news.
func (e *entry) claim(link string, by links.MAC, now time.Time) bool {
	e.conflicts.Add(1)
	for {
		old := e.conflict.Load()
		c := &Conflict{Link: link, MAC: by, First: now, Last: now}
		if old != nil && old.Link == link && old.MAC == by {
			if now.Sub(old.Last) < conflictInterval {
				return false
			}
			c.First = old.First
		}
		if e.conflict.CompareAndSwap(old, c) {
			return true
		}
	}
}

// table holds the addresses that are answered through one socket. It is immutable; one
// lookup decides about a frame.
type table struct {
	v4 map[[4]byte]*entry
	v6 map[[16]byte]*entry
}

func newTable(entries []*entry) *table {
	v4 := 0
	for _, e := range entries {
		if e.addr.Is4() {
			v4++
		}
	}
	t := &table{v4: make(map[[4]byte]*entry, v4), v6: make(map[[16]byte]*entry, len(entries)-v4)}
	for _, e := range entries {
		if e.addr.Is4() {
			t.v4[e.addr.As4()] = e
		} else {
			t.v6[e.addr.As16()] = e
		}
	}
	return t
}

func (t *table) get(a netip.Addr) *entry {
	if a.Is4() {
		return t.v4[a.As4()]
	}
	return t.v6[a.As16()]
}

func (t *table) len() int { return len(t.v4) + len(t.v6) }

// each calls f for every entry, in no order.
func (t *table) each(f func(*entry)) {
	for _, e := range t.v4 {
		f(e)
	}
	for _, e := range t.v6 {
		f(e)
	}
}

// keys are what the kernel's filter program looks at: the address, or of an IPv6 address
// the last 32 bits.
func (t *table) keys() []uint32 {
	ks := make([]uint32, 0, t.len())
	for a := range t.v4 {
		ks = append(ks, uint32(a[0])<<24|uint32(a[1])<<16|uint32(a[2])<<8|uint32(a[3]))
	}
	for a := range t.v6 {
		ks = append(ks, uint32(a[12])<<24|uint32(a[13])<<16|uint32(a[14])<<8|uint32(a[15]))
	}
	return ks
}
