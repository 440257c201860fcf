package endpoint

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	// allowedFor and refusedFor are how long an answer of the API server is trusted.
	allowedFor = time.Minute
	refusedFor = 10 * time.Second
	// reviewTimeout bounds asking the API server.
	reviewTimeout = 5 * time.Second
	// maxAnswers bounds what is remembered; beyond it everything is forgotten.
	maxAnswers = 1000
)

var (
	errNoToken   = errors.New("no bearer token")
	errBadToken  = errors.New("the API server does not accept the token")
	errForbidden = errors.New("not allowed")
)

// guard asks the API server who a caller is and what the caller may do, as kubelets do.
type guard struct {
	clientset kubernetes.Interface
	now       func() time.Time

	mu      sync.Mutex
	answers map[question]reply
}

// question is a token, as its hash, and what its owner wants to do where.
type question struct {
	token      [sha256.Size]byte
	verb, path string
}

type reply struct {
	err   error
	until time.Time
}

func newGuard(c kubernetes.Interface) *guard {
	return &guard{clientset: c, now: time.Now, answers: map[question]reply{}}
}

// filterProvider makes the filter in front of all handlers.
func filterProvider(c *rest.Config, client *http.Client) (metricsserver.Filter, error) {
	clientset, err := kubernetes.NewForConfigAndClient(c, client)
	if err != nil {
		return nil, err
	}
	g := newGuard(clientset)
	return func(_ logr.Logger, next http.Handler) (http.Handler, error) { return g.protect(next), nil }, nil
}

func (g *guard) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch err := g.check(r); {
		case err == nil:
			next.ServeHTTP(w, r)
		case errors.Is(err, errNoToken), errors.Is(err, errBadToken):
			http.Error(w, "Unauthorized: "+err.Error(), http.StatusUnauthorized)
		case errors.Is(err, errForbidden):
			http.Error(w, "Forbidden: "+err.Error(), http.StatusForbidden)
		default:
			http.Error(w, "cannot ask the API server who you are: "+err.Error(), http.StatusServiceUnavailable)
		}
	})
}

// check says why a request is refused; nil means that it is not.
func (g *guard) check(r *http.Request) error {
	header := r.Header.Get(HeaderAuthorization)
	if header == "" {
		header = r.Header.Get("Authorization")
	}
	token, ok := strings.CutPrefix(header, "Bearer ")
	if !ok || token == "" {
		return errNoToken
	}
	q := question{token: sha256.Sum256([]byte(token)), verb: strings.ToLower(r.Method), path: r.URL.Path}
	if known, ok := g.recall(q); ok {
		return known
	}
	ctx, cancel := context.WithTimeout(r.Context(), reviewTimeout)
	defer cancel()
	err := g.review(ctx, token, q.path, q.verb)
	if err == nil || errors.Is(err, errBadToken) || errors.Is(err, errForbidden) {
		g.remember(q, err)
	}
	return err
}

func (g *guard) recall(q question) (error, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	known, ok := g.answers[q]
	return known.err, ok && g.now().Before(known.until)
}

func (g *guard) remember(q question, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.answers) >= maxAnswers {
		clear(g.answers)
	}
	keep := refusedFor
	if err == nil {
		keep = allowedFor
	}
	g.answers[q] = reply{err: err, until: g.now().Add(keep)}
}

// review asks who the token belongs to, and whether that user may do verb on the path.
func (g *guard) review(ctx context.Context, token, path, verb string) error {
	who, err := g.clientset.AuthenticationV1().TokenReviews().Create(ctx,
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if !who.Status.Authenticated {
		return errBadToken
	}
	user := who.Status.User
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for k, v := range user.Extra {
		extra[k] = authorizationv1.ExtraValue(v)
	}
	may, err := g.clientset.AuthorizationV1().SubjectAccessReviews().Create(ctx,
		&authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
			NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: verb},
		}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if !may.Status.Allowed {
		return fmt.Errorf("%w: %s needs the verb %s on the non-resource URL %s", errForbidden, user.Username, verb, path)
	}
	return nil
}
