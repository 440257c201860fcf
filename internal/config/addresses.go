package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"go4.org/netipx"
)

// ParseRange reads an entry of IPAddressPool.spec.addresses: a prefix in CIDR notation,
// whose host bits are ignored, or "first-last", with spaces allowed around both. The
// result is valid and of one family; 4-in-6 addresses count as IPv4.
func ParseRange(entry string) (netipx.IPRange, error) {
	first, last, isRange := strings.Cut(entry, "-")
	if !isRange {
		p, err := parsePrefix(entry)
		if err != nil {
			return netipx.IPRange{}, fmt.Errorf("invalid CIDR %q: %w", entry, err)
		}
		return netipx.RangeOfPrefix(p), nil
	}
	first, last = strings.TrimSpace(first), strings.TrimSpace(last)
	start, err := parseAddr(first)
	if err != nil {
		return netipx.IPRange{}, fmt.Errorf("invalid IP range %q: invalid start IP %q: %w", entry, first, err)
	}
	end, err := parseAddr(last)
	if err != nil {
		return netipx.IPRange{}, fmt.Errorf("invalid IP range %q: invalid end IP %q: %w", entry, last, err)
	}
	if start.Is4() != end.Is4() {
		return netipx.IPRange{}, fmt.Errorf("invalid IP range %q: start and end must be of the same family", entry)
	}
	if end.Less(start) {
		return netipx.IPRange{}, fmt.Errorf("invalid IP range %q: start IP %q is after the end IP %q: swap them", entry, first, last)
	}
	return netipx.IPRangeFrom(start, end), nil
}

var (
	errBareAddress = errors.New("a single address is written with /32 or /128, or as first-last")
	errNoPrefix    = errors.New("want address/length or first-last")
	errNoAddress   = errors.New("want an IPv4 or IPv6 address without a zone")
)

// parsePrefix reads CIDR notation. As net.ParseCIDR does, it allows zeros in front of the
// length and host bits.
func parsePrefix(s string) (netip.Prefix, error) {
	addr, bits, ok := strings.Cut(s, "/")
	if !ok {
		if _, err := parseAddr(s); err == nil {
			return netip.Prefix{}, errBareAddress
		}
		return netip.Prefix{}, errNoPrefix
	}
	if trimmed := strings.TrimLeft(bits, "0"); trimmed != "" {
		bits = trimmed
	} else if bits != "" {
		bits = "0"
	}
	p, err := netip.ParsePrefix(addr + "/" + bits)
	if err != nil {
		return netip.Prefix{}, errNoPrefix
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if netipx.PrefixLastIP(p).Is4In6() {
		return netip.Prefix{}, errNoPrefix // from IPv6 into what counts as IPv4
	}
	return p.Masked(), nil
}

// parseAddr reads an address without a zone; 4-in-6 addresses become IPv4.
func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, errNoAddress
	}
	return a.Unmap(), nil
}
