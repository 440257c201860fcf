// Package api holds the resources of the API group metallb.io as Go types: v1beta1 for
// all kinds, and v1beta2 for BGPPeer, which is the version that is stored. Fields that
// MetalLB has keep its names and meanings; what is added is optional and marked
// "(extension)" in its comment.
//
// The deep copies, the apply configurations, the custom resource definitions in config/crd
// and the reference in docs/api.md are generated from these types.
package api

//go:generate go tool -modfile=../tools/go.mod controller-gen object crd applyconfiguration paths=./v1beta1;./v1beta2 output:crd:dir=../config/crd
//go:generate go -C ../tools run ./apidoc ../config/crd ../docs/api.md
