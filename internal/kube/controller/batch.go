package controller

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/lb"
)

// batch is what watches have seen since the loop looked last.
type batch struct {
	// services holds every Service that was seen, of whatever type; nil means deleted.
	services map[lb.ServiceKey]*corev1.Service
	// namespaces holds the labels of namespaces.
	namespaces map[string]map[string]string
	nodes      map[string]*lb.Node
	// config is set when any object that configuration is made of changed.
	config bool
	// status is set when somebody changed the status of such an object.
	status bool
	// standby is set until there is somebody to take the batch. What is deleted in that time, which
	// may be months, was never seen by anybody and needs no mention.
	standby bool
}

func newBatch() *batch {
	return &batch{services: map[lb.ServiceKey]*corev1.Service{}, namespaces: map[string]map[string]string{}, nodes: map[string]*lb.Node{}}
}

// batches makes batches, of which the first begins on standby.
func batches() func() *batch {
	standby := true
	return func() *batch {
		b := newBatch()
		b.standby, standby = standby, false
		return b
	}
}

// remove takes note of a Service that was deleted.
func (b *batch) remove(svc *corev1.Service) {
	k := keyOf(svc)
	if b.standby {
		delete(b.services, k)
		return
	}
	b.services[k] = nil
}

// removeFrom takes note in a map of the batch that an object was deleted.
func removeFrom[V any](b *batch, m map[string]V, name string) {
	if b.standby {
		delete(m, name)
		return
	}
	var none V
	m[name] = none
}

func keyOf(svc *corev1.Service) lb.ServiceKey {
	return lb.ServiceKey{Namespace: svc.Namespace, Name: svc.Name}
}
