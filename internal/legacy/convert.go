package legacy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/lb"
)

// Protocols that an address pool can have.
const (
	protocolLayer2 = "layer2"
	protocolBGP    = "bgp"
)

// Object is an object of the result.
type Object struct {
	Value interface {
		metav1.Object
		runtime.Object
	}
	// Notes say what differs from the text, or is hardly meant.
	Notes []string
	// at is where it comes from.
	at value
}

// Result is what a configuration says today.
type Result struct {
	// Objects are sorted by kind and then in the order of the text: BGPPeers,
	// IPAddressPools, BGPAdvertisements, L2Advertisements, BFDProfiles, Communities.
	Objects []Object
	// Renamed are the names that objects cannot have. Services that ask for a renamed pool
	// by annotation must be changed.
	Renamed []Rename
}

// Convert gives the objects that a source stands for, in the namespace given.
func Convert(src Source, namespace string) (*Result, error) {
	r := &reader{skipped: src.skipped}
	root, err := document([]byte(src.Text))
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, ErrEmpty
	}
	c := read(value{r: r, node: root})
	c.check()
	if err := failure(r.problems); err != nil {
		return nil, err
	}
	out := c.objects(namespace)
	out.judge(r, namespace)
	if err := failure(r.problems); err != nil {
		return nil, err
	}
	return out, nil
}

// document gives the only document of a text; nil where there is none.
func document(text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("legacy: the configuration is not YAML: %w", err)
	}
	if err := dec.Decode(&more); err == nil {
		return nil, ErrManyDocuments
	} else if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("legacy: the configuration is not YAML: %w", err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return nil, nil
	}
	return doc.Content[0], nil
}

// check applies the rules that objects cannot show any more.
func (c *configuration) check() {
	pools := map[string]value{}
	for _, p := range c.pools {
		if p.at.node.Kind != yaml.MappingNode {
			continue // which was told already
		}
		once(p.at, pools, "pool", p.name)
		switch p.protocol {
		case protocolBGP:
		case protocolLayer2:
			if len(p.advertisements) > 0 {
				p.advertisementsAt.problem("a pool of protocol layer2 has no BGP advertisements: remove them, or set protocol: bgp")
			}
		case "":
			p.protocolAt.problem("has no protocol: set protocol to layer2 or bgp")
		default:
			p.protocolAt.problem("unknown protocol %q: want layer2 or bgp", p.protocol)
		}
	}
	profiles := map[string]value{}
	for _, p := range c.profiles {
		if p.at.node.Kind != yaml.MappingNode {
			continue
		}
		once(p.at, profiles, "BFD profile", p.name)
	}
	for _, p := range c.peers {
		if _, ok := profiles[p.spec.BFDProfile]; !ok && p.spec.BFDProfile != "" {
			p.profileAt.problem("there is no BFD profile %q in bfd-profiles", p.spec.BFDProfile)
		}
	}
}

// once wants a name that was not seen before.
func once(at value, seen map[string]value, what, name string) {
	other, twice := seen[name]
	switch {
	case name == "":
		at.problem("the %s has no name", what)
	case twice:
		at.problem("a %s named %q is there already, at %s: rename one of the two", what, name, other.path)
	default:
		seen[name] = at
	}
}

// objects makes the objects. Names were checked to be there once.
func (c *configuration) objects(namespace string) *Result {
	out := &Result{}
	poolNames := make([]string, len(c.pools))
	for i, p := range c.pools {
		poolNames[i] = p.name
	}
	profileNames := make([]string, len(c.profiles))
	for i, p := range c.profiles {
		profileNames[i] = p.name
	}
	newPool, newProfile := newNames("pool", poolNames), newNames("bfd-profile", profileNames)
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: name} }
	v1 := func(kind config.Kind) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: v1beta1.SchemeGroupVersion.String(), Kind: string(kind)}
	}

	for i, p := range c.peers {
		o := &v1beta2.BGPPeer{
			TypeMeta:   metav1.TypeMeta{APIVersion: v1beta2.SchemeGroupVersion.String(), Kind: string(config.KindPeer)},
			ObjectMeta: meta(fmt.Sprintf("peer%d", i+1)), Spec: p.spec,
		}
		notes := p.notes
		if old := p.spec.BFDProfile; old != "" && newProfile[old] != old {
			o.Spec.BFDProfile = newProfile[old]
			notes = append(notes, fmt.Sprintf("bfd-profile was %q, which is not a name that an object can have", old))
		}
		out.Objects = append(out.Objects, Object{Value: o, Notes: notes, at: p.at})
	}
	for _, p := range c.pools {
		o := &v1beta1.IPAddressPool{TypeMeta: v1(config.KindPool), ObjectMeta: meta(newPool[p.name]), Spec: p.spec}
		out.Objects = append(out.Objects, Object{Value: o, Notes: out.renamed(config.KindPool, p.name, newPool[p.name]), at: p.at})
	}
	internal := slices.ContainsFunc(c.peers, func(p peer) bool { return p.spec.MyASN == p.spec.ASN })
	number := 0
	for _, p := range c.pools {
		list := p.advertisements
		if p.protocol == protocolBGP && len(list) == 0 {
			list = []advertisement{{at: p.at}}
		}
		for _, a := range list {
			number++
			var notes []string
			if a.spec.LocalPref == 0 && internal {
				notes = append(notes, "localpref is not set: MetalLB before 0.13 sent 0 to internal peers, and now the default of the protocol, 100, is sent")
			}
			a.spec.IPAddressPools = []string{newPool[p.name]}
			o := &v1beta1.BGPAdvertisement{TypeMeta: v1(config.KindBGPAdvertisement), ObjectMeta: meta(fmt.Sprintf("bgpadvertisement%d", number)), Spec: a.spec}
			out.Objects = append(out.Objects, Object{Value: o, Notes: notes, at: a.at})
		}
	}
	number = 0
	for _, p := range c.pools {
		if p.protocol == protocolLayer2 {
			number++
			o := &v1beta1.L2Advertisement{TypeMeta: v1(config.KindL2Advertisement), ObjectMeta: meta(fmt.Sprintf("l2advertisement%d", number))}
			o.Spec.IPAddressPools = []string{newPool[p.name]}
			out.Objects = append(out.Objects, Object{Value: o, at: p.at})
		}
	}
	for _, p := range c.profiles {
		o := &v1beta1.BFDProfile{TypeMeta: v1(config.KindBFDProfile), ObjectMeta: meta(newProfile[p.name]), Spec: p.spec}
		out.Objects = append(out.Objects, Object{Value: o, Notes: out.renamed(config.KindBFDProfile, p.name, newProfile[p.name]), at: p.at})
	}
	if len(c.communities) > 0 {
		aliases := slices.SortedFunc(slices.Values(c.communities), func(a, b v1beta1.CommunityAlias) int { return strings.Compare(a.Name, b.Name) })
		o := &v1beta1.Community{TypeMeta: v1(config.KindCommunity), ObjectMeta: meta("communities"), Spec: v1beta1.CommunitySpec{Communities: aliases}}
		out.Objects = append(out.Objects, Object{Value: o, at: c.communitiesAt})
	}
	return out
}

// renamed takes note of a name that changed, and gives the words for it.
func (r *Result) renamed(kind config.Kind, old, now string) []string {
	if old == now {
		return nil
	}
	r.Renamed = append(r.Renamed, Rename{Kind: string(kind), Old: old, New: now})
	note := fmt.Sprintf("the name was %q, which an object cannot have", old)
	if kind == config.KindPool {
		note += fmt.Sprintf("; Services that ask for it by the annotation metallb.io/address-pool or metallb.universe.tf/address-pool must name %q", now)
	}
	return []string{note}
}

// judge has the objects checked by the rules for resources. Refusals become problems at the
// place that the object comes from, and warnings notes.
func (r *Result) judge(read *reader, namespace string) {
	in := config.Resources{Namespace: namespace, Nodes: map[string]*lb.Node{}}
	for _, o := range r.Objects {
		switch o := o.Value.(type) {
		case *v1beta1.IPAddressPool:
			in.Pools = append(in.Pools, o)
		case *v1beta1.L2Advertisement:
			in.L2Advertisements = append(in.L2Advertisements, o)
		case *v1beta1.BGPAdvertisement:
			in.BGPAdvertisements = append(in.BGPAdvertisements, o)
		case *v1beta2.BGPPeer:
			in.Peers = append(in.Peers, o)
			for _, sel := range o.Spec.NodeSelectors {
				node := typical(sel)
				in.Nodes[node.Name] = node
			}
		case *v1beta1.BFDProfile:
			in.BFDProfiles = append(in.BFDProfiles, o)
		case *v1beta1.Community:
			in.Communities = append(in.Communities, o)
		}
	}
	plain := typical(metav1.LabelSelector{})
	in.Nodes[plain.Name] = plain
	for _, v := range config.Parse(in).Verdicts {
		i := slices.IndexFunc(r.Objects, func(o Object) bool {
			return o.Value.GetObjectKind().GroupVersionKind().Kind == string(v.Object.Kind) && o.Value.GetName() == v.Object.Name
		})
		o := &r.Objects[i]
		if !v.Accepted {
			value{r: read, path: o.at.path, node: o.at.node}.problem("%s", v.Message)
			continue
		}
		o.Notes = append(o.Notes, v.Warnings...)
	}
}

// typical is a node that a selector is meant for. Which nodes there are is not known, so that
// peers with the same router are taken to meet on none that no selector speaks of.
func typical(sel metav1.LabelSelector) *lb.Node {
	set := labels.Set(maps.Clone(sel.MatchLabels))
	if set == nil {
		set = labels.Set{}
	}
	for _, e := range sel.MatchExpressions {
		switch {
		case e.Operator == metav1.LabelSelectorOpIn && len(e.Values) > 0:
			set[e.Key] = e.Values[0]
		case e.Operator == metav1.LabelSelectorOpExists:
			set[e.Key] = ""
		}
	}
	name := "with the labels " + set.String()
	if len(set) == 0 {
		name = "without labels"
	}
	return &lb.Node{Name: name, Labels: set}
}
