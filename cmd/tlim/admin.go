package main

import (
	"context"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tlim/httpapi"
)

// health is the answer of /readyz. Ready is true when every part is; Reasons has one sentence for each that is not. Degraded says that
// something is refused or wrong although all parts are ready; Warnings has a sentence for each such thing, the worst first, and then for
// what else was found at the start.
type health struct {
	Component string `json:"component"` // whose process this is
	roleState
	Ready    bool      `json:"ready"`
	Reasons  []string  `json:"reasons"`
	Degraded bool      `json:"degraded"`
	Warnings []string  `json:"warnings"`
	Link     partState `json:"link"`     // the stream to the server
	Database partState `json:"database"` // does it answer
	Users    partState `json:"users"`    // where they come from: api, ofUser, isc or openfire
	Messages partState `json:"messages"` // are messages taken and delivered: database taken over, replay done, not stopping
}

// partState is how one part is; Text says in a sentence what is wrong and what an administrator can do.
type partState struct {
	OK    bool       `json:"ok"`
	State string     `json:"state,omitempty"` // a word for programs
	Since *time.Time `json:"since,omitempty"`
	Text  string     `json:"text,omitempty"`

	// Of the link: which server of xmpp.server it goes to, or went to last, since when, and why it left the one before. Of the database: which
	// node of several does the work.
	Server      string     `json:"server,omitempty"`
	ServerSince *time.Time `json:"server_since,omitempty"`
	Moved       string     `json:"moved,omitempty"`
}

func (h *health) conclude() {
	h.Reasons = []string{}
	if h.Warnings == nil {
		h.Warnings = []string{}
	}
	for _, p := range []partState{h.Link, h.Database, h.Messages} {
		if !p.OK && p.Text != "" {
			h.Reasons = append(h.Reasons, p.Text)
		}
	}
	h.Ready = h.Link.OK && h.Database.OK && h.Messages.OK
}

// readyTime bounds a /readyz: who asks wants to hear of a database that hangs, not to hang with it.
const readyTime = 2 * time.Second

// adminHandler serves operators: /metrics, /healthz (the process answers), /readyz (503 until every part is ready) and
// /debug/pprof. What /readyz says to people is in a language, unless another one is asked for. It has no keys, so its address is to be one that only operators reach.
func adminHandler(metrics prometheus.Gatherer, ready func(ctx context.Context) health, language httpapi.Language) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // the caller is gone when this fails
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTime)
		defer cancel()
		asked := language
		switch l := httpapi.Language(r.FormValue("language")); l {
		case httpapi.Chinese, httpapi.English:
			asked = l
		case "":
		default:
			http.Error(w, "language is zh or en", http.StatusBadRequest)
			return
		}
		h := ready(ctx)
		if asked == httpapi.Chinese {
			h = h.inChinese()
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if !h.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = printJSON(w, h) // the caller is gone when this fails
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
