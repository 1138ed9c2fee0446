package stream

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"tlim/component/pause"
)

// ErrDown means that there is no link, or that it was lost on the way: what was handed over may or may not have arrived.
var ErrDown = errors.New("the link to the server is down")

// Links is the connection to the server. All methods may be called at any time and from any goroutine.
type Links struct {
	cfg     Config
	handler Handler
	log     *slog.Logger
	metrics *metrics
	answers map[string]string // content of the results that Links gives itself, by the namespace of the question
	state   state
	current atomic.Pointer[session]
	nodes   nodes // of Run's goroutine

	overLogged atomic.Int64 // when the log last named a sender over the budget

	// Ids of questions: the server keeps them in one table for all its components, so they begin with a random number.
	idPrefix string
	idCount  atomic.Uint64
}

// New prepares the links; nothing is connected before Run.
func New(cfg Config, h Handler) *Links {
	cfg = cfg.withDefaults()
	l := &Links{cfg: cfg, handler: h, log: cfg.Log, answers: ownAnswers(cfg), idPrefix: randomID()}
	l.metrics = newMetrics(cfg.Registerer, l)
	l.state.settled = make(chan struct{})
	l.state.status = Status{Since: time.Now(), Reason: ReasonConnecting, Text: "connecting to " + strings.Join(cfg.Addresses, ", ")}
	return l
}

// Run connects, and reconnects for ever: to the address that worked last, then to the next ones, without a pause before all have failed. It returns nil after ctx ended and the streams were closed in order: buffers written,
// the end of stream said and heard, all within Config.CloseTimeout. It must not be called twice at a time.
func (l *Links) Run(ctx context.Context) error {
	var wait backoff
	for {
		err, atOnce := l.connected(ctx, &wait)
		if ctx.Err() == nil {
			l.note(err)
		}
		if ctx.Err() != nil || !atOnce && !wait.pause(ctx, hasteOf(err)) {
			l.note(&Error{Reason: ReasonClosed, Domain: l.cfg.Domain, Err: errClosed})
			return nil
		}
	}
}

// connected is one life of the links, from dialling to the loss. atOnce says that another server may be there already.
func (l *Links) connected(ctx context.Context, wait *backoff) (err *Error, atOnce bool) {
	s, err := l.dialAny(ctx)
	if err != nil {
		return err, false
	}
	began := time.Now()
	err = s.run(ctx)
	lasted := time.Since(began) >= stable
	if lasted {
		wait.reset()
	}
	if ctx.Err() == nil {
		l.metrics.attempts.WithLabelValues(string(err.Reason)).Inc()
		l.nodes.lost(err, lasted)
	}
	return err, lasted && len(l.cfg.Addresses) > 1
}

// newID makes the id of a question.
func (l *Links) newID() string { return l.idPrefix + strconv.FormatUint(l.idCount.Add(1), 36) }

func randomID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:]) + "-"
}

func itoa(n int) string { return strconv.Itoa(n) }

const (
	// While nobody is there, clients' messages to the component are lost or bounce, so the first try comes at once.
	firstRetry = 100 * time.Millisecond
	minRetry   = 200 * time.Millisecond
	maxRetry   = 5 * time.Second
	// The server answers at once, so it is asked often.
	conflictRetry = time.Second
	// A link that lived shorter does not begin the row anew: something may end it each time.
	stable = 5 * time.Second
)

// backoff is the pause between two attempts.
type backoff struct{ tries int }

func (b *backoff) reset() { b.tries = 0 }

// next is the next pause: 100 ms, then from 0.2 s doubling to 5 s, 1 s while the name is taken, each with a jitter of a quarter. A wrong secret or
// domain does not become right by itself.
func (b *backoff) next(reason Reason) time.Duration {
	d := firstRetry
	switch {
	case reason == ReasonSecret, reason == ReasonDomain:
		d = maxRetry
	case reason == ReasonConflict: // the name is another tlim's that ends, or of a dead one until the server notices: who takes over waits for that
		d = conflictRetry
	case b.tries > 0:
		d = min(maxRetry, minRetry<<min(b.tries-1, 10))
	}
	b.tries++
	return d - d/4 + mathrand.N(d/2)
}

// pause waits; false when ctx ended.
func (b *backoff) pause(ctx context.Context, reason Reason) bool {
	return pause.For(ctx, b.next(reason)) == nil
}
