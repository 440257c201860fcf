package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lintel-lb/lintel/lab"
)

func TestPrintStatus(t *testing.T) {
	var got strings.Builder
	err := printStatus(&got, lab.Status{Hosts: []lab.HostStatus{
		{Name: "sw", Role: lab.RoleSwitch},
		{Name: "n1", Role: lab.RoleNode, V4: netip.MustParseAddr("10.89.0.11"), V6: netip.MustParseAddr("fd89::11"), Ready: "True",
			Faults:  []lab.Fault{lab.FaultCut, lab.FaultBlackhole},
			Daemons: []lab.Daemon{{Name: "kubelet", Alive: true}, {Name: "kube-proxy"}}},
		{Name: "c1", Role: lab.RoleClient, V4: netip.MustParseAddr("10.89.0.101"), V6: netip.MustParseAddr("fd89::101")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := "" +
		"HOST  ROLE    IPV4         IPV6       READY  FAULTS         PROGRAMS\n" +
		"n1    node    10.89.0.11   fd89::11   True   cut,blackhole  kubelet kube-proxy(dead)\n" +
		"c1    client  10.89.0.101  fd89::101  -      -              -\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
