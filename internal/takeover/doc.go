// Package takeover plans how a running MetalLB is replaced by Lintel, node by node, and how
// that is undone. It is pure: what is there and what was done goes in, steps and objections
// come out. Each step can be repeated, and has an inverse.
package takeover
