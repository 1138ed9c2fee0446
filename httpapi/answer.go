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

// writeBuffer is the piece in which an answer is written, each within the time that the caller's pace leaves it.
const writeBuffer = 32 << 10

// largeAnswer is the size of an answer of which one payer may have few waiting for a slow line: they lie in memory.
const largeAnswer = 256 << 10

// errWrite marks that the caller did not take its answer.
var errWrite = errors.New("the answer was not taken")

// responder writes one answer. status is 0 until something was written.
type responder struct {
	api     *API
	w       http.ResponseWriter
	control *http.ResponseController
	pace    pace
	payer   payer
	status  int
}

func (a *API) responder(w http.ResponseWriter) *responder {
	return &responder{api: a, w: w, control: http.NewResponseController(w), pace: newPace(a.cfg.Limits.WriteTime, a.cfg.Limits.Pace)}
}

// answer writes what a handler returned. An error means that nothing was written, unless status is set.
func (o *responder) answer(value any) error {
	switch v := value.(type) {
	case *stream:
		return o.stream(v)
	case bare:
		return o.json(http.StatusOK, v.value)
	case object:
		return o.json(http.StatusOK, v.done(nil))
	case interface{ write(*responder) error }: // no JSON: a file, a text
		return v.write(o)
	}
	return fmt.Errorf("a handler returned %T", value)
}

// failure writes f. Errors of the connection have nobody left to hear them.
func (o *responder) failure(f *failure, rt *route, sessionID string) {
	if o.status != 0 {
		panic(http.ErrAbortHandler) // inside a streamed answer: only a broken connection says that it is incomplete
	}
	h := o.w.Header()
	if f.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(f.retry/time.Second)))
	}
	if f.allow != "" {
		h.Set("Allow", f.allow)
	}
	if f.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="tlim"`)
	}
	_ = o.json(f.status, o.failed(f, rt, sessionID))
}

// failed is the object of a failure.
func (o *responder) failed(f *failure, rt *route, sessionID string) object {
	v := object{}
	for _, name := range rt.zeros {
		v[name] = 0
	}
	if len(sessionID) <= 4*idLength {
		v["session_id"] = sessionID
	}
	if len(f.skipped) > 0 {
		v[skippedName] = f.skipped
	}
	return v.done(&detail{f.result, f.text.in(o.api.cfg.Language, f.args)})
}

type detail struct {
	result   any
	sentence string
}

// done adds result and result_detail and drops fields without a value.
func (v object) done(d *detail) object {
	maps.DeleteFunc(v, func(_ string, field any) bool { return field == "" })
	v["result"], v["result_detail"] = "ok", ""
	if d != nil {
		v["result"], v["result_detail"] = d.result, d.sentence
	}
	return v
}

func (o *responder) json(status int, v any) error {
	var buf bytes.Buffer
	if err := encode(&buf, v); err != nil {
		return err
	}
	if buf.Len() > largeAnswer {
		give, ok := o.api.large.take(o.payer.name, o.payer.large)
		if !ok {
			return tooMany(time.Second)
		}
		defer give()
	}
	o.begin(status)
	o.w.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	o.w.WriteHeader(status)
	if _, err := o.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	return nil
}

func (o *responder) begin(status int) {
	o.status = status
	o.w.Header().Set("Content-Type", "application/json;charset=utf-8")
}

// Write holds the caller to the minimum pace: a slow reader of a long answer is fine, one that stopped reading is not.
func (o *responder) Write(p []byte) (n int, err error) {
	for first := true; first || n < len(p) && err == nil; first = false {
		var wrote int
		part := p[n:min(len(p), n+writeBuffer)]
		o.paced(int64(len(part)), func() int64 {
			wrote, err = o.w.Write(part)
			return int64(wrote)
		})
		n += wrote
	}
	return n, err
}

// paced does write, which writes at most n bytes, within the time for them.
func (o *responder) paced(n int64, write func() int64) {
	start := time.Now()
	_ = o.control.SetWriteDeadline(o.pace.until(start, n)) // a ResponseWriter of a test has none
	wrote := write()
	o.pace.moved(wrote, time.Since(start))
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
func (o *responder) stream(s *stream) error {
	out := bufio.NewWriterSize(o, writeBuffer)
	first := true
	emit := func(row any) error {
		if first {
			o.begin(http.StatusOK)
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
		o.begin(http.StatusOK)
		_, _ = fmt.Fprintf(out, "{%q:[", s.list)
	}
	_ = out.WriteByte(']')
	rest := s.rest()
	if err != nil {
		f := failureOf(err)
		o.api.log.Error("an HTTP answer ended early", "error", err)
		rest = rest.done(&detail{f.result, f.text.in(o.api.cfg.Language, f.args)})
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
	if err := errors.Join(out.Flush(), o.control.Flush()); err != nil {
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
