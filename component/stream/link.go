package stream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"tlim/component/stanza"
)

// link is one component connection after its handshake.
type link struct {
	s      *session
	domain string
	conn   net.Conn
	framer *stanza.Framer
	out    *writer
	pings  pings
	held   []stanza.Frame // of the reader: what came before the server had proven to be the right one
	ended  chan struct{}  // closed when the server said that its stream ends, or broke off, while we are ending ours

	brokenLogged time.Time   // of the reader
	garbled      atomic.Bool // what came last was no XMPP
}

// lastWords is how long a server that has said that the stream ends may take to close it.
const lastWords = time.Second

// read takes what the server sends until the stream ends. It never waits for anything else than the server.
func (l *link) read() error {
	m := l.s.l.metrics
	var end error // what the server said about the end
	for {
		frame, err := l.next()
		switch {
		case err == nil:
		case l.out.isFinished():
			return l.endedInOrder(err)
		case end != nil:
			return end
		default:
			return err
		}
		said := error(nil)
		switch frame.Kind {
		case stanza.KindStanza:
			l.garbled.Store(false)
			l.take(frame.Stanza)
		case stanza.KindEnd:
			said = errStreamEnd
		case stanza.KindStreamError:
			said = streamErrorOf(&frame.Stanza)
		case stanza.KindBroken:
			l.garbled.Store(true)
			l.broken("something that is no XMPP")
		default:
			m.unknown.Inc()
		}
		switch {
		case said != nil && l.out.isFinished():
			return l.endedInOrder(said)
		case said != nil && end == nil:
			end = said
			if err := l.conn.SetReadDeadline(time.Now().Add(lastWords)); err != nil {
				return end
			}
		case said == nil && end != nil: // it goes on, so it was no end: a client made the server say so
			l.broken(end.Error())
			end = nil
			if err := l.conn.SetReadDeadline(time.Time{}); err != nil {
				return err
			}
		}
	}
}

// next is what was held, then what comes.
func (l *link) next() (stanza.Frame, error) {
	if len(l.held) == 0 {
		return l.framer.Next()
	}
	frame := l.held[0]
	if l.held = l.held[1:]; len(l.held) == 0 {
		l.held = nil
	}
	return frame, nil
}

// brokenLogs is how often the log tells of what clients make the server send.
const brokenLogs = time.Minute

// broken notes that the server sent what it would not have sent by itself (stanza/resync.go). The stream goes on with the next
// answer, so a question is asked at once.
func (l *link) broken(what string) {
	l.s.l.metrics.broken.Inc()
	if now := time.Now(); now.Sub(l.brokenLogged) > brokenLogs {
		l.brokenLogged = now
		l.s.l.log.Warn("a client made the server send what it should not: Openfire 4.2 does not escape namespaces, so its users can write into "+
			"each other's streams and in each other's names; the stream goes on", "sent", what)
	}
	l.ping(nil)
}

// endedInOrder reports the end of the server's stream: the answer to ours, or else a loss.
func (l *link) endedInOrder(err error) error {
	if !l.out.isFinished() {
		return err
	}
	close(l.ended)
	return nil
}

// take passes a stanza to whom it concerns.
func (l *link) take(st stanza.Stanza) {
	m := l.s.l.metrics
	m.in.WithLabelValues(st.Name).Inc()
	if st.Oversize {
		m.oversize.Inc()
	}
	switch {
	case st.Name == "iq":
		l.takeIQ(st)
	case l == l.s.intake():
		l.s.l.handler.Stanza(st)
	case st.Name == "message" && st.Type != "error" && st.From != "": // nobody reads here; the sender shall know
		l.reply(&st, "error", unavailable)
	}
}

// watch pings when there was no proof for a while that the server works off what we send, and ends the session when a ping
// is not answered. What comes in is no such proof: a deaf stream still gets stanzas.
func (l *link) watch() {
	cfg := &l.s.l.cfg
	ticker := time.NewTicker(max(time.Millisecond, min(cfg.PingAfter, cfg.PingTimeout)/8))
	defer ticker.Stop()
	for {
		select {
		case <-l.s.down:
			return
		case <-ticker.C:
		}
		now := time.Now()
		switch silent, asked := l.pings.look(now, l.out.written()); {
		case asked && silent >= cfg.PingTimeout:
			l.s.fail(l, errDeaf)
			return
		case !asked && silent >= cfg.PingAfter:
			l.ping(nil)
		}
	}
}

// closeNow breaks the connection off. TLS would first wait to say so.
func (l *link) closeNow() {
	conn := l.conn
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	_ = conn.Close() // there is nothing left to do about an error
}

// countingReader counts what is read.
type countingReader struct {
	r     io.Reader
	count func(n int)
}

func (c countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.count(n)
	if n == 0 && errors.Is(err, net.ErrClosed) {
		err = errClosed
	}
	return n, err
}
