package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/lb"
)

const namespace = "metallb-system"

// line is "Kind name[label=value,…] spec", spec and labels being optional.
var line = regexp.MustCompile(`^(\w+) ([^ \[]*)(?:\[(.*?)\])?(?: (.*))?$`)

// script makes resources of lines of text. Objects are created one second after another.
// Kinds are those of users, Node, Secret (of a YAML object instead of a spec), and
// Assigned with an address as name and the pool in place of a spec.
func script(t *testing.T, text string) Resources {
	t.Helper()
	in := Resources{Namespace: namespace, Assigned: map[netip.Addr]string{}}
	for i, l := range strings.Split(strings.TrimSpace(text), "\n") {
		m := line.FindStringSubmatch(strings.TrimSpace(l))
		if m == nil {
			t.Fatalf("cannot read line %q", l)
		}
		kind, rest := m[1], m[4]
		meta := metav1.ObjectMeta{
			Namespace: namespace, Name: m[2], Labels: labelsOf(m[3]),
			CreationTimestamp: metav1.NewTime(time.Unix(int64(1000+i), 0)),
		}
		if ns, name, ok := strings.Cut(m[2], "/"); ok {
			meta.Namespace, meta.Name = ns, name
		}
		spec := "spec: " + rest
		if rest == "" {
			spec = "{}"
		}
		switch kind {
		case "IPAddressPool":
			in.Pools = append(in.Pools, read(t, spec, &v1beta1.IPAddressPool{ObjectMeta: meta}))
		case "L2Advertisement":
			in.L2Advertisements = append(in.L2Advertisements, read(t, spec, &v1beta1.L2Advertisement{ObjectMeta: meta}))
		case "BGPAdvertisement":
			in.BGPAdvertisements = append(in.BGPAdvertisements, read(t, spec, &v1beta1.BGPAdvertisement{ObjectMeta: meta}))
		case "BGPPeer":
			in.Peers = append(in.Peers, read(t, spec, &v1beta2.BGPPeer{ObjectMeta: meta}))
		case "BFDProfile":
			in.BFDProfiles = append(in.BFDProfiles, read(t, spec, &v1beta1.BFDProfile{ObjectMeta: meta}))
		case "Community":
			in.Communities = append(in.Communities, read(t, spec, &v1beta1.Community{ObjectMeta: meta}))
		case "Secret":
			in.Secrets = append(in.Secrets, read(t, rest, &corev1.Secret{ObjectMeta: meta}))
		case "Node":
			if in.Nodes == nil {
				in.Nodes = map[string]*lb.Node{}
			}
			in.Nodes[meta.Name] = &lb.Node{Name: meta.Name, Labels: meta.Labels}
		case "Assigned":
			in.Assigned[netip.MustParseAddr(meta.Name)] = rest
		default:
			t.Fatalf("unknown kind %q", kind)
		}
	}
	return in
}

func read[T any](t *testing.T, text string, into *T) *T {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return into
}

func labelsOf(text string) map[string]string {
	out := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if k, v, ok := strings.Cut(pair, "="); ok {
			out[k] = v
		}
	}
	return out
}

// verdictLines writes one line for each object that is refused, and for each warning.
func verdictLines(vs []Verdict) []string {
	var out []string
	for _, v := range vs {
		if !v.Accepted {
			out = append(out, fmt.Sprintf("%s %s: %s: %s", v.Object.Kind, v.Object.Name, v.Reason, v.Message))
		}
		for _, w := range v.Warnings {
			out = append(out, fmt.Sprintf("%s %s: warning: %s", v.Object.Kind, v.Object.Name, w))
		}
	}
	return out
}

// checkVerdicts compares with lines of which each must begin as a line of want does up to
// the "…", and contain what follows it.
func checkVerdicts(t *testing.T, got []string, want string) {
	t.Helper()
	var wanted []string
	if want = strings.TrimSpace(want); want != "" {
		wanted = strings.Split(want, "\n")
	}
	ok := len(got) == len(wanted)
	for i := 0; ok && i < len(got); i++ {
		parts := strings.Split(strings.TrimSpace(wanted[i]), "…")
		ok = strings.HasPrefix(got[i], parts[0])
		for _, p := range parts[1:] {
			ok = ok && strings.Contains(got[i], p)
		}
	}
	if !ok {
		t.Errorf("verdicts:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(wanted, "\n\t"))
	}
}

type ruleTest struct {
	name     string
	in       string
	verdicts string
}

func runRules(t *testing.T, tests []ruleTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkVerdicts(t, verdictLines(Parse(script(t, tt.in)).Verdicts), tt.verdicts)
		})
	}
}
