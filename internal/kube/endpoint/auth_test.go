package endpoint

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// fakeGuard accepts the token "good" as alice, who may get /metrics, and counts reviews.
func fakeGuard(reviews *int) *guard {
	c := fake.NewClientset()
	c.PrependReactor("create", "tokenreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		*reviews++
		review := a.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenReview)
		if review.Spec.Token == "good" {
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: "alice"}}
		}
		return true, review, nil
	})
	c.PrependReactor("create", "subjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview)
		review.Status.Allowed = review.Spec.User == "alice" && review.Spec.NonResourceAttributes.Path == "/metrics" &&
			review.Spec.NonResourceAttributes.Verb == "get"
		return true, review, nil
	})
	return newGuard(c)
}

func TestGuard(t *testing.T) {
	reviews := 0
	g := fakeGuard(&reviews)
	now := time.Unix(1000, 0)
	g.now = func() time.Time { return now }
	handler := g.protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	ask := func(path, header, value string) int {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		if header != "" {
			r.Header.Set(header, value)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	for _, row := range []struct {
		name, path, header, value string
		want                      int
	}{
		{"no token", "/metrics", "", "", http.StatusUnauthorized},
		{"not a bearer token", "/metrics", "Authorization", "Basic good", http.StatusUnauthorized},
		{"unknown token", "/metrics", "Authorization", "Bearer bad", http.StatusUnauthorized},
		{"allowed", "/metrics", "Authorization", "Bearer good", http.StatusOK},
		{"allowed through the API server's proxy", "/metrics", HeaderAuthorization, "Bearer good", http.StatusOK},
		{"another path", "/lintel/v1/speaker", "Authorization", "Bearer good", http.StatusForbidden},
	} {
		if got := ask(row.path, row.header, row.value); got != row.want {
			t.Errorf("%s: got %d, want %d", row.name, got, row.want)
		}
	}
	before := reviews
	ask("/metrics", "Authorization", "Bearer good")
	if reviews != before {
		t.Error("an answer was not remembered")
	}
	now = now.Add(allowedFor)
	ask("/metrics", "Authorization", "Bearer good")
	if reviews != before+1 {
		t.Error("an answer was remembered for too long")
	}
}
