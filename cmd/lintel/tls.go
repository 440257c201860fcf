package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"strconv"
	"strings"
)

// tlsFlags restrict the HTTPS port.
type tlsFlags struct {
	minVersion, cipherSuites, curves string
}

func (f *tlsFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.minVersion, "tls-min-version", "", "lowest TLS `version` of the HTTPS port: VersionTLS13 (default) or VersionTLS12")
	fs.StringVar(&f.cipherSuites, "tls-cipher-suites", "", "comma-separated `names` of cipher suites, for TLS 1.2 only")
	fs.StringVar(&f.curves, "tls-curve-preferences", "", "comma-separated `numbers` of key exchange groups, as in the IANA registry")
}

// options checks the flags and turns them into changes of a TLS configuration.
func (f *tlsFlags) options() ([]func(*tls.Config), error) {
	version := uint16(tls.VersionTLS13)
	switch f.minVersion {
	case "", "VersionTLS13":
	case "VersionTLS12":
		version = tls.VersionTLS12
	default:
		return nil, fmt.Errorf("--tls-min-version %q is neither VersionTLS13 nor VersionTLS12", f.minVersion)
	}
	suites, err := parseSuites(f.cipherSuites)
	if err != nil {
		return nil, err
	}
	if len(suites) > 0 && version == tls.VersionTLS13 {
		return nil, fmt.Errorf("--tls-cipher-suites has no meaning with TLS 1.3: set --tls-min-version to VersionTLS12, or leave it out")
	}
	curves, err := parseCurves(f.curves)
	if err != nil {
		return nil, err
	}
	return []func(*tls.Config){func(c *tls.Config) {
		c.MinVersion, c.CipherSuites, c.CurvePreferences = version, suites, curves
	}}, nil
}

func parseSuites(list string) ([]uint16, error) {
	if list == "" {
		return nil, nil
	}
	known := map[string]uint16{}
	for _, s := range tls.CipherSuites() {
		known[s.Name] = s.ID
	}
	var out []uint16
	for name := range strings.SplitSeq(list, ",") {
		id, ok := known[strings.TrimSpace(name)]
		if !ok {
			return nil, fmt.Errorf("--tls-cipher-suites: %q is not a cipher suite that Go holds to be secure", name)
		}
		out = append(out, id)
	}
	return out, nil
}

func parseCurves(list string) ([]tls.CurveID, error) {
	if list == "" {
		return nil, nil
	}
	known := map[tls.CurveID]bool{tls.CurveP256: true, tls.CurveP384: true, tls.CurveP521: true, tls.X25519: true, tls.X25519MLKEM768: true}
	seen := map[tls.CurveID]bool{}
	var out []tls.CurveID
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
		id := tls.CurveID(n)
		switch {
		case err != nil || !known[id]:
			return nil, fmt.Errorf("--tls-curve-preferences: %q is not the number of a group that Go knows", text)
		case seen[id]:
			return nil, fmt.Errorf("--tls-curve-preferences: %s is named twice", text)
		}
		seen[id] = true
		out = append(out, id)
	}
	return out, nil
}
