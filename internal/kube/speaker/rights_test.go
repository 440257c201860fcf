package speaker

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"

	"github.com/lintel-lb/lintel/internal/kube/watch"
	"github.com/lintel-lb/lintel/internal/kube/worldfile"
)

// refuse is what the API server says to a list that needs a right.
func refuse(r *watch.Refusals, o client.Object, resource string) {
	reflector := toolscache.NewReflectorWithOptions(nil, o, nil, toolscache.ReflectorOptions{})
	r.Handle(context.Background(), reflector, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "",
		context.Canceled))
}

// A speaker that may not see the setting of mixed membership starts without, says so, and
// follows the setting once it may.
func TestMixedMembershipIsOptional(t *testing.T) {
	h := prepare(t)
	informer := controllertest.NewFakeInformer()
	h.speaker.Cache.(readingCache).FakeInformers.InformersByGVK = map[schema.GroupVersionKind]toolscache.SharedIndexInformer{
		corev1.SchemeGroupVersion.WithKind("ConfigMap"): informer}
	h.speaker.config.Keep = worldfile.New(t.TempDir(), copyOrigin)
	var said bytes.Buffer
	h.speaker.Refusals = watch.NewRefusals(slog.New(slog.NewTextHandler(&said, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.speaker.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-h.speaker.Started():
		t.Fatal("it starts before it knows that it may not list")
	case <-time.After(300 * time.Millisecond): // more than a round of waiting
	}
	refuse(h.speaker.Refusals, &corev1.ConfigMap{}, "configmaps")
	select {
	case <-h.speaker.Started():
		t.Fatal("it starts on the word of a moment")
	case <-time.After(2100 * time.Millisecond): // as long as a refusal is doubted
	}
	refuse(h.speaker.Refusals, &corev1.ConfigMap{}, "configmaps")
	select {
	case <-h.speaker.Started():
	case <-time.After(10 * time.Second):
		t.Fatal("it does not start")
	}
	if err := h.speaker.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
	if n := strings.Count(said.String(), "\n"); n != 1 {
		t.Errorf("said %d times: %s", n, said.String())
	}
	h.ask(func(s *Speaker) {
		r := s.inspect(nil)
		if !slices.ContainsFunc(r.Problems, func(p string) bool {
			return strings.Contains(p, "list and watch the ConfigMap lintel-mixed-membership in namespace metallb-system")
		}) || r.Settings.Mixed {
			t.Errorf("problems %q, settings %+v", r.Problems, r.Settings)
		}
	})
	if err := h.speaker.keep(t.Context()); err != nil {
		t.Error(err)
	}
	informer.Synced()
	informer.Add(mixedSetting(false))
	h.until("mixed membership", func() (is bool) {
		h.ask(func(s *Speaker) { is = s.mixed() })
		return is
	})
}

// What cannot be done without is waited for, and the answer to readiness names the right.
func TestMissingRightsAreNamed(t *testing.T) {
	h := prepare(t)
	h.speaker.Refusals = watch.NewRefusals(slog.New(slog.DiscardHandler))
	refuse(h.speaker.Refusals, &corev1.Node{}, "nodes")
	if err := h.speaker.Ready(); err == nil || !strings.Contains(err.Error(), "nodes is forbidden") {
		t.Errorf("ready: %v", err)
	}
}
