package rights

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Right is one thing that an account may do.
type Right struct {
	// Account is the user name of a service account.
	Account string
	Verb    string
	// Group and Resource are those of the API; Resource may have a "/subresource".
	Group, Resource string
	// Namespace and Name restrict the right; empty means all.
	Namespace, Name string
	// URL is set in place of Resource for what is no resource.
	URL string
}

// String writes a right as "account: verb resource.group in namespace named name".
func (r Right) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s %s", strings.TrimPrefix(r.Account, serviceAccount), r.Verb, cmp.Or(r.URL, r.Resource))
	if r.Group != "" {
		b.WriteString("." + r.Group)
	}
	if r.Namespace != "" {
		b.WriteString(" in " + r.Namespace)
	}
	if r.Name != "" {
		b.WriteString(" named " + r.Name)
	}
	return b.String()
}

// covers tells whether r allows what was asked for.
func (r Right) covers(asked Right) bool {
	return r.Account == asked.Account && r.Verb == asked.Verb && r.Group == asked.Group && r.Resource == asked.Resource && r.URL == asked.URL &&
		(r.Namespace == "" || r.Namespace == asked.Namespace) && (r.Name == "" || r.Name == asked.Name)
}

const serviceAccount = "system:serviceaccount:"

// Grants are the rights that the YAML files below a directory give to service accounts.
// Wildcards are refused: nobody could show that all they stand for is needed.
func Grants(dir string) ([]Right, error) {
	var objects rbac
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := objects.add(content); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("rights: %w", err)
	}
	out, err := objects.rights()
	if err != nil {
		return nil, fmt.Errorf("rights: %w", err)
	}
	return out, nil
}

// rbac is what was read. Roles are known by kind, namespace and name.
type rbac struct {
	rules    map[string][]rbacv1.PolicyRule
	bindings []binding
}

type binding struct {
	role, namespace string
	subjects        []rbacv1.Subject
}

func roleKey(kind, namespace, name string) string { return kind + " " + namespace + "/" + name }

func (o *rbac) add(content []byte) error {
	docs := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(content)))
	defer docs.Close()
	buffer := make([]byte, len(content)+1)
	for {
		n, err := docs.Read(buffer)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := o.addOne(buffer[:n]); err != nil {
			return err
		}
	}
}

func (o *rbac) addOne(doc []byte) error {
	var meta metav1.PartialObjectMetadata
	if err := yaml.Unmarshal(doc, &meta); err != nil {
		return err
	}
	if meta.GroupVersionKind().Group != rbacv1.GroupName {
		return nil
	}
	switch meta.Kind {
	case "Role", "ClusterRole":
		var role struct{ Rules []rbacv1.PolicyRule }
		if err := yaml.Unmarshal(doc, &role); err != nil {
			return err
		}
		if o.rules == nil {
			o.rules = map[string][]rbacv1.PolicyRule{}
		}
		o.rules[roleKey(meta.Kind, meta.Namespace, meta.Name)] = role.Rules
	case "RoleBinding", "ClusterRoleBinding":
		var b rbacv1.RoleBinding
		if err := yaml.Unmarshal(doc, &b); err != nil {
			return err
		}
		namespace := ""
		if b.RoleRef.Kind == "Role" {
			namespace = meta.Namespace
		}
		o.bindings = append(o.bindings, binding{
			role: roleKey(b.RoleRef.Kind, namespace, b.RoleRef.Name), namespace: meta.Namespace, subjects: b.Subjects,
		})
	}
	return nil
}

func (o *rbac) rights() ([]Right, error) {
	var out []Right
	known := map[Right]bool{} // manifests may be there in parts and whole
	for _, b := range o.bindings {
		rules, ok := o.rules[b.role]
		if !ok {
			return nil, fmt.Errorf("a binding names %s, which is not there", b.role)
		}
		for _, s := range b.subjects {
			if s.Kind != rbacv1.ServiceAccountKind {
				continue
			}
			for _, rule := range rules {
				rights, err := expand(rule)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", b.role, err)
				}
				for _, r := range rights {
					r.Account = serviceAccount + s.Namespace + ":" + s.Name
					if r.URL == "" {
						r.Namespace = b.namespace
					}
					if !known[r] {
						out = append(out, r)
					}
					known[r] = true
				}
			}
		}
	}
	return out, nil
}

// expand writes a rule as single rights.
func expand(rule rbacv1.PolicyRule) ([]Right, error) {
	for _, list := range [][]string{rule.Verbs, rule.APIGroups, rule.Resources, rule.NonResourceURLs} {
		if slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, "*") }) {
			return nil, fmt.Errorf("there is a wildcard in %q", list)
		}
	}
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	var out []Right
	for _, verb := range rule.Verbs {
		for _, url := range rule.NonResourceURLs {
			out = append(out, Right{Verb: verb, URL: url})
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					out = append(out, Right{Verb: verb, Group: group, Resource: resource, Name: name})
				}
			}
		}
	}
	return out, nil
}
