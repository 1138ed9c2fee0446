package push

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"tlim/component/events"
)

func TestEventHook(t *testing.T) {
	const secret = "0123456789abcdef"
	now := time.Unix(1_700_000_000, 0)
	var reached atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer elsewhere.Close()
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		later  bool
		wait   time.Duration
		err    string
	}{
		"taken":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, false, 0, ""},
		"an error":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, false, 0, "status 500"},
		"a key":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, false, 0, "status 401"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }, false, 0, "status 302"},
		"too many": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		}, true, 7 * time.Second, "status 429"},
		"maintenance": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, true, 0, "status 503"},
		"100 MB": {func(w http.ResponseWriter, _ *http.Request) {
			for chunk, i := make([]byte, 1<<20), 0; i < 100; i++ {
				if _, err := w.Write(chunk); err != nil {
					return // the caller has read enough
				}
			}
		}, false, 0, ""},
		"cut off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, 0, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if got, want := r.Header.Get(HeaderSignature), Sign(secret, "1700000000", body); got != want || r.Header.Get(HeaderID) != "call" || string(body) != `{"x":1}` {
					t.Errorf("got %s, signed %s, want it signed %s", body, got, want)
				}
				c.answer(w, r)
			}))
			defer server.Close()
			h := NewEventHook(WebhookConfig{URL: server.URL, Secret: secret, Now: func() time.Time { return now }})
			err := h.Post(t.Context(), "call", []byte(`{"x":1}`))
			got, text := &events.Failure{}, ""
			if errors.As(err, &got) {
				text = got.Error()
			}
			if got.Away || got.Later != c.later || got.Wait != c.wait || text != c.err {
				t.Errorf("got %+v, want later %v, wait %v, %q", got, c.later, c.wait, c.err)
			}
		})
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("a redirect was followed %d times, want never", n)
	}

	// Nobody there, and one who never answers until the stop.
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var failure *events.Failure
	if err := NewEventHook(WebhookConfig{URL: gone.URL}).Post(t.Context(), "call", nil); !errors.As(err, &failure) || !failure.Away {
		t.Errorf("nobody listens: got %v, want that they are away", err)
	}
	asked := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		close(asked)
		<-r.Context().Done()
	}))
	defer hanging.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if err := NewEventHook(WebhookConfig{URL: hanging.URL}).Post(ctx, "call", nil); !errors.As(err, &failure) || failure.Away {
		t.Errorf("a hanging one: got %v, want an error that is not its absence", err)
	}
}
