// Package demo shows Lintel at work, step by step, on a real Kubernetes in the lab: what is
// applied, which address a Service gets, which node answers for it, and what happens when
// that node's cable is cut; then the same with BGP: sessions of all workers with a router,
// traffic spread over them, and a node that crashes.
package demo
