package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
)

const (
	// A client that is behind by this many messages or presences fails, so that a test never misses one silently.
	inboxSize = 1 << 16
	// Send waits while this much is unwritten.
	maxUnwritten = 1 << 20
	// The reader's own answers (pings, confirmations) never wait; a server that takes none of this much is stuck.
	maxUnanswered = 64 << 20

	writeTimeout = 10 * time.Second
	closeTimeout = 20 * time.Second

	receiptsNS = "urn:xmpp:receipts"
	carbonsNS  = "urn:xmpp:carbons:2"
	tlimNS     = "im.itonglian.com"
)

// Errors of a client whose connection is over.
var (
	ErrClosed   = errors.New("the connection is closed")          // by Close or Kill
	ErrEnded    = errors.New("the server ended the stream")       // in order
	ErrOverflow = errors.New("the test does not read its client") // inboxSize
)

// StreamError is the condition with which the server broke the stream ("conflict").
type StreamError string

func (s StreamError) Error() string { return "stream error " + string(s) }

// IQError is an IQ's answer of type error.
type IQError struct{ Condition string }

func (i *IQError) Error() string { return "iq error " + i.Condition }

// Client is one logged-in XMPP session. Its methods may be used from several goroutines. It answers pings (WithPings), and refuses other requests.
type Client struct {
	// JID is the full address that the server bound.
	JID string

	conn    *net.TCPConn
	options dialOptions
	frames  *framer
	running bool // logged in, reader and writer at work

	needsSession bool // RFC 3921; newer servers offer it as optional

	stanzas, bytes atomic.Int64

	messages  inbox[Message]
	presences inbox[Presence]
	pings     pings
	managed   management

	mu        sync.Mutex
	change    *sync.Cond
	unwritten []byte
	paused    bool
	waiting   map[string]chan []byte // IQs by id
	err       error                  // why it is over
	over      chan struct{}          // closed when err is set
	workers   sync.WaitGroup
}

// Recv returns the next message, in the order of arrival. After the connection's end it returns what had
// arrived before, then the reason (ErrClosed, ErrEnded, a StreamError ...).
func (c *Client) Recv(ctx context.Context) (Message, error) {
	return c.messages.take(ctx, func(Message) bool { return true })
}

// WaitFor returns the first message for which wanted says true, also one that arrived earlier and was not taken. Others stay, in order.
// wanted must not call methods of the client.
func (c *Client) WaitFor(ctx context.Context, wanted func(Message) bool) (Message, error) {
	return c.messages.take(ctx, wanted)
}

// Drain takes all messages that have arrived and returns at once.
func (c *Client) Drain() []Message { return c.messages.drain() }

// WaitForPresence is WaitFor for presence stanzas, errors and subscriptions included.
func (c *Client) WaitForPresence(ctx context.Context, wanted func(Presence) bool) (Presence, error) {
	return c.presences.take(ctx, wanted)
}

// Received returns how many message stanzas, and how many bytes of them, have arrived.
func (c *Client) Received() (stanzas, bytes int64) { return c.stanzas.Load(), c.bytes.Load() }

// Send queues raw XML, one stanza or several, and returns; it waits only while 1 MiB is unwritten. An error means that
// the connection is over. Nil does not mean that the server has it: Sync does.
func (c *Client) Send(raw string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.unwritten) > maxUnwritten && c.err == nil {
		c.change.Wait()
	}
	if c.err != nil {
		return c.err
	}
	c.unwritten = append(c.unwritten, raw...)
	c.change.Broadcast()
	return nil
}

// SendMessage sends a chat message with that id and body, and raw XML as further children. A client of the option
// WithAck adds the tlim extension that asks for an acknowledgement.
func (c *Client) SendMessage(to, id, body string, ext ...string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<message type="chat" to="%s" id="%s">`, Escape(to), Escape(id))
	if c.options.ack {
		b.WriteString(`<tlim xmlns="` + tlimNS + `" ack="1"/>`)
	}
	b.WriteString("<body>" + Escape(body) + "</body>")
	for _, e := range ext {
		b.WriteString(e)
	}
	b.WriteString("</message>")
	return c.Send(b.String())
}

// Sync returns when the server has processed all that was sent before: it works off a client's stanzas in order,
// so the answer to a ping proves it.
func (c *Client) Sync(ctx context.Context) error {
	err := c.Ping(ctx, c.options.domain)
	var refused *IQError
	if errors.As(err, &refused) {
		return nil // answered all the same
	}
	return err
}

// Ping returns when jid has answered an XEP-0199 ping: a component that answers it has read what was sent to it before.
func (c *Client) Ping(ctx context.Context, jid string) error {
	_, err := c.IQ(ctx, "get", jid, `<ping xmlns="urn:xmpp:ping"/>`)
	return err
}

// Presence is a presence stanza. Type is "" for available.
type Presence struct {
	From, To, Type, Show string
	Priority             int
	Raw                  []byte
}

// Presence sends a presence stanza (From and Raw are ignored; To "" is for everybody) and returns when the server has processed it.
func (c *Client) Presence(ctx context.Context, p Presence) error {
	if err := c.Send(p.stanza()); err != nil {
		return err
	}
	return c.Sync(ctx)
}

func (p Presence) stanza() string {
	var b bytes.Buffer
	b.WriteString("<presence")
	if p.To != "" {
		fmt.Fprintf(&b, ` to="%s"`, Escape(p.To))
	}
	if p.Type != "" {
		fmt.Fprintf(&b, ` type="%s"`, Escape(p.Type))
	}
	b.WriteString(">")
	if p.Show != "" {
		fmt.Fprintf(&b, "<show>%s</show>", Escape(p.Show))
	}
	if p.Priority != 0 {
		fmt.Fprintf(&b, "<priority>%d</priority>", p.Priority)
	}
	b.WriteString("</presence>")
	return b.String()
}

// IQ sends a request (kind get or set; to "" is the own account) and returns its whole answer. An answer of type error is an *IQError.
func (c *Client) IQ(ctx context.Context, kind, to, payload string) ([]byte, error) {
	id := uuid.NewString()
	answer := make(chan []byte, 1)
	c.mu.Lock()
	c.waiting[id] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}()

	address := ""
	if to != "" {
		address = ` to="` + Escape(to) + `"`
	}
	if err := c.Send(`<iq type="` + kind + `" id="` + id + `"` + address + `>` + payload + `</iq>`); err != nil {
		return nil, err
	}
	select {
	case raw := <-answer:
		if attribute(raw, "type") == "error" {
			condition, _, _ := failure(raw)
			return raw, &IQError{condition}
		}
		return raw, nil
	case <-c.over:
		return nil, c.Err()
	case <-ctx.Done():
		return nil, fmt.Errorf("iq to %s: %w", to, ctx.Err())
	}
}

// Pause stops reading from the socket, as a client does that hangs: the server's data pile up. What had been taken in before still arrives.
// Resume goes on. Close works meanwhile, but waits for its time-out.
func (c *Client) Pause() { c.setPaused(true) }

// Resume ends Pause.
func (c *Client) Resume() { c.setPaused(false) }

func (c *Client) setPaused(paused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = paused
	deadline := time.Time{}
	if paused {
		deadline = time.Unix(1, 0) // wakes the reader
	}
	// It fails only on a closed connection, which needs no waking.
	_ = c.conn.SetReadDeadline(deadline)
	c.change.Broadcast()
}

// Done is closed when the connection is over, for whatever reason; Err says which.
func (c *Client) Done() <-chan struct{} { return c.over }

// Err returns nil while the connection lives.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the stream in order: what was sent is written first, then the server closes. It returns when all is over,
// after 20 s at the latest. An error means that it did not end in order; closing what is over already is none.
func (c *Client) Close() error {
	if c.Send("</stream:stream>") != nil {
		c.workers.Wait()
		return nil
	}
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case <-c.over:
	case <-timer.C:
		c.fail(errors.New("the server does not end the stream"))
	}
	c.workers.Wait()
	// Openfire's own end may get lost in its closing the socket, which resets when an answer of our reader's came behind the client's end.
	if err := c.Err(); !errors.Is(err, ErrEnded) && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("close %s: %w", c.JID, err)
	}
	return nil
}

// Kill drops the connection with a TCP reset, as a client does that dies, and returns when all is over. A session of WithStreamManagement
// is detached by it: the server keeps it for WithResumption.
func (c *Client) Kill() {
	// Without lingering, close discards what is unsent and resets the connection.
	_ = c.conn.SetLinger(0)
	c.fail(ErrClosed)
	c.workers.Wait()
}

// fail ends the client; the first reason counts.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.over)
	c.messages.close(err)
	c.presences.close(err)
	_ = c.conn.Close() // its reader and writer end by this
	c.change.Broadcast()
}

// awaitChange waits, with c.mu held, until ready says true, the client is over, or ctx is.
func (c *Client) awaitChange(ctx context.Context, ready func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.change.Broadcast()
	})
	defer stop()
	for !ready() {
		if err := errors.Join(c.err, ctx.Err()); err != nil {
			return err
		}
		c.change.Wait()
	}
	return nil
}

// run starts reader and writer.
func (c *Client) run() {
	c.running = true
	c.workers.Go(c.write)
	c.workers.Go(c.read)
}

// write is the writer: it takes all that waits and writes it at once.
func (c *Client) write() {
	var batch []byte
	for {
		c.mu.Lock()
		for len(c.unwritten) == 0 && c.err == nil {
			c.change.Wait()
		}
		if c.err != nil {
			c.mu.Unlock()
			return
		}
		batch, c.unwritten = c.unwritten, batch[:0]
		c.change.Broadcast()
		c.mu.Unlock()

		err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err == nil {
			_, err = c.conn.Write(batch)
		}
		if err != nil {
			c.fail(fmt.Errorf("write to the server: %w", err))
			return
		}
	}
}

// read is the reader: it cuts stanzas, counts and hands them out, and answers what has to be answered.
func (c *Client) read() {
	var answers []byte
	for {
		raw, err := c.frames.next()
		if err != nil {
			c.fail(c.reason(err))
			return
		}
		kind := name(raw)
		switch kind {
		case "message", "iq", "presence":
			c.managed.handle()
		}
		switch kind {
		case "message":
			answers = c.message(answers, raw)
		case "iq":
			answers = c.iq(answers, raw)
		case "r", "enabled", "failed":
			answers = c.management(answers, kind, raw)
		case "presence":
			p := Presence{Raw: bytes.Clone(raw), From: attribute(raw, "from"), To: attribute(raw, "to"), Type: attribute(raw, "type")}
			p.Show = text(child(raw, "show", ""))
			p.Priority, _ = strconv.Atoi(text(child(raw, "priority", ""))) // absent is 0
			if !c.presences.put(p) {
				c.fail(ErrOverflow)
			}
		case "error":
			condition, _, _ := failure(append(append([]byte("<stream>"), raw...), "</stream>"...))
			c.fail(StreamError(condition))
			return
		}
		// One write for all that arrived together.
		if len(answers) > 0 && c.frames.empty() {
			c.answer(answers)
			answers = answers[:0]
		}
	}
}

func (c *Client) reason(err error) error {
	if errors.Is(err, errStreamEnd) {
		return ErrEnded
	}
	return fmt.Errorf("read from the server: %w", err)
}

func (c *Client) answer(b []byte) {
	c.mu.Lock()
	stuck := len(c.unwritten) > maxUnanswered
	c.unwritten = append(c.unwritten, b...)
	c.change.Broadcast()
	c.mu.Unlock()
	if stuck {
		c.fail(errors.New("the server does not read"))
	}
}

func (c *Client) message(answers, raw []byte) []byte {
	c.stanzas.Add(1)
	c.bytes.Add(int64(len(raw)))
	if c.options.each != nil {
		c.options.each(raw)
	}
	if c.options.confirm && bytes.Contains(raw, []byte("<request")) && child(raw, "request", receiptsNS) != nil {
		answers = append(answers, `<message type="chat" to="`...)
		answers = append(answers, Escape(attribute(raw, "from"))...)
		answers = append(answers, `"><received xmlns="urn:xmpp:receipts" id="`...)
		answers = append(answers, Escape(attribute(raw, "id"))...)
		answers = append(answers, `"/></message>`...)
	}
	if c.options.each == nil && !c.messages.put(parseMessage(raw)) {
		c.fail(ErrOverflow)
	}
	return answers
}

func (c *Client) iq(answers, raw []byte) []byte {
	id := attribute(raw, "id")
	switch attribute(raw, "type") {
	case "result", "error":
		c.mu.Lock()
		waiting := c.waiting[id]
		delete(c.waiting, id)
		c.mu.Unlock()
		if waiting != nil {
			waiting <- bytes.Clone(raw) // has room for the only answer
		}
		return answers
	}
	address := ""
	if from := attribute(raw, "from"); from != "" {
		address = ` to="` + Escape(from) + `"`
	}
	if child(raw, "ping", "urn:xmpp:ping") != nil {
		return c.pinged(answers, ping{attribute(raw, "from"), id})
	}
	return append(answers, refusal(address, id, "service-unavailable")...)
}

// refusal is a client's own error: without the question, and without the code that Openfire gives its own.
func refusal(address, id, condition string) string {
	return `<iq type="error" id="` + Escape(id) + `"` + address + `><error type="cancel"><` + condition + ` xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`
}
