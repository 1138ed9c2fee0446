package stream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tlim/component/stanza"
)

// session is one life of all links together.
type session struct {
	l       *Links
	address string
	links   []*link // the intake first

	down chan struct{} // closed at the loss
	once sync.Once
	err  *Error // the reason; read after down is closed

	asks questions
}

// intake is the link that carries C.
func (s *session) intake() *link { return s.links[0] }

// run serves the links until one is lost or ctx ends.
func (s *session) run(ctx context.Context) *Error {
	l := s.l
	var work sync.WaitGroup
	for _, k := range s.links {
		work.Go(func() { s.fail(k, k.out.run()) })
	}
	l.current.Store(s)
	l.note(nil) // who waited for it may ask at once
	l.handler.Up()
	for _, k := range s.links {
		work.Go(func() { s.fail(k, k.read()) })
		work.Go(k.watch)
	}

	select {
	case <-s.down:
	case <-ctx.Done():
		s.close()
	}

	// Nothing more is taken; then nobody is left who could call the handler; then it hears of the loss.
	l.current.Store(nil)
	for _, k := range s.links {
		k.out.shut()
	}
	work.Wait()
	for _, k := range s.links {
		k.pings.fail(ErrDown)
	}
	l.note(s.err)
	l.handler.Down(s.err)
	return s.err
}

// fail ends the session because of one link. Only the first call counts. Closing the connections makes everybody return.
func (s *session) fail(k *link, err error) {
	if err == nil {
		return
	}
	if k.garbled.Load() {
		err = fmt.Errorf("%w, then: %v", stanza.ErrSyntax, err) //nolint:errorlint // what came after the fault is no reason of its own
	}
	s.once.Do(func() {
		s.err = newError(s.address, k.domain, err)
		close(s.down)
		for _, k := range s.links {
			k.closeNow()
		}
	})
}

// close ends all streams in order: what is buffered, the end of stream, and the server's in return, in bounded time.
func (s *session) close() {
	timer := time.NewTimer(s.l.cfg.CloseTimeout)
	defer timer.Stop()
	s.l.current.Store(nil)
	for _, k := range s.links {
		k.out.finish("</stream:stream>")
	}
	for _, k := range s.links {
		select {
		case <-k.ended:
		case <-s.down:
		case <-timer.C:
			s.l.log.Warn("the stream could not be closed in order in time", "component", k.domain, "waiting_bytes", k.out.waiting())
			s.fail(k, errClosed)
			return
		}
	}
	s.fail(s.intake(), errClosed)
}
