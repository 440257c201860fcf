package worldfile

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/members"
)

// Origin says whose a file is. A file of another origin is not used.
type Origin struct {
	Node      string `json:"node"`
	Namespace string `json:"namespace"`
	// Cluster is a fingerprint of the certificate authority of the API server.
	Cluster string `json:"cluster"`
	// Classes are the classes of Services that are served.
	Classes []string `json:"classes"`
}

// Copy is what a file holds.
type Copy struct {
	Origin Origin `json:"origin"`
	// Saved is when it was written.
	Saved time.Time `json:"saved"`
	World World     `json:"world"`
}

// World is what a speaker decides from, as far as it comes from the API server.
type World struct {
	Services []*lb.Service `json:"services"`
	Slices   []Slice       `json:"slices"`
	Nodes    []*lb.Node    `json:"nodes"`

	Pools             []*v1beta1.IPAddressPool    `json:"pools"`
	L2Advertisements  []*v1beta1.L2Advertisement  `json:"l2Advertisements"`
	BGPAdvertisements []*v1beta1.BGPAdvertisement `json:"bgpAdvertisements"`
	Peers             []*v1beta2.BGPPeer          `json:"peers"`
	BFDProfiles       []*v1beta1.BFDProfile       `json:"bfdProfiles"`
	Communities       []*v1beta1.Community        `json:"communities"`
	// Secrets are those that sessions and the membership need, and no others.
	Secrets []*corev1.Secret `json:"secrets"`

	// Mixed is the setting of mixed membership; nil without.
	Mixed *corev1.ConfigMap `json:"mixed,omitempty"`
	// Speakers are the other speakers' ends of the membership.
	Speakers []members.Peer `json:"speakers"`
}

// Slice is one EndpointSlice.
type Slice struct {
	Service lb.ServiceKey      `json:"service"`
	Name    string             `json:"name"`
	Sum     translate.SliceSum `json:"sum"`
}

// SetResources takes the objects that configuration is made of. Of the Secrets it takes those
// that peers and BFD profiles refer to, and those in also.
func (w *World) SetResources(r config.Resources, also ...string) {
	w.Pools, w.L2Advertisements, w.BGPAdvertisements = r.Pools, r.L2Advertisements, r.BGPAdvertisements
	w.Peers, w.BFDProfiles, w.Communities = r.Peers, r.BFDProfiles, r.Communities
	wanted := slices.Clone(also)
	for _, p := range r.Peers {
		wanted = append(wanted, p.Spec.PasswordSecret.Name)
	}
	for _, p := range r.BFDProfiles {
		if p.Spec.Auth != nil {
			wanted = append(wanted, p.Spec.Auth.SecretRef.Name)
		}
	}
	w.Secrets = nil
	for _, s := range r.Secrets {
		if slices.Contains(wanted, s.Name) {
			w.Secrets = append(w.Secrets, s)
		}
	}
}

// Resources gives the objects that configuration is made of.
func (w *World) Resources(namespace string) config.Resources {
	return config.Resources{
		Namespace: namespace,
		Pools:     w.Pools, L2Advertisements: w.L2Advertisements, BGPAdvertisements: w.BGPAdvertisements,
		Peers: w.Peers, BFDProfiles: w.BFDProfiles, Communities: w.Communities, Secrets: w.Secrets,
	}
}

// Secret gives the Secret of that name, or nil.
func (w *World) Secret(name string) *corev1.Secret {
	i := slices.IndexFunc(w.Secrets, func(s *corev1.Secret) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return w.Secrets[i]
}

// sort puts everything in an order, so that the same World is the same file.
func (w *World) sort() {
	slices.SortFunc(w.Services, func(a, b *lb.Service) int { return a.Key.Compare(b.Key) })
	slices.SortFunc(w.Slices, func(a, b Slice) int { return cmp.Or(a.Service.Compare(b.Service), cmp.Compare(a.Name, b.Name)) })
	slices.SortFunc(w.Nodes, func(a, b *lb.Node) int { return cmp.Compare(a.Name, b.Name) })
	byName(w.Pools)
	byName(w.L2Advertisements)
	byName(w.BGPAdvertisements)
	byName(w.Peers)
	byName(w.BFDProfiles)
	byName(w.Communities)
	byName(w.Secrets)
	slices.SortFunc(w.Speakers, func(a, b members.Peer) int { return cmp.Or(cmp.Compare(a.Node, b.Node), a.Addr.Compare(b.Addr)) })
}

func byName[O interface{ GetName() string }](objects []O) {
	slices.SortFunc(objects, func(a, b O) int { return cmp.Compare(a.GetName(), b.GetName()) })
}
