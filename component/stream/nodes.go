package stream

import (
	"context"
	"slices"
	"strings"
	"time"
)

// nodes is which server of Config.Addresses the links go to.
type nodes struct {
	first int    // to be tried first
	at    int    // the one that they went to last, when any
	any   bool   // they went to one
	left  *Error // why at was left
}

// lost notes the end of a connection. The server that ended it is tried first, because it may only have ended the stream, but not one that
// hangs, nor one that does so again and again.
func (n *nodes) lost(err *Error, lasted bool) {
	n.left = err
	n.first = n.at
	if !lasted || err.Reason == ReasonDeaf || err.Reason == ReasonStalled {
		n.first++
	}
}

// dialAny dials the servers in turn until one has the links; its error is that of all.
func (l *Links) dialAny(ctx context.Context) (*session, *Error) {
	all, first := l.cfg.Addresses, l.nodes.first
	if l.cfg.First != nil {
		if i := slices.Index(all, l.cfg.First()); i >= 0 {
			first = i
		}
	}
	var failed []*Error
	for i := range all {
		at := (first + i) % len(all)
		s, err := l.dial(ctx, all[at])
		if err == nil {
			l.arrived(at)
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		l.metrics.attempts.WithLabelValues(string(err.Reason)).Inc()
		if l.nodes.any && at == l.nodes.at {
			l.nodes.left = err
		}
		failed = append(failed, err)
	}
	return nil, together(failed)
}

// arrived notes where the links go from now on.
func (l *Links) arrived(at int) {
	n, now := &l.nodes, time.Now()
	before, moved := "", n.any && n.at != at
	l.state.mu.Lock()
	status := &l.state.status
	if before = status.Server; !n.any || moved {
		status.Server, status.ServerSince = l.cfg.Addresses[at], now
	}
	if moved {
		status.Moved = n.left.Reason
	}
	l.state.mu.Unlock()
	for i, address := range l.cfg.Addresses {
		value := 0.0
		if i == at {
			value = 1
		}
		l.metrics.server.WithLabelValues(address).Set(value)
	}
	if moved {
		l.metrics.moves.WithLabelValues(string(n.left.Reason)).Inc()
		l.log.Warn("the link goes to another server of xmpp.server", "from", before, "to", l.cfg.Addresses[at], "reason", string(n.left.Reason), "error", n.left.Err)
	}
	n.any, n.at, n.first = true, at, at
}

// roundError is what became of all servers.
type roundError struct{ failed []*Error }

func (r *roundError) Error() string {
	texts := make([]string, len(r.failed))
	for i, one := range r.failed {
		texts[i] = one.address + ": " + one.Err.Error()
	}
	return strings.Join(texts, "; ")
}

func (r *roundError) Unwrap() []error {
	list := make([]error, len(r.failed))
	for i, one := range r.failed {
		list[i] = one
	}
	return list
}

// answered are the reasons of servers that were there and refused: they tell more than one that is off.
var answered = []Reason{ReasonSecret, ReasonConflict, ReasonHostUnknown, ReasonDomain, ReasonNoComponent, ReasonTLS}

// together is one error of all servers, with the reason that tells most.
func together(failed []*Error) *Error {
	if len(failed) == 1 {
		return failed[0]
	}
	telling := failed[0]
	if i := slices.IndexFunc(failed, func(e *Error) bool { return slices.Contains(answered, e.Reason) }); i >= 0 {
		telling = failed[i]
	}
	return &Error{Reason: telling.Reason, Domain: telling.Domain, Err: &roundError{failed}, address: telling.address}
}

// hasteOf is the reason by which the pause after a failure is chosen: one server that is away may be back soon.
func hasteOf(err *Error) Reason {
	if round, ok := err.Err.(*roundError); ok { //nolint:errorlint // only as it was made
		for _, one := range round.failed {
			if one.Reason != ReasonSecret && one.Reason != ReasonDomain {
				return one.Reason
			}
		}
	}
	return err.Reason
}
