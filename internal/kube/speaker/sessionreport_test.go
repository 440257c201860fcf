package speaker

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/internal/bgp"
)

func TestSessionsAreReportedOnce(t *testing.T) {
	r := sessionReports{}
	start := time.Unix(1000, 0)
	session := func(st bgp.State, err string) map[string]bgp.Status {
		return map[string]bgp.Status{"tor": {State: st, LastError: err}}
	}
	for _, step := range []struct {
		at       time.Duration
		sessions map[string]bgp.Status
		want     []string
	}{
		{0, session(bgp.StateConnect, ""), nil},
		{time.Second, session(bgp.StateEstablished, "before"), nil},
		{2 * time.Second, session(bgp.StateIdle, "refused"), []string{"tor: refused"}},
		{3 * time.Second, session(bgp.StateConnect, "refused"), nil},
		{4 * time.Second, session(bgp.StateConnect, "no route"), nil},
		{40 * time.Second, session(bgp.StateConnect, "no route"), []string{"tor: no route"}},
		{41 * time.Second, session(bgp.StateEstablished, "no route"), []string{"tor: up"}},
		{42 * time.Second, session(bgp.StateIdle, "no route"), []string{"tor: no route"}},
		{43 * time.Second, nil, nil},
		{44 * time.Second, session(bgp.StateEstablished, ""), nil},
	} {
		var got []string
		for _, n := range r.look(start.Add(step.at), step.sessions) {
			text := n.text
			if n.up {
				text = "up"
			}
			got = append(got, n.session+": "+text)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("after %v (-want +got)\n%s", step.at, diff)
		}
	}
}

func TestConditionOfSessions(t *testing.T) {
	r := sessionReports{}
	sessions := map[string]bgp.Status{
		"a": {State: bgp.StateEstablished}, "b": {State: bgp.StateIdle, LastError: "refused"},
		"c/10.0.0.0/24/10.0.0.7": {State: bgp.StateActive, LastError: "EOF"},
	}
	if c := r.condition(nil); c != nil {
		t.Errorf("without sessions: %+v", c)
	}
	r.look(time.Unix(1000, 0), sessions)
	c := r.condition(sessions)
	if c.Status != metav1.ConditionFalse || c.Message != "BGPPeer b: refused\nBGPPeer c (10.0.0.7): EOF" {
		t.Errorf("%+v", c)
	}
	for name := range sessions {
		sessions[name] = bgp.Status{State: bgp.StateEstablished}
	}
	r.look(time.Unix(1001, 0), sessions)
	if c := r.condition(sessions); c.Status != metav1.ConditionTrue || strings.Contains(c.Message, "refused") {
		t.Errorf("%+v", c)
	}
}
