package rights

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const objects = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: a, namespace: sys}
rules:
- {apiGroups: [""], resources: [pods, pods/log], verbs: [get]}
- {apiGroups: [apps], resources: [deployments], resourceNames: [x], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: c}
rules:
- {nonResourceURLs: [/inspect], verbs: [get]}
- {apiGroups: [""], resources: [nodes], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: a, namespace: sys}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: a}
subjects: [{kind: ServiceAccount, name: acc, namespace: sys}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: c}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: c}
subjects: [{kind: ServiceAccount, name: acc, namespace: sys}, {kind: Group, name: g}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: not-looked-at}
`

// line is an event of the account acc of sys.
func line(verb, rest string) string {
	return `{"verb":"` + verb + `","user":{"username":"system:serviceaccount:sys:acc"},"userAgent":"lintel/dev",` + rest + `}` + "\n"
}

func ref(resource, subresource, group, namespace, name string) string {
	return `"objectRef":{"resource":"` + resource + `","subresource":"` + subresource + `","apiGroup":"` + group +
		`","namespace":"` + namespace + `","name":"` + name + `"}`
}

const (
	allow  = `,"annotations":{"authorization.k8s.io/decision":"allow"}`
	forbid = `,"annotations":{"authorization.k8s.io/decision":"forbid"}`
)

// all uses every right of objects.
var all = line("get", ref("pods", "", "", "sys", "p")+allow) +
	line("get", ref("pods", "log", "", "sys", "p")+allow) +
	line("get", ref("deployments", "", "apps", "sys", "x")+allow) +
	line("watch", ref("nodes", "", "", "", "")+`,"requestURI":"/api/v1/nodes?sendInitialEvents=true&watch=true"`+allow) +
	line("create", ref("subjectaccessreviews", "", "authorization.k8s.io", "", "")+
		`,"requestObject":{"spec":{"user":"system:serviceaccount:sys:acc","nonResourceAttributes":{"path":"/inspect","verb":"get"}}}`+
		`,"responseObject":{"spec":{},"status":{"allowed":true}}`+allow)

func compare(t *testing.T, logs ...string) Report {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rbac.yaml"), []byte(objects), 0o600); err != nil {
		t.Fatal(err)
	}
	granted, err := Grants(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range logs {
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".log"), []byte(l), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Compare(granted, dir, "lintel/")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAllIsUsed(t *testing.T) {
	half := len(all) / 2
	for half > 0 && all[half-1] != '\n' {
		half--
	}
	r := compare(t, all[:half], all[half:]+`{"verb":"cut sho`)
	if err := r.Err(); err != nil || len(r.Used) != 6 {
		t.Errorf("%v\n%s", err, r)
	}
}

func TestWhatIsWrong(t *testing.T) {
	other := strings.ReplaceAll(line("list", ref("secrets", "", "", "sys", "")+forbid), "sys:acc", "sys:other")
	for name, row := range map[string]struct {
		log  string
		want []string
	}{
		"nothing asked":                         {"", []string{"no request"}},
		"one unused":                            {strings.Replace(all, "sendInitialEvents", "x", 1), []string{"1 unused, 0 missing", "not used: sys:acc: list nodes"}},
		"another name":                          {strings.Replace(all, `"name":"x"`, `"name":"y"`, 1), []string{"not used: sys:acc: get deployments.apps in sys named x"}},
		"another place":                         {strings.ReplaceAll(all, `"namespace":"sys"`, `"namespace":"z"`), []string{"3 unused"}},
		"refused":                               {all + line("delete", ref("pods", "", "", "sys", "p")+forbid), []string{"refused: sys:acc: delete pods in sys"}},
		"refused to an account of another name": {all + other, []string{"refused: sys:other: list secrets in sys"}},
		"refused to somebody who was asked about": {strings.Replace(all, `"spec":{"user":"system:serviceaccount:sys:acc"`, `"spec":{"user":"system:serviceaccount:x:y"`, 1),
			[]string{"1 unused, 0 missing", "not used: sys:acc: get /inspect"}},
		"used by another program":    {strings.ReplaceAll(all, "lintel/dev", "x"), []string{"no request"}},
		"refused to another program": {all + strings.ReplaceAll(other, "lintel/dev", "x"), nil},
		"a refused review": {strings.Replace(all, `"allowed":true`, `"allowed":false`, 1),
			[]string{"not used: sys:acc: get /inspect", "refused: sys:acc: get /inspect"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := compare(t, row.log).Err()
			if row.want == nil && err != nil {
				t.Error(err)
			}
			for _, w := range row.want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("error %v, want one with %q", err, w)
				}
			}
		})
	}
}

func TestGrantsRefuse(t *testing.T) {
	for change, want := range map[string]string{
		"verbs: [get]}|verbs: ['*']}":             "wildcard",
		"kind: Role, name: a|kind: Role, name: b": "which is not there",
	} {
		from, to, _ := strings.Cut(change, "|")
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "rbac.yaml"), []byte(strings.Replace(objects, from, to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Grants(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// The product's own manifests can be read, and give every account something.
func TestProductGrants(t *testing.T) {
	granted, err := Grants("../../config")
	if err != nil {
		t.Fatal(err)
	}
	accounts := map[string]bool{}
	for _, g := range granted {
		accounts[g.Account] = true
	}
	want := map[string]bool{}
	for _, a := range []string{"controller", "speaker", "lintel-inspector"} {
		want[serviceAccount+"metallb-system:"+a] = true
	}
	if diff := cmp.Diff(want, accounts); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
}
