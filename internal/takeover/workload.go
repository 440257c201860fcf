package takeover

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Mode is how a MetalLB does BGP.
type Mode string

// The modes.
const (
	ModeNative Mode = "native"
	ModeFRR    Mode = "frr"
	ModeFRRK8s Mode = "frr-k8s"
)

// Installation is a controller and its speakers, MetalLB's or Lintel's, with all objects that
// belong to them.
type Installation struct {
	Namespace  string
	Controller *appsv1.Deployment
	Speaker    *appsv1.DaemonSet
	Objects    []*Object
}

// NewInstallation finds controller and speaker among objects. ours says whose.
func NewInstallation(objects []*Object, ours bool) (*Installation, error) {
	in := &Installation{Objects: objects}
	whose := "MetalLB"
	if ours {
		whose = "Lintel"
	}
	for _, o := range objects {
		switch o.GetKind() {
		case kindDeployment:
			d := &appsv1.Deployment{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, d); err != nil {
				return nil, fmt.Errorf("takeover: %s: %w", IDOf(o), err)
			}
			if ours == IsLintel(&d.Spec.Template.Spec, "controller") && (ours || isPart(d.Labels, "controller")) {
				in.Controller = d
			}
		case kindDaemonSet:
			d := &appsv1.DaemonSet{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, d); err != nil {
				return nil, fmt.Errorf("takeover: %s: %w", IDOf(o), err)
			}
			if ours == IsLintel(&d.Spec.Template.Spec, "speaker") && (ours || isPart(d.Labels, "speaker")) {
				in.Speaker = d
			}
		}
	}
	if in.Controller == nil || in.Speaker == nil {
		return nil, fmt.Errorf("takeover: no controller Deployment and speaker DaemonSet of %s among the objects", whose)
	}
	if in.Controller.Namespace != in.Speaker.Namespace {
		return nil, fmt.Errorf("takeover: the controller of %s is in namespace %s and its speaker in %s", whose, in.Controller.Namespace, in.Speaker.Namespace)
	}
	in.Namespace = in.Speaker.Namespace
	return in, nil
}

// IsLintel tells Lintel's pods from MetalLB's: one binary, and its first argument says the part.
func IsLintel(spec *corev1.PodSpec, part string) bool {
	for _, c := range spec.Containers {
		words := slices.Concat(c.Command, c.Args)
		if slices.Contains(words[:min(len(words), 2)], part) {
			return true
		}
	}
	return false
}

// isPart tells a part of MetalLB by the labels of the plain manifests or of the chart.
func isPart(labels map[string]string, part string) bool {
	return labels["app"] == "metallb" && labels["component"] == part || labels["app.kubernetes.io/component"] == part
}

// container is the one of a part.
func container(spec *corev1.PodSpec, part string) *corev1.Container {
	for i := range spec.Containers {
		if spec.Containers[i].Name == part {
			return &spec.Containers[i]
		}
	}
	return &spec.Containers[0]
}

// settings are what both speakers must agree in.
type settings struct {
	Membership    bool
	Port          string
	Secret        string
	Class         string
	IgnoreExclude bool
	WAN           bool
	mode          Mode
	version       string
	hostPorts     []int32
	// members is the label selector by which the speakers find each other.
	members string
}

func settingsOf(ds *appsv1.DaemonSet) settings {
	spec := &ds.Spec.Template.Spec
	c := container(spec, "speaker")
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
		if e.ValueFrom != nil {
			env[e.Name] = "from elsewhere"
		}
	}
	s := settings{
		Port: "7946", Secret: env["METALLB_ML_SECRET_NAME"], mode: Mode(env["METALLB_BGP_TYPE"]),
		members: env["METALLB_ML_LABELS"],
	}
	s.Membership = env["METALLB_ML_BIND_ADDR"] != "" && s.members != ""
	if s.mode == "" {
		s.mode = ModeNative
	}
	if p := env["METALLB_ML_BIND_PORT"]; p != "" {
		s.Port = p
	}
	for _, a := range slices.Concat(c.Command, c.Args) {
		name, value, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		on := value == "" || value == "true"
		switch name {
		case "lb-class":
			s.Class = value
		case "ignore-exclude-lb":
			s.IgnoreExclude = on
		case "ml-wan-config":
			s.WAN = on
		}
	}
	if env["METALLB_ML_SECRET_KEY_PATH"] != "" && s.Secret == "" {
		for _, m := range c.VolumeMounts {
			if m.MountPath != env["METALLB_ML_SECRET_KEY_PATH"] {
				continue
			}
			for _, v := range spec.Volumes {
				if v.Name == m.Name && v.Secret != nil {
					s.Secret = v.Secret.SecretName
				}
			}
		}
	}
	if i := strings.LastIndexByte(c.Image, ':'); i > strings.LastIndexByte(c.Image, '/') {
		s.version = c.Image[i+1:]
	}
	for _, p := range c.Ports {
		s.hostPorts = append(s.hostPorts, p.ContainerPort)
	}
	return s
}

// Mode is how the speakers do BGP.
func (in *Installation) Mode() Mode { return settingsOf(in.Speaker).mode }

// Version is the tag of the speaker's image.
func (in *Installation) Version() string { return settingsOf(in.Speaker).version }

// Secret is the name of the memberlist Secret; empty without one.
func (in *Installation) Secret() string { return settingsOf(in.Speaker).Secret }

// Membership tells whether speakers watch each other.
func (in *Installation) Membership() bool { return settingsOf(in.Speaker).Membership }

// IgnoresExclusion tells whether nodes with the exclusion label announce.
func (in *Installation) IgnoresExclusion() bool { return settingsOf(in.Speaker).IgnoreExclude }

// SpeakerSelector selects the pods of the speakers by labels.
func (in *Installation) SpeakerSelector() (string, error) {
	selector, err := metav1.LabelSelectorAsSelector(in.Speaker.Spec.Selector)
	if err != nil {
		return "", fmt.Errorf("takeover: selector of DaemonSet %s: %w", in.Speaker.Name, err)
	}
	return selector.String(), nil
}

// Labels and annotations of the take-over.
const (
	// LabelTaken is on nodes whose speaker is Lintel's.
	LabelTaken = "lintel.dev/taken-over"
	// DrainValue is the value of the exclusion label on a node that a take-over drains.
	DrainValue = "lintel-takeover"
	// asideSuffix is added to the name of a DaemonSet that steps aside for one of its name.
	asideSuffix = "-metallb"
)

// AsideName is the name of MetalLB's DaemonSet during the take-over.
func AsideName(old, target *Installation) string {
	if old.Speaker.Name == target.Speaker.Name {
		return old.Speaker.Name + asideSuffix
	}
	return old.Speaker.Name
}
