package diagnose

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestStrictARP(t *testing.T) {
	for _, row := range []struct {
		name, config string
		want         bool
	}{
		{"ipvs without strictARP", "mode: ipvs\nipvs: {strictARP: false}", true},
		{"ipvs by default", "mode: ipvs", true},
		{"ipvs with strictARP", "mode: ipvs\nipvs: {strictARP: true}", false},
		{"iptables", "mode: iptables", false},
		{"nftables with a left-over", "mode: nftables\nipvs: {strictARP: false}", false},
		{"unset", "", false},
		{"garbage", "{", false},
	} {
		cm := &corev1.ConfigMap{Data: map[string]string{kubeProxyKey: row.config}}
		if got := StrictARP(cm) != ""; got != row.want {
			t.Errorf("%s: problem %v, want %v", row.name, got, row.want)
		}
	}
	if StrictARP(nil) != "" {
		t.Error("a missing ConfigMap is a problem")
	}
}
