package lb

import (
	"cmp"
	"fmt"
	"strings"
)

// ServiceKey names a Service in the cluster.
type ServiceKey struct {
	Namespace string
	Name      string
}

// String gives "namespace/name", the form that metrics and messages use.
func (k ServiceKey) String() string { return k.Namespace + "/" + k.Name }

// Compare orders keys by namespace, then by name.
func (k ServiceKey) Compare(o ServiceKey) int {
	return cmp.Or(strings.Compare(k.Namespace, o.Namespace), strings.Compare(k.Name, o.Name))
}

// MarshalText makes a key usable as a JSON object key.
func (k ServiceKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads "namespace/name".
func (k *ServiceKey) UnmarshalText(b []byte) error {
	parsed, err := ParseServiceKey(string(b))
	if err != nil {
		return err
	}
	*k = parsed
	return nil
}

// ParseServiceKey reads "namespace/name"; both parts are required.
func ParseServiceKey(s string) (ServiceKey, error) {
	ns, name, ok := strings.Cut(s, "/")
	if !ok || ns == "" || name == "" || strings.Contains(name, "/") {
		return ServiceKey{}, fmt.Errorf("lb: %q is not namespace/name", s)
	}
	return ServiceKey{Namespace: ns, Name: name}, nil
}
