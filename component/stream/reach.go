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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	came := make(chan error, len(l.cfg.Addresses)) // one result of each; nobody takes those behind the first that answers
	for _, address := range l.cfg.Addresses {
		go func() { came <- l.reach(ctx, address) }()
	}
	var failed []error
	for range l.cfg.Addresses {
		err := <-came
		if err == nil {
			return nil
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func (l *Links) reach(ctx context.Context, address string) error {
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
	switch frame, err := stanza.NewFramer(conn, stanza.Limits{Stanza: l.cfg.MaxStanza}).Next(); {
	case err != nil:
		return fmt.Errorf("%s: %w", address, err)
	case frame.Kind != stanza.KindHeader:
		return fmt.Errorf("%s: %w", address, io.ErrUnexpectedEOF)
	}
	return nil
}
