package translate

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/lb"
)

// cloudFinalizer is put on Services by the service controllers of cloud providers, among
// them that of k3s.
const cloudFinalizer = "service.kubernetes.io/load-balancer-cleanup"

// Service turns a Service object into what allocator and speaker need of it. Whether the
// Service is handled at all is Classes' question.
func Service(svc *corev1.Service) *lb.Service {
	out := &lb.Service{
		Key:           lb.ServiceKey{Namespace: svc.Namespace, Name: svc.Name},
		UID:           string(svc.UID),
		Labels:        svc.Labels,
		ClusterIPs:    clusterIPs(svc),
		PrimaryFamily: lb.IPv4,
		FamilyPolicy:  familyPolicy(svc),
		Backend:       backend(svc.Spec.Selector),
		SharingKey:    ipam.SharingKey(svc.Annotations),
		Request:       ipam.ParseRequest(svc.Annotations, svc.Spec.LoadBalancerIP),
		AssignedPool:  svc.Annotations[ipam.AnnotationAllocatedFrom],
	}
	if out.AssignedPool == "" && svc.Spec.LoadBalancerClass == nil && slices.Contains(svc.Finalizers, cloudFinalizer) {
		out.OtherController = "a cloud provider's controller (finalizer " + cloudFinalizer + ")"
	}
	if len(svc.Spec.IPFamilies) > 0 && svc.Spec.IPFamilies[0] == corev1.IPv6Protocol {
		out.PrimaryFamily = lb.IPv6
	}
	if svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		out.TrafficPolicy = lb.Local
	}
	for _, p := range svc.Spec.Ports {
		out.Ports = append(out.Ports, lb.Port{Protocol: string(p.Protocol), Number: uint16(p.Port)})
	}
	for _, in := range svc.Status.LoadBalancer.Ingress {
		a, err := netip.ParseAddr(in.IP)
		switch {
		case err == nil:
			out.Addresses = append(out.Addresses, a.Unmap())
		case in.IP != "":
			out.ForeignIngress = append(out.ForeignIngress, in.IP)
		case in.Hostname != "":
			out.ForeignIngress = append(out.ForeignIngress, in.Hostname)
		}
	}
	return out
}

// clusterIPs gives the cluster addresses, primary first; a headless Service has none.
func clusterIPs(svc *corev1.Service) []netip.Addr {
	texts := svc.Spec.ClusterIPs
	if len(texts) == 0 && svc.Spec.ClusterIP != "" {
		texts = []string{svc.Spec.ClusterIP}
	}
	var out []netip.Addr
	for _, t := range texts {
		if a, err := netip.ParseAddr(t); err == nil {
			out = append(out, a.Unmap())
		}
	}
	return out
}

func familyPolicy(svc *corev1.Service) lb.FamilyPolicy {
	if svc.Spec.IPFamilyPolicy == nil {
		return lb.SingleStack
	}
	switch *svc.Spec.IPFamilyPolicy {
	case corev1.IPFamilyPolicyPreferDualStack:
		return lb.PreferDualStack
	case corev1.IPFamilyPolicyRequireDualStack:
		return lb.RequireDualStack
	}
	return lb.SingleStack
}

// backend renders a selector so that equal selectors give equal text.
func backend(selector map[string]string) string {
	parts := make([]string, 0, len(selector))
	for _, k := range slices.Sorted(maps.Keys(selector)) {
		parts = append(parts, k+"="+selector[k])
	}
	return strings.Join(parts, ",")
}
