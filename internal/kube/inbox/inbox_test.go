package inbox

import (
	"sync"
	"testing"
)

func TestTakeSeesTheLatestOfEachKey(t *testing.T) {
	in := New(func() *map[string]int { return &map[string]int{} })
	in.Post(func(b *map[string]int) { (*b)["a"] = 1 })
	in.Post(func(b *map[string]int) { (*b)["a"] = 2 })
	<-in.Ready()
	if b := in.Take(); (*b)["a"] != 2 {
		t.Errorf("got %v, want a=2", *b)
	}
	if b := in.Take(); len(*b) != 0 {
		t.Errorf("a second Take gives %v, want nothing", *b)
	}
}

func TestNothingPostedIsLost(t *testing.T) {
	in := New(func() *map[int]bool { return &map[int]bool{} })
	var wg sync.WaitGroup
	const producers, each = 8, 500
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				in.Post(func(b *map[int]bool) { (*b)[p*each+i] = true })
			}
		})
	}
	seen := 0
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-in.Ready():
			seen += len(*in.Take())
		case <-done:
			running = false
		}
	}
	if seen += len(*in.Take()); seen != producers*each {
		t.Errorf("saw %d changes of %d", seen, producers*each)
	}
}
