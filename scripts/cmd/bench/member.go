package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"tlim/scripts/lab"
)

// member is one logged-in client that counts what it gets and keeps nothing.
type member struct {
	user   string
	client *lab.Client

	copies, acks, ackStanzas atomic.Int64 // since its login: messages, acknowledgements by message, stanzas that brought them
	failure                  atomic.Pointer[string]
	watch                    atomic.Pointer[progress]
}

func dialMember(ctx context.Context, s *lab.Server, user string, opts ...lab.Option) (*member, error) {
	m := &member{user: user}
	var err error
	m.client, err = lab.Dial(ctx, s.C2S, s.Domain, user, password, "phone", append(opts, lab.WithPresence("", 0), lab.WithEach(m.stanza))...)
	return m, err
}

var (
	markBytes   = []byte(mark)
	ackBytes    = []byte("MTC-100")
	idBytes     = []byte("msg_id")
	errorBytes  = []byte(`type="error"`)
	headOfError = 300 // bytes in which the type of an error stanza stands
)

// stanza is called by the client's reader.
func (m *member) stanza(raw []byte) {
	p := m.watch.Load()
	switch {
	case bytes.Contains(raw[:min(len(raw), headOfError)], errorBytes):
		text := string(raw)
		m.failure.CompareAndSwap(nil, &text)
		if p != nil {
			p.fail(fmt.Errorf("%s got %s", m.user, raw))
		}
	case bytes.Contains(raw, markBytes):
		m.copies.Add(1)
		if p != nil && p.copies.Add(1)%p.every == 0 {
			p.signal()
		}
	case bytes.Contains(raw, ackBytes):
		n := int64(bytes.Count(raw, idBytes) - 1) // the envelope has one of its own
		m.acks.Add(n)
		m.ackStanzas.Add(1)
		if p != nil {
			p.ackStanzas.Add(1)
			p.acks.Add(n)
			p.signal()
		}
	} // what else comes is not measured: a room's subject
}

// progress is what the clients of one round have got together.
type progress struct {
	copies, acks, ackStanzas atomic.Int64
	every                    int64 // copies of one message: the sender is woken for each whole message, and for each acknowledgement
	wake                     chan struct{}
	failed                   chan error
}

func newProgress(every int64) *progress {
	return &progress{every: every, wake: make(chan struct{}, 1), failed: make(chan error, 1)}
}

func (p *progress) signal() {
	select {
	case p.wake <- struct{}{}:
	default: // the sender has not looked since the last one
	}
}

func (p *progress) fail(err error) {
	select {
	case p.failed <- err:
	default: // the first one counts
	}
}

var errStall = errors.New("nothing arrives any more")

// until waits for done, which is asked after each signal.
func (p *progress) until(ctx context.Context, done func() bool) error {
	for !done() {
		select {
		case <-p.wake:
		case err := <-p.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("%w: %d copies and %d acknowledgements: %w", errStall, p.copies.Load(), p.acks.Load(), context.Cause(ctx))
		}
	}
	return nil
}

// tally holds what the members had before a round, to hold it against what they have after.
type tally struct {
	members []*member
	copies  []int64
	acks    []int64
}

// begin lets p follow the members.
func begin(members []*member, p *progress) (*tally, error) {
	t := &tally{members: members}
	for _, m := range members {
		if text := m.failure.Load(); text != nil {
			return nil, fmt.Errorf("%s got %s", m.user, *text)
		}
		if err := m.client.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", m.user, err)
		}
		m.watch.Store(p)
		t.copies = append(t.copies, m.copies.Load())
		t.acks = append(t.acks, m.acks.Load())
	}
	return t, nil
}

// end checks that everybody has exactly what was to come: wanted says how many copies and acknowledgements for the i-th member. It
// asks the server first, so that a copy too many has had its time to come.
func (t *tally) end(ctx context.Context, wanted func(i int) (copies, acks int)) error {
	for i, m := range t.members {
		if err := m.client.Sync(ctx); err != nil {
			return fmt.Errorf("%s: %w", m.user, err)
		}
		m.watch.Store(nil)
		copies, acks := wanted(i)
		gotCopies, gotAcks := m.copies.Load()-t.copies[i], m.acks.Load()-t.acks[i]
		if gotCopies != int64(copies) || gotAcks != int64(acks) {
			return fmt.Errorf("%s got %d copies and %d acknowledgements instead of %d and %d", m.user, gotCopies, gotAcks, copies, acks)
		}
	}
	return nil
}

// patience is how long a round may take beyond its time before it counts as stuck.
const patience = 20 * time.Second
