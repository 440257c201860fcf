package bfd

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	journalLength = 1024        // lines that may wait to be written
	flushTime     = time.Second // for those that wait at the end
)

// journal writes log lines on a goroutine of its own: a log that nobody reads must not keep packets
// waiting. Lines that find it full are counted and left out.
type journal struct {
	log   *slog.Logger
	lines chan line
	lost  atomic.Uint64
}

type line struct {
	level   slog.Level
	message string
	args    []any
}

func newJournal(l *slog.Logger) *journal {
	if l == nil {
		l = slog.New(slog.DiscardHandler)
	}
	return &journal{log: l, lines: make(chan line, journalLength)}
}

// write adds a line and does not block.
func (j *journal) write(level slog.Level, message string, args ...any) {
	select {
	case j.lines <- line{level, message, args}:
	default:
		j.lost.Add(1)
	}
}

// run writes until quit is closed, and then what waits, for a second at most.
func (j *journal) run(quit <-chan struct{}) {
	var end time.Time
	for end.IsZero() || time.Now().Before(end) {
		var l line
		select {
		case l = <-j.lines:
		case <-quit:
			if end.IsZero() {
				end = time.Now().Add(flushTime)
			}
			select {
			case l = <-j.lines:
			default:
				return
			}
		}
		if n := j.lost.Swap(0); n > 0 {
			j.log.Warn("bfd: log lines left out", "lines", n)
		}
		j.log.Log(context.Background(), l.level, l.message, l.args...)
	}
}
