//go:build netns && linux

package links

import (
	"fmt"
	"slices"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/lintel-lb/lintel/internal/l2/nstest"
)

// Only changes of default routes of the main table come through.
func TestRouteFeedHearsDefaultRoutesOnly(t *testing.T) {
	lab := nstest.New(t)
	a, b := lab.NS(), lab.NS()
	lab.Pair(a, "eth0", b, "eth0")
	a.IP("addr add 192.0.2.9/24 dev eth0")
	var s *nl.NetlinkSocket
	if err := a.Do(func() (err error) {
		s, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE)
		if err != nil {
			return err
		}
		return filterDefaults(s.GetFd())
	}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.SetReceiveTimeout(&nl.SocketTimeoutTv); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		a.IP(fmt.Sprintf("route add 10.0.%d.0/24 via 192.0.2.3", i))
	}
	a.IP("route add default via 192.0.2.4 table 77")
	a.IP("route add default via 192.0.2.1 metric 100")
	a.IP("-6 route add 2001:db8:7::/64 via fe80::1 dev eth0")
	a.IP("-6 route add default via fe80::1 dev eth0")
	a.IP("route del default via 192.0.2.1")
	var heard []string
	for range 3 {
		messages, _, err := s.Receive()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			r := nl.DeserializeRtMsg(m.Data)
			heard = append(heard, fmt.Sprintf("%d: family %d, /%d, table %d", m.Header.Type, r.Family, r.Dst_len, r.Table))
		}
	}
	want := []string{"24: family 2, /0, table 254", "24: family 10, /0, table 254", "25: family 2, /0, table 254"}
	if !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
}
