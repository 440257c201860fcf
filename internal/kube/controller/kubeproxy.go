package controller

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/kube/diagnose"
)

// kubeProxyCheck is how often the configuration of kube-proxy is looked at.
const kubeProxyCheck = time.Minute

// watchKubeProxy puts an event on every L2Advertisement while kube-proxy is set up such that
// layer 2 cannot work.
func (c *Controller) watchKubeProxy(ctx context.Context) {
	tick := time.NewTicker(kubeProxyCheck)
	defer tick.Stop()
	told := map[string]bool{}
	for {
		if err := c.checkKubeProxy(ctx, told); err != nil && ctx.Err() == nil {
			c.Log.Debug("cannot look at the configuration of kube-proxy", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// checkKubeProxy tells each object once, and again after the problem went and came back.
func (c *Controller) checkKubeProxy(ctx context.Context, told map[string]bool) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	cm, err := c.Clientset.CoreV1().ConfigMaps(diagnose.KubeProxyNamespace).Get(ctx, diagnose.KubeProxyConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		// No kube-proxy, or one that is set up by other means.
		return nil
	}
	if err != nil {
		return err
	}
	problem := diagnose.StrictARP(cm)
	if problem == "" {
		clear(told)
		return nil
	}
	var list v1beta1.L2AdvertisementList
	if err := c.Client.List(ctx, &list, client.InNamespace(c.config.Namespace)); err != nil {
		return err
	}
	for i := range list.Items {
		if a := &list.Items[i]; !told[string(a.UID)] {
			told[string(a.UID)] = true
			c.Events.Event(a, corev1.EventTypeWarning, "kubeProxyStrictARP", problem)
		}
	}
	return nil
}
