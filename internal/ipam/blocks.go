package ipam

import (
	"net/netip"

	"github.com/google/btree"
	"go4.org/netipx"

	"github.com/lintel-lb/lintel/internal/lb"
)

// block is a run of addresses, both ends included.
type block struct{ from, to netip.Addr }

func blockLess(a, b block) bool { return a.from.Less(b.from) }

// blocks is the set of addresses of one range that are not to be had: in use, reserved or
// retained. It is kept as maximal runs, so that the lowest free address is found next to
// the first run, however many addresses are taken.
//
// Where buggy addresses are avoided they count as not existing: a run goes on across them.
// So they cost nothing when a free address is looked for.
type blocks struct {
	r     netipx.IPRange
	avoid bool
	tree  *btree.BTreeG[block]
}

const treeDegree = 16

func newBlocks(r netipx.IPRange, avoidBuggy bool) *blocks {
	return &blocks{r: r, avoid: avoidBuggy && r.From().Is4(), tree: btree.NewG(treeDegree, blockLess)}
}

// usable tells whether an address of the range may be given out at all.
func (b *blocks) usable(a netip.Addr) bool { return !b.avoid || !lb.Buggy(a) }

// after gives the next usable address; it may lie beyond the range or be invalid.
func (b *blocks) after(a netip.Addr) netip.Addr {
	for a = a.Next(); a.IsValid() && !b.usable(a); a = a.Next() {
	}
	return a
}

// before gives the previous usable address; it may lie before the range or be invalid.
func (b *blocks) before(a netip.Addr) netip.Addr {
	for a = a.Prev(); a.IsValid() && !b.usable(a); a = a.Prev() {
	}
	return a
}

// free gives the lowest address that is to be had.
func (b *blocks) free() (netip.Addr, bool) {
	a := b.r.From()
	if !b.usable(a) {
		a = b.after(a)
	}
	if first, ok := b.tree.Min(); ok && first.from == a {
		a = b.after(first.to)
	}
	return a, a.IsValid() && !b.r.To().Less(a)
}

// at gives the run with the highest start that is at most a.
func (b *blocks) at(a netip.Addr) (out block, ok bool) {
	b.tree.DescendLessOrEqual(block{from: a}, func(x block) bool {
		out, ok = x, true
		return false
	})
	return out, ok
}

// add takes a usable address of the range out of the free space.
func (b *blocks) add(a netip.Addr) {
	n := block{from: a, to: a}
	if left, ok := b.at(a); ok {
		if !left.to.Less(a) {
			return
		}
		if b.after(left.to) == a {
			n.from = left.from
		}
	}
	if right, ok := b.tree.Get(block{from: b.after(a)}); ok {
		n.to = right.to
		b.tree.Delete(right)
	}
	b.tree.ReplaceOrInsert(n)
}

// remove gives an address back to the free space.
func (b *blocks) remove(a netip.Addr) {
	run, ok := b.at(a)
	if !ok || run.to.Less(a) {
		return
	}
	if run.from == a {
		b.tree.Delete(run)
	} else {
		b.tree.ReplaceOrInsert(block{from: run.from, to: b.before(a)})
	}
	if run.to != a {
		b.tree.ReplaceOrInsert(block{from: b.after(a), to: run.to})
	}
}
