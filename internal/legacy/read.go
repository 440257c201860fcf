package legacy

import (
	"math"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
)

// maxPort is the highest port that a BGPPeer can have.
const maxPort = 16384

// configuration is a text as it was read: specs as objects will have them, with the places
// that they come from.
type configuration struct {
	peers       []peer
	communities []v1beta1.CommunityAlias
	profiles    []profile
	pools       []addressPool
	// communitiesAt is the place of bgp-communities.
	communitiesAt value
}

type peer struct {
	at        value
	spec      v1beta2.BGPPeerSpec
	profileAt value
	notes     []string
}

type profile struct {
	at   value
	name string
	spec v1beta1.BFDProfileSpec
}

type addressPool struct {
	at, protocolAt, advertisementsAt value
	name, protocol                   string
	spec                             v1beta1.IPAddressPoolSpec
	advertisements                   []advertisement
}

type advertisement struct {
	at   value
	spec v1beta1.BGPAdvertisementSpec
}

// read reads the whole text.
func read(v value) (c configuration) {
	v.object(fields{
		"peers": func(v value) {
			for _, item := range v.items() {
				c.peers = append(c.peers, readPeer(item))
			}
		},
		"address-pools": func(v value) {
			for _, item := range v.items() {
				c.pools = append(c.pools, readPool(item))
			}
		},
		"bfd-profiles": func(v value) {
			for _, item := range v.items() {
				c.profiles = append(c.profiles, readProfile(item))
			}
		},
		"bgp-communities": func(v value) {
			c.communitiesAt = v
			if v.empty() {
				return
			}
			for _, p := range v.pairs() {
				if text, ok := p.value.text(); ok {
					c.communities = append(c.communities, v1beta1.CommunityAlias{Name: p.key.Value, Value: text})
				}
			}
		},
	})
	return c
}

func readPeer(v value) peer {
	p := peer{at: v}
	s := &p.spec
	var hold, keepalive *time.Duration
	note := func(text string) { p.notes = append(p.notes, text) }
	v.object(fields{
		"my-asn":         number(&s.MyASN, 0, math.MaxUint32),
		"peer-asn":       number(&s.ASN, 0, math.MaxUint32),
		"peer-address":   str(&s.Address),
		"source-address": str(&s.SrcAddress),
		"peer-port":      number(&s.Port, 0, maxPort),
		"hold-time":      duration(&hold, note),
		"keepalive-time": duration(&keepalive, note),
		"router-id":      str(&s.RouterID),
		"node-selectors": func(v value) {
			for _, item := range v.items() {
				s.NodeSelectors = append(s.NodeSelectors, readSelector(item))
			}
		},
		"password": str(&s.Password),
		"bfd-profile": func(v value) {
			p.profileAt = v
			str(&s.BFDProfile)(v)
		},
		"ebgp-multihop": boolean(&s.EBGPMultiHop),
	})
	// The default of the old format, whatever that of the resource is.
	s.HoldTime = &metav1.Duration{Duration: 90 * time.Second}
	if hold != nil {
		s.HoldTime.Duration = *hold
	}
	if keepalive != nil {
		s.KeepaliveTime = &metav1.Duration{Duration: *keepalive}
	}
	return p
}

func readSelector(v value) (s metav1.LabelSelector) {
	v.object(fields{
		"match-labels": func(v value) {
			if v.empty() {
				return
			}
			s.MatchLabels = map[string]string{}
			for _, p := range v.pairs() {
				if text, ok := p.value.text(); ok {
					s.MatchLabels[p.key.Value] = text
				}
			}
		},
		"match-expressions": func(v value) {
			for _, item := range v.items() {
				var e metav1.LabelSelectorRequirement
				item.object(fields{
					"key":      str(&e.Key),
					"operator": func(v value) { str((*string)(&e.Operator))(v) },
					"values":   strs(&e.Values),
				})
				s.MatchExpressions = append(s.MatchExpressions, e)
			}
		},
	})
	return s
}

func readProfile(v value) profile {
	p := profile{at: v}
	s := &p.spec
	s.EchoMode, s.PassiveMode = new(bool), new(bool)
	v.object(fields{
		"name":              str(&p.name),
		"receive-interval":  optional(&s.ReceiveInterval, 10, 60000),
		"transmit-interval": optional(&s.TransmitInterval, 10, 60000),
		"detect-multiplier": optional(&s.DetectMultiplier, 2, 255),
		"echo-interval":     optional(&s.EchoInterval, 10, 60000),
		"echo-mode":         boolean(s.EchoMode),
		"passive-mode":      boolean(s.PassiveMode),
		"minimum-ttl":       optional(&s.MinimumTTL, 1, 254),
	})
	return p
}

func readPool(v value) addressPool {
	p := addressPool{at: v, protocolAt: v}
	v.object(fields{
		"protocol": func(v value) {
			p.protocolAt = v
			str(&p.protocol)(v)
		},
		"name":      str(&p.name),
		"addresses": strs(&p.spec.Addresses),
		"auto-assign": func(v value) {
			if !v.empty() {
				p.spec.AutoAssign = new(bool)
				boolean(p.spec.AutoAssign)(v)
			}
		},
		"avoid-buggy-ips": boolean(&p.spec.AvoidBuggyIPs),
		"bgp-advertisements": func(v value) {
			p.advertisementsAt = v
			for _, item := range v.items() {
				p.advertisements = append(p.advertisements, readAdvertisement(item))
			}
		},
	})
	return p
}

func readAdvertisement(v value) advertisement {
	a := advertisement{at: v}
	v.object(fields{
		"aggregation-length":    optional(&a.spec.AggregationLength, 1, 32),
		"aggregation-length-v6": optional(&a.spec.AggregationLengthV6, 1, 128),
		"localpref":             number(&a.spec.LocalPref, 0, math.MaxUint32),
		"communities":           strs(&a.spec.Communities),
	})
	return a
}
