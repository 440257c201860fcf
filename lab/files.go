package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/lintel-lb/lintel/lab/internal/pki"
	"github.com/lintel-lb/lintel/lab/internal/render"
	"github.com/lintel-lb/lintel/lab/internal/topology"
)

// writeFiles makes the lab's directory. What tells Open of the lab comes first,
// so that a lab of which only a part is there can be taken down.
func (l *Lab) writeFiles(o Options, programs []string) error {
	data, err := json.Marshal(state{Size: o.size(), Audit: l.audit})
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if err := write(filepath.Join(l.dir, "lab.json"), data); err != nil {
		return err
	}
	if err := l.linkPrograms(programs); err != nil {
		return err
	}
	if err := l.writeKeys(); err != nil {
		return err
	}
	for name, content := range l.controlPlane().Files() {
		if err := write(filepath.Join(l.controlPlane().Dir, name), content); err != nil {
			return err
		}
	}
	for _, h := range l.plan.With(RoleNode) {
		n := l.node(h)
		files, err := n.Files()
		if err != nil {
			return err
		}
		for name, content := range files {
			if err := write(n.File(name), content); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Lab) control() Host {
	return l.plan.With(RoleControl)[0]
}

func (l *Lab) controlPlane() render.Control {
	return render.Control{Host: l.control(), Dir: filepath.Join(l.dir, ControlPlaneName), PKI: l.pki(), AuditLog: l.audit}
}

func (l *Lab) node(h Host) render.Node {
	n := render.Node{
		Host: h, Dir: filepath.Join(l.dir, h.Name, "etc"), Bin: l.bin(), PKI: l.pki(),
		CgroupPath: "/" + filepath.Join(filepath.Base(l.cgroup), h.Name, "pods"),
		Runc:       "runc", Limits: l.limits,
	}
	if !l.limits {
		n.Runc = filepath.Join(l.bin(), "runc-without-controllers")
	}
	return n
}

// linkPrograms gives the lab its own names for the programs in the cache: a
// newer build or an emptied cache does not touch a running lab.
func (l *Lab) linkPrograms(dirs []string) error {
	if err := os.MkdirAll(l.bin(), 0o755); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		for _, e := range entries {
			if err := linkOrCopy(filepath.Join(dir, e.Name()), filepath.Join(l.bin(), e.Name())); err != nil {
				return fmt.Errorf("lab: program %s: %w", e.Name(), err)
			}
		}
	}
	if err := os.Symlink("labhost", filepath.Join(l.bin(), "runc-without-controllers")); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

func linkOrCopy(from, to string) error {
	if target, err := os.Readlink(from); err == nil {
		return os.Symlink(target, to)
	}
	if err := os.Link(from, to); err == nil {
		return nil
	}
	in, err := os.Open(from) // on another file system
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (l *Lab) server() string {
	return "https://" + netip.AddrPortFrom(l.control().V4(), 6443).String()
}

// writeKeys writes a certificate or kubeconfig for each component.
func (l *Lab) writeKeys() error {
	now := time.Now()
	ca, err := pki.NewAuthority("lintel-lab-"+l.plan.Name, now)
	if err != nil {
		return err
	}
	front, err := pki.NewAuthority("lintel-lab-front-proxy", now)
	if err != nil {
		return err
	}
	signing, err := pki.SigningKey()
	if err != nil {
		return err
	}
	k := keys{dir: l.pki(), server: l.server(), authority: ca, now: now}
	k.file("sa.key", signing)
	k.pair("ca", ca.Pair, nil)
	k.file("front-proxy-ca.crt", front.Cert)
	frontPair, err := front.Client("front-proxy", now)
	k.pair("front-proxy", frontPair, err)
	k.serverPair("apiserver", "kube-apiserver", apiNames(), l.apiAddresses())
	kubeletClient, err := ca.Client("kube-apiserver-kubelet-client", now, "system:masters")
	k.pair("apiserver-kubelet", kubeletClient, err)

	k.user("admin", "admin", "system:masters")
	k.user("controller-manager", "system:kube-controller-manager")
	k.user("scheduler", "system:kube-scheduler")
	k.user("proxy", "system:kube-proxy")
	for _, h := range l.plan.With(RoleNode) {
		k.user(h.Name, "system:node:"+h.Name, "system:nodes")
		k.serverPair(h.Name+"-server", "system:node:"+h.Name, []string{h.Name}, []netip.Addr{h.V4(), h.V6()})
	}
	return k.err
}

func apiNames() []string {
	return []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
}

// apiAddresses are those by which the API server is called: its own, and the
// first of each Service range.
func (l *Lab) apiAddresses() []netip.Addr {
	cp := l.control()
	return []netip.Addr{
		cp.V4(), cp.V6(), netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback(),
		netip.MustParsePrefix(topology.ServiceNet4).Addr().Next(),
		netip.MustParsePrefix(topology.ServiceNet6).Addr().Next(),
	}
}

// keys writes files until the first error, which it keeps.
type keys struct {
	dir, server string
	authority   *pki.Authority
	now         time.Time
	err         error
}

func (k *keys) file(name string, data []byte) {
	if k.err == nil {
		k.err = write(filepath.Join(k.dir, name), data)
	}
}

func (k *keys) pair(name string, p pki.Pair, err error) {
	if k.err == nil {
		k.err = err
	}
	k.file(name+".crt", p.Cert)
	k.file(name+".key", p.Key)
}

func (k *keys) serverPair(name, commonName string, names []string, addresses []netip.Addr) {
	p, err := k.authority.Server(commonName, k.now, names, addresses)
	k.pair(name, p, err)
}

func (k *keys) user(file, user string, groups ...string) {
	if k.err != nil {
		return
	}
	pair, err := k.authority.Client(user, k.now, groups...)
	if err != nil {
		k.err = err
		return
	}
	config, err := pki.Kubeconfig(k.server, k.authority.Cert, user, pki.Login{Pair: pair})
	if err != nil {
		k.err = err
		return
	}
	k.file(file+".kubeconfig", config)
}

// write makes a file and the directory it is in. Keys are among them.
func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}
