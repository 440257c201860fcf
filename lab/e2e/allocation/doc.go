// Package allocation holds the end-to-end tests of how Services get their addresses, against
// the real Kubernetes of a lab, and the measurement of how fast they do.
package allocation
