package links

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// errOddRoute is about default routes that were left out. The others are complete.
var errOddRoute = errors.New("links: default route cannot be decoded and is left out")

// gateways lists the next hops of the default routes in the main table, of the routes that can
// be used now. names are those of the links, by index. Of all other routes nothing is read but
// the first bytes: there may be a million, of any kind.
func gateways(names map[int]string) ([]Gateway, error) {
	var out []Gateway
	var odd error
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		err := dumpRoutes(family, func(m []byte) {
			if !isDefault(m, family) {
				return
			}
			gs, err := decodeGateways(m, names)
			if err != nil {
				odd = fmt.Errorf("%w: %w", errOddRoute, err)
				return
			}
			out = append(out, gs...)
		})
		if err != nil {
			return nil, fmt.Errorf("links: list routes: %w", err)
		}
	}
	return sortedGateways(out), odd
}

// dumpRoutes hands out the kernel's messages about routes of a family. Kernels since 4.20 leave
// out all but unicast routes of the main table, others nothing.
func dumpRoutes(family uint8, f func(m []byte)) error {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := errors.Join(s.SetSendTimeout(&nl.SocketTimeoutTv), s.SetReceiveTimeout(&nl.SocketTimeoutTv)); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(s.GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1); err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return err
	}
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: s}}
	req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: family, Table: unix.RT_TABLE_MAIN, Type: unix.RTN_UNICAST}})
	err = req.ExecuteIter(unix.NETLINK_ROUTE, unix.RTM_NEWROUTE, func(m []byte) bool {
		f(m)
		return true
	})
	if errors.Is(err, unix.ENOENT) { // the table does not exist before its first route
		return nil
	}
	return err
}

// isDefault tells whether a message is about a default route of the family in the main table.
func isDefault(m []byte, family uint8) bool {
	if len(m) < unix.SizeofRtMsg {
		return false
	}
	r := nl.DeserializeRtMsg(m)
	return r.Family == family && r.Dst_len == 0 && r.Table == unix.RT_TABLE_MAIN && r.Type == unix.RTN_UNICAST &&
		r.Flags&unix.RTM_F_CLONED == 0
}

// hop is where a route leads.
type hop struct {
	gateway []byte
	link    int
	flags   uint32
}

// decodeGateways reads the usable next hops of a route, and nothing else of it.
func decodeGateways(m []byte, names map[int]string) ([]Gateway, error) {
	only := hop{flags: nl.DeserializeRtMsg(m).Flags}
	var several []hop
	metric := 0
	err := eachAttribute(m[unix.SizeofRtMsg:], func(kind uint16, value []byte) (err error) {
		switch kind {
		case unix.RTA_GATEWAY:
			only.gateway = value
		case unix.RTA_OIF:
			only.link, err = number(value)
		case unix.RTA_PRIORITY:
			metric, err = number(value)
		case unix.RTA_MULTIPATH:
			several, err = decodeHops(value)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if several == nil {
		several = []hop{only}
	}
	var out []Gateway
	for _, h := range several {
		a, ok := netip.AddrFromSlice(h.gateway)
		if !ok || h.flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) != 0 {
			continue
		}
		g := Gateway{Address: a.Unmap(), Link: names[h.link], Metric: metric}
		if g.Address.IsLinkLocalUnicast() && g.Address.Is6() {
			g.Address = g.Address.WithZone(g.Link)
		}
		out = append(out, g)
	}
	return out, nil
}

// decodeHops reads the value of RTA_MULTIPATH.
func decodeHops(b []byte) ([]hop, error) {
	var out []hop
	for len(b) >= unix.SizeofRtNexthop {
		nh := nl.DeserializeRtNexthop(b)
		n := int(nh.RtNexthop.Len)
		if n < unix.SizeofRtNexthop || n > len(b) {
			return nil, fmt.Errorf("next hop of %d bytes in %d", n, len(b))
		}
		h := hop{link: int(nh.RtNexthop.Ifindex), flags: uint32(nh.RtNexthop.Flags)}
		err := eachAttribute(b[unix.SizeofRtNexthop:n], func(kind uint16, value []byte) error {
			if kind == unix.RTA_GATEWAY {
				h.gateway = value
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		out = append(out, h)
		b = b[min(len(b), (n+unix.RTNH_ALIGNTO-1)&^(unix.RTNH_ALIGNTO-1)):]
	}
	return out, nil
}

// eachAttribute goes through the attributes of a message until f returns an error.
func eachAttribute(b []byte, f func(kind uint16, value []byte) error) error {
	for len(b) >= unix.SizeofRtAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return fmt.Errorf("attribute of %d bytes in %d", n, len(b))
		}
		if err := f(binary.NativeEndian.Uint16(b[2:])&nl.NLA_TYPE_MASK, b[unix.SizeofRtAttr:n]); err != nil {
			return err
		}
		b = b[min(len(b), (n+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1)):]
	}
	return nil
}

func number(value []byte) (int, error) {
	if len(value) != 4 {
		return 0, fmt.Errorf("number of %d bytes", len(value))
	}
	return int(binary.NativeEndian.Uint32(value)), nil
}
