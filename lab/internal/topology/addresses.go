package topology

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Limits on the number of hosts of one kind. A Linux bridge takes 1023 ports.
const (
	MaxNodes      = 60
	MaxClients    = 20
	MaxFarClients = 20
	MaxLightNodes = 800
)

// Networks of every lab. They are text, so that they can be constants; each is
// a valid prefix.
const (
	NodeNet4 = "10.89.0.0/16"
	NodeNet6 = "fd89::/64"

	// FreeNet4 and FreeNet6 are the part of the node network that no host
	// uses: for load balancer pools on the nodes' own subnet.
	FreeNet4 = "10.89.0.128/25"
	FreeNet6 = "fd89::ff:0/112"

	FarNet4 = "10.90.0.0/24"
	FarNet6 = "fd90::/64"

	// RoutedNet4 and RoutedNet6 are on no segment at all: for pools that are
	// reached through routes which a routing protocol announces.
	RoutedNet4 = "10.91.0.0/16"
	RoutedNet6 = "fd91::/64"

	ServiceNet4 = "10.96.0.0/16"
	ServiceNet6 = "fd96::/112"
	PodNet4     = "10.244.0.0/16"
	PodNet6     = "fd89:244::/32"

	// LightPodNet4 holds the Pod ranges that light nodes claim. Nothing runs
	// there.
	LightPodNet4 = "10.248.0.0/14"
)

// nodeAddresses returns the addresses of a host on the nodes' segment. The
// last group of the IPv6 address reads like the last number of the IPv4 one.
func nodeAddresses(number int) (netip.Addr, netip.Addr) {
	return netip.AddrFrom4([4]byte{10, 89, 0, byte(number)}), readable("fd89::", number)
}

func lightAddresses(index int) (netip.Addr, netip.Addr) {
	// 254 to a row: none ends in 0 or 255.
	v4 := netip.AddrFrom4([4]byte{10, 89, byte(1 + (index-1)/254), byte(1 + (index-1)%254)})
	return v4, readable("fd89::1:", index)
}

func farAddresses(number int) (netip.Addr, netip.Addr) {
	return netip.AddrFrom4([4]byte{10, 90, 0, byte(number)}), readable("fd90::", number)
}

func readable(prefix string, number int) netip.Addr {
	return netip.MustParseAddr(prefix + strconv.Itoa(number))
}

func podNets(index int) (netip.Prefix, netip.Prefix) {
	v4 := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(index), 0}), 24)
	return v4, netip.MustParsePrefix(fmt.Sprintf("fd89:244:%d::/64", index))
}

func lightPodNets(index int) (netip.Prefix, netip.Prefix) {
	v4 := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(248 + index>>8), byte(index), 0}), 24)
	return v4, netip.MustParsePrefix(fmt.Sprintf("fd89:244:1%03d::/64", index))
}

// mac derives a locally administered address from an IPv4 address, so that a
// capture can be read without a table: 02:89 and the four octets.
func mac(v4 netip.Addr) net.HardwareAddr {
	b := v4.As4()
	return net.HardwareAddr{0x02, 0x89, b[0], b[1], b[2], b[3]}
}
