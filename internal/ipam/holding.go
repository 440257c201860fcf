package ipam

import (
	"net/netip"
	"slices"
	"strings"

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

// find gives the place of a Service among the holders.
func (r *address) find(key lb.ServiceKey) (int, bool) {
	return slices.BinarySearchFunc(r.holders, key, func(h *holding, k lb.ServiceKey) int { return h.svc.Key.Compare(k) })
}

// heldBy tells whether the Service is a holder.
func (r *address) heldBy(key lb.ServiceKey) bool {
	if r == nil {
		return false
	}
	_, ok := r.find(key)
	return ok
}

// heldInNamespace tells whether a Service of the namespace other than this one is a holder.
func (r *address) heldInNamespace(key lb.ServiceKey) bool {
	i, mine := r.find(key)
	after := i
	if mine {
		after++
	}
	return (i > 0 && r.holders[i-1].svc.Key.Namespace == key.Namespace) ||
		(after < len(r.holders) && r.holders[after].svc.Key.Namespace == key.Namespace)
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

// hold makes the Service of the holding a holder of the address. The caller has made sure
// that the sharing rules allow it.
func (a *Allocator) hold(h *holding, addr netip.Addr) {
	rec := a.addrs[addr]
	if rec == nil {
		rec = &address{addr: addr, at: a.spanOf(addr), holders: []*holding{h}}
		a.addrs[addr] = rec
		a.countAddress(rec, 1)
		a.refresh(addr)
	} else {
		i, _ := rec.find(h.svc.Key)
		rec.holders = slices.Insert(rec.holders, i, h)
	}
	if h.svc.SharingKey != "" {
		if rec.ports == nil {
			rec.ports = map[lb.Port]lb.ServiceKey{}
		}
		for _, p := range h.svc.Ports {
			rec.ports[p] = h.svc.Key
		}
	}
	a.countHolder(rec, h, 1)
}

// drop ends the hold of a Service on an address.
func (a *Allocator) drop(h *holding, addr netip.Addr) {
	rec := a.addrs[addr]
	a.countHolder(rec, h, -1)
	if len(rec.holders) == 1 {
		a.countAddress(rec, -1)
		delete(a.addrs, addr)
		a.refresh(addr)
		return
	}
	i, _ := rec.find(h.svc.Key)
	rec.holders = slices.Delete(rec.holders, i, i+1)
	for _, p := range h.svc.Ports {
		delete(rec.ports, p)
	}
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

// countAddress adds a record to what is derived from the records, or takes it out.
func (a *Allocator) countAddress(rec *address, n int) {
	if rec.at == nil {
		return
	}
	f := lb.FamilyOf(rec.addr)
	rec.at.pool.assigned[f-1] += int64(n)
	if key := rec.key(); key != "" {
		a.sharers.count(key, f, rec, n)
	}
}

// countHolder adds a holder to what is derived from the holders of a record, or takes it out.
func (a *Allocator) countHolder(rec *address, h *holding, n int) {
	if rec.at == nil {
		return
	}
	if !rec.heldInNamespace(h.svc.Key) {
		rec.at.pool.use(h.svc.Key.Namespace, n)
	}
	a.sharers.countPorts(h.svc, lb.FamilyOf(rec.addr), n)
}

// recount adds a record and its holders to what is derived from them.
func (a *Allocator) recount(rec *address) {
	if rec.at == nil {
		return
	}
	a.countAddress(rec, 1)
	for i, h := range rec.holders {
		// Holders are sorted, so those of one namespace stand together.
		if ns := h.svc.Key.Namespace; i == 0 || rec.holders[i-1].svc.Key.Namespace != ns {
			rec.at.pool.use(ns, 1)
		}
		a.sharers.countPorts(h.svc, lb.FamilyOf(rec.addr), 1)
	}
}
