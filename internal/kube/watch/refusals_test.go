package watch_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/lintel-lb/lintel/internal/kube/watch"
)

// An API server that forbids ConfigMaps, until it does not.
func TestAListThatIsRefused(t *testing.T) {
	var allowed atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var answer any = &corev1.ConfigMapList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMapList"},
			ListMeta: metav1.ListMeta{ResourceVersion: "7"},
			Items:    []corev1.ConfigMap{{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "setting", ResourceVersion: "5"}}}}
		switch {
		case !allowed.Load():
			w.WriteHeader(http.StatusForbidden)
			answer = &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
				Reason: metav1.StatusReasonForbidden, Code: http.StatusForbidden, Message: "configmaps is forbidden"}
		case r.URL.Query().Get("sendInitialEvents") != "": // as servers without streamed lists say
			w.WriteHeader(http.StatusUnprocessableEntity)
			answer = &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
				Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity}
		case r.URL.Query().Get("watch") != "":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer server.Close()
	refusals := watch.NewRefusals(slog.New(slog.DiscardHandler))
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("ConfigMap"), meta.RESTScopeNamespace)
	c, err := cache.New(&rest.Config{Host: server.URL}, cache.Options{Scheme: clientgoscheme.Scheme, Mapper: mapper,
		DefaultWatchErrorHandler: refusals.Handle})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Start(ctx) }()
	defer func() { cancel(); <-ended }()
	seen := make(chan string, 10)
	synced, err := watch.Objects(ctx, c, &corev1.ConfigMap{}, func(o *corev1.ConfigMap) { seen <- o.Name }, func(*corev1.ConfigMap) {})
	if err != nil {
		t.Fatal(err)
	}
	wait, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	if err := watch.WaitFor(wait, synced.Unless(func() error { return refusals.Of(&corev1.ConfigMap{}) })); err != nil {
		t.Fatal(err)
	}
	if synced() || refusals.Of(&corev1.Secret{}) != nil || len(refusals.All()) != 1 {
		t.Errorf("complete: %v, refused: %v", synced(), refusals.All())
	}
	allowed.Store(true)
	select {
	case name := <-seen:
		if name != "setting" {
			t.Errorf("saw %q", name)
		}
	case <-wait.Done():
		t.Error("the right was given, and nothing was seen")
	}
}

// What an API server that has just started refuses, it may allow a moment later: nobody goes on
// without on such a word.
func TestARefusalIsDoubtedAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusals := watch.NewRefusals(slog.New(slog.DiscardHandler))
		kind := &corev1.ConfigMap{}
		refused := func() bool { return refusals.Of(kind) != nil }
		refuse := func() {
			reflector := toolscache.NewReflectorWithOptions(nil, kind, nil, toolscache.ReflectorOptions{})
			refusals.Handle(t.Context(), reflector, apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", context.Canceled))
		}
		refuse()
		time.Sleep(time.Second)
		refuse()
		if refused() || len(refusals.All()) != 1 {
			t.Error("the refusals of a moment count, or are not told")
		}
		if time.Sleep(10 * time.Second); refused() || len(refusals.All()) > 0 {
			t.Error("the refusals of a moment count, or are told later")
		}
		if refuse(); !refused() || len(refusals.All()) != 1 {
			t.Error("a refusal that lasts does not count")
		}
		if time.Sleep(5 * time.Minute); refused() {
			t.Error("a refusal of long ago counts")
		}
		if refuse(); refused() {
			t.Error("a refusal long after another counts at once")
		}
	})
}
