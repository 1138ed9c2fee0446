package shadow

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Report is the document of --json.
type Report struct {
	Final              bool         `json:"final"`          // false: it goes on
	Began              time.Time    `json:"began,omitzero"` // of the copies; left out: there were none
	Until              time.Time    `json:"until"`
	Copies             int          `json:"copies"` // packet copies of messages that clients sent
	LinkLosses         int          `json:"link_losses"`
	Waiting            int          `json:"waiting"` // messages that wait for the plugin's rows
	Messages           Compared     `json:"messages"`
	OfflineMessages    Compared     `json:"offline_messages"` // of one owner each
	Explained          int          `json:"explained"`        // differences that a rule makes
	Unexplained        int          `json:"unexplained"`
	Differences        []Difference `json:"differences"`
	MissingInTable     int          `json:"missing_in_table"`     // messages of which there is a copy, and no row
	MissingAmongCopies int          `json:"missing_among_copies"` // messages of which there is a row, and no copy
	Uncopied           []Example    `json:"uncopied"`
	NotCompared        int          `json:"not_compared"`
	Reasons            []Reason     `json:"reasons"`
}

// Compared counts.
type Compared struct {
	Compared int `json:"compared"`
	Same     int `json:"same"`
}

// Difference is one kind of difference.
type Difference struct {
	What     string    `json:"what"`
	Rule     Rule      `json:"rule"` // a heading of component/PROTOCOL.md; "": none explains it
	Count    int       `json:"count"`
	Examples []Example `json:"examples"`
}

// Example names a message. It holds nothing that people wrote.
type Example struct {
	MsgID  string `json:"msg_id"`
	Detail string `json:"detail,omitempty"`
}

// Reason says why something was not compared.
type Reason struct {
	Reason   string   `json:"reason"`
	Count    int      `json:"count"`
	Examples []string `json:"examples"`
}

// maxExamples of each kind are named: all of the unexplained ones that anybody would look at.
const maxExamples = 50

// tally counts. The Comparison holds its lock.
type tally struct {
	metrics        *metrics
	messages, rows Compared
	missing        int
	differences    map[[2]string]*Difference
	reasons        map[string]*Reason
	lost           []Example
	lostCount      int
}

// Metrics are what a shadow run adds to /metrics.
type Metrics struct{ metrics *metrics }

type metrics struct {
	compared, differences, not *prometheus.CounterVec
	uncopied                   prometheus.Counter
}

// NewMetrics registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{&metrics{
		compared:    f.NewCounterVec(prometheus.CounterOpts{Name: "tlim_shadow_compared_total", Help: "What a shadow run has compared: messages, and offline messages of one owner."}, []string{"of", "same"}),
		differences: f.NewCounterVec(prometheus.CounterOpts{Name: "tlim_shadow_differences_total", Help: "Differences between the old plugin's rows and tlim's, by the heading of PROTOCOL.md that explains them."}, []string{"what", "rule"}),
		not:         f.NewCounterVec(prometheus.CounterOpts{Name: "tlim_shadow_not_compared_total", Help: "What a shadow run could not compare, and why."}, []string{"reason"}),
		uncopied:    f.NewCounter(prometheus.CounterOpts{Name: "tlim_shadow_missing_copies_total", Help: "Messages in the table of which no packet copy came."}),
	}}
}

func newTally(m *metrics) tally {
	return tally{metrics: m, differences: map[[2]string]*Difference{}, reasons: map[string]*Reason{}}
}

func (t *tally) not(reason string, n int, example string) {
	r := t.reasons[reason]
	if r == nil {
		r = &Reason{Reason: reason}
		t.reasons[reason] = r
	}
	r.Count += n
	if example != "" && len(r.Examples) < maxExamples {
		r.Examples = append(r.Examples, example)
	}
	t.metrics.not.WithLabelValues(reason).Add(float64(n))
}

func (t *tally) uncopied(id, detail string) {
	t.lostCount++
	if len(t.lost) < maxExamples {
		t.lost = append(t.lost, Example{id, detail})
	}
	t.metrics.uncopied.Inc()
}

func (t *tally) differ(m *message, f finding) {
	if f.not != "" {
		t.not(f.not, 1, strings.TrimSpace(m.id+" "+f.detail))
		return
	}
	key := [2]string{f.what, string(f.rule)}
	d := t.differences[key]
	if d == nil {
		d = &Difference{What: f.what, Rule: f.rule}
		t.differences[key] = d
	}
	d.Count++
	if len(d.Examples) < maxExamples {
		d.Examples = append(d.Examples, Example{m.id, f.detail})
	}
	t.metrics.differences.WithLabelValues(f.what, string(f.rule)).Inc()
	if f.what == MessageMissing {
		t.missing++
	}
}

func (t *tally) message(m *message, list []finding) {
	for _, f := range list {
		t.differ(m, f)
	}
	if m.copies == 0 || slices.ContainsFunc(list, func(f finding) bool { return f.not != "" }) {
		return
	}
	t.messages.Compared++
	t.metrics.compared.WithLabelValues("message", yes(len(list) == 0)).Inc()
	if len(list) == 0 {
		t.messages.Same++
	}
}

func (t *tally) queue(m *message, owners int, list []finding) {
	for _, f := range list {
		t.differ(m, f)
		if f.not != "" {
			owners--
			continue
		}
		t.metrics.compared.WithLabelValues("offline message", yes(false)).Inc()
		t.rows.Compared++
		owners--
	}
	t.metrics.compared.WithLabelValues("offline message", yes(true)).Add(float64(owners))
	t.rows.Compared += owners
	t.rows.Same += owners
}

func yes(same bool) string {
	if same {
		return "yes"
	}
	return "no"
}

// Report says what was found until now.
func (c *Comparison) Report(final bool) Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.tally
	r := Report{Final: final, Began: c.began, Until: c.now(), Copies: c.taken, LinkLosses: c.losses, Waiting: len(c.open), Messages: t.messages, OfflineMessages: t.rows,
		Differences: []Difference{}, MissingInTable: t.missing, MissingAmongCopies: t.lostCount, Uncopied: append([]Example{}, t.lost...), Reasons: []Reason{}}
	for _, d := range t.differences {
		if d.Rule == Unexplained {
			r.Unexplained += d.Count
		} else {
			r.Explained += d.Count
		}
		one := *d
		one.Examples = slices.Clone(d.Examples)
		r.Differences = append(r.Differences, one)
	}
	slices.SortFunc(r.Differences, func(a, b Difference) int {
		return cmp.Or(strings.Compare(yes(a.Rule != Unexplained), yes(b.Rule != Unexplained)), strings.Compare(a.What, b.What), strings.Compare(string(a.Rule), string(b.Rule)))
	})
	for _, reason := range t.reasons {
		r.NotCompared += reason.Count
		one := *reason
		one.Examples = append([]string{}, reason.Examples...)
		r.Reasons = append(r.Reasons, one)
	}
	slices.SortFunc(r.Reasons, func(a, b Reason) int { return strings.Compare(a.Reason, b.Reason) })
	return r
}

// maxPrintedExamples of each kind stand in the text; --json has more.
const maxPrintedExamples = 3

// Print writes lines for people.
func (r Report) Print(out io.Writer) error {
	var b strings.Builder
	if r.Began.IsZero() {
		fmt.Fprintf(&b, "the server has handed out no packet copies until %s\n", r.Until.Format(time.DateTime))
	} else {
		fmt.Fprintf(&b, "compared from %s to %s, on %d packet copies\n", r.Began.Format(time.DateTime), r.Until.Format(time.DateTime), r.Copies)
	}
	fmt.Fprintf(&b, "messages: %d compared, %d the same\n", r.Messages.Compared, r.Messages.Same)
	fmt.Fprintf(&b, "offline messages: %d compared, %d the same\n", r.OfflineMessages.Compared, r.OfflineMessages.Same)
	fmt.Fprintf(&b, "differences: %d unexplained, %d explained by rules of component/PROTOCOL.md\n", r.Unexplained, r.Explained)
	for _, d := range r.Differences {
		why := "UNEXPLAINED"
		if d.Rule != Unexplained {
			why = "rule: " + string(d.Rule)
		}
		fmt.Fprintf(&b, "  %d x %s (%s)%s\n", d.Count, d.What, why, some(d.Examples))
	}
	fmt.Fprintf(&b, "missing in the table: %d, missing among the copies: %d%s\n", r.MissingInTable, r.MissingAmongCopies, some(r.Uncopied))
	fmt.Fprintf(&b, "not compared: %d\n", r.NotCompared)
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, "  %d: %s\n", reason.Count, reason.Reason)
	}
	if r.Waiting > 0 {
		fmt.Fprintf(&b, "waiting for the plugin's rows: %d\n", r.Waiting)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func some(list []Example) string {
	if len(list) == 0 {
		return ""
	}
	var texts []string
	for _, e := range list[:min(len(list), maxPrintedExamples)] {
		texts = append(texts, strings.TrimSpace(e.MsgID+" "+e.Detail))
	}
	return ", as " + strings.Join(texts, "; ")
}
