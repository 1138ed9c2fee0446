package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"tlim/component/protocol"
	"tlim/store"
)

// resultFail is the result of a failure that has no code in PROTOCOL.md section 8.
const resultFail protocol.Code = "fail"

// retryAfter is what a caller is told to wait when the database is away: about one reconnect.
const retryAfter = 5 * time.Second

// failure is an error as the caller sees it.
type failure struct {
	status int // HTTP; 200 for a refusal by the application, whose readers look at the JSON only
	result protocol.Code
	text   text
	args   []any
	retry  time.Duration // > 0: Retry-After
	allow  string        // Allow, of a 405

	skipped []skippedRow // when there was nobody else: whom the call named
}

// Error is the English sentence.
func (f *failure) Error() string { return f.text.in(English, f.args) }

// refusal is a failure of the application: HTTP 200.
func refusal(code protocol.Code, t text, args ...any) *failure {
	return &failure{status: http.StatusOK, result: code, text: t, args: args}
}

// badRequest is a request that cannot be read: HTTP 400.
func badRequest(t text, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, result: resultFail, text: t, args: args}
}

// forbidden is a caller who may not call: HTTP 401 or 403.
func forbidden(status int, t text, args ...any) *failure {
	return &failure{status: status, result: protocol.NotAllowed, text: t, args: args}
}

// unavailable is what will work later: HTTP 503.
func unavailable() *failure {
	return &failure{status: http.StatusServiceUnavailable, result: protocol.TryLater, text: textBusy, retry: retryAfter}
}

// failureOf translates any error, once, at this door. Nothing of an unknown error reaches the caller.
func failureOf(err error) *failure {
	var (
		f       *failure
		refused *protocol.Error
		unknown *store.UnknownError
	)
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &refused):
		zh, ok := chineseCodes[refused.Code]
		if !ok {
			zh = string(refused.Code)
		}
		if refused.Chinese != "" {
			zh = refused.Chinese
		}
		// The component's sentence is data here, not a format.
		f := &failure{status: http.StatusOK, result: refused.Code, text: text{zh: zh, en: refused.Text}}
		if refused.Code == protocol.TryLater {
			f.status, f.retry = http.StatusServiceUnavailable, retryAfter
		}
		return f
	case errors.Is(err, protocol.ErrUnavailable), errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrFenced),
		errors.As(err, &unknown), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unavailable()
	case errors.Is(err, store.ErrData):
		return &failure{status: http.StatusOK, result: protocol.TooLarge,
			text: text{chineseCodes[protocol.TooLarge], "over a size limit, or the database cannot hold it"}}
	}
	return &failure{status: http.StatusInternalServerError, result: resultFail, text: textFault}
}
