// Package kube is the only room that knows Kubernetes. Its packages turn objects into the
// vocabulary of package lb, drive the engines, and write status back.
//
//	apiserver   the way to the API server, which waits while that is away
//	translate   objects -> lb values
//	resources   the metallb.io objects of one namespace -> config.Resources
//	inbox       changes from watches, coalesced for the goroutine that owns the state
//	controller  gives addresses: Services and pools in, status out
//	speaker     makes the network match: World in, engines and status out
//	endpoint    the authenticated HTTP endpoint of a running process
package kube
