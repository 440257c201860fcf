package ipam

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

// backend is what must be equal for two Services to share an address besides their key.
// With policy Local a node answers only if it has endpoints, so all sharers must have the
// same ones; with policy Cluster every node can serve.
func backend(svc *lb.Service) string {
	if svc.TrafficPolicy == lb.Local {
		return svc.Backend
	}
	return ""
}

// sameSharing tells whether two versions of a Service are alike for the sharing rules.
func sameSharing(x, y *lb.Service) bool {
	return x.SharingKey == y.SharingKey && backend(x) == backend(y) && slices.Equal(x.Ports, y.Ports)
}

// sharingConflict says why the Service may not be a holder of the address besides those
// that are there; nil if it may. A sole holder may change whatever it likes.
func (a *Allocator) sharingConflict(svc *lb.Service, addr netip.Addr) *refusal {
	rec := a.addrs[addr]
	if rec == nil {
		return nil
	}
	var other *holding
	for _, h := range rec.holders {
		if h.svc.Key != svc.Key {
			other = h
			break
		}
	}
	if other == nil {
		return nil
	}
	mine := rec.heldBy(svc.Key)
	switch {
	case mine && svc.SharingKey != other.svc.SharingKey:
		return refuse(SharingBroken, "give all of them the same "+AnnotationSharingKey,
			"can't change sharing key for %q, address also in use by %s", svc.Key, rec.others(svc.Key))
	case other.svc.SharingKey == "":
		return refuse(AddressInUse, "to share it, give both Services the same "+AnnotationSharingKey,
			"address %s is in use by %s, which does not share it", addr, rec.others(svc.Key))
	case svc.SharingKey == "":
		return refuse(AddressInUse, fmt.Sprintf("to share it, set %s: %q", AnnotationSharingKey, other.svc.SharingKey),
			"address %s is in use by %s", addr, rec.others(svc.Key))
	case svc.SharingKey != other.svc.SharingKey:
		return refuse(AddressInUse, fmt.Sprintf("to share it, set %s: %q", AnnotationSharingKey, other.svc.SharingKey),
			"address %s is in use by %s under another sharing key", addr, rec.others(svc.Key))
	case backend(svc) != backend(other.svc):
		r := refuse(AddressInUse, "use policy Cluster for all of them, or policy Local with equal selectors",
			"address %s is in use by %s with another externalTrafficPolicy or, with policy Local, another selector",
			addr, rec.others(svc.Key))
		if mine {
			r.reason = SharingBroken
		}
		return r
	}
	for _, p := range svc.Ports {
		if by, ok := rec.ports[p]; ok && by != svc.Key {
			r := refuse(AddressInUse, "use another port or another address",
				"port %s/%d is already in use on %q by %s", p.Protocol, p.Number, addr, by)
			if mine {
				r.reason = SharingBroken
			}
			return r
		}
	}
	return nil
}
