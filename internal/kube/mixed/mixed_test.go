package mixed

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestRead(t *testing.T) {
	for _, zero := range []bool{false, true} {
		want := Setting{Speakers: labels.SelectorFromSet(labels.Set{"app": "metallb", "component": "speaker"}), ZeroLocalPref: zero}
		got, err := Read(New("metallb-system", want))
		if err != nil {
			t.Fatal(err)
		}
		if got.Speakers.String() != want.Speakers.String() || got.ZeroLocalPref != zero {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	for name, data := range map[string]map[string]string{
		"no selector":  {KeyLocalPref: "0"},
		"bad selector": {KeySpeakers: "a=b=c"},
		"bad pref":     {KeySpeakers: "a=b", KeyLocalPref: "50"},
	} {
		if s, err := Read(&corev1.ConfigMap{Data: data}); err == nil {
			t.Errorf("%s: got %v, want an error", name, s)
		}
	}
}
