package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
)

// serve is the way of every call to rt.
func (a *API) serve(rt *route) http.HandlerFunc { return a.serveBy(rt, a.call) }

// serveBy is the way of every call to rt, of which call brings the request to its handler.
func (a *API) serveBy(rt *route, call func(http.ResponseWriter, *http.Request, *route, *request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := a.cfg.Clock()
		out := a.responder(w)
		req := &request{http: r, form: form{}, ctx: r.Context(), canonicalID: a.svc.CanonicalID, release: func() {}, leave: func() {}, charge: func(int) {}, asked: a.asked, path: rt.path}
		defer func() {
			req.release()
			req.leave()
			noteCaller(r.Context(), req.caller)
			a.metrics.seen(rt.path, out.status, req.caller.name, a.cfg.Clock().Sub(start))
			a.log.LogAttrs(r.Context(), slog.LevelDebug, "http call", slog.String("endpoint", rt.path), slog.Int("status", out.status),
				slog.String("caller", req.caller.name), slog.Duration("took", a.cfg.Clock().Sub(start)), slog.Any("parameters", req.form))
		}()
		defer func() {
			if thrown := recover(); thrown != nil {
				a.recovered(thrown, rt, out, req.form.first("session_id"))
			}
		}()
		a.commonHeaders(w, r)

		value, err := call(w, r, rt, req)
		if err == nil {
			out.payer = req.payer
			err = out.answer(value)
		}
		if err != nil {
			a.fail(r.Context(), out, rt, req, err)
		}
	}
}

// call brings a request to its handler and returns what that says.
func (a *API) call(w http.ResponseWriter, r *http.Request, rt *route, req *request) (any, error) {
	// 1. Parameters and caller: the key may be in the head, in the URL or in the body, and is looked at as early as it is there.
	if err := req.form.add(r.URL.RawQuery); err != nil {
		return nil, err
	}
	known := false
	identify := func() (err error) {
		if secret := credential(r, req.form); secret != "" && !known {
			known = true
			req.caller, err = a.identify(r, secret, rt)
		}
		if err != nil {
			return err
		}
		return a.enter(req, rt)
	}
	if err := identify(); err != nil {
		return nil, err
	}
	if r.Method == http.MethodPost {
		if err := a.readBody(w, r, rt, req); err != nil {
			return nil, err
		}
	}
	if err := identify(); err != nil {
		return nil, err
	}
	twice := req.form.once(accessToken.name)
	delete(req.form, accessToken.name) // from here on nothing can show it
	if twice != nil {
		return nil, twice
	}
	if !known {
		req.caller = a.anonymous(r)
	}

	// 2. Rights.
	if err := a.allow(r, rt, req.caller); err != nil {
		if rt.postOnly() && req.caller.keyed && req.caller.user == "" {
			a.auditRefusal(req.reading(r.Context()), a.event(req, rt.path, "", ""), err)
		}
		return nil, err
	}
	if err := req.once(described[rt.path]); err != nil {
		return nil, err
	}

	// 3. The handler, with a slot and a time. Writing its answer takes no slot; a streamed one reads on under times of its own.
	slot, err := a.inflight.take(req.payer, 0)
	if err != nil {
		return nil, err
	}
	req.release() // its body's
	req.release = func() {}
	a.metrics.inflight.Inc()
	defer func() {
		a.metrics.inflight.Dec()
		slot()
	}()
	ctx, cancel := context.WithTimeout(req.reading(r.Context()), a.cfg.Limits.WorkTime)
	defer cancel()
	req.ctx = ctx
	req.charge = func(weight int) { a.charge(req.caller, weight) }
	if rt.effect == writes {
		turn, err := a.turns.wait(ctx, req.payer.name, req.payer.writes)
		if err != nil {
			return nil, err
		}
		defer turn()
	}
	if req.caller.user != "" {
		for _, rule := range rt.callers.user {
			if err := rule.may(ctx, a, rt, req); err != nil {
				return nil, err
			}
		}
	}
	value, err := rt.handle(ctx, req)
	if s, ok := value.(*stream); ok && err == nil {
		s.ctx, s.pageTime = req.reading(r.Context()), a.cfg.Limits.WorkTime
		s.pay = func(ctx context.Context, weight int) error { return a.pay(ctx, req.caller, weight) }
		s.turn = func(ctx context.Context) (func(), error) { return a.turns.wait(ctx, req.payer.name, req.payer.writes) }
	}
	return value, err
}

// fail answers with an error, and logs it when it is a fault of ours.
func (a *API) fail(ctx context.Context, out *responder, rt *route, req *request, err error) {
	f := failureOf(err)
	switch {
	case errors.Is(err, errWrite), ctx.Err() != nil:
		a.log.Debug("an HTTP caller went away", "endpoint", rt.path)
	case f.status == http.StatusInternalServerError:
		a.log.Error("an HTTP call failed", "endpoint", rt.path, "error", err)
	case f.status == http.StatusServiceUnavailable:
		a.log.Debug("an HTTP call has to be repeated", "endpoint", rt.path, "error", err)
	}
	out.failure(f, rt, req.form.first("session_id"))
}

// recovered turns a panic into a 500. What was thrown may hold a caller's data: only runtime errors, which do not, are
// logged as they are.
func (a *API) recovered(thrown any, rt *route, out *responder, sessionID string) {
	if err, ok := thrown.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(thrown)
	}
	what := fmt.Sprintf("%T", thrown)
	if err, ok := thrown.(runtime.Error); ok {
		what = err.Error()
	}
	a.log.Error("an HTTP handler panicked", "endpoint", rt.path, "panic", what, "stack", string(debug.Stack()))
	if out.status != 0 {
		panic(http.ErrAbortHandler) // part of an answer is out: cutting it is the only way to say so
	}
	out.failure(&failure{status: http.StatusInternalServerError, result: resultFail, text: textFault}, rt, sessionID)
}

// refuse answers for a path that is no endpoint.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, f *failure) {
	a.metrics.seen("other", a.answerFailure(w, r, f), "", 0)
}

// answerFailure answers with f outside of an endpoint, and returns the status.
func (a *API) answerFailure(w http.ResponseWriter, r *http.Request, f *failure) int {
	a.commonHeaders(w, r)
	out := a.responder(w)
	out.failure(f, &route{}, "")
	return out.status
}

func (a *API) commonHeaders(w http.ResponseWriter, r *http.Request) {
	a.allowOrigin(w, r)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}
