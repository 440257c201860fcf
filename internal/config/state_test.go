package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/api/v1beta1"
)

func TestCondition(t *testing.T) {
	for _, tt := range []struct {
		name string
		v    Verdict
		want metav1.Condition
	}{
		{"accepted", Verdict{Accepted: true, Reason: ReasonAccepted}, metav1.Condition{Status: "True", Reason: "Accepted"}},
		{"accepted with warnings", Verdict{Accepted: true, Reason: ReasonAccepted, Warnings: []string{"a", "b"}}, metav1.Condition{Status: "True", Reason: "Accepted", Message: "a; b"}},
		{"refused", Verdict{Reason: ReasonInvalidASN, Message: "no", Warnings: []string{"a"}}, metav1.Condition{Status: "False", Reason: "InvalidASN", Message: "no"}},
		{"too long, cut within a letter", Verdict{Reason: ReasonInvalidASN, Message: "x" + strings.Repeat("é", maxMessage)}, metav1.Condition{Status: "False", Reason: "InvalidASN", Message: "x" + strings.Repeat("é", maxMessage/2-3) + " …"}},
		{"too long", Verdict{Reason: ReasonInvalidASN, Message: strings.Repeat("é", maxMessage)}, metav1.Condition{Status: "False", Reason: "InvalidASN", Message: strings.Repeat("é", maxMessage/2-2) + " …"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Type, tt.want.ObservedGeneration = v1beta1.ConditionAccepted, 7
			if diff := cmp.Diff(tt.want, tt.v.Condition(7)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestState(t *testing.T) {
	failed := metav1.Condition{Type: ConditionConfig, Status: "False", Reason: "ConfigurationError", Message: "configuration error: x"}
	other := metav1.Condition{Type: ConditionPools, Status: "False", Reason: "ConfigurationError", Message: "configuration error: y"}
	fine := metav1.Condition{Type: ConditionPools, Status: "True", Reason: "Reconciled"}
	unknown := metav1.Condition{Type: ConditionPools, Status: "False", Reason: "UnknownError", Message: "z"}
	for _, tt := range []struct {
		name    string
		in      []metav1.Condition
		result  v1beta1.ConfigurationResult
		summary string
	}{
		{"1.9 no conditions", nil, v1beta1.ConfigurationUnknown, ""},
		{"1.9 all fine", []metav1.Condition{fine}, v1beta1.ConfigurationValid, ""},
		{"1.9 one failed", []metav1.Condition{fine, failed}, v1beta1.ConfigurationInvalid, "configuration error: x"},
		{"1.9 two failed", []metav1.Condition{other, failed}, v1beta1.ConfigurationInvalid, "configuration error: y\nconfiguration error: x"},
		{"1.9 for another reason", []metav1.Condition{unknown}, v1beta1.ConfigurationValid, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			result, summary := Summarize(tt.in)
			if result != tt.result || summary != tt.summary {
				t.Errorf("got %s %q, want %s %q", result, summary, tt.result, tt.summary)
			}
		})
	}
}

func TestStateCondition(t *testing.T) {
	in := script(t, `
		IPAddressPool a {addresses: [10.0.0.0/24]}
		IPAddressPool b {addresses: []}
		BGPPeer p {myASN: 0, nodeSelectors: [{matchLabels: {zone: x}}]}
		Node n1[zone=x]
		Node n2[zone=y]`)
	verdicts := Parse(in).Verdicts
	const pool = "configuration error: IPAddressPool metallb-system/b: parsing address pool b: pool has no prefixes defined: give at least one CIDR or first-last range in spec.addresses"
	for _, tt := range []struct {
		name     string
		verdicts []Verdict
		want     metav1.Condition
	}{
		{"1.9 nothing refused", verdicts[1:2], metav1.Condition{Type: ConditionConfig, Status: "True", Reason: "Reconciled"}},
		{"1.9 a node that the peer is for", ForNode(verdicts, in.Nodes["n1"]), metav1.Condition{
			Type: ConditionConfig, Status: "False", Reason: "ConfigurationError",
			Message: "configuration error: BGPPeer metallb-system/p: parsing peer p missing local ASN: set myASN\n" + strings.TrimPrefix(pool, "configuration error: "),
		}},
		{"1.9 a node that the peer is not for", ForNode(verdicts, in.Nodes["n2"]), metav1.Condition{
			Type: ConditionConfig, Status: "False", Reason: "ConfigurationError", Message: pool,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, StateCondition(ConditionConfig, tt.verdicts)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
