package allocation

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDrain(t *testing.T) {
	f := beside(t)
	pool := f.pool("p", each(f.Pool4), nil)
	holder := f.service("holder")
	f.holds(holder, pool, f.Pool4.At(0))
	f.pool("p", each(f.Pool4), spec{"drain": true})
	late := f.service("late")
	f.event(late, "Warning", "AllocationFailed", "draining")
	f.pending(late)
	f.holds(holder, pool, f.Pool4.At(0))
	f.pool("p", each(f.Pool4), nil)
	f.holds(late, pool, f.Pool4.At(1))
}

// A reserved address is for its Service, before it exists, and after it was deleted.
func TestReservation(t *testing.T) {
	f := beside(t)
	pool := f.pool("p", each(f.Pool4.At(0), f.Pool4.At(1)), spec{"reservations": []any{
		map[string]any{"namespace": f.Namespace, "name": "owner", "addresses": []string{f.Pool4.At(0).String()}},
	}})
	f.holds(f.service("other"), pool, f.Pool4.At(1))
	thief := f.service("thief", requesting(f.Pool4.At(0).String()))
	f.event(thief, "Warning", "AllocationFailed", "reserved")
	for range 2 {
		owner := f.service("owner")
		f.holds(owner, pool, f.Pool4.At(0))
		f.delete(owner)
	}
	full := f.service("full")
	f.event(full, "Warning", "AllocationFailed", "no available IPs")
	f.pending(full)
	f.pending(thief)
}

// The address of a deleted Service is kept for one of its name, and shown in the status of
// the pool; at the end of the time others may have it.
func TestRetention(t *testing.T) {
	f := beside(t)
	addresses := each(f.Pool4.At(0))
	pool := f.pool("p", addresses, spec{"retention": "1h"})
	web := f.service("web")
	f.holds(web, pool, f.Pool4.At(0))
	f.delete(web)
	f.Eventually("the pool says what it keeps", soon, func(ctx context.Context) error {
		st, err := f.poolStatus(ctx, pool)
		if err != nil {
			return err
		}
		if diff := cmp.Diff([]retained{{f.Namespace, "web", f.Pool4.At(0).String()}}, st.Retained); diff != "" {
			return fmt.Errorf("-want +got:\n%s", diff)
		}
		return nil
	})
	waiting := f.service("waiting")
	f.event(waiting, "Warning", "AllocationFailed", "no available IPs")
	f.pending(waiting)
	f.service("web")
	f.holds(web, pool, f.Pool4.At(0))

	f.pool("p", addresses, spec{"retention": "2s"})
	f.counts(pool, 1, 0, 0, 0)
	f.delete(web)
	f.holds(waiting, pool, f.Pool4.At(0))
}

func TestQuota(t *testing.T) {
	f := beside(t)
	other := f.namespace(f.Name+"-b", nil)
	pool := f.pool("p", each(f.Pool4), spec{
		"serviceAllocation": map[string]any{"namespaces": []string{f.Namespace, other}},
		"quota":             map[string]any{"perNamespace": 1, "namespaces": []any{map[string]any{"namespace": other, "addresses": 2}}},
	})
	first := f.service("a", sharing("k"))
	f.holds(first, pool, f.Pool4.At(0))
	// An address shared counts once.
	f.holds(f.service("b", sharing("k"), port(81, "TCP")), pool, f.Pool4.At(0))
	over := f.service("c")
	f.event(over, "Warning", "AllocationFailed", "namespace "+f.Namespace+" holds 1 of the 1 addresses that it may have of pool "+pool)
	f.pending(over)
	f.holds(f.service("a", inNamespace(other)), pool, f.Pool4.At(1))
	f.holds(f.service("b", inNamespace(other)), pool, f.Pool4.At(2))
	f.event(f.service("c", inNamespace(other)), "Warning", "AllocationFailed", "namespace "+other+" holds 2 of the 2")
	f.delete(first)
	f.service("b", ofType("ClusterIP"))
	f.has(over)
}

func TestRequesters(t *testing.T) {
	f := beside(t)
	other := f.namespace(f.Name+"-b", nil)
	pool := f.pool("p", each(f.Pool4), spec{
		"serviceAllocation": map[string]any{"namespaces": []string{f.Namespace, other}},
		"requesters":        map[string]any{"namespaces": []string{other}},
	})
	refused := f.service("refused", requesting(f.Pool4.At(4).String()))
	f.event(refused, "Warning", "AllocationFailed", "may not request specific addresses")
	f.pending(refused)
	f.holds(f.service("automatic"), pool, f.Pool4.At(0))
	f.holds(f.service("allowed", requesting(f.Pool4.At(4).String()), inNamespace(other)), pool, f.Pool4.At(4))
	f.service("refused")
	f.holds(refused, pool, f.Pool4.At(1))
}
