// Package metallb pins the MetalLB that the lab takes over: its programs are built from this
// module, and its manifests and chart are applied as they were released.
package metallb
