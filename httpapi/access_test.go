package httpapi

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// accessLines are the lines of the access log: of a call whose answer was read to the end of its connection, they are all there.
func accessLines(log string) []string {
	var lines []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "msg=access ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// called does one call on an API with an access log, and returns the line about it.
func called(t *testing.T, l *lab, change func(r *http.Request)) string {
	t.Helper()
	before := len(accessLines(l.log.String()))
	r := httptest.NewRequest(http.MethodGet, base+"hasUnread?user_id=lisi", nil)
	r.RemoteAddr = "192.0.2.7:1234"
	change(r)
	l.Handler().ServeHTTP(httptest.NewRecorder(), r)
	lines := accessLines(l.log.String())[before:]
	if len(lines) != 1 {
		t.Fatalf("got %d lines %q for a call, want one", len(lines), lines)
	}
	return lines[0]
}

func TestAccessLogSaysWhoCalledWhat(t *testing.T) {
	l := newLab(t, func(c *Config) { c.AccessLog = true })
	token := l.token(t, "lisi")
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"key": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+adminKey) },
			`method=GET path=/plugins/tlim/hasUnread status=200 bytes=`},
		"key's name":       {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+adminKey) }, ` caller=root address=192.0.2.7` + "\n"},
		"key in the query": {func(r *http.Request) { r.URL.RawQuery += "&access_token=" + adminKey }, ` caller=root address=192.0.2.7` + "\n"},
		"token":            {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, ` caller=user user=lisi address=192.0.2.7` + "\n"},
		"nobody":           {func(*http.Request) {}, ` caller=anonymous address=192.0.2.7` + "\n"},
		"a wrong key":      {func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong-key-0123456789") }, ` status=401 `},
		"no such path":     {func(r *http.Request) { r.URL.Path = "/nowhere" }, `path=/nowhere status=404 `},
	} {
		t.Run(name, func(t *testing.T) {
			if line := called(t, l, c.change); !strings.Contains(line, c.want) {
				t.Errorf("got %q, want %q in it", line, c.want)
			}
		})
	}
}

// The size is what the caller got, over a real connection.
func TestAccessLogCountsBytes(t *testing.T) {
	l := newLab(t, func(c *Config) { c.AccessLog = true })
	got := l.get(t, "hasUnread", "user_id=lisi")
	<-l.over
	lines := accessLines(l.log.String())
	if len(lines) != 1 || !strings.Contains(lines[0], " status=200 bytes="+strconv.Itoa(len(got.body))+" ") {
		t.Errorf("got %q, want one line with %d bytes", lines, len(got.body))
	}
}

func TestAccessLogIsOffByDefault(t *testing.T) {
	l := newLab(t)
	l.get(t, "hasUnread", "user_id=lisi")
	<-l.over
	if lines := accessLines(l.log.String()); len(lines) != 0 {
		t.Errorf("got %q, want no line", lines)
	}
}

// Whatever a path holds, its line is one line of bounded length, and shows neither a parameter nor a key or token.
func TestAccessLogOfHostilePaths(t *testing.T) {
	l := newLab(t, func(c *Config) { c.AccessLog = true })
	token, made := l.token(t, "lisi"), rand.Text()
	for name, target := range map[string]string{
		"line end":               "/a%0D%0Atime=2030-01-01T00:00:00Z+msg=access+caller%3Droot",
		"escape sequence":        "/a%1B%5B2J%00%7F",
		"C1 control":             "/a%C2%9B31m",
		"direction override":     "/a%E2%80%AEgpj.exe",
		"not UTF-8":              "/a%FF%FE",
		"quotes":                 "/a%22%20caller=root%20%22",
		"key in the query":       base + "hasUnread?access_token=" + adminKey,
		"key behind a wrong ?":   base + "hasUnread%3Faccess_token=" + adminKey,
		"key behind &":           base + "hasUnread&access_token=" + adminKey,
		"key behind ;":           base + "hasUnread;access_token=" + adminKey,
		"key behind an encoded=": base + "access_token%3D" + adminKey,
		"key, escaped twice":     base + "hasUnread%253Faccess_token%253D" + adminKey,
		"key, escaped thrice":    base + "hasUnread%25253Faccess_token%25253D" + adminKey,
		"token as a step":        base + token,
		"key as a step":          base + adminKey,
		"key as a step, escaped": base + "%" + hex.EncodeToString([]byte(adminKey[:1])) + adminKey[1:] + "/findSessions",
		"key that was made":      "/" + made + "/",
		"long":                   "/" + strings.Repeat("%00", 60<<10),
		"long text":              "/" + strings.Repeat("\u5f20", 20<<10),
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.ParseRequestURI(target)
			if err != nil {
				t.Fatal(err)
			}
			line := called(t, l, func(r *http.Request) { r.URL = u })
			if strings.Contains(line, adminKey) || strings.Contains(line, token) || strings.Contains(line, made) {
				t.Errorf("got %q, want neither key nor token in it", line)
			}
			if len(line) > 2000 {
				t.Errorf("got a line of %d bytes, want at most 2000", len(line))
			}
			for _, r := range strings.TrimSuffix(line, "\n") {
				if r < ' ' || r > '~' {
					t.Errorf("got %q in %q, want printable ASCII alone", r, line)
				}
			}
			if strings.Contains(line, " caller=root") != (name == "key in the query") {
				t.Errorf("got %q, want no caller that the path has made", line)
			}
		})
	}
	long := strings.Repeat("M", 100<<10)
	if line := called(t, l, func(r *http.Request) { r.Method = long }); len(line) > 2000 || !strings.Contains(line, "method=MMMMMMMMMMMMMMMM... ") {
		t.Errorf("got a line of %d bytes, want the method cut", len(line))
	}
	if line := called(t, l, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("X-Forwarded-For", "evil\x1b[2J")
	}); !strings.Contains(line, "address=192.0.2.7") {
		t.Errorf("got %q, want the address of the connection: its proxy is not trusted", line)
	}
}

// A call that breaks off has its line, too.
func TestAccessLogOfBrokenCalls(t *testing.T) {
	var text bytes.Buffer
	l := newLab(t)
	a := &API{cfg: l.cfg, log: slog.New(slog.NewTextHandler(&text, nil))}
	a.keys.ring.Store(&keyring{})
	h := a.logged(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	func() {
		defer func() {
			if thrown := recover(); thrown != http.ErrAbortHandler { //nolint:errorlint // what was thrown is passed on as it is
				t.Errorf("got %v thrown, want it passed on", thrown)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/a", nil))
	}()
	if !strings.Contains(text.String(), "path=/a status=0 bytes=0") {
		t.Errorf("got %q, want a line without a status", text.String())
	}
}
