package announce

import (
	"net/netip"

	"github.com/lintel-lb/lintel/internal/lb"
)

// bandwidth is what link-bandwidth says of a route of a node with so many endpoints: 0, which
// is nothing, where the traffic does not depend on the node's endpoints, or where the prefix
// is for more than the one address.
func bandwidth(ad *lb.BGPAdvertisement, svc *lb.Service, prefix netip.Prefix, endpoints int) uint64 {
	if ad.Bandwidth == 0 || svc.TrafficPolicy != lb.Local || prefix.Bits() != prefix.Addr().BitLen() {
		return 0
	}
	return ad.Bandwidth * quantized(endpoints)
}

// quantized is the step that a number of endpoints is nearest to, the smaller of two. The steps
// are 1, 2, 3, 4, 6, 8, 12, 16, 24 and so on: a change of many endpoints by one is none.
func quantized(n int) uint64 {
	if n <= 0 {
		return 0
	}
	low := uint64(1)
	for {
		next := low + 1
		if low > 1 {
			// From a power of two it is half of it to the next step, and from the step
			// between two of them a third.
			if low&(low-1) == 0 {
				next = low + low/2
			} else {
				next = low + low/3
			}
		}
		if uint64(n) < next {
			if next-uint64(n) < uint64(n)-low {
				return next
			}
			return low
		}
		low = next
	}
}
