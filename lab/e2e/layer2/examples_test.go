package layer2

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/lab/e2e/install"
)

// The manifests that MetalLB's users have in hand, as the demo shows them: only addresses and
// image are the lab's. Their pool overlaps those of other tests, so this one runs alone.
func TestExamples(t *testing.T) {
	s := newScene(t, "Cluster", nil)
	// The namespaces of tests come and go; the example leaves its own to kubectl.
	for _, name := range []string{"pool-lan.yaml", "arp-advertisement.yaml", "metallb-testing.yaml"} {
		b, err := os.ReadFile(filepath.Join(install.Root(), "lab", "demo", "manifests", name))
		if err != nil {
			t.Fatal(err)
		}
		s.Apply(string(b), nil)
	}
	const name = "metallb-testing"
	var v4 netip.Addr
	s.Eventually("the Service has one address, of IPv4", soon, func(ctx context.Context) error {
		addrs, err := s.ingress(ctx, name)
		if err != nil || len(addrs) != 1 || !addrs[0].Is4() {
			return fmt.Errorf("ingress %v, %v", addrs, err)
		}
		v4 = addrs[0]
		return nil
	})
	s.patchService(name, `{"spec":{"ipFamilyPolicy":"PreferDualStack"}}`)
	addrs := s.addresses(name)
	if addrs[0] != v4 {
		t.Errorf("the address was %v and is %v", v4, addrs)
	}
	for _, a := range addrs {
		s.answersWithin(time.Minute, a, s.nodes()...)
		s.Eventually("the page is served on port 8080", soon, func(ctx context.Context) error {
			_, err := s.Get(ctx, "http://"+netip.AddrPortFrom(a, 8080).String()+"/")
			return err
		})
	}
	s.agreed(name, s.all(candidate))
}
