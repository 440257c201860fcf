package main

import (
	"os"
	"runtime/debug"
)

// collectPercent is by how much the heap of a speaker may grow between two collections. There is a
// speaker on every node, and memory there is worth more than the little time that it computes: with
// Go's 100 it would keep as much again as it uses.
const collectPercent = 50

// collectEarlier has memory collected earlier than Go does by itself, unless the environment says how.
func collectEarlier() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectPercent)
	}
}
