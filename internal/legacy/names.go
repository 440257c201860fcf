package legacy

import (
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// maxName is the longest name that is made up here; Kubernetes allows longer ones, which
// are kept where the configuration has them.
const maxName = 63

// Rename is a name that had to change, because objects cannot have it.
type Rename struct {
	// Kind is that of the object: IPAddressPool or BFDProfile.
	Kind     string
	Old, New string
}

// newNames gives every name the one that its object gets. A name that an object can have
// stays; of the others each gets one that nobody else has. word begins names of which
// nothing is left.
func newNames(word string, old []string) map[string]string {
	out := map[string]string{}
	taken := map[string]bool{}
	for _, name := range old {
		if valid(name) {
			out[name], taken[name] = name, true
		}
	}
	for _, name := range old {
		if _, done := out[name]; done {
			continue
		}
		base := plain(name)
		if base == "" {
			base = word
		}
		unique := base
		for n := 2; taken[unique]; n++ {
			suffix := "-" + strconv.Itoa(n)
			unique = strings.TrimRight(base[:min(len(base), maxName-len(suffix))], "-") + suffix
		}
		out[name], taken[unique] = unique, true
	}
	return out
}

// valid tells whether an object can have the name (RFC 1123 subdomain).
func valid(name string) bool { return len(validation.IsDNS1123Subdomain(name)) == 0 }

// plain makes the closest name of lower-case letters, digits and dashes; it may be empty.
func plain(name string) string {
	plain := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c - 'A' + 'a'
		}
		return '-'
	}, name)
	plain = strings.TrimLeft(plain, "-")
	return strings.TrimRight(plain[:min(len(plain), maxName)], "-")
}
