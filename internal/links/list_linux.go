package links

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// dumpAttempts bounds how often a list that the kernel calls interrupted is begun again
// before the next event or period has to bring it right.
const dumpAttempts = 10

// untilWhole reads a list again while the kernel calls it interrupted.
func untilWhole[T any](ctx context.Context, read func() (T, error)) (out T, err error) {
	for i := range dumpAttempts {
		if out, err = read(); !errors.Is(err, nl.ErrDumpInterrupted) {
			return out, err
		}
		if err := sleep(ctx, time.Duration(i+1)*time.Millisecond); err != nil {
			return out, err
		}
	}
	return out, err
}

// list reads the interfaces of the namespace of the calling thread. A link that cannot be
// decoded is logged and left out; it does not spoil the others.
func list(log *slog.Logger) ([]Link, error) {
	// The library's own LinkList gives up at the first link that it cannot decode.
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	msgs, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return nil, fmt.Errorf("links: list interfaces: %w", err)
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("links: list addresses: %w", err)
	}
	byIndex := map[int][]netlink.Addr{}
	for _, a := range addrs {
		byIndex[a.LinkIndex] = append(byIndex[a.LinkIndex], a)
	}
	ls := make([]Link, 0, len(msgs))
	for _, m := range msgs {
		nlLink, err := netlink.LinkDeserialize(nil, m)
		if err != nil {
			log.Warn("interface cannot be decoded and is left out", "err", err)
			continue
		}
		l := fromAttrs(nlLink)
		addAddrs(&l, byIndex[l.Index])
		ls = append(ls, l)
	}
	return ls, nil
}

func fromAttrs(n netlink.Link) Link {
	a := n.Attrs()
	return Link{
		Name:  a.Name,
		Index: a.Index,
		MAC:   MACFrom(a.HardwareAddr),
		MTU:   a.MTU,
		Type:  n.Type(),
		// IFF_RUNNING is RFC 2863 operational state "up" or "unknown", which is what
		// drivers without link detection report.
		Up:        a.RawFlags&unix.IFF_UP != 0 && a.RawFlags&unix.IFF_RUNNING != 0,
		Carrier:   a.RawFlags&unix.IFF_LOWER_UP != 0,
		Master:    a.MasterIndex,
		NoARP:     a.RawFlags&unix.IFF_NOARP != 0,
		Broadcast: a.RawFlags&unix.IFF_BROADCAST != 0,
		Loopback:  a.RawFlags&unix.IFF_LOOPBACK != 0,
	}
}

func addAddrs(l *Link, addrs []netlink.Addr) {
	for _, a := range addrs {
		if a.IPNet == nil {
			continue
		}
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue
		}
		ip = ip.Unmap()
		if ip.Is6() && !usable6(a.Flags) {
			continue
		}
		ones, _ := a.Mask.Size()
		l.Prefixes = append(l.Prefixes, netip.PrefixFrom(ip, ones))
		if ip.Is6() && ip.IsLinkLocalUnicast() && (!l.LinkLocal6.IsValid() || ip.Less(l.LinkLocal6)) {
			l.LinkLocal6 = ip
		}
	}
	slices.SortFunc(l.Prefixes, netip.Prefix.Compare)
}

// usable6 tells whether an IPv6 address may be a source address: RFC 4862 section 5.4
// forbids tentative ones, except optimistic ones (RFC 4429).
func usable6(flags int) bool {
	if flags&unix.IFA_F_DADFAILED != 0 {
		return false
	}
	return flags&unix.IFA_F_TENTATIVE == 0 || flags&unix.IFA_F_OPTIMISTIC != 0
}
