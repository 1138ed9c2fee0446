package stream

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"tlim/component/stanza"
)

// socketBuffer bounds what the kernel holds of ours: what was written counts as on its way, and a ping waits behind it.
const socketBuffer = 512 << 10

func dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := tcp.SetWriteBuffer(socketBuffer); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// dial connects all links to one address, and has proof that the server is the right one. The intake comes last: once the server knows it,
// clients' messages are sent there.
func (l *Links) dial(ctx context.Context, address string) (*session, *Error) {
	domains := l.cfg.domains()
	s := &session{l: l, address: address, links: make([]*link, len(domains)), down: make(chan struct{})}
	for i := len(domains) - 1; i >= 0; i-- {
		k, err := s.connect(ctx, domains[i])
		if err != nil {
			for _, other := range s.links[i+1:] {
				other.closeNow()
			}
			return nil, newError(address, domains[i], err)
		}
		s.links[i] = k
	}
	if err := s.prove(ctx); err != nil {
		for _, k := range s.links {
			k.closeNow()
		}
		return nil, newError(address, l.cfg.Domain, err)
	}
	return s, nil
}

// connect makes one link.
func (s *session) connect(ctx context.Context, domain string) (*link, error) {
	cfg := &s.l.cfg
	patience := cfg.DialTimeout
	if len(cfg.Addresses) > 1 {
		patience = min(patience, dialTimeoutOfSeveral)
	}
	dialing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := cfg.Dial(dialing, "tcp", s.address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if cfg.TLS != nil {
		conn = tls.Client(conn, secureTo(cfg.TLS, s.address))
	}
	k := &link{s: s, domain: domain, conn: conn, ended: make(chan struct{}), pings: pings{proof: time.Now()}}
	k.out = newWriter(conn, cfg, s.down, s.l.metrics)
	received, acknowledge := s.l.metrics.bytesIn, quickAck(conn)
	counted := func(n int) {
		received.Add(float64(n))
		acknowledge()
	}
	k.framer = stanza.NewFramer(countingReader{conn, counted}, stanza.Limits{Stanza: cfg.MaxStanza, Own: s.l.idPrefix})

	// The framer outlives the handshake: the server's first questions often come in the same segment as its end.
	stop := context.AfterFunc(ctx, k.closeNow)
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(cfg.DialTimeout)); err != nil {
		k.closeNow()
		return nil, err
	}
	if err := k.handshake(cfg.Secret); err != nil {
		k.closeNow()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		k.closeNow()
		return nil, err
	}
	return k, nil
}

// secureTo wants the host of the address in the certificate, where the configuration says nothing else.
func secureTo(secure *tls.Config, address string) *tls.Config {
	host, _, err := net.SplitHostPort(address)
	if secure.ServerName != "" || err != nil {
		return secure
	}
	secure = secure.Clone()
	secure.ServerName = host
	return secure
}

// streamHead is the header of our stream. Openfire 4.2 wants it on one line and stays silent otherwise (measured).
func streamHead(domain string) []byte {
	header := []byte(`<stream:stream xmlns:stream="http://etherx.jabber.org/streams" xmlns="jabber:component:accept" to="`)
	header = stanza.AppendAttr(header, domain)
	return append(header, `">`...)
}

// handshake is XEP-0114 section 3.
func (l *link) handshake(secret string) error {
	if _, err := l.conn.Write(streamHead(l.domain)); err != nil {
		return err
	}
	frame, err := l.framer.Next()
	switch {
	case errors.Is(err, io.EOF):
		return errNoHeader
	case errors.Is(err, stanza.ErrSyntax):
		return fmt.Errorf("%w: %w", errUnexpected, err)
	case err != nil:
		return err
	case frame.Kind == stanza.KindEnd:
		return errNoHeader
	case frame.Stanza.ID == "": // refused, perhaps with a reason behind it
		return l.refusal(errNoID)
	}

	if name := ownName(frame.Stanza.From, l.domain); name != "" {
		return &domainError{name, fmt.Errorf("the server registers %s as %s", l.domain, strings.ToLower(frame.Stanza.From))}
	}

	digest := sha1.Sum([]byte(frame.Stanza.ID + secret))
	if _, err := l.conn.Write([]byte("<handshake>" + hex.EncodeToString(digest[:]) + "</handshake>")); err != nil {
		return err
	}
	return l.refusal(io.ErrUnexpectedEOF)
}

// refusal reads what follows a header: nil is the end of the handshake. silent is the error for a stream that just ends.
func (l *link) refusal(silent error) error {
	for {
		frame, err := l.framer.Next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return silent
		case err != nil:
			return err
		}
		switch frame.Kind {
		case stanza.KindHandshake:
			if errors.Is(silent, errNoID) {
				return errUnexpected
			}
			return nil
		case stanza.KindStreamError:
			return streamErrorOf(&frame.Stanza)
		case stanza.KindEnd:
			return silent
		case stanza.KindStanza, stanza.KindBroken:
			return errUnexpected
		}
	}
}
