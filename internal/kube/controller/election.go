package controller

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

func leaseMeta(c Config) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Lease}
}
