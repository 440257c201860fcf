package bgp

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab/e2e/install"
)

// The manifests that MetalLB's users have in hand, as the demo shows them: only the address is
// the lab's. A client behind the router gets pages from all nodes.
func TestExamples(t *testing.T) {
	s := newScene(t, over4())
	for _, name := range []string{"bgp-peer.yaml", "bgp-advertisement.yaml"} {
		b, err := os.ReadFile(filepath.Join(install.Root(), "lab", "demo", "manifests", name))
		if err != nil {
			t.Fatal(err)
		}
		s.Apply(string(b), nil)
	}
	v4, _ := s.pages("Cluster", s.nodes()...)
	s.router.sessions(false, s.nodes()...)
	for node, p := range s.router.announced(v4, s.nodes()...) {
		if p.ASPath.String != "65007" || !p.Valid || p.Nexthops[0].IP != s.host(node).String() {
			t.Errorf("%s announces %+v", node, p)
		}
	}
	s.router.kernelHops(v4, 3)
	s.served(v4, s.nodes()...)
	s.reported("web", each(s.nodes(), "router-2001"))
}

func (s *scene) host(node string) netip.Addr {
	h, err := s.Lab.Host(node)
	if err != nil {
		s.t.Fatal(err)
	}
	return h.V4()
}

func (s *scene) host6(node string) netip.Addr {
	h, err := s.Lab.Host(node)
	if err != nil {
		s.t.Fatal(err)
	}
	return h.V6()
}

// Each family over a session of each family. Next hops are the nodes' own addresses.
func TestFamilies(t *testing.T) {
	t.Run("each over its own", func(t *testing.T) {
		s := newScene(t, over4(), over6())
		s.peer("four", router4)
		s.peer("six", router6)
		s.advertise("")
		v4, v6 := s.pages("Cluster", s.nodes()...)
		s.nextHops(v4, s.router.announced(v4, s.nodes()...))
		s.nextHops(v6, s.router.announced(v6, over(s.nodes()...)...))
		s.router.kernelHops(v4, 3)
		s.router.kernelHops(v6, 3)
		s.served(v4, s.nodes()...)
		s.served(v6, s.nodes()...)
	})
	t.Run("both over IPv4", func(t *testing.T) {
		s := newScene(t, over4().both())
		s.peer("four", router4, "dualStackAddressFamily: true")
		s.advertise("")
		v4, v6 := s.pages("Cluster", s.nodes()...)
		s.nextHops(v4, s.router.announced(v4, s.nodes()...))
		s.nextHops(v6, s.router.announced(v6, s.nodes()...))
		s.router.kernelHops(v6, 3)
		s.served(v6, s.nodes()...)
	})
	t.Run("both over IPv6", func(t *testing.T) {
		s := newScene(t, over6().both())
		s.peer("six", router6, "dualStackAddressFamily: true")
		s.advertise("")
		v4, v6 := s.pages("Cluster", s.nodes()...)
		s.nextHops(v4, s.router.announced(v4, over(s.nodes()...)...))
		s.nextHops(v6, s.router.announced(v6, over(s.nodes()...)...))
		s.router.kernelHops(v4, 3)
		s.served(v4, s.nodes()...)
	})
}

// nextHops checks that every node names itself.
func (s *scene) nextHops(p netip.Prefix, paths map[string]path) {
	s.t.Helper()
	for name, x := range paths {
		node := strings.TrimSuffix(name, "/6")
		want := s.host(node)
		if p.Addr().Is6() {
			want = s.host6(node)
		}
		has := slices.ContainsFunc(x.Nexthops, func(h struct{ IP, Scope string }) bool { return h.IP == want.String() })
		if !has || !x.Valid {
			s.t.Errorf("%s: route of %s to %s is %+v; the next hop should be %s", s.Name, name, p, x, want)
		}
	}
}

const aliases = `
apiVersion: metallb.io/v1beta1
kind: Community
metadata: {name: '{{.Name}}', namespace: metallb-system}
spec:
  communities:
  - {name: '{{.Name}}-alias', value: '65007:42'}
`

// What an advertisement says about routes arrives, and a change of it is an UPDATE of the same
// session.
func TestAttributes(t *testing.T) {
	s := newScene(t, over4().as(routerASN), over6())
	s.Apply(aliases, nil)
	s.peer("ibgp", router4, fmt.Sprintf("myASN: %d", routerASN))
	s.peer("ebgp", router6)
	s.advertise("", "localPref: 321", "communities: ['65007:1', 'large:65007:2:3', '"+s.Name+"-alias', '65535:65281']")
	v4, v6 := s.service("web", "Cluster", "n1")
	before4, before6 := s.router.sessions(false, s.nodes()...), s.router.sessions(true, s.nodes()...)
	internal := s.router.announced(v4, s.nodes()...)
	external := s.router.announced(v6, over(s.nodes()...)...)
	for name, p := range internal {
		if p.LocPrf != 321 || p.ASPath.String != "Local" {
			t.Errorf("route of %s is %+v; want local preference 321 and no AS path", name, p)
		}
	}
	for _, paths := range []map[string]path{internal, external} {
		for name, p := range paths {
			want := []string{"65007:1", "65007:42", "noExport"}
			slices.Sort(p.Community.List)
			if !slices.Equal(p.Community.List, want) || !slices.Equal(p.Large.List, []string{"65007:2:3"}) {
				t.Errorf("route of %s has communities %v and %v", name, p.Community.List, p.Large.List)
			}
		}
	}

	s.advertise("", "aggregationLength: 28", "aggregationLengthV6: 120", "communities: ['65007:9']")
	wide4, wide6 := netip.PrefixFrom(v4.Addr(), 28).Masked(), netip.PrefixFrom(v6.Addr(), 120).Masked()
	for name, p := range s.router.announced(wide4, s.nodes()...) {
		if p.LocPrf != 100 || !slices.Equal(p.Community.List, []string{"65007:9"}) {
			t.Errorf("the aggregate of %s is %+v", name, p)
		}
	}
	s.router.announced(wide6, over(s.nodes()...)...)
	s.router.announced(v4)
	s.router.announced(v6)
	s.untouched(false, before4)
	s.untouched(true, before6)
}

// Extended communities arrive, from advertisements and by name.
func TestExtendedCommunities(t *testing.T) {
	s := newScene(t, over4())
	s.Apply(target, nil)
	s.peer("four", router4)
	s.advertise("", "communities: ['rt:65007:100', 'soo:10.89.0.10:7', 'rt:4200000001:9', 'extended:0x0003fde800000005', '"+s.Name+"-target']")
	v4, _ := s.service("web", "Cluster", "n1")
	want := []string{"RT:65007:100", "RT:65007:4294967295", "RT:4200000001:9", "SoO:10.89.0.10:7", "SoO:65000:5"}
	for name, p := range s.router.announced(v4, s.nodes()...) {
		got := strings.Fields(p.Extended.String)
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("the route of %s has extended communities %q", name, p.Extended.String)
		}
	}
}

const target = `
apiVersion: metallb.io/v1beta1
kind: Community
metadata: {name: '{{.Name}}', namespace: metallb-system}
spec:
  communities:
  - {name: '{{.Name}}-target', value: 'rt:65007:4294967295'}
`

func TestSelectors(t *testing.T) {
	s := newScene(t, over4(), over6().both())
	four := s.peer("four", router4, "dualStackAddressFamily: false")
	s.peer("six", router6, "dualStackAddressFamily: true", "nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n2}}, {matchLabels: {kubernetes.io/hostname: n3}}]")
	before := s.router.sessions(false, s.nodes()...)
	s.router.sessions(true, "n2", "n3")

	s.advertise("", "serviceSelectors: [{matchLabels: {name: web}}]")
	s.advertise("-one", "peers: ['"+four+"']", "nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n1}}]", "serviceSelectors: [{matchLabels: {name: one}}]")
	web, _ := s.service("web", "Cluster", "n1")
	one, _ := s.service("one", "Cluster", "n1")
	none, _ := s.service("none", "Cluster", "n1")
	s.router.announced(web, append(over("n2", "n3"), s.nodes()...)...)
	s.router.announced(one, "n1")
	s.router.announced(none)
	s.reported("one", each([]string{"n1"}, four))

	remove := s.label("n1", "example.com/rack", "r1")
	s.advertise("-one", "nodeSelectors: [{matchLabels: {example.com/rack: r1}}]", "serviceSelectors: [{matchLabels: {name: one}}]")
	s.router.announced(one, "n1")
	s.label("n2", "example.com/rack", "r1")
	s.router.announced(one, "n1", "n2", "n2/6")
	remove()
	s.router.announced(one, "n2", "n2/6")
	s.untouched(false, before)
}

// Routes follow the endpoints and the nodes.
func TestEndpoints(t *testing.T) {
	s := newScene(t, over4())
	p := s.peer("four", router4)
	s.advertise("")
	local, _ := s.service("local", "Local", "n1", "n2")
	cluster, _ := s.service("cluster", "Cluster", "n1")
	before := s.router.sessions(false, s.nodes()...)
	s.router.announced(local, "n1", "n2")
	s.router.announced(cluster, s.nodes()...)
	s.reported("local", each([]string{"n1", "n2"}, p))

	s.endpoints("local", s.ready("n3"))
	s.router.announced(local, "n3")
	s.reported("local", each([]string{"n3"}, p))
	s.endpoints("local", map[string]bool{"n1": false, "n2": true})
	s.router.announced(local, "n2")
	s.endpoints("local", nil)
	s.router.announced(local)
	s.endpoints("cluster", map[string]bool{"n1": false})
	s.router.announced(cluster)
	s.reported("local", each(nil))
	s.endpoints("cluster", s.ready("n1"))
	s.router.announced(cluster, s.nodes()...)

	remove := s.label("n2", "node.kubernetes.io/exclude-from-external-load-balancers", "")
	s.router.announced(cluster, "n1", "n3")
	remove()
	s.router.announced(cluster, s.nodes()...)
	s.untouched(false, before)
}

// A hundred changes of Services and endpoints reset no session, and at the end the table is as
// it should be.
func TestServiceChangesResetNothing(t *testing.T) {
	s := newScene(t, over4(), over6())
	s.peer("four", router4)
	s.peer("six", router6)
	s.advertise("")
	v4, v6 := s.service("web", "Cluster", "n1")
	before4, before6 := s.router.sessions(false, s.nodes()...), s.router.sessions(true, s.nodes()...)
	for i := range 100 {
		switch i % 4 {
		case 0:
			s.endpoints("web", nil)
		case 1:
			s.endpoints("web", s.ready("n2", "n3"))
		case 2:
			s.Apply(service, map[string]any{"Name": "web", "Policy": "Local", "Pods": false})
		default:
			s.Apply(service, map[string]any{"Name": "web", "Policy": "Cluster", "Pods": false})
		}
	}
	s.endpoints("web", s.ready("n3"))
	s.Apply(service, map[string]any{"Name": "web", "Policy": "Local", "Pods": false})
	s.router.announced(v4, "n3")
	s.router.announced(v6, over("n3")...)
	s.untouched(false, before4)
	s.untouched(true, before6)
}

// condition waits until a BGPPeer's condition Accepted has a status, and returns its reason and
// message.
func (s *scene) condition(peer, status string) (reason, message string) {
	s.t.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(schema.GroupVersionKind{Group: "metallb.io", Version: "v1beta2", Kind: "BGPPeer"})
	s.Eventually("BGPPeer "+peer+" has Accepted="+status, soon, func(ctx context.Context) error {
		if err := s.Client.Get(ctx, client.ObjectKey{Namespace: install.Namespace, Name: peer}, o); err != nil {
			return err
		}
		list, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
		for _, x := range list {
			c, _ := x.(map[string]any)
			if c["type"] == "Accepted" && c["status"] == status {
				reason, message = fmt.Sprint(c["reason"]), fmt.Sprint(c["message"])
				return nil
			}
		}
		return fmt.Errorf("conditions %v: %w", list, err)
	})
	return reason, message
}
