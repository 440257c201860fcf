package plan

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/lb"
)

// AnnouncementChange is an address of a Service that is announced otherwise by a protocol.
type AnnouncementChange struct {
	Service  lb.ServiceKey `json:"service"`
	Address  netip.Addr    `json:"address"`
	Protocol lb.Protocol   `json:"protocol"`
	// Was and Will are the nodes that announce.
	Was  []Announcer `json:"was"`
	Will []Announcer `json:"will"`
	// Reasons say why nobody will, where nobody will; sorted.
	Reasons []lb.Reason `json:"reasons,omitempty"`
}

// Announcer is a node that announces an address.
type Announcer struct {
	Node string `json:"node"`
	// Links are those that the address is answered on by layer 2; none means all.
	Links []string `json:"links,omitempty"`
	// Routes are what peers are told by BGP, in words.
	Routes []string `json:"routes,omitempty"`
}

// String is the announcer in words.
func (a Announcer) String() string {
	switch {
	case len(a.Routes) > 0:
		return a.Node + ": " + strings.Join(a.Routes, "; ")
	case len(a.Links) > 0:
		return a.Node + " on " + strings.Join(a.Links, ", ")
	}
	return a.Node
}

// subject is what an announcement is about.
type subject struct {
	service  lb.ServiceKey
	address  netip.Addr
	protocol lb.Protocol
}

func (s subject) compare(o subject) int {
	return cmp.Or(s.address.Compare(o.address), s.service.Compare(o.service), cmp.Compare(s.protocol, o.protocol))
}

// announced is who announces, and why others do not.
type announced struct {
	by   []Announcer
	nots map[lb.Reason]bool
}

func compareAnnouncements(before, after *announce.Decider) (out []AnnouncementChange, unknown []lb.ServiceKey) {
	was, will := announcements(before), announcements(after)
	subjects := map[subject]bool{}
	for s := range was {
		subjects[s] = true
	}
	for s := range will {
		if isNew(s.service, before.World(), after.World()) {
			if !slices.Contains(unknown, s.service) {
				unknown = append(unknown, s.service)
			}
			continue
		}
		subjects[s] = true
	}
	slices.SortFunc(unknown, lb.ServiceKey.Compare)
	for _, s := range slices.SortedFunc(maps.Keys(subjects), subject.compare) {
		if reflect.DeepEqual(was[s].by, will[s].by) {
			continue
		}
		c := AnnouncementChange{Service: s.service, Address: s.address, Protocol: s.protocol, Was: was[s].by, Will: will[s].by}
		if len(c.Will) == 0 {
			c.Reasons = slices.Sorted(maps.Keys(will[s].nots))
		}
		out = append(out, c)
	}
	return out, unknown
}

// isNew tells whether a Service comes into being, and has no endpoints yet.
func isNew(k lb.ServiceKey, before, after *lb.World) bool {
	return before.Services[k] == nil && after.Endpoints[k].Total == 0
}

// announcements is what all nodes do.
func announcements(d *announce.Decider) map[subject]announced {
	out := map[subject]announced{}
	nodes := slices.Sorted(maps.Keys(d.World().Nodes))
	for k := range d.World().Services {
		for _, node := range nodes {
			for _, v := range d.AllVerdicts(k, node) {
				if !v.Address.IsValid() {
					continue
				}
				s := subject{service: k, address: v.Address, protocol: v.Protocol}
				a := out[s]
				if v.Outcome == lb.Announce {
					a.by = append(a.by, announcerOf(d, v))
				} else {
					if a.nots == nil {
						a.nots = map[lb.Reason]bool{}
					}
					a.nots[v.Reason] = true
				}
				out[s] = a
			}
		}
	}
	return out
}

func announcerOf(d *announce.Decider, v lb.Verdict) Announcer {
	a := Announcer{Node: v.Node, Links: v.Links}
	if v.Protocol == lb.BGP {
		routes, _ := d.Routes(v.Service, v.Address, v.Node)
		for _, r := range routes {
			a.Routes = append(a.Routes, inWords(r))
		}
		slices.Sort(a.Routes)
		a.Routes = slices.Compact(a.Routes)
	}
	return a
}

// inWords gives a route without the name of the advertisement that it comes from.
func inWords(r announce.Route) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s to %s", r.Prefix, strings.Join(r.Peers, ", "))
	if r.LocalPref != nil {
		fmt.Fprintf(&b, ", localPref %d", *r.LocalPref)
	}
	if r.MED != nil {
		fmt.Fprintf(&b, ", med %d", *r.MED)
	}
	if r.Prepend > 0 {
		fmt.Fprintf(&b, ", asPathPrepend %d", r.Prepend)
	}
	if len(r.Communities) > 0 {
		texts := make([]string, len(r.Communities))
		for i, c := range r.Communities {
			texts[i] = c.String()
		}
		fmt.Fprintf(&b, ", communities %s", strings.Join(texts, " "))
	}
	if r.GracefulShutdown {
		b.WriteString(", graceful shutdown")
	}
	return b.String()
}
