package lab

import "errors"

// Errors that callers branch on.
var (
	ErrNotRoot = errors.New("lab: it makes namespaces and mounts: run as root")
	ErrNoLab   = errors.New("lab: there is no lab of this name")
	ErrRunning = errors.New("lab: a lab of this name is running: take it down first")
	ErrCrashed = errors.New("lab: the host has crashed: boot it")
	ErrRole    = errors.New("lab: not possible with a host of this role")
)
