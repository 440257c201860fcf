package controller

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/kube/resources"
)

// 1.9: a ConfigurationState that is deleted comes back, though no configuration changes.
func TestTheConfigurationStateComesBack(t *testing.T) {
	scheme, err := resources.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		state := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-system", Name: "controller"}}
		c := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(state).Build()
		w := newObjectWriter(slog.New(slog.DiscardHandler), c, record.NewFakeRecorder(1), state.Namespace)
		w.leads = func() bool { return true }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.run(ctx) }()
		exists := func() {
			got := &v1beta1.ConfigurationState{}
			if err := c.Get(ctx, client.ObjectKeyFromObject(state), got); err != nil {
				t.Error(err)
			} else if got.Status.Result != v1beta1.ConfigurationValid {
				t.Errorf("the result is %q", got.Status.Result)
			}
		}

		w.verdicts(nil)
		time.Sleep(time.Second)
		exists()
		if err := c.Delete(ctx, state); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * stateCheck)
		exists()
		cancel()
		<-done
	})
}
