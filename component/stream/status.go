package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"tlim/component/stanza"
)

// Reason is a class of states, made for machines: /readyz and alerts.
type Reason string

// The reasons.
const (
	ReasonConnecting  Reason = "connecting"   // the first attempt is under way
	ReasonUp          Reason = "up"           // all links are ready
	ReasonRefused     Reason = "refused"      // nobody listens on the port
	ReasonDNS         Reason = "dns"          // the address has no such host
	ReasonUnreachable Reason = "unreachable"  // no connection, or no answer to the handshake, in time
	ReasonTLS         Reason = "tls"          // the certificate or the protocol
	ReasonNoComponent Reason = "no-component" // what answers is not a component port
	ReasonSecret      Reason = "secret"       // the server does not take ours
	ReasonConflict    Reason = "conflict"     // the domain is in use, or not allowed, or no secret is set
	ReasonHostUnknown Reason = "host-unknown" // the server does not allow the domain
	ReasonDomain      Reason = "domain"       // the server is not that of xmpp.domain
	ReasonStreamEnd   Reason = "stream-end"   // the server ended the stream in order
	ReasonStreamError Reason = "stream-error" // the server ended it with an error
	ReasonLost        Reason = "lost"         // the connection broke
	ReasonDeaf        Reason = "deaf"         // open, but a ping was not answered
	ReasonStalled     Reason = "stalled"      // the server takes nothing more
	ReasonSyntax      Reason = "syntax"       // what came was not XML
	ReasonClosed      Reason = "closed"       // we ended it
)

// advice says what each reason means to who runs the server. {address} and {server} are the server's address and domain, {domain} is the link's.
var advice = map[Reason]string{
	ReasonConnecting:  "connecting to {address}",
	ReasonUp:          "linked to {address} as {domain}",
	ReasonRefused:     "{address} refuses connections: start the XMPP server, or enable its external component service on this port",
	ReasonDNS:         "the host of {address} has no address: correct xmpp.server or the name service",
	ReasonUnreachable: "{address} does not answer in time: check the address, the firewall, and that TLS is not expected on this port",
	ReasonTLS:         "no TLS with {address}: check that the port is the TLS one, and xmpp.ca_file and xmpp.server_name against the server's certificate",
	ReasonNoComponent: "{address} takes no component {domain}: check that this is the external component port and that the component's domain is not the server's own",
	ReasonSecret:      "the server does not accept the secret for {domain}: set the same one in xmpp.secret and in the server's external component settings",
	ReasonConflict:    "the server refuses {domain}: another connection has this name, or the server's external component settings do not allow it or hold no secret",
	ReasonHostUnknown: "the server does not know {domain}: allow this subdomain in its external component settings",
	ReasonDomain:      "the server on {address} does not answer for {server}: its domain is probably not what xmpp.domain says, or it hangs; Openfire's console shows it as XMPP Domain Name on its first page",
	ReasonStreamEnd:   "the server closed the stream in order, as for a restart or after idling; reconnecting",
	ReasonStreamError: "the server closed the stream with an error; reconnecting",
	ReasonLost:        "the connection to {address} broke; reconnecting",
	ReasonDeaf:        "the server does not answer pings any more: it hangs, or it lost the thread of the stream; reconnecting",
	ReasonStalled:     "the server takes nothing more from the stream: it hangs or is overloaded; reconnecting",
	ReasonSyntax:      "what the server sent was not XML: check that {address} is its external component port; reconnecting",
	ReasonClosed:      "closed",
}

// Error says why there is no link. It wraps the cause.
type Error struct {
	Reason Reason
	Domain string // of the link that it happened to
	Err    error

	address string // of the server
}

func (e *Error) Error() string { return fmt.Sprintf("link %s: %s: %v", e.Domain, e.Reason, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	errStreamEnd  = errors.New("the server ended the stream")
	errDeaf       = errors.New("a ping was not answered in time")
	errStalled    = errors.New("writing made no progress in time")
	errClosed     = errors.New("closed by us")
	errNoID       = errors.New("a stream header without id, and the end: the name is in use or not allowed")
	errNoHeader   = errors.New("closed without a stream header")
	errUnexpected = errors.New("not what a component port sends")
)

// streamError is a <stream:error/> by its condition.
type streamError string

func (s streamError) Error() string { return "stream error: " + string(s) }

func streamErrorOf(st *stanza.Stanza) error {
	for c := range st.Children() {
		if c.Name != "text" {
			return streamError(c.Name)
		}
	}
	return streamError("undefined-condition")
}

// newError finds the reason of a loss. An *Error stays what it is.
func newError(address, domain string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Reason: reasonOf(err), Domain: domain, Err: err, address: address}
}

func reasonOf(err error) Reason {
	if _, ok := errors.AsType[*domainError](err); ok {
		return ReasonDomain
	}
	if e, ok := errors.AsType[streamError](err); ok {
		switch e {
		case "not-authorized":
			return ReasonSecret
		case "conflict":
			return ReasonConflict
		case "host-unknown", "host-gone", "improper-addressing":
			return ReasonHostUnknown
		case "invalid-namespace", "bad-namespace-prefix": // a port for clients
			return ReasonNoComponent
		}
		return ReasonStreamError
	}
	for _, known := range [...]struct {
		err    error
		reason Reason
	}{
		{errStreamEnd, ReasonStreamEnd}, {errDeaf, ReasonDeaf}, {errStalled, ReasonStalled}, {errClosed, ReasonClosed},
		{errNoID, ReasonConflict}, {errFlooded, ReasonDeaf}, {errNoHeader, ReasonNoComponent}, {errUnexpected, ReasonNoComponent},
		{stanza.ErrSyntax, ReasonSyntax}, {syscall.ECONNREFUSED, ReasonRefused},
		{syscall.EHOSTUNREACH, ReasonUnreachable}, {syscall.ENETUNREACH, ReasonUnreachable}, {context.DeadlineExceeded, ReasonUnreachable},
		{io.EOF, ReasonLost}, {io.ErrUnexpectedEOF, ReasonLost},
	} {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return ReasonDNS
	}
	if isTLS(err) {
		return ReasonTLS
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return ReasonUnreachable
	}
	return ReasonLost
}

func isTLS(err error) bool {
	_, verify := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	return verify || record || alert || host || authority
}

// Status is the state of the links as /readyz shows it.
type Status struct {
	Up     bool
	Since  time.Time // of this reason
	Reason Reason
	Text   string // one sentence: what it is, and where there is something to do, what
	Err    error  // the last cause; nil when up

	Server      string    // the address that the links go to, or went to last; "" before the first
	ServerSince time.Time // since when they go there
	Moved       Reason    // why they left the server before; "" when there was none
}

// Cut says that nothing of a server arrives here, or it went silent: from another machine it may be reached. One that answers and refuses is
// not meant, nor one that is dialled for the first time.
func (s Status) Cut() bool {
	switch s.Reason {
	case ReasonRefused, ReasonDNS, ReasonUnreachable, ReasonLost, ReasonDeaf, ReasonStalled:
		return !s.Up
	}
	return false
}

// state holds the status and logs its changes.
type state struct {
	mu      sync.Mutex
	status  Status
	settled chan struct{} // closed when the first attempt has come to something
	first   sync.Once
}

// Status tells whether the links are up and since when, and if not, why.
func (l *Links) Status() Status {
	l.state.mu.Lock()
	defer l.state.mu.Unlock()
	return l.state.status
}

// Settled waits until the first attempt has come to something, a wrong domain included that is named before the server has kept silent for
// long, or until ctx ends, and returns the status. It is for those who want to know what is wrong, and not to be linked.
func (l *Links) Settled(ctx context.Context) Status {
	select {
	case <-l.state.settled:
	case <-ctx.Done():
	}
	return l.Status()
}

// note takes a new state over; nil is up. It is logged when it differs from the one before: an outage of hours is one line.
func (l *Links) note(err *Error) {
	status := Status{Up: err == nil, Since: time.Now(), Reason: ReasonUp}
	if err != nil {
		status.Reason, status.Err = err.Reason, err
	}

	l.state.mu.Lock()
	status.Server, status.ServerSince, status.Moved = l.state.status.Server, l.state.status.ServerSince, l.state.status.Moved
	status.Text = l.textOf(err, status.Server)
	if l.state.status.Reason == ReasonDomain && status.Reason == ReasonConflict {
		// The server is still busy with the connection before, which asked it for a foreign domain.
		l.state.mu.Unlock()
		return
	}
	changed := l.state.status.Reason != status.Reason || status.Reason == ReasonDomain && l.state.status.Text != status.Text
	if !changed {
		status.Since = l.state.status.Since
	}
	l.state.status = status
	l.state.mu.Unlock()
	l.state.first.Do(func() { close(l.state.settled) })

	switch {
	case !changed:
	case err == nil:
		l.log.Info("link is up", "address", status.Server, "component", l.cfg.Domain, "connections", l.cfg.Connections)
	case err.Reason == ReasonClosed:
		l.log.Info("link is closed")
	default:
		l.log.Warn("link is down", "reason", string(err.Reason), "text", status.Text, "error", err.Err)
	}
}

// textOf is the sentence about an error; nil is a link to the server that is up.
func (l *Links) textOf(err *Error, server string) string {
	if err == nil {
		return l.advise(ReasonUp, server, l.cfg.Domain)
	}
	if round, ok := err.Err.(*roundError); ok { //nolint:errorlint // only as it was made
		texts := make([]string, len(round.failed))
		for i, one := range round.failed {
			texts[i] = l.textOf(one, server)
		}
		return strings.Join(texts, "; ")
	}
	if wrong, ok := errors.AsType[*domainError](err.Err); ok && wrong.own != "" {
		return fmt.Sprintf("the server on %s calls itself %s, and xmpp.domain says %s: set xmpp.domain to %s", err.address, wrong.own, l.cfg.Server, wrong.own)
	}
	return l.advise(err.Reason, err.address, err.Domain)
}

func (l *Links) advise(reason Reason, address, domain string) string {
	return strings.NewReplacer("{address}", address, "{domain}", domain, "{server}", l.cfg.Server).Replace(advice[reason])
}
