package l2

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"
)

func opts(dir ndp.Direction) []ndp.Option {
	m := clientMAC()
	return []ndp.Option{&ndp.LinkLayerAddress{Direction: dir, Addr: net.HardwareAddr(m[:])}}
}

// Another implementation reads our messages as we mean them.
func TestNDReadByOthers(t *testing.T) {
	target := netip.MustParseAddr("2001:db8::100")
	for name, tt := range map[string]struct {
		frame ndFrame
		want  ndp.Message
	}{
		"solicitation": {
			solicit("fe80::2", target.String()),
			&ndp.NeighborSolicitation{TargetAddress: target, Options: opts(ndp.Source)},
		},
		"probe": {
			ndProbe(clientMAC(), target.As16()),
			&ndp.NeighborSolicitation{TargetAddress: target},
		},
		"announcement": {
			ndAnnouncement(clientMAC(), ip6("fe80::2"), target.As16()),
			&ndp.NeighborAdvertisement{Override: true, TargetAddress: target, Options: opts(ndp.Target)},
		},
	} {
		got, err := ndp.ParseMessage(tt.frame.append(nil)[icmpStart:])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	want, err := ndp.SolicitedNodeMulticast(target)
	if err != nil {
		t.Fatal(err)
	}
	if got := solicitedNodeAddr(target); got != want {
		t.Errorf("solicited-node group %s, want %s", got, want)
	}
}
