package controller

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/lintel-lb/lintel/internal/lb"
)

// batch is what watches have seen since the loop looked last.
type batch struct {
	// services holds every Service that was seen, of whatever type; nil means deleted.
	services map[lb.ServiceKey]*corev1.Service
	// gone holds what is known of the deleted ones.
	gone map[lb.ServiceKey]gone
	// namespaces holds the labels of namespaces; nil means deleted.
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

// gone is a Service that was deleted.
type gone struct {
	uid types.UID
	// version is that of the deletion, or an older one where the deletion itself was missed.
	version string
}

func newBatch() *batch {
	return &batch{
		services: map[lb.ServiceKey]*corev1.Service{}, gone: map[lb.ServiceKey]gone{},
		namespaces: map[string]map[string]string{}, nodes: map[string]*lb.Node{},
	}
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
	b.gone[k] = gone{uid: svc.UID, version: svc.ResourceVersion}
}

// setNamespace takes note of a namespace, which may have no labels.
func (b *batch) setNamespace(ns *corev1.Namespace) {
	if b.namespaces[ns.Name] = ns.Labels; ns.Labels == nil {
		b.namespaces[ns.Name] = map[string]string{}
	}
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

// replace puts the Services of a list in place of those that were seen, which may be older. What
// was seen while the list was on its way, and is newer than the list, stays.
func (b *batch) replace(items []corev1.Service, version string) {
	newer := map[lb.ServiceKey]bool{}
	for k, svc := range b.services {
		seen := b.gone[k].version
		if svc != nil {
			seen = svc.ResourceVersion
		}
		// What cannot be compared counts as older.
		if n, err := resourceversion.CompareResourceVersion(seen, version); err == nil && n > 0 {
			newer[k] = true
			continue
		}
		b.services[k] = nil
	}
	for i := range items {
		svc := &items[i]
		k := keyOf(svc)
		if g, deleted := b.gone[k]; newer[k] || deleted && g.uid == svc.UID {
			continue
		}
		svc.ManagedFields = nil
		b.services[k] = svc
	}
}

func keyOf(svc *corev1.Service) lb.ServiceKey {
	return lb.ServiceKey{Namespace: svc.Namespace, Name: svc.Name}
}
