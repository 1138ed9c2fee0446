package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	"tlim/component/stanza"
)

// Reach asks, beside the links and without taking the component's name, whether a server of Config.Addresses answers the head of a stream:
// nil when one does, whatever it says to the name. A port that is open proves nothing, that of a server that hangs is. ctx bounds it.
func (l *Links) Reach(ctx context.Context) error {
	var failed []error
	for _, err := range l.askAll(ctx, func(err error) bool { return err == nil || errors.As(err, new(*Error)) }) {
		if err == nil || errors.As(err, new(*Error)) {
			return nil
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// Taken asks in the same way whether the component's name is another connection's: an [*Error] of ReasonConflict, or nil. Who does not answer, or has
// something else to say, does not say that it is.
func (l *Links) Taken(ctx context.Context) error {
	conflict := func(err error) bool {
		e, ok := errors.AsType[*Error](err)
		return ok && e.Reason == ReasonConflict
	}
	for _, err := range l.askAll(ctx, conflict) {
		if conflict(err) {
			return err
		}
	}
	return nil
}

// askAll asks all addresses, until one gives an answer that is enough.
func (l *Links) askAll(ctx context.Context, enough func(error) bool) (answers []error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	came := make(chan error, len(l.cfg.Addresses)) // one result of each; nobody takes those behind the one that is enough
	for _, address := range l.cfg.Addresses {
		go func() { came <- l.ask(ctx, address) }()
	}
	for range l.cfg.Addresses {
		answers = append(answers, <-came)
		if enough(answers[len(answers)-1]) {
			break
		}
	}
	return answers
}

// ask says what a server answers to the head of a stream: nil where it would go on, an [*Error] where it refuses the name.
func (l *Links) ask(ctx context.Context, address string) error {
	conn, err := l.cfg.Dial(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	plain := conn
	defer plain.Close() //nolint:errcheck // it was only asked
	stop := context.AfterFunc(ctx, func() { _ = plain.SetDeadline(time.Now()) })
	defer stop()
	if l.cfg.TLS != nil {
		conn = tls.Client(conn, secureTo(l.cfg.TLS, address))
	}
	if _, err := conn.Write(streamHead(l.cfg.Domain)); err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	asked := &link{domain: l.cfg.Domain, conn: conn, framer: stanza.NewFramer(conn, stanza.Limits{Stanza: l.cfg.MaxStanza})}
	switch frame, err := asked.framer.Next(); {
	case err != nil:
		return fmt.Errorf("%s: %w", address, err)
	case frame.Kind != stanza.KindHeader:
		return fmt.Errorf("%s: %w", address, io.ErrUnexpectedEOF)
	case frame.Stanza.ID == "":
		return newError(address, l.cfg.Domain, asked.refusal(errNoID))
	}
	return nil
}
