package config

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/lb"
)

// The generators draw from few names, labels and addresses, so that objects meet. Some of
// what they make is bad.

func genMeta(t *rapid.T, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace:         namespace,
		Name:              name,
		Labels:            map[string]string{"zone": rapid.SampledFrom([]string{"x", "y"}).Draw(t, "zone")},
		CreationTimestamp: metav1.NewTime(time.Unix(rapid.Int64Range(1000, 1003).Draw(t, "created"), 0)),
	}
}

func genSelectors(t *rapid.T) []metav1.LabelSelector {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) metav1.LabelSelector {
		switch rapid.IntRange(0, 5).Draw(t, "selector") {
		case 0:
			return metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "zone", Operator: "Like"}}}
		case 1:
			return metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "zone", Operator: metav1.LabelSelectorOpExists}}}
		}
		return metav1.LabelSelector{MatchLabels: map[string]string{"zone": rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "value")}}
	}), 0, 2).Draw(t, "selectors")
}

func genNames(t *rapid.T, names ...string) []string {
	return rapid.SliceOfN(rapid.SampledFrom(names), 0, 2).Draw(t, "names")
}

func genEntry(t *rapid.T) string {
	n := rapid.IntRange(0, 15).Draw(t, "start")
	switch rapid.IntRange(0, 9).Draw(t, "entry") {
	case 0:
		return "nonsense"
	case 1:
		return fmt.Sprintf("10.0.0.%d/30", n*4)
	case 2:
		return fmt.Sprintf("2001:db8::%x/126", n*4)
	}
	return fmt.Sprintf("10.0.0.%d-10.0.0.%d", n*4, n*4+rapid.IntRange(0, 7).Draw(t, "size"))
}

func genPool(t *rapid.T, name string) *v1beta1.IPAddressPool {
	return &v1beta1.IPAddressPool{ObjectMeta: genMeta(t, name), Spec: v1beta1.IPAddressPoolSpec{
		Addresses: rapid.SliceOfN(rapid.Custom(genEntry), 0, 3).Draw(t, "addresses"),
	}}
}

func genL2(t *rapid.T, name string) *v1beta1.L2Advertisement {
	return &v1beta1.L2Advertisement{ObjectMeta: genMeta(t, name), Spec: v1beta1.L2AdvertisementSpec{
		IPAddressPools:         genNames(t, "a", "b", "c", "none"),
		IPAddressPoolSelectors: genSelectors(t),
	}}
}

func genBGP(t *rapid.T, name string) *v1beta1.BGPAdvertisement {
	return &v1beta1.BGPAdvertisement{ObjectMeta: genMeta(t, name), Spec: v1beta1.BGPAdvertisementSpec{
		AggregationLength: rapid.SampledFrom([]*int32{nil, new(int32(32)), new(int32(30)), new(int32(24))}).Draw(t, "length"),
		LocalPref:         rapid.SampledFrom([]uint32{0, 100, 200}).Draw(t, "localPref"),
		IPAddressPools:    genNames(t, "a", "b", "c", "none"),
		NodeSelectors:     genSelectors(t),
		Peers:             genNames(t, "p", "q", "none"),
		Communities:       genNames(t, "vip", "1:2", "none"),
	}}
}

func genPeer(t *rapid.T, name string) *v1beta2.BGPPeer {
	return &v1beta2.BGPPeer{ObjectMeta: genMeta(t, name), Spec: v1beta2.BGPPeerSpec{
		MyASN:         rapid.SampledFrom([]uint32{0, 1, 1, 1}).Draw(t, "myASN"),
		ASN:           2,
		Address:       rapid.SampledFrom([]string{"10.9.0.1", "10.9.0.2", "x"}).Draw(t, "address"),
		NodeSelectors: genSelectors(t),
		BFDProfile:    rapid.SampledFrom([]string{"", "", "f", "g"}).Draw(t, "profile"),
	}}
}

func genBFD(t *rapid.T, name string) *v1beta1.BFDProfile {
	return &v1beta1.BFDProfile{ObjectMeta: genMeta(t, name), Spec: v1beta1.BFDProfileSpec{
		DetectMultiplier: rapid.SampledFrom([]*int32{nil, new(int32(1)), new(int32(3))}).Draw(t, "multiplier"),
	}}
}

func genCommunity(t *rapid.T, name string) *v1beta1.Community {
	return &v1beta1.Community{ObjectMeta: genMeta(t, name), Spec: v1beta1.CommunitySpec{Communities: []v1beta1.CommunityAlias{{
		Name:  rapid.SampledFrom([]string{"vip", "other"}).Draw(t, "alias"),
		Value: rapid.SampledFrom([]string{"1:2", "1:3", "x"}).Draw(t, "value"),
	}}}}
}

func genList[T any](t *rapid.T, gen func(*rapid.T, string) T, names ...string) (out []T) {
	for _, name := range names {
		if rapid.Bool().Draw(t, "has "+name) {
			out = append(out, gen(t, name))
		}
	}
	return out
}

func genResources(t *rapid.T) Resources {
	in := Resources{
		Namespace:         namespace,
		Pools:             genList(t, genPool, "a", "b", "c", "d"),
		L2Advertisements:  genList(t, genL2, "l", "m"),
		BGPAdvertisements: genList(t, genBGP, "v", "w", "x"),
		Peers:             genList(t, genPeer, "p", "q", "r"),
		BFDProfiles:       genList(t, genBFD, "f", "g"),
		Communities:       genList(t, genCommunity, "c1", "c2"),
		Assigned:          map[netip.Addr]string{},
		Nodes:             map[string]*lb.Node{},
	}
	for range rapid.IntRange(0, 3).Draw(t, "assigned") {
		a := netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(0, 70).Draw(t, "address"))})
		in.Assigned[a] = rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "from")
	}
	for _, n := range genNames(t, "n1", "n2") {
		in.Nodes[n] = &lb.Node{Name: n, Labels: map[string]string{"zone": rapid.SampledFrom([]string{"x", "y"}).Draw(t, "zone")}}
	}
	return in
}

func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := genResources(t)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		mixed := in
		mixed.Pools = shuffled(r, in.Pools)
		mixed.L2Advertisements = shuffled(r, in.L2Advertisements)
		mixed.BGPAdvertisements = shuffled(r, in.BGPAdvertisements)
		mixed.Peers = shuffled(r, in.Peers)
		mixed.BFDProfiles = shuffled(r, in.BFDProfiles)
		mixed.Communities = shuffled(r, in.Communities)
		mixed.Assigned = maps.Clone(in.Assigned)
		if diff := cmp.Diff(Parse(in), Parse(mixed), exact); diff != "" {
			t.Fatalf("another order gives another result (-first +second):\n%s", diff)
		}
	})
}

func shuffled[T any](r *rand.Rand, in []T) []T {
	out := slices.Clone(in)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func TestOneVerdictForEachObject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := genResources(t)
		res := Parse(in)
		total := len(in.Pools) + len(in.L2Advertisements) + len(in.BGPAdvertisements) + len(in.Peers) + len(in.BFDProfiles) + len(in.Communities)
		if len(res.Verdicts) != total {
			t.Fatalf("%d verdicts on %d objects", len(res.Verdicts), total)
		}
		for _, v := range res.Verdicts {
			if v.Accepted != (v.Reason == ReasonAccepted) || v.Accepted != (v.Message == "") {
				t.Fatalf("contradictory verdict %+v", v)
			}
			if i := slices.IndexFunc(res.Config.Pools, func(p *lb.Pool) bool { return p.Name == v.Object.Name }); v.Object.Kind == KindPool && v.Accepted && i < 0 {
				t.Fatalf("%s is accepted but not in effect", v.Object)
			}
		}
	})
}

func TestPoolsAreDisjoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Parse(genResources(t)).Config
		var taken claims
		for _, p := range c.Pools {
			for _, r := range p.Ranges {
				if !r.IsValid() || r.From().Is4() != r.To().Is4() {
					t.Fatalf("pool %s has the range %v", p.Name, r)
				}
				if other, overlaps := taken.find(r); overlaps {
					t.Fatalf("%v of %s overlaps with %v of %s", r, p.Name, other, other.pool)
				}
				taken = taken.add(claim{IPRange: r, pool: p.Name})
				if got := c.PoolOf(r.To()); got != p {
					t.Fatalf("%v is found in %v instead of %s", r.To(), got, p.Name)
				}
			}
		}
	})
}

// TestAssignedAddressesStay has no edit of a pool take an address that a Service has from
// it, unless another pool has a claim to it.
func TestAssignedAddressesStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := genResources(t)
		res := Parse(in)
		for a, name := range in.Assigned {
			for _, p := range in.Pools {
				if p.Name != name || !slices.ContainsFunc(p.Spec.Addresses, func(e string) bool { r, err := ParseRange(e); return err == nil && r.Contains(a) }) {
					continue
				}
				if res.Config.PoolOf(a) == nil {
					t.Fatalf("%v, assigned from pool %s, is in no pool", a, name)
				}
			}
		}
	})
}

// TestBadObjectsStandAlone adds an object that is refused on sight and compares what comes
// of the others.
func TestBadObjectsStandAlone(t *testing.T) {
	bad := metav1.ObjectMeta{Namespace: namespace, Name: "bad", CreationTimestamp: metav1.NewTime(time.Unix(1, 0)), Labels: map[string]string{"zone": "x"}}
	rapid.Check(t, func(t *rapid.T) {
		in := genResources(t)
		in.Assigned = onlyKnown(in) // what comes from elsewhere might make the bad pool hold it
		before := Parse(in)
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			p := genPool(t, "bad")
			p.ObjectMeta, p.Spec.Addresses = bad, append(p.Spec.Addresses, "nonsense")
			in.Pools = append(slices.Clone(in.Pools), p)
		case 1:
			in.L2Advertisements = append(slices.Clone(in.L2Advertisements), &v1beta1.L2Advertisement{ObjectMeta: bad, Spec: v1beta1.L2AdvertisementSpec{IPAddressPools: []string{"a", "a"}}})
		case 2:
			in.BGPAdvertisements = append(slices.Clone(in.BGPAdvertisements), &v1beta1.BGPAdvertisement{ObjectMeta: bad, Spec: v1beta1.BGPAdvertisementSpec{LocalPref: 300, Communities: []string{"x"}}})
		case 3:
			in.Peers = append(slices.Clone(in.Peers), &v1beta2.BGPPeer{ObjectMeta: bad, Spec: v1beta2.BGPPeerSpec{ASN: 2, Address: "10.9.0.1"}})
		case 4:
			in.BFDProfiles = append(slices.Clone(in.BFDProfiles), &v1beta1.BFDProfile{ObjectMeta: bad, Spec: v1beta1.BFDProfileSpec{DetectMultiplier: new(int32(1))}})
		case 5:
			in.Communities = append(slices.Clone(in.Communities), &v1beta1.Community{ObjectMeta: bad, Spec: v1beta1.CommunitySpec{Communities: []v1beta1.CommunityAlias{{Name: "vip", Value: "9:9"}, {Name: "y", Value: "x"}}}})
		}
		after := Parse(in)
		if diff := cmp.Diff(before.Config, after.Config, exact); diff != "" {
			t.Fatalf("the bad object changed the configuration (-before +after):\n%s", diff)
		}
		others := slices.DeleteFunc(after.Verdicts, func(v Verdict) bool { return v.Object.Name == "bad" })
		if len(others) == 0 {
			others = nil // as where there are no objects at all
		}
		if diff := cmp.Diff(before.Verdicts, others, exact); diff != "" {
			t.Fatalf("the bad object changed other verdicts (-before +after):\n%s", diff)
		}
	})
}

// onlyKnown keeps the assignments of which the pool exists.
func onlyKnown(in Resources) map[netip.Addr]string {
	out := map[netip.Addr]string{}
	for a, name := range in.Assigned {
		if slices.ContainsFunc(in.Pools, func(p *v1beta1.IPAddressPool) bool { return p.Name == name }) {
			out[a] = name
		}
	}
	return out
}

// TestNeverSecretInMessages has no password appear in verdicts.
func TestNeverSecretInMessages(t *testing.T) {
	in := script(t, `
		BGPPeer p {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, password: hunter2, passwordSecret: {name: s}}
		BGPPeer q {myASN: 1, peerASN: 2, peerAddress: 10.0.0.2, password: hunter2}
		BGPPeer r {myASN: 1, peerASN: 2, peerAddress: 10.0.0.2, password: hunter2}`)
	if text := fmt.Sprintf("%+v %#v", Parse(in), Parse(in).Verdicts); strings.Contains(text, "hunter2") {
		t.Errorf("the password is printed in %s", text)
	}
}
