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

// obstacle is what keeps a Service from being a holder of an address besides others.
type obstacle uint8

const (
	shareable obstacle = iota
	otherKey
	otherBackend
	portTaken
)

// mayHold tells whether the sharing rules allow the Service to be a holder of the address
// besides those that are there. A sole holder may change whatever it likes.
func (a *Allocator) mayHold(svc *lb.Service, addr netip.Addr) obstacle {
	rec := a.addrs[addr]
	if rec == nil {
		return shareable
	}
	other := rec.holders[0]
	if other.svc.Key == svc.Key {
		if len(rec.holders) == 1 {
			return shareable
		}
		other = rec.holders[1]
	}
	switch {
	case svc.SharingKey == "" || svc.SharingKey != other.svc.SharingKey:
		return otherKey
	case backend(svc) != backend(other.svc):
		return otherBackend
	}
	if _, taken := rec.takenPort(svc); taken {
		return portTaken
	}
	return shareable
}

// takenPort gives a port of the Service that another holder uses.
func (r *address) takenPort(svc *lb.Service) (lb.Port, bool) {
	for _, p := range svc.Ports {
		if by, ok := r.ports[p]; ok && by != svc.Key {
			return p, true
		}
	}
	return lb.Port{}, false
}

// sharingRefusal says why mayHold is not content; nil if it is.
func (a *Allocator) sharingRefusal(svc *lb.Service, addr netip.Addr) *refusal {
	why := a.mayHold(svc, addr)
	if why == shareable {
		return nil
	}
	rec := a.addrs[addr]
	others, mine := rec.others(svc.Key), rec.heldBy(svc.Key)
	reason := AddressInUse
	if mine {
		reason = SharingBroken
	}
	switch why {
	case otherBackend:
		return refuse(reason, "use policy Cluster for all of them, or policy Local with equal selectors",
			"address %s is in use by %s with another externalTrafficPolicy or, with policy Local, another selector", addr, others)
	case portTaken:
		p, _ := rec.takenPort(svc)
		return refuse(reason, "use another port or another address",
			"port %s/%d is already in use on %q by %s", p.Protocol, p.Number, addr, rec.ports[p])
	}
	switch {
	case mine:
		return refuse(reason, "give all of them the same "+AnnotationSharingKey,
			"can't change sharing key for %q, address also in use by %s", svc.Key, others)
	case rec.key() == "":
		return refuse(reason, "to share it, give both Services the same "+AnnotationSharingKey,
			"address %s is in use by %s, which does not share it", addr, others)
	case svc.SharingKey == "":
		return refuse(reason, fmt.Sprintf("to share it, set %s: %q", AnnotationSharingKey, rec.key()),
			"address %s is in use by %s", addr, others)
	}
	return refuse(reason, fmt.Sprintf("to share it, set %s: %q", AnnotationSharingKey, rec.key()),
		"address %s is in use by %s under another sharing key", addr, others)
}
