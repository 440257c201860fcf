// Package config turns the resources that users write into the configuration that
// decisions are made from, and gives a verdict on every object.
//
// Parse is a pure function: the same resources in any order give the same result. A bad
// object never takes a good one with it. Where objects contradict one another, the one
// at fault is refused: what holds assigned addresses stays, then what was created first,
// then what comes first by name.
//
// The rules are those of MetalLB 0.16, and so are the words that users search for in
// messages; a remedy follows them.
package config
