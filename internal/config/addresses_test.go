package config

import (
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"

	"go4.org/netipx"
)

func TestParseRange(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"A3", "10.0.0.0/24", "10.0.0.0-10.0.0.255"},
		{"A3 host bits", "10.0.0.99/24", "10.0.0.0-10.0.0.255"},
		{"A3 one address", "10.0.0.1/32", "10.0.0.1-10.0.0.1"},
		{"A3 everything", "0.0.0.0/0", "0.0.0.0-255.255.255.255"},
		{"A3 zeros before the length", "10.0.0.0/024", "10.0.0.0-10.0.0.255"},
		{"A3 length of zeros", "0.0.0.0/00", "0.0.0.0-255.255.255.255"},
		{"A3 IPv6", "2001:db8::/126", "2001:db8::-2001:db8::3"},
		{"A3 IPv4 in IPv6", "::ffff:10.0.0.0/120", "10.0.0.0-10.0.0.255"},
		{"A3 more than IPv4 in IPv6", "::ffff:10.0.0.0/95", ""},
		{"A3 all of IPv6, written oddly", "::ffff:0.0.0.0/0", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"A3 into IPv4 in IPv6", "::/80", ""},
		{"A3 no length", "10.0.0.0/", ""},
		{"A3 too long", "10.0.0.0/33", ""},
		{"A3 bare", "10.0.0.1", ""},
		{"A3 empty", "", ""},
		{"A3 zone", "fe80::1%eth0/64", ""},
		{"A4", "10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9"},
		{"A4 spaces", " 10.0.0.1 -\t10.0.0.9 ", "10.0.0.1-10.0.0.9"},
		{"A4 one address", "10.0.0.1-10.0.0.1", "10.0.0.1-10.0.0.1"},
		{"A4 IPv4 in IPv6", "::ffff:10.0.0.1-10.0.0.2", "10.0.0.1-10.0.0.2"},
		{"A4 zone", "fe80::1%eth0-fe80::2%eth0", ""},
		{"A4 two dashes", "10.0.0.1-10.0.0.2-10.0.0.3", ""},
		{"A5", "10.0.0.2-10.0.0.1", ""},
		{"A6", "1.2.3.4-fc00::1", ""},
		{"A6 the other way", "::1-1.2.3.4", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseRange(tt.in)
			if tt.want == "" {
				if err == nil {
					t.Errorf("got %s, want an error", got)
				}
				return
			}
			if err != nil || got.String() != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// FuzzParseRange compares with package net, and has each range give itself again.
func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"10.0.0.0/24", "10.0.0.1 - 10.0.0.9", "2001:db8::/64", "::ffff:10.0.0.0/120", "1.2.3.4-fc00::1", "0.0.0.0/00", "::/0", "::/80", "::ffff:0.0.0.0/0", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRange(s)
		want, ok := oracle(s)
		if (err == nil) != ok {
			t.Fatalf("%q: got %v, %v; package net gives %v, %v", s, r, err, want, ok)
		}
		if err != nil {
			return
		}
		if r != want {
			t.Fatalf("%q: got %v, package net gives %v", s, r, want)
		}
		if !r.IsValid() || r.From().Is4In6() || r.From().Is4() != r.To().Is4() {
			t.Fatalf("%q: got the range %v", s, r)
		}
		if again, err := ParseRange(r.String()); err != nil || again != r {
			t.Fatalf("%q: %v became %v, %v", s, r, again, err)
		}
	})
}

// oracle reads an entry by package net and arithmetic.
func oracle(s string) (netipx.IPRange, bool) {
	first, last, isRange := strings.Cut(s, "-")
	if isRange {
		a, b := net.ParseIP(strings.TrimSpace(first)), net.ParseIP(strings.TrimSpace(last))
		if a == nil || b == nil || (a.To4() == nil) != (b.To4() == nil) || new(big.Int).SetBytes(a).Cmp(new(big.Int).SetBytes(b)) > 0 {
			return netipx.IPRange{}, false
		}
		return netipx.IPRangeFrom(addrOf(a), addrOf(b)), true
	}
	_, n, err := net.ParseCIDR(s)
	if err != nil {
		return netipx.IPRange{}, false
	}
	start, end := n.IP.To16(), make(net.IP, net.IPv6len)
	ones, size := n.Mask.Size()
	host := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(size-ones)), big.NewInt(1))
	new(big.Int).Add(new(big.Int).SetBytes(start), host).FillBytes(end)
	from, to := addrOf(start), addrOf(end)
	if from.Is4() != to.Is4() {
		return netipx.IPRange{}, false
	}
	return netipx.IPRangeFrom(from, to), true
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip.To16())
	return a.Unmap()
}
