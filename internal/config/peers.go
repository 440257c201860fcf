package config

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/lb"
)

type peerCandidate = candidate[*v1beta2.BGPPeer, *lb.Peer]

// bgpPort is the well-known port of BGP, and maxPort the highest that the schema takes.
const (
	bgpPort = 179
	maxPort = 16384
)

// maxMD5Key is the longest key that the kernel takes for TCP MD5, in bytes.
const maxMD5Key = 80

// peerRules is what the rules for one BGPPeer need of other objects.
type peerRules struct {
	secrets []*corev1.Secret
	// profiles tells of each BFDProfile whether it was accepted.
	profiles map[string]*bfdCandidate
}

func (rules peerRules) parse(c *peerCandidate) *refusal {
	spec := &c.object.Spec
	p := &lb.Peer{
		Name:            c.ref.Name,
		MyASN:           spec.MyASN,
		ASN:             spec.ASN,
		LocalASN:        spec.LocalASN,
		Interface:       spec.Interface,
		BFDProfile:      spec.BFDProfile,
		GracefulRestart: spec.EnableGracefulRestart,
		MultiHop:        spec.EBGPMultiHop,
		BFDStrict:       spec.BFDStrict,
		SecurityHops:    uint8(min(max(spec.TTLSecurityHops, 0), 254)),
		VRF:             spec.VRFName,
		DualStack:       spec.DualStackAddressFamily,
	}
	c.value = p
	sel, r := parseSelectors("nodeSelectors", spec.NodeSelectors)
	if r != nil {
		r = r.within("failed to convert peer %s node selector: ", c.ref.Name)
	}
	p.Nodes, c.nodes = sel, sel
	for _, rule := range []func(*peerCandidate) *refusal{
		parseASN, parseEndpoint, parseTimers, parseRestart, parseSession, rules.parsePassword,
	} {
		if r == nil {
			r = rule(c)
		}
	}
	if r != nil {
		return r.within("parsing peer %s ", c.ref.Name)
	}
	if spec.BFDStrict && spec.BFDProfile == "" {
		c.warn("bfdStrict has no effect without bfdProfile: name a BFDProfile")
	}
	if spec.DisableMP {
		c.warn("disable mp is deprecated and has no effect since it's the default behavior now: remove disableMP")
	}
	return rules.checkProfile(c)
}

func parseASN(c *peerCandidate) *refusal {
	spec, p := &c.object.Spec, c.value
	switch {
	case spec.MyASN == 0:
		return refuse(ReasonInvalidASN, "missing local ASN: set myASN")
	case spec.ASN == 0 && spec.DynamicASN == "":
		return refuse(ReasonInvalidASN, "missing peer ASN and dynamicASN: set one of peerASN and dynamicASN")
	case spec.ASN != 0 && spec.DynamicASN != "":
		return refuse(ReasonInvalidASN, "both peer ASN and dynamicASN specified: remove one of peerASN and dynamicASN")
	}
	switch spec.DynamicASN {
	case "":
	case v1beta2.InternalASN:
		p.Dynamic = lb.InternalASN
	case v1beta2.ExternalASN:
		p.Dynamic = lb.ExternalASN
	default:
		return refuse(ReasonInvalidASN, "invalid dynamicASN %s: must be internal or external", spec.DynamicASN)
	}
	if spec.EBGPMultiHop {
		if spec.ASN == spec.MyASN {
			return refuse(ReasonInvalidMultiHop, "invalid ebgp-multihop parameter set for an ibgp peer: remove ebgpMultiHop, internal peers may be any number of hops away")
		}
		if p.Dynamic == lb.InternalASN {
			c.warn("ebgpMultiHop has no effect for an internal peer")
		}
	}
	return nil
}

func parseSession(c *peerCandidate) (r *refusal) {
	spec, p := &c.object.Spec, c.value
	if p.Connect, r = parseConnect(spec.ConnectTime); r != nil {
		return r
	}
	if spec.RouterID != "" {
		id, err := parseAddr(spec.RouterID)
		if err != nil || !id.Is4() || id.IsUnspecified() {
			return refuse(ReasonInvalidRouterID, "invalid router ID %q: must be written as an IPv4 address other than 0.0.0.0", spec.RouterID)
		}
		p.RouterID = id
	}
	if spec.SrcAddress != "" {
		src, err := parseAddr(spec.SrcAddress)
		if err != nil {
			return refuse(ReasonInvalidSource, "invalid source IP %q: %v", spec.SrcAddress, err)
		}
		p.Source = src
		if other, differs := sourceMismatch(p); differs {
			c.warn("sourceAddress %s is of another family than %s, so that no session can open", src, other)
		}
	}
	return nil
}

func (rules peerRules) parsePassword(c *peerCandidate) *refusal {
	spec := &c.object.Spec
	ns, name := c.ref.Namespace, spec.PasswordSecret.Name
	if name == "" {
		c.value.Password = lb.Secret(spec.Password)
	} else {
		if spec.Password != "" {
			return refuse(ReasonTwoPasswords, "can not have both password and secret ref set in peer config %q/%q: remove one of password and passwordSecret", ns, c.ref.Name)
		}
		if other := spec.PasswordSecret.Namespace; other != "" && other != ns {
			c.warn("passwordSecret.namespace %q is ignored: the Secret is read from namespace %q", other, ns)
		}
		password, r := rules.secretPassword(c, name)
		if r != nil {
			return r.within("failed to parse peer %s password secret: ", c.ref.Name)
		}
		c.value.Password = password
	}
	if len(c.value.Password) > maxMD5Key {
		c.warn("the password is longer than %d bytes, so that no session can open", maxMD5Key)
	}
	return nil
}

func (rules peerRules) secretPassword(c *peerCandidate, name string) (lb.Secret, *refusal) {
	ns := c.ref.Namespace
	for _, s := range rules.secrets {
		if s.Namespace != ns || s.Name != name {
			continue
		}
		if s.Type != corev1.SecretTypeBasicAuth {
			return "", refuse(ReasonInvalidSecret, "secret type mismatch on %q/%q, type %q is expected ", ns, name, corev1.SecretTypeBasicAuth)
		}
		password, ok := s.Data[corev1.BasicAuthPasswordKey]
		if !ok {
			return "", refuse(ReasonInvalidSecret, "password not specified in the secret %q/%q: it must have a key %q", ns, name, corev1.BasicAuthPasswordKey)
		}
		return lb.Secret(password), nil
	}
	return "", refuse(ReasonUnknownSecret, "secret ref not found for peer config %q/%q: create Secret %q in namespace %q, or correct passwordSecret.name", ns, c.ref.Name, name, ns)
}

func (rules peerRules) checkProfile(c *peerCandidate) *refusal {
	name := c.value.BFDProfile
	if name == "" {
		return nil
	}
	profile, ok := rules.profiles[name]
	if !ok {
		return refuse(ReasonUnknownBFDProfile, "peer %s referencing non existing bfd profile %s: create it, or correct bfdProfile", c.ref.Name, name)
	}
	if profile.refusal != nil {
		return refuse(ReasonUnknownBFDProfile, "peer %s referencing bfd profile %s, which is refused: %v", c.ref.Name, name, profile.refusal)
	}
	if profile.value.EchoMode && !c.value.Address.Is4() {
		c.warn("bfd profile %s has echo mode, which works for IPv4 only: it is not used with %s", name, routerText(c.value))
	}
	return nil
}

// settlePeers refuses peers that would be a second session of a node to the same router.
func settlePeers(cs []*peerCandidate, nodes map[string]*lb.Node) {
	var kept []*peerCandidate
	for _, c := range cs {
		if c.refusal != nil {
			continue
		}
		for _, other := range kept {
			if !sameRouter(c.value, other.value) {
				continue
			}
			node, shared := commonNode(c.value.Nodes, other.value.Nodes, nodes)
			if !shared {
				continue
			}
			c.refusal = refuse(ReasonDuplicatePeer,
				"peer %s already exists: BGPPeer %q has it too%s; delete one of the two, or give them nodeSelectors with no node in common",
				routerText(c.value), other.ref.Name, node)
			break
		}
		if c.refusal == nil {
			kept = append(kept, c)
		}
	}
}

// sameRouter tells whether two peers are the same on every node. A router with a peer of its own
// may be in the networks of another peer, which leaves it alone.
func sameRouter(a, b *lb.Peer) bool {
	if a.VRF != b.VRF {
		return false
	}
	for _, r := range a.Ranges {
		if slices.ContainsFunc(b.Ranges, r.Overlaps) {
			return true
		}
	}
	return len(a.Ranges) == 0 && len(b.Ranges) == 0 &&
		a.Address == b.Address && a.Interface == b.Interface && a.From == b.From
}

func routerText(p *lb.Peer) string {
	s := p.Interface
	switch {
	case p.Address.IsValid():
		s = p.Address.String()
	case p.From.Gateway != 0:
		s = "at the " + p.From.Gateway.String() + " default gateway"
	case p.From.Annotation != "":
		s = "of the annotation " + p.From.Annotation
	case len(p.Ranges) > 0:
		var texts []string
		for _, r := range p.Ranges {
			texts = append(texts, r.String())
		}
		s = "from " + strings.Join(texts, ", ")
	}
	if p.VRF != "" {
		s += "-" + p.VRF
	}
	return s
}
