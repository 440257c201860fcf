// Package pki makes the certificates, keys and kubeconfigs of a cluster. They
// are as on a cluster that people run: one authority, an identity for each
// component, and what each may do is decided by RBAC and the node authorizer.
package pki
