package translate

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Classes are the values of spec.loadBalancerClass that this installation serves. The empty
// class stands for Services without one.
type Classes []string

// ParseClasses reads the flag --lb-class: a comma-separated list in which an empty element
// stands for Services without a class. The empty string means just those.
func ParseClasses(s string) Classes {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}

// Handles tells whether a Service is for this installation; else why it is not.
func (c Classes) Handles(svc *corev1.Service) (ok bool, why lb.Reason) {
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return false, lb.NotLoadBalancer
	}
	class := ""
	if svc.Spec.LoadBalancerClass != nil {
		class = *svc.Spec.LoadBalancerClass
	}
	if !slices.Contains(c, class) {
		return false, lb.OtherClass
	}
	return true, 0
}
