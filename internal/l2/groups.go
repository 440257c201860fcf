package l2

import (
	"fmt"
	"net/netip"
	"slices"
)

// groupJoiner makes the host a member of multicast groups on one link. Membership is
// announced by MLD (RFC 3810), without which switches that snoop do not forward.
type groupJoiner interface {
	join(netip.Addr) error
	leave(netip.Addr) error
	close() error
}

// groups keeps the solicited-node groups of one link in step with the addresses answered
// there. It counts, as addresses with the same last 24 bits share a group.
type groups struct {
	joiner  groupJoiner
	members map[netip.Addr]struct{}
	refs    map[netip.Addr]int
	// refused are the addresses that could not be joined since retry.
	refused map[netip.Addr]error
}

func newGroups(j groupJoiner) *groups {
	return &groups{joiner: j, members: map[netip.Addr]struct{}{}, refs: map[netip.Addr]int{}, refused: map[netip.Addr]error{}}
}

// follow leaves the groups of addresses that the table lacks and joins those of up to
// limit addresses that it has. It returns whether addresses are left for another call,
// and what failed since retry. What could not be joined is left alone until then, so that
// calls come to an end where the kernel refuses more than the limit.
func (g *groups) follow(t *table, limit int) (more bool, failed map[netip.Addr]error) {
	failed = map[netip.Addr]error{}
	for a := range g.members {
		if t.get(a) == nil {
			if err := g.remove(a); err != nil {
				failed[a] = err
			}
		}
	}
	for a, err := range g.refused {
		if t.get(a) == nil {
			delete(g.refused, a)
		} else {
			failed[a] = err
		}
	}
	t.each(func(e *entry) {
		if _, ok := g.members[e.addr]; ok || failed[e.addr] != nil {
			return
		}
		if limit == 0 {
			more = true
			return
		}
		limit--
		if err := g.add(e.addr); err != nil {
			failed[e.addr], g.refused[e.addr] = err, err
		}
	})
	return more, failed
}

// retry has follow try again what could not be joined.
func (g *groups) retry() { clear(g.refused) }

func (g *groups) add(a netip.Addr) error {
	grp := solicitedNodeAddr(a)
	if g.refs[grp] == 0 {
		if err := g.joiner.join(grp); err != nil {
			return fmt.Errorf("l2: join %s for %s: %w", grp, a, err)
		}
	}
	g.refs[grp]++
	g.members[a] = struct{}{}
	return nil
}

func (g *groups) remove(a netip.Addr) error {
	delete(g.members, a)
	grp := solicitedNodeAddr(a)
	if g.refs[grp]--; g.refs[grp] > 0 {
		return nil
	}
	delete(g.refs, grp)
	if err := g.joiner.leave(grp); err != nil {
		return fmt.Errorf("l2: leave %s for %s: %w", grp, a, err)
	}
	return nil
}

// joined lists the groups, sorted.
func (g *groups) joined() []netip.Addr {
	list := make([]netip.Addr, 0, len(g.refs))
	for a := range g.refs {
		list = append(list, a)
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}
