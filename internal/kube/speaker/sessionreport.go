package speaker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/bgp"
)

// sessionReportInterval is the least time between two reports that a session is not up.
const sessionReportInterval = 30 * time.Second

// conditionSessions is the type of the condition of a ConfigurationState that tells about the
// BGP sessions of a node.
const conditionSessions = "bgpSessionsEstablished"

// sessionReports remembers what was said about sessions that are not up, by the engine's name.
type sessionReports map[string]toldError

type toldError struct {
	text string
	at   time.Time
}

// sessionNews is something to tell about a session: an error, or that it is up again.
type sessionNews struct {
	session, text string
	up            bool
}

// look compares sessions with what was said about them. A session that has not failed yet is
// none to speak of; one that fails in ever new ways is not spoken of each time.
func (r sessionReports) look(now time.Time, sessions map[string]bgp.Status) (news []sessionNews) {
	for _, name := range slices.Sorted(maps.Keys(sessions)) {
		st := sessions[name]
		told, known := r[name]
		switch {
		case st.State == bgp.StateEstablished:
			if known {
				delete(r, name)
				news = append(news, sessionNews{session: name, up: true})
			}
		case st.LastError == "":
			delete(r, name)
		case !known || told.text != st.LastError && now.Sub(told.at) >= sessionReportInterval:
			r[name] = toldError{text: st.LastError, at: now}
			news = append(news, sessionNews{session: name, text: st.LastError})
		}
	}
	for name := range r {
		if _, exists := sessions[name]; !exists {
			delete(r, name)
		}
	}
	return news
}

// condition sums up the sessions that are not up; nil where the node has none at all.
func (r sessionReports) condition(sessions map[string]bgp.Status) *metav1.Condition {
	if len(sessions) == 0 {
		return nil
	}
	if len(r) == 0 {
		return &metav1.Condition{Type: conditionSessions, Status: metav1.ConditionTrue, Reason: "Established"}
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(r)) {
		lines = append(lines, fmt.Sprintf("BGPPeer %s: %s", sessionText(name), r[name].text))
	}
	return &metav1.Condition{Type: conditionSessions, Status: metav1.ConditionFalse, Reason: "SessionDown", Message: strings.Join(lines, "\n")}
}

// sessionText names a session for people: the BGPPeer, and the router or the network where it
// stands for several.
func sessionText(session string) string {
	switch address, network := neighborOf(session); {
	case address.IsValid():
		return fmt.Sprintf("%s (%v)", peerOf(session), address)
	case network.IsValid():
		return fmt.Sprintf("%s (%v)", peerOf(session), network)
	}
	return session
}

// reportSessions puts an event on the BGPPeer of a session that fails or is up again, and has
// the condition of this node follow.
func (s *Speaker) reportSessions(ctx context.Context) {
	sessions := s.BGP.Snapshot()
	news := s.bgp.sessions.look(time.Now(), sessions)
	for _, n := range news {
		peer := &v1beta2.BGPPeer{}
		if err := s.Cache.Get(ctx, client.ObjectKey{Namespace: s.config.Namespace, Name: peerOf(n.session)}, peer); err != nil {
			continue // it was deleted
		}
		if n.up {
			s.Events.Eventf(peer, corev1.EventTypeNormal, "sessionUp", "node %s: the session of %s is established", s.config.Node, sessionText(n.session))
		} else {
			s.Events.Eventf(peer, corev1.EventTypeWarning, "sessionDown", "node %s: the session of %s is not established: %s", s.config.Node, sessionText(n.session), n.text)
		}
	}
	now := s.bgp.sessions.condition(sessions)
	if before := s.sessionCondition.Swap(now); now == before || now != nil && before != nil && *now == *before {
		return
	}
	select {
	case s.parsedChanged <- struct{}{}:
	default:
	}
}
