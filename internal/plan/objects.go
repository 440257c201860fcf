package plan

import (
	"slices"

	"github.com/lintel-lb/lintel/internal/config"
)

// ObjectChange is an object about which the verdict differs. Was and Will are nil where the
// object does not exist.
type ObjectChange struct {
	Object config.Ref `json:"object"`
	Was    *Verdict   `json:"was,omitempty"`
	Will   *Verdict   `json:"will,omitempty"`
}

// Verdict is what is said of an object.
type Verdict struct {
	Accepted bool          `json:"accepted"`
	Reason   config.Reason `json:"reason"`
	Message  string        `json:"message,omitempty"`
	Warnings []string      `json:"warnings,omitempty"`
}

func verdictOf(v config.Verdict) *Verdict {
	return &Verdict{Accepted: v.Accepted, Reason: v.Reason, Message: v.Message, Warnings: v.Warnings}
}

func (v *Verdict) same(o *Verdict) bool {
	return v.Accepted == o.Accepted && v.Reason == o.Reason && v.Message == o.Message && slices.Equal(v.Warnings, o.Warnings)
}

func compareVerdicts(before, after []config.Verdict) (out []ObjectChange) {
	for _, v := range after {
		c := ObjectChange{Object: v.Object, Will: verdictOf(v)}
		i := slices.IndexFunc(before, func(o config.Verdict) bool { return o.Object == v.Object })
		switch {
		case i < 0 && v.Accepted && len(v.Warnings) == 0:
			continue
		case i >= 0:
			if c.Was = verdictOf(before[i]); c.Was.same(c.Will) {
				continue
			}
		}
		out = append(out, c)
	}
	return out
}
