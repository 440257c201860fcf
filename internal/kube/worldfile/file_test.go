package worldfile

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/members"
)

var origin = Origin{Node: "n1", Namespace: "metallb-system", Cluster: "abc", Classes: []string{""}}

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "metallb-system", Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1000, 0).UTC())}
}

func world() World {
	addr := netip.MustParseAddr
	web := lb.ServiceKey{Namespace: "default", Name: "web"}
	w := World{
		Services: []*lb.Service{
			{Key: lb.ServiceKey{Namespace: "x", Name: "y"}},
			{
				Key: web, UID: "u", Labels: map[string]string{"a": "b"}, ClusterIPs: []netip.Addr{addr("10.96.0.1"), addr("fd96::1")},
				PrimaryFamily: lb.IPv6, FamilyPolicy: lb.RequireDualStack, Ports: []lb.Port{{Protocol: "TCP", Number: 80}}, TrafficPolicy: lb.Local,
				Backend: "app=web", SharingKey: "k", Request: lb.Request{Addresses: []netip.Addr{addr("192.0.2.1")}, Pool: "p", Err: "e"},
				Addresses: []netip.Addr{addr("192.0.2.1")}, ForeignIngress: []string{"host"}, AssignedPool: "p", OtherController: "o",
			},
		},
		Slices: []Slice{{Service: web, Name: "web-1", Sum: translate.SliceSum{Type: "IPv4",
			Endpoints: lb.Endpoints{Usable: 1, Total: 2, ByNode: map[string]int{"n1": 1}}}}},
		Nodes:    []*lb.Node{{Name: "n1", Labels: map[string]string{"zone": "a"}, NetworkUnavailable: true, Addresses: []netip.Addr{addr("192.0.2.11")}}},
		Speakers: []members.Peer{{Node: "n2", Addr: netip.MustParseAddrPort("192.0.2.12:0")}},
	}
	w.SetResources(config.Resources{
		Pools:            []*v1beta1.IPAddressPool{{ObjectMeta: meta("p"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.0/24"}}}},
		L2Advertisements: []*v1beta1.L2Advertisement{{ObjectMeta: meta("l2")}},
		Peers:            []*v1beta2.BGPPeer{{ObjectMeta: meta("peer"), Spec: v1beta2.BGPPeerSpec{PasswordSecret: corev1.SecretReference{Name: "md5"}}}},
		BFDProfiles: []*v1beta1.BFDProfile{{ObjectMeta: meta("bfd"), Spec: v1beta1.BFDProfileSpec{
			Auth: &v1beta1.BFDAuth{SecretRef: corev1.LocalObjectReference{Name: "keys"}}}}},
		Secrets: []*corev1.Secret{
			{ObjectMeta: meta("md5"), Data: map[string][]byte{"password": []byte("secret")}}, {ObjectMeta: meta("keys")},
			{ObjectMeta: meta("memberlist")}, {ObjectMeta: meta("helm"), Data: map[string][]byte{"release": []byte("large")}},
		},
	}, "memberlist")
	return w
}

func TestRoundTrip(t *testing.T) {
	f := New(t.TempDir(), origin)
	if _, err := f.Read(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	at := time.Unix(2000, 0).UTC()
	written, err := f.Write(world(), at)
	if err != nil || !written {
		t.Fatalf("written: %t, %v", written, err)
	}
	got, err := New(filepath.Dir(f.Path()), origin).Read()
	if err != nil {
		t.Fatal(err)
	}
	want := world()
	want.sort()
	if diff := cmp.Diff(&Copy{Origin: origin, Saved: at, World: want}, got,
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.World.Secret("md5") == nil || got.World.Secret("memberlist") == nil || got.World.Secret("helm") != nil {
		t.Errorf("the Secrets are %v", got.World.Secrets)
	}
	info, err := os.Stat(f.Path())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// The same World, in whatever order its parts come, is written once.
func TestNothingIsWrittenTwice(t *testing.T) {
	f := New(t.TempDir(), origin)
	w := world()
	if _, err := f.Write(w, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	w.Services[0], w.Services[1] = w.Services[1], w.Services[0]
	if written, err := f.Write(w, time.Unix(2, 0)); written || err != nil {
		t.Errorf("written: %t, %v", written, err)
	}
	w.Nodes = nil
	if written, err := f.Write(w, time.Unix(3, 0)); !written || err != nil {
		t.Errorf("a change is not written: %t, %v", written, err)
	}
}

func TestFilesThatAreNotUsed(t *testing.T) {
	dir := t.TempDir()
	f := New(dir, origin)
	if _, err := f.Write(world(), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), whole...)
	flipped[len(flipped)-10] ^= 1
	for name, c := range map[string]struct {
		content []byte
		want    error
	}{
		"empty":           {nil, ErrDamaged},
		"cut short":       {whole[:len(whole)-1], ErrDamaged},
		"head only":       {whole[:60], ErrDamaged},
		"a flipped bit":   {flipped, ErrDamaged},
		"something else":  {[]byte("{}\n"), ErrDamaged},
		"another version": {append([]byte("lintel-world 2 00\n"), whole...), ErrVersion},
		"not JSON":        {encode([]byte("[]")), ErrDamaged},
	} {
		if err := os.WriteFile(f.Path(), c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Read(); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(f.Path(), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*Origin){
		"namespace": func(o *Origin) { o.Namespace = "other" },
		"cluster":   func(o *Origin) { o.Cluster = "def" },
		"classes":   func(o *Origin) { o.Classes = []string{"c"} },
	} {
		o := origin
		edit(&o)
		if _, err := New(dir, o).Read(); !errors.Is(err, ErrForeign) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if _, err := f.Read(); err != nil {
		t.Errorf("the file as it was: %v", err)
	}
}

// What a crash left is removed, and a write that fails leaves the old copy.
func TestAWriteThatFails(t *testing.T) {
	dir := t.TempDir()
	f := New(dir, origin)
	if _, err := f.Write(world(), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	left := f.Path() + ".new-1"
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", left, err)
	}
	if _, err := f.Read(); err != nil {
		t.Error(err)
	}
	gone := New(filepath.Join(dir, "missing"), origin)
	if written, err := gone.Write(world(), time.Unix(1, 0)); written || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the directory: %t, %v", written, err)
	}
}
