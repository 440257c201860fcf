package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/lb"
)

// The engine knows a BGPPeer by its name, one with networks by "NAME/PREFIX", and it calls the
// sessions of routers in these "NAME/PREFIX/ADDRESS". Names of objects have no slash.

// peerOf is the name of the BGPPeer that something of the engine belongs to.
func peerOf(session string) string {
	name, _, _ := strings.Cut(session, "/")
	return name
}

// neighborOf is what the engine's name says of the router: nothing, its address, or the network
// that routers may come from.
func neighborOf(session string) (address netip.Addr, network netip.Prefix) {
	parts := strings.Split(session, "/")
	if len(parts) < 3 {
		return netip.Addr{}, netip.Prefix{}
	}
	if len(parts) == 4 {
		address, _ = netip.ParseAddr(parts[3])
		return address, netip.Prefix{}
	}
	network, _ = netip.ParsePrefix(parts[1] + "/" + parts[2])
	return netip.Addr{}, network
}

// target is a peer as this node has it.
type target struct {
	// name is the engine's.
	name string
	// peer has the address that was found for this node.
	peer *lb.Peer
	bgp.Peer
	// handed is set when the engine has the routes: then they must not be changed any more.
	handed bool
}

// Sessions gives the parameters of the sessions that a node of a World has, by the engine's name.
// A session whose parameters change is reset. A peer whose router is not known has none, nor one that
// the node has no address to listen for on, if its links are known. Where no gateway is known, a peer
// that has its router there counts as having a session: speakers do not read default routes before
// they have such a peer.
func Sessions(w *lb.World, node *lb.Node, c *lb.Config) map[string]bgp.SessionConfig {
	own := ownOf(w, node)
	out := map[string]bgp.SessionConfig{}
	for _, t := range own.targets(slices.Collect(c.PeersOf(node)), map[lb.Family]netip.Addr{}) {
		if f := t.peer.From.Gateway; f != 0 && len(own.gateways) == 0 {
			t = own.target(t.peer, t.name, hostPrefix(anyAddress(f)))
			out[t.name] = t.Config
			continue
		}
		if _, known := w.Links[node.Name]; t.Trouble == "" || !known && t.Config != (bgp.SessionConfig{}) {
			out[t.name] = t.Config
		}
	}
	return out
}

// anyAddress stands for an address of a family that is not known.
func anyAddress(f lb.Family) netip.Addr {
	if f == lb.IPv6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// PeerOf gives the name of the BGPPeer that a session belongs to, and the network that its routers
// come from where that is one.
func PeerOf(session string) (name string, network netip.Prefix) {
	_, network = neighborOf(session)
	return peerOf(session), network
}

// targets are what the peers of this node come to. last holds the gateway that each family
// had last: a session outlives its default route, so that a route that is set anew takes
// nothing away.
func (o ownNode) targets(peers []*lb.Peer, last map[lb.Family]netip.Addr) []target {
	var out []target
	type router struct {
		address netip.Addr
		vrf     string
	}
	known := map[router]string{}
	for _, p := range peers {
		if p.Address.IsValid() {
			known[router{p.Address, p.VRF}] = p.Name
		}
	}
	for _, p := range peers {
		for _, network := range p.Ranges {
			t := o.target(p, p.Name+"/"+network.String(), network)
			t.Config.PeerAddress, t.Config.PeerRange, t.Limit = netip.Addr{}, network, p.RangeLimit
			out = append(out, t)
		}
		if len(p.Ranges) > 0 {
			continue
		}
		if p.From == (lb.AddressSource{}) {
			out = append(out, o.target(p, p.Name, hostPrefix(p.Address)))
			continue
		}
		a, why := announce.Router(p, o.node, o.gateways)
		if f := p.From.Gateway; f != 0 {
			if a.IsValid() {
				last[f] = a
			} else if last[f].IsValid() {
				a, why = last[f], ""
			}
		}
		if why != "" {
			out = append(out, target{name: p.Name, peer: p, Peer: bgp.Peer{Trouble: why}})
			continue
		}
		key := router{a, p.VRF}
		if other, taken := known[key]; taken {
			why := fmt.Sprintf("BGPPeer %s has the router %v on node %s already: delete one of the two, or limit one with nodeSelectors", other, a, o.node.Name)
			out = append(out, target{name: p.Name, peer: p, Peer: bgp.Peer{Trouble: why}})
			continue
		}
		known[key] = p.Name
		found := *p
		found.Address = a
		out = append(out, o.target(&found, p.Name, hostPrefix(a)))
	}
	return out
}

// target makes a session with a router, or with routers, of these addresses.
func (o ownNode) target(p *lb.Peer, name string, remote netip.Prefix) target {
	t := target{name: name, peer: p, Peer: bgp.Peer{Config: o.session(p)}}
	c := &t.Config
	if remote.IsValid() && !p.DualStack {
		c.Families = familyOf(remote.Addr())
	}
	if !p.Passive {
		return t
	}
	c.Mode, c.ListenPort, c.Connect = bgp.ModePassive, p.Port, 0
	if !c.Source.IsValid() {
		c.Source = o.listenOn(remote.Addr())
	}
	if !c.Source.IsValid() {
		t.Trouble = fmt.Sprintf("node %s has no %v address to listen on: set sourceAddress", o.node.Name, lb.FamilyOf(remote.Addr()))
	}
	return t
}

// listenOn is the address that a router dials: the node's own on the router's network, or
// else the node's first one of the family.
func (o ownNode) listenOn(remote netip.Addr) netip.Addr {
	var near netip.Addr
	for _, l := range o.links {
		if !l.OnSubnet(remote) {
			continue
		}
		for _, p := range l.Prefixes {
			if !p.Contains(remote) {
				continue
			}
			for _, a := range o.node.Addresses {
				if a == p.Addr() {
					return a
				}
			}
			if !near.IsValid() {
				near = p.Addr()
			}
		}
	}
	if near.IsValid() {
		return near
	}
	return o.address(lb.FamilyOf(remote))
}

// hostPrefix is invalid for an invalid address.
func hostPrefix(a netip.Addr) netip.Prefix {
	return netip.PrefixFrom(a.WithZone(""), a.BitLen())
}

// onWireTo are the sessions of each BGPPeer.
type onWireTo map[string][]bgp.Status

// byPeer sorts the sessions by BGPPeer.
func byPeer(sessions map[string]bgp.Status) onWireTo {
	out := make(onWireTo, len(sessions))
	for name, st := range sessions {
		out[peerOf(name)] = append(out[peerOf(name)], st)
	}
	return out
}

// has tells whether a router of the BGPPeer was sent the prefix in its present session.
func (o onWireTo) has(peer string, p netip.Prefix) bool {
	for _, st := range o[peer] {
		if _, sent := st.Routes[p]; sent && st.State == bgp.StateEstablished {
			return true
		}
	}
	return false
}
