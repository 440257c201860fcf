//go:build netns && linux

package links

import "context"

// Relist lets tests measure one list.
func (w *Watcher) Relist(ctx context.Context) { w.relist(ctx) }
