// Package diagnose recognises surroundings in which layer 2 announcements cannot work, and
// says what to change. Its functions are pure.
package diagnose

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// Where kubeadm and others keep the configuration of kube-proxy.
const (
	KubeProxyNamespace = "kube-system"
	KubeProxyConfigMap = "kube-proxy"
	kubeProxyKey       = "config.conf"
)

// StrictARP tells whether kube-proxy, by its ConfigMap, makes every node answer for every
// address: in IPVS mode it puts the addresses on a link of each node, and without strictARP
// the kernels answer ARP for them. Empty means that there is nothing to complain about, also
// where the ConfigMap cannot be understood.
func StrictARP(cm *corev1.ConfigMap) (problem string) {
	var c struct {
		Mode string `json:"mode"`
		IPVS struct {
			StrictARP bool `json:"strictARP"`
		} `json:"ipvs"`
	}
	if cm == nil || yaml.Unmarshal([]byte(cm.Data[kubeProxyKey]), &c) != nil {
		return ""
	}
	if c.Mode != "ipvs" || c.IPVS.StrictARP {
		return ""
	}
	return "kube-proxy runs in IPVS mode without strictARP, so every node answers ARP for every address: " +
		"set ipvs.strictARP to true in the ConfigMap kube-system/kube-proxy and restart kube-proxy"
}
