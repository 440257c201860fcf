package speaker

import (
	"log/slog"

	"github.com/lintel-lb/lintel/internal/config"
)

// configSummary remembers the verdicts about the configuration, and logs each refusal when it
// is new rather than with every read.
type configSummary struct {
	verdicts []config.Verdict
	logged   map[config.Ref]string
}

func (c *configSummary) set(log *slog.Logger, verdicts []config.Verdict) {
	c.verdicts = verdicts
	said := map[config.Ref]string{}
	for _, v := range verdicts {
		text := v.Text()
		if text == "" {
			continue
		}
		said[v.Object] = text
		if c.logged[v.Object] == text {
			continue
		}
		if v.Accepted {
			log.Warn("an object is in effect with a remark", "object", v.Object, "remark", text)
		} else {
			log.Warn("an object is refused; the rest goes on", "object", v.Object, "reason", v.Reason, "message", text)
		}
	}
	c.logged = said
}
