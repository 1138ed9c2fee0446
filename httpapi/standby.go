package httpapi

import (
	"net/http"
	"strings"
	"time"

	"tlim/component/protocol"
)

const (
	// resultStandby is the result of every call to a process that stands by.
	resultStandby protocol.Code = "standby"

	// standbyHeader marks its answers, so that a proxy may pass the call on to the other process: nothing was done.
	standbyHeader = "X-Tlim-Standby"

	standbyRetry = 2 * time.Second
)

// Stand says whether this process stands by: it answers everything with 503 then, and does nothing.
func (a *API) Stand(by bool) { a.standing.Store(by) }

// unlessStanding serves next, unless this process stands by. Who leads is not told here: callers are no operators.
func (a *API) unlessStanding(next http.Handler) http.Handler {
	refused := a.refusing(&failure{status: http.StatusServiceUnavailable, result: resultStandby, text: textStandby, retry: standbyRetry})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.standing.Load() {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set(standbyHeader, "1")
		if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
			a.standbyPage(w, r)
			return
		}
		refused.ServeHTTP(w, r)
	})
}

// standbyPage says it to people, whose browser asks again.
func (a *API) standbyPage(w http.ResponseWriter, r *http.Request) {
	a.commonHeaders(w, r)
	h := w.Header()
	h.Set("Content-Type", "text/html;charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Retry-After", "2")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`<!DOCTYPE html><html><head><meta charset="utf-8"><meta http-equiv="refresh" content="3"><title>tlim</title></head><body><p lang="zh">` +
		textStandby.zh + `</p><p lang="en">` + textStandby.en + `</p></body></html>`)) // the caller is gone when this fails
	a.metrics.seen("other", http.StatusServiceUnavailable, "", 0)
}
