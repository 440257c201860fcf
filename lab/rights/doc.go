// Package rights compares what service accounts may do, by the RBAC objects of
// an installation, with what they have done and have been refused, by the audit
// logs of API servers (audit.k8s.io/v1). The first should be no more than the
// second.
package rights
