package main

import (
	"crypto/tls"
	"flag"
	"log/slog"
	"strings"
	"testing"
)

// TestArgumentListsOfMetalLB parses arguments as MetalLB's manifests and charts give them.
func TestArgumentListsOfMetalLB(t *testing.T) {
	for _, row := range []struct {
		verb string
		args []string
	}{
		{"controller", []string{"--port=9120", "--log-level=info", "--tls-min-version=VersionTLS13"}},
		{"controller", []string{"-port=7472", "--webhook-mode=enabled", "--disable-cert-rotation", "--cert-service-name=x", "--lb-class=a,b"}},
		{"speaker", []string{"--port=9120", "--log-level=info", "--ignore-exclude-lb", "--bgp-debounce-timeout=100"}},
		{"speaker", []string{"--frrk8s-namespace", "x", "--host", "10.0.0.1", "--ml-wan-config"}},
	} {
		var c common
		fs := flag.NewFlagSet(row.verb, flag.ContinueOnError)
		fs.SetOutput(&strings.Builder{})
		c.register(fs)
		if row.verb == "controller" {
			new(controllerFlags).register(fs, &c)
		} else if err := new(speakerFlags).register(fs, &c); err != nil {
			t.Fatal(err)
		}
		if err := fs.Parse(row.args); err != nil {
			t.Errorf("%s %v: %v", row.verb, row.args, err)
		}
	}
}

func TestObsoleteFlagsSaySo(t *testing.T) {
	var o obsolete
	fs := flag.NewFlagSet("x", flag.ContinueOnError)
	o.add(fs, "there is no webhook", []string{"webhook-mode"}, []string{"webhook-http2"})
	if err := fs.Parse([]string{"--webhook-mode=enabled", "--webhook-http2"}); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	o.warn(slog.New(slog.NewTextHandler(&out, nil)))
	for _, want := range []string{"--webhook-mode", "--webhook-http2", "there is no webhook"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not said in %s", want, out.String())
		}
	}
}

func TestTLSFlags(t *testing.T) {
	for _, row := range []struct {
		name  string
		flags tlsFlags
		bad   string
	}{
		{"defaults", tlsFlags{}, ""},
		{"TLS 1.2 with suites", tlsFlags{minVersion: "VersionTLS12", cipherSuites: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", curves: "29, 23"}, ""},
		{"unknown version", tlsFlags{minVersion: "VersionTLS11"}, "--tls-min-version"},
		{"suites with TLS 1.3", tlsFlags{cipherSuites: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}, "--tls-cipher-suites"},
		{"unknown suite", tlsFlags{minVersion: "VersionTLS12", cipherSuites: "X"}, "--tls-cipher-suites"},
		{"unknown curve", tlsFlags{curves: "1"}, "--tls-curve-preferences"},
		{"curve twice", tlsFlags{curves: "29,29"}, "twice"},
	} {
		options, err := row.flags.options()
		if row.bad != "" {
			if err == nil || !strings.Contains(err.Error(), row.bad) {
				t.Errorf("%s: got %v, want an error about %s", row.name, err, row.bad)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		var c tls.Config
		for _, o := range options {
			o(&c)
		}
		if row.flags.minVersion == "VersionTLS12" && (c.MinVersion != tls.VersionTLS12 || len(c.CipherSuites) != 1 || len(c.CurvePreferences) != 2) {
			t.Errorf("%s: %+v", row.name, &c)
		}
	}
}

func TestExclusionFile(t *testing.T) {
	if got, err := readExclusions("/nonexistent/excludel2.yaml"); got != nil || err != nil {
		t.Errorf("without the file: %v, %v", got, err)
	}
	if _, err := readExclusions("testdata/bad-regexp.yaml"); err == nil || !strings.Contains(err.Error(), "announcedInterfacesToExclude") {
		t.Errorf("a bad pattern: %v", err)
	}
	got, err := readExclusions("testdata/excludel2.yaml")
	if err != nil || len(got) != 2 || !got[0].MatchString("docker0") {
		t.Errorf("got %v, %v", got, err)
	}
}
