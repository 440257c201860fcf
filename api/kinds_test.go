package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
)

// TestKinds compares what kubectl and clients see of each kind with MetalLB 0.16.
func TestKinds(t *testing.T) {
	s := newServer(t)
	peerColumns := "Address string .spec.peerAddress; ASN string .spec.peerASN; BFD Profile string .spec.bfdProfile; Multi Hops string .spec.ebgpMultiHop"
	advertisement := "IPAddressPools string .spec.ipAddressPools; IPAddressPool Selectors string .spec.ipAddressPoolSelectors; "
	for kind, want := range map[string]string{
		"IPAddressPool": "ipaddresspools ipaddresspool IPAddressPoolList | v1beta1 served storage: " +
			"Auto Assign boolean .spec.autoAssign; Avoid Buggy IPs boolean .spec.avoidBuggyIPs; Addresses string .spec.addresses",
		"L2Advertisement": "l2advertisements l2advertisement L2AdvertisementList | v1beta1 served storage: " +
			advertisement + "Interfaces string .spec.interfaces; Node Selectors string .spec.nodeSelectors (10)",
		"BGPAdvertisement": "bgpadvertisements bgpadvertisement BGPAdvertisementList | v1beta1 served storage: " +
			advertisement + "Peers string .spec.peers; Node Selectors string .spec.nodeSelectors (10)",
		"BGPPeer": "bgppeers bgppeer BGPPeerList | v1beta1 served deprecated (v1beta1 is deprecated, please use v1beta2): " + peerColumns +
			" | v1beta2 served storage: " + peerColumns,
		"BFDProfile": "bfdprofiles bfdprofile BFDProfileList | v1beta1 served storage: " +
			"Passive Mode boolean .spec.passiveMode; Transmit Interval integer .spec.transmitInterval; " +
			"Receive Interval integer .spec.receiveInterval; Multiplier integer .spec.detectMultiplier",
		"Community": "communities community CommunityList | v1beta1 served storage: ",
		"ServiceL2Status": "servicel2statuses servicel2status ServiceL2StatusList | v1beta1 served storage: " +
			"Allocated Node string .status.node; Service Name string .status.serviceName; Service Namespace string .status.serviceNamespace",
		"ServiceBGPStatus": "servicebgpstatuses servicebgpstatus ServiceBGPStatusList | v1beta1 served storage: " +
			"Node string .status.node; Service Name string .status.serviceName; Service Namespace string .status.serviceNamespace",
		"ConfigurationState": "configurationstates configurationstate ConfigurationStateList | v1beta1 served storage: " +
			"Result string .status.result; ErrorSummary string .status.errorSummary; Age date .metadata.creationTimestamp",
	} {
		t.Run("1.0 "+kind, func(t *testing.T) {
			crd, ok := s.definitions[kind]
			if !ok {
				t.Fatal("not defined")
			}
			if diff := cmp.Diff(want, describe(crd)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if crd.Spec.Group != "metallb.io" || crd.Spec.Scope != apiextensions.NamespaceScoped {
				t.Errorf("group %s, scope %s", crd.Spec.Group, crd.Spec.Scope)
			}
			if crd.Spec.Conversion.Strategy != apiextensions.NoneConverter {
				t.Errorf("conversion is %s", crd.Spec.Conversion.Strategy)
			}
			if n := crd.Spec.Names; len(n.ShortNames)+len(n.Categories) > 0 {
				t.Errorf("short names %v, categories %v", n.ShortNames, n.Categories)
			}
		})
	}
}

// describe writes names, versions and columns of a kind on one line.
func describe(crd *apiextensions.CustomResourceDefinition) string {
	n := crd.Spec.Names
	out := fmt.Sprintf("%s %s %s", n.Plural, n.Singular, n.ListKind)
	for _, v := range crd.Spec.Versions {
		out += " | " + v.Name
		for _, word := range []struct {
			is   bool
			text string
		}{{v.Served, "served"}, {v.Storage, "storage"}, {v.Deprecated, "deprecated"}} {
			if word.is {
				out += " " + word.text
			}
		}
		if v.DeprecationWarning != nil {
			out += " (" + *v.DeprecationWarning + ")"
		}
		columns := v.AdditionalPrinterColumns
		if columns == nil {
			columns = crd.Spec.AdditionalPrinterColumns
		}
		sub := v.Subresources
		if sub == nil {
			sub = crd.Spec.Subresources
		}
		if sub == nil || sub.Status == nil || sub.Scale != nil {
			out += " WITHOUT STATUS"
		}
		var texts []string
		for _, c := range columns {
			text := fmt.Sprintf("%s %s %s", c.Name, c.Type, c.JSONPath)
			if c.Priority != 0 {
				text += fmt.Sprintf(" (%d)", c.Priority)
			}
			texts = append(texts, text)
		}
		out += ": " + strings.Join(texts, "; ")
	}
	return out
}

// TestScheme has a Go type for every version of every kind.
func TestScheme(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1beta1.AddToScheme, v1beta2.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	for kind, crd := range newServer(t).definitions {
		for _, v := range crd.Spec.Versions {
			gvk := v1beta1.SchemeGroupVersion.WithKind(kind)
			gvk.Version = v.Name
			if !scheme.Recognizes(gvk) {
				t.Errorf("%v has no Go type", gvk)
			}
			if gvk.Kind = crd.Spec.Names.ListKind; !scheme.Recognizes(gvk) {
				t.Errorf("%v has no Go type", gvk)
			}
		}
	}
}
