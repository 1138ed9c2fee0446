package stream

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"tlim/component/stanza"
)

// tcpRig is a rig on real sockets; nothing in its tests waits for time to pass.
func tcpRig(t *testing.T, address string, secure *tls.Config) *rig {
	t.Helper()
	r := &rig{t: t, events: make(chan string, 1000), ended: make(chan struct{})}
	r.Links = New(Config{Addresses: []string{address}, Domain: "tlim.im.test", Server: "im.test", Secret: "s3cret", TLS: secure, Log: slog.New(slog.DiscardHandler)}, r)
	return r.start()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// serve takes the next connection through the handshake.
func serve(t *testing.T, l net.Listener) *peer {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p := &peer{t: t, conn: conn, framer: stanza.NewFramer(conn, stanza.Limits{Stanza: 1 << 20})}
	p.header("7n9nd2351p")
	p.shake("")
	return p
}

// A connection that is reset under load is replaced by another one.
func TestTCPReset(t *testing.T) {
	l := listen(t)
	r := tcpRig(t, l.Addr().String(), nil)
	p := serve(t, l)
	r.expect("up")
	go func() { // the load, until the link is gone
		for r.Deliver(t.Context(), one("1", "u@im.test")) == nil {
		}
	}()
	for range 100 {
		p.next()
	}
	if err := p.conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = p.conn.Close()
	r.expect("down lost")
	p = serve(t, l)
	r.expect("up")
	p.send(`<message id="again"/>`)
	r.expect("message again ")
	p.drain()
}

func TestTCPRefused(t *testing.T) {
	l := listen(t)
	_ = l.Close()
	r := &rig{t: t, events: make(chan string, 10), ended: make(chan struct{})}
	noted := make(chan struct{})
	r.Links = New(Config{Addresses: []string{l.Addr().String()}, Domain: "tlim.im.test", Server: "im.test", Secret: "s3cret",
		Log: slog.New(slog.NewTextHandler(onWrite(func() { close(noted) }), nil))}, r)
	r.start()
	<-noted
	if s := r.Status(); s.Reason != ReasonRefused {
		t.Errorf("got status %+v, want %v", s, ReasonRefused)
	}
	r.cancel()
	<-r.ended
}

// onWrite calls itself at the first write.
type once struct{ call func() }

func onWrite(call func()) io.Writer { return &once{call} }

func (o *once) Write(b []byte) (int, error) {
	if o.call != nil {
		o.call()
		o.call = nil
	}
	return len(b), nil
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	l := tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{cert}})
	r := tcpRig(t, l.Addr().String(), &tls.Config{ServerName: "im.test", RootCAs: pool})
	p := serve(t, l)
	r.expect("up")
	p.send(`<message id="1"/>`)
	r.expect("message 1 ")
	r.Post([]byte(`<message id="2" to="u@im.test"/>`))
	if st := p.next(); st.ID != "2" {
		t.Errorf("got %s, want ID 2", line(st))
	}
	p.drain()
	r.cancel()
	<-r.ended
	r.expect("down closed")
}

// A certificate for another name, and a port without TLS, are told apart from a server that is not there.
func TestTLSRefused(t *testing.T) {
	cert, pool := certificate(t)
	for name, c := range map[string]struct {
		serve  func(conn net.Conn)
		config *tls.Config
	}{
		"another name": {func(conn net.Conn) {
			_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
		}, &tls.Config{ServerName: "other.test", RootCAs: pool}},
		"unknown authority": {func(conn net.Conn) {
			_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
		}, &tls.Config{ServerName: "im.test", RootCAs: x509.NewCertPool()}},
		"no TLS there": {func(conn net.Conn) { _, _ = io.WriteString(conn, "<stream:error>not XML</stream:error>") },
			&tls.Config{ServerName: "im.test", RootCAs: pool}},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			served := make(chan struct{})
			go func() {
				defer close(served)
				conn, err := l.Accept()
				if err != nil {
					return
				}
				c.serve(conn)
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}()
			links := New(Config{Addresses: []string{l.Addr().String()}, Domain: "tlim.im.test", Server: "im.test", Secret: "s", TLS: c.config, Log: slog.New(slog.DiscardHandler)}, nil)
			if _, err := links.dial(t.Context(), l.Addr().String()); err == nil || err.Reason != ReasonTLS {
				t.Errorf("got %v, want an error of %v", err, ReasonTLS)
			}
			<-served
		})
	}
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "im.test"}, DNSNames: []string{"im.test"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// BenchmarkDeliver is one message of 300 bytes to a group of 50 over a real socket to a server that only reads. One operation
// is one copy.
func BenchmarkDeliver(b *testing.B) {
	for _, connections := range []int{1, 4} {
		for _, multicast := range []bool{false, true} {
			b.Run(fmt.Sprintf("links=%d/multicast=%v", connections, multicast), func(b *testing.B) {
				benchmarkDeliver(b, Config{Connections: connections, Multicast: multicast})
			})
		}
	}
}

func benchmarkDeliver(b *testing.B, cfg Config) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.WriteString(conn, `<stream:stream xmlns:stream="http://etherx.jabber.org/streams" xmlns="jabber:component:accept" id="1"><handshake/>`)
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}()
		}
	}()
	cfg.Addresses, cfg.Domain, cfg.Server, cfg.Secret, cfg.Log = []string{l.Addr().String()}, "tlim.im.test", "im.test", "s", slog.New(slog.DiscardHandler)
	cfg.PingAfter, cfg.CloseTimeout = time.Hour, time.Millisecond
	h := upOnly{up: make(chan struct{})}
	links := New(cfg, h)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = links.Run(ctx) }()
	<-h.up
	d := []stanza.Delivery{{ID: "5f0c8a52-8a53-4e2f-b8ab-3c1f7a2b9c11", From: "zhangsan@tlim.im.test",
		Payload: []byte("<body>" + strings.Repeat("x", 300) + `</body><no-store xmlns="urn:xmpp:hints"/>`)}}
	for i := range 50 {
		d[0].To = append(d[0].To, stanza.Target{JID: fmt.Sprintf("user%d@im.test", i)})
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n++; n%len(d[0].To) == 0 {
			if err := links.Deliver(ctx, d); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := links.Flushed(ctx); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	cancel()
	<-ended
}

type upOnly struct{ up chan struct{} }

func (upOnly) Stanza(stanza.Stanza) {}
func (upOnly) Down(error)           {}

func (upOnly) Answered(stanza.Stanza, stanza.JID) bool { return false }
func (u upOnly) Up()                                   { close(u.up) }
