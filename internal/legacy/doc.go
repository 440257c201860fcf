// Package legacy reads the configuration of MetalLB before version 0.13, one YAML text in a
// ConfigMap, and gives the objects that say the same today.
//
// Convert is a pure function from text to objects: the same text gives the same objects in
// the same order. It is strict. What would be lost or guessed, such as a key that is not
// known, a value of another type or a protocol that does not exist, is an error that names
// the key by its path and line; all of them are reported at once, and then there are no
// objects. The objects are checked by the rules of package config before they are given out.
package legacy
