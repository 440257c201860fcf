package interop

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// frr is zebra and bgpd of FRR in a host.
type frr struct {
	*host
	bgpd *exec.Cmd
	conf string
}

// startFRR starts the daemons with the lines that follow "router bgp".
func startFRR(h *host, asn uint32, bgp string) *frr {
	h.t.Helper()
	u, err := user.Lookup("frr")
	if err != nil {
		h.t.Fatalf("interop: %v (install the Debian package frr)", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	for _, dir := range []string{"/etc/frr/" + h.name, "/var/run/frr/" + h.name} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			h.t.Fatal(err)
		}
		if err := os.Chown(dir, uid, gid); err != nil {
			h.t.Fatal(err)
		}
	}
	f := &frr{host: h, conf: filepath.Join("/etc/frr", h.name, "bgpd.conf")}
	empty := filepath.Join("/etc/frr", h.name, "zebra.conf")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
	write(empty, "")
	write(filepath.Join("/etc/frr", h.name, "vtysh.conf"), "")
	write(f.conf, fmt.Sprintf(`
router bgp %d
 bgp router-id 10.255.255.254
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 no bgp network import-check
 bgp bestpath as-path multipath-relax
 timers bgp 3 9
%s
`, asn, bgp))
	h.start("/usr/lib/frr/zebra", "-N", h.name, "-f", empty, "-A", "127.0.0.1")
	eventually(h.t, "zebra", func() error {
		_, err := os.Stat("/var/run/frr/" + h.name + "/zserv.api")
		return err
	})
	f.startBGPd()
	return f
}

func (f *frr) startBGPd() {
	f.bgpd = f.start("/usr/lib/frr/bgpd", "-N", f.name, "-f", f.conf, "-A", "127.0.0.1")
	eventually(f.t, "bgpd", func() error {
		_, err := f.try("show version")
		return err
	})
}

func (f *frr) try(command string) (string, error) {
	out, err := exec.Command("vtysh", "-N", f.name, "-d", "bgpd", "-c", command).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("vtysh: %v: %s", err, out)
	}
	return string(out), nil
}

// vtysh runs commands on bgpd.
func (f *frr) vtysh(commands ...string) string {
	f.t.Helper()
	args := []string{"-N", f.name, "-d", "bgpd"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	return run(f.t, "vtysh", args...)
}

// frrPath is a path in "show bgp AFI unicast json detail".
type frrPath struct {
	Valid     bool
	Multipath bool
	Stale     bool
	Origin    string
	Metric    uint32
	LocPrf    uint32
	ASPath    struct{ String string }
	Community struct{ String string }
	Large     struct{ String string } `json:"largeCommunity"`
	Extended  struct{ String string } `json:"extendedCommunity"`
	Nexthops  []struct{ IP, Scope string }
	Peer      struct{ PeerID string }
}

// table returns the paths of FRR's table for one prefix.
func (f *frr) paths(p netip.Prefix) []frrPath {
	f.t.Helper()
	family := "ipv4"
	if p.Addr().Is6() {
		family = "ipv6"
	}
	out, err := f.try(fmt.Sprintf("show bgp %s unicast %s json", family, p))
	if err != nil {
		return nil
	}
	var doc struct{ Paths []frrPath }
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		f.t.Fatalf("%v in %s", err, out)
	}
	return doc.Paths
}

// waitPath waits until FRR has one path for a prefix and it is as wanted.
func (f *frr) waitPath(p netip.Prefix, want func(frrPath) bool) {
	f.t.Helper()
	eventually(f.t, "FRR's path to "+p.String(), func() error {
		if paths := f.paths(p); len(paths) != 1 || !want(paths[0]) {
			return fmt.Errorf("paths are %+v", paths)
		}
		return nil
	})
}

// prefixes counts the prefixes of a family that FRR has received.
func (f *frr) prefixes(family string) map[netip.Prefix]bool {
	f.t.Helper()
	out, err := f.try(fmt.Sprintf("show bgp %s unicast json", family))
	if err != nil {
		return nil
	}
	var doc struct{ Routes map[string]any }
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		return nil
	}
	got := map[netip.Prefix]bool{}
	for k := range doc.Routes {
		got[netip.MustParsePrefix(k)] = true
	}
	return got
}

// neighbor is a part of "show bgp neighbors json".
func (f *frr) neighbor(name string) map[string]any {
	f.t.Helper()
	out, err := f.try("show bgp neighbors " + name + " json")
	if err != nil {
		return nil
	}
	var doc map[string]map[string]any
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		return nil
	}
	return doc[name]
}

func (f *frr) state(name string) string {
	s, _ := f.neighbor(name)["bgpState"].(string)
	return s
}

func (f *frr) waitState(name, want string) {
	f.t.Helper()
	eventually(f.t, "FRR's neighbor "+name, func() error {
		if s := f.state(name); s != want {
			return fmt.Errorf("state is %q, want %q", s, want)
		}
		return nil
	})
}

// waitPrefixes waits until FRR has exactly the wanted prefixes of both families.
func (f *frr) waitPrefixes(want ...netip.Prefix) {
	f.t.Helper()
	eventually(f.t, "FRR's table", func() error {
		got := f.prefixes("ipv4")
		for p := range f.prefixes("ipv6") {
			got[p] = true
		}
		if len(got) != len(want) {
			return fmt.Errorf("%d prefixes, want %d", len(got), len(want))
		}
		for _, p := range want {
			if !got[p] {
				return fmt.Errorf("%v is missing", p)
			}
		}
		return nil
	})
}

func contains(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s: %q is missing in:\n%s", what, p, text)
		}
	}
}
