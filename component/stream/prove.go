package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"tlim/component/stanza"
)

// A component is told by nobody that it has the server's domain wrong: the handshake succeeds, and what it then sends goes to a foreign
// domain, to which Openfire 4.2 stops the stream for 60 s at each new address, or to whoever has that name. So the first
// thing that is sent is a ping to the server, and nothing is handed over before its answer.

const (
	// nameAfter is the silence after which the domain is named as what is probably wrong. A server that works answers at once,
	// and one that is busy in its seconds.
	nameAfter = time.Second
	// maxHeldBytes bounds what clients send before the server has answered: seconds of what a server can hand over.
	maxHeldBytes = 64 << 20
)

var (
	errNoProof = errors.New("the server did not answer a ping to its domain")
	errFlooded = errors.New("more came than can wait before the server answered a ping to its domain")
)

// foreignDomain are the answers of a server that knows no such domain: it would have had to ask another server.
var foreignDomain = []string{"remote-server-not-found", "remote-server-timeout", "not-allowed", "item-not-found", "gone", "redirect"}

// domainError says that the server is not that of Config.Server.
type domainError struct {
	own string // the server's own name for itself, if it said it
	err error
}

func (d *domainError) Error() string {
	if d.own == "" {
		return d.err.Error()
	}
	return fmt.Sprintf("%v; the server calls itself %s", d.err, d.own)
}

func (d *domainError) Unwrap() error { return d.err }

// ownName is the domain of a server that has appended it to ours: Openfire up to 4.7 does so to what is no subdomain of its own.
func ownName(header, ours string) string {
	name, _ := strings.CutPrefix(strings.ToLower(header), ours+".")
	if name == strings.ToLower(header) {
		return ""
	}
	return name
}

// prove blocks until the server has answered a ping to its domain, for at most PingTimeout. What comes meanwhile is held for
// read. It notes the domain as wrong when the answer takes long, also while it still waits for it.
func (s *session) prove(ctx context.Context) error {
	k, cfg := s.intake(), &s.l.cfg
	stop := context.AfterFunc(ctx, k.closeNow)
	defer stop()
	if err := k.conn.SetDeadline(time.Now().Add(cfg.PingTimeout)); err != nil {
		return err
	}
	id := s.l.newID()
	if _, err := k.conn.Write(stanza.AppendIQ(nil, "get", id, k.domain, cfg.Server, []byte(pingPayload))); err != nil {
		return err
	}
	s.l.metrics.out.Inc()

	var own naming
	timer := time.AfterFunc(nameAfter, func() {
		own.late(func(name string) {
			s.l.note(newError(s.address, k.domain, &domainError{name, fmt.Errorf("%w within %v", errNoProof, nameAfter)}))
		})
	})
	defer timer.Stop()
	err := k.await(id, &own)
	name := own.end() // nothing is noted from here on
	switch {
	case errors.Is(err, errFlooded), ctx.Err() != nil:
		return err
	case isTimeout(err):
		return &domainError{name, fmt.Errorf("%w within %v", errNoProof, cfg.PingTimeout)}
	case err != nil:
		if _, refused := errors.AsType[*stanza.IQError](err); refused {
			return &domainError{name, err}
		}
		return err
	}
	k.pings.proven()
	return k.conn.SetDeadline(time.Time{})
}

// await reads until the answer to the first ping; nil is the proof.
func (l *link) await(id string, own *naming) error {
	size := 0
	for {
		frame, err := l.framer.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errStreamEnd
		}
		if err != nil {
			return err
		}
		st := &frame.Stanza
		switch frame.Kind {
		case stanza.KindEnd:
			return errStreamEnd
		case stanza.KindStreamError:
			return streamErrorOf(st)
		case stanza.KindStanza:
			from, err := stanza.ParseJID(st.From)
			if st.Name == "iq" && st.ID == id && err == nil && from == (stanza.JID{Domain: l.s.l.cfg.Server}) {
				return l.verdict(st, own)
			}
			// Openfire asks each new component, in the name of its own part for them.
			if server, ok := strings.CutPrefix(from.Domain, "component."); ok && err == nil && st.Type == "get" && from == (stanza.JID{Domain: from.Domain}) && server != l.s.l.cfg.Server {
				own.set(server)
			}
		}
		if size += len(st.Inner) + 1<<10; size > maxHeldBytes {
			return errFlooded
		}
		l.held = append(l.held, frame)
	}
}

// verdict judges the answer. An error is an answer too, of a server that knows no pings, unless it says that the domain is foreign.
func (l *link) verdict(st *stanza.Stanza, own *naming) error {
	l.s.l.metrics.in.WithLabelValues(st.Name).Inc()
	if st.Type != "error" {
		return nil
	}
	refused := stanza.ErrorOf(st)
	if slices.Contains(foreignDomain, refused.Condition) || own.known() {
		return refused
	}
	return nil
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// naming is the name that the server has for itself, and whether that still matters.
type naming struct {
	mu    sync.Mutex
	name  string
	ended bool
}

func (n *naming) set(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.name = name
}

func (n *naming) known() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.name != ""
}

// late runs say, unless the end came first.
func (n *naming) late(say func(name string)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ended {
		say(n.name)
	}
}

func (n *naming) end() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = true
	return n.name
}
