package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"tlim/cmd/tlim/config"
)

// limitedServer answers behind a limited listener; a call of /slow waits for release.
func limitedServer(t *testing.T, maxOpen, maxEach int, change ...func(*limited)) (l *limited, addr string, release chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l = limit(listener, maxOpen, maxEach)
	for _, c := range change {
		c(l)
	}
	release = make(chan struct{})
	server := &http.Server{ConnState: l.state, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release
		}
		_, _ = io.WriteString(w, "ok")
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return l, listener.Addr().String(), release
}

type clientConn struct {
	net.Conn
	r *bufio.Reader
}

func dialTest(t *testing.T, addr string) *clientConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(testTime)); err != nil {
		t.Fatal(err)
	}
	return &clientConn{conn, bufio.NewReader(conn)}
}

func (c *clientConn) ask(t *testing.T, path string) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
}

func (c *clientConn) answer(t *testing.T) {
	t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
		t.Fatalf("got %v, %v, want no error, 200", resp.StatusCode, err)
	}
}

func (c *clientConn) closed() bool {
	_, err := c.r.ReadByte()
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func (l *limited) idleNow() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.idle.Len()
}

// TestIdleConnectionsGoFirst: the longest idle one makes room for a new one, and one that works does not.
func TestIdleConnectionsGoFirst(t *testing.T) {
	l, addr, release := limitedServer(t, 3, 3)
	var conns []*clientConn
	for i := range 3 {
		c := dialTest(t, addr)
		c.ask(t, "/")
		c.answer(t)
		conns = append(conns, c)
		poll(t, t.Context(), func() bool { return l.idleNow() == i+1 })
	}
	conns[0].ask(t, "/slow")
	poll(t, t.Context(), func() bool { return l.idleNow() == 2 })
	fourth := dialTest(t, addr)
	fourth.ask(t, "/")
	fourth.answer(t)
	if !conns[1].closed() {
		t.Error("the longest idle connection is there, want it closed")
	}
	close(release)
	conns[0].answer(t)
	conns[2].ask(t, "/")
	conns[2].answer(t)
}

// TestConnectionsWait: without an idle one a new one waits, and is served as soon as another ends.
func TestConnectionsWait(t *testing.T) {
	l, addr, release := limitedServer(t, 2, 3)
	busy := []*clientConn{dialTest(t, addr), dialTest(t, addr)}
	for _, c := range busy {
		c.ask(t, "/slow")
	}
	late := dialTest(t, addr)
	late.ask(t, "/")
	var served atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		late.answer(t)
		served.Store(true)
	}()
	poll(t, t.Context(), func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.open == 3 })
	if served.Load() {
		t.Error("a third connection is served, want it to wait")
	}
	close(release)
	<-done
}

// TestAddressHasAPart: one address does not get all connections, unless it is a proxy.
func TestAddressHasAPart(t *testing.T) {
	refused := make(chan struct{}, 10)
	var proxy atomic.Bool
	_, addr, release := limitedServer(t, 10, 2, func(l *limited) {
		l.refused = func() { refused <- struct{}{} }
		l.shared = func(a netip.Addr) bool { return proxy.Load() && a == netip.MustParseAddr("127.0.0.1") }
	})
	defer close(release)
	for range 2 {
		dialTest(t, addr).ask(t, "/slow")
	}
	third := dialTest(t, addr)
	<-refused
	if !third.closed() {
		t.Error("a third connection of one address stays, want it closed")
	}
	proxy.Store(true)
	c := dialTest(t, addr)
	c.ask(t, "/")
	c.answer(t)
}

// TestHTTPConnections: the database and the files have theirs, whatever the limit is.
func TestHTTPConnections(t *testing.T) {
	for _, c := range []struct {
		descriptors int
		driver      string
		n           int
		enough      bool
	}{
		{256, "sqlite", minConnections, false},
		{1024, "sqlite", (1024 - 3*34 - 256 - 32 - 192) - (1024-3*34-256-32-192)/3, true},
		{1024, "mysql", (1024 - 34 - 256 - 32 - 192) - (1024-34-256-32-192)/3, true},
		{65536, "mysql", maxConnections, true},
	} { // a third is for what is passed on to the XMPP server
		t.Run(fmt.Sprintf("%d descriptors, %s", c.descriptors, c.driver), func(t *testing.T) {
			cfg := config.Default()
			cfg.Store.Driver = c.driver
			if n, enough := httpConnections(cfg, c.descriptors); n != c.n || enough != c.enough {
				t.Errorf("%d descriptors, %s: got %d, %v, want %d, enough %v", c.descriptors, c.driver, n, enough, c.n, c.enough)
			}
		})
	}
	if descriptors() < 64 {
		t.Errorf("this process may have %d descriptors, want at least 64", descriptors())
	}
}

// TestListenerNetwork: the addresses of an IPv6 network have one part together, and each is a proxy or not by itself.
func TestListenerNetwork(t *testing.T) {
	l := limit(nil, 10, 2)
	l.shared = func(a netip.Addr) bool { return a == netip.MustParseAddr("2001:db8::9") }
	enter := func(addr string) bool {
		a := netip.MustParseAddr(addr)
		return l.enter(&limitedConn{l: l, addr: a})
	}
	for i, c := range []struct {
		addr string
		want bool
	}{{"2001:db8::9", true}, {"2001:db8::9", true}, {"2001:db8::1", true}, {"2001:db8::2", true}, {"2001:db8::3", false}, {"2001:db8:0:1::1", true},
		{"2001:db8::9", true}, {"192.0.2.1", true}, {"192.0.2.2", true}, {"192.0.2.3", true}} {
		t.Run(fmt.Sprint(i, " ", c.addr), func(t *testing.T) {
			if got := enter(c.addr); got != c.want {
				t.Errorf("a connection from %s: got %v, want %v", c.addr, got, c.want)
			}
		})
	}
}
