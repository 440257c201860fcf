package l2

import (
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/links"
)

// input is what a plan depends on. Nodes see interfaces come and go with every pod;
// comparing inputs is what makes those cheap.
type input struct {
	version uint64
	desired Desired
	links   []linkInput
}

// linkInput is what a plan depends on of one link.
type linkInput struct {
	name     string
	index    int
	mac      links.MAC
	source   netip.Addr
	why      links.Reason
	arp, ndp bool
}

// inputOf reduces the links to those that are eligible or named by a scope.
func inputOf(d *versioned, c candidates) *input {
	in := &input{version: d.version, desired: d.Desired}
	for _, c := range c.all {
		if l := c.link; c.why == "" || d.names[l.Name] {
			in.links = append(in.links, linkInput{l.Name, l.Index, l.MAC, l.LinkLocal6, c.why, l.ARP(), l.NDP()})
		}
	}
	return in
}

func (in *input) equal(o *input) bool {
	return in.version == o.version && slices.Equal(in.links, o.links)
}

// namesIn collects the names of links in the scopes.
func namesIn(d Desired) map[string]bool {
	names := map[string]bool{}
	for _, s := range d.Addresses {
		for _, n := range s.Links {
			names[n] = true
		}
	}
	return names
}
