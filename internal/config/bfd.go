package config

import (
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/lb"
)

// maxKeyID is the highest number of a key on the wire (RFC 5880, section 4.3).
const maxKeyID = 255

type bfdCandidate = candidate[*v1beta1.BFDProfile, *lb.BFDProfile]

// bfdRules is what the rules for one BFDProfile need of other objects.
type bfdRules struct{ secrets []*corev1.Secret }

// parse applies the rules for BFDProfiles.
func (rules bfdRules) parse(c *bfdCandidate) *refusal {
	spec := &c.object.Spec
	p := &lb.BFDProfile{
		Name:        c.ref.Name,
		EchoMode:    spec.EchoMode != nil && *spec.EchoMode,
		PassiveMode: spec.PassiveMode != nil && *spec.PassiveMode,
	}
	for _, f := range []struct {
		what     string
		value    *int32
		min, max int32
		set      func(int32)
	}{
		{"detect multiplier", spec.DetectMultiplier, 2, 255, func(v int32) { p.DetectMultiplier = uint8(v) }},
		{"receive interval", spec.ReceiveInterval, 10, 60000, func(v int32) { p.ReceiveInterval = milliseconds(v) }},
		{"transmit interval", spec.TransmitInterval, 10, 60000, func(v int32) { p.TransmitInterval = milliseconds(v) }},
		{"echo interval", spec.EchoInterval, 10, 60000, func(v int32) { p.EchoInterval = milliseconds(v) }},
		{"minimum ttl", spec.MinimumTTL, 1, 254, func(v int32) { p.MinimumTTL = uint8(v) }},
	} {
		if f.value == nil {
			continue
		}
		if v := *f.value; v < f.min || v > f.max {
			return refuse(ReasonInvalidBFDParameter, "parsing bfd profile %s: invalid %s value: invalid value %d, must be in %d-%d range",
				c.ref.Name, f.what, v, f.min, f.max)
		}
		f.set(*f.value)
	}
	c.value = p
	if spec.Auth == nil {
		return nil
	}
	var r *refusal
	if p.Auth, r = rules.auth(c, spec.Auth); r != nil {
		return r.within("parsing bfd profile %s: ", c.ref.Name)
	}
	return nil
}

// auth reads the keys of a profile.
func (rules bfdRules) auth(c *bfdCandidate, spec *v1beta1.BFDAuth) (a lb.BFDAuth, r *refusal) {
	types := map[v1beta1.BFDAuthType]lb.BFDAuthType{
		v1beta1.BFDKeyedMD5: lb.KeyedMD5, v1beta1.BFDMeticulousKeyedMD5: lb.MeticulousKeyedMD5,
		v1beta1.BFDKeyedSHA1: lb.KeyedSHA1, v1beta1.BFDMeticulousKeyedSHA1: lb.MeticulousKeyedSHA1,
	}
	ns, name := c.ref.Namespace, spec.SecretRef.Name
	switch a.Type = types[spec.Type]; {
	case a.Type == lb.NoBFDAuth:
		return a, refuse(ReasonInvalidBFDParameter, "invalid auth.type %q: must be KeyedMD5, MeticulousKeyedMD5, KeyedSHA1 or MeticulousKeyedSHA1", spec.Type)
	case spec.KeyID < 0 || spec.KeyID > maxKeyID:
		return a, refuse(ReasonInvalidBFDParameter, "invalid auth.keyID %d: must be from 0 to %d", spec.KeyID, maxKeyID)
	case name == "":
		return a, refuse(ReasonUnknownSecret, "auth.secretRef has no name: name a Secret in namespace %q", ns)
	}
	i := slices.IndexFunc(rules.secrets, func(s *corev1.Secret) bool { return s.Namespace == ns && s.Name == name })
	if i < 0 {
		return a, refuse(ReasonUnknownSecret, "there is no Secret %q in namespace %q: create it, or correct auth.secretRef.name", name, ns)
	}
	secret := rules.secrets[i]
	if secret.Type != corev1.SecretTypeOpaque {
		return a, refuse(ReasonInvalidSecret, "the Secret %q of auth.secretRef is of type %q: it must be of type %q", name, secret.Type, corev1.SecretTypeOpaque)
	}
	signing := strconv.Itoa(int(spec.KeyID))
	if _, ok := secret.Data[signing]; !ok {
		return a, refuse(ReasonInvalidSecret, "the Secret %q of auth.secretRef has no entry %q: add the key under that name, or correct auth.keyID", name, signing)
	}
	for _, entry := range slices.Sorted(maps.Keys(secret.Data)) {
		id, err := strconv.ParseUint(entry, 10, 8)
		if err != nil || strconv.FormatUint(id, 10) != entry {
			c.warn("the entry %q of Secret %q is not used: its name is not the number of a key, 0 to %d", entry, name, maxKeyID)
			continue
		}
		key := secret.Data[entry]
		if len(key) < 1 || len(key) > a.Type.MaxKey() {
			return a, refuse(ReasonInvalidSecret, "the entry %q of Secret %q has %d bytes: a key for %s has 1 to %d", entry, name, len(key), spec.Type, a.Type.MaxKey())
		}
		if key[len(key)-1] == '\n' {
			c.warn("the entry %q of Secret %q ends in a line feed, which counts as part of the key", entry, name)
		}
		a.Keys = append(a.Keys, lb.BFDKey{ID: uint8(id), Secret: lb.Secret(key)})
	}
	i = slices.IndexFunc(a.Keys, func(k lb.BFDKey) bool { return k.ID == uint8(spec.KeyID) })
	a.Keys[0], a.Keys[i] = a.Keys[i], a.Keys[0]
	return a, nil
}

func milliseconds(n int32) time.Duration { return time.Duration(n) * time.Millisecond }
