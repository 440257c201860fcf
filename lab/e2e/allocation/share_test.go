package allocation

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestSharedAddress(t *testing.T) {
	f := beside(t)
	pool := f.pool("p", each(f.Pool4.At(0), f.Pool4.At(1)), nil)
	shared := f.Pool4.At(0)
	app := map[string]string{"app": "web"}
	f.holds(f.service("tcp", sharing("k"), port(53, corev1.ProtocolTCP)), pool, shared)
	f.holds(f.service("udp", sharing("k"), port(53, corev1.ProtocolUDP)), pool, shared)

	taken := f.service("taken", sharing("k"), port(53, corev1.ProtocolUDP), requesting(shared.String()))
	f.event(taken, "Warning", "AllocationFailed", "53 is already in use")
	key := f.service("key", sharing("other"), port(80, corev1.ProtocolTCP), requesting(shared.String()))
	f.event(key, "Warning", "AllocationFailed", f.Namespace+"/tcp,"+f.Namespace+"/udp")
	policy := f.service("policy", sharing("k"), port(81, corev1.ProtocolTCP), local(app), requesting(shared.String()))
	f.event(policy, "Warning", "AllocationFailed", "with another externalTrafficPolicy")
	for _, name := range []string{"taken", "key", "policy"} {
		f.pending(f.key(name))
	}

	// Local goes with Local of the same selector.
	f.holds(f.service("local-a", sharing("l"), port(1, corev1.ProtocolTCP), local(app)), pool, f.Pool4.At(1))
	f.holds(f.service("local-b", sharing("l"), port(2, corev1.ProtocolTCP), local(app)), pool, f.Pool4.At(1))

	// What stood in the way goes: the Services that waited come in.
	f.service("tcp", ofType(corev1.ServiceTypeClusterIP))
	f.service("udp", ofType(corev1.ServiceTypeClusterIP))
	f.has(taken)
}

// Shared addresses of both families, over namespaces.
func TestSharedOverNamespaces(t *testing.T) {
	f := beside(t)
	other := f.namespace(f.Name+"-b", nil)
	pool := f.pool("p", each(f.Pool4, f.Pool6), spec{"serviceAllocation": map[string]any{"namespaces": []string{f.Namespace, other}}})
	f.holds(f.service("a", sharing("k"), port(1, corev1.ProtocolTCP), requireDual()), pool, f.Pool4.At(0), f.Pool6.At(0))
	b := f.service("b", sharing("k"), port(2, corev1.ProtocolTCP), requireDual(), inNamespace(other))
	f.holds(b, pool, f.Pool4.At(0), f.Pool6.At(0))
	// A port that is taken: the Service may not stay, and both families move together.
	f.service("b", sharing("k"), port(1, corev1.ProtocolTCP), requireDual(), inNamespace(other))
	f.holds(b, pool, f.Pool4.At(1), f.Pool6.At(1))
	f.event(b, "Normal", "ClearAssignment", "1 is already in use")
}
