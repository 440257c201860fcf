package ipam_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"go4.org/netipx"

	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/lb"
)

var benchNow = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// benchService makes a Service whose neighbours in number are in other namespaces.
func benchService(i, namespaces int) *lb.Service {
	return &lb.Service{
		Key:           lb.ServiceKey{Namespace: fmt.Sprintf("ns-%04d", i%namespaces), Name: fmt.Sprintf("svc-%06d", i)},
		ClusterIPs:    []netip.Addr{netip.MustParseAddr("10.0.0.1")},
		PrimaryFamily: lb.IPv4,
		Ports:         []lb.Port{{Protocol: "TCP", Number: 80}, {Protocol: "TCP", Number: 443}},
	}
}

func benchPool(name, prefix string) *lb.Pool {
	return &lb.Pool{Name: name, AutoAssign: true, Ranges: []netipx.IPRange{netipx.RangeOfPrefix(netip.MustParsePrefix(prefix))}}
}

func fill(b *testing.B, a *ipam.Allocator, services []*lb.Service) {
	for _, svc := range services {
		if o := a.Sync(svc, ipam.Namespace{}, benchNow); len(o.Addresses) == 0 {
			b.Fatalf("%s: %s", svc.Key, o.Message)
		}
	}
}

// turn releases Services all over the place and syncs them again.
func turn(b *testing.B, a *ipam.Allocator, services []*lb.Service) {
	i := 0
	for b.Loop() {
		svc := services[i%len(services)]
		i += 7919
		a.Release(svc.Key, benchNow, true)
		if o := a.Sync(svc, ipam.Namespace{}, benchNow); len(o.Addresses) == 0 {
			b.Fatalf("%s: %s", svc.Key, o.Message)
		}
	}
}

// BenchmarkFullSlash16 gives one address back in a pool that is otherwise full, and takes it again.
func BenchmarkFullSlash16(b *testing.B) {
	for _, avoid := range []bool{false, true} {
		b.Run(fmt.Sprintf("avoidBuggyIPs=%v", avoid), func(b *testing.B) {
			p := benchPool("a", "10.1.0.0/16")
			p.AvoidBuggyIPs = avoid
			n := 1 << 16
			if avoid {
				n = 256 * 254
			}
			var services []*lb.Service
			for i := range n {
				services = append(services, benchService(i, 100))
			}
			a := ipam.New((&lb.Config{Pools: []*lb.Pool{p}}).Index())
			fill(b, a, services)
			turn(b, a, services)
		})
	}
}

// scaleConfig makes a thousand pools of 256 addresses: open ones, or one for each namespace.
func scaleConfig(pinned bool) *lb.Config {
	cfg := &lb.Config{}
	for i := range 1000 {
		p := benchPool(fmt.Sprintf("pool-%04d", i), fmt.Sprintf("10.%d.%d.0/24", i/256, i%256))
		if pinned {
			p.Allocation = &lb.Allocation{Namespaces: &lb.NamespaceSet{Names: []string{fmt.Sprintf("ns-%04d", i)}}}
		}
		cfg.Pools = append(cfg.Pools, p)
	}
	return cfg.Index()
}

// BenchmarkScale shows how the cost of an operation grows with the number of Services, in a
// thousand pools. B/address is the heap in use per address held, the Services themselves
// not counted.
func BenchmarkScale(b *testing.B) {
	for _, pinned := range []bool{false, true} {
		for _, n := range []int{1_000, 10_000, 100_000} {
			var services []*lb.Service
			for i := range n {
				services = append(services, benchService(i, 1000))
			}
			name := func(op string) string { return fmt.Sprintf("%s/pinned=%v/services=%d", op, pinned, n) }
			before := heap()
			a := ipam.New(scaleConfig(pinned))
			empty := heap()
			fill(b, a, services)
			perAddress := float64(heap()-empty) / float64(n)
			perPool := float64(empty-before) / 1000
			b.Run(name("turn"), func(b *testing.B) {
				turn(b, a, services)
				b.ReportMetric(perAddress, "B/address")
				b.ReportMetric(perPool, "B/pool")
			})
			b.Run(name("idle"), func(b *testing.B) {
				i := 0
				for b.Loop() {
					a.Sync(services[i%n], ipam.Namespace{}, benchNow)
					i += 7919
				}
			})
			b.Run(name("config"), func(b *testing.B) {
				cfg := scaleConfig(pinned)
				for b.Loop() {
					a.SetConfig(cfg)
				}
			})
			b.Run(name("adopt"), func(b *testing.B) {
				var claims []ipam.Claim
				for _, svc := range services {
					c := *svc
					c.Addresses = a.Held(svc.Key)
					claims = append(claims, ipam.Claim{Service: &c})
				}
				cfg := scaleConfig(pinned)
				for b.Loop() {
					if x := ipam.New(cfg).Adopt(claims); len(x) > 0 {
						b.Fatal(x)
					}
				}
			})
		}
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkOneSharingKey is the worst case of sharing: all Services have one key and the same
// port, so that none can share with any other.
func BenchmarkOneSharingKey(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			var services []*lb.Service
			for i := range n {
				svc := benchService(i, 100)
				svc.SharingKey = "all"
				services = append(services, svc)
			}
			a := ipam.New((&lb.Config{Pools: []*lb.Pool{benchPool("a", "10.1.0.0/16")}}).Index())
			fill(b, a, services)
			turn(b, a, services)
		})
	}
}

// BenchmarkWaiting frees one address of a full pool that many Services wait for.
func BenchmarkWaiting(b *testing.B) {
	for _, n := range []int{100, 10_000, 50_000} {
		b.Run(fmt.Sprintf("waiting=%d", n), func(b *testing.B) {
			var services []*lb.Service
			for i := range n + 256 {
				services = append(services, benchService(i, 100))
			}
			a := ipam.New((&lb.Config{Pools: []*lb.Pool{benchPool("a", "10.1.0.0/24")}}).Index())
			for _, svc := range services {
				a.Sync(svc, ipam.Namespace{}, benchNow)
			}
			byKey := map[lb.ServiceKey]*lb.Service{}
			for _, svc := range services {
				byKey[svc.Key] = svc
			}
			holders := slices.Clone(services[:256])
			i := 0
			for b.Loop() {
				old := holders[i%256]
				freed := a.Release(old.Key, benchNow, true)
				for key := range a.Waiting(freed) {
					a.Sync(byKey[key], ipam.Namespace{}, benchNow)
					holders[i%256] = byKey[key]
				}
				a.Sync(old, ipam.Namespace{}, benchNow)
				i++
			}
		})
	}
}
