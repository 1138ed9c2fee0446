package web

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// words are what the tests' Refuse answers.
var words = map[Refusal]string{NoUpgrade: "no upgrade", TooLarge: "too large", Unreachable: "unreachable", Unexpected: "unexpected", TooSlow: "too slow",
	SlowBody: "slow body", Stopping: "stopping"}

// proxied is a Proxy to a server, behind one.
func proxied(t *testing.T, to string, change ...func(*ProxyConfig)) (*Proxy, string) {
	t.Helper()
	cfg := ProxyConfig{To: to, Client: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.7") }, Log: slog.New(slog.DiscardHandler),
		Refuse: func(w http.ResponseWriter, _ *http.Request, why Refusal) {
			http.Error(w, words[why], http.StatusTeapot)
		}}
	for _, c := range change {
		c(&cfg)
	}
	p, err := NewProxy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p)
	t.Cleanup(func() { p.Stop(); server.CloseClientConnections(); server.Close() })
	return p, server.URL
}

// upstream is an XMPP server's web side.
func upstream(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return strings.TrimPrefix(server.URL, "http://")
}

func ask(t *testing.T, r *http.Request) (int, string, http.Header) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response, err := http.DefaultTransport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(body)), response.Header
}

func TestTransportOf(t *testing.T) {
	for address, want := range map[string]Transport{
		"ws://im.test:7070/ws/": WebSocket, "wss://im.test/ws": WebSocket, "http://127.0.0.1:7070/http-bind/": BOSH, "https://[::1]:7443/http-bind/": BOSH,
		"": "", "im.test:7070": "", "ftp://im.test/": "", "http:///x": "", "http:im.test": "", "http://u:p@im.test/": "", "http://im.test/?to=x": "", "http://im.test/?": "",
		"http://im.test/#x": "", "http://im.test:x/": "", "javascript:alert(1)": "", "file:///etc/passwd": "", "//im.test/x": "",
	} {
		t.Run(fmt.Sprintf("%q", address), func(t *testing.T) {
			_, got, err := TransportOf(address)
			if got != want || (err == nil) != (want != "") {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
			if err != nil && strings.Contains(err.Error(), "u:p") {
				t.Errorf("got %v, want no password in it", err)
			}
		})
	}
}

// Whatever a request says, it goes to the configured address, with what XMPP needs and nothing else.
func TestProxyLeadsNowhereElse(t *testing.T) {
	elsewhere := upstream(t, func(http.ResponseWriter, *http.Request) { t.Error("somebody else was asked, want nobody") })
	seen := make(chan *http.Request, 16)
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		seen <- r
		for _, name := range []string{"Set-Cookie", "Access-Control-Allow-Origin", "Location", "Server", "X-Powered-By", "Content-Security-Policy"} {
			w.Header().Set(name, "theirs")
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<body/>")
	})
	_, url := proxied(t, "http://"+to+"/http-bind/")
	host := strings.TrimPrefix(url, "http://")
	for name, head := range map[string]string{
		"a query":               "POST /xmpp/bosh?url=http://" + elsewhere + "/&to=" + elsewhere + " HTTP/1.1\r\nHost: " + host + "\r\n",
		"another host":          "POST /xmpp/bosh HTTP/1.1\r\nHost: " + elsewhere + "\r\n",
		"a whole address":       "POST http://" + elsewhere + "/xmpp/bosh HTTP/1.1\r\nHost: " + elsewhere + "\r\n",
		"a path in the path":    "POST /xmpp/bosh/http://" + elsewhere + "/ HTTP/1.1\r\nHost: " + host + "\r\n",
		"steps upward":          "POST /xmpp/bosh/../../plugins/ HTTP/1.1\r\nHost: " + host + "\r\n",
		"fields of proxies":     "POST /xmpp/bosh HTTP/1.1\r\nHost: " + host + "\r\nX-Forwarded-Host: " + elsewhere + "\r\nForwarded: host=" + elsewhere + "\r\nX-Original-URL: http://" + elsewhere + "/\r\nX-Forwarded-For: 10.0.0.1\r\n",
		"credentials":           "POST /xmpp/bosh?access_token=hush HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer hush\r\nCookie: a=hush\r\nProxy-Authorization: hush\r\nX-Api-Key: hush\r\nReferer: http://x/?hush\r\nOrigin: http://hush\r\n",
		"fields named by it":    "POST /xmpp/bosh HTTP/1.1\r\nHost: " + host + "\r\nConnection: X-Forwarded-For, Content-Type\r\nX-Forwarded-For: hush\r\n",
		"an upgrade of its own": "POST /xmpp/bosh HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: hush\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, host)
			fmt.Fprintf(conn, "%sContent-Type: text/xml\r\nContent-Length: 5\r\n\r\nhello", head)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(io.LimitReader(response.Body, 7))
			if err != nil || response.StatusCode != 200 || string(body) != "<body/>" {
				t.Fatalf("got %d %q, %v, want 200 and what the server said", response.StatusCode, body, err)
			}
			r := <-seen
			if text, _ := io.ReadAll(r.Body); r.Method != http.MethodPost || r.RequestURI != "/http-bind/" || r.Host != to || string(text) != "hello" {
				t.Errorf("the server got %s %s of %s: %q, want POST /http-bind/ of %s: hello", r.Method, r.RequestURI, r.Host, text, to)
			}
			if got := r.Header.Values("X-Forwarded-For"); len(got) != 1 || got[0] != "192.0.2.7" {
				t.Errorf("X-Forwarded-For: got %q, want the client's address", got)
			}
			if text := fmt.Sprint(r.Header, r.RequestURI); strings.Contains(text, "hush") || strings.Contains(text, elsewhere) {
				t.Errorf("the server got %s, want nothing of that", text)
			}
			for field, values := range response.Header {
				if values[0] == "theirs" {
					t.Errorf("the client got %s of the server, want none", field)
				}
			}
			if got := response.Header.Get("Content-Type"); got != "text/xml;charset=utf-8" || response.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("Content-Type: got %q, want what no browser shows as a page", got)
			}
		})
	}
}

func dial(t *testing.T, host string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// The environment of the process does not say through whom the server is reached.
func TestProxyKnowsNoOtherProxy(t *testing.T) {
	p, _ := proxied(t, "http://127.0.0.1:1/")
	if p.reverse.Transport.(*http.Transport).Proxy != nil {
		t.Error("got a proxy of the environment, want none")
	}
}

func TestProxyRefusesBOSH(t *testing.T) {
	hang := make(chan struct{})
	var answered atomic.Int32 // the status
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			return
		}
		switch status := int(answered.Load()); status {
		case 0:
			<-hang
		case http.StatusFound:
			http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", status)
		default:
			w.WriteHeader(status)
		}
	})
	t.Cleanup(func() { close(hang) }) // before the server is, which waits for it
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, c := range map[string]struct {
		to     string
		status int
		body   io.Reader
		length int64
		code   int
		want   string
	}{
		"taken":                  {to, 200, strings.NewReader("x"), 1, 200, ""},
		"a session that is over": {to, 404, strings.NewReader("x"), 1, 404, ""},
		"a redirect":             {to, 302, strings.NewReader("x"), 1, http.StatusTeapot, words[Unexpected]},
		"no answer":              {to, 0, strings.NewReader("x"), 1, http.StatusTeapot, words[TooSlow]},
		"nobody there":           {closed.Addr().String(), 200, strings.NewReader("x"), 1, http.StatusTeapot, words[Unreachable]},
		"too large, by its head": {to, 200, strings.NewReader(strings.Repeat("x", 101)), 101, http.StatusTeapot, words[TooLarge]},
		"too large, as it comes": {to, 200, strings.NewReader(strings.Repeat("x", 101)), -1, http.StatusTeapot, words[TooLarge]},
		"as large as may be":     {to, 200, strings.NewReader(strings.Repeat("x", 100)), -1, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			answered.Store(int32(c.status))
			_, url := proxied(t, "http://"+c.to+"/", func(cfg *ProxyConfig) {
				if cfg.Body = 100; c.status == 0 {
					cfg.Hold = 50 * time.Millisecond
				}
			})
			r := httptest.NewRequest(http.MethodPost, url, c.body)
			r.RequestURI, r.ContentLength = "", c.length
			if code, body, _ := ask(t, r); code != c.code || body != c.want {
				t.Errorf("got %d %q, want %d %q", code, body, c.code, c.want)
			}
		})
	}
}

// A request that does not come whole costs its connection, and the server is rid of it.
func TestProxyEndsASlowRequest(t *testing.T) {
	cut := make(chan error, 1)
	to := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		cut <- err
	})
	_, url := proxied(t, "http://"+to+"/", func(cfg *ProxyConfig) { cfg.Slow = 100 * time.Millisecond })
	conn := dial(t, strings.TrimPrefix(url, "http://"))
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhalf")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(response.Body); strings.TrimSpace(string(body)) != words[SlowBody] {
		t.Errorf("got %d %q, want %q", response.StatusCode, body, words[SlowBody])
	}
	if err := <-cut; err == nil {
		t.Error("the server got a whole request, want half of one")
	}
}

// An answer that is held longer than a request may take to come is waited for: that is what BOSH is.
func TestProxyWaitsForAnAnswer(t *testing.T) {
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			t.Errorf("the request: %v, want it whole", err)
		}
		select {
		case <-time.After(2 * time.Second): // twice what the body may take
			_, _ = io.WriteString(w, "late")
		case <-r.Context().Done():
		}
	})
	_, url := proxied(t, "http://"+to+"/", func(cfg *ProxyConfig) { cfg.Slow = time.Second })
	r := httptest.NewRequest(http.MethodPost, url, strings.NewReader("x"))
	r.RequestURI = ""
	if code, body, _ := ask(t, r); code != 200 || body != "late" {
		t.Errorf("got %d %q, want 200 late", code, body)
	}
}

// echoing is a WebSocket, as far as a proxy sees one, that says what it hears.
func echoing(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\nSet-Cookie: theirs\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]), r.Header.Get("Sec-WebSocket-Protocol"))
	_, _ = io.Copy(conn, buffered)
}

const upgrade = "GET /xmpp/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Protocol: xmpp\r\nCookie: hush\r\nAuthorization: Bearer hush\r\nOrigin: http://x\r\n\r\n"

// opened is a WebSocket through the proxy.
func opened(t *testing.T, url string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn := dial(t, strings.TrimPrefix(url, "http://"))
	if _, err := io.WriteString(conn, upgrade); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := response.Header
	if response.StatusCode != http.StatusSwitchingProtocols || h.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || h.Get("Sec-WebSocket-Protocol") != "xmpp" || h.Get("Set-Cookie") != "" {
		t.Fatalf("got %d %v, want 101, the answer to the key, xmpp, no cookie", response.StatusCode, h)
	}
	return conn, in
}

func TestProxyOfWebSocket(t *testing.T) {
	fields := make(chan http.Header, 16)
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		fields <- r.Header
		echoing(w, r)
	})
	p, url := proxied(t, "ws://"+to+"/ws/")
	conn, in := opened(t, url)
	if got := fmt.Sprint(<-fields); strings.Contains(got, "hush") || strings.Contains(got, "Origin") || !strings.Contains(got, "192.0.2.7") {
		t.Errorf("the server got %s, want no credential and no origin, and the client's address", got)
	}
	for range 3 {
		if _, err := io.WriteString(conn, "hello"); err != nil {
			t.Fatal(err)
		}
		back := make([]byte, 5)
		if _, err := io.ReadFull(in, back); err != nil || string(back) != "hello" {
			t.Fatalf("got %q, %v, want hello", back, err)
		}
	}
	// The stop ends it.
	p.Stop()
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the stop: got %v, want the end", err)
	}
	after := dial(t, strings.TrimPrefix(url, "http://"))
	if _, err := io.WriteString(after, upgrade); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(after), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(response.Body); strings.TrimSpace(string(body)) != words[Stopping] {
		t.Errorf("after the stop: got %q, want %q", body, words[Stopping])
	}
}

func TestProxyRefusesWhatIsNoWebSocket(t *testing.T) {
	to := upstream(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>a console</html>") })
	_, url := proxied(t, "ws://"+to+"/ws/")
	r := httptest.NewRequest(http.MethodGet, url, nil)
	r.RequestURI = ""
	if _, body, _ := ask(t, r); body != words[NoUpgrade] {
		t.Errorf("a plain request: got %q, want %q", body, words[NoUpgrade])
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	if _, body, _ := ask(t, r); body != words[Unexpected] {
		t.Errorf("a server that is none: got %q, want %q", body, words[Unexpected])
	}
}

// Who takes nothing is cut, and so is a connection on which nothing moves.
func TestProxyCutsWhoDoesNotRead(t *testing.T) {
	over := make(chan error, 1)
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n")
		flood := make([]byte, 64<<10)
		for err == nil {
			_, err = conn.Write(flood)
		}
		over <- err
	})
	_, url := proxied(t, "ws://"+to+"/ws/", func(cfg *ProxyConfig) { cfg.Slow = 200 * time.Millisecond })
	opened(t, url) // and reads no further
	select {
	case <-over:
	case <-time.After(patience):
		t.Error("the server still writes, want its client cut off")
	}
}

func TestProxyEndsWhatIsIdle(t *testing.T) {
	to := upstream(t, echoing)
	_, url := proxied(t, "ws://"+to+"/ws/", func(cfg *ProxyConfig) { cfg.Idle = 300 * time.Millisecond })
	began := time.Now()
	_, in := opened(t, url)
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) || time.Since(began) < 250*time.Millisecond {
		t.Errorf("got %v after %s, want the end after the time", err, time.Since(began))
	}
	// What the server sends keeps it open, too.
	chatty := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n")
		for range 12 { // half as long again as it may be idle
			time.Sleep(250 * time.Millisecond)
			if _, err := io.WriteString(conn, "x"); err != nil {
				return
			}
		}
	})
	_, url = proxied(t, "ws://"+chatty+"/ws/", func(cfg *ProxyConfig) { cfg.Idle = 2 * time.Second })
	_, in = opened(t, url)
	if got, err := io.ReadAll(in); len(got) != 12 {
		t.Errorf("got %d bytes, %v, want 12", len(got), err)
	}
}
