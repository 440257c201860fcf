package allocation

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab/e2e/install"
)

// poolStatus is the status of an IPAddressPool.
type poolStatus struct {
	AssignedIPv4  int64              `json:"assignedIPv4"`
	AssignedIPv6  int64              `json:"assignedIPv6"`
	AvailableIPv4 int64              `json:"availableIPv4"`
	AvailableIPv6 int64              `json:"availableIPv6"`
	Retained      []retained         `json:"retained"`
	Conditions    []metav1.Condition `json:"conditions"`
}

// retained is an address that a pool keeps.
type retained struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Address   string `json:"address"`
}

func (f fixture) poolStatus(ctx context.Context, name string) (poolStatus, error) {
	p := newPool()
	if err := f.Client.Get(ctx, client.ObjectKey{Namespace: install.Namespace, Name: name}, p); err != nil {
		return poolStatus{}, err
	}
	var out struct {
		Status poolStatus `json:"status"`
	}
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(p.Object, &out)
	return out.Status, err
}

// counts waits until a pool says how many addresses are assigned and available, IPv4 first.
func (f fixture) counts(pool string, assigned4, available4, assigned6, available6 int64) {
	f.t.Helper()
	want := []int64{assigned4, available4, assigned6, available6}
	f.Eventually("the counters of "+pool, soon, func(ctx context.Context) error {
		st, err := f.poolStatus(ctx, pool)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, []int64{st.AssignedIPv4, st.AvailableIPv4, st.AssignedIPv6, st.AvailableIPv6}); diff != "" {
			return fmt.Errorf("assigned and available IPv4, the same of IPv6: -want +got:\n%s", diff)
		}
		return nil
	})
}

func TestPoolCounters(t *testing.T) {
	f := beside(t)
	pool := f.pool("p", each(f.Pool4, f.Pool6), nil)
	f.counts(pool, 0, 8, 0, 8)
	f.service("a", sharing("k"))
	f.service("b", requireDual())
	f.counts(pool, 2, 6, 1, 7)
	// A shared address counts once.
	shared := f.service("c", sharing("k"), port(81, "TCP"))
	f.has(shared)
	last := f.service("d", v6())
	f.counts(pool, 2, 6, 2, 6)
	f.delete(last)
	f.counts(pool, 2, 6, 1, 7)
	f.pool("p", each(f.Pool4, f.Pool6, f.Routed4), nil)
	f.counts(pool, 2, 6+256, 1, 7)
}

// A pool that loses an address: its holder is told, moves, and is told again; the others
// stay where they are.
func TestPoolShrinks(t *testing.T) {
	f := beside(t)
	pool := f.pool("p", each(f.Pool4), nil)
	stays, moves := f.service("a"), f.service("b")
	f.holds(stays, pool, f.Pool4.At(0))
	f.holds(moves, pool, f.Pool4.At(1))
	f.event(moves, "Normal", "IPAllocated", f.Pool4.At(1).String())
	before := f.get(stays).ResourceVersion

	f.pool("p", each(f.Pool4.At(0), f.Pool4.At(5)), nil)
	f.holds(moves, pool, f.Pool4.At(5))
	cleared := f.event(moves, "Normal", "ClearAssignment",
		fmt.Sprintf("current IP for %q not allowed by config, will attempt for new IP assignment", moves.String()))
	again := f.event(moves, "Normal", "IPAllocated", f.Pool4.At(5).String())
	if version(cleared.ResourceVersion) > version(again.ResourceVersion) {
		t.Error("the new address was told before the loss of the old one")
	}
	if after := f.get(stays).ResourceVersion; after != before {
		t.Errorf("the Service that keeps its address was written: %s, before %s", after, before)
	}

	f.pool("p", each(f.Pool4.At(0)), nil)
	f.pending(moves)
	f.event(moves, "Warning", "AllocationFailed", "no available IPs")
	f.holds(stays, pool, f.Pool4.At(0))
}

// The holders of a pool that is deleted move to another that is for them. Where an address
// goes to another pool, they stay and only the annotation changes.
func TestPoolDeleted(t *testing.T) {
	f := beside(t)
	first := f.pool("a", each(f.Pool4), spec{"serviceAllocation": map[string]any{"namespaces": []string{f.Namespace}, "priority": 1}})
	second := f.pool("b", []string{f.Routed4.String()}, spec{"serviceAllocation": map[string]any{"namespaces": []string{f.Namespace}, "priority": 2}})
	web := f.service("web")
	f.holds(web, first, f.Pool4.At(0))
	f.deletePool(first)
	f.holds(web, second, f.Routed4.Addr())
	f.event(web, "Normal", "ClearAssignment", `["`+f.Pool4.At(0).String()+`"]`)

	f.deletePool(second)
	f.pending(web)
	f.pool("b", []string{f.Routed4.String()}, nil)
	f.holds(web, second, f.Routed4.Addr())
}

// noOtherPools fails the test where there are pools that are not its own.
func (f fixture) noOtherPools(own ...string) {
	f.t.Helper()
	pools := &unstructured.UnstructuredList{}
	pools.SetGroupVersionKind(newPool().GroupVersionKind())
	if err := f.Client.List(f.t.Context(), pools); err != nil {
		f.t.Fatal(err)
	}
	for _, p := range pools.Items {
		if !slices.Contains(own, p.GetName()) {
			f.t.Fatalf("there is the pool %s", p.GetName())
		}
	}
}

// Without any pool no Service has an address; the pool's return ends that.
func TestLastPoolDeleted(t *testing.T) {
	f := alone(t)
	pool := f.pool("p", each(f.Pool4), nil)
	f.noOtherPools(pool)
	a, b := f.service("a"), f.service("b")
	f.holds(a, pool, f.Pool4.At(0))
	f.holds(b, pool, f.Pool4.At(1))
	f.deletePool(pool)
	f.pending(a)
	f.pending(b)
	f.event(b, "Warning", "AllocationFailed", "no IPAddressPool exists")
	f.pool("p", each(f.Pool4), nil)
	f.holds(a, pool, f.Pool4.At(0))
	f.holds(b, pool, f.Pool4.At(1))
}

func TestPoolSelectors(t *testing.T) {
	f := beside(t)
	other := f.namespace(f.Name+"-b", map[string]string{"tier": "gold-" + f.Name})
	byService := f.pool("service", each(f.Pool4.At(0), f.Pool4.At(1)), spec{"serviceAllocation": map[string]any{
		"namespaces":       []string{f.Namespace, other},
		"serviceSelectors": []any{map[string]any{"matchLabels": map[string]string{"role": "web"}}},
	}})
	byNamespace := f.pool("namespace", each(f.Pool4.At(2), f.Pool4.At(3)), spec{"serviceAllocation": map[string]any{
		"namespaceSelectors": []any{map[string]any{"matchLabels": map[string]string{"tier": "gold-" + f.Name}}},
	}})
	f.holds(f.service("web", labelled("role", "web")), byService, f.Pool4.At(0))
	f.holds(f.service("gold", inNamespace(other)), byNamespace, f.Pool4.At(2))
	plain := f.service("plain")
	f.event(plain, "Warning", "AllocationFailed", "no available IPs")
	wanting := f.service("wanting", requesting(f.Pool4.At(3).String()))
	f.event(wanting, "Warning", "AllocationFailed", "not compatible for ip assignment")

	// A label makes the pool one for the Service; without it the pool is so no more.
	f.service("plain", labelled("role", "web"))
	f.holds(plain, byService, f.Pool4.At(1))
	f.service("plain")
	f.event(plain, "Normal", "ClearAssignment", "pool "+byService+" not compatible for ip assignment")
	f.pending(plain)
}

// A namespace whose label changes gets a pool, and loses it.
func TestNamespaceRelabelled(t *testing.T) {
	f := beside(t)
	label := map[string]string{"tier": "gold-" + f.Name}
	other := f.namespace(f.Name+"-b", nil)
	pool := f.pool("p", each(f.Pool4), spec{"serviceAllocation": map[string]any{
		"namespaceSelectors": []any{map[string]any{"matchLabels": label}},
	}})
	web := f.service("web", inNamespace(other))
	f.event(web, "Warning", "AllocationFailed", "no available IPs")
	named := f.service("named", inNamespace(other), fromPool(pool))
	f.event(named, "Warning", "AllocationFailed", "not compatible for ip assignment")
	f.pending(named)
	f.namespace(other, label)
	f.holds(named, pool, f.Pool4.At(0))
	f.holds(web, pool, f.Pool4.At(1))
	f.namespace(other, nil)
	f.pending(web)
	f.pending(named)
	f.event(web, "Normal", "ClearAssignment", "pool "+pool+" not compatible for ip assignment")
}
