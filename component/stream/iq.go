package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tlim/component/stanza"
)

// ErrOversize means that an answer was larger than a stanza.Framer holds.
var ErrOversize = errors.New("the answer is too large")

// questions are the IQs that wait for an answer, by id.
type questions struct {
	mu      sync.Mutex
	waiting map[string]question
}

type question struct {
	to     stanza.JID
	answer chan stanza.Stanza // room for one
}

// IQ asks a question of type get or set from the bare C and blocks for the answer, for at most 30 s when ctx has no deadline. Only
// an answer whose from is to counts: a client can send look-alikes. An answer of type error is returned as *[stanza.IQError],
// the loss of the link as [ErrDown].
func (l *Links) IQ(ctx context.Context, typ, to string, payload []byte) (stanza.Stanza, error) {
	address, err := stanza.ParseJID(to)
	if err != nil {
		return stanza.Stanza{}, fmt.Errorf("ask: %w", err)
	}
	s := l.current.Load()
	if s == nil {
		return stanza.Stanza{}, ErrDown
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, questionTimeout)
		defer cancel()
	}
	answer, err := s.ask(ctx, typ, address, payload)
	switch {
	case err != nil:
		return answer, fmt.Errorf("ask %s: %w", to, err)
	case answer.Type == "error":
		return answer, stanza.ErrorOf(&answer)
	case answer.Oversize:
		return answer, fmt.Errorf("ask %s: %w", to, ErrOversize)
	}
	return answer, nil
}

func (s *session) ask(ctx context.Context, typ string, to stanza.JID, payload []byte) (stanza.Stanza, error) {
	id, q := s.l.newID(), question{to: to, answer: make(chan stanza.Stanza, 1)}
	s.asks.mu.Lock()
	if s.asks.waiting == nil {
		s.asks.waiting = map[string]question{}
	}
	s.asks.waiting[id] = q
	s.asks.mu.Unlock()
	defer func() {
		s.asks.mu.Lock()
		delete(s.asks.waiting, id)
		s.asks.mu.Unlock()
	}()

	out := s.intake().out
	if err := out.acquire(ctx); err != nil {
		return stanza.Stanza{}, err
	}
	out.buf = stanza.AppendIQ(out.buf, typ, id, s.l.cfg.Domain, to.String(), payload)
	out.release()
	s.l.metrics.out.Inc()

	select {
	case st := <-q.answer:
		return st, nil
	case <-ctx.Done():
		return stanza.Stanza{}, ctx.Err()
	case <-s.down:
		return stanza.Stanza{}, ErrDown
	}
}

// takeIQ sorts what came: answers to whom they are for, questions to those who know.
func (l *link) takeIQ(st stanza.Stanza) {
	switch st.Type {
	case "result", "error":
		if !l.takeAnswer(st) {
			l.s.l.metrics.stray.Inc()
		}
	case "get", "set":
		l.answerIQ(&st)
	}
}

// takeAnswer is false for an answer that nobody waits for, and for one from somebody else than was asked.
func (l *link) takeAnswer(st stanza.Stanza) bool {
	from, err := stanza.ParsePrepared(st.From)
	if err != nil {
		return false
	}
	server := from == stanza.JID{Domain: l.s.l.cfg.Server}
	if server && l.answered(st.ID) {
		return true
	}
	asks := &l.s.asks
	asks.mu.Lock()
	q, ok := asks.waiting[st.ID]
	ok = ok && q.to == from
	if ok {
		delete(asks.waiting, st.ID)
	}
	asks.mu.Unlock()
	if !ok {
		return l.s.l.handler.Answered(st, from)
	}
	if server && l == l.s.intake() {
		l.pings.proven()
	}
	q.answer <- st
	return true
}
