package main

import (
	"runtime/debug"
	"testing"
)

func TestMemoryIsCollectedEarlier(t *testing.T) {
	for _, tt := range []struct {
		env  string
		want int
	}{{"", collectPercent}, {"200", 77}} { // Go itself reads GOGC at the start of the process
		t.Setenv("GOGC", tt.env)
		before := debug.SetGCPercent(77)
		collectEarlier()
		if got := debug.SetGCPercent(before); got != tt.want {
			t.Errorf("GOGC=%q: %d, want %d", tt.env, got, tt.want)
		}
	}
}
