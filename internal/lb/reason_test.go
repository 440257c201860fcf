package lb

import (
	"strings"
	"testing"
)

func TestEveryReasonHasNameAndSentence(t *testing.T) {
	seen := map[string]Reason{}
	for r := Elected; r <= ConflictingAdvertisements; r++ {
		name := r.String()
		if name == "UnknownReason" {
			t.Errorf("reason %d has no name", r)
		}
		if other, dup := seen[name]; dup {
			t.Errorf("reasons %d and %d are both named %s", other, r, name)
		}
		seen[name] = r
		v := Verdict{Reason: r, Protocol: Layer2, Owner: "n2", Subject: "subject", Links: []string{"eth0"}}
		if s := v.Sentence(); s == "unknown reason" || strings.TrimSpace(s) == "" {
			t.Errorf("reason %s has no sentence", name)
		}
		var back Reason
		if err := back.UnmarshalText([]byte(name)); err != nil || back != r {
			t.Errorf("reason %s does not survive a round trip: %v, %v", name, back, err)
		}
	}
	if got := len(Reasons()); got != int(ConflictingAdvertisements) {
		t.Errorf("Reasons lists %d of %d", got, ConflictingAdvertisements)
	}
}
