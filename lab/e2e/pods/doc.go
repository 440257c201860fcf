// Package pods tests what Lintel's pods may do, who may ask them, and how they
// are replaced, in a lab.
package pods
