package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/lintel-lb/lintel/internal/plan"
)

// planReport is what `plan` says.
type planReport struct {
	// Files are the objects of the files.
	Files []planned `json:"files"`
	// Ignored are objects of other kinds.
	Ignored []string `json:"ignored,omitempty"`
	*plan.Result
	Sessions []sessionChange `json:"sessions,omitempty"`
	// Silent are nodes whose speaker cannot be asked, with the reason.
	Silent []string `json:"silent,omitempty"`
}

// differs tells whether anything would be written or be otherwise.
func (r *planReport) differs() bool {
	for _, f := range r.Files {
		if f.changes() {
			return true
		}
	}
	return !r.Empty() || len(r.Sessions) > 0
}

func (r *planReport) print(out io.Writer) error {
	w := &errWriter{w: out}
	for _, f := range r.Files {
		where := f.Name
		if f.Namespace != "" {
			where = f.Namespace + "/" + f.Name
		}
		w.printf("%s: %s %s", f.Action, f.Kind, where)
		if f.Message != "" {
			w.printf(": %s", f.Message)
		}
		w.printf("\n")
	}
	for _, o := range r.Objects {
		if o.Will == nil {
			continue
		}
		switch {
		case !o.Will.Accepted:
			w.printf("refused (%s): %s: %s\n", o.Will.Reason, o.Object, o.Will.Message)
		case o.Was != nil && !o.Was.Accepted:
			w.printf("accepted from then on: %s\n", o.Object)
		}
		for _, text := range o.Will.Warnings {
			w.printf("remark on %s: %s\n", o.Object, text)
		}
	}
	if !r.differs() {
		w.printf("\nNothing would change.\n")
	}
	r.printServices(w)
	r.printAnnouncements(w)
	r.printSessions(w)
	for _, k := range r.Unknown {
		w.printf("\nunknown: who announces %s depends on its endpoints, which do not exist yet\n", k)
	}
	for _, k := range r.Due {
		w.printf("\nnot settled: the status of %s is not yet what it should be; that is what it is taken to have now\n", k)
	}
	for _, s := range r.Silent {
		w.printf("\nnot asked: node %s; for layer 2 it counts as dead, and for BGP as doing what it should\n", s)
	}
	if len(r.Ignored) > 0 {
		w.printf("\nnot looked at: %s\n", strings.Join(r.Ignored, ", "))
	}
	return w.err
}

// table prints rows under a headline.
func table(w *errWriter, headline string, rows [][]string) {
	if len(rows) == 0 || w.err != nil {
		return
	}
	tab := tabwriter.NewWriter(w.w, 0, 0, 2, ' ', 0)
	t := &errWriter{w: tab}
	t.printf("\n%s\n", headline)
	for _, row := range rows {
		t.printf("%s\n", strings.Join(row, "\t"))
	}
	if t.err == nil {
		t.err = tab.Flush()
	}
	w.err = t.err
}

func (r *planReport) printServices(w *errWriter) {
	var rows [][]string
	for _, s := range r.Services {
		why := ""
		if s.Will != nil && s.Will.Message != "" {
			why = fmt.Sprintf("%s: %s", s.Will.Reason, s.Will.Message)
		}
		rows = append(rows, []string{s.Service.String(), assignmentText(s.Was), assignmentText(s.Will), why})
	}
	table(w, "SERVICE\tADDRESSES NOW\tTHEN\tWHY", rows)
	if len(r.Services) > 0 {
		w.printf("\n%d other Services keep their addresses.\n", r.Kept-r.keptAndListed())
	}
}

// keptAndListed counts the Services that keep their addresses and are listed all the same.
func (r *planReport) keptAndListed() (n int) {
	for _, s := range r.Services {
		if s.Was != nil && s.Will != nil && len(s.Was.Addresses) > 0 && join(s.Was.Addresses) == join(s.Will.Addresses) {
			n++
		}
	}
	return n
}

func assignmentText(a *plan.Assignment) string {
	switch {
	case a == nil:
		return "-"
	case len(a.Addresses) == 0:
		return "none (" + a.Reason.String() + ")"
	}
	text := join(a.Addresses)
	if a.Pool != "" {
		text += " from " + a.Pool
	}
	return text
}

func (r *planReport) printAnnouncements(w *errWriter) {
	var rows [][]string
	for _, a := range r.Announcements {
		will := announcersText(a.Will)
		if len(a.Reasons) > 0 {
			texts := make([]string, len(a.Reasons))
			for i, reason := range a.Reasons {
				texts[i] = reason.String()
			}
			will += " (" + strings.Join(texts, ", ") + ")"
		}
		rows = append(rows, []string{a.Address.String(), a.Protocol.String(), a.Service.String(), announcersText(a.Was), will})
	}
	table(w, "ADDRESS\tPROTOCOL\tSERVICE\tANNOUNCED NOW BY\tTHEN BY", rows)
}

// announcersText joins nodes that do the same, as they do by BGP.
func announcersText(list []plan.Announcer) string {
	if len(list) == 0 {
		return "nobody"
	}
	var order []string
	nodes := map[string][]string{}
	for _, a := range list {
		does := strings.TrimPrefix(a.String(), a.Node)
		if nodes[does] == nil {
			order = append(order, does)
		}
		nodes[does] = append(nodes[does], a.Node)
	}
	for i, does := range order {
		order[i] = strings.Join(nodes[does], ", ") + does
	}
	return strings.Join(order, "; ")
}

func (r *planReport) printSessions(w *errWriter) {
	var rows [][]string
	for _, s := range r.Sessions {
		peer := s.Peer
		if s.Network != nil {
			peer += ", routers of " + s.Network.String()
		}
		rows = append(rows, []string{peer, s.Change, strings.Join(s.Nodes, ", "), strings.Join(s.Fields, ", ")})
	}
	table(w, "BGPPEER\tSESSION\tNODES\tBECAUSE OF", rows)
}
