package translate

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Node turns a Node object into what decisions need of it.
func Node(n *corev1.Node) *lb.Node {
	out := &lb.Node{Name: n.Name, Labels: n.Labels}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeNetworkUnavailable && c.Status == corev1.ConditionTrue {
			out.NetworkUnavailable = true
		}
	}
	for k, v := range n.Annotations {
		if strings.HasPrefix(k, lb.AnnotationPrefix) {
			if out.Annotations == nil {
				out.Annotations = map[string]string{}
			}
			out.Annotations[k] = v
		}
	}
	for _, a := range n.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil && a.Type == corev1.NodeInternalIP {
			out.Addresses = append(out.Addresses, ip)
		}
	}
	return out
}
