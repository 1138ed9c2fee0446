package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/httpapi"
)

func TestAdminPaths(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "tlim_probe"}))
	var state health
	h := adminHandler(reg, func(ctx context.Context) health {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("/readyz may hang for ever, want a deadline")
		}
		state.conclude()
		return state
	}, httpapi.Chinese)
	get := func(path string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		return rec
	}
	for path, want := range map[string]string{"/metrics": "tlim_probe 0", "/healthz": "ok", "/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile"} {
		t.Run(path, func(t *testing.T) {
			if rec := get(path); rec.Code != 200 || !strings.Contains(rec.Body.String(), want) {
				t.Errorf("got %d %s, want 200 with %q in the body", rec.Code, rec.Body, want)
			}
		})
	}
	if rec := get("/"); rec.Code != 404 {
		t.Errorf("/: got %d, want 404", rec.Code)
	}

	state.Link, state.Database, state.Messages = partState{Text: "link: port <5275> refused"}, partState{OK: true}, partState{Text: "messages: replaying"}
	rec := get("/readyz?language=en")
	var got health
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if rec.Code != 503 || got.Ready || strings.Join(got.Reasons, "; ") != "link: port <5275> refused; messages: replaying" {
		t.Errorf(`got %d %+v, want 503, not ready because of "link: port <5275> refused; messages: replaying"`, rec.Code, got)
	}
	// In the language of the site, unless another one is asked for; what programs read stays.
	state.Link.State, state.Messages.State = "refused", "waiting"
	state.Warnings = []string{"ofmessage has no index on (msg_time): reads of it take longer the more rows there are"}
	var zh health
	if rec := get("/readyz"); rec.Code != 503 || json.Unmarshal(rec.Body.Bytes(), &zh) != nil || zh.Link.State != "refused" || len(zh.Reasons) != 2 || zh.Reasons[0] != zh.Link.Text ||
		!strings.HasPrefix(zh.Link.Text, "XMPP 服务器拒绝连接") || !strings.Contains(zh.Link.Text, "<5275>") || !strings.HasPrefix(zh.Reasons[1], "消息暂时不能存储或投递") ||
		len(zh.Warnings) != 1 || zh.Warnings[0] != "ofmessage 没有 (msg_time) 的索引：行数越多，读取越慢" {
		t.Errorf("in Chinese: got %d %+v, want both reasons and the warning in Chinese, and the states as they are", rec.Code, zh)
	}
	if rec := get("/readyz?language=fr"); rec.Code != 400 {
		t.Errorf("in French: got %d, want 400", rec.Code)
	}
	state.Link, state.Messages = partState{OK: true}, partState{OK: true}
	if rec := get("/readyz"); rec.Code != 200 || !strings.Contains(rec.Body.String(), `"ready": true`) {
		t.Errorf("got %d %s, want 200 with %q in the body", rec.Code, rec.Body, `"ready": true`)
	}
}

// alarmed is a series of an alarm in deploy/README.md: its name, and the one label that it asks for, if any.
var alarmed = regexp.MustCompile(`(tlim_\w+)(?:\{(\w+)=~?"([^"]+)"\})?`)

// TestAlarmsSeeTheFirstEvent: every series that the guide alarms on is there from the start. An increase from nothing to 1 is
// none to Prometheus.
func TestAlarmsSeeTheFirstEvent(t *testing.T) {
	cfg := unlinked(t, t.TempDir(), "push: {webhook: {url: 'http://127.0.0.1:1/', secret: 0123456789abcdef}}\n")
	cfg.XMPP.Copies = true
	app := New(cfg, slog.New(slog.DiscardHandler))
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	families, err := app.registry.Gather()
	if err := errors.Join(err, app.Stop(10*time.Second)); err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			have[f.GetName()] = true
			for _, l := range m.GetLabel() {
				have[f.GetName()+" "+l.GetName()+" "+l.GetValue()] = true
			}
		}
	}
	_, table, found := strings.Cut(readText(t, "../../deploy/README.md"), "| alarm on | because |")
	table, _, ended := strings.Cut(strings.ReplaceAll(table, `\|`, "|"), "\n\n")
	series := 0
	for line := range strings.Lines(table) {
		_, rest, _ := strings.Cut(line, "`")
		expression, _, _ := strings.Cut(rest, "`")
		for _, m := range alarmed.FindAllStringSubmatch(expression, -1) {
			series++
			name, label := m[1], m[2]
			if name == "tlim_http_requests_total" || strings.HasPrefix(name, "tlim_events_") { // series of calls that came; only with events.webhook
				continue
			}
			for value := range strings.SplitSeq(m[3], "|") {
				want := name
				if label != "" {
					want += " " + label + " " + value
				}
				if !have[want] {
					t.Errorf("got no series %q, want it", want)
				}
			}
		}
	}
	if !found || !ended || series < 20 {
		t.Errorf("the guide's table of alarms is not where it was: %d series, want found, ended, series at least 20", series)
	}
}
