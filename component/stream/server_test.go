package stream

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tlim/component/stanza"
)

// rig is Links, the server that they dial, and what the handler heard. It lives in a synctest bubble: time stands still
// while anybody works, and pipes without a buffer make a server that does not read visible at once.
type rig struct {
	*Links
	t      *testing.T
	dials  chan *peer
	events chan string
	log    *bytes.Buffer
	cancel context.CancelFunc
	ended  chan struct{} // Run returned

	mu     sync.Mutex
	refuse error // what dialling fails with
	tries  []time.Time
	onUp   func()

	onStanza func(stanza.Stanza) // instead of an event
}

// newRig starts Links. The test plays the server.
func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	r := &rig{t: t, dials: make(chan *peer), events: make(chan string, 20_000), log: &bytes.Buffer{}, ended: make(chan struct{})}
	if cfg.Addresses == nil {
		cfg.Addresses = []string{"127.0.0.1:5275"}
	}
	cfg.Domain, cfg.Server, cfg.Secret, cfg.Version = "Tlim.im.test", "IM.test", "s3cret", "1.2"
	cfg.Dial = r.dial
	cfg.Log = slog.New(slog.NewTextHandler(r.log, nil))
	r.Links = New(cfg, r)
	return r
}

func (r *rig) start() *rig {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.cancel = cancel
	go func() {
		defer close(r.ended)
		if err := r.Run(ctx); err != nil {
			r.t.Errorf("Run: got %v, want no error", err)
		}
	}()
	r.t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	return r
}

func (r *rig) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	r.mu.Lock()
	r.tries = append(r.tries, time.Now())
	err := r.refuse
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	p := &peer{t: r.t, conn: theirs, framer: stanza.NewFramer(theirs, stanza.Limits{Stanza: 1 << 20})}
	select {
	case r.dials <- p:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *rig) refuseWith(err error) {
	r.mu.Lock()
	r.refuse = err
	r.mu.Unlock()
}

func (r *rig) Stanza(st stanza.Stanza) {
	if r.onStanza != nil {
		r.onStanza(st)
		return
	}
	r.events <- fmt.Sprintf("%s %s %s", st.Name, st.ID, st.Inner)
}

// Answered takes answers whose ids begin with p.
func (r *rig) Answered(st stanza.Stanza, from stanza.JID) bool {
	if !strings.HasPrefix(st.ID, "p") {
		return false
	}
	r.events <- fmt.Sprintf("answered %s %s %s", st.Type, st.ID, from)
	return true
}

func (r *rig) Up() {
	r.events <- "up"
	if r.onUp != nil {
		r.onUp()
	}
}

func (r *rig) Down(err error) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		r.t.Errorf("Down: got %v, want an *Error", err)
		return
	}
	r.events <- "down " + string(e.Reason)
}

// expect waits for the handler's next events.
func (r *rig) expect(want ...string) {
	r.t.Helper()
	for _, w := range want {
		select {
		case got := <-r.events:
			if got != w {
				r.t.Fatalf("event %q, want %q", got, w)
			}
		case <-time.After(time.Hour):
			r.t.Fatalf("no event, want %q", w)
		}
	}
}

// quiet says that no event waits once everybody is at rest.
func (r *rig) quiet() {
	r.t.Helper()
	synctest.Wait()
	select {
	case got := <-r.events:
		r.t.Fatalf("event %q, want none", got)
	default:
	}
}

// accept takes the next connection to its first byte.
func (r *rig) accept() *peer {
	r.t.Helper()
	select {
	case p := <-r.dials:
		r.t.Cleanup(func() { _ = p.conn.Close() })
		return p
	case <-time.After(time.Hour):
		r.t.Fatal("got no connection, want one")
		return nil
	}
}

// up takes the next connection through the handshake; more is sent in one piece with its end.
func (r *rig) up(more string) *peer {
	r.t.Helper()
	p := r.accept()
	p.header("7n9nd2351p")
	p.shake(more)
	return p
}

// peer is the server's end of a connection.
type peer struct {
	t      *testing.T
	conn   net.Conn
	framer *stanza.Framer
	domain string
}

// header reads ours and answers with an id.
func (p *peer) header(id string) {
	p.t.Helper()
	frame, err := p.framer.Next()
	if err != nil || frame.Kind != stanza.KindHeader {
		p.t.Fatalf("got %+v, %v, want a header", frame, err)
	}
	p.domain = frame.Stanza.To
	attr := ""
	if id != "" {
		attr = fmt.Sprintf(` id="%s"`, id)
	}
	p.send(`<?xml version="1.0" encoding="UTF-8"?><stream:stream xmlns:stream="http://etherx.jabber.org/streams" xmlns="jabber:component:accept" from="` + p.domain + `"` + attr + `>`)
}

// shake accepts, and on the intake answers the ping that has to prove the server's domain.
func (p *peer) shake(more string) {
	p.t.Helper()
	p.take(more)
	if p.domain == "tlim.im.test" {
		p.pong()
	}
}

// take checks the digest and accepts.
func (p *peer) take(more string) {
	p.t.Helper()
	digest := sha1.Sum([]byte("7n9nd2351p" + "s3cret"))
	frame, err := p.framer.Next()
	if err != nil || frame.Kind != stanza.KindHandshake || string(frame.Stanza.Inner) != hex.EncodeToString(digest[:]) {
		p.t.Fatalf("got %+v, %v, want the handshake", frame, err)
	}
	p.send(`<handshake></handshake>` + more)
}

func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, s); err != nil {
		p.t.Fatalf("the server sends %.80q: got %v, want no error", s, err)
	}
}

// next reads the next stanza; an IQ ping is one.
func (p *peer) next() stanza.Stanza {
	p.t.Helper()
	frame, err := p.framer.Next()
	if err != nil || frame.Kind != stanza.KindStanza {
		p.t.Fatalf("the server got %+v, %v, want a stanza", frame, err)
	}
	return frame.Stanza
}

// work reads the next stanza that is no ping, and answers those before it.
func (p *peer) work() stanza.Stanza {
	p.t.Helper()
	for {
		st := p.next()
		if !isPing(st) {
			return st
		}
		p.answer(st, "result", "im.test", "")
	}
}

// text reads the next stanza as text.
func (p *peer) text() string {
	p.t.Helper()
	return line(p.next())
}

func line(st stanza.Stanza) string {
	return fmt.Sprintf("%s %s %s>%s %s|%s", st.Name, st.Type, st.From, st.To, st.ID, st.Inner)
}

// answer sends an answer to a question.
func (p *peer) answer(st stanza.Stanza, typ, from, content string) {
	p.t.Helper()
	p.send(fmt.Sprintf(`<iq type="%s" id="%s" from="%s" to="%s">%s</iq>`, typ, st.ID, from, st.From, content))
}

// pong answers a ping.
func (p *peer) pong() {
	p.t.Helper()
	st := p.next()
	if !isPing(st) {
		p.t.Fatalf("the server got %s, want a ping", line(st))
	}
	p.answer(st, "result", "im.test", "")
}

func isPing(st stanza.Stanza) bool {
	return st.Name == "iq" && st.Type == "get" && st.To == "im.test" && string(st.Inner) == `<ping xmlns="urn:xmpp:ping"/>`
}

// closed reads until our side has closed, answering nothing, and says whether it ended the stream first.
func (p *peer) closed() (inOrder bool) {
	p.t.Helper()
	for {
		frame, err := p.framer.Next()
		switch {
		case err != nil:
			return inOrder
		case frame.Kind == stanza.KindEnd:
			inOrder = true
		}
	}
}

// drain reads everything from now on and answers pings, until the connection ends.
func (p *peer) drain() {
	go func() {
		for {
			frame, err := p.framer.Next()
			if err != nil {
				return
			}
			if frame.Kind == stanza.KindEnd {
				_, _ = io.WriteString(p.conn, "</stream:stream>")
				_ = p.conn.Close()
				return
			}
			if isPing(frame.Stanza) {
				_, _ = fmt.Fprintf(p.conn, `<iq type="result" id="%s" from="im.test" to="%s"/>`, frame.Stanza.ID, frame.Stanza.From)
			}
		}
	}()
}

// lines are the log's lines that hold a text.
func (r *rig) lines(text string) int {
	synctest.Wait()
	return strings.Count(r.log.String(), text)
}

// pass lets time pass in the bubble, which takes none.
func pass(d time.Duration) { <-time.After(d) }
