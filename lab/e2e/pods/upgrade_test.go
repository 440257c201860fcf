package pods

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/probe"
)

// overview is what `lintel status -o json` says, as far as the tests look at it.
type overview struct {
	Addresses []struct {
		Address netip.Addr `json:"address"`
		Nodes   []string   `json:"nodes"`
		Routed  []string   `json:"routed"`
	} `json:"addresses"`
	Speakers []struct {
		Node    string `json:"node"`
		Version string `json:"version"`
		Members int    `json:"members"`
		Error   string `json:"error"`
	} `json:"speakers"`
	Problems []string `json:"problems"`
}

func (s *scene) status(ctx context.Context) (overview, error) {
	var o overview
	out, err := s.Lab.Exec(ctx, "cp", lintelBinary, "--kubeconfig", s.Lab.Kubeconfig(), "status", "-o", "json")
	if err == nil {
		err = json.Unmarshal(out, &o)
	}
	if err != nil {
		return o, fmt.Errorf("status: %w\n%s", err, out)
	}
	return o, nil
}

// agreed waits until each node's speaker has the version wanted, all are members of one
// membership, each address has one owner, the wire says the same, and all nodes announce the
// routed address. It returns the owners.
func (s *scene) agreed(versions map[string]string) map[netip.Addr]string {
	s.t.Helper()
	var owners map[netip.Addr]string
	s.Eventually(fmt.Sprintf("speakers of the versions %v agree", versions), patience, func(ctx context.Context) error {
		o, err := s.status(ctx)
		if err != nil {
			return err
		}
		got := map[string]string{}
		for _, sp := range o.Speakers {
			if sp.Error != "" || sp.Members != len(versions) {
				return fmt.Errorf("%+v", o)
			}
			got[sp.Node] = sp.Version
		}
		if !maps.Equal(got, versions) || len(o.Problems) > 0 {
			return fmt.Errorf("%+v", o)
		}
		owners, err = s.owners(ctx, o)
		return err
	})
	return owners
}

// owners are the nodes that answer for each address of the LAN, by what the speakers say and
// by the wire.
func (s *scene) owners(ctx context.Context, o overview) (map[netip.Addr]string, error) {
	out := map[netip.Addr]string{}
	for _, a := range o.Addresses {
		switch {
		case a.Address == s.routed && len(a.Routed) != len(s.Lab.Hosts(lab.RoleNode)):
			return nil, fmt.Errorf("%s is announced by %v", a.Address, a.Routed)
		case !slices.Contains(s.lan, a.Address):
			continue
		}
		who, err := s.Answerers(ctx, observer, a.Address)
		if err != nil || len(a.Nodes) != 1 || !slices.Equal(who, a.Nodes) {
			return nil, errors.Join(err, fmt.Errorf("%s: %v say that they answer, and %v do", a.Address, a.Nodes, who))
		}
		out[a.Address] = who[0]
	}
	if len(out) != len(s.lan) {
		return nil, fmt.Errorf("addresses %+v", o.Addresses)
	}
	return out, nil
}

// Speakers are replaced by those of another version one by one, and by half for a while: there
// is one membership and one owner for each address, and no request is lost but what is under way
// at the moment of a move.
func TestUpgrade(t *testing.T) {
	s := newScene(t)
	s.keep()
	s.all()
	versions := map[string]string{}
	for _, h := range s.Lab.Hosts(lab.RoleNode) {
		versions[h.Name] = "dev"
	}
	owners := s.agreed(versions)
	t.Logf("all nodes have dev: owners %v", owners)

	loads := map[string]*probe.Probe{}
	for _, a := range s.lan {
		loads["layer 2, "+a.String()] = s.Probe(near, probe.Options{URL: url(a), Timeout: patient})
	}
	loads["BGP, "+s.routed.String()] = s.Probe(far, probe.Options{URL: url(s.routed), Timeout: patient})
	s.patch(set("/spec/updateStrategy", map[string]any{"type": "OnDelete"}), set(container+"/image", next))
	// The owners first, and last: those that go and those that stay are old and new in turn.
	for _, node := range slices.SortedFunc(maps.Keys(versions), func(a, b string) int {
		return strings.Compare(fmt.Sprint(a != owners[s.lan[0]], a), fmt.Sprint(b != owners[s.lan[0]], b))
	}) {
		began := time.Now()
		for _, l := range loads {
			l.Mark(node)
		}
		s.replace(node)
		versions[node] = "next"
		now := s.agreed(versions)
		s.all()
		t.Logf("%s has next, after %v: owners %v, from %v", node, time.Since(began).Round(time.Millisecond), now, owners)
		owners = now
	}
	for name, l := range loads {
		r := l.Stop()
		moves := 0
		if strings.HasPrefix(name, "layer 2") {
			moves = 2 // from its owner, and back
		}
		t.Logf("%s: %d of %d requests failed", name, r.Failed(), r.Attempts)
		if len(r.Tainted) > 0 {
			t.Errorf("%s: the measurement proves nothing: %v", name, r.Tainted)
		}
		if r.Lost(moves) > 0 {
			t.Errorf("%s: requests were lost:\n%v", name, r)
		}
	}
}

// patient is for what must not fail at all: a busy machine may be slow, but a SYN that was lost
// is sent again after a second only.
const patient = 900 * time.Millisecond

func url(a netip.Addr) string { return "http://" + netip.AddrPortFrom(a, 80).String() + "/" }

// replace deletes the speaker of a node, as a rolling update does, and waits for its successor.
func (s *scene) replace(node string) {
	s.t.Helper()
	old := s.speaker(node, "")
	s.kubectl("-n", install.Namespace, "delete", "pod", old, "--wait=false")
	s.speaker(node, old)
}

// speaker waits for the name of the ready speaker of a node that is not the one named.
func (s *scene) speaker(node, not string) string {
	s.t.Helper()
	var name string
	s.Eventually("a speaker on "+node+" is ready", patience, func(ctx context.Context) error {
		var pods corev1.PodList
		if err := s.Client.List(ctx, &pods, client.InNamespace(install.Namespace), client.MatchingLabels{"component": "speaker"}); err != nil {
			return err
		}
		for _, p := range pods.Items {
			for _, c := range p.Status.Conditions {
				if p.Spec.NodeName == node && p.Name != not && p.DeletionTimestamp == nil && c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					name = p.Name
					return nil
				}
			}
		}
		return fmt.Errorf("%d speakers are elsewhere or not", len(pods.Items))
	})
	return name
}
