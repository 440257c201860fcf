package pods

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

// broken says what does not work without a capability.
var broken = map[string][]string{
	"NET_RAW":          {"layer 2"},
	"NET_BIND_SERVICE": {"passive BGP"},
	"SYS_NICE":         {"real-time BFD"},
}

// silence is for how long something that must not work is watched, after all the rest works.
const silence = 3 * time.Second

const container = "/spec/template/spec/containers/0"

// Every capability that speakers have is needed, for what the table says, and no other is.
func TestCapabilities(t *testing.T) {
	s := newScene(t)
	s.all()
	chosen := s.chosen()
	s.keep()
	for _, without := range chosen {
		rest := slices.DeleteFunc(slices.Clone(chosen), func(c string) bool { return c == without })
		s.rollOut(set(container+"/securityContext/capabilities", map[string]any{"drop": []string{"ALL"}, "add": rest}))
		s.expect("without "+without, broken[without])
	}
}

// expect waits until all works that is not broken, and sees that the broken does not.
func (s *scene) expect(when string, broken []string) {
	s.t.Helper()
	if len(broken) == 0 {
		s.t.Errorf("%s: nothing is known to break", when)
	}
	for _, f := range s.features() {
		if !slices.Contains(broken, f.name) {
			s.Eventually(when+": "+f.name+" works", patience, f.works)
		}
	}
	for _, f := range s.features() {
		if slices.Contains(broken, f.name) {
			s.t.Logf("%s: %s does not work: %v", when, f.name, s.never(when, f))
		}
	}
}

// never sees that a feature does not work, for a while, and returns why.
func (s *scene) never(when string, f feature) error {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), silence)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		// A check may take as long as it does beyond the time.
		err := f.works(context.WithoutCancel(ctx))
		if err == nil {
			s.t.Errorf("%s: %s works", when, f.name)
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// Another user than root has no capability, whatever the Pod adds, but with capabilities on the
// file.
func TestCapabilitiesOfOtherUsers(t *testing.T) {
	s := newScene(t)
	chosen := s.chosen()
	s.keep()
	s.patch(set("/spec/template/spec/securityContext/fsGroup", 65534))
	s.rollOut(set(container+"/securityContext/runAsUser", 65534))
	s.ran("no file capabilities")
	s.rollOut(set(container+"/image", fileCaps))
	s.ran("file capabilities", chosen...)
	s.all()
}

// ran sees that all speakers run as another user, without new privileges, with these capabilities.
func (s *scene) ran(how string, capabilities ...string) {
	s.t.Helper()
	for _, p := range running(s.t, "speaker") {
		if got, want := p.status["CapEff"], mask(s.t, capabilities...); got != want || !strings.HasPrefix(p.status["Uid"], "65534\t") || p.status["NoNewPrivs"] != "1" {
			s.t.Errorf("%s: on %s the user %s has the capabilities %s, want %s; NoNewPrivs is %s",
				how, p.node, p.status["Uid"], got, want, p.status["NoNewPrivs"])
		}
	}
}
