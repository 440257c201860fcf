package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/lintel-lb/lintel/lab/internal/netns"
	"github.com/lintel-lb/lintel/lab/internal/topology"
)

// Build makes every host of the plan. The switch must be the first.
func Build(p topology.Plan) error {
	for _, h := range p.Hosts {
		if err := AddHost(p, h); err != nil {
			return err
		}
	}
	return nil
}

// AddHost makes one host's namespace and plugs its cables into the switch,
// which must be there already.
func AddHost(p topology.Plan, h topology.Host) error {
	namespace := p.Namespace(h.Name)
	if err := netns.Create(namespace); err != nil {
		return err
	}
	if err := setSysctls(namespace, h); err != nil {
		return err
	}
	if err := linkUp(namespace, "lo"); err != nil {
		return err
	}
	if h.Role == topology.RoleSwitch {
		return addBridges(namespace)
	}
	for _, port := range h.Ports {
		if err := plug(p.Namespace("sw"), namespace, port); err != nil {
			return fmt.Errorf("wire: cable of %s %s: %w", h.Name, port.Name, err)
		}
	}
	return addRoutes(namespace, p.Routes(h))
}

// RemoveHost unplugs a host's cables and removes its namespace. What runs in it
// must have been ended before.
func RemoveHost(p topology.Plan, h topology.Host) error {
	// A namespace ends some time after its name has gone, and its cables with
	// it: the ports must be free before that.
	err := with(p.Namespace("sw"), func(nl *netlink.Handle) error {
		for _, port := range h.Ports {
			link, err := nl.LinkByName(port.Remote)
			if errors.As(err, new(netlink.LinkNotFoundError)) {
				continue
			}
			if err != nil {
				return fmt.Errorf("wire: port %s of the switch: %w", port.Remote, err)
			}
			if err := nl.LinkDel(link); err != nil {
				return fmt.Errorf("wire: remove port %s of the switch: %w", port.Remote, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := Unblackhole(p, h); err != nil {
		return err
	}
	return netns.Delete(p.Namespace(h.Name))
}

// sysctls of a host. The plan gives no address twice, so duplicate address
// detection, which takes a second, is off.
func sysctls(h topology.Host) map[string]string {
	s := map[string]string{
		"net/ipv6/conf/all/accept_dad":     "0",
		"net/ipv6/conf/default/accept_dad": "0",
		"net/ipv6/conf/all/accept_ra":      "0",
		"net/ipv6/conf/default/accept_ra":  "0",
	}
	if h.Role == topology.RoleSwitch {
		s["net/ipv6/conf/default/disable_ipv6"] = "1"
	}
	if h.Forwards() {
		s["net/ipv4/ip_forward"] = "1"
		s["net/ipv6/conf/all/forwarding"] = "1"
		s["net/ipv6/conf/default/forwarding"] = "1"
	}
	if h.Role == topology.RoleRouter {
		s["net/ipv4/fib_multipath_hash_policy"] = "1"
		s["net/ipv6/fib_multipath_hash_policy"] = "1"
	}
	return s
}

func setSysctls(namespace string, h topology.Host) error {
	return netns.Do(namespace, func() error {
		for key, value := range sysctls(h) {
			if err := os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0o644); err != nil {
				return fmt.Errorf("wire: sysctl %s of %s: %w", strings.ReplaceAll(key, "/", "."), h.Name, err)
			}
		}
		return nil
	})
}

func addBridges(namespace string) error {
	return with(namespace, func(nl *netlink.Handle) error {
		for _, name := range []string{topology.NodeBridge, topology.FarBridge} {
			if err := nl.LinkAdd(&netlink.Bridge{LinkAttrs: attrs(name)}); err != nil {
				return fmt.Errorf("wire: add bridge %s: %w", name, err)
			}
			link, err := nl.LinkByName(name)
			if err != nil {
				return fmt.Errorf("wire: bridge %s: %w", name, err)
			}
			if err := nl.LinkSetUp(link); err != nil {
				return fmt.Errorf("wire: bridge %s up: %w", name, err)
			}
		}
		return nil
	})
}

// plug runs a cable between a host and the switch.
func plug(switchNamespace, hostNamespace string, port topology.Port) error {
	host, err := vns.GetFromName(hostNamespace)
	if err != nil {
		return err
	}
	defer host.Close()
	err = with(switchNamespace, func(nl *netlink.Handle) error {
		bridge, err := nl.LinkByName(port.Bridge)
		if err != nil {
			return err
		}
		veth := &netlink.Veth{
			LinkAttrs: attrs(port.Remote), PeerName: port.Name,
			PeerNamespace: netlink.NsFd(int(host)), PeerHardwareAddr: port.MAC,
		}
		veth.MasterIndex = bridge.Attrs().Index
		if err := nl.LinkAdd(veth); err != nil {
			return err
		}
		return nl.LinkSetUp(veth)
	})
	if err != nil {
		return err
	}
	return with(hostNamespace, func(nl *netlink.Handle) error {
		link, err := nl.LinkByName(port.Name)
		if err != nil {
			return err
		}
		for _, address := range []netip.Prefix{port.V4, port.V6} {
			a := &netlink.Addr{IPNet: ipNet(address)}
			if address.Addr().Is6() {
				a.Flags = unix.IFA_F_NODAD
			}
			if err := nl.AddrAdd(link, a); err != nil {
				return fmt.Errorf("address %s: %w", address, err)
			}
		}
		return nl.LinkSetUp(link)
	})
}

func addRoutes(namespace string, routes []topology.Route) error {
	return with(namespace, func(nl *netlink.Handle) error {
		for _, r := range routes {
			if err := nl.RouteAdd(&netlink.Route{Dst: ipNet(r.To), Gw: r.Via.AsSlice()}); err != nil {
				return fmt.Errorf("wire: route to %s via %s in %s: %w", r.To, r.Via, namespace, err)
			}
		}
		return nil
	})
}

func linkUp(namespace, name string) error {
	return with(namespace, func(nl *netlink.Handle) error {
		link, err := nl.LinkByName(name)
		if err != nil {
			return fmt.Errorf("wire: link %s in %s: %w", name, namespace, err)
		}
		if err := nl.LinkSetUp(link); err != nil {
			return fmt.Errorf("wire: link %s up in %s: %w", name, namespace, err)
		}
		return nil
	})
}

// with opens a netlink socket in the namespace for the time of f.
func with(namespace string, f func(*netlink.Handle) error) error {
	ns, err := vns.GetFromName(namespace)
	if err != nil {
		return fmt.Errorf("wire: namespace %s: %w", namespace, err)
	}
	defer ns.Close()
	nl, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("wire: netlink in %s: %w", namespace, err)
	}
	defer nl.Close()
	return f(nl)
}

func attrs(name string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name = name
	return a
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
