package announce

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Scope says on which links an address is to be answered.
type Scope struct {
	All bool
	// Links are names, sorted; nil with All.
	Links []string
}

// Equal tells whether two scopes are the same.
func (s Scope) Equal(o Scope) bool { return s.All == o.All && slices.Equal(s.Links, o.Links) }

// Owner gives the node that is to answer for an address; ok is false where there is none. In
// mixed membership Services that share an address may elect several; then it is one of them.
func (d *Decider) Owner(a netip.Addr) (node string, ok bool) {
	dec := d.decided[a]
	if dec == nil || dec.owner == nil {
		return "", false
	}
	return dec.owner.node, true
}

// Scope tells whether the node is to answer for the address, and where. It is not while the
// address is being probed, or found to be in use.
func (d *Decider) Scope(a netip.Addr, node string) (Scope, bool) {
	if _, held := d.w.Probes[a]; held {
		return Scope{}, false
	}
	return d.OwnerScope(a, node)
}

// OwnerScope is Scope without regard to probes: where the node would answer.
func (d *Decider) OwnerScope(a netip.Addr, node string) (Scope, bool) {
	dec := d.decided[a]
	if dec != nil && d.w.Settings.Mixed {
		return dec.mixedScope(node)
	}
	if dec == nil || dec.owner == nil || dec.owner.node != node {
		return Scope{}, false
	}
	return Scope{All: dec.owner.all, Links: dec.owner.links}, true
}

// Holders are the Services that hold an address, sorted. The slice belongs to the Decider.
func (d *Decider) Holders(a netip.Addr) []lb.ServiceKey { return d.holders[a] }

// Addresses are all addresses that Services hold, sorted.
func (d *Decider) Addresses() []netip.Addr {
	return slices.SortedFunc(maps.Keys(d.holders), netip.Addr.Compare)
}

// Verdicts says for each address of a Service what one node is to do, and why. A Service
// without address gives one verdict with an invalid Address; an unknown one gives none.
// Changes made after the last Flush are not looked at.
func (d *Decider) Verdicts(k lb.ServiceKey, node string) []lb.Verdict {
	s := d.w.Services[k]
	if s == nil {
		return nil
	}
	base := lb.Verdict{Service: k, Node: node, Protocol: lb.Layer2}
	if len(s.Addresses) == 0 {
		base.Outcome, base.Reason = lb.Pending, lb.NoAddress
		if len(s.ForeignIngress) > 0 {
			base.Outcome, base.Reason, base.Subject = lb.Not, lb.InvalidIngress, s.ForeignIngress[0]
		}
		return []lb.Verdict{base}
	}
	verdicts := make([]lb.Verdict, 0, len(s.Addresses))
	for _, a := range s.Addresses {
		v := base
		v.Address = a
		verdicts = append(verdicts, d.verdict(v))
	}
	return verdicts
}

func (d *Decider) verdict(v lb.Verdict) lb.Verdict {
	dec := d.decided[v.Address]
	i := slices.IndexFunc(dec.g.members, func(m member) bool { return m.svc.Key == v.Service })
	m := &dec.g.members[i]
	if m.reason != 0 {
		v.Outcome, v.Reason, v.Subject = lb.Not, m.reason, m.subject
		if m.reason == lb.NoConfig || m.reason == lb.JoiningMembers {
			v.Outcome = lb.Pending
		}
		return v
	}
	owner := dec.owner
	if d.w.Settings.Mixed {
		owner = dec.each[i]
	}
	if o := owner; o != nil && o.node == v.Node {
		if p, held := d.w.Probes[v.Address]; held {
			v.Outcome, v.Reason, v.Subject = lb.Pending, lb.AddressProbing, ""
			if p.Conflict != "" {
				v.Outcome, v.Reason, v.Subject = lb.Not, lb.AddressConflict, p.Conflict
			}
			return v
		}
		v.Outcome, v.Reason = lb.Announce, lb.Elected
		v.Links, v.AllLinks = o.links, o.all
		return v
	}
	v.Outcome = lb.Not
	if dec.shared {
		v.Reason = lb.SharedNoCommonNode
		return v
	}
	evaluate := dec.g.evaluate
	if d.w.Settings.Mixed {
		evaluate = m.evaluateMixed
	}
	c := evaluate(d.w, v.Node)
	if o := owner; o != nil {
		v.Owner = o.node
		// Without membership the others do not know what keeps this node from answering: they take it
		// for the owner, and nobody answers.
		if !d.w.Members.Enabled && c.reason == lb.NoUsableLink && c.beats(o) {
			v.Owner = ""
		}
		if c.reason == 0 {
			c.reason = lb.OtherNode
			if o.onSubnet && !c.onSubnet {
				c.reason = lb.NotOnSubnet
			}
		}
	}
	v.Reason, v.Subject = c.reason, c.subject
	return v
}

// AllVerdicts are those of both protocols about a Service on a node, by address and then by
// protocol. A protocol that does not concern an address is left out, unless neither does.
func (d *Decider) AllVerdicts(k lb.ServiceKey, node string) []lb.Verdict {
	var out []lb.Verdict
	for _, v := range d.Verdicts(k, node) {
		if !v.Address.IsValid() {
			return []lb.Verdict{v}
		}
		_, routed := d.Routes(k, v.Address, node)
		switch {
		case routed.Reason == 0:
			out = append(out, v)
		case v.Reason == lb.NoAdvertisement && routed.Reason != lb.NoAdvertisement:
			out = append(out, routed)
		case !routed.Reason.OfService() || v.Reason != routed.Reason:
			out = append(out, v, routed)
		default:
			out = append(out, v)
		}
	}
	return out
}
