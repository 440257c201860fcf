package takeover

import (
	"fmt"
	"slices"
	"strings"
)

// Action is what a step does.
type Action string

// The actions, in the order in which they are taken.
const (
	Keep             Action = "keep"
	Key              Action = "key"
	Mix              Action = "mix"
	HoldSpeakers     Action = "hold"
	StopController   Action = "stop-controller"
	DropWebhook      Action = "drop-webhook"
	ApplyDefinitions Action = "definitions"
	ApplyObjects     Action = "objects"
	StartController  Action = "start-controller"
	StartSpeakers    Action = "start-speakers"
	Node             Action = "node"
	Unmix            Action = "unmix"
	Remove           Action = "remove"
)

// Step is one step of a take-over.
type Step struct {
	Action Action
	// Node is the node that the step is about, for Node alone.
	Node string
	// Does says what is done, and Undo what takes it back.
	Does, Undo string
}

// ID names the step in the record.
func (s Step) ID() string {
	if s.Node != "" {
		return string(s.Action) + "/" + s.Node
	}
	return string(s.Action)
}

// Inventory is what a plan depends on.
type Inventory struct {
	Old, Target *Installation
	// Release is the name of Helm's release of MetalLB; empty with plain manifests.
	Release string
	// Nodes are those with a speaker of MetalLB, or that were taken over, sorted.
	Nodes []string
	// Unready are nodes whose speaker of MetalLB is not ready.
	Unready []string
	// BGPExtras tells whether the ConfigMap bgpextras says anything.
	BGPExtras bool
	// ForeignFRR are FRRConfigurations that MetalLB has not made.
	ForeignFRR []string
	// Internal are the BGPPeers of the own AS.
	Internal []string
	// Existing are the objects of the target that exist and are not MetalLB's.
	Existing []ID
}

// Steps lists all steps in order.
func Steps(inv *Inventory) []Step {
	old, target := inv.Old, inv.Target
	ns := old.Namespace
	release := ""
	if inv.Release != "" {
		release = fmt.Sprintf(", also in what Helm stores of release %s, which is what an uninstall goes by", inv.Release)
	}
	steps := []Step{
		{Keep, "", "mark the resource definitions to be kept (" + KeepAnnotation + ": keep)" + release, "stays: it protects your configuration"},
		{Key, "", keyText(inv), "stays"},
		{Mix, "", mixText(inv), "remove that ConfigMap"},
		{HoldSpeakers, "", holdText(inv), fmt.Sprintf("give DaemonSet %s its affinity and update strategy back", old.Speaker.Name)},
		{StopController, "", fmt.Sprintf("scale Deployment %s/%s to 0 and wait for its end: no two allocators at a time", ns, old.Controller.Name), "scale it up again"},
		{DropWebhook, "", "delete MetalLB's ValidatingWebhookConfiguration, whose server is gone", "create it again"},
		{ApplyDefinitions, "", "set the conversion of BGPPeer to None and bring the resource definitions up to date; objects stay as they are", "put the old definitions back"},
		{ApplyObjects, "", "create Lintel's accounts, roles and settings; where MetalLB has one of the same name, the rights of both", "remove them, or put the old ones back"},
		{StartController, "", fmt.Sprintf("start Deployment %s/%s, and see that no Service changes its address", target.Namespace, target.Controller.Name), "delete it and wait for its end"},
		{StartSpeakers, "", fmt.Sprintf("create DaemonSet %s/%s; its pods wait for the ports that MetalLB's speakers have", target.Namespace, target.Speaker.Name), "delete it"},
	}
	for _, node := range inv.Nodes {
		steps = append(steps, Step{Node, node, nodeText(inv, node), "the same the other way round"})
	}
	return append(steps,
		Step{Unmix, "", "end mixed membership: Lintel's own election holds from here on; see that one node announces each address", "make membership mixed again"},
		Step{Remove, "", removeText(inv), "create them again, from the record in Secret " + RecordName},
	)
}

func keyText(inv *Inventory) string {
	old, target := inv.Old.Secret(), inv.Target.Secret()
	switch {
	case !inv.Old.Membership():
		return "nothing: the speakers have no membership"
	case old == target:
		return fmt.Sprintf("take Secret %s from MetalLB's Deployment, with which it would go", old)
	}
	return fmt.Sprintf("copy the key of the membership from Secret %s to %s", old, target)
}

func mixText(inv *Inventory) string {
	s := "create the ConfigMap that makes membership mixed: both sides elect as MetalLB does and name the same node"
	if inv.PinsLocalPref() {
		s += fmt.Sprintf("; routes to the internal peers %s keep LOCAL_PREF 0, as from MetalLB's native BGP, until the end", strings.Join(inv.Internal, ", "))
	}
	return s
}

// PinsLocalPref tells whether routes to internal peers would otherwise get another LOCAL_PREF
// from Lintel, 100, than from MetalLB, which makes a difference while both announce.
func (inv *Inventory) PinsLocalPref() bool {
	return inv.Old.Mode() == ModeNative && len(inv.Internal) > 0
}

func holdText(inv *Inventory) string {
	old, aside := inv.Old.Speaker.Name, AsideName(inv.Old, inv.Target)
	s := fmt.Sprintf("have MetalLB's DaemonSet leave the nodes that are labelled %s, and restart no other pod", LabelTaken)
	if aside != old {
		s += fmt.Sprintf("; it continues under the name %s, since Lintel's has the name %s", aside, old)
	}
	return s
}

func nodeText(inv *Inventory, node string) string {
	var parts []string
	if !inv.Old.IgnoresExclusion() {
		parts = append(parts, "move its addresses and routes away")
	}
	parts = append(parts, "end MetalLB's speaker")
	if inv.Old.Mode() == ModeFRRK8s {
		parts = append(parts, "delete FRRConfiguration metallb-"+node)
	}
	parts = append(parts, "start Lintel's", "see that all of Lintel's count each other in", "see its sessions up", "see that it announces what was announced here before")
	return node + ": " + strings.Join(parts, ", ")
}

func removeText(inv *Inventory) string {
	var names []string
	if aside := AsideName(inv.Old, inv.Target); aside != inv.Old.Speaker.Name {
		names = append(names, "DaemonSet "+inv.Old.Namespace+"/"+aside)
	}
	for _, o := range Leftovers(inv.Old, inv.Target) {
		names = append(names, IDOf(o).String())
	}
	s := "remove what is left of MetalLB: " + strings.Join(names, ", ")
	if inv.Release != "" {
		s += fmt.Sprintf("; and Helm's record of release %s, so that no uninstall of it can touch anything", inv.Release)
	}
	return s
}

// Leftovers are MetalLB's objects that Lintel does not have, sorted: what runs first.
func Leftovers(old, target *Installation) []*Object {
	var out []*Object
	for _, o := range old.Objects {
		id := IDOf(o)
		if IsCRD(o) || o.GetKind() == kindNamespace || Find(target.Objects, id) != nil {
			continue
		}
		if id.Kind == "Secret" && id.Name == old.Secret() {
			continue
		}
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b *Object) int { return weight(a) - weight(b) })
	return out
}

func weight(o *Object) int {
	switch o.GetKind() {
	case kindDaemonSet, kindDeployment:
		return 0
	}
	return 1
}

// Objections are the reasons why this take-over must not begin or go on. Each says what helps.
func Objections(inv *Inventory) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	o, t := settingsOf(inv.Old.Speaker), settingsOf(inv.Target.Speaker)
	if inv.Old.Namespace != inv.Target.Namespace {
		say("MetalLB is in namespace %s and the manifests are for %s: the configuration is read from the own namespace, so render them for %s",
			inv.Old.Namespace, inv.Target.Namespace, inv.Old.Namespace)
	}
	if o.Membership != t.Membership {
		say("membership (METALLB_ML_BIND_ADDR and METALLB_ML_LABELS) is on for one side and off for the other: make the manifests as MetalLB is")
	}
	if o.Membership && t.Membership {
		if o.Port != t.Port {
			say("MetalLB's speakers gossip on port %s and those of the manifests on %s: make the latter %s", o.Port, t.Port, o.Port)
		}
		if o.WAN != t.WAN {
			say("--ml-wan-config is given on one side only: make the manifests as MetalLB is")
		}
		if o.Secret != "" && t.Secret == "" {
			say("MetalLB's gossip is encrypted and the manifests name no memberlist Secret: set METALLB_ML_SECRET_NAME")
		}
		if o.Secret == "" && t.Secret != "" {
			say("MetalLB's gossip is not encrypted and that of the manifests is: take METALLB_ML_SECRET_NAME out of the manifests for the take-over")
		}
	}
	if o.Class != t.Class {
		say("MetalLB serves load balancer class %q and the manifests %q: make them alike (--lb-class)", o.Class, t.Class)
	}
	if o.IgnoreExclude != t.IgnoreExclude {
		say("--ignore-exclude-lb is given on one side only: make the manifests as MetalLB is")
	}
	if !slices.ContainsFunc(o.hostPorts, func(p int32) bool { return slices.Contains(t.hostPorts, p) }) {
		say("MetalLB's speaker and that of the manifests have no port in common, so nothing keeps both from running on a node: give the manifests MetalLB's metrics port")
	}
	if inv.BGPExtras {
		say("the ConfigMap bgpextras adds FRR configuration that Lintel cannot have: say the same with resources, or leave it out, and delete the ConfigMap")
	}
	if len(inv.ForeignFRR) > 0 {
		say("FRRConfigurations that are not MetalLB's use the same FRR: %s; it cannot be taken away from them. Move them to an FRR of their own first", strings.Join(inv.ForeignFRR, ", "))
	}
	for _, id := range inv.Existing {
		say("%s exists already and is not MetalLB's: delete it, or give the manifests another name", id)
	}
	if len(inv.Unready) > 0 {
		say("MetalLB's speaker is not ready on %s: repair that first", strings.Join(inv.Unready, ", "))
	}
	if len(inv.Nodes) == 0 {
		say("no node has a speaker of MetalLB")
	}
	return out
}

// Notes are what somebody should know before.
func Notes(inv *Inventory) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if v := inv.Old.Version(); !strings.HasPrefix(v, "v0.16.") {
		say("MetalLB is of version %q; the take-over was tried with v0.16.1", v)
	}
	if inv.Old.Mode() != ModeNative {
		say("MetalLB does BGP through FRR (%s); the take-over from that mode is built but was not tried", inv.Old.Mode())
	}
	if inv.PinsLocalPref() {
		say("internal peers get LOCAL_PREF 0 without localPref from MetalLB's native BGP and 100 from Lintel: the change comes on all nodes at once, when mixed membership ends")
	}
	if inv.Old.IgnoresExclusion() {
		say("with --ignore-exclude-lb nodes cannot be drained: addresses of a node are unanswered from the end of its old speaker until another node notices, and its routes until the session is up again")
	}
	if len(inv.Nodes) == 1 {
		say("there is one node: nothing can move away, so addresses are unanswered while its speaker is replaced")
	}
	return out
}

// WithRights gives an object of the target as it is while both sides run: a role that both have
// by the same name gets the rules of both.
func WithRights(target *Object, old []*Object) *Object {
	o := Find(old, IDOf(target))
	if o == nil || target.GetKind() != "Role" && target.GetKind() != "ClusterRole" {
		return target
	}
	target = target.DeepCopy()
	ours, _ := target.Object["rules"].([]any)
	theirs, _ := o.Object["rules"].([]any)
	target.Object["rules"] = slices.Concat(ours, theirs)
	return target
}

// Adopt marks objects that Helm rendered so that the release which they are for takes them as
// its own when it is installed.
func Adopt(objects []*Object, namespace string) (release string) {
	for _, o := range objects {
		l := o.GetLabels()
		if l["app.kubernetes.io/managed-by"] != "Helm" || l["app.kubernetes.io/instance"] == "" {
			continue
		}
		release = l["app.kubernetes.io/instance"]
		annotate(o, "meta.helm.sh/release-name", release)
		annotate(o, "meta.helm.sh/release-namespace", namespace)
	}
	return release
}
