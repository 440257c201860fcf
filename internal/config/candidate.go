package config

import (
	"cmp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// object is what all resources have.
type object interface {
	GetName() string
	GetNamespace() string
	GetCreationTimestamp() metav1.Time
}

// candidates makes one candidate of each object, in order of seniority. Objects outside
// the namespace that is read, and second objects of a name, are refused; parse is asked
// about the others.
func candidates[O object, V any](kind Kind, namespace string, objects []O, parse func(*candidate[O, V]) *refusal) []*candidate[O, V] {
	out := make([]*candidate[O, V], 0, len(objects))
	for _, o := range objects {
		out = append(out, &candidate[O, V]{ref: Ref{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}, object: o})
	}
	slices.SortStableFunc(out, func(a, b *candidate[O, V]) int { return seniority(a.object, b.object) })
	seen := map[string]bool{}
	for _, c := range out {
		switch {
		case namespace != "" && c.ref.Namespace != namespace:
			c.refusal = refuse(ReasonWrongNamespace, "resource must be created in %s namespace: objects elsewhere have no effect", namespace)
		case seen[c.ref.Name]:
			c.refusal = refuse(ReasonDuplicateName, "duplicate definition of %s %q: delete one of the two", kind, c.ref.Name)
		default:
			seen[c.ref.Name], c.inspected = true, true
			c.refusal = parse(c)
		}
	}
	return out
}

// seniority orders objects by creation time, then by name and namespace. An object that
// has no creation time yet is the youngest.
func seniority(a, b object) int {
	return cmp.Or(
		age(a).Compare(age(b)),
		strings.Compare(a.GetName(), b.GetName()),
		strings.Compare(a.GetNamespace(), b.GetNamespace()),
	)
}

func age(o object) time.Time {
	t := o.GetCreationTimestamp()
	if t.IsZero() {
		return time.Unix(1<<40, 0)
	}
	return t.Time
}

// accepted gives the values of the candidates that were not refused, sorted by name.
func accepted[O object, V any](cs []*candidate[O, V]) []V {
	sorted := slices.SortedFunc(slices.Values(cs), func(a, b *candidate[O, V]) int { return strings.Compare(a.ref.Name, b.ref.Name) })
	var out []V
	for _, c := range sorted {
		if c.refusal == nil {
			out = append(out, c.value)
		}
	}
	return out
}

// byName gives the candidates that were asked about, by name.
func byName[O object, V any](cs []*candidate[O, V]) map[string]*candidate[O, V] {
	out := make(map[string]*candidate[O, V], len(cs))
	for _, c := range cs {
		if c.inspected {
			out[c.ref.Name] = c
		}
	}
	return out
}

// repeated gives the first item that comes up a second time in a list.
func repeated[T comparable](items []T) (item T, ok bool) {
	seen := make(map[T]bool, len(items))
	for _, it := range items {
		if seen[it] {
			return it, true
		}
		seen[it] = true
	}
	return item, false
}
