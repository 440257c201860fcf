package controller

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// secretKey is the key in the memberlist Secret that holds the gossip key.
const secretKey = "secretkey"

// secretCheck is how often the leader looks whether the memberlist Secret still exists.
const secretCheck = 10 * time.Second

// keepSecret makes the memberlist Secret if it is missing, now and whenever it is deleted.
func (c *Controller) keepSecret(ctx context.Context) {
	if c.config.MemberlistSecret == "" {
		return
	}
	tick := time.NewTicker(secretCheck)
	defer tick.Stop()
	for {
		if err := c.ensureSecret(ctx); err != nil && ctx.Err() == nil {
			c.Log.Warn("cannot make the memberlist Secret; it will be tried again", "secret", c.config.MemberlistSecret, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Controller) ensureSecret(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	secrets := c.Clientset.CoreV1().Secrets(c.config.Namespace)
	_, err := secrets.Get(ctx, c.config.MemberlistSecret, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	key := make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("draw a key: %w", err)
	}
	owners, err := c.secretOwners(ctx)
	if err != nil {
		return err
	}
	_, err = secrets.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: c.config.MemberlistSecret, OwnerReferences: owners},
		Data:       map[string][]byte{secretKey: []byte(base64.RawStdEncoding.EncodeToString(key))},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err == nil {
		c.Log.Info("made the memberlist Secret", "secret", c.config.MemberlistSecret)
	}
	return err
}

// secretOwners makes the Secret go with the Deployment, if the Deployment is known.
func (c *Controller) secretOwners(ctx context.Context) ([]metav1.OwnerReference, error) {
	if c.config.Deployment == "" {
		return nil, nil
	}
	d, err := c.Clientset.AppsV1().Deployments(c.config.Namespace).Get(ctx, c.config.Deployment, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read the own Deployment %s (see --deployment): %w", c.config.Deployment, err)
	}
	owner := metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))
	// To keep the Deployment until the Secret is gone is of no use, and may need a right on the
	// Deployment's finalizers.
	owner.BlockOwnerDeletion = nil
	return []metav1.OwnerReference{*owner}, nil
}
