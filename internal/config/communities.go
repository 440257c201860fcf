package config

import (
	"strings"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/lb"
)

// communityTable is what the names that Community objects define stand for.
type communityTable map[string]lb.Community

type communityCandidate = candidate[*v1beta1.Community, communityTable]

// parseAliases applies the rules that concern one Community object alone.
func parseAliases(c *communityCandidate) *refusal {
	c.value = communityTable{}
	for _, alias := range c.object.Spec.Communities {
		v, r := parseCommunity(alias.Value)
		if r != nil {
			return r.within("parsing community %q: ", alias.Name)
		}
		if _, dup := c.value[alias.Name]; dup {
			return refuse(ReasonDuplicateCommunity, "duplicate definition of community %q in this object: remove one of the two", alias.Name)
		}
		c.value[alias.Name] = v
	}
	return nil
}

// settleCommunities joins the names of all objects. An object that defines a name again
// is refused.
func settleCommunities(cs []*communityCandidate) communityTable {
	table := communityTable{}
	definer := map[string]string{}
	for _, c := range cs {
		if c.refusal != nil {
			continue
		}
		for _, alias := range c.object.Spec.Communities {
			if other, dup := definer[alias.Name]; dup {
				c.refusal = refuse(ReasonDuplicateCommunity,
					"duplicate definition of community %q: Community %q defines it already; remove or rename one of the two", alias.Name, other)
				break
			}
		}
		if c.refusal != nil {
			continue
		}
		for name, v := range c.value {
			table[name], definer[name] = v, c.ref.Name
		}
	}
	return table
}

// resolve finds what an entry of BGPAdvertisement.spec.communities stands for.
func (t communityTable) resolve(s string) (lb.Community, *refusal) {
	if v, ok := t[s]; ok {
		return v, nil
	}
	v, r := parseCommunity(s)
	return v, r.within("invalid community %q in BGP advertisement: ", s)
}

// parseCommunity reads a literal community, with the words for what is wrong with it.
func parseCommunity(s string) (lb.Community, *refusal) {
	v, err := lb.ParseCommunity(s)
	if err == nil {
		return v, nil
	}
	if kind, _, _ := strings.Cut(s, ":"); kind == "rt" || kind == "soo" || kind == "extended" {
		return v, refuse(ReasonInvalidCommunity, "invalid community value: %v", err)
	}
	large := strings.HasPrefix(s, "large:")
	switch colons := strings.Count(s, ":"); {
	case colons == 1 && !large:
		return v, refuse(ReasonInvalidCommunity, "invalid community value: invalid section in %q: both numbers must be from 0 to 65535", s)
	case colons == 3 && large:
		return v, refuse(ReasonInvalidCommunity, "invalid community value: invalid section in %q: the numbers after large: must be from 0 to 4294967295", s)
	case colons == 3:
		return v, refuse(ReasonInvalidCommunity, "invalid community value: expected community to be of format large:NUMBER:NUMBER:NUMBER, not %q", s)
	}
	return v, refuse(ReasonInvalidCommunity,
		"invalid community format: %s: want NUMBER:NUMBER, large:NUMBER:NUMBER:NUMBER, or a name that a Community object defines", s)
}
