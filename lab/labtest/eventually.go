package labtest

import (
	"context"
	"time"
)

// Eventually calls check until it returns nil. If it does not within the
// deadline, the test fails with what check said last. The context that check
// gets ends with the deadline.
func (e *Env) Eventually(what string, deadline time.Duration, check func(ctx context.Context) error) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), deadline)
	defer cancel()
	if err := poll(ctx, check); err != nil {
		e.t.Fatalf("not within %v: %s; last seen: %v", deadline, what, err)
	}
}
