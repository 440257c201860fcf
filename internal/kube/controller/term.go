package controller

import (
	"context"
	"errors"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// catchUpRetry is the pause after the Services could not be listed.
const catchUpRetry = time.Second

// term is the time in which a replica leads. The elector starts it on a goroutine of its own
// and does not wait for it; whoever runs the elector does.
type term struct {
	mu   sync.Mutex
	over bool
	done chan struct{}
}

// serve runs lead, unless the term was ended before it began.
func (t *term) serve(lead func()) {
	t.mu.Lock()
	if t.over {
		t.mu.Unlock()
		return
	}
	t.done = make(chan struct{})
	t.mu.Unlock()
	defer close(t.done)
	lead()
}

// end keeps a term that has not begun from beginning, and waits for one that has.
func (t *term) end() {
	t.mu.Lock()
	t.over = true
	done := t.done
	t.mu.Unlock()
	if done != nil {
		<-done
	}
}

// Ready says why the controller could not lead yet; nil means that it could, or does.
func (c *Controller) Ready() error {
	if !c.synced.Load() {
		return errors.New("the first lists from the API server are not complete")
	}
	return nil
}

// catchUp brings what Services have now into the inbox. The cache of a new leader may lag
// behind what the leader before it wrote last, and an address that is in use would look free.
// It tries until it succeeds, or until ctx is done, and tells which.
func (c *Controller) catchUp(ctx context.Context) bool {
	c.inbox.Post(func(b *batch) { b.standby = false })
	for {
		list, err := c.Clientset.CoreV1().Services("").List(ctx, metav1.ListOptions{})
		if err == nil {
			c.inbox.Post(func(b *batch) { b.replace(list.Items, list.ResourceVersion) })
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		c.Log.Warn("cannot list the Services; nothing is given before that", "error", err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(catchUpRetry):
		}
	}
}
