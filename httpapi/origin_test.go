package httpapi

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// What callers send of themselves.
const (
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	chrome  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	miui    = "Mozilla/5.0 (Linux; U; Android 9; zh-cn; MI 8 Build/PKQ1) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/71.0.3578.141 Mobile Safari/537.36 XiaoMi/MiuiBrowser/12.5"
	ie6     = "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1;SV1)"
	okgo    = "Mozilla/5.0 (Linux; U; Android 7.0; zh-cn; MHA-AL00 Build/HUAWEIMHA-AL00) AppleWebKit/533.1 (KHTML, like Gecko) Version/5.0 Mobile Safari/533.1"
)

// page is what a browser sends with every request.
func page(agent string, more ...string) []string {
	return append([]string{"User-Agent", agent, "Accept", "image/avif,image/webp,*/*;q=0.8", "Accept-Language", "zh-CN,zh;q=0.9", "Accept-Encoding", "gzip, deflate"}, more...)
}

// TestCrossSite: a call that only http.allow_anonymous lets in is refused, a read like a write, when a browser makes it for a page
// of another origin or does not say for which. Who is no browser, and who has a key, comes in.
func TestCrossSite(t *testing.T) {
	s := seeded(t)
	open := newLabOver(t, s, func(c *Config) { c.AllowAnonymous = AnonymousClients })
	named := newLabOver(t, s, func(c *Config) {
		c.AllowAnonymous, c.CORSOrigins = AnonymousClients, []string{"*", "https://oa.example.com"}
	})
	strict := newLabOver(t, s, func(c *Config) { c.CORSOrigins = []string{"https://oa.example.com"} })
	for i, c := range []struct {
		lab    *lab
		header []string
		want   int
	}{
		// Pages.
		{open, []string{"Origin", "http://127.0.0.1:8080"}, 200}, // another port of the same host
		{open, page(firefox, "Referer", "http://127.0.0.1:8080/chat"), 200},
		{open, []string{"Origin", "https://evil.example.com"}, 403},
		{open, []string{"Origin", "null"}, 403},
		{open, []string{"Origin", "null", "Referer", "http://127.0.0.1/"}, 403},
		{open, []string{"Sec-Fetch-Site", "cross-site"}, 403}, // <img src>: no Origin
		{open, []string{"Sec-Fetch-Site", "same-site"}, 403},  // of a page of a neighbour
		{open, page(firefox, "Sec-Fetch-Site", "same-site", "Referer", "https://neighbour.example.com/"), 403},
		{open, page(firefox, "Sec-Fetch-Site", "same-site", "Referer", "http://127.0.0.1:8080/"), 200},
		{open, page(firefox, "Sec-Fetch-Site", "cross-site", "Referer", "https://127.0.0.1/"), 403},
		{open, page(firefox, "Sec-Fetch-Site", "same-origin", "Origin", "https://proxied.example.com"), 200},
		{open, page(firefox, "Sec-Fetch-Site", "none"), 200},
		{open, []string{"Referer", "https://evil.example.com/page"}, 403},
		{open, []string{"Referer", "%%%"}, 403},
		{open, []string{"Referer", "about:blank"}, 403},
		{named, []string{"Origin", "https://oa.example.com", "Sec-Fetch-Site", "cross-site"}, 200},
		{named, page(chrome, "Referer", "https://oa.example.com/page", "Sec-Fetch-Site", "cross-site"), 200}, // its <img src>
		{named, []string{"Referer", "https://oa.example.com/page"}, 200},
		{named, []string{"Origin", "https://oa.example.com.evil.com"}, 403},
		{named, []string{"Origin", "*"}, 403},
		// <img referrerpolicy="no-referrer"> over plain http.
		{open, page(firefox), 403}, {open, page(chrome), 403}, {open, page(miui), 403}, {open, page(ie6), 403}, {named, page(firefox), 403},
		{open, page(miui, "Accept-Language", "", "Accept", ""), 403}, // what a page can empty it cannot take away
		{open, page("Opera/9.80 (Windows NT 6.1) Presto/2.12.388 Version/12.18"), 403},
		{open, []string{"User-Agent", firefox}, 403}, {open, []string{"User-Agent", chrome}, 403},
		// Integrators and apps.
		{open, nil, 200},
		{open, []string{"User-Agent", "curl/7.29.0", "Accept", "*/*"}, 200},
		{open, []string{"User-Agent", "Java/1.8.0_202", "Accept", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"}, 200},
		{open, []string{"User-Agent", ie6, "Accept", "*/*", "Connection", "Keep-Alive"}, 200}, // copied from Java examples
		{open, []string{"User-Agent", "Apache-HttpClient/4.5.13 (Java/1.8.0_202)", "Accept-Encoding", "gzip,deflate"}, 200},
		{open, []string{"User-Agent", "Jakarta Commons-HttpClient/3.1"}, 200},
		{open, page("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/75.0.3770.142 Safari/537.36 Hutool"), 200},
		{open, []string{"User-Agent", "python-requests/2.32.0", "Accept", "*/*", "Accept-Encoding", "gzip, deflate"}, 200},
		{open, []string{"User-Agent", "okhttp/3.12.1", "Accept-Encoding", "gzip"}, 200},
		{open, []string{"User-Agent", okgo, "Accept-Language", "zh-CN,zh;q=0.8", "Accept-Encoding", "gzip"}, 200},
		{open, []string{"User-Agent", "Dalvik/2.1.0 (Linux; U; Android 10; MI 9 MIUI/V12.5)", "Accept-Encoding", "gzip"}, 200},
		{open, []string{"User-Agent", "tlim/2.3 (iPhone; iOS 13.3; Scale/3.00)", "Accept", "*/*", "Accept-Language", "zh-Hans-CN;q=1", "Accept-Encoding", "gzip, deflate"}, 200},
		{open, []string{"User-Agent", "tlim/1 CFNetwork/1121.2.2 Darwin/19.3.0", "Accept", "*/*", "Accept-Language", "zh-cn"}, 200},
		// A key.
		{open, []string{"Origin", "https://evil.example.com", "Authorization", "Bearer " + adminKey}, 200},
		{open, page(firefox, "Authorization", "Bearer "+adminKey), 200},
		{strict, []string{"Origin", "https://evil.example.com", "Authorization", "Bearer " + adminKey}, 200},
	} {
		t.Run(fmt.Sprintf("%d %.30q", i, c.header), func(t *testing.T) {
			for _, path := range []string{"getOffline", "findSessions", "hasUnread"} {
				t.Run(path, func(t *testing.T) {
					for _, method := range []string{"GET", "POST"} {
						a := c.lab.do(t, method, path, "user_id=lisi", "", c.header...)
						if a.status != c.want {
							t.Errorf("%s %s with %q: %d, want %d", method, path, c.header, a.status, c.want)
						}
						if calls := c.lab.svc.taken(); c.want == 403 && len(calls) != 0 {
							t.Errorf("%q was refused after it was done, want nothing done", c.header)
						}
					}
				})
			}
		})
	}
	if log := open.log.String(); strings.Count(log, `page="\"https://evil.example.com\""`) != 1 || !strings.Contains(log, "http.cors_origins") {
		t.Errorf("a refused origin: want it logged once, with the remedy, got\n%.3000s", log)
	}
}

// TestEveryRouteIsJudged: no endpoint that an anonymous mode opens forgets to look where a call comes from; those that are open to
// everybody give nothing without the link of a file.
func TestEveryRouteIsJudged(t *testing.T) {
	l := newFileLab(t, func(c *Config) { c.AllowAnonymous = AnonymousAll })
	text, media := body(t, uploader, part{"mFile", "a", "x"})
	for _, rt := range l.allRoutes() {
		for what, header := range map[string][]string{"another site": {"Origin", "https://evil.example.com"}, "no word": page(firefox), "a rebound name": {"Host", "evil.example.com:9595"}} {
			t.Run(rt.path+" for "+what, func(t *testing.T) {
				query, kind := strings.ReplaceAll(rightsQuery[rt.path], "U", "zhangsan"), "application/x-www-form-urlencoded"
				if described[rt.path].uploads() {
					query, kind = text, media
				}
				path := base + rt.path
				if described[rt.path].tag == "files" {
					path = "/" + rt.path
				}
				a := l.doFor(t, http.MethodPost, path, query, append([]string{"Content-Type", kind}, header...)...)
				calls := l.svc.taken()
				refused := 403
				if rt.callers.keyed { // no mode opens it
					refused = 401
				}
				if open := rt.callers.scopes&scopeAnybody != 0; (a.status == refused) == open || len(calls) > 0 {
					t.Errorf("%s for %s, open to anybody: %v: got %d %s after the calls %q, want it refused unless it is open, and no calls", rt.path, what, open, a.status, a.body, calls)
				}
			})
		}
	}
	if left := l.left(t); len(left) > 0 {
		t.Errorf("stored: got %q, want none", left)
	}
}

// doFor posts with any Host among header.
func (l *lab) doFor(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	host := strings.TrimPrefix(l.url, "http://")
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			host = header[i+1]
			header = append(header[:i:i], header[i+2:]...)
			break
		}
	}
	var req strings.Builder
	fmt.Fprintf(&req, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: %d\r\n", method, path, host, len(body))
	for i := 0; i < len(header); i += 2 {
		fmt.Fprintf(&req, "%s: %s\r\n", header[i], header[i+1])
	}
	return exchange(t, dial(t, l), []byte(req.String()+"\r\n"+body), method)
}

// TestHosts: against DNS rebinding a call without a key has to be for an address or for a name of ours, whatever it says of
// itself; what a trusted proxy says counts instead of Host, and all that stands there.
func TestHosts(t *testing.T) {
	s := seeded(t)
	open := func(change func(*Config)) *lab {
		return newLabOver(t, s, func(c *Config) {
			c.AllowAnonymous, c.Language = AnonymousClients, English
			c.Hosts, c.CORSOrigins, c.Files.BaseURL = []string{"im.example.com", "IM-Server"}, []string{"*", "https://oa.example.com:8443"}, "http://files.example.com:81/x"
			change(c)
		})
	}
	direct := open(func(*Config) {})
	proxied := open(func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	any := open(func(c *Config) { c.Hosts = []string{"*"} })
	none := open(func(c *Config) { c.AllowAnonymous = AnonymousNone })
	key := []string{"Authorization", "Bearer " + adminKey}
	for _, c := range []struct {
		lab    *lab
		host   string
		header []string
		want   int
	}{
		{direct, "127.0.0.1:9595", nil, 200},
		{direct, "10.1.2.3", nil, 200},
		{direct, "[::1]:9595", nil, 200},
		{direct, "[fe80::1%25eth0]:9595", nil, 200},
		{direct, "localhost:9595", nil, 200},
		{direct, "LOCALHOST", nil, 200},
		{direct, "im.example.com:9595", nil, 200},
		{direct, "IM.Example.COM.", nil, 200},
		{direct, "im-server:9595", nil, 200},
		{direct, "files.example.com", nil, 200},
		{direct, "oa.example.com", nil, 200},
		{direct, "", nil, 200},
		{direct, "evil.example.com:9595", nil, 403},
		{direct, "evil.example.com:9595", []string{"User-Agent", "okhttp/3.12.1"}, 403}, // some browsers let a page say that
		{direct, "evil.example.com:9595", []string{"Origin", "http://evil.example.com:9595"}, 403},
		{direct, "evil.example.com:9595", []string{"Sec-Fetch-Site", "same-origin"}, 403},
		{direct, "im.example.com.evil.com", nil, 403},
		{direct, "x.im.example.com", nil, 403},
		{direct, "localhost.evil.com", nil, 403},
		{direct, "127.0.0.1.nip.io", nil, 403},
		{direct, "im-server.", nil, 200},
		{direct, "evil.example.com", []string{"X-Forwarded-Host", "im.example.com"}, 403}, // no proxy of ours
		{direct, "evil.example.com", key, 200},
		{proxied, "127.0.0.1:9595", []string{"X-Forwarded-Host", "im.example.com"}, 200},
		{proxied, "127.0.0.1:9595", []string{"X-Forwarded-Host", "evil.example.com"}, 403},
		{proxied, "127.0.0.1:9595", []string{"X-Forwarded-Host", "im.example.com, evil.example.com"}, 403},
		{proxied, "127.0.0.1:9595", []string{"X-Forwarded-Host", "im.example.com", "X-Forwarded-Host", "evil.example.com"}, 403},
		{proxied, "upstream", []string{"X-Forwarded-Host", "im.example.com:443,10.0.0.1"}, 200},
		{proxied, "127.0.0.1:9595", []string{"X-Forwarded-Host", " "}, 200},
		{proxied, "evil.example.com", nil, 403},
		{proxied, "127.0.0.1:9595", []string{"X-Forwarded-Host", "im.example.com", "Origin", "https://im.example.com"}, 200},
		{proxied, "127.0.0.1:9595", []string{"X-Forwarded-Host", "im.example.com", "Origin", "https://evil.example.com"}, 403},
		{any, "evil.example.com", nil, 200},
		{none, "evil.example.com", nil, 401},
		{none, "evil.example.com", key, 200},
	} {
		t.Run(fmt.Sprintf("%q with %q", c.host, c.header), func(t *testing.T) {
			a := c.lab.doFor(t, http.MethodGet, base+"findSessions?user_id=lisi", "", append([]string{"Host", c.host}, c.header...)...)
			if a.status != c.want || c.want == 403 && (a.object(t)["result"] != "error-011" || !strings.Contains(a.body, "http.hosts") && !strings.Contains(a.body, "http.cors_origins")) {
				t.Errorf("%q with %q: %d %s, want %d", c.host, c.header, a.status, a.body, c.want)
			}
		})
	}
	if log := direct.log.String(); strings.Count(log, `host="\"evil.example.com:9595\""`) != 1 || !strings.Contains(log, "http.hosts") {
		t.Errorf("a refused name: want it logged once, with the remedy, got\n%.3000s", log)
	}
	old := exchange(t, dial(t, direct), []byte("GET "+base+"findSessions?user_id=lisi HTTP/1.0\r\n\r\n"), http.MethodGet)
	if old.status != 200 {
		t.Errorf("HTTP/1.0: got %d %s, want 200", old.status, old.body)
	}
	for i := range 2 * maxFirsts { // strangers write no more lines than these
		direct.doFor(t, http.MethodGet, base+"findSessions?user_id=lisi", "", "Host", fmt.Sprintf("h%d.example.com", i))
	}
	if lines := strings.Count(direct.log.String(), "add it to http.hosts"); lines != maxFirsts {
		t.Errorf("%d lines, want %d", lines, maxFirsts)
	}
}

// TestCORS: * is every origin where a key is needed, and none where callers without one come in.
func TestCORS(t *testing.T) {
	s := seeded(t)
	open := func(mode Anonymous, origins ...string) *lab {
		return newLabOver(t, s, func(c *Config) { c.AllowAnonymous, c.CORSOrigins = mode, origins })
	}
	const oa, evil = "https://oa.example.com", "https://evil.example.com"
	for _, c := range []struct {
		what         string
		lab          *lab
		origin, want string
	}{
		{"keys, *", open(AnonymousNone, "*"), evil, "*"},
		{"keys, a name", open(AnonymousNone, oa+"/"), oa, oa},
		{"keys, another name", open(AnonymousNone, oa), evil, ""},
		{"clients, *", open(AnonymousClients, "*"), evil, ""},
		{"clients, * and a name", open(AnonymousClients, "*", oa), evil, ""},
		{"clients, * and this name", open(AnonymousClients, "*", oa), oa, oa},
		{"all, *", open(AnonymousAll, "*"), evil, ""},
		{"clients, nobody", open(AnonymousClients), evil, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			varies := c.lab.cfg.AllowAnonymous != AnonymousNone && len(c.lab.cfg.CORSOrigins) > 0 || strings.Contains(c.what, "name")
			for what, a := range map[string]answer{
				"preflight":  c.lab.do(t, "OPTIONS", "addSession", "", "", "Origin", c.origin, "Access-Control-Request-Method", "POST"),
				"a call":     c.lab.do(t, "GET", "findSessions", "user_id=lisi", "", "Origin", c.origin),
				"one by key": c.lab.do(t, "GET", "findSessions", "user_id=lisi", "", "Origin", c.origin, "Authorization", "Bearer "+adminKey),
				"no path":    c.lab.do(t, "GET", "nothing", "", "", "Origin", c.origin),
			} {
				t.Run(c.what+", "+what, func(t *testing.T) {
					if got := a.header.Get("Access-Control-Allow-Origin"); got != c.want {
						t.Errorf("got allowed %q, want %q", got, c.want)
					}
					if got := strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin"); got != varies {
						t.Errorf("got Vary %q, want Origin in it: %v", a.header.Values("Vary"), varies)
					}
					if a.header.Get("Access-Control-Allow-Credentials") != "" {
						t.Error("got credentials, want no Access-Control-Allow-Credentials")
					}
					unstored(t, c.what, a)
				})
			}
			if warned := strings.Contains(c.lab.log.String(), "* in http.cors_origins stands for no origin"); warned != strings.Contains(c.what, ", *") && c.lab.cfg.AllowAnonymous != AnonymousNone {
				t.Errorf("got a warning %v, want %v", warned, !warned)
			}
		})
	}
}

// TestPreflight: a page may send whatever its library adds; nothing that is no list of names comes back.
func TestPreflight(t *testing.T) {
	l := newFileLab(t)
	const usual = "Authorization, Content-Type, Idempotency-Key"
	for wanted, want := range map[string]string{
		"":                               usual,
		"authorization":                  "authorization",
		"x-requested-with,cache-control": "x-requested-with,cache-control",
		"content-type, x-requested-with": "content-type, x-requested-with",
		"x-csrf-token,if-modified-since": "x-csrf-token,if-modified-since",
		"a: b":                           usual,
		"\"x\"":                          usual,
		"<script>":                       usual,
		strings.Repeat("x", 5000):        usual,
	} {
		t.Run(fmt.Sprintf("%.60q", wanted), func(t *testing.T) {
			for _, path := range []string{"addSession", "ADDSESSION/", "/cap-aco/mobileHttpController/uploadForUrl", "/upload/download;jsessionid=1"} {
				t.Run(path, func(t *testing.T) {
					a := l.do(t, "OPTIONS", path, "", "", "Origin", "https://oa.example.com", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", wanted)
					if got := a.header.Get("Access-Control-Allow-Headers"); a.status != 204 || got != want {
						t.Errorf("%.60q for %s: got %d %q, want 204, %q", wanted, path, a.status, got, want)
					}
					if a.header.Get("Access-Control-Allow-Methods") != "GET, POST" || a.header.Get("Allow") != "GET, POST, OPTIONS" ||
						!strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Access-Control-Request-Headers") {
						t.Errorf(`preflight of %s: got %v, want Access-Control-Allow-Methods "GET, POST", Allow "GET, POST, OPTIONS", Vary with Access-Control-Request-Headers`, path, a.header)
					}
					unstored(t, path, a)
				})
			}
		})
	}
}
