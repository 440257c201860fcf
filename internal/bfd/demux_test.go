package bfd

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// onDevice is a sender bound to an interface.
type onDevice int

func (onDevice) send([]byte) error { return nil }
func (onDevice) port() uint16      { return 0 }
func (d onDevice) ifindex() int    { return int(d) }
func (onDevice) close() error      { return nil }

func TestDemux(t *testing.T) {
	d := newDemux()
	peerAddr, link := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("fe80::2")
	me, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.9")
	members := map[string]*member{}
	for i, m := range []struct {
		name    string
		key     Key
		ifindex int
	}{
		{"any", Key{Peer: peerAddr}, 0},
		{"local", Key{Peer: peerAddr, Local: me}, 0},
		{"bound", Key{Peer: peerAddr, Local: me, Interface: "eth0"}, 2},
		{"far", Key{Peer: peerAddr, MultiHop: true}, 0},
		{"vrf", Key{Peer: peerAddr, VRF: "red"}, 0},
		{"link 2", Key{Peer: link, Interface: "eth0"}, 2},
		{"link 3", Key{Peer: link.WithZone("eth1")}, 3},
	} {
		s := newSession(Params{}.withDefaults(), uint32(i+1), false, rand.New(rand.NewPCG(1, 1)), epoch)
		members[m.name] = &member{key: m.key, session: s, tx: onDevice(m.ifindex)}
		d.add(members[m.name])
	}
	id := func(name string) uint32 { return members[name].session.local }
	for _, tt := range []struct {
		name string
		your uint32
		g    datagram
		want string
	}{
		{"most specific", 0, datagram{src: peerAddr, dst: me, ifindex: 2}, "bound"},
		{"other interface", 0, datagram{src: peerAddr, dst: me, ifindex: 3}, "local"},
		{"other destination", 0, datagram{src: peerAddr, dst: other, ifindex: 2}, "any"},
		{"multihop", 0, datagram{channel: multiHop, src: peerAddr, dst: me, ifindex: 2}, "far"},
		{"vrf", 0, datagram{vrf: "red", src: peerAddr, dst: me, ifindex: 2}, "vrf"},
		{"other vrf", 0, datagram{vrf: "blue", src: peerAddr, dst: me, ifindex: 2}, ""},
		{"stranger", 0, datagram{src: other, dst: me, ifindex: 2}, ""},
		{"link-local by interface", 0, datagram{src: link, ifindex: 2}, "link 2"},
		{"link-local by zone", 0, datagram{src: link, ifindex: 3}, "link 3"},
		{"link-local elsewhere", 0, datagram{src: link, ifindex: 4}, ""},
		{"discriminator", id("any"), datagram{src: other, dst: other, ifindex: 9}, "any"},
		{"unknown discriminator", 99, datagram{src: peerAddr, dst: me, ifindex: 2}, ""},
		{"discriminator on another interface", id("bound"), datagram{src: peerAddr, dst: me, ifindex: 3}, ""},
		{"discriminator of another kind", id("far"), datagram{src: peerAddr, dst: me, ifindex: 2}, ""},
		{"discriminator of another vrf", id("vrf"), datagram{src: peerAddr, dst: me, ifindex: 2}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := d.find(&Packet{YourDiscriminator: tt.your}, &tt.g)
			if got != members[tt.want] {
				t.Errorf("got %+v, want %s", got, tt.want)
			}
		})
	}
	for name, m := range members {
		d.remove(m)
		if d.byDiscriminator[m.session.local] != nil {
			t.Errorf("%s is still found", name)
		}
	}
	if len(d.byPeer) != 0 || len(d.byDiscriminator) != 0 {
		t.Errorf("left: %+v", d)
	}
}
