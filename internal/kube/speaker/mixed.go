package speaker

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/lintel-lb/lintel/internal/kube/mixed"
	"github.com/lintel-lb/lintel/internal/kube/watch"
)

// watchMixed calls set whenever mixed membership begins, changes or ends; with nil at its end.
func watchMixed(ctx context.Context, c cache.Cache, set func(*corev1.ConfigMap)) (watch.Synced, error) {
	only := func(f func(*corev1.ConfigMap)) func(*corev1.ConfigMap) {
		return func(o *corev1.ConfigMap) {
			if o.Name == mixed.ConfigMap {
				f(o)
			}
		}
	}
	return watch.Objects(ctx, c, &corev1.ConfigMap{}, only(set), only(func(*corev1.ConfigMap) { set(nil) }))
}

// mixedRefused tells why the setting of mixed membership cannot be seen; nil if it can.
// Membership is taken as not mixed then: only a take-over of MetalLB needs the right.
func (s *Speaker) mixedRefused() error { return s.Refusals.Of(&corev1.ConfigMap{}) }

// applyMixed makes membership mixed, or ends that. What cannot be read changes nothing.
func (s *Speaker) applyMixed(cm *corev1.ConfigMap) {
	settings := s.config.Settings
	if cm != nil {
		m, err := mixed.Read(cm)
		if err != nil {
			s.Log.Error("cannot read the setting of mixed membership; nothing changes", "error", err)
			return
		}
		settings.Mixed, settings.ZeroLocalPref = true, m.ZeroLocalPref
	}
	if settings == s.decider.World().Settings {
		return
	}
	if settings.Mixed {
		s.Log.Info("membership is mixed: owners are elected as MetalLB's speakers elect them", "zeroLocalPref", settings.ZeroLocalPref)
	} else {
		s.Log.Info("membership is not mixed any more")
	}
	s.decider.SetSettings(settings)
}

// mixed tells whether speakers of MetalLB announce as well.
func (s *Speaker) mixed() bool { return s.decider.World().Settings.Mixed }
