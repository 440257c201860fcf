// Package mixed is the setting that has Lintel's speakers and MetalLB's announce side by side
// during a take-over. It is a ConfigMap in the namespace of the speakers, so that all of them
// see it begin and end at the same moment, and none has to be restarted for it.
package mixed

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// ConfigMap is the name of the ConfigMap. While it exists membership is mixed.
const ConfigMap = "lintel-mixed-membership"

// Keys of its data.
const (
	// KeySpeakers is the label selector of the pods of MetalLB's speakers.
	KeySpeakers = "speakers"
	// KeyLocalPref is the LOCAL_PREF of routes that are given none: 0, as from MetalLB's own
	// BGP, or empty for the default of 100.
	KeyLocalPref = "localPref"
)

// Setting is what the ConfigMap says.
type Setting struct {
	// Speakers selects the pods of MetalLB's speakers.
	Speakers labels.Selector
	// ZeroLocalPref gives routes without a local preference 0 instead of 100.
	ZeroLocalPref bool
}

// Read reads the ConfigMap.
func Read(cm *corev1.ConfigMap) (*Setting, error) {
	selector, err := labels.Parse(cm.Data[KeySpeakers])
	if err != nil {
		return nil, fmt.Errorf("mixed: ConfigMap %s, %s %q: %w", ConfigMap, KeySpeakers, cm.Data[KeySpeakers], err)
	}
	if selector.Empty() {
		return nil, fmt.Errorf("mixed: ConfigMap %s has no %s: give the label selector of MetalLB's speakers", ConfigMap, KeySpeakers)
	}
	switch pref := cm.Data[KeyLocalPref]; pref {
	case "":
		return &Setting{Speakers: selector}, nil
	case "0":
		return &Setting{Speakers: selector, ZeroLocalPref: true}, nil
	default:
		return nil, fmt.Errorf("mixed: ConfigMap %s, %s %q: it is 0 or left out", ConfigMap, KeyLocalPref, pref)
	}
}

// New makes the ConfigMap.
func New(namespace string, s Setting) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: ConfigMap},
		Data:       map[string]string{KeySpeakers: s.Speakers.String()},
	}
	if s.ZeroLocalPref {
		cm.Data[KeyLocalPref] = "0"
	}
	return cm
}
