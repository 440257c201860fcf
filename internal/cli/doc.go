// Package cli holds the verbs for people: they read the cluster, ask the running speakers,
// and print. What a speaker that cannot be asked does is called unknown, never guessed; what
// it should do is told, from the same function that the speakers decide with.
package cli
