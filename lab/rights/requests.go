package rights

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// request is what somebody has asked of an API server.
type request struct {
	Right
	agent     string
	forbidden bool
	// review is set if it was not made of the API server but of the program that has asked the
	// API server about it.
	review bool
}

// event is the part of an audit.k8s.io/v1 Event that is looked at.
type event struct {
	Verb       string
	RequestURI string
	UserAgent  string
	User       struct{ Username string }
	ObjectRef  *struct{ Resource, Subresource, APIGroup, Namespace, Name string }

	RequestObject  *review
	ResponseObject *review
	Annotations    map[string]string
}

// review is the part of a SubjectAccessReview that is looked at. In the API server's place it
// is others who allow or refuse what is asked for.
type review struct {
	Spec struct {
		User                  string
		NonResourceAttributes *struct{ Path, Verb string }
	}
	Status struct{ Allowed bool }
}

const decision = "authorization.k8s.io/decision"

// requests returns what an event tells: the request itself, and the one that it asks about.
func (e event) requests() []request {
	r := request{Right: Right{Account: e.User.Username, Verb: e.Verb}, agent: e.UserAgent, forbidden: e.Annotations[decision] == "forbid"}
	if o := e.ObjectRef; o != nil {
		r.Group, r.Resource, r.Namespace, r.Name = o.APIGroup, o.Resource, o.Namespace, o.Name
		if o.Subresource != "" {
			r.Resource += "/" + o.Subresource
		}
	} else {
		r.URL, _, _ = strings.Cut(e.RequestURI, "?")
	}
	out := []request{r}
	// A watch that begins with all objects stands for a list as well: clients fall back to one
	// where an API server does not know this, as those before Kubernetes 1.34.
	if r.Verb == "watch" && strings.Contains(e.RequestURI, "sendInitialEvents=true") {
		r.Verb = "list"
		out = append(out, r)
	}
	if q, a := e.RequestObject, e.ResponseObject; q != nil && a != nil && q.Spec.NonResourceAttributes != nil {
		n := q.Spec.NonResourceAttributes
		out = append(out, request{Right: Right{Account: q.Spec.User, Verb: n.Verb, URL: n.Path},
			agent: e.UserAgent, forbidden: !a.Status.Allowed, review: true})
	}
	return out
}

// eachRequest calls f for everything in the audit logs of a directory.
func eachRequest(dir string, f func(request)) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return fmt.Errorf("rights: %w", err)
	}
	for _, name := range files {
		if err := readLog(name, f); err != nil {
			return fmt.Errorf("rights: %s: %w", name, err)
		}
	}
	return nil
}

// readLog reads one log. Its last line may be cut short: an API server that is killed does not
// finish it.
func readLog(name string, f func(request)) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		for _, r := range e.requests() {
			f(r)
		}
	}
}
