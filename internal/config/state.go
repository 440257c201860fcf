package config

import (
	"strings"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/lb"
)

// Types of the conditions of a ConfigurationState, and their reasons.
const (
	// ConditionPools is set by the controller.
	ConditionPools = "poolReconcilerValid"
	// ConditionConfig is set by speakers.
	ConditionConfig = "configReconcilerValid"

	reasonReconciled         = "Reconciled"
	reasonConfigurationError = "ConfigurationError"
)

// maxMessage is the longest message of a condition, in bytes; the API counts characters.
const maxMessage = 32768

// Condition is the verdict as the condition Accepted of its object. The transition time
// is left to the writer.
func (v Verdict) Condition(generation int64) metav1.Condition {
	c := metav1.Condition{
		Type:               v1beta1.ConditionAccepted,
		Status:             metav1.ConditionTrue,
		ObservedGeneration: generation,
		Reason:             string(v.Reason),
		Message:            clip(v.Text()),
	}
	if !v.Accepted {
		c.Status = metav1.ConditionFalse
	}
	return c
}

// ForNode gives the verdicts that bear on a node: all but those on peers and BGP
// advertisements that are for other nodes.
func ForNode(verdicts []Verdict, node *lb.Node) []Verdict {
	var out []Verdict
	for _, v := range verdicts {
		if v.Nodes.MatchesOrEmpty(node.Labels) {
			out = append(out, v)
		}
	}
	return out
}

// StateCondition sums up verdicts as a condition of a ConfigurationState. The transition
// time is left to the writer.
func StateCondition(conditionType string, verdicts []Verdict) metav1.Condition {
	var messages []string
	for _, v := range verdicts {
		if !v.Accepted {
			messages = append(messages, v.Object.String()+": "+v.Message)
		}
	}
	if len(messages) == 0 {
		return metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, Reason: reasonReconciled}
	}
	return metav1.Condition{
		Type:    conditionType,
		Status:  metav1.ConditionFalse,
		Reason:  reasonConfigurationError,
		Message: clip("configuration error: " + strings.Join(messages, "\n")),
	}
}

// Summarize gives the result of a ConfigurationState with these conditions, and the
// messages of those that failed, one a line.
func Summarize(conditions []metav1.Condition) (result v1beta1.ConfigurationResult, errorSummary string) {
	if len(conditions) == 0 {
		return v1beta1.ConfigurationUnknown, ""
	}
	result = v1beta1.ConfigurationValid
	var messages []string
	for _, c := range conditions {
		if c.Status == metav1.ConditionFalse && c.Reason == reasonConfigurationError {
			result = v1beta1.ConfigurationInvalid
			messages = append(messages, c.Message)
		}
	}
	return result, strings.Join(messages, "\n")
}

// clip shortens a message to what a condition can hold.
func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	const more = " …"
	cut := maxMessage - len(more)
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + more
}
