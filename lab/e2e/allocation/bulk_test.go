package allocation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab/e2e/install"
)

const (
	// creators is how many Services are created at a time.
	creators = 16

	// assigned is how long a test waits for many Services.
	assigned = time.Minute
)

// create creates Services side by side, in this order as far as that goes.
func (f fixture) create(services []*corev1.Service) {
	f.t.Helper()
	g, ctx := errgroup.WithContext(f.t.Context())
	g.SetLimit(creators)
	for _, svc := range services {
		g.Go(func() error { return f.Client.Create(ctx, svc.DeepCopy()) })
	}
	if err := g.Wait(); err != nil {
		f.t.Fatal(err)
	}
}

// mixture is n Services of all families, some of which share addresses.
func (f fixture) mixture(n int) []*corev1.Service {
	var out []*corev1.Service
	for i := range n {
		name := fmt.Sprintf("s%04d", i)
		switch i % 5 {
		case 0:
			out = append(out, f.build(name, requireDual()))
		case 1:
			out = append(out, f.build(name, v6()))
		case 2:
			out = append(out, f.build(name, sharing("k"), port(int32(1000+i), "TCP")))
		default:
			out = append(out, f.build(name))
		}
	}
	return out
}

// removeServices deletes all Services of the test's namespace and waits until they are gone.
func (f fixture) removeServices() {
	f.t.Helper()
	f.Eventually("all Services are gone", assigned, func(ctx context.Context) error {
		if err := f.Client.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace(f.Namespace)); err != nil {
			return err
		}
		services, err := f.services(ctx)
		if err == nil && len(services) > 0 {
			err = fmt.Errorf("there are %d", len(services))
		}
		return err
	})
}

// services lists the Services of the test's namespace, less those that fence has made.
func (f fixture) services(ctx context.Context) ([]corev1.Service, error) {
	var list corev1.ServiceList
	err := f.Client.List(ctx, &list, client.InNamespace(f.Namespace))
	return slices.DeleteFunc(list.Items, func(s corev1.Service) bool { return strings.HasPrefix(s.Name, fenceName) }), err
}

// hopeless is the name of a Service that never gets an address.
const hopeless = "hopeless"

// state is what must not change when nothing has happened.
type state struct {
	Version string
	Has     assignment
}

// states waits until every Service but the hopeless one has an address, none is with two
// Services that do not share it, and the pools have caught up. It gives the state of each
// Service, and the version of each pool.
func (f fixture) states() map[string]state {
	f.t.Helper()
	var out map[string]state
	f.Eventually("every Service has an address of its own", assigned, func(ctx context.Context) error {
		services, err := f.services(ctx)
		if err != nil {
			return err
		}
		out = map[string]state{}
		holders := map[string]*corev1.Service{}
		for i := range services {
			svc := &services[i]
			a := assignmentOf(svc)
			if (len(a.Addresses) == 0) != (svc.Name == hopeless) {
				return fmt.Errorf("%s has %v", svc.Name, a)
			}
			for _, addr := range a.Addresses {
				if other := holders[addr]; other != nil && !share(svc, other) {
					return fmt.Errorf("%s is with %s and with %s", addr, other.Name, svc.Name)
				}
				holders[addr] = svc
			}
			out[svc.Name] = state{svc.ResourceVersion, a}
		}
		return f.addPools(ctx, out, len(holders))
	})
	return out
}

func share(a, b *corev1.Service) bool {
	key := a.Annotations["metallb.io/allow-shared-ip"]
	return key != "" && key == b.Annotations["metallb.io/allow-shared-ip"]
}

// addPools adds the versions of the pools, whose counters must fit the number of addresses.
func (f fixture) addPools(ctx context.Context, out map[string]state, addresses int) error {
	pools := &unstructured.UnstructuredList{}
	pools.SetGroupVersionKind(newPool().GroupVersionKind())
	if err := f.Client.List(ctx, pools, client.InNamespace(install.Namespace)); err != nil {
		return err
	}
	var counted int64
	for _, p := range pools.Items {
		if p.GetName() == f.Name+"-"+fenceName {
			continue
		}
		out["pool "+p.GetName()] = state{Version: p.GetResourceVersion()}
		for _, field := range []string{"assignedIPv4", "assignedIPv6"} {
			n, _, err := unstructured.NestedInt64(p.Object, "status", field)
			if err != nil {
				return err
			}
			counted += n
		}
	}
	if int(counted) != addresses {
		return fmt.Errorf("the pools count %d addresses, and Services have %d", counted, addresses)
	}
	return nil
}

// unchanged fails the test where any of these was written, apart from some. Others may be new.
func (f fixture) unchanged(before map[string]state, apart ...string) {
	f.t.Helper()
	after := f.states()
	maps.DeleteFunc(after, func(name string, _ state) bool {
		_, was := before[name]
		return !was || slices.Contains(apart, name)
	})
	before = maps.Clone(before)
	maps.DeleteFunc(before, func(name string, _ state) bool { return slices.Contains(apart, name) })
	if diff := cmp.Diff(before, after); diff != "" {
		f.t.Errorf("-before +after:\n%s", diff)
	}
}

// fenceName begins the names of what fence makes.
const fenceName = "fence"

// fence returns when the controller has come to what happened before: a new Service has an
// address, from a pool that is for nothing else.
func (f fixture) fence(name string) {
	f.t.Helper()
	pool := f.pool(fenceName, each(f.Pool6.Last), spec{"autoAssign": false})
	key := f.service(fenceName+"-"+name, v6(), fromPool(pool))
	f.Eventually("a new Service has an address", started, func(ctx context.Context) error {
		svc := &corev1.Service{}
		if err := f.Client.Get(ctx, key, svc); err != nil {
			return err
		}
		if len(svc.Status.LoadBalancer.Ingress) == 0 {
			return fmt.Errorf("it has none%s", f.told(ctx, key))
		}
		return nil
	})
	f.delete(key)
}
