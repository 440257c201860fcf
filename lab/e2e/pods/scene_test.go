package pods

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/labtest"
)

const (
	// patience bounds what follows from a change: seconds, on a machine that may be busy.
	patience = time.Minute
	// observer is the client that asks on the wire, and near and far are those whose requests
	// are counted.
	observer, near, far = "c2", "c1", "f1"
)

// objects are two Services with the same pages: one announced by ARP and NDP, one by BGP. The
// router is a peer over IPv4, with a password and BFD, and over IPv6, where the nodes wait for
// it to call.
const objects = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: '{{.Name}}-lan', namespace: metallb-system}
spec: {autoAssign: false, addresses: ['{{.Pool4}}', '{{.Pool6}}']}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: '{{.Name}}', namespace: metallb-system}
spec: {ipAddressPools: ['{{.Name}}-lan']}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: '{{.Name}}-routed', namespace: metallb-system}
spec: {autoAssign: false, addresses: ['{{.Routed4}}']}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: '{{.Name}}', namespace: metallb-system}
spec: {ipAddressPools: ['{{.Name}}-routed']}
---
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: '{{.Name}}', namespace: metallb-system}
spec: {transmitInterval: 300, receiveInterval: 300, detectMultiplier: 5}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: '{{.Name}}-four', namespace: metallb-system}
spec: {myASN: 65007, peerASN: 65000, peerAddress: 10.89.0.1, password: secret, bfdProfile: '{{.Name}}'}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: '{{.Name}}-six', namespace: metallb-system}
spec: {myASN: 65007, peerASN: 65000, peerAddress: 'fd89::1', passive: true}
---
apiVersion: v1
kind: Service
metadata: {name: lan, annotations: {metallb.io/address-pool: '{{.Name}}-lan'}}
spec:
  type: LoadBalancer
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: v1
kind: Service
metadata: {name: routed, annotations: {metallb.io/address-pool: '{{.Name}}-routed'}}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
`

// frrConfig calls every node over IPv6, and is called by them over IPv4.
const frrConfig = `
router bgp 65000
 bgp router-id 10.89.0.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax
 bgp graceful-restart
 neighbor FOUR peer-group
 neighbor FOUR remote-as 65007
 neighbor FOUR password secret
 neighbor FOUR bfd
 bgp listen range 10.89.0.0/16 peer-group FOUR
{{range .}} neighbor {{.}} remote-as 65007
 neighbor {{.}} timers connect 2
{{end}} address-family ipv4 unicast
  maximum-paths 8
  neighbor FOUR activate
 exit-address-family
 address-family ipv6 unicast
{{range .}}  neighbor {{.}} activate
{{end}} exit-address-family
exit
`

// scene is the router and the two Services.
type scene struct {
	*labtest.Env
	t      testing.TB
	lan    []netip.Addr
	routed netip.Addr
}

// newScene starts the router and makes the objects.
func newScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{Env: labtest.New(t), t: t}
	var config bytes.Buffer
	var nodes []netip.Addr
	for _, h := range s.Lab.Hosts(lab.RoleNode) {
		nodes = append(nodes, h.V6())
	}
	if err := template.Must(template.New("frr.conf").Parse(frrConfig)).Execute(&config, nodes); err != nil {
		t.Fatal(err)
	}
	if err := s.Lab.Router().StartFRR(t.Context(), config.String()); err != nil {
		t.Fatalf("%v\n%s", err, config.String())
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		if err := s.Lab.Router().StopFRR(ctx); err != nil {
			t.Error(err)
		}
	})
	s.Page("web", 3)
	s.Apply(objects, nil)
	s.Eventually("the Services have addresses", patience, func(ctx context.Context) error {
		lan, err1 := s.ingress(ctx, "lan")
		routed, err2 := s.ingress(ctx, "routed")
		if len(lan) != 2 || len(routed) != 1 {
			return errors.Join(err1, err2, fmt.Errorf("they have %v and %v", lan, routed))
		}
		s.lan, s.routed = lan, routed[0]
		return nil
	})
	return s
}

func (s *scene) ingress(ctx context.Context, name string) ([]netip.Addr, error) {
	var svc corev1.Service
	if err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, &svc); err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, in := range svc.Status.LoadBalancer.Ingress {
		a, err := netip.ParseAddr(in.IP)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// A feature is something that the speakers of all nodes do together.
type feature struct {
	name  string
	works func(context.Context) error
}

func (s *scene) features() []feature {
	return []feature{
		{"layer 2", s.layer2},
		{"BGP with MD5", func(ctx context.Context) error { return s.sessions(ctx, lab.Host.V4) }},
		{"BFD", s.bfd},
		{"passive BGP", func(ctx context.Context) error { return s.sessions(ctx, lab.Host.V6) }},
		{"real-time BFD", s.realTime},
	}
}

// layer2 sees that one node answers for each address.
func (s *scene) layer2(ctx context.Context) error {
	for _, a := range s.lan {
		if who, err := s.Answerers(ctx, observer, a); err != nil || len(who) != 1 {
			return errors.Join(err, fmt.Errorf("%s is answered by %v", a, who))
		}
	}
	return nil
}

// sessions sees that FRR has a session with each node's address.
func (s *scene) sessions(ctx context.Context, address func(lab.Host) netip.Addr) error {
	var all map[string]json.RawMessage
	if err := s.show(ctx, "show bgp neighbors", &all); err != nil {
		return err
	}
	for _, h := range s.Lab.Hosts(lab.RoleNode) {
		var n struct {
			State string `json:"bgpState"`
		}
		raw, ok := all[address(h).String()]
		if !ok {
			return fmt.Errorf("no session with %s", address(h))
		}
		if err := json.Unmarshal(raw, &n); err != nil {
			return err
		}
		if n.State != "Established" {
			return fmt.Errorf("the session with %s is %s", address(h), n.State)
		}
	}
	return nil
}

func (s *scene) bfd(ctx context.Context) error {
	var peers []struct{ Peer, Status string }
	if err := s.show(ctx, "show bfd peers", &peers); err != nil {
		return err
	}
	up := map[string]bool{}
	for _, p := range peers {
		up[p.Peer] = up[p.Peer] || p.Status == "up"
	}
	for _, h := range s.Lab.Hosts(lab.RoleNode) {
		if !up[h.V4().String()] {
			return fmt.Errorf("BFD with %s is not up: %v", h.Name, peers)
		}
	}
	return nil
}

func (s *scene) realTime(context.Context) error {
	all, err := processes()
	if err != nil {
		return err
	}
	for _, h := range s.Lab.Hosts(lab.RoleNode) {
		i := slices.IndexFunc(all, func(p process) bool { return p.node == h.Name && p.role == "speaker" })
		if i < 0 {
			return fmt.Errorf("no speaker runs on %s", h.Name)
		}
		if ok, err := all[i].realTime(); err != nil || !ok {
			return errors.Join(err, fmt.Errorf("the speaker of %s has no real-time thread", h.Name))
		}
	}
	return nil
}

func (s *scene) show(ctx context.Context, command string, into any) error {
	out, err := s.Lab.Router().Vtysh(ctx, command+" json")
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return json.Unmarshal(out, into)
}

// all waits until everything works.
func (s *scene) all() {
	s.t.Helper()
	for _, f := range s.features() {
		s.Eventually(f.name+" works", patience, f.works)
	}
}

// kubectl runs kubectl, also when the test is over.
func (s *scene) kubectl(args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 2*time.Minute)
	defer cancel()
	if out, err := s.Lab.Kubectl(ctx, nil, args...); err != nil {
		s.t.Errorf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (s *scene) daemonSet() *appsv1.DaemonSet {
	s.t.Helper()
	var d appsv1.DaemonSet
	if err := s.Client.Get(s.t.Context(), client.ObjectKey{Namespace: install.Namespace, Name: "speaker"}, &d); err != nil {
		s.t.Fatal(err)
	}
	return &d
}

// chosen are the capabilities that the manifests give to speakers.
func (s *scene) chosen() []string {
	s.t.Helper()
	var out []string
	for _, c := range s.daemonSet().Spec.Template.Spec.Containers[0].SecurityContext.Capabilities.Add {
		out = append(out, string(c))
	}
	return out
}

// keep restores the DaemonSet, by the manifests, when the test ends.
func (s *scene) keep() {
	s.t.Helper()
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 3*time.Minute)
		defer cancel()
		s.kubectl("-n", install.Namespace, "delete", "daemonset", "speaker")
		if err := install.Apply(ctx, s.Lab); err != nil {
			s.t.Error(err)
		}
	})
}

// patch changes the DaemonSet by a JSON patch.
func (s *scene) patch(ops ...map[string]any) {
	s.t.Helper()
	b, err := json.Marshal(ops)
	if err != nil {
		s.t.Fatal(err)
	}
	s.kubectl("-n", install.Namespace, "patch", "daemonset", "speaker", "--type=json", "-p", string(b))
}

func set(path string, value any) map[string]any {
	return map[string]any{"op": "add", "path": path, "value": value}
}

// rollOut changes the template of the DaemonSet and waits for new Pods everywhere.
func (s *scene) rollOut(ops ...map[string]any) {
	s.t.Helper()
	s.patch(append(ops, set("/spec/updateStrategy", map[string]any{
		"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxUnavailable": "100%"}}))...)
	s.kubectl("-n", install.Namespace, "rollout", "status", "daemonset/speaker", "--timeout=100s")
}
