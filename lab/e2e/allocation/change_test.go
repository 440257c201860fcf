package allocation

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
)

// change makes a Service differ from the plain one.
type change func(*corev1.Service)

func annotated(key, value string) change {
	return func(s *corev1.Service) {
		s.Annotations = maps.Clone(s.Annotations)
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[key] = value
	}
}

func requesting(addresses string) change { return annotated("metallb.io/loadBalancerIPs", addresses) }

func fromPool(pool string) change { return annotated("metallb.io/address-pool", pool) }

func sharing(key string) change { return annotated("metallb.io/allow-shared-ip", key) }

func inNamespace(name string) change { return func(s *corev1.Service) { s.Namespace = name } }

func labelled(key, value string) change {
	return func(s *corev1.Service) { s.Labels = map[string]string{key: value} }
}

func port(number int32, protocol corev1.Protocol) change {
	return func(s *corev1.Service) {
		s.Spec.Ports = []corev1.ServicePort{{Name: "port", Protocol: protocol, Port: number}}
	}
}

// families sets policy and families; no families are the API server's choice.
func families(policy corev1.IPFamilyPolicy, f ...corev1.IPFamily) change {
	return func(s *corev1.Service) { s.Spec.IPFamilyPolicy, s.Spec.IPFamilies = &policy, f }
}

func v6() change { return families(corev1.IPFamilyPolicySingleStack, corev1.IPv6Protocol) }

func requireDual() change { return families(corev1.IPFamilyPolicyRequireDualStack) }

func preferDual() change { return families(corev1.IPFamilyPolicyPreferDualStack) }

func local(selector map[string]string) change {
	return func(s *corev1.Service) {
		s.Spec.ExternalTrafficPolicy, s.Spec.Selector = corev1.ServiceExternalTrafficPolicyLocal, selector
	}
}

func ofClass(class string) change {
	return func(s *corev1.Service) { s.Spec.LoadBalancerClass = &class }
}

func ofType(t corev1.ServiceType) change { return func(s *corev1.Service) { s.Spec.Type = t } }
