package stream

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component/stanza"
)

// Config is what Links needs to know. Zero values mean the defaults named here.
type Config struct {
	Addresses []string    // host:port of the component ports: nodes of one server, or spares
	Domain    string      // C, ours
	Server    string      // D, the server's
	Secret    string      // shared with the server; ASCII
	TLS       *tls.Config // nil: plain. Without a ServerName the host of each address is wanted

	// First names the address to try first; nil, "" and one that is not among Addresses: the last that worked.
	First func() string

	Connections int  // intake link included; 1
	Multicast   bool // one XEP-0033 stanza for deliveries to many, where the server has it (to the bare D, bcc)

	PingAfter    time.Duration // without proof that the server works off what we send; 8 s
	PingTimeout  time.Duration // from the ping's way onto the wire to its answer; 10 s
	WriteTimeout time.Duration // of a write without progress; 10 s
	DialTimeout  time.Duration // of connecting, and again of the handshake; 10 s, but 3 s for connecting where there are several addresses
	CloseTimeout time.Duration // of the orderly end: buffers, then the server's end of stream; 3 s

	BufferBytes  int // per link, waiting to be written; 8 MiB
	ReserveBytes int // on top, for Post and Answer; the last half of it for Post alone; 1 MiB
	// AnswerRate is how many answers a second one sender may provoke, after a burst of ten times as many; 0: no limit. What waits
	// is bounded in any case.
	AnswerRate float64
	MaxStanza  int // bytes of a message or presence, over which only its attributes are read; 256 KiB

	Version string // told to who asks
	// IQ answers questions (type get or set) that Links does not know, and disco of nodes. It runs on the reader's goroutine and must
	// not block. payload is the result's content; with nil, and handled true, nothing is sent and the hook answers later, by
	// [Links.Answer]. handled false means service-unavailable, or item-not-found for a node. May be nil.
	IQ       func(st stanza.Stanza) (payload []byte, handled bool)
	Features []string // what disco#info of C names beside our own
	// Dial makes the connection; nil: TCP.
	Dial       func(ctx context.Context, network, address string) (net.Conn, error)
	Registerer prometheus.Registerer // nil: the metrics go nowhere
	Log        *slog.Logger          // nil: slog.Default
}

// Handler gets what arrives. Its methods must not block.
type Handler interface {
	// Stanza gets messages and presences, in order, on the reader's goroutine; the stanza is the handler's. No IQ comes here.
	Stanza(st stanza.Stanza)
	// Answered gets the answers to pings of [Links.Deliver], and all others that nobody waits for, on a reader's goroutine. It is false for
	// what it did not ask. from is the answer's address, in its prepared form.
	Answered(st stanza.Stanza, from stanza.JID) bool
	// Up tells that all links are ready, before the first Stanza of this connection. What is delivered from then on leaves.
	Up()
	// Down tells that the links are gone, once for each Up and after its last Stanza. err says why; it is an *Error.
	Down(err error)
}

const (
	defaultPingAfter    = 8 * time.Second
	defaultPingTimeout  = 10 * time.Second
	defaultWriteTimeout = 10 * time.Second
	defaultDialTimeout  = 10 * time.Second
	// A machine that is off does not answer at all, and another waits.
	dialTimeoutOfSeveral = 3 * time.Second
	defaultCloseTimeout  = 3 * time.Second
	defaultBuffer        = 8 << 20
	defaultReserve       = 1 << 20
	// A question without a deadline of its own: some errors inside the server leave a component without any answer.
	questionTimeout = 30 * time.Second
)

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&c.PingAfter, defaultPingAfter)
	set(&c.PingTimeout, defaultPingTimeout)
	set(&c.WriteTimeout, defaultWriteTimeout)
	set(&c.DialTimeout, defaultDialTimeout)
	set(&c.CloseTimeout, defaultCloseTimeout)
	if c.BufferBytes <= 0 {
		c.BufferBytes = defaultBuffer
	}
	if c.ReserveBytes <= 0 {
		c.ReserveBytes = defaultReserve
	}
	if c.Connections <= 0 {
		c.Connections = 1
	}
	if c.Dial == nil {
		c.Dial = dialTCP
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	// An upper-case domain is taken by Openfire and registered as something else (measured).
	c.Domain, c.Server = strings.ToLower(c.Domain), strings.ToLower(c.Server)
	return c
}

// domains are those of the links: C for the intake, and for the others its first label with a number.
func (c Config) domains() []string {
	list := []string{c.Domain}
	label, rest, _ := strings.Cut(c.Domain, ".")
	for i := 2; i <= c.Connections; i++ {
		list = append(list, label+"-"+itoa(i)+"."+rest)
	}
	return list
}
