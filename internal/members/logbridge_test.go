package members

import (
	"bytes"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestSplitLevel(t *testing.T) {
	tests := []struct {
		line  string
		level slog.Level
		text  string
	}{
		{"[DEBUG] memberlist: Stream connection from=1.2.3.4:5", slog.LevelDebug, "Stream connection from=1.2.3.4:5"},
		{"[INFO] memberlist: Suspect a has failed", slog.LevelInfo, "Suspect a has failed"},
		{"[WARN] memberlist: Refuting", slog.LevelWarn, "Refuting"},
		{"[ERR] memberlist: Failed", slog.LevelError, "Failed"},
		{"[ERROR] memberlist: Failed", slog.LevelError, "Failed"},
		{"[ERR] Failed to shutdown transport", slog.LevelError, "Failed to shutdown transport"},
		{"Err: Could not set the deadline", slog.LevelError, "Could not set the deadline"},
		{"plain", slog.LevelInfo, "plain"},
	}
	for _, tt := range tests {
		if level, text := splitLevel(tt.line); level != tt.level || text != tt.text {
			t.Errorf("%q: have %s %q", tt.line, level, text)
		}
	}
}

func TestLogBridgeNeverBlocks(t *testing.T) {
	b := newLogBridge()
	logger := log.New(b, "", 0)
	for range cap(b.lines) + 5 { // nobody reads
		logger.Print("[INFO] memberlist: again")
	}
	b.close()
	logger.Print("[ERR] memberlist: while closing")

	var out bytes.Buffer
	stop := make(chan struct{})
	close(stop)
	b.run(slog.New(slog.NewTextHandler(&out, nil)), stop)
	if got := strings.Count(out.String(), "msg=again"); got != cap(b.lines) {
		t.Errorf("wrote %d lines, want %d", got, cap(b.lines))
	}
	if !strings.Contains(out.String(), `msg="memberlist log lines dropped" count=5`) {
		t.Error("the dropped lines are not told")
	}
	if strings.Contains(out.String(), "while closing") {
		t.Error("a line of the closing was written")
	}
}

func TestRepeatsAreHeldBack(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	r, now := repeats{}, time.Unix(1000, 0)
	for range 5 {
		r.write(logger, "[WARN] memberlist: blocked", now)
		r.write(logger, "[INFO] memberlist: fine", now)
		now = now.Add(repeatEvery / 4)
	}
	want := "level=WARN msg=blocked\n" + strings.Repeat("level=INFO msg=fine\n", 4) +
		"level=WARN msg=blocked repeated=4\nlevel=INFO msg=fine\n"
	if out.String() != want {
		t.Errorf("have\n%s", out.String())
	}
	for i := range 2 * repeatLines {
		r.write(logger, fmt.Sprintf("[ERR] memberlist: %d", i), now)
	}
	if len(r) != repeatLines {
		t.Errorf("remembers %d lines", len(r))
	}
	r.write(logger, "[ERR] memberlist: later", now.Add(repeatEvery))
	if len(r) != 1 {
		t.Errorf("remembers %d lines after they have aged", len(r))
	}
}
