package allocation

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A Service that no pool is for waits and is told why; a pool that is for it ends the wait.
func TestPendingUntilThereIsAPool(t *testing.T) {
	f := beside(t)
	other := f.namespace(f.Name+"-b", nil)
	f.pool("other", []string{f.Routed4.String()}, spec{"serviceAllocation": map[string]any{"namespaces": []string{other}}})
	web := f.service("web")
	f.event(web, "Warning", "AllocationFailed", `Failed to allocate IP for "`+web.String()+`": no available IPs`)
	f.pending(web)
	pool := f.pool("own", each(f.Pool4), nil)
	f.holds(web, pool, f.Pool4.At(0))
	f.event(web, "Normal", "IPAllocated", `Assigned IP ["`+f.Pool4.At(0).String()+`"]`)
}

func TestFamilies(t *testing.T) {
	f := beside(t)
	pool := f.pool("both", each(f.Pool4, f.Pool6), nil)
	f.holds(f.service("a"), pool, f.Pool4.At(0))
	f.holds(f.service("b", v6()), pool, f.Pool6.At(0))
	f.holds(f.service("c", requireDual()), pool, f.Pool4.At(1), f.Pool6.At(1))
	f.holds(f.service("d", preferDual()), pool, f.Pool4.At(2), f.Pool6.At(2))
	f.holds(f.service("e", families(corev1.IPFamilyPolicyRequireDualStack, corev1.IPv6Protocol, corev1.IPv4Protocol)),
		pool, f.Pool4.At(3), f.Pool6.At(3))
}

// A pool with one family serves PreferDualStack with one address, and with the second one as
// soon as it has it; RequireDualStack waits for both.
func TestSecondFamilyComesLater(t *testing.T) {
	f := beside(t)
	pool := f.pool("p", each(f.Pool4), nil)
	prefer := f.service("prefer", preferDual())
	f.holds(prefer, pool, f.Pool4.At(0))
	f.event(prefer, "Normal", "AdditionalAssignFailed", "cannot assign additional IP in PreferDualStack")
	require := f.service("require", requireDual())
	f.event(require, "Warning", "AllocationFailed", "no available IPs")
	f.pending(require)

	f.pool("p", each(f.Pool4, f.Pool6), nil)
	// The one that waits for its first address and the one that waits for its second are
	// served in the order of their names.
	f.holds(prefer, pool, f.Pool4.At(0), f.Pool6.At(0))
	f.holds(require, pool, f.Pool4.At(1), f.Pool6.At(1))
	f.event(prefer, "Normal", "IPAllocated", `Assigned additional IP "`+f.Pool6.At(0).String()+`"`)
}

// Changing the family policy of a Service adds and removes its second address and leaves the
// first alone.
func TestFamilyPolicyChanges(t *testing.T) {
	f := beside(t)
	pool := f.pool("p", each(f.Pool4, f.Pool6), nil)
	for _, policy := range []corev1.IPFamilyPolicy{corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack} {
		web := f.service("web")
		f.holds(web, pool, f.Pool4.At(0))
		f.service("web", families(policy))
		f.holds(web, pool, f.Pool4.At(0), f.Pool6.At(0))
		f.service("web")
		f.holds(web, pool, f.Pool4.At(0))
	}
}

// A Service of another class belongs to another controller: what that one writes stays, and
// the class decides when the Service comes over.
func TestClassChanges(t *testing.T) {
	f := beside(t)
	pool := f.pool("p", each(f.Pool4), nil)
	const other = "other.example/lb"
	web := f.service("web", ofClass(other))
	foreign := []byte(`{"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.7"}]}}}`)
	f.patchStatus(web, foreign)
	// Another Service that comes later shows that this one was seen.
	f.holds(f.service("later"), pool, f.Pool4.At(0))
	if a := assignmentOf(f.get(web)); len(a.Addresses) != 1 || a.Addresses[0] != "203.0.113.7" || a.Pool != "" {
		t.Errorf("the Service of class %s has %v", other, a)
	}

	f.service("web", ofType(corev1.ServiceTypeClusterIP))
	f.service("web")
	f.holds(web, pool, f.Pool4.At(1))

	f.service("web", ofType(corev1.ServiceTypeClusterIP))
	f.pending(web)
	f.service("web", ofClass(other))
	f.holds(f.service("next"), pool, f.Pool4.At(1))
	f.pending(web)
}

// A Service that is no load balancer any more has neither address nor annotation, and
// others can have the address.
func TestTypeChanges(t *testing.T) {
	f := beside(t)
	pool := f.pool("p", each(f.Pool4.At(0)), nil)
	web := f.service("web")
	f.holds(web, pool, f.Pool4.At(0))
	waiting := f.service("waiting")
	f.event(waiting, "Warning", "AllocationFailed", "no available IPs")

	f.service("web", ofType(corev1.ServiceTypeClusterIP))
	f.pending(web)
	f.holds(waiting, pool, f.Pool4.At(0))

	f.service("web")
	f.event(web, "Warning", "AllocationFailed", "no available IPs")
	f.delete(waiting)
	f.holds(web, pool, f.Pool4.At(0))
}

// What somebody else writes into the status does not take an address away.
func TestStatusChangedByHand(t *testing.T) {
	f := beside(t)
	pool := f.pool("p", each(f.Pool4, f.Pool6), nil)
	first, web := f.service("first"), f.service("web", requireDual())
	f.holds(first, pool, f.Pool4.At(0))
	f.has(web)
	f.delete(first)
	want := assignmentOf(f.get(web))
	for what, patch := range map[string]string{
		"cleared":              `{"status":{"loadBalancer":null}}`,
		"cleared with pool":    `{"metadata":{"annotations":{"` + allocatedFrom + `":null}},"status":{"loadBalancer":null}}`,
		"another free address": `{"status":{"loadBalancer":{"ingress":[{"ip":"` + f.Pool4.At(5).String() + `"}]}}}`,
		"a name":               `{"status":{"loadBalancer":{"ingress":[{"hostname":"lb.example"}]}}}`,
	} {
		before := f.get(web).ResourceVersion
		f.patchStatus(web, []byte(patch))
		if f.get(web).ResourceVersion == before {
			t.Errorf("%s: the status was not changed by hand", what)
		}
		f.becomes(web, want)
	}
}

func (f fixture) patchStatus(key client.ObjectKey, patch []byte) {
	f.t.Helper()
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	if err := f.Client.Status().Patch(f.t.Context(), svc, client.RawPatch(types.MergePatchType, patch)); err != nil {
		f.t.Fatal(err)
	}
}
