package allocation

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab/e2e/install"
)

// accepted waits for the condition Accepted of a pool. The message must contain the text.
func (f fixture) accepted(pool string, status metav1.ConditionStatus, reason, text string) {
	f.t.Helper()
	f.Eventually(fmt.Sprintf("%s is Accepted=%s, %s: … %s …", pool, status, reason, text), soon, func(ctx context.Context) error {
		st, err := f.poolStatus(ctx, pool)
		if err != nil {
			return err
		}
		c := meta.FindStatusCondition(st.Conditions, "Accepted")
		if c == nil || c.Status != status || c.Reason != reason || !strings.Contains(c.Message, text) {
			return fmt.Errorf("its conditions: %+v", st.Conditions)
		}
		return nil
	})
}

// configurationState is the status of a ConfigurationState.
type configurationState struct {
	Result       string             `json:"result"`
	ErrorSummary string             `json:"errorSummary"`
	Conditions   []metav1.Condition `json:"conditions"`
}

// configuration waits for the controller's ConfigurationState to have this result and
// to name all these objects in its summary.
func (f fixture) configuration(result string, named ...string) {
	f.t.Helper()
	f.Eventually("the ConfigurationState is "+result, soon, func(ctx context.Context) error {
		o := &unstructured.Unstructured{}
		o.SetAPIVersion("metallb.io/v1beta1")
		o.SetKind("ConfigurationState")
		if err := f.Client.Get(ctx, client.ObjectKey{Namespace: install.Namespace, Name: "controller"}, o); err != nil {
			return err
		}
		var out struct {
			Status configurationState `json:"status"`
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &out); err != nil {
			return err
		}
		ok := out.Status.Result == result && (len(named) > 0 || out.Status.ErrorSummary == "")
		for _, n := range named {
			ok = ok && strings.Contains(out.Status.ErrorSummary, n)
		}
		if !ok {
			text, err := json.Marshal(out.Status)
			return fmt.Errorf("it says %s, %v", text, err)
		}
		return nil
	})
}

// A pool that overlaps with another is refused, and says so; everything else works, and the
// state as a whole says that something is wrong for as long as it is.
func TestOverlappingPool(t *testing.T) {
	f := alone(t)
	first := f.pool("z", each(f.Pool4), nil)
	web := f.service("web")
	f.holds(web, first, f.Pool4.At(0))
	f.accepted(first, metav1.ConditionTrue, "Accepted", "")
	f.configuration("Valid")

	second := f.pool("a", each(f.Pool4.At(7), f.Pool6.At(0)), nil)
	f.accepted(second, metav1.ConditionFalse, "OverlappingPool", fmt.Sprintf("overlaps with already defined CIDR %q", each(f.Pool4)[0]))
	f.configuration("Invalid", second)
	f.accepted(first, metav1.ConditionTrue, "Accepted", "")
	third := f.pool("m", []string{f.Routed6.String()}, nil)
	f.holds(f.service("six", v6()), third, f.Routed6.Addr())
	f.holds(f.service("four"), first, f.Pool4.At(1))
	unserved := f.service("unserved", v6(), fromPool(second))
	f.event(unserved, "Warning", "AllocationFailed", `unknown pool "`+second+`"`)

	f.pool("a", each(f.Pool6.At(0)), nil)
	f.accepted(second, metav1.ConditionTrue, "Accepted", "")
	f.configuration("Valid")
	f.holds(unserved, second, f.Pool6.At(0))
}

// A mistake in an edit is told, and takes no address away.
func TestMistakeInAnEdit(t *testing.T) {
	f := alone(t)
	pool := f.pool("p", each(f.Pool4), nil)
	web := f.service("web")
	f.holds(web, pool, f.Pool4.At(0))
	before := f.get(web).ResourceVersion
	f.pool("p", append(each(f.Pool4), "10.0.0.9-10.0.0.1"), nil)
	f.accepted(pool, metav1.ConditionFalse, "InvalidAddresses", "10.0.0.9-10.0.0.1")
	f.configuration("Invalid", pool)
	f.fence("mistake")
	if after := f.get(web).ResourceVersion; after != before {
		t.Errorf("the Service was written: %v", assignmentOf(f.get(web)))
	}
	f.pool("p", each(f.Pool4), nil)
	f.accepted(pool, metav1.ConditionTrue, "Accepted", "")
	f.configuration("Valid")
	f.holds(f.service("next"), pool, f.Pool4.At(1))
}
