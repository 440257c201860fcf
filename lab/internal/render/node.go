package render

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/lintel-lb/lintel/lab/internal/topology"
)

// Paths on a node; they are the usual ones, since a node has its own /run and
// /var/lib.
const (
	ContainerdSocket = "/run/containerd/containerd.sock"
	kubeletRoot      = "/var/lib/kubelet"
)

// Sandbox is the image of the first container of each Pod.
const Sandbox = "lab.local/pause:1"

// Node is a node and where its files are.
type Node struct {
	Host topology.Host
	Dir  string // configuration files
	Bin  string // programs
	PKI  string
	// CgroupPath is the node's control group from the root of the hierarchy.
	CgroupPath string
	// Runc is the program to run containers with.
	Runc string
	// Limits tells whether containers can be limited.
	Limits bool
}

// File returns the path of one of the node's configuration files.
func (n Node) File(name string) string { return filepath.Join(n.Dir, name) }

// Containerd returns the command line of containerd.
func (n Node) Containerd() []string {
	return []string{"containerd", "--config", n.File("containerd.toml")}
}

// Kubelet returns the command line of kubelet.
func (n Node) Kubelet() []string {
	return []string{
		"kubelet",
		"--config=" + n.File("kubelet.yaml"),
		"--kubeconfig=" + filepath.Join(n.PKI, n.Host.Name+".kubeconfig"),
		"--hostname-override=" + n.Host.Name,
		"--node-ip=" + n.Host.V4().String() + "," + n.Host.V6().String(),
		"--root-dir=" + kubeletRoot,
		"--cert-dir=" + kubeletRoot + "/pki",
	}
}

// Files returns the node's configuration files by name.
func (n Node) Files() (map[string][]byte, error) {
	kubelet, err := n.kubeletConfig()
	if err != nil {
		return nil, err
	}
	cni, err := n.cniConfig()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"containerd.toml":     []byte(n.containerdConfig()),
		"kubelet.yaml":        kubelet,
		"cni/10-lab.conflist": cni,
	}, nil
}

func (n Node) kubeletConfig() ([]byte, error) {
	config := map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": filepath.Join(n.PKI, "ca.crt")},
		},
		"authorization":            map[string]any{"mode": "Webhook"},
		"tlsCertFile":              filepath.Join(n.PKI, n.Host.Name+"-server.crt"),
		"tlsPrivateKeyFile":        filepath.Join(n.PKI, n.Host.Name+"-server.key"),
		"containerRuntimeEndpoint": "unix://" + ContainerdSocket,
		"volumePluginDir":          kubeletRoot + "/volume-plugins",
		// The lab has no DNS, and the machine's is out of reach of Pods.
		"resolvConf": "",
		// Nodes share the machine: none can claim its memory or disk, and none
		// may throw Pods out because the others fill them.
		"cgroupDriver":                  "cgroupfs",
		"cgroupRoot":                    n.CgroupPath,
		"cgroupsPerQOS":                 false,
		"enforceNodeAllocatable":        []string{"none"},
		"localStorageCapacityIsolation": false,
		"failSwapOn":                    false,
		"evictionHard":                  map[string]string{},
		"imageGCHighThresholdPercent":   100,
		"makeIPTablesUtilChains":        false,
	}
	out, err := yaml.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("render: kubelet of %s: %w", n.Host.Name, err)
	}
	return out, nil
}

// cniConfig connects each Pod with a cable of its own, and the node routes
// between them: on a bridge, the answers of Services between Pods of one node
// would pass by the node's address translation.
func (n Node) cniConfig() ([]byte, error) {
	config := map[string]any{
		"cniVersion": "1.0.0",
		"name":       "lab",
		"plugins": []any{map[string]any{
			"type":   "ptp",
			"ipMasq": false,
			"ipam": map[string]any{
				"type":    "host-local",
				"dataDir": "/run/cni/networks",
				"ranges": [][]any{
					{map[string]any{"subnet": n.Host.PodNet4.String()}},
					{map[string]any{"subnet": n.Host.PodNet6.String()}},
				},
				"routes": []any{map[string]any{"dst": "0.0.0.0/0"}, map[string]any{"dst": "::/0"}},
			},
		}},
	}
	out, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("render: CNI of %s: %w", n.Host.Name, err)
	}
	return append(out, '\n'), nil
}

func (n Node) containerdConfig() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("version = 3")
	line("root = %q", "/var/lib/containerd")
	line("state = %q", "/run/containerd")
	line("[grpc]")
	line("  address = %q", ContainerdSocket)
	line("[ttrpc]")
	line("  address = %q", ContainerdSocket+".ttrpc")
	line("[plugins.'io.containerd.cri.v1.images'.pinned_images]")
	line("  sandbox = %q", Sandbox)
	line("[plugins.'io.containerd.cri.v1.runtime']")
	line("  disable_cgroup = %v", !n.Limits)
	line("  restrict_oom_score_adj = %v", !n.Limits)
	line("  netns_mounts_under_state_dir = true")
	line("  [plugins.'io.containerd.cri.v1.runtime'.cni]")
	line("    bin_dirs = [%q]", n.Bin)
	line("    conf_dir = %q", n.File("cni"))
	line("  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]")
	line("    runtime_type = %q", "io.containerd.runc.v2")
	line("    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]")
	line("      BinaryName = %q", n.Runc)
	line("      Root = %q", "/run/containerd/runc")
	return b.String()
}
