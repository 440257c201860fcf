package api_test

import (
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// TestRulesOfOldestServer compiles the rules with what Kubernetes 1.31, the oldest
// supported, allows in new definitions: the functions of the version before it.
func TestRulesOfOldestServer(t *testing.T) {
	env := environment.MustBaseEnvSet(version.MajorMinor(1, 30))
	rules := 0
	for name, v := range newServer(t).schemas {
		walk(v.structural, func(s *schema.Structural) {
			if len(s.XValidations) == 0 {
				return
			}
			results, err := cel.Compile(s, model.SchemaDeclType(s, false), celconfig.PerCallLimit, env, cel.NewExpressionsEnvLoader())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for i, r := range results {
				rules++
				if r.Error != nil {
					t.Errorf("%s: %s: %v", name, s.XValidations[i].Rule, r.Error)
				}
			}
		})
	}
	if rules < 20 {
		t.Errorf("only %d rules found", rules)
	}
}

func walk(s *schema.Structural, visit func(*schema.Structural)) {
	visit(s)
	for _, p := range s.Properties {
		walk(&p, visit)
	}
	if s.Items != nil {
		walk(s.Items, visit)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		walk(s.AdditionalProperties.Structural, visit)
	}
}
