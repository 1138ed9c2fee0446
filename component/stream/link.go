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
func (k *link) read() error {
	m := k.s.l.metrics
	var end error // what the server said about the end
	for {
		frame, err := k.next()
		switch {
		case err == nil:
		case k.out.isFinished():
			return k.endedInOrder(err)
		case end != nil:
			return end
		default:
			return err
		}
		said := error(nil)
		switch frame.Kind {
		case stanza.KindStanza:
			k.garbled.Store(false)
			k.take(frame.Stanza)
		case stanza.KindEnd:
			said = errStreamEnd
		case stanza.KindStreamError:
			said = streamErrorOf(&frame.Stanza)
		case stanza.KindBroken:
			k.garbled.Store(true)
			k.broken("something that is no XMPP")
		default:
			m.unknown.Inc()
		}
		switch {
		case said != nil && k.out.isFinished():
			return k.endedInOrder(said)
		case said != nil && end == nil:
			end = said
			if err := k.conn.SetReadDeadline(time.Now().Add(lastWords)); err != nil {
				return end
			}
		case said == nil && end != nil: // it goes on, so it was no end: a client made the server say so
			k.broken(end.Error())
			end = nil
			if err := k.conn.SetReadDeadline(time.Time{}); err != nil {
				return err
			}
		}
	}
}

// next is what was held, then what comes.
func (k *link) next() (stanza.Frame, error) {
	if len(k.held) == 0 {
		return k.framer.Next()
	}
	frame := k.held[0]
	if k.held = k.held[1:]; len(k.held) == 0 {
		k.held = nil
	}
	return frame, nil
}

// brokenLogs is how often the log tells of what clients make the server send.
const brokenLogs = time.Minute

// broken notes that the server sent what it would not have sent by itself (stanza/resync.go). The stream goes on with the next
// answer, so a question is asked at once.
func (k *link) broken(what string) {
	k.s.l.metrics.broken.Inc()
	if now := time.Now(); now.Sub(k.brokenLogged) > brokenLogs {
		k.brokenLogged = now
		k.s.l.log.Warn("a client made the server send what it should not: Openfire 4.2 does not escape namespaces, so its users can write into "+
			"each other's streams and in each other's names; the stream goes on", "sent", what)
	}
	k.ping(nil)
}

// endedInOrder reports the end of the server's stream: the answer to ours, or else a loss.
func (k *link) endedInOrder(err error) error {
	if !k.out.isFinished() {
		return err
	}
	close(k.ended)
	return nil
}

// take passes a stanza to whom it concerns.
func (k *link) take(st stanza.Stanza) {
	m := k.s.l.metrics
	m.in.WithLabelValues(st.Name).Inc()
	if st.Oversize {
		m.oversize.Inc()
	}
	switch {
	case st.Name == "iq":
		k.takeIQ(st)
	case k == k.s.intake():
		k.s.l.handler.Stanza(st)
	case st.Name == "message" && st.Type != "error" && st.From != "": // nobody reads here; the sender shall know
		k.reply(&st, "error", unavailable)
	}
}

// watch pings when there was no proof for a while that the server works off what we send, and ends the session when a ping
// is not answered. What comes in is no such proof: a deaf stream still gets stanzas.
func (k *link) watch() {
	cfg := &k.s.l.cfg
	ticker := time.NewTicker(max(time.Millisecond, min(cfg.PingAfter, cfg.PingTimeout)/8))
	defer ticker.Stop()
	for {
		select {
		case <-k.s.down:
			return
		case <-ticker.C:
		}
		now := time.Now()
		switch silent, asked := k.pings.look(now, k.out.written()); {
		case asked && silent >= cfg.PingTimeout:
			k.s.fail(k, errDeaf)
			return
		case !asked && silent >= cfg.PingAfter:
			k.ping(nil)
		}
	}
}

// closeNow breaks the connection off. TLS would first wait to say so.
func (k *link) closeNow() {
	conn := k.conn
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
