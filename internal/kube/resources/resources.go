// Package resources reads the metallb.io objects of one namespace out of a cache, as input
// for package config, and knows what their kinds have in common.
package resources

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/lb"
)

// Kinds are one empty object of each kind that users write, by its name.
func Kinds() map[config.Kind]client.Object {
	return map[config.Kind]client.Object{
		config.KindPool:             &v1beta1.IPAddressPool{},
		config.KindL2Advertisement:  &v1beta1.L2Advertisement{},
		config.KindBGPAdvertisement: &v1beta1.BGPAdvertisement{},
		config.KindPeer:             &v1beta2.BGPPeer{},
		config.KindBFDProfile:       &v1beta1.BFDProfile{},
		config.KindCommunity:        &v1beta1.Community{},
	}
}

// Conditions are the conditions in an object's status; nil for kinds that users do not write.
func Conditions(o client.Object) []metav1.Condition {
	switch o := o.(type) {
	case *v1beta1.IPAddressPool:
		return o.Status.Conditions
	case *v1beta1.L2Advertisement:
		return o.Status.Conditions
	case *v1beta1.BGPAdvertisement:
		return o.Status.Conditions
	case *v1beta2.BGPPeer:
		return o.Status.Conditions
	case *v1beta1.BFDProfile:
		return o.Status.Conditions
	case *v1beta1.Community:
		return o.Status.Conditions
	}
	return nil
}

// Context is what a configuration depends on besides the objects themselves.
type Context struct {
	Nodes    map[string]*lb.Node
	Assigned map[netip.Addr]string
}

// Read collects all objects of a namespace. They must not be changed.
func Read(ctx context.Context, r client.Reader, namespace string, with Context) (config.Resources, error) {
	var (
		pools       v1beta1.IPAddressPoolList
		l2          v1beta1.L2AdvertisementList
		bgp         v1beta1.BGPAdvertisementList
		peers       v1beta2.BGPPeerList
		profiles    v1beta1.BFDProfileList
		communities v1beta1.CommunityList
		secrets     corev1.SecretList
	)
	for _, list := range []client.ObjectList{&pools, &l2, &bgp, &peers, &profiles, &communities, &secrets} {
		if err := r.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return config.Resources{}, fmt.Errorf("resources: list %T: %w", list, err)
		}
	}
	return config.Resources{
		Namespace:         namespace,
		Pools:             pointers(pools.Items),
		L2Advertisements:  pointers(l2.Items),
		BGPAdvertisements: pointers(bgp.Items),
		Peers:             pointers(peers.Items),
		BFDProfiles:       pointers(profiles.Items),
		Communities:       pointers(communities.Items),
		Secrets:           pointers(secrets.Items),
		Nodes:             with.Nodes,
		Assigned:          with.Assigned,
	}, nil
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}
