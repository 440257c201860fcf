package members

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/memberlist"
)

func TestParseTuning(t *testing.T) {
	full := `{"TCPTimeout":"1s","IndirectChecks":2,"RetransmitMult":3,"SuspicionMult":5,"SuspicionMaxTimeoutMult":7,
		"PushPullInterval":"2s","ProbeTimeout":"3s","ProbeInterval":"4s","DisableTcpPings":true,"AwarenessMaxMultiplier":9,
		"GossipNodes":11,"GossipInterval":"5s","GossipToTheDeadTime":"6s","GossipVerifyIncoming":false,
		"GossipVerifyOutgoing":false,"EnableCompression":false,"HandoffQueueDepth":12,"UDPBufferSize":1300,"QueueCheckInterval":"7s"}`
	all := func(c *memberlist.Config) {
		c.TCPTimeout, c.IndirectChecks, c.RetransmitMult, c.SuspicionMult, c.SuspicionMaxTimeoutMult = time.Second, 2, 3, 5, 7
		c.PushPullInterval, c.ProbeTimeout, c.ProbeInterval, c.DisableTcpPings = 2*time.Second, 3*time.Second, 4*time.Second, true
		c.AwarenessMaxMultiplier, c.GossipNodes, c.GossipInterval, c.GossipToTheDeadTime = 9, 11, 5*time.Second, 6*time.Second
		c.GossipVerifyIncoming, c.GossipVerifyOutgoing, c.EnableCompression = false, false, false
		c.HandoffQueueDepth, c.UDPBufferSize, c.QueueCheckInterval = 12, 1300, 7*time.Second
	}
	tests := []struct {
		name, file string
		want       func(*memberlist.Config)
	}{
		{"empty object keeps the profile", `{}`, func(*memberlist.Config) {}},
		{"missing bool and number keep the profile", `{"ProbeInterval":"2s"}`, func(c *memberlist.Config) { c.ProbeInterval = 2 * time.Second }},
		{"null keeps the profile", `{"ProbeInterval":null,"EnableCompression":null}`, func(*memberlist.Config) {}},
		{"case does not matter", `{"probeinterval":"2s"}`, func(c *memberlist.Config) { c.ProbeInterval = 2 * time.Second }},
		{"push/pull can be off", `{"PushPullInterval":"0s"}`, func(c *memberlist.Config) { c.PushPullInterval = 0 }},
		{"every key", full, all},
	}
	for _, tt := range tests {
		for _, wan := range []bool{false, true} {
			tuning, err := ParseTuning([]byte(tt.file))
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			cfg, err := Config{NodeName: "n", BindAddr: netip.MustParseAddr("10.0.0.1"), WAN: wan, Tuning: tuning}.complete()
			if err != nil {
				t.Fatal(err)
			}
			want := memberlist.DefaultLANConfig()
			if wan {
				want = memberlist.DefaultWANConfig()
			}
			want.Name, want.BindAddr, want.BindPort, want.AdvertisePort = "n", "10.0.0.1", 7946, 7946
			tt.want(want)
			if diff := cmp.Diff(want, cfg.memberlist()); diff != "" {
				t.Errorf("%s, WAN %t (-want +got):\n%s", tt.name, wan, diff)
			}
		}
	}
}

func TestParseTuningErrors(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"not JSON", `ProbeInterval: 1s`, "want a JSON object"},
		{"not an object", `["1s"]`, "want a JSON object"},
		{"two documents", `{} {}`, "text after"},
		{"unknown key", `{"ProbeIntervall":"1s"}`, `unknown key "ProbeIntervall"`},
		{"duration as number", `{"ProbeInterval":1}`, `key "ProbeInterval": want a duration string`},
		{"bad duration", `{"TCPTimeout":"1 second"}`, `key "TCPTimeout": time:`},
		{"negative", `{"GossipInterval":"-1s"}`, `key "GossipInterval": -1s is less than 0s`},
		{"probe off", `{"ProbeInterval":"0s"}`, `key "ProbeInterval": 0s is less than`},
		{"number as text", `{"GossipNodes":"3"}`, `key "GossipNodes": want a whole number`},
		{"fraction", `{"GossipNodes":1.5}`, `key "GossipNodes": want a whole number`},
		{"queue off", `{"HandoffQueueDepth":0}`, `key "HandoffQueueDepth": 0 is less than 1`},
		{"bool as text", `{"EnableCompression":"yes"}`, `key "EnableCompression": want true or false`},
		{"the second of two", `{"X":1,"UDPBufferSize":0}`, `key "UDPBufferSize": 0 is less than 512`},
	}
	for _, tt := range tests {
		if _, err := ParseTuning([]byte(tt.file)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: want an error with %q, have %v", tt.name, tt.want, err)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	good := Config{NodeName: "n", BindAddr: netip.MustParseAddr("10.0.0.1")}
	tests := []struct {
		name   string
		change func(*Config)
	}{
		{"no node name", func(c *Config) { c.NodeName = "" }},
		{"no bind address", func(c *Config) { c.BindAddr = netip.Addr{} }},
		{"bind address with zone", func(c *Config) { c.BindAddr = netip.MustParseAddr("fe80::1%eth0") }},
		{"all IPv6 without advertise address", func(c *Config) { c.BindAddr = netip.IPv6Unspecified() }},
		{"unspecified advertise address", func(c *Config) { c.AdvertiseAddr = netip.IPv4Unspecified() }},
	}
	if _, err := New(good); err != nil {
		t.Errorf("good configuration: %v", err)
	}
	for _, tt := range tests {
		cfg := good
		tt.change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
}
