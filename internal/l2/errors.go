package l2

import "errors"

var (
	// ErrStopped is returned for work handed to an Engine whose Run has returned.
	ErrStopped = errors.New("l2: engine has stopped")
	// ErrNoLink is returned by Engine.Probe if no link in scope can be probed on.
	ErrNoLink = errors.New("l2: no usable link to probe on")
)
