package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Kind is the kind of an object that users write.
type Kind string

// The kinds.
const (
	KindPool             Kind = "IPAddressPool"
	KindL2Advertisement  Kind = "L2Advertisement"
	KindBGPAdvertisement Kind = "BGPAdvertisement"
	KindPeer             Kind = "BGPPeer"
	KindBFDProfile       Kind = "BFDProfile"
	KindCommunity        Kind = "Community"
)

// Ref names an object.
type Ref struct {
	Kind      Kind
	Namespace string
	Name      string
}

// String gives "Kind namespace/name".
func (r Ref) String() string { return fmt.Sprintf("%s %s/%s", r.Kind, r.Namespace, r.Name) }

// Compare orders references by kind, namespace and name.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(cmp.Compare(r.Kind, o.Kind), strings.Compare(r.Namespace, o.Namespace), strings.Compare(r.Name, o.Name))
}

// Verdict tells whether an object is in effect, and what to do about it if not.
type Verdict struct {
	Object   Ref
	Accepted bool
	Reason   Reason
	// Message says what is wrong and what to change. It is empty for accepted objects.
	Message string
	// Warnings are about what is in effect but hardly meant.
	Warnings []string
	// Nodes are those that the object is for; empty means all. Selectors that cannot be
	// read stand for all, too.
	Nodes lb.Selectors
}

// Text is the message for the user: that of the refusal, or the warnings.
func (v Verdict) Text() string {
	if !v.Accepted {
		return v.Message
	}
	return strings.Join(v.Warnings, "; ")
}

// refusal is why an object is not accepted. It is an error, so that rules compose.
type refusal struct {
	reason  Reason
	message string
}

func (r *refusal) Error() string { return r.message }

// refuse makes a refusal; nil is what rules give for objects that they have nothing against.
func refuse(reason Reason, format string, args ...any) *refusal {
	return &refusal{reason: reason, message: fmt.Sprintf(format, args...)}
}

// within puts the words that locate the object in front of a refusal's message.
func (r *refusal) within(format string, args ...any) *refusal {
	if r == nil {
		return nil
	}
	return &refusal{reason: r.reason, message: fmt.Sprintf(format, args...) + r.message}
}

// candidate is an object on its way through the rules, with what was made of it. The
// value may be incomplete where there is a refusal.
type candidate[O object, V any] struct {
	ref      Ref
	object   O
	value    V
	refusal  *refusal
	warnings []string
	// inspected is false for objects that are not read at all.
	inspected bool
	// nodes limits whom the object concerns.
	nodes lb.Selectors
}

func (c *candidate[O, V]) warn(format string, args ...any) {
	c.warnings = append(c.warnings, fmt.Sprintf(format, args...))
}

func (c *candidate[O, V]) verdict() Verdict {
	v := Verdict{Object: c.ref, Accepted: c.refusal == nil, Reason: ReasonAccepted, Warnings: c.warnings, Nodes: c.nodes}
	if c.refusal != nil {
		v.Reason, v.Message = c.refusal.reason, c.refusal.message
	}
	return v
}

func sortVerdicts(vs []Verdict) {
	slices.SortStableFunc(vs, func(a, b Verdict) int { return a.Object.Compare(b.Object) })
}
