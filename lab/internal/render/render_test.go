package render

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/lintel-lb/lintel/lab/internal/topology"
)

func node(t *testing.T, limits bool) Node {
	t.Helper()
	p, err := topology.New("x", topology.Size{Nodes: 2})
	if err != nil {
		t.Fatal(err)
	}
	h, err := p.Find("n2")
	if err != nil {
		t.Fatal(err)
	}
	return Node{Host: h, Dir: "/d", Bin: "/b", PKI: "/p", CgroupPath: "/lintel-x/n2/pods", Runc: "/b/runc", Limits: limits}
}

func TestNodeIsDualStack(t *testing.T) {
	n := node(t, true)
	if argv := n.Kubelet(); !slices.Contains(argv, "--node-ip=10.89.0.12,fd89::12") {
		t.Errorf("%q", argv)
	}
	files, err := n.Files()
	if err != nil {
		t.Fatal(err)
	}
	var cni struct {
		Plugins []struct {
			Ipam struct{ Ranges [][]struct{ Subnet string } }
		}
	}
	if err := json.Unmarshal(files["cni/10-lab.conflist"], &cni); err != nil {
		t.Fatal(err)
	}
	ranges := cni.Plugins[0].Ipam.Ranges
	if len(ranges) != 2 || ranges[0][0].Subnet != "10.244.2.0/24" || ranges[1][0].Subnet != "fd89:244:2::/64" {
		t.Errorf("ranges of Pods: %v", ranges)
	}
}

func TestKubeletStaysInTheNodesControlGroup(t *testing.T) {
	files, err := node(t, true).Files()
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := yaml.Unmarshal(files["kubelet.yaml"], &config); err != nil {
		t.Fatal(err)
	}
	if config["cgroupRoot"] != "/lintel-x/n2/pods" || config["cgroupsPerQOS"] != false {
		t.Errorf("cgroupRoot %v, cgroupsPerQOS %v", config["cgroupRoot"], config["cgroupsPerQOS"])
	}
}

func TestContainerdLeavesLimitsAloneWhereThereAreNone(t *testing.T) {
	for limits, want := range map[bool]string{true: "disable_cgroup = false", false: "disable_cgroup = true"} {
		if text := node(t, limits).containerdConfig(); !strings.Contains(text, want) {
			t.Errorf("limits %v: no %q in\n%s", limits, want, text)
		}
	}
}
