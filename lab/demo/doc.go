// Package demo shows Lintel at work, step by step, on a real Kubernetes in the lab: what is
// applied, which address a Service gets, which node answers for it, and what happens when
// that node's cable is cut.
package demo
