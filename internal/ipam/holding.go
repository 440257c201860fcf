package ipam

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/google/btree"

	"github.com/lintel-lb/lintel/internal/lb"
)

// holding is what one Service holds.
type holding struct {
	// svc is the Service as it was when its holding was last found in order.
	svc *lb.Service
	ns  Namespace
	// addrs are in the order of the status.
	addrs []netip.Addr
}

// address is the record of one address in use. Its holders may all share it with each other.
type address struct {
	addr netip.Addr
	// at is the range that contains the address; nil if no pool does.
	at *span
	// holders has at least one member; sorted by key.
	holders []*holding
	// ports says who uses a port. It is nil where the address is not shareable.
	ports map[lb.Port]lb.ServiceKey
}

// key gives the sharing key of the holders; empty means that the address is not shareable.
func (r *address) key() string { return r.holders[0].svc.SharingKey }

// heldBy tells whether the Service is a holder.
func (r *address) heldBy(key lb.ServiceKey) bool {
	return r != nil && slices.ContainsFunc(r.holders, func(h *holding) bool { return h.svc.Key == key })
}

// heldInNamespace tells whether a Service of the namespace other than this one is a holder.
func (r *address) heldInNamespace(key lb.ServiceKey) bool {
	return slices.ContainsFunc(r.holders, func(h *holding) bool {
		return h.svc.Key.Namespace == key.Namespace && h.svc.Key != key
	})
}

// others names the holders besides this Service.
func (r *address) others(key lb.ServiceKey) string {
	var names []string
	for _, h := range r.holders {
		if h.svc.Key != key {
			names = append(names, h.svc.Key.String())
		}
	}
	return strings.Join(names, ",")
}

// shareable gives those of the addresses in use that have a sharing key.
func (a *Allocator) shareable(addrs []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, addr := range addrs {
		if a.addrs[addr].key() != "" {
			out = append(out, addr)
		}
	}
	return out
}

// hold makes the Service of the holding a holder of the address. The caller has made sure
// that the sharing rules allow it.
func (a *Allocator) hold(h *holding, addr netip.Addr) {
	rec := a.addrs[addr]
	if rec == nil {
		rec = &address{addr: addr, at: a.spanOf(addr)}
		a.addrs[addr] = rec
	} else {
		a.unindex(rec)
	}
	i, _ := slices.BinarySearchFunc(rec.holders, h.svc.Key, func(x *holding, k lb.ServiceKey) int { return x.svc.Key.Compare(k) })
	rec.holders = slices.Insert(rec.holders, i, h)
	if h.svc.SharingKey != "" {
		if rec.ports == nil {
			rec.ports = map[lb.Port]lb.ServiceKey{}
		}
		for _, p := range h.svc.Ports {
			rec.ports[p] = h.svc.Key
		}
	}
	a.index(rec)
	if len(rec.holders) == 1 {
		a.refresh(addr)
	}
}

// drop ends the hold of a Service on an address.
func (a *Allocator) drop(h *holding, addr netip.Addr) {
	rec := a.addrs[addr]
	a.unindex(rec)
	rec.holders = slices.DeleteFunc(rec.holders, func(x *holding) bool { return x == h })
	if len(rec.holders) == 0 {
		delete(a.addrs, addr)
		a.refresh(addr)
		return
	}
	for _, p := range h.svc.Ports {
		if rec.ports[p] == h.svc.Key {
			delete(rec.ports, p)
		}
	}
	a.index(rec)
}

// index counts the record in what is derived from the records.
func (a *Allocator) index(rec *address) { a.count(rec, 1) }

// unindex takes the record out of what is derived from the records.
func (a *Allocator) unindex(rec *address) { a.count(rec, -1) }

func (a *Allocator) count(rec *address, n int) {
	if rec.at == nil {
		return
	}
	p := rec.at.pool
	p.assigned[lb.FamilyOf(rec.addr)-1] += int64(n)
	if p.usage != nil {
		// Holders are sorted, so those of one namespace stand together.
		last := ""
		for _, h := range rec.holders {
			if ns := h.svc.Key.Namespace; ns != last {
				last = ns
				if p.usage[ns] += n; p.usage[ns] == 0 {
					delete(p.usage, ns)
				}
			}
		}
	}
	if key := rec.key(); key != "" {
		a.share(key, sharedItem{ord: rec.at.pool.ord, index: rec.at.index, rec: rec}, n > 0)
	}
}

// sharedItem orders shareable addresses as they are considered for sharing: by pool, by
// range, by address.
type sharedItem struct {
	ord, index int
	rec        *address
}

func sharedLess(x, y sharedItem) bool {
	switch {
	case x.ord != y.ord:
		return x.ord < y.ord
	case x.index != y.index:
		return x.index < y.index
	case x.rec == nil || y.rec == nil:
		return x.rec == nil && y.rec != nil
	}
	return x.rec.addr.Less(y.rec.addr)
}

func (a *Allocator) share(key string, item sharedItem, in bool) {
	tree := a.shared[key]
	switch {
	case in && tree == nil:
		tree = btree.NewG(treeDegree, sharedLess)
		a.shared[key] = tree
		fallthrough
	case in:
		tree.ReplaceOrInsert(item)
	default:
		tree.Delete(item)
		if tree.Len() == 0 {
			delete(a.shared, key)
		}
	}
}
