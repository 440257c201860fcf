package bgp

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab/e2e/install"
)

const keylessSecret = `
apiVersion: v1
kind: Secret
metadata: {name: '{{.Name}}', namespace: metallb-system}
type: kubernetes.io/{{.Vars.Type}}
stringData: {username: me, ssh-privatekey: none}
`

// event waits until an object has a Warning with a reason whose message has the words.
func (s *scene) event(kind, name, reason string, words ...string) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("%s %s has an event %s with %q", kind, name, reason, words), established, func(ctx context.Context) error {
		list, err := s.Core.CoreV1().Events(install.Namespace).List(ctx, metav1.ListOptions{
			FieldSelector: fields.Set{"involvedObject.kind": kind, "involvedObject.name": name, "reason": reason}.String()})
		if err != nil {
			return err
		}
		var said []string
		for _, e := range list.Items {
			said = append(said, e.Type+" "+e.Message)
			all := e.InvolvedObject.UID != ""
			for _, w := range words {
				all = all && strings.Contains(e.Message, w)
			}
			if all {
				return nil
			}
		}
		return fmt.Errorf("events are %q", said)
	})
}

// Peers that are refused say why in their condition, in an event and in why --peer, and the
// sessions of others go on.
func TestBadPeers(t *testing.T) {
	s := newScene(t, over4(), over6())
	good := s.peer("good", router4)
	s.advertise("")
	v4, _ := s.service("web", "Cluster", "n1")
	before := s.router.sessions(false, s.nodes()...)
	s.router.announced(v4, s.nodes()...)
	for _, c := range []struct {
		name, address, secret, line string
		reason                      string
		words                       []string
	}{
		// Of two that were made in the same second the one with the lower name holds.
		{name: "twin", address: router4, reason: "DuplicatePeer", words: []string{router4, good, "delete one of the two"}},
		{name: "no-secret", address: router6, line: "passwordSecret: {name: none}", reason: "UnknownSecret", words: []string{`create Secret "none"`}},
		{name: "keyless", address: router6, secret: "basic-auth", reason: "InvalidSecret", words: []string{`it must have a key "password"`}},
		{name: "wrong-type", address: router6, secret: "ssh-auth", reason: "InvalidSecret", words: []string{`"kubernetes.io/basic-auth" is expected`}},
		{name: "no-profile", address: router6, line: "bfdProfile: none", reason: "UnknownBFDProfile", words: []string{"none: create it"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.secret != "" {
				s.Apply(keylessSecret, map[string]any{"Type": c.secret})
				defer s.Delete(keylessSecret, map[string]any{"Type": c.secret})
				c.line = "passwordSecret: {name: '" + s.Name + "'}"
			}
			bad := s.peer(c.name, c.address, c.line)
			defer s.deletePeer(c.name)
			reason, message := s.condition(bad, "False")
			r, err := s.why(t.Context(), bad)
			for _, w := range c.words {
				if reason != c.reason || !strings.Contains(message, w) {
					t.Errorf("refused with %s: %s", reason, message)
				}
				if err != nil || !strings.Contains(r.Refused, w) {
					t.Errorf("why --peer says %+v, %v", r, err)
				}
			}
			s.event("BGPPeer", bad, "refused", append(c.words, c.reason)...)
			s.router.announced(v4, s.nodes()...)
			s.untouched(false, before)
			t.Logf("%s: %s", reason, message)
		})
	}
}

// An advertisement with a community that nobody defines is refused, and comes into effect when
// somebody does; the others go on.
func TestUnknownCommunity(t *testing.T) {
	s := newScene(t, over4())
	s.peer("four", router4)
	s.advertise("", "serviceSelectors: [{matchLabels: {name: web}}]")
	s.advertise("-bad", "communities: ['"+s.Name+"-alias']", "serviceSelectors: [{matchLabels: {name: other}}]")
	v4, _ := s.service("web", "Cluster", "n1")
	other, _ := s.service("other", "Cluster", "n1")
	before := s.router.sessions(false, s.nodes()...)
	s.router.announced(v4, s.nodes()...)
	s.event("BGPAdvertisement", s.Name+"-bad", "refused", "InvalidCommunity", s.Name+"-alias")
	out, err := s.Lab.Exec(t.Context(), "cp", lintelBinary, "--kubeconfig", s.Lab.Kubeconfig(), "why", s.Namespace+"/other")
	if err != nil || !strings.Contains(string(out), s.Name+"-bad is refused") {
		t.Errorf("why says nothing of the advertisement: %v\n%s", err, out)
	}
	s.router.announced(other)
	s.Apply(aliases, nil)
	for name, p := range s.router.announced(other, s.nodes()...) {
		if len(p.Community.List) != 1 || p.Community.List[0] != "65007:42" {
			t.Errorf("the route of %s has the communities %v", name, p.Community.List)
		}
	}
	s.untouched(false, before)
}

// told waits until the ConfigurationState of every speaker says of a peer's session what is
// wrong.
func (s *scene) told(peer string, words ...string) {
	s.t.Helper()
	for _, n := range s.nodes() {
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(schema.GroupVersionKind{Group: "metallb.io", Version: "v1beta1", Kind: "ConfigurationState"})
		s.Eventually(fmt.Sprintf("speaker-%s tells %q of %s", n, words, peer), established, func(ctx context.Context) error {
			if err := s.Client.Get(ctx, client.ObjectKey{Namespace: install.Namespace, Name: "speaker-" + n}, o); err != nil {
				return err
			}
			list, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
			for _, x := range list {
				c, _ := x.(map[string]any)
				for line := range strings.Lines(fmt.Sprint(c["message"])) {
					for _, w := range words {
						if c["type"] == "bgpSessionsEstablished" && c["status"] == "False" && strings.HasPrefix(line, "BGPPeer "+peer+":") && strings.Contains(line, w) {
							return nil
						}
					}
				}
			}
			return fmt.Errorf("conditions %v: %w", list, err)
		})
	}
}
