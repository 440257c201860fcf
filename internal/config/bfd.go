package config

import (
	"time"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/lb"
)

type bfdCandidate = candidate[*v1beta1.BFDProfile, *lb.BFDProfile]

// parseBFD applies the rules for BFDProfiles.
func parseBFD(c *bfdCandidate) *refusal {
	spec := &c.object.Spec
	p := &lb.BFDProfile{
		Name:        c.ref.Name,
		EchoMode:    spec.EchoMode != nil && *spec.EchoMode,
		PassiveMode: spec.PassiveMode != nil && *spec.PassiveMode,
	}
	for _, f := range []struct {
		what     string
		value    *int32
		min, max int32
		set      func(int32)
	}{
		{"detect multiplier", spec.DetectMultiplier, 2, 255, func(v int32) { p.DetectMultiplier = uint8(v) }},
		{"receive interval", spec.ReceiveInterval, 10, 60000, func(v int32) { p.ReceiveInterval = milliseconds(v) }},
		{"transmit interval", spec.TransmitInterval, 10, 60000, func(v int32) { p.TransmitInterval = milliseconds(v) }},
		{"echo interval", spec.EchoInterval, 10, 60000, func(v int32) { p.EchoInterval = milliseconds(v) }},
		{"minimum ttl", spec.MinimumTTL, 1, 254, func(v int32) { p.MinimumTTL = uint8(v) }},
	} {
		if f.value == nil {
			continue
		}
		if v := *f.value; v < f.min || v > f.max {
			return refuse(ReasonInvalidBFDParameter, "parsing bfd profile %s: invalid %s value: invalid value %d, must be in %d-%d range",
				c.ref.Name, f.what, v, f.min, f.max)
		}
		f.set(*f.value)
	}
	c.value = p
	return nil
}

func milliseconds(n int32) time.Duration { return time.Duration(n) * time.Millisecond }
