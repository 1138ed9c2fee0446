package httpapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// withWeb serves pages whose server is to.
func withWeb(to string) func(*Config) {
	return func(c *Config) {
		c.Web = Web{Chat: true, XMPP: to, Pages: fstest.MapFS{"chat/index.html": {Data: []byte("the page")}, "chat/assets/Index-aB.js": {Data: []byte("1")}},
			Domain: "im.test", Component: "tlim.im.test", Version: "v1", MaxBody: 65536, GroupMembers: 2000, RevokeWindow: 2 * time.Minute, Acknowledgements: "requested"}
	}
}

// xmppServer is the web side of an XMPP server that holds a request until release is closed, or says whose it was.
func xmppServer(t *testing.T, release chan struct{}) (address string, arrived chan string) {
	t.Helper()
	arrived = make(chan string, 64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			return
		}
		arrived <- r.Header.Get("X-Forwarded-For")
		if release != nil {
			<-release
		}
		_, _ = io.WriteString(w, "<body xmlns='http://jabber.org/protocol/httpbind'/>")
	}))
	t.Cleanup(server.Close)
	return server.URL + "/http-bind/", arrived
}

func TestWebPages(t *testing.T) {
	l := newLab(t, withWeb("http://127.0.0.1:1/http-bind/"))
	for path, want := range map[string]string{"/": "the page", "/assets/Index-aB.js": "1", "/ASSETS/index-ab.js": "1"} {
		t.Run(path, func(t *testing.T) {
			a := l.do(t, http.MethodGet, path, "", "")
			if a.status != 200 || a.body != want || !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || a.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("got %d %q %v, want 200 %q, a policy, no CORS", a.status, a.body, a.header, want)
			}
			if a := l.do(t, http.MethodPost, path, "", "x=y"); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" || a.object(t)["result"] != "fail" {
				t.Errorf("POST: got %d %s, want 405, fail", a.status, a.body)
			}
		})
	}
	for _, path := range []string{"/index.html", "/assets/", "/assets/../index.html", "/chat/", "/admin/", "/xmpp/ws", "/web/", "/.keep"} {
		t.Run(path, func(t *testing.T) {
			if a := l.do(t, http.MethodGet, path, "", ""); a.status != 404 || a.object(t)["result"] != "fail" {
				t.Errorf("got %d %s, want 404, fail", a.status, a.body)
			}
		})
	}
	if a := l.do(t, http.MethodGet, "findSessions", "", ""); a.status != 401 {
		t.Errorf("a call without a credential: got %d, want 401: pages open nothing", a.status)
	}
}

// The console is at /admin/, with and without the chat page, and /admin leads there whatever a proxy has put before it.
func TestWebConsole(t *testing.T) {
	for name, chat := range map[string]bool{"beside the chat page": true, "alone": false} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, withWeb("http://127.0.0.1:1/http-bind/"), func(c *Config) {
				c.Web.Chat, c.Web.Admin = chat, true
				c.Web.Pages = fstest.MapFS{"admin/index.html": {Data: []byte("the console")}, "admin/assets/index-aB.js": {Data: []byte("2")}, "chat/index.html": {Data: []byte("the page")}}
			})
			for path, want := range map[string]string{"/admin/": "the console", "/admin/assets/index-aB.js": "2", "/Admin/": "the console"} {
				t.Run(path, func(t *testing.T) {
					a := l.do(t, http.MethodGet, path, "", "")
					if a.status != 200 || a.body != want || !strings.Contains(a.header.Get("Content-Security-Policy"), "script-src 'self';") || a.header.Get("Access-Control-Allow-Origin") != "" {
						t.Errorf("%s: got %d %q %v, want 200 %q, a policy, no CORS", path, a.status, a.body, a.header, want)
					}
				})
			}
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			response, err := client.Get(l.url + "/admin")
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusPermanentRedirect || response.Header.Get("Location") != "admin/" {
				t.Errorf("/admin: got %d to %q, want 308 to admin/", response.StatusCode, response.Header.Get("Location"))
			}
			if a := l.do(t, http.MethodPost, "/admin/", "", "x=y"); a.status != 405 {
				t.Errorf("POST: got %d, want 405", a.status)
			}
			want := map[bool]int{true: 200, false: 404}[chat]
			for _, path := range []string{"/", "/web/config.json"} {
				if a := l.do(t, http.MethodGet, path, "", ""); a.status != want {
					t.Errorf("%s: got %d, want %d", path, a.status, want)
				}
			}
		})
	}
}

func TestWebConfig(t *testing.T) {
	l := newLab(t, withWeb("ws://127.0.0.1:1/ws/"))
	a := l.do(t, http.MethodGet, "/web/config.json", "", "")
	const want = `{"api":"plugins/tlim/","acknowledgements":"requested","component":"tlim.im.test","domain":"im.test","files":{"max_size":0,"strict":false},"language":"zh","max_body":65536,"max_members":2000,"revoke_window":120000,"version":"v1","xmpp":{"path":"xmpp/ws","transport":"websocket"}}`
	if a.status != 200 || a.body != want || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json;charset=utf-8" {
		t.Errorf("got %d %s %v, want 200 %s", a.status, a.body, a.header, want)
	}
	strict := newFileLab(t, withWeb("http://127.0.0.1:1/"), func(c *Config) { c.Files.Strict, c.Language = true, English })
	var got pageConfig
	if err := json.Unmarshal([]byte(strict.do(t, http.MethodGet, "/web/config.json", "", "").body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Files != (pageFiles{MaxSize: strict.cfg.Files.MaxSize, Strict: true}) || got.Language != English || got.XMPP != (pageXMPP{"xmpp/bosh", "bosh"}) {
		t.Errorf("got %+v, want strict files, English, BOSH", got)
	}
}

// Off is off, and what cannot be passed on to is said at the start.
func TestWebOff(t *testing.T) {
	l := newLab(t)
	for _, path := range []string{"/", "/web/config.json", "/xmpp/ws", "/xmpp/bosh"} {
		t.Run(path, func(t *testing.T) {
			if a := l.do(t, http.MethodGet, path, "", ""); a.status != 404 {
				t.Errorf("got %d, want 404", a.status)
			}
		})
	}
	cfg := Config{Keys: []Key{{Name: "root", Key: adminKey, Scopes: []string{"admin"}}}}
	withWeb("im.test:7070")(&cfg)
	if _, err := New(cfg, nil, nil, nil, l.API.log); err == nil || !strings.Contains(err.Error(), "web.xmpp_url") {
		t.Errorf("an address that is none: got %v, want an error about web.xmpp_url", err)
	}
}

// Pages of this host and those that are listed may connect, and programs that are no browser; pages of others may not.
func TestWebOrigins(t *testing.T) {
	to, _ := xmppServer(t, nil)
	l := newLab(t, withWeb(to), func(c *Config) { c.CORSOrigins = []string{"*", "https://oa.test"} })
	const agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
	for name, c := range map[string]struct {
		header []string
		status int
	}{
		"our own page":         {[]string{"Origin", l.url, "User-Agent", agent}, 200},
		"another port":         {[]string{"Origin", "http://127.0.0.1:1", "User-Agent", agent}, 200},
		"one that is listed":   {[]string{"Origin", "https://oa.test", "User-Agent", agent, "Sec-Fetch-Site", "cross-site"}, 200},
		"a program":            {[]string{"User-Agent", "curl/8"}, 200},
		"a page of others":     {[]string{"Origin", "https://evil.test", "User-Agent", agent}, 403},
		"the same, hidden":     {[]string{"Origin", "null", "User-Agent", agent}, 403},
		"the same, by a field": {[]string{"Sec-Fetch-Site", "cross-site", "User-Agent", agent}, 403},
		"who does not say":     {[]string{"User-Agent", agent}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			a := l.do(t, http.MethodPost, "/xmpp/bosh", "", "<body/>", append(c.header, "Content-Type", "text/xml")...)
			if a.status != c.status {
				t.Errorf("got %d %s, want %d", a.status, a.body, c.status)
			}
			if a.status == 403 && a.object(t)["result"] != "error-011" {
				t.Errorf("got %s, want error-011", a.body)
			}
			if a.status == 200 && a.header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("got a CORS field, want none")
			}
		})
	}
	if a := l.do(t, http.MethodOptions, "/xmpp/bosh", "", ""); a.status != 405 || a.header.Get("Allow") != "POST" {
		t.Errorf("a preflight: got %d, Allow %q, want 405, POST", a.status, a.header.Get("Allow"))
	}
}

// A server that is away, or is none, is said in words, in the language of the site.
func TestWebSaysWhatIsWrong(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	other := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	t.Cleanup(other.Close)
	for name, c := range map[string]struct {
		to, body string
		status   int
		result   string
		text     text
	}{
		"nobody there":     {"http://" + closed.Addr().String() + "/", "<body/>", 502, "error-013", textNoServer},
		"no XMPP server":   {other.URL, "<body/>", 502, "error-013", textStrangeServer},
		"too large a body": {other.URL, strings.Repeat("x", 1<<20+1), 413, "error-012", text{fmt.Sprintf(textTooLargeRequest.zh, 1<<20), fmt.Sprintf(textTooLargeRequest.en, 1<<20)}},
	} {
		for _, language := range []Language{Chinese, English} {
			t.Run(name+" "+string(language), func(t *testing.T) {
				l := newLab(t, withWeb(c.to), func(cfg *Config) { cfg.Language = language })
				a := l.do(t, http.MethodPost, "/xmpp/bosh", "", c.body, "Content-Type", "text/xml")
				if v := a.object(t); a.status != c.status || v["result"] != c.result || v["result_detail"] != c.text.in(language, nil) {
					t.Errorf("got %d %s, want %d %s %s", a.status, a.body, c.status, c.result, c.text.in(language, nil))
				}
			})
		}
	}
	l := newLab(t, withWeb("ws://"+closed.Addr().String()+"/ws/"))
	if a := l.do(t, http.MethodGet, "/xmpp/ws", "", ""); a.status != 400 || a.object(t)["result_detail"] != textNoUpgrade.zh {
		t.Errorf("no WebSocket: got %d %s, want 400", a.status, a.body)
	}
	if a := l.do(t, http.MethodGet, "/xmpp/ws", "", "", "Upgrade", "websocket", "Connection", "keep-alive, Upgrade"); a.status != 502 || a.object(t)["result_detail"] != textNoServer.zh {
		t.Errorf("no server: got %d %s, want 502", a.status, a.body)
	}
}

// One address has half of the places, all of them have no more than there are; a place that is left is free again, and the API
// is not held up by any of it.
func TestWebPlaces(t *testing.T) {
	release := make(chan struct{})
	to, arrived := xmppServer(t, release)
	l := newLab(t, withWeb(to), func(c *Config) {
		c.Web.Connections = 4
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	results := make(chan answer, 8)
	enter := func(addr string) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(l.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /xmpp/bosh HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %s\r\nContent-Type: text/xml\r\nContent-Length: 1\r\n\r\nx", addr)
		go func() {
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				results <- answer{}
				return
			}
			body, _ := io.ReadAll(response.Body)
			results <- answer{status: response.StatusCode, body: string(body), header: response.Header}
		}()
	}
	for _, addr := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		enter(addr)
		if got := <-arrived; got != addr {
			t.Errorf("the server was told %q, want %q", got, addr)
		}
	}
	enter("192.0.2.1")
	if a := <-results; a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("a third of one address: got %d %s, want 429", a.status, a.body)
	}
	enter("192.0.2.4")
	if a := <-results; a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("a fifth of all: got %d %s, want 503", a.status, a.body)
	}
	if a := l.do(t, http.MethodGet, "findSessions", "user_id=lisi&access_token="+adminKey, ""); a.status != 200 {
		t.Errorf("a call meanwhile: got %d, want 200", a.status)
	}
	close(release)
	for range 4 {
		if a := <-results; a.status != 200 {
			t.Errorf("got %d %s, want 200", a.status, a.body)
		}
	}
	enter("192.0.2.1")
	if a := <-results; a.status != 200 {
		t.Errorf("when there is room again: got %d %s, want 200", a.status, a.body)
	}
}
