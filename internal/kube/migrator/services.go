package migrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/takeover"
)

// services are those of type LoadBalancer, by namespace/name.
func (m *Migrator) services(ctx context.Context) (map[string]takeover.Service, error) {
	var all corev1.ServiceList
	if err := m.Client.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("migrator: list Services: %w", err)
	}
	out := map[string]takeover.Service{}
	for _, s := range all.Items {
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		now := takeover.Service{UID: string(s.UID)}
		for _, in := range s.Status.LoadBalancer.Ingress {
			now.Addresses = append(now.Addresses, in.IP+in.Hostname)
		}
		out[s.Namespace+"/"+s.Name] = now
	}
	return out, nil
}

// renew has Services compared with what they are now: what their users have done to them since
// an earlier run is no change of this one.
func (m *Migrator) renew(ctx context.Context, s *State) error {
	now, err := m.services(ctx)
	if err != nil {
		return err
	}
	s.Record.Services = now
	return m.save(ctx, s)
}

// changed says which Services have other addresses than they had. One that was deleted, made
// anew or is of another type now was changed by its user.
func (m *Migrator) changed(ctx context.Context, s *State) ([]string, error) {
	now, err := m.services(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.Record.Services)) {
		was := s.Record.Services[name]
		is, exists := now[name]
		if !exists || is.UID != was.UID || len(was.Addresses) == 0 || slices.Equal(is.Addresses, was.Addresses) {
			continue
		}
		has := strings.Join(is.Addresses, ", ")
		if has == "" {
			has = "none"
		}
		out = append(out, fmt.Sprintf("Service %s had %s and has %s now", name, strings.Join(was.Addresses, ", "), has))
	}
	return out, nil
}

// sameAddresses sees that no Service has another address than it had.
func (m *Migrator) sameAddresses(ctx context.Context, s *State) error {
	changed, err := m.changed(ctx, s)
	if err != nil || len(changed) == 0 {
		return err
	}
	return errors.New("migrator: " + strings.Join(changed, "; "))
}
