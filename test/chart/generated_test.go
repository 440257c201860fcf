package chart

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/lintel-lb/lintel/test/chart/render"
)

func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := render.Generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if diff := cmp.Diff(string(want), read(t, root, name)); diff != "" {
			t.Errorf("%s is not what the chart makes: run make generate (-want +got)\n%s", name, diff)
		}
	}
	inChart, err := filepath.Glob(filepath.Join(root, "charts", "lintel", "files", "crd", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range inChart {
		if _, err := filepath.Rel(root, f); err != nil {
			t.Fatal(err)
		}
		if _, ok := files[filepath.Join("charts", "lintel", "files", "crd", filepath.Base(f))]; !ok {
			t.Errorf("%s is in config/crd no more: delete it", f)
		}
	}
}

// The base for kustomize and the single file hold the same objects.
func TestKustomizeBase(t *testing.T) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, "config"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	base := strings.Split(names(objects(t, string(text))), "\n")
	single := strings.Split(names(objects(t, read(t, root, "config", "lintel.yaml"))), "\n")
	if diff := cmp.Diff(single, base, cmp.Transformer("sorted", sorted)); diff != "" {
		t.Errorf("config/lintel.yaml and the kustomization differ (-file +kustomization)\n%s", diff)
	}
}

// Whoever selects or patches MetalLB's plain manifests finds these names and labels.
func TestPlainNames(t *testing.T) {
	all := objects(t, read(t, root, "config", "lintel.yaml"))
	for _, want := range []string{
		"*v1.Namespace /metallb-system",
		"*v1.Deployment metallb-system/controller",
		"*v1.DaemonSet metallb-system/speaker",
		"*v1.ServiceAccount metallb-system/controller",
		"*v1.ServiceAccount metallb-system/speaker",
		"*v1.ClusterRole /metallb-system:controller",
		"*v1.ClusterRole /metallb-system:speaker",
	} {
		if !strings.Contains(names(all), want+"\n") {
			t.Errorf("%s is missing among\n%s", want, names(all))
		}
	}
}
