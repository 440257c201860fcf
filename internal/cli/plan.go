package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/kube/speaker"
	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/plan"
)

// Exit codes of plan, as those of diff.
const (
	exitDiffers = 1
	exitTrouble = 2
)

func newPlan(o *options) *cobra.Command {
	var files []string
	var remove bool
	cmd := &cobra.Command{
		Use:   "plan -f FILE...",
		Short: "Say what applying files would do: refused objects, addresses, announcements, sessions",
		Long: `Say what applying files would do, without changing anything.

The API server is asked to try each object without keeping it. Then the decisions of controller and
speakers are made on the cluster as it is, and as it would be, and the difference is printed: which
objects would be refused and why, which Services would get, lose or change addresses, which nodes
would announce them, and which BGP sessions would open, close or be reset.

Looked at are the objects of metallb.io, Services, Namespaces, Nodes and Secrets; others are listed
and left out. What else changes meanwhile, such as endpoints, is not foreseen.

The exit code is 0 if nothing would change, 1 if something would, and 2 if that cannot be found out.`,
		Example: `  kubectl lintel plan -f pool.yaml
  kubectl lintel plan -f manifests/ -f service.yaml -o json
  kubectl lintel plan --delete -f old-pool.yaml
  kustomize build . | kubectl lintel plan -f -`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.NoArgs(cmd, args); err != nil {
				return &coded{exitTrouble, err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := o.plan(cmd, files, remove)
			if err == nil {
				err = o.show(cmd.OutOrStdout(), r)
			}
			switch {
			case err != nil:
				return &coded{exitTrouble, err}
			case r.differs():
				return &coded{code: exitDiffers}
			}
			return nil
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &coded{exitTrouble, err} })
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "file or folder with objects, or - for standard input; may be repeated")
	cmd.Flags().BoolVar(&remove, "delete", false, "say what deleting the objects would do, instead of applying them")
	return cmd
}

func (o *options) plan(cmd *cobra.Command, files []string, remove bool) (*planReport, error) {
	if err := o.checkOutput(); err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("give files with -f")
	}
	manifests, err := readManifests(cmd.InOrStdin(), files)
	if err != nil {
		return nil, err
	}
	c, err := o.connect()
	if err != nil {
		return nil, err
	}
	return c.plan(cmd.Context(), manifests, remove, time.Now())
}

// plan finds out what the manifests would do.
func (c *cluster) plan(ctx context.Context, manifests []manifest, remove bool, now time.Time) (*planReport, error) {
	p, err := c.look(ctx, nil)
	if err != nil {
		return nil, err
	}
	before, err := c.state(ctx, p)
	if err != nil {
		return nil, err
	}
	r := &planReport{}
	after := newOverlay(before, p.classes())
	created := map[string]bool{}
	for _, m := range manifests {
		if !looksAt(m.Unstructured) {
			r.Ignored = append(r.Ignored, m.GetKind()+" "+m.GetName())
			continue
		}
		if m, err = c.placed(m); err != nil {
			return nil, err
		}
		var change planned
		if remove {
			change, err = c.deletion(ctx, m)
		} else {
			change, err = c.dryRun(ctx, m, created)
		}
		if err != nil {
			return nil, err
		}
		if change.Kind == "Namespace" && change.Action == actionCreate {
			created[change.Name] = true
		}
		r.Files = append(r.Files, change)
		if change.Action == actionChange || change.Action == actionCreate || change.Action == actionDelete {
			if err := after.put(change); err != nil {
				return nil, fmt.Errorf("%s: %w", m.file, err)
			}
		}
	}
	r.Result = plan.Compare(before, after.state, now)
	r.Sessions = sessionChanges(before, after.state, r.Result)
	for _, node := range slices.Sorted(maps.Keys(before.World.Nodes)) {
		switch a, asked := p.answers[node]; {
		case !asked:
			r.Silent = append(r.Silent, node+": no speaker runs there")
		case a.err != nil:
			r.Silent = append(r.Silent, node+": "+a.err.Error())
		}
	}
	return r, nil
}

// state is the cluster as it is.
func (c *cluster) state(ctx context.Context, p *picture) (plan.State, error) {
	s := plan.State{Resources: p.resources, World: p.decider.World(), Namespaces: map[string]ipam.Namespace{}}
	var namespaces corev1.NamespaceList
	if err := c.client.List(ctx, &namespaces); err != nil {
		return s, fmt.Errorf("list the namespaces: %w", err)
	}
	for _, ns := range namespaces.Items {
		s.Namespaces[ns.Name] = ipam.Namespace{Labels: ns.Labels}
	}
	return s, nil
}

// looksAt tells whether a plan knows what an object of this kind means.
func looksAt(o *unstructured.Unstructured) bool {
	gvk := o.GroupVersionKind()
	if gvk.Group == v1beta1.Group {
		return slices.Contains([]config.Kind{config.KindPool, config.KindL2Advertisement, config.KindBGPAdvertisement,
			config.KindPeer, config.KindBFDProfile, config.KindCommunity}, config.Kind(gvk.Kind))
	}
	return gvk.Group == "" && builtIn(gvk.Kind) != nil
}

// overlay is a state with changes in it. The state that it was made from stays as it is.
type overlay struct {
	state   plan.State
	classes translate.Classes
}

func newOverlay(s plan.State, classes translate.Classes) *overlay {
	w := *s.World
	w.Services, w.Nodes = maps.Clone(w.Services), maps.Clone(w.Nodes)
	s.World, s.Namespaces = &w, maps.Clone(s.Namespaces)
	return &overlay{state: s, classes: classes}
}

// put brings in one change.
func (o *overlay) put(c planned) error {
	in := &o.state.Resources
	switch c.Kind {
	case string(config.KindPool):
		return replace(&in.Pools, c)
	case string(config.KindL2Advertisement):
		return replace(&in.L2Advertisements, c)
	case string(config.KindBGPAdvertisement):
		return replace(&in.BGPAdvertisements, c)
	case string(config.KindPeer):
		return replace(&in.Peers, c)
	case string(config.KindBFDProfile):
		return replace(&in.BFDProfiles, c)
	case string(config.KindCommunity):
		return replace(&in.Communities, c)
	case "Secret":
		return replace(&in.Secrets, c)
	case "Service":
		return o.putService(c)
	case "Namespace":
		delete(o.state.Namespaces, c.Name)
		if c.object != nil {
			o.state.Namespaces[c.Name] = ipam.Namespace{Labels: c.object.GetLabels()}
		}
	case "Node":
		delete(o.state.World.Nodes, c.Name)
		if c.object != nil {
			n, err := typed[corev1.Node](c)
			if err != nil {
				return err
			}
			o.state.World.Nodes[c.Name] = translate.Node(n)
		}
	}
	return nil
}

func (o *overlay) putService(c planned) error {
	k := lb.ServiceKey{Namespace: c.Namespace, Name: c.Name}
	delete(o.state.World.Services, k)
	if c.object == nil {
		return nil
	}
	svc, err := typed[corev1.Service](c)
	if err != nil {
		return err
	}
	if ok, _ := o.classes.Handles(svc); ok {
		o.state.World.Services[k] = translate.Service(svc)
	}
	return nil
}

// typed converts the object of a change. A BGPPeer may come in its old version, which has the
// same fields; so is it stored.
func typed[T any](c planned) (*T, error) {
	out := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(c.object.Object, out); err != nil {
		return nil, fmt.Errorf("read %s %s: %w", c.Kind, c.Name, err)
	}
	return out, nil
}

// replace puts the object of a change into a list, in place of the one of its name.
func replace[T any, P interface {
	*T
	GetNamespace() string
	GetName() string
}](list *[]P, c planned) error {
	out := slices.DeleteFunc(slices.Clone(*list), func(o P) bool { return o.GetName() == c.Name && o.GetNamespace() == c.Namespace })
	if c.object != nil {
		o, err := typed[T](c)
		if err != nil {
			return err
		}
		out = append(out, o)
	}
	*list = out
	return nil
}

// Changes of a session.
const (
	sessionOpens  = "opens"
	sessionCloses = "closes"
	sessionResets = "resets"
)

// sessionChange is what happens to the sessions of a peer.
type sessionChange struct {
	Peer string `json:"peer"`
	// Network is where the routers of the sessions come from, with dynamicNeighbors: the node opens
	// or closes its port to them.
	Network *netip.Prefix `json:"network,omitempty"`
	Change  string        `json:"change"`
	Nodes   []string      `json:"nodes"`
	// Fields are those of the BGPPeer that differ, where sessions are reset.
	Fields []string `json:"fields,omitempty"`
}

// sessionChanges compares the parameters of all sessions.
func sessionChanges(before, after plan.State, result *plan.Result) []sessionChange {
	changes := map[string]map[string][]string{} // by session and change, the nodes
	for _, node := range nodeNames(before.World, after.World) {
		was, will := sessions(before.World, node, result.Before), sessions(after.World, node, result.After)
		note := func(session, change string) {
			if changes[session] == nil {
				changes[session] = map[string][]string{}
			}
			changes[session][change] = append(changes[session][change], node)
		}
		for name, one := range was {
			if two, has := will[name]; !has {
				note(name, sessionCloses)
			} else if one.Resets(two) {
				note(name, sessionResets)
			}
		}
		for name := range will {
			if _, had := was[name]; !had {
				note(name, sessionOpens)
			}
		}
	}
	var out []sessionChange
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		for _, change := range []string{sessionResets, sessionCloses, sessionOpens} {
			if len(changes[name][change]) == 0 {
				continue
			}
			peer, network := speaker.PeerOf(name)
			c := sessionChange{Peer: peer, Change: change, Nodes: changes[name][change]}
			if network.IsValid() {
				c.Network = &network
			}
			if change == sessionResets {
				c.Fields = differingFields(before.Resources.Peers, after.Resources.Peers, peer)
			}
			out = append(out, c)
		}
	}
	return out
}

func nodeNames(worlds ...*lb.World) []string {
	all := map[string]bool{}
	for _, w := range worlds {
		for n := range w.Nodes {
			all[n] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// sessions gives the parameters of a node's sessions.
func sessions(w *lb.World, name string, c *lb.Config) map[string]bgp.SessionConfig {
	node := w.Nodes[name]
	if node == nil {
		return nil
	}
	return speaker.Sessions(w, node, c)
}

// differingFields lists the fields of spec in which two versions of a peer differ.
func differingFields(before, after []*v1beta2.BGPPeer, name string) []string {
	spec := func(list []*v1beta2.BGPPeer) map[string]any {
		i := slices.IndexFunc(list, func(p *v1beta2.BGPPeer) bool { return p.Name == name })
		if i < 0 {
			return nil
		}
		m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&list[i].Spec)
		if err != nil {
			return nil
		}
		return m
	}
	one, two := spec(before), spec(after)
	var out []string
	for f := range one {
		if !reflect.DeepEqual(one[f], two[f]) {
			out = append(out, f)
		}
	}
	for f := range two {
		if _, known := one[f]; !known {
			out = append(out, f)
		}
	}
	slices.Sort(out)
	return out
}
