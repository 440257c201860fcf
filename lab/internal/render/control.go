package render

import (
	"path/filepath"

	"github.com/lintel-lb/lintel/lab/internal/topology"
)

// APIPort is the port of the API server.
const APIPort = "6443"

// Control is the control plane and where its files are.
type Control struct {
	Host topology.Host
	Dir  string // data
	PKI  string // certificates and kubeconfigs
	// AuditLog is a file for requests of service accounts; empty means none.
	AuditLog string
}

const auditPolicyFile = "audit-policy.yaml"

// auditPolicy keeps the requests of service accounts, but for those of
// Kubernetes itself. A watch may never complete, so its start is kept as well.
// What is asked about others' rights is kept whole: there is no secret in it.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  userGroups: ["system:serviceaccounts:kube-system"]
- level: RequestResponse
  userGroups: ["system:serviceaccounts"]
  resources: [{group: authorization.k8s.io, resources: [subjectaccessreviews]}]
- level: Metadata
  userGroups: ["system:serviceaccounts"]
- level: None
`

// Files returns the control plane's configuration files by name.
func (c Control) Files() map[string][]byte {
	return map[string][]byte{auditPolicyFile: []byte(auditPolicy)}
}

// Etcd returns the command line of the store.
func (c Control) Etcd() []string {
	return []string{"etcd", "--data-dir", filepath.Join(c.Dir, "etcd")}
}

// APIServer returns the command line of kube-apiserver.
func (c Control) APIServer() []string {
	f := func(name string) string { return filepath.Join(c.PKI, name) }
	argv := []string{
		"kube-apiserver",
		"--etcd-servers=http://127.0.0.1:2379",
		"--bind-address=::",
		"--secure-port=" + APIPort,
		"--advertise-address=" + c.Host.V4().String(),
		"--cert-dir=" + c.Dir,
		"--tls-cert-file=" + f("apiserver.crt"),
		"--tls-private-key-file=" + f("apiserver.key"),
		"--client-ca-file=" + f("ca.crt"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--service-cluster-ip-range=" + topology.ServiceNet4 + "," + topology.ServiceNet6,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + f("sa.key"),
		"--service-account-signing-key-file=" + f("sa.key"),
		// There is no DNS: nodes are reached by address.
		"--kubelet-preferred-address-types=InternalIP",
		"--kubelet-certificate-authority=" + f("ca.crt"),
		"--kubelet-client-certificate=" + f("apiserver-kubelet.crt"),
		"--kubelet-client-key=" + f("apiserver-kubelet.key"),
		"--requestheader-client-ca-file=" + f("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + f("front-proxy.crt"),
		"--proxy-client-key-file=" + f("front-proxy.key"),
	}
	if c.AuditLog != "" {
		argv = append(argv, "--audit-policy-file="+filepath.Join(c.Dir, auditPolicyFile), "--audit-log-path="+c.AuditLog)
	}
	return argv
}

// ControllerManager returns the command line of kube-controller-manager. Ranges
// of Pods are the plan's, so it gives out none; nodes are watched as everywhere.
func (c Control) ControllerManager() []string {
	f := func(name string) string { return filepath.Join(c.PKI, name) }
	return []string{
		"kube-controller-manager",
		"--kubeconfig=" + f("controller-manager.kubeconfig"),
		"--authentication-kubeconfig=" + f("controller-manager.kubeconfig"),
		"--authorization-kubeconfig=" + f("controller-manager.kubeconfig"),
		"--bind-address=127.0.0.1",
		"--cert-dir=" + c.Dir,
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--allocate-node-cidrs=false",
		"--root-ca-file=" + f("ca.crt"),
		"--service-account-private-key-file=" + f("sa.key"),
		"--cluster-signing-cert-file=" + f("ca.crt"),
		"--cluster-signing-key-file=" + f("ca.key"),
		"--kube-api-qps=200", "--kube-api-burst=400",
	}
}

// Scheduler returns the command line of kube-scheduler.
func (c Control) Scheduler() []string {
	kubeconfig := filepath.Join(c.PKI, "scheduler.kubeconfig")
	return []string{
		"kube-scheduler",
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
		"--kube-api-qps=200", "--kube-api-burst=400",
	}
}

// Proxy returns the command line of kube-proxy for the node of that name.
// On a host that is no node it takes the name of one: it would otherwise wait
// half a minute for its own.
func Proxy(kubeconfig, node string) []string {
	return []string{
		"kube-proxy",
		"--kubeconfig=" + kubeconfig,
		"--hostname-override=" + node,
		"--proxy-mode=nftables",
		"--cluster-cidr=" + topology.PodNet4 + "," + topology.PodNet6,
		// Limits of connection tracking belong to the machine, not to a
		// namespace.
		"--conntrack-max-per-core=0",
	}
}
