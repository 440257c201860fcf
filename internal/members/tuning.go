package members

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

// Tuning is what the memberlist configuration file changes of the LAN or WAN profile. The zero value
// changes nothing.
type Tuning struct {
	changes []func(*memberlist.Config)
}

// ParseTuning reads the memberlist configuration file: a JSON object with the keys that MetalLB 0.16
// knows, durations as Go strings ("500ms"). A key that is missing or null keeps the default of the
// profile. An unknown key, a value of the wrong type and a value with which memberlist cannot work are
// errors that name the key.
func ParseTuning(data []byte) (Tuning, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	var raw map[string]json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return Tuning{}, fmt.Errorf("members: memberlist configuration: want a JSON object: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Tuning{}, errors.New("members: memberlist configuration: text after the JSON object")
	}

	var t Tuning
	var errs []error
	knobs := tuningKnobs()
	for _, key := range sortedKeys(raw) {
		i := slices.IndexFunc(knobs, func(k knob) bool { return strings.EqualFold(k.key, key) })
		if i < 0 {
			errs = append(errs, fmt.Errorf("members: memberlist configuration: unknown key %q", key))
			continue
		}
		if string(raw[key]) == "null" {
			continue
		}
		change, err := knobs[i].parse(raw[key])
		if err != nil {
			errs = append(errs, fmt.Errorf("members: memberlist configuration: key %q: %w", key, err))
			continue
		}
		t.changes = append(t.changes, change)
	}
	if len(errs) > 0 {
		return Tuning{}, errors.Join(errs...)
	}
	return t, nil
}

func (t Tuning) apply(c *memberlist.Config) {
	for _, change := range t.changes {
		change(c)
	}
}

// knob is one key of the configuration file.
type knob struct {
	key   string
	parse func(json.RawMessage) (func(*memberlist.Config), error)
}

// tuningKnobs lists the keys. Lower bounds are those below which memberlist stops to work: it would
// spin, divide by zero or drop every message. Zero turns push/pull, plain gossip or indirect checks off.
func tuningKnobs() []knob {
	return []knob{
		duration("TCPTimeout", time.Millisecond, func(c *memberlist.Config) *time.Duration { return &c.TCPTimeout }),
		number("IndirectChecks", 0, func(c *memberlist.Config) *int { return &c.IndirectChecks }),
		number("RetransmitMult", 1, func(c *memberlist.Config) *int { return &c.RetransmitMult }),
		number("SuspicionMult", 1, func(c *memberlist.Config) *int { return &c.SuspicionMult }),
		number("SuspicionMaxTimeoutMult", 1, func(c *memberlist.Config) *int { return &c.SuspicionMaxTimeoutMult }),
		duration("PushPullInterval", 0, func(c *memberlist.Config) *time.Duration { return &c.PushPullInterval }),
		duration("ProbeTimeout", time.Millisecond, func(c *memberlist.Config) *time.Duration { return &c.ProbeTimeout }),
		duration("ProbeInterval", time.Millisecond, func(c *memberlist.Config) *time.Duration { return &c.ProbeInterval }),
		flag("DisableTcpPings", func(c *memberlist.Config) *bool { return &c.DisableTcpPings }),
		number("AwarenessMaxMultiplier", 1, func(c *memberlist.Config) *int { return &c.AwarenessMaxMultiplier }),
		number("GossipNodes", 0, func(c *memberlist.Config) *int { return &c.GossipNodes }),
		duration("GossipInterval", 0, func(c *memberlist.Config) *time.Duration { return &c.GossipInterval }),
		duration("GossipToTheDeadTime", 0, func(c *memberlist.Config) *time.Duration { return &c.GossipToTheDeadTime }),
		flag("GossipVerifyIncoming", func(c *memberlist.Config) *bool { return &c.GossipVerifyIncoming }),
		flag("GossipVerifyOutgoing", func(c *memberlist.Config) *bool { return &c.GossipVerifyOutgoing }),
		flag("EnableCompression", func(c *memberlist.Config) *bool { return &c.EnableCompression }),
		number("HandoffQueueDepth", 1, func(c *memberlist.Config) *int { return &c.HandoffQueueDepth }),
		number("UDPBufferSize", 512, func(c *memberlist.Config) *int { return &c.UDPBufferSize }),
		duration("QueueCheckInterval", time.Second, func(c *memberlist.Config) *time.Duration { return &c.QueueCheckInterval }),
	}
}

func duration(key string, least time.Duration, field func(*memberlist.Config) *time.Duration) knob {
	return knob{key, func(raw json.RawMessage) (func(*memberlist.Config), error) {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fmt.Errorf("want a duration string such as \"500ms\", have %s", raw)
		}
		d, err := time.ParseDuration(s)
		if err != nil {
			return nil, err
		}
		if d < least {
			return nil, fmt.Errorf("%s is less than %s", d, least)
		}
		return func(c *memberlist.Config) { *field(c) = d }, nil
	}}
}

func number(key string, least int, field func(*memberlist.Config) *int) knob {
	return knob{key, func(raw json.RawMessage) (func(*memberlist.Config), error) {
		var n int
		if err := json.Unmarshal(raw, &n); err != nil {
			return nil, fmt.Errorf("want a whole number, have %s", raw)
		}
		if n < least {
			return nil, fmt.Errorf("%d is less than %d", n, least)
		}
		return func(c *memberlist.Config) { *field(c) = n }, nil
	}}
}

func flag(key string, field func(*memberlist.Config) *bool) knob {
	return knob{key, func(raw json.RawMessage) (func(*memberlist.Config), error) {
		var b bool
		if err := json.Unmarshal(raw, &b); err != nil {
			return nil, fmt.Errorf("want true or false, have %s", raw)
		}
		return func(c *memberlist.Config) { *field(c) = b }, nil
	}}
}
