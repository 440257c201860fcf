package rights

import (
	"fmt"
	"slices"
	"strings"
)

// Report says how rights and requests compare.
type Report struct {
	// Used counts the requests for each right that was used.
	Used map[Right]int
	// Unused are rights that nobody has used.
	Unused []Right
	// Missing are requests that were refused.
	Missing []Right
	// Requests is how many were looked at.
	Requests int
}

// Compare reads the audit logs in a directory. Requests of programs whose user agent has the
// prefix count: others may have accounts of the same names. Refusals count for every account that
// such a program uses, also where an installation calls it otherwise.
func Compare(granted []Right, dir, agent string) (Report, error) {
	r := Report{Used: map[Right]int{}}
	accounts := map[string]bool{}
	for _, g := range granted {
		accounts[g.Account] = true
	}
	missing := map[Right]bool{}
	err := eachRequest(dir, func(q request) {
		ours := accounts[q.Account] || !q.review && strings.HasPrefix(q.Account, serviceAccount)
		if !ours || !strings.HasPrefix(q.agent, agent) {
			return
		}
		r.Requests++
		if q.forbidden {
			q.Name = "" // a right is given by name only where there is one object
			missing[q.Right] = true
			return
		}
		for _, g := range granted {
			if g.covers(q.Right) {
				r.Used[g]++
			}
		}
	})
	if err != nil {
		return Report{}, err
	}
	for _, g := range granted {
		if r.Used[g] == 0 {
			r.Unused = append(r.Unused, g)
		}
	}
	for m := range missing {
		r.Missing = append(r.Missing, m)
	}
	byText := func(a, b Right) int { return strings.Compare(a.String(), b.String()) }
	slices.SortFunc(r.Unused, byText)
	slices.SortFunc(r.Missing, byText)
	return r, nil
}

// Err says what is wrong: rights that were not used, requests that were refused, or no requests
// at all.
func (r Report) Err() error {
	if r.Requests == 0 {
		return fmt.Errorf("rights: the audit logs hold no request of the accounts")
	}
	var b strings.Builder
	for _, u := range r.Unused {
		fmt.Fprintf(&b, "\n  granted and not used: %s", u)
	}
	for _, m := range r.Missing {
		fmt.Fprintf(&b, "\n  asked for and refused: %s", m)
	}
	if b.Len() > 0 {
		return fmt.Errorf("rights: %d unused, %d missing:%s", len(r.Unused), len(r.Missing), b.String())
	}
	return nil
}

// String lists the rights that were used, by how often.
func (r Report) String() string {
	var lines []string
	for g, n := range r.Used {
		lines = append(lines, fmt.Sprintf("%7d  %s\n", n, g))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[9:], b[9:]) })
	return strings.Join(lines, "")
}
