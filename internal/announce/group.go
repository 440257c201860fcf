package announce

import (
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

// group is an address with the Services that hold it.
type group struct {
	addr    netip.Addr
	members []member
	// active counts the members that count for the decision.
	active int
}

// member is one Service of a group, with what its own facts say.
type member struct {
	svc *lb.Service
	// reason is zero for a Service that counts, else why it does not.
	reason  lb.Reason
	subject string
	// adverts select both the pool and the Service.
	adverts []*lb.L2Advertisement
	// local is the endpoint count by node for policy Local, nil for Cluster.
	local map[string]int
}

// newGroup judges each Service on its own facts. The keys must exist in w and be sorted.
func newGroup(w *lb.World, addr netip.Addr, keys []lb.ServiceKey) *group {
	g := &group{addr: addr, members: make([]member, 0, len(keys))}
	for _, k := range keys {
		m := newMember(w, addr, w.Services[k])
		if m.reason == 0 {
			g.active++
		}
		g.members = append(g.members, m)
	}
	return g
}

func newMember(w *lb.World, addr netip.Addr, svc *lb.Service) member {
	m := member{svc: svc}
	refuse := func(r lb.Reason, subject string) member {
		m.reason, m.subject = r, subject
		return m
	}
	if w.Config == nil {
		return refuse(lb.NoConfig, "")
	}
	if w.Members.Enabled && w.Members.Joining {
		return refuse(lb.JoiningMembers, "")
	}
	if len(svc.ForeignIngress) > 0 {
		return refuse(lb.InvalidIngress, svc.ForeignIngress[0])
	}
	pool := w.Config.PoolOf(addr)
	if pool == nil || w.Settings.Mixed && !onePool(w.Config, svc.Addresses) {
		return refuse(lb.AddressNotInPool, "")
	}
	selected := false
	for _, a := range w.Config.L2 {
		if !a.SelectsPool(pool.Name) {
			continue
		}
		selected = true
		if a.Services.MatchesOrEmpty(svc.Labels) {
			m.adverts = append(m.adverts, a)
		}
	}
	switch {
	case !selected:
		return refuse(lb.NoAdvertisement, pool.Name)
	case len(m.adverts) == 0:
		return refuse(lb.ServiceNotSelected, pool.Name)
	}
	eps := w.Endpoints[svc.Key]
	if eps.Usable == 0 {
		return refuse(lb.NoEndpoints, "")
	}
	if svc.TrafficPolicy == lb.Local {
		m.local = eps.ByNode
		if m.local == nil {
			m.local = map[string]int{}
		}
	}
	return m
}

// allows tells whether the member's advertisements select the node and, for policy Local, an
// endpoint runs there; else why not.
func (m *member) allows(node *lb.Node) (ok bool, why lb.Reason) {
	if !slices.ContainsFunc(m.adverts, func(a *lb.L2Advertisement) bool { return a.Nodes.MatchesOrEmpty(node.Labels) }) {
		return false, lb.NodeNotSelected
	}
	if m.local != nil && m.local[node.Name] == 0 {
		return false, lb.NoLocalEndpoint
	}
	return true, 0
}

// noCommonNode tells whether every active member allows some node, but no node is allowed by all.
func (g *group) noCommonNode(w *lb.World) bool {
	if g.active < 2 {
		return false
	}
	satisfied := make([]bool, len(g.members))
	for _, node := range w.Nodes {
		all := true
		for i := range g.members {
			m := &g.members[i]
			if m.reason != 0 {
				satisfied[i] = true
				continue
			}
			if ok, _ := m.allows(node); ok {
				satisfied[i] = true
			} else {
				all = false
			}
		}
		if all {
			return false
		}
	}
	return !slices.Contains(satisfied, false)
}
