package config

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/api/v1beta2"
)

// maxHold is what the hold time field of an OPEN message can carry (RFC 4271, section 4.2).
const maxHold = 65535 * time.Second

// maxConnect bounds the time between attempts to open a session.
const maxConnect = 65535 * time.Second

// parseTimers derives the timer that is not given: the keepalive time is a third of the
// hold time. Both are nil where neither is given.
func parseTimers(c *peerCandidate) *refusal {
	hold, keepalive, r := sessionTimers(&c.object.Spec)
	if r != nil {
		return r.within("invalid BGPPeer timers: ")
	}
	if hold != nil && *hold > maxHold {
		c.warn("holdTime %q is more than the protocol can express, 65535s is used", *hold)
		*hold = maxHold
		*keepalive = min(*keepalive, *hold)
	}
	switch {
	case hold == nil:
	case *hold == 0:
		c.warn("a hold time of 0s turns the hold timer off, so that only BFD notices a router that dies silently: leave out holdTime and keepaliveTime for the default")
	case *keepalive == 0:
		c.warn("a keepaliveTime of 0s sends no KEEPALIVE messages, so that the router ends the session after the hold time: leave it out for a third of the hold time")
	}
	c.value.Hold, c.value.Keepalive = hold, keepalive
	return nil
}

func sessionTimers(spec *v1beta2.BGPPeerSpec) (hold, keepalive *time.Duration, r *refusal) {
	h, k := spec.HoldTime, spec.KeepaliveTime
	if h == nil && k == nil {
		return nil, nil, nil
	}
	var holdTime, keepaliveTime time.Duration
	shown := "nil"
	switch {
	case k == nil:
		holdTime, keepaliveTime = h.Duration, h.Duration/3
	case h == nil:
		holdTime, keepaliveTime = k.Duration*3, k.Duration
	default:
		holdTime, keepaliveTime = h.Duration, k.Duration
	}
	if h != nil {
		shown = h.Duration.String()
	}
	seconds := holdTime.Truncate(time.Second)
	if holdTime < 0 || seconds != 0 && seconds < 3*time.Second {
		return nil, nil, refuse(ReasonInvalidTimers, "invalid hold time %q: must be 0 or >=3s; it is three times keepaliveTime where it is not set", shown)
	}
	if keepaliveTime < 0 || keepaliveTime > holdTime {
		return nil, nil, refuse(ReasonInvalidTimers, "invalid keepaliveTime %q, must be lower than holdTime %q", keepaliveTime, holdTime)
	}
	keepaliveTime = min(keepaliveTime, seconds)
	return &seconds, &keepaliveTime, nil
}

// Bounds of the times of graceful restart: what the fields of the capabilities can carry
// (RFC 4724 section 3, RFC 9494 section 3).
const (
	maxRestart   = 4095 * time.Second
	maxLongLived = 16777215 * time.Second
)

// parseRestart reads the parameters of graceful restart.
func parseRestart(c *peerCandidate) (r *refusal) {
	gr, p := c.object.Spec.GracefulRestart, c.value
	if gr == nil {
		return nil
	}
	if p.GracefulRestart != nil && !*p.GracefulRestart {
		return refuse(ReasonInvalidRestart, "gracefulRestart needs graceful restart, which enableGracefulRestart turns off: remove gracefulRestart, or make the peer anew without enableGracefulRestart")
	}
	if p.RestartTime, r = restartSeconds("restartTime", gr.RestartTime, maxRestart); r != nil {
		return r
	}
	if p.LongLivedStaleTime, r = restartSeconds("longLivedStaleTime", gr.LongLivedStaleTime, maxLongLived); r != nil {
		return r
	}
	p.RestartNotification = gr.Notification
	return nil
}

func restartSeconds(field string, d *metav1.Duration, most time.Duration) (time.Duration, *refusal) {
	if d == nil {
		return 0, nil
	}
	if d.Duration < time.Second || d.Duration > most || d.Duration%time.Second != 0 {
		return 0, refuse(ReasonInvalidRestart, "invalid gracefulRestart.%s %q: must be whole seconds from 1s to %ds", field, d.Duration, most/time.Second)
	}
	return d.Duration, nil
}

// parseConnect reads the connect time, which is whole seconds.
func parseConnect(d *metav1.Duration) (*time.Duration, *refusal) {
	if d == nil {
		return nil, nil
	}
	if d.Duration < time.Second || d.Duration > maxConnect {
		return nil, refuse(ReasonInvalidTimers, "invalid BGPPeer timers: connect time should be between 1 seconds to 65535, not %s", d.Duration)
	}
	if d.Duration%time.Second != 0 {
		return nil, refuse(ReasonInvalidTimers, "invalid BGPPeer timers: connect time should contain a whole number of seconds, not %s", d.Duration)
	}
	t := d.Duration
	return &t, nil
}
