package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"
)

// described are the labels of every metric that a process can have, by name.
func described(t *testing.T) map[string][]string {
	t.Helper()
	cfg := unlinked(t, t.TempDir(), "push: {webhook: {url: 'http://127.0.0.1:1/', secret: 0123456789abcdef}}\nevents: {webhook: {url: 'http://127.0.0.1:1/', secret: 0123456789abcdef}}\n")
	cfg.XMPP.Copies = true
	app := New(cfg, slog.New(slog.DiscardHandler))
	if err := errors.Join(app.Start(t.Context()), app.Stop(10*time.Second)); err != nil {
		t.Fatal(err)
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		app.registry.Describe(descriptions)
		close(descriptions)
	}()
	labels := map[string][]string{"up": nil} // Prometheus' own
	for d := range descriptions {
		m := descPattern.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("got %s, want a description", d)
		}
		names := strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' || r == ' ' })
		for _, pair := range labelPattern.FindAllStringSubmatch(m[2], -1) {
			names = append(names, pair[1])
		}
		labels[m[1]] = names
	}
	return labels
}

var (
	descPattern  = regexp.MustCompile(`^Desc\{fqName: "(\w+)", help: ".*", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
	labelPattern = regexp.MustCompile(`(\w+)="`)
	tokenPattern = regexp.MustCompile(`^(?:\s+|"[^"\\]*"|\[(?:\d+[smhd]|\$__rate_interval)\]|\d+(?:\.\d+)?|\w+|=~|!~|!=|==|>=|<=|[-+*/<>=(){},])`)
)

// promql reads the part of PromQL that the files of deploy use, strictly: functions, aggregations, selectors whose metric and labels
// are known, arithmetic and comparisons.
type promql struct {
	tokens []string
	known  map[string][]string
	used   []string
}

// checkPromQL returns the metrics of an expression, and what is wrong with it.
func checkPromQL(text string, known map[string][]string) ([]string, error) {
	p := &promql{known: known}
	for rest := text; rest != ""; {
		token := tokenPattern.FindString(rest)
		if token == "" {
			return nil, fmt.Errorf("%q is not understood", rest)
		}
		rest = rest[len(token):]
		if strings.TrimSpace(token) != "" {
			p.tokens = append(p.tokens, token)
		}
	}
	if err := p.expression(); err != nil {
		return nil, err
	}
	if len(p.tokens) > 0 {
		return nil, fmt.Errorf("%q is too much", p.tokens)
	}
	return p.used, nil
}

func (p *promql) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return token
}

func (p *promql) peek(words ...string) bool {
	return len(p.tokens) > 0 && slices.Contains(words, p.tokens[0])
}

func (p *promql) want(word string) error {
	if got := p.next(); got != word {
		return fmt.Errorf("got %q, want %q", got, word)
	}
	return nil
}

func (p *promql) expression() error {
	for {
		if err := p.operand(); err != nil {
			return err
		}
		if !p.peek("+", "-", "*", "/", ">", "<", ">=", "<=", "==", "!=", "and", "or", "unless") {
			return nil
		}
		p.next()
		if p.peek("on", "ignoring") {
			p.next()
			if err := p.labels(); err != nil {
				return err
			}
		}
	}
}

var (
	rangeFunctions   = []string{"rate", "increase", "max_over_time", "deriv"}
	instantFunctions = []string{"histogram_quantile", "absent"}
	aggregations     = []string{"sum", "min", "max", "topk"}
)

func (p *promql) operand() error {
	token := p.next()
	switch {
	case token == "":
		return errors.New("ends where something is expected")
	case token[0] >= '0' && token[0] <= '9':
		return nil
	case token == "(":
		return errors.Join(p.expression(), p.want(")"))
	case token == "time":
		return errors.Join(p.want("("), p.want(")"))
	case slices.Contains(rangeFunctions, token):
		return errors.Join(p.want("("), p.selector(p.next(), true), p.want(")"))
	case slices.Contains(aggregations, token) && p.peek("by", "without"):
		p.next()
		if err := p.labels(); err != nil {
			return err
		}
		return p.arguments()
	case slices.Contains(aggregations, token), slices.Contains(instantFunctions, token):
		return p.arguments()
	}
	return p.selector(token, false)
}

func (p *promql) arguments() error {
	if err := errors.Join(p.want("("), p.expression()); err != nil {
		return err
	}
	for p.peek(",") {
		p.next()
		if err := p.expression(); err != nil {
			return err
		}
	}
	return p.want(")")
}

// labels reads a list of labels that some metric has.
func (p *promql) labels() error {
	if err := p.want("("); err != nil {
		return err
	}
	for {
		name := p.next()
		found := slices.Contains([]string{"job", "instance", "le"}, name)
		for _, labels := range p.known {
			found = found || slices.Contains(labels, name)
		}
		if !found {
			return fmt.Errorf("no metric has the label %q", name)
		}
		if !p.peek(",") {
			return p.want(")")
		}
		p.next()
	}
}

func (p *promql) selector(name string, ranged bool) error {
	metric := name
	if base := strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count"); strings.HasSuffix(base, "_seconds") {
		metric = base // of a histogram
	}
	labels, found := p.known[metric]
	if !found {
		return fmt.Errorf("there is no metric %q", name)
	}
	p.used = append(p.used, metric)
	if p.peek("{") {
		for p.peek("{", ",") {
			p.next()
			label, sign, value := p.next(), p.next(), p.next()
			if !slices.Contains(labels, label) && label != "job" && label != "instance" {
				return fmt.Errorf("%s has no label %q", name, label)
			}
			if !slices.Contains([]string{"=", "!=", "=~", "!~"}, sign) || !strings.HasPrefix(value, `"`) {
				return fmt.Errorf("%s: %s%s%s is no matcher", name, label, sign, value)
			}
		}
		if err := p.want("}"); err != nil {
			return err
		}
	}
	if isRange := len(p.tokens) > 0 && p.tokens[0][0] == '['; isRange != ranged {
		return fmt.Errorf("%s: has a range %v, want %v", name, isRange, ranged)
	} else if isRange {
		p.next()
	}
	return nil
}

func TestPromQLCheckRefuses(t *testing.T) {
	known := map[string][]string{"a_total": {"what"}, "b_seconds": nil}
	for _, good := range []string{`rate(a_total{what="x"}[5m]) > 0`, `sum by (what) (rate(a_total[5m])) / 2`, `histogram_quantile(0.9, sum by (le) (rate(b_seconds_bucket[5m])))`} {
		t.Run(good, func(t *testing.T) {
			if _, err := checkPromQL(good, known); err != nil {
				t.Errorf("%s: got %v, want it taken", good, err)
			}
		})
	}
	for _, bad := range []string{"", "c_total", `a_total{which="x"}`, `rate(a_total)`, `a_total[5m]`, `rate(a_total[5m]`, `a_total >`, `a_total a_total`, `sum by (which) (a_total)`, `a_total{what=x}`, `rote(a_total[5m])`, `a_total{what="x}`, `rate(a_total[5 minutes])`} {
		t.Run(fmt.Sprintf("%q", bad), func(t *testing.T) {
			if _, err := checkPromQL(bad, known); err == nil {
				t.Errorf("%q: was taken, want it refused", bad)
			}
		})
	}
}

// Every rule of alerts.yaml can fire, and says what to do; what the guide alarms on has a rule.
func TestAlertRules(t *testing.T) {
	known := described(t)
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				For         string            `yaml:"for"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	decoder := yaml.NewDecoder(strings.NewReader(readText(t, "../../deploy/alerts.yaml")))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	names, ruled := map[string]bool{}, map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if used, err := checkPromQL(r.Expr, known); err != nil {
				t.Errorf("%s: %s: got %v, want an expression that Prometheus takes", r.Alert, r.Expr, err)
			} else {
				for _, name := range used {
					ruled[name] = true
				}
			}
			if r.For != "" {
				if _, err := time.ParseDuration(r.For); err != nil {
					t.Errorf("%s: for: got %v, want a length of time", r.Alert, err)
				}
			}
			if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) || r.Annotations["summary"] == "" ||
				!strings.HasSuffix(r.Annotations["description"], ".") || r.Alert == "" || names[r.Alert] {
				t.Errorf("%q: got %v, %v, want a name of its own, a severity, a summary and a description", r.Alert, r.Labels, r.Annotations)
			}
			names[r.Alert] = true
		}
	}
	_, table, _ := strings.Cut(readText(t, "../../deploy/README.md"), "| alarm on | because |")
	table, _, _ = strings.Cut(table, "\n\n")
	advised := 0
	for line := range strings.Lines(table) {
		_, rest, _ := strings.Cut(line, "`")
		expression, _, _ := strings.Cut(rest, "`")
		for _, m := range alarmed.FindAllStringSubmatch(expression, -1) {
			if advised++; !ruled[m[1]] {
				t.Errorf("got %s in the guide alone, want a rule that alarms on it", m[1])
			}
		}
	}
	if advised < 20 {
		t.Errorf("got %d alarms in the guide, want at least 20", advised)
	}
}

// Every panel of the dashboard shows something that there is, and none lies on another.
func TestGrafanaDashboard(t *testing.T) {
	known := described(t)
	type datasource struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	}
	var board struct {
		Title         string `json:"title"`
		UID           string `json:"uid"`
		SchemaVersion int    `json:"schemaVersion"`
		Panels        []struct {
			ID         int        `json:"id"`
			Type       string     `json:"type"`
			Title      string     `json:"title"`
			Datasource datasource `json:"datasource"`
			GridPos    struct{ H, W, X, Y int }
			Targets    []struct {
				RefID string `json:"refId"`
				Expr  string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.NewDecoder(bytes.NewReader([]byte(readText(t, "../../deploy/grafana.json")))).Decode(&board); err != nil {
		t.Fatal(err)
	}
	if board.Title == "" || board.UID == "" || board.SchemaVersion < 30 || len(board.Panels) < 20 {
		t.Errorf("got %q, %q, schema %d, %d panels, want a dashboard", board.Title, board.UID, board.SchemaVersion, len(board.Panels))
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range board.Panels {
		if p.ID == 0 || ids[p.ID] || p.Title == "" || !slices.Contains([]string{"row", "stat", "timeseries"}, p.Type) {
			t.Errorf("panel %d %q: want an id of its own, a title and a type", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("got %q on %q, in column %d, want a place of its own in the columns 0 to 23", p.Title, other, x)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if (p.Datasource != datasource{"prometheus", "${datasource}"}) || len(p.Targets) == 0 {
			t.Errorf("%q: got %v and %d targets, want the chosen data source and a target", p.Title, p.Datasource, len(p.Targets))
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if _, err := checkPromQL(target.Expr, known); err != nil || target.RefID == "" || refs[target.RefID] {
				t.Errorf("%q: got %s (%q), %v, want an expression that Prometheus takes, with an id of its own", p.Title, target.Expr, target.RefID, err)
			}
			refs[target.RefID] = true
		}
	}
}
