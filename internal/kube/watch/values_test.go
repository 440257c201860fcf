package watch

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	toolscache "k8s.io/client-go/tools/cache"
	"pgregory.net/rapid"
)

// mirror is what the functions given to Values were told.
type mirror struct {
	mu     sync.Mutex
	values map[string]string
	wrong  []string
}

func (m *mirror) follow(source toolscache.ListerWatcher) *Values[*corev1.ConfigMap, [2]string] {
	m.values = map[string]string{}
	return NewValues(source, &corev1.ConfigMap{},
		func(c *corev1.ConfigMap) [2]string { return [2]string{c.Namespace + "/" + c.Name, c.Data["v"]} },
		func(v [2]string) { m.mu.Lock(); defer m.mu.Unlock(); m.values[v[0]] = v[1] },
		func(v [2]string) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.values[v[0]] != v[1] {
				m.wrong = append(m.wrong, fmt.Sprintf("%s went as %q, was %q", v[0], v[1], m.values[v[0]]))
			}
			delete(m.values, v[0])
		})
}

func (m *mirror) has(want map[string]string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Equal(m.values, want)
}

func configMap(name, v string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Data: map[string]string{"v": v}}
}

// Whatever a source lists and tells, the functions were told the same at the end.
func TestValuesAreThoseOfTheSource(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m mirror
		v := m.follow(nil)
		truth := map[string]string{}
		transform := v.Transformer()
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			name, text := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"), rapid.StringN(0, 3, -1).Draw(t, "text")
			var err error
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				err, truth["default/"+name] = v.Add(configMap(name, text)), text
			case 1:
				err, truth["default/"+name] = v.Update(configMap(name, text)), text
			case 2:
				err = v.Delete(configMap(name, "as of another time"))
				delete(truth, "default/"+name)
			default:
				truth = map[string]string{}
				var list []any
				for _, n := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.ID).Draw(t, "list") {
					truth["default/"+n] = text
					var o any = configMap(n, text)
					if rapid.Bool().Draw(t, "transformed") {
						if o, err = transform(o); err != nil {
							t.Fatal(err)
						}
					}
					list = append(list, o)
				}
				err = v.Replace(list, "1")
			}
			if err != nil {
				t.Fatal(err)
			}
			if !m.has(truth) || len(m.wrong) > 0 {
				t.Fatalf("told %v, wrong %v, truth %v", m.values, m.wrong, truth)
			}
		}
	})
}

func TestValuesFollowAnAPIServer(t *testing.T) {
	api := fake.NewClientset(configMap("first", "1"))
	maps := api.CoreV1().ConfigMaps("default")
	var m mirror
	v := m.follow(toolscache.ToListWatcherWithWatchListSemantics(&toolscache.ListWatch{
		ListWithContextFunc:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return maps.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) { return maps.Watch(ctx, o) },
	}, api))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); v.Run(ctx) }()
	defer func() { cancel(); <-done }()
	until := func(want map[string]string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !m.has(want); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("told %v, want %v", m.values, want)
			}
		}
	}
	if err := WaitFor(ctx, v.Synced); err != nil {
		t.Fatal(err)
	}
	until(map[string]string{"default/first": "1"})
	if _, err := maps.Create(ctx, configMap("second", "2"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := maps.Update(ctx, configMap("first", "one"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(map[string]string{"default/first": "one", "default/second": "2"})
	if err := maps.Delete(ctx, "first", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(map[string]string{"default/second": "2"})
	if err := v.Add(&corev1.Secret{}); err == nil || !strings.Contains(err.Error(), "Secret") {
		t.Errorf("an object of another kind: %v", err)
	}
}

// However often watches break off, the source is listed again within seconds.
func TestPausesStayShort(t *testing.T) {
	next := pauses().DelayFunc()
	for i := range 20 {
		if d := next(); d < 500*time.Millisecond || d > 10*time.Second {
			t.Errorf("pause %d is %v", i, d)
		}
	}
}
