package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAdminPaths(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "tlim_probe"}))
	var state health
	h := adminHandler(reg, func(ctx context.Context) health {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("/readyz may hang for ever")
		}
		state.conclude()
		return state
	})
	get := func(path string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		return rec
	}
	for path, want := range map[string]string{"/metrics": "tlim_probe 0", "/healthz": "ok", "/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile"} {
		if rec := get(path); rec.Code != 200 || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	if rec := get("/"); rec.Code != 404 {
		t.Errorf("/: %d", rec.Code)
	}

	state.Link, state.Database, state.Messages = part{Text: "link: port <5275> refused"}, part{OK: true}, part{Text: "messages: replaying"}
	rec := get("/readyz")
	var got health
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if rec.Code != 503 || got.Ready || strings.Join(got.Reasons, "; ") != "link: port <5275> refused; messages: replaying" {
		t.Errorf("%d %+v", rec.Code, got)
	}
	state.Link, state.Messages = part{OK: true}, part{OK: true}
	if rec := get("/readyz"); rec.Code != 200 || !strings.Contains(rec.Body.String(), `"ready": true`) {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}
