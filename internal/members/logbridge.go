package members

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"time"
)

// logBridge turns the lines of memberlist, which carry their level as a prefix, into records of slog.
// memberlist logs while it holds its locks, so a slow log must not hold it up: lines wait in a bounded
// queue, and those that find it full are counted and dropped.
type logBridge struct {
	lines   chan string
	dropped atomic.Int64
	closing atomic.Bool
}

func newLogBridge() *logBridge {
	return &logBridge{lines: make(chan string, 256)}
}

// Write implements io.Writer for log.Logger, which hands over one line a call.
func (b *logBridge) Write(p []byte) (int, error) {
	if b.closing.Load() {
		return len(p), nil
	}
	select {
	case b.lines <- string(bytes.TrimSpace(p)):
	default:
		b.dropped.Add(1)
	}
	return len(p), nil
}

// close ignores all further lines: while sockets are being closed, memberlist logs their errors.
func (b *logBridge) close() { b.closing.Store(true) }

// run writes the lines to log until stop is closed and the queue is empty.
func (b *logBridge) run(log *slog.Logger, stop <-chan struct{}) {
	r := repeats{}
	for {
		if n := b.dropped.Swap(0); n > 0 {
			log.Warn("memberlist log lines dropped", "count", n)
		}
		select {
		case line := <-b.lines:
			r.write(log, line, time.Now())
			continue
		default:
		}
		select {
		case line := <-b.lines:
			r.write(log, line, time.Now())
		case <-stop:
			return
		}
	}
}

const (
	repeatEvery = time.Minute
	repeatLines = 1024
)

// repeats holds back warnings and errors that are logged again and again, such as one for every probe
// of a member whose UDP port is blocked: each is written once in a while, with the number held back.
type repeats map[string]*repeat

type repeat struct {
	written time.Time
	held    int
}

func (r repeats) write(log *slog.Logger, line string, now time.Time) {
	level, text := splitLevel(line)
	if level < slog.LevelWarn {
		log.Log(context.Background(), level, text)
		return
	}
	last, ok := r[line]
	switch {
	case !ok:
		if len(r) >= repeatLines {
			maps.DeleteFunc(r, func(_ string, l *repeat) bool { return now.Sub(l.written) >= repeatEvery })
		}
		if len(r) < repeatLines {
			r[line] = &repeat{written: now}
		}
		log.Log(context.Background(), level, text)
	case now.Sub(last.written) < repeatEvery:
		last.held++
	default:
		log.Log(context.Background(), level, text, "repeated", last.held+1)
		*last = repeat{written: now}
	}
}

// splitLevel takes level and origin off a line such as "[WARN] memberlist: text". A line without a
// level is taken for information.
func splitLevel(line string) (slog.Level, string) {
	level := slog.LevelInfo
	for _, p := range []struct {
		prefix string
		level  slog.Level
	}{
		{"[DEBUG]", slog.LevelDebug},
		{"[INFO]", slog.LevelInfo},
		{"[WARN]", slog.LevelWarn},
		{"[ERROR]", slog.LevelError},
		{"[ERR]", slog.LevelError},
		{"Err:", slog.LevelError},
	} {
		if rest, ok := strings.CutPrefix(line, p.prefix); ok {
			level, line = p.level, strings.TrimSpace(rest)
			break
		}
	}
	return level, strings.TrimPrefix(line, "memberlist: ")
}
