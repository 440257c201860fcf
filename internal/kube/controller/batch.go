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
}

func newBatch() *batch {
	return &batch{services: map[lb.ServiceKey]*corev1.Service{}, namespaces: map[string]map[string]string{}, nodes: map[string]*lb.Node{}}
}

func keyOf(svc *corev1.Service) lb.ServiceKey {
	return lb.ServiceKey{Namespace: svc.Namespace, Name: svc.Name}
}
