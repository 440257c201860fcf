//go:build netns && linux

package links_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/lintel-lb/lintel/internal/l2/nstest"
	"github.com/lintel-lb/lintel/internal/links"
)

// What an event about a link costs with a table of 100,000 routes.
func BenchmarkListAmongRoutes(b *testing.B) {
	for name, needed := range map[string]bool{"gateways": true, "no gateways": false} {
		b.Run(name, func(b *testing.B) {
			lab := nstest.New(b)
			x, y := lab.NS(), lab.NS()
			lab.Pair(x, "eth0", y, "eth0")
			x.IP("addr add 192.0.2.9/24 dev eth0")
			x.IP("route add default via 192.0.2.1")
			routes(b, x, 100_000)
			if err := x.Do(func() error {
				w := links.NewWatcher(slog.New(slog.DiscardHandler))
				w.NeedGateways(needed)
				for b.Loop() {
					w.Relist(context.Background())
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		})
	}
}
