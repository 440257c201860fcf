// Package takeover has Lintel take over a real MetalLB, the released one, in a lab, and give it
// back. MetalLB is built from its module; what it is made of is in lab/parts/metallb.
package takeover
