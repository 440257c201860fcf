package ipam_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go4.org/netipx"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/lb"
)

// script is a cluster in small, driven by one command a line. The commands are explained in
// testdata/README.
type script struct {
	alloc      *ipam.Allocator
	pools      map[string]*lb.Pool
	services   map[lb.ServiceKey]*lb.Service
	namespaces map[string]map[string]string
	now        time.Time
	freed      []netip.Addr
	out        strings.Builder
	// last holds the latest outcome of each Service.
	last map[lb.ServiceKey]ipam.Outcome
}

func newScript() *script {
	return &script{
		alloc:      ipam.New(nil),
		pools:      map[string]*lb.Pool{},
		services:   map[lb.ServiceKey]*lb.Service{},
		namespaces: map[string]map[string]string{},
		last:       map[lb.ServiceKey]ipam.Outcome{},
		now:        time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

// play runs a text.
func play(t testing.TB, text string) *script {
	t.Helper()
	s := newScript()
	for line := range strings.Lines(text) {
		if err := s.run(strings.TrimSpace(line)); err != nil {
			t.Fatalf("%s: %v", strings.TrimSpace(line), err)
		}
	}
	return s
}

func (s *script) printf(format string, args ...any) { fmt.Fprintf(&s.out, format, args...) }

func (s *script) run(line string) error {
	words := strings.Fields(line)
	if len(words) == 0 || strings.HasPrefix(words[0], "#") {
		return nil
	}
	opts, err := parseOptions(words[1:])
	if err != nil {
		return err
	}
	switch words[0] {
	case "pool":
		return s.pool(opts)
	case "unpool":
		delete(s.pools, opts.args[0])
	case "namespace":
		s.namespaces[opts.args[0]] = opts.values
	case "config":
		s.config()
	case "service":
		return s.service(opts)
	case "adopt":
		s.adopt()
	case "sync":
		return s.each(opts.args, s.sync)
	case "release":
		return s.each(opts.args, func(k lb.ServiceKey) { s.free(s.alloc.Release(k, s.now, false)) })
	case "delete":
		return s.each(opts.args, func(k lb.ServiceKey) {
			delete(s.services, k)
			s.free(s.alloc.Release(k, s.now, true))
		})
	case "waiting":
		freed := s.freed
		s.freed = nil
		for key := range s.alloc.Waiting(freed) {
			s.sync(key)
		}
	case "pass":
		d, err := time.ParseDuration(opts.args[0])
		if err != nil {
			return err
		}
		s.now = s.now.Add(d)
		s.free(s.alloc.Expire(s.now))
	case "show":
		s.show()
	case "counts":
		c, ok := s.alloc.Counts(opts.args[0])
		s.printf("%s known=%v v4 %d/%d v6 %d/%d withheld %d\n", opts.args[0], ok,
			c.AssignedIPv4, c.AvailableIPv4, c.AssignedIPv6, c.AvailableIPv6, c.Withheld)
	case "retained":
		for _, e := range s.alloc.Retained(opts.args[0]) {
			s.printf("%s for %s until %s\n", e.Address, e.Service, e.Until.Format(time.RFC3339))
		}
	default:
		return fmt.Errorf("unknown command %q", words[0])
	}
	return nil
}

func (s *script) each(names []string, do func(lb.ServiceKey)) error {
	for _, n := range names {
		k, err := lb.ParseServiceKey(n)
		if err != nil {
			return err
		}
		do(k)
	}
	return nil
}

func (s *script) free(addrs []netip.Addr) {
	s.freed = append(s.freed, addrs...)
	if len(addrs) > 0 {
		s.printf("freed %s\n", text(addrs))
	}
}

func (s *script) pool(o *options) error {
	p := &lb.Pool{Name: o.args[0], AutoAssign: !o.has("no-auto"), AvoidBuggyIPs: o.has("avoid-buggy"), Drain: o.has("drain")}
	for _, a := range o.list("addresses") {
		r, err := parseRange(a)
		if err != nil {
			return err
		}
		p.Ranges = append(p.Ranges, r)
	}
	var err error
	if o.has("pinned") || o.has("priority") || o.has("namespaces") || o.has("namespace-selector") || o.has("service-selector") {
		p.Allocation = &lb.Allocation{Priority: o.number("priority")}
		if o.has("namespaces") || o.has("namespace-selector") {
			p.Allocation.Namespaces = &lb.NamespaceSet{Names: o.list("namespaces")}
			if p.Allocation.Namespaces.Selectors, err = parseSelectors(o.list("namespace-selector")); err != nil {
				return err
			}
		}
		if p.Allocation.Services, err = parseSelectors(o.list("service-selector")); err != nil {
			return err
		}
	}
	for _, r := range o.list("reserve") {
		name, addr, _ := strings.Cut(r, "@")
		key, err := lb.ParseServiceKey(name)
		if err != nil {
			return err
		}
		p.Reservations = append(p.Reservations, lb.Reservation{Service: key, Addresses: []netip.Addr{netip.MustParseAddr(addr)}})
	}
	if o.has("retention") {
		if p.Retention, err = time.ParseDuration(o.values["retention"]); err != nil {
			return err
		}
	}
	if o.has("quota") {
		p.Quota = &lb.Quota{PerNamespace: o.number("quota"), Namespaces: map[string]int{}}
		for k := range o.values {
			if ns, ok := strings.CutPrefix(k, "quota."); ok {
				p.Quota.Namespaces[ns] = o.number(k)
			}
		}
	}
	if o.has("requesters") {
		p.Requesters = &lb.NamespaceSet{Names: o.list("requesters")}
	}
	s.pools[p.Name] = p
	return nil
}

func (s *script) config() {
	cfg := &lb.Config{}
	for _, p := range s.pools {
		cfg.Pools = append(cfg.Pools, p)
	}
	slices.SortFunc(cfg.Pools, func(x, y *lb.Pool) int { return strings.Compare(x.Name, y.Name) })
	c := s.alloc.SetConfig(cfg.Index())
	for _, l := range c.Lost {
		s.printf("lost %s %s %s: %s\n", l.Service, text(l.Addresses), l.Reason, l.Message)
	}
	for _, k := range c.Moved {
		s.printf("moved %s\n", k)
	}
	for _, k := range c.Retry {
		s.printf("retry %s\n", k)
	}
}

func (s *script) service(o *options) error {
	key, err := lb.ParseServiceKey(o.args[0])
	if err != nil {
		return err
	}
	svc := &lb.Service{Key: key, PrimaryFamily: lb.IPv4, ClusterIPs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
	if old := s.services[key]; old != nil {
		c := *old
		svc = &c
	}
	for k, v := range o.values {
		switch k {
		case "families":
			svc.ClusterIPs = nil
			for _, f := range strings.Split(v, ",") {
				svc.ClusterIPs = append(svc.ClusterIPs, map[string]netip.Addr{
					"4": netip.MustParseAddr("10.0.0.1"), "6": netip.MustParseAddr("fd00::1"),
				}[f])
			}
			svc.PrimaryFamily = lb.FamilyOf(svc.ClusterIPs[0])
			if v == "none" {
				svc.ClusterIPs, svc.PrimaryFamily = nil, lb.IPv4
			}
		case "policy":
			svc.FamilyPolicy = map[string]lb.FamilyPolicy{"single": lb.SingleStack, "prefer": lb.PreferDualStack, "require": lb.RequireDualStack}[v]
		case "ports":
			svc.Ports = nil
			for _, p := range o.list(k) {
				proto, n, _ := strings.Cut(p, "/")
				num, err := strconv.ParseUint(n, 10, 16)
				if err != nil {
					return err
				}
				svc.Ports = append(svc.Ports, lb.Port{Protocol: proto, Number: uint16(num)})
			}
		case "traffic":
			svc.TrafficPolicy = map[string]lb.TrafficPolicy{"local": lb.Local, "cluster": lb.Cluster}[v]
		case "selector":
			svc.Backend = v
		case "share":
			svc.SharingKey = v
		case "ips":
			pool := svc.Request.Pool
			svc.Request = ipam.ParseRequest(map[string]string{ipam.AnnotationAddresses: v}, "")
			svc.Request.Pool = pool
		case "pool":
			svc.Request.Pool = v
		case "status":
			svc.Addresses = nil
			for _, a := range o.list(k) {
				svc.Addresses = append(svc.Addresses, netip.MustParseAddr(a))
			}
		case "hostname":
			svc.ForeignIngress = o.list(k)
		case "from":
			svc.AssignedPool = v
		case "uid":
			svc.UID = v
		case "other-controller":
			svc.OtherController = v
		case "label":
			l, _, _ := strings.Cut(v, ":")
			svc.Labels = map[string]string{l: strings.TrimPrefix(v, l+":")}
		default:
			return fmt.Errorf("unknown option %q", k)
		}
	}
	s.services[key] = svc
	return nil
}

func (s *script) sync(key lb.ServiceKey) {
	svc := s.services[key]
	o := s.alloc.Sync(svc, ipam.Namespace{Labels: s.namespaces[key.Namespace]}, s.now)
	s.last[key] = o
	s.printf("%s %s", key, text(o.Addresses))
	if o.Pool != "" {
		s.printf(" pool=%s", o.Pool)
	}
	s.printf(" %s", o.Reason)
	if o.Changed {
		s.printf(" changed")
	}
	if o.Message != "" {
		s.printf(": %s", o.Message)
	}
	s.printf("\n")
	for _, e := range o.Events {
		s.printf("  event %s %s: %s\n", e.Type, e.Reason, e.Message)
	}
	if len(o.Released) > 0 {
		s.printf("  released %s\n", text(o.Released))
	}
	if len(o.Freed) > 0 {
		s.printf("  freed %s\n", text(o.Freed))
		s.freed = append(s.freed, o.Freed...)
	}
	// The caller writes the status.
	c := *svc
	c.Addresses, c.AssignedPool = o.Addresses, o.Pool
	if o.Changed {
		c.ForeignIngress = nil
	}
	s.services[key] = &c
}

func (s *script) adopt() {
	var claims []ipam.Claim
	for _, svc := range s.services {
		claims = append(claims, ipam.Claim{Service: svc, Namespace: ipam.Namespace{Labels: s.namespaces[svc.Key.Namespace]}})
	}
	for _, c := range s.alloc.Adopt(claims) {
		s.printf("conflict %s %s: %s\n", c.Service, c.Address, c.Message)
	}
}

func (s *script) show() {
	var keys []lb.ServiceKey
	for k := range s.services {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, lb.ServiceKey.Compare)
	for _, k := range keys {
		s.printf("%s %s\n", k, text(s.alloc.Held(k)))
	}
}

func text(addrs []netip.Addr) string {
	if len(addrs) == 0 {
		return "-"
	}
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return strings.Join(out, ",")
}

// options are the words of a command: plain ones, and name=value pairs or bare names that
// follow the first plain word.
type options struct {
	args   []string
	values map[string]string
}

func parseOptions(words []string) (*options, error) {
	o := &options{values: map[string]string{}}
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		switch {
		case ok:
			o.values[k] = v
		case strings.Contains(w, "/") || len(o.args) == 0:
			o.args = append(o.args, w)
		default:
			o.values[w] = ""
		}
	}
	return o, nil
}

func (o *options) has(k string) bool { _, ok := o.values[k]; return ok }

func (o *options) list(k string) []string {
	if o.values[k] == "" {
		return nil
	}
	return strings.Split(o.values[k], ",")
}

func (o *options) number(k string) int {
	n, err := strconv.Atoi(o.values[k])
	if err != nil {
		return 0
	}
	return n
}

func parseRange(s string) (netipx.IPRange, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return netipx.RangeOfPrefix(p), nil
	}
	return netipx.ParseIPRange(s)
}

// parseSelectors reads key:value items.
func parseSelectors(items []string) (lb.Selectors, error) {
	var out lb.Selectors
	for _, i := range items {
		s, err := labels.Parse(strings.Replace(i, ":", "=", 1))
		if err != nil {
			return nil, err
		}
		out = append(out, lb.NewSelector(s))
	}
	return out, nil
}
