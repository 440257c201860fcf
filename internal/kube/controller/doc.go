// Package controller gives addresses to Services. Watches fill an inbox; one goroutine owns
// the allocator and decides; writers bring its decisions to the API server side by side, and
// are never waited for.
//
// Of several replicas one leads and decides; the others only keep their caches warm. What
// Services have is loaded completely before the first new address is given, so that nothing
// that is in use is given away.
package controller
