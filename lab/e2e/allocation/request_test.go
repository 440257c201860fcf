package allocation

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestRequestedAddress(t *testing.T) {
	f := beside(t)
	pool := f.pool("p", each(f.Pool4, f.Pool6), spec{"autoAssign": false})
	f.holds(f.service("annotation", requesting(f.Pool4.At(3).String())), pool, f.Pool4.At(3))
	f.holds(f.service("field", func(s *corev1.Service) { s.Spec.LoadBalancerIP = f.Pool4.At(5).String() }), pool, f.Pool4.At(5))
	old := f.service("old", annotated("metallb.universe.tf/loadBalancerIPs", f.Pool6.At(2).String()), v6())
	f.holds(old, pool, f.Pool6.At(2))
	f.event(old, "Warning", "deprecatedAnnotation", "metallb.universe.tf/loadBalancerIPs")
	// The order of the request is that of the status, and it stays.
	both := f.service("both", requesting(f.Pool6.At(6).String()+", "+f.Pool4.At(6).String()), requireDual())
	f.holds(both, pool, f.Pool6.At(6), f.Pool4.At(6))
	f.holds(f.service("automatic", fromPool(pool)), pool, f.Pool4.At(0))
	f.holds(both, pool, f.Pool6.At(6), f.Pool4.At(6))
}

// A Service that asks for another address moves; one that asks for what it cannot get is
// told why.
func TestRequestChanges(t *testing.T) {
	f := beside(t)
	pool := f.pool("p", each(f.Pool4), nil)
	taken := f.service("taken", requesting(f.Pool4.At(0).String()))
	f.holds(taken, pool, f.Pool4.At(0))
	web := f.service("web", requesting(f.Pool4.At(1).String()))
	f.holds(web, pool, f.Pool4.At(1))
	f.service("web", requesting(f.Pool4.At(2).String()))
	f.holds(web, pool, f.Pool4.At(2))

	// What is no address is told, and the Service keeps what it has.
	f.service("web", requesting("10.0.0.300"))
	f.event(web, "Warning", "LoadBalancerFailed", `invalid metallb.io/loadBalancerIPs: "10.0.0.300"`)
	f.holds(web, pool, f.Pool4.At(2))
	f.service("web", requesting(f.Pool4.At(2).String()), func(s *corev1.Service) { s.Spec.LoadBalancerIP = f.Pool4.At(3).String() })
	f.event(web, "Warning", "LoadBalancerFailed", "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP")
	f.holds(web, pool, f.Pool4.At(2))

	f.service("web", requesting(f.Pool4.At(0).String()))
	f.event(web, "Warning", "AllocationFailed", taken.String())
	f.pending(web)
	f.delete(taken)
	f.holds(web, pool, f.Pool4.At(0))

	f.service("web", requesting(f.Routed4.Addr().Next().String()))
	f.event(web, "Warning", "AllocationFailed", "is not allowed in config")
	f.pending(web)
}

func TestRequestedPool(t *testing.T) {
	f := beside(t)
	first := f.pool("a", each(f.Pool4.At(0)), nil)
	named := f.pool("b", each(f.Pool4.At(1), f.Pool4.At(2)), spec{"autoAssign": false})
	web := f.service("web")
	f.holds(web, first, f.Pool4.At(0))
	f.holds(f.service("named", fromPool(named)), named, f.Pool4.At(1))
	f.holds(f.service("old", annotated("metallb.universe.tf/address-pool", named)), named, f.Pool4.At(2))
	full := f.service("full", fromPool(named))
	f.event(full, "Warning", "AllocationFailed", "no available IPs in pool "+named)
	unknown := f.service("unknown", fromPool(f.Name+"-none"))
	f.event(unknown, "Warning", "AllocationFailed", `unknown pool "`+f.Name+`-none"`)
	mismatch := f.service("mismatch", fromPool(first), requesting(f.Pool4.At(1).String()))
	f.event(mismatch, "Warning", "AllocationFailed", "is not compatible with requested address pool "+first)

	// A holder that names another pool moves there once there is room.
	f.delete(full)
	f.pool("b", each(f.Pool4.At(1), f.Pool4.At(2), f.Pool4.At(3)), spec{"autoAssign": false})
	f.service("web", fromPool(named))
	f.holds(web, named, f.Pool4.At(3))
}
