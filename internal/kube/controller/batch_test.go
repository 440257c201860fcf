package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func service(name, uid, version string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(uid), ResourceVersion: version}}
}

// A replica may wait for the lead for months, in which Services come and go.
func TestAReplicaOnStandbyForgetsWhatIsGone(t *testing.T) {
	fresh := batches()
	b := fresh()
	svc := service("web", "u1", "1")
	b.services[keyOf(svc)] = svc
	b.namespaces["shop"] = map[string]string{"a": "b"}
	b.remove(svc)
	removeFrom(b, b.namespaces, "shop")
	if n := len(b.services) + len(b.namespaces); n != 0 {
		t.Errorf("%d entries are left on standby", n)
	}
	b = fresh()
	b.remove(svc)
	removeFrom(b, b.namespaces, "shop")
	if len(b.services) != 1 || len(b.namespaces) != 1 {
		t.Errorf("a leader is not told what is gone: %v %v", b.services, b.namespaces)
	}
}
