package links

import "regexp"

// Reason says why a link is not used. The zero value means that it is.
type Reason string

const (
	// Excluded: the name matches one of the operator's patterns.
	Excluded Reason = "excluded"
	// Down: the link is administratively down or has no carrier.
	Down Reason = "down"
	// Enslaved: the link is a port of a bridge, a bond or a VRF; its master is used.
	Enslaved Reason = "enslaved"
	// NoARP: address resolution is switched off on the link.
	NoARP Reason = "no-arp"
)

// Eligible tells whether addresses may be answered for on the link, and if not, why. The
// patterns are unanchored; the first reason that holds, in the order of the constants,
// is given. Whether the link can speak ARP or NDP is a matter of Link.ARP and Link.NDP.
func Eligible(l *Link, exclude []*regexp.Regexp) (bool, Reason) {
	for _, re := range exclude {
		if re.MatchString(l.Name) {
			return false, Excluded
		}
	}
	switch {
	case !l.Up:
		return false, Down
	case l.Master != 0:
		return false, Enslaved
	case l.NoARP:
		return false, NoARP
	}
	return true, ""
}
