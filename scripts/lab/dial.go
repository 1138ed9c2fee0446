package lab

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

type dialOptions struct {
	domain   string
	presence *Presence
	directed []string
	carbons  bool
	confirm  bool
	ack      bool
	each     func(raw []byte)
	pings    PingAnswer
	managed  bool
	resumed  *Client
}

// Option is a choice for Dial.
type Option func(*dialOptions)

// WithPresence makes the client available, with that show ("" is plainly available) and priority. Without it the session is
// connected and gets no messages to its bare address.
func WithPresence(show string, priority int) Option {
	return func(o *dialOptions) { o.presence = &Presence{Show: show, Priority: priority} }
}

// WithoutPresence takes WithPresence back: the session is bound, and becomes available by [Client.Presence].
func WithoutPresence() Option {
	return func(o *dialOptions) { o.presence = nil }
}

// WithDirected also sends available presence to jid, as clients do that know tlim.
func WithDirected(jid string) Option {
	return func(o *dialOptions) { o.directed = append(o.directed, jid) }
}

// WithCarbons enables XEP-0280 message carbons.
func WithCarbons() Option { return func(o *dialOptions) { o.carbons = true } }

// WithConfirm makes the client answer every message that carries an XEP-0184 <request/> with <received/>, at once.
func WithConfirm() Option { return func(o *dialOptions) { o.confirm = true } }

// WithAck makes SendMessage ask for tlim's acknowledgement (MTC-100).
func WithAck() Option { return func(o *dialOptions) { o.ack = true } }

// WithEach is for benchmarks: each is called on the reader's goroutine with every message stanza, whose bytes are valid during the call only, and
// messages are neither parsed nor kept (Recv never returns one). Received counts them either way.
func WithEach(each func(raw []byte)) Option { return func(o *dialOptions) { o.each = each } }

// WithCount is WithEach for those who only want Received.
func WithCount() Option { return WithEach(func([]byte) {}) }

// ErrLogin is in the error of a Dial whose user or password the server refused.
var ErrLogin = errors.New("login refused")

// Dial connects to addr (host:port), logs in to domain by SASL PLAIN without TLS, binds the resource ("" lets the server choose) and does
// what the options say. When it returns, the server has processed all of it: the client's presence is known.
func Dial(ctx context.Context, addr, domain, user, password, resource string, opts ...Option) (*Client, error) {
	c := &Client{waiting: map[string]chan []byte{}, over: make(chan struct{}), options: dialOptions{domain: domain}, managed: management{answer: make(chan error, 1)}}
	c.change = sync.NewCond(&c.mu)
	for _, o := range opts {
		o(&c.options)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s@%s: %w", user, domain, err)
	}
	c.conn = conn.(*net.TCPConn)
	c.frames = newFramer(gate{c})
	if err := c.open(ctx, user, password); err != nil {
		_ = conn.Close() // the failure to log in is what matters
		return nil, fmt.Errorf("log in %s@%s: %w", user, domain, err)
	}
	c.pings.how = c.options.pings
	c.run()
	if err := c.settle(ctx, resource); err != nil {
		c.Kill()
		return nil, fmt.Errorf("log in %s@%s/%s: %w", user, domain, resource, err)
	}
	return c, nil
}

// open logs in, before reader and writer run.
func (c *Client) open(ctx context.Context, user, password string) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err := c.negotiate(user, password)
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	return err
}

func (c *Client) negotiate(user, password string) error {
	// 1. Stream and login.
	features, err := c.stream()
	if err != nil {
		return err
	}
	offered := false
	children(child(features, "mechanisms", ""), func(_, _ string, m []byte) bool {
		offered = offered || text(m) == "PLAIN"
		return true
	})
	if !offered {
		return fmt.Errorf("the server does not offer PLAIN: %s", features)
	}
	secret := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	answer, err := c.ask(`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">` + secret + `</auth>`)
	if err != nil {
		return err
	}
	if name(answer) != "success" {
		return fmt.Errorf("%w: %s", ErrLogin, answer)
	}

	// 2. Stream again, and go on with a session that is kept.
	if features, err = c.stream(); err != nil {
		return err
	}
	if c.options.resumed != nil {
		return c.resume(c.options.resumed)
	}
	if session := child(features, "session", ""); session != nil {
		c.needsSession = child(session, "optional", "") == nil
	}
	return nil
}

// stream opens a stream and returns its features.
func (c *Client) stream() ([]byte, error) {
	// One line: Openfire's parser goes deaf at a newline behind the declaration.
	_, err := io.WriteString(c.conn, `<?xml version="1.0"?><stream:stream to="`+Escape(c.options.domain)+
		`" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" version="1.0">`)
	if err != nil {
		return nil, err
	}
	if _, err := c.frames.header(); err != nil {
		return nil, err
	}
	features, err := c.element()
	if err != nil {
		return nil, err
	}
	if name(features) != "features" {
		return nil, fmt.Errorf("no features: %s", features)
	}
	return features, nil
}

func (c *Client) ask(raw string) ([]byte, error) {
	if _, err := io.WriteString(c.conn, raw); err != nil {
		return nil, err
	}
	return c.element()
}

func (c *Client) element() ([]byte, error) {
	raw, err := c.frames.next()
	if err != nil {
		return nil, c.reason(err)
	}
	if name(raw) == "error" {
		condition, _, _ := failure(append(append([]byte("<stream>"), raw...), "</stream>"...))
		return nil, StreamError(condition)
	}
	return append([]byte(nil), raw...), nil
}

// settle binds the resource and does what the options say. Reader and writer run by now: Openfire hands a resource that was bound before what is
// sent to it before it answers.
func (c *Client) settle(ctx context.Context, resource string) error {
	if c.options.resumed != nil {
		return c.Sync(ctx) // presence and carbons are as they were
	}
	if err := c.bind(ctx, resource); err != nil {
		return err
	}
	if c.needsSession {
		if _, err := c.IQ(ctx, "set", "", `<session xmlns="urn:ietf:params:xml:ns:xmpp-session"/>`); err != nil {
			return fmt.Errorf("no session: %w", err)
		}
	}
	if c.options.managed {
		if err := c.enable(ctx); err != nil {
			return fmt.Errorf("enable stream management: %w", err)
		}
	}
	if c.options.carbons {
		if _, err := c.IQ(ctx, "set", "", `<enable xmlns="`+carbonsNS+`"/>`); err != nil {
			return fmt.Errorf("enable carbons: %w", err)
		}
	}
	if c.options.presence != nil {
		if err := c.Send(c.options.presence.stanza()); err != nil {
			return err
		}
	}
	for _, jid := range c.options.directed {
		p := Presence{To: jid}
		if c.options.presence != nil {
			p.Show, p.Priority = c.options.presence.Show, c.options.presence.Priority
		}
		if err := c.Send(p.stanza()); err != nil {
			return err
		}
	}
	return c.Sync(ctx)
}

// bind binds a resource, "" for one that the server chooses.
func (c *Client) bind(ctx context.Context, resource string) error {
	wanted := ""
	if resource != "" {
		wanted = "<resource>" + Escape(resource) + "</resource>"
	}
	answer, err := c.IQ(ctx, "set", "", `<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind">`+wanted+`</bind>`)
	if err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if c.JID = text(child(child(answer, "bind", ""), "jid", "")); c.JID == "" {
		return fmt.Errorf("nothing bound: %s", answer)
	}
	return nil
}

// gate is the client's socket to its framer: it does not read while the client is paused.
type gate struct{ c *Client }

func (g gate) Read(p []byte) (int, error) {
	c := g.c
	for {
		n, err := c.conn.Read(p)
		// After the login nobody but Pause sets a deadline, so running into one means: look whether it is still on.
		var timeout net.Error
		woken := n == 0 && c.running && errors.As(err, &timeout) && timeout.Timeout()
		if n == 0 && !woken {
			return 0, err
		}
		// A read that was under way when Pause came may bring what arrived later: a client that dies paused has not seen that.
		if over := g.wait(); over != nil {
			return 0, over
		}
		if !woken {
			return n, err
		}
	}
}

// wait returns when the client is not paused, or with the reason why it is over while it was.
func (g gate) wait() error {
	c := g.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.paused {
		return nil
	}
	for c.paused && c.err == nil {
		c.change.Wait()
	}
	return c.err
}
