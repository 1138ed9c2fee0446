package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// object is an answer: its keys are written in alphabetical order, empty strings are left out.
type object map[string]any

// bare is an answer that is no object.
type bare struct{ value any }

// stream is an answer whose list is written while it is read, row by row.
type stream struct {
	list string // name of the list
	// run emits the rows. Its context lasts as long as the request; page gives the context of one read.
	run func(ctx context.Context, emit func(row any) error) error
	// rest are the other fields, known after run.
	rest func() object
	// sent, when set, runs after the answer was handed to the caller's connection without an error.
	sent func(ctx context.Context)

	ctx      context.Context // of the whole request
	pageTime time.Duration
	pay      func(ctx context.Context, weight int) error
	turn     func(ctx context.Context) (give func(), err error)
}

// page bounds the time of one read, which it charges to the caller: a rate that is used up makes the answer slower.
func (s *stream) page(ctx context.Context, weight int) (context.Context, context.CancelFunc) {
	if s.pay != nil {
		_ = s.pay(ctx, weight) // fails when ctx is over, and then the read does
	}
	return context.WithTimeout(ctx, s.pageTime)
}

// writeBuffer is the piece in which an answer is written, each within the time that the caller's budget leaves it.
const writeBuffer = 32 << 10

// largeAnswer is the size above which one payer may have only a few answers that wait for a slow line: they lie in memory.
const largeAnswer = 256 << 10

// errWrite marks that the caller did not take its answer.
var errWrite = errors.New("the answer was not taken")

// responder writes one answer. status is 0 until something was written.
type responder struct {
	api     *API
	w       http.ResponseWriter
	control *http.ResponseController
	budget  timeBudget
	payer   payer
	status  int
}

func (a *API) responder(w http.ResponseWriter) *responder {
	return &responder{api: a, w: w, control: http.NewResponseController(w), budget: newTimeBudget(a.cfg.Limits.WriteTime, a.cfg.Limits.MinRate)}
}

// answer writes what a handler returned. An error means that nothing was written, unless status is set.
func (r *responder) answer(value any) error {
	switch v := value.(type) {
	case *stream:
		return r.stream(v)
	case bare:
		return r.json(http.StatusOK, v.value)
	case object:
		return r.json(http.StatusOK, v.done(nil))
	case interface{ write(*responder) error }: // no JSON: a file, a text
		return v.write(r)
	}
	return fmt.Errorf("a handler returned %T", value)
}

// failure writes f. Errors of the connection have nobody left to hear them.
func (r *responder) failure(f *failure, rt *route, sessionID string) {
	if r.status != 0 {
		panic(http.ErrAbortHandler) // inside a streamed answer: only a broken connection says that it is incomplete
	}
	h := r.w.Header()
	if f.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(f.retry/time.Second)))
	}
	if f.allow != "" {
		h.Set("Allow", f.allow)
	}
	if f.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="tlim"`)
	}
	_ = r.json(f.status, r.failed(f, rt, sessionID))
}

// failed is the object of a failure.
func (r *responder) failed(f *failure, rt *route, sessionID string) object {
	v := object{}
	for _, name := range rt.zeros {
		v[name] = 0
	}
	if len(sessionID) <= 4*maxID {
		v["session_id"] = sessionID
	}
	if len(f.skipped) > 0 {
		v[skippedName] = f.skipped
	}
	return v.done(&detail{f.result, f.text.in(r.api.cfg.Language, f.args)})
}

type detail struct {
	result   any
	sentence string
}

// done adds result and result_detail and drops fields without a value.
func (o object) done(d *detail) object {
	maps.DeleteFunc(o, func(_ string, field any) bool { return field == "" })
	o["result"], o["result_detail"] = "ok", ""
	if d != nil {
		o["result"], o["result_detail"] = d.result, d.sentence
	}
	return o
}

func (r *responder) json(status int, v any) error {
	var buf bytes.Buffer
	if err := encode(&buf, v); err != nil {
		return err
	}
	if buf.Len() > largeAnswer {
		give, ok := r.api.large.take(r.payer.name, r.payer.large)
		if !ok {
			return tooMany(time.Second)
		}
		defer give()
	}
	r.begin(status)
	r.w.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	r.w.WriteHeader(status)
	if _, err := r.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	return nil
}

func (r *responder) begin(status int) {
	r.status = status
	r.w.Header().Set("Content-Type", "application/json;charset=utf-8")
}

// Write holds the caller to the minimum rate: a slow reader of a long answer is fine, one that stopped reading is not.
func (r *responder) Write(p []byte) (n int, err error) {
	for first := true; first || n < len(p) && err == nil; first = false {
		var wrote int
		part := p[n:min(len(p), n+writeBuffer)]
		r.inTime(int64(len(part)), func() int64 {
			wrote, err = r.w.Write(part)
			return int64(wrote)
		})
		n += wrote
	}
	return n, err
}

// inTime does write, which writes at most n bytes, within the time for them.
func (r *responder) inTime(n int64, write func() int64) {
	start := time.Now()
	_ = r.control.SetWriteDeadline(r.budget.until(start, n)) // a ResponseWriter of a test has none
	wrote := write()
	r.budget.moved(wrote, time.Since(start))
}

// encode writes JSON without a line end and without escaping < > &: shipped clients show bodies as they come.
func encode(w io.Writer, v any) error {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
	return err
}

// stream writes a list row by row. Nothing is written before the first row is there, so a read that fails at once is an
// ordinary failure. The list's name sorts before "result": a read that fails later still ends in an honest result.
func (r *responder) stream(s *stream) error {
	out := bufio.NewWriterSize(r, writeBuffer)
	first := true
	emit := func(row any) error {
		if first {
			r.begin(http.StatusOK)
			_, _ = fmt.Fprintf(out, "{%q:[", s.list) // bufio keeps its error for the next call
		} else {
			_ = out.WriteByte(',')
		}
		first = false
		if err := encode(out, row); err != nil {
			return fmt.Errorf("%w: %w", errWrite, err)
		}
		return nil
	}
	err := s.run(s.ctx, emit)
	if err != nil && (first || errors.Is(err, errWrite) || s.ctx.Err() != nil) {
		return err
	}
	if first {
		r.begin(http.StatusOK)
		_, _ = fmt.Fprintf(out, "{%q:[", s.list)
	}
	_ = out.WriteByte(']')
	rest := s.rest()
	if err != nil {
		f := failureOf(err)
		r.api.log.Error("an HTTP answer ended early", "error", err)
		rest = rest.done(&detail{f.result, f.text.in(r.api.cfg.Language, f.args)})
	} else {
		rest = rest.done(nil)
	}
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		_, _ = fmt.Fprintf(out, ",%q:", name)
		if err := encode(out, rest[name]); err != nil {
			return fmt.Errorf("%w: %w", errWrite, err)
		}
	}
	_ = out.WriteByte('}')
	if err := errors.Join(out.Flush(), r.control.Flush()); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	if s.sent != nil && err == nil && s.ctx.Err() == nil {
		turn, err := s.turn(s.ctx)
		if err != nil {
			return err
		}
		defer turn()
		s.sent(s.ctx)
	}
	return nil
}
