package httpapi

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
	"tlim/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenCase is one file testdata/<endpoint>/<case>.json: a query as an integrator sends it, what the Service was asked, and the
// answer byte for byte.
type goldenCase struct {
	Query    string          `json:"query"`
	Language Language        `json:"language,omitempty"`
	Caller   string          `json:"caller,omitempty"`   // none, business, or the user of a token; admin when absent
	Away     bool            `json:"away,omitempty"`     // the database is
	Cleaning bool            `json:"cleaning,omitempty"` // a clean-up is under way, and the last count has failed
	Status   int             `json:"status"`
	Calls    []string        `json:"calls"`
	Answer   json.RawMessage `json:"answer"`
}

// labKind tells the labs of the golden files apart.
type labKind struct {
	language       Language
	away, cleaning bool
}

func (g goldenCase) lab() labKind { return labKind{cmp.Or(g.Language, Chinese), g.Away, g.Cleaning} }

// goldenEndpoint is the endpoint of a golden file: its folder, in which a dot stands for a slash.
func goldenEndpoint(file string) string {
	return strings.ReplaceAll(filepath.Base(filepath.Dir(file)), ".", "/")
}

// routeOf is an endpoint's row.
func (l *lab) routeOf(t *testing.T, endpoint string) route {
	t.Helper()
	for _, rt := range l.routes() {
		if rt.path == endpoint {
			return rt
		}
	}
	t.Fatalf("got no endpoint %s, want one", endpoint)
	return route{}
}

func readGolden(t *testing.T, file string) (g goldenCase) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// goldenLabs are all that the golden files need. Where the database is away, the component says so, and reads do not
// come back in time.
func goldenLabs(t *testing.T) map[labKind]*lab {
	t.Helper()
	s := seeded(t)
	seedRobot(t, s)
	labs := map[labKind]*lab{}
	for _, kind := range []labKind{{Chinese, false, false}, {English, false, false}, {Chinese, true, false}, {English, true, false}, {Chinese, false, true}} {
		l := newLabOver(t, s, func(c *Config) {
			if c.Language = kind.language; kind.away {
				c.Limits.WorkTime = time.Nanosecond
			}
		})
		if l.svc.offline, l.svc.away, l.svc.cleaning = goldenOffline, kind.away, kind.cleaning; kind.cleaning {
			l.svc.countErr = "the database is away"
		}
		labs[kind] = l
	}
	return labs
}

// send calls as a golden file says.
func (l *lab) send(t *testing.T, method, endpoint string, g goldenCase) answer {
	t.Helper()
	header := l.credentials(t, g)
	if method == http.MethodPost {
		return l.do(t, method, endpoint, "", g.Query, header...)
	}
	return l.do(t, method, endpoint, g.Query, "", header...)
}

// sendJSON is send with the parameters in a JSON body.
func (l *lab) sendJSON(t *testing.T, endpoint, body string, g goldenCase) answer {
	t.Helper()
	return l.do(t, http.MethodPost, endpoint, "", body, append(l.credentials(t, g), "Content-Type", "application/json")...)
}

// credentials are those of the caller of a golden file.
func (l *lab) credentials(t *testing.T, g goldenCase) []string {
	t.Helper()
	switch g.Caller {
	case "":
		return []string{"Authorization", "Bearer " + adminKey}
	case "none":
		return nil
	case "business":
		return []string{"Authorization", "Bearer " + businessKey}
	}
	return []string{"Authorization", "Bearer " + l.token(t, g.Caller)}
}

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	labs := goldenLabs(t)
	seen := map[string]bool{} // endpoint, status and result of what was answered
	for _, file := range files {
		endpoint := goldenEndpoint(file)
		t.Run(endpoint+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			want := readGolden(t, file)
			l := labs[want.lab()]

			rt := l.routeOf(t, endpoint)
			method := http.MethodGet
			if rt.postOnly() {
				method = http.MethodPost
			}
			got := l.send(t, method, endpoint, want)
			calls := l.svc.taken()
			alphabetical(t, got.body)
			if *update {
				want.Status, want.Calls, want.Answer = got.status, calls, json.RawMessage(got.body)
				var buf bytes.Buffer
				e := json.NewEncoder(&buf)
				e.SetEscapeHTML(false)
				e.SetIndent("", "  ")
				if err := e.Encode(want); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, buf.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var answer bytes.Buffer
			if err := json.Compact(&answer, want.Answer); err != nil {
				t.Fatal(err)
			}
			if got.status != want.Status || got.body != answer.String() {
				t.Errorf("GET answers\n%d %s\nwant\n%d %s", got.status, got.body, want.Status, answer.String())
			}
			if !slices.Equal(calls, want.Calls) {
				t.Errorf("GET asks the service\n%q\nwant\n%q", calls, want.Calls)
			}

			seen[fmt.Sprint(endpoint, " ", got.status, " ", resultOf(got.body))] = true
			if rt.postOnly() {
				if a := l.send(t, http.MethodGet, endpoint, want); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST, OPTIONS" || len(l.svc.taken()) > 0 {
					t.Errorf("by GET: got %d %s, Allow %q, want 405, Allow POST, OPTIONS, and nothing done", a.status, a.body, a.header.Get("Allow"))
				}
				return
			}
			posted := l.send(t, http.MethodPost, endpoint, want)
			if calls := l.svc.taken(); posted.status != got.status || posted.body != got.body || !reflect.DeepEqual(calls, want.Calls) {
				t.Errorf("got %d %s by POST, want the same as by GET\n%q", posted.status, posted.body, calls)
			}
			body := inJSON(t, endpoint, want.Query)
			if body == "" {
				return
			}
			inBody := l.sendJSON(t, endpoint, body, want)
			if described[endpoint].bare && got.body[0] == '[' {
				got.body = fmt.Sprintf(`{%q:%s,"result":"ok","result_detail":""}`, described[endpoint].answer[0].name, got.body)
			}
			if calls := l.svc.taken(); inBody.status != got.status || inBody.body != got.body || !slices.Equal(calls, want.Calls) {
				t.Errorf("%s: got %d %s by JSON, asking %q, want the same as by GET, %s", body, inBody.status, inBody.body, calls, got.body)
			}
		})
	}
	for _, rt := range newLab(t).routes() {
		for _, want := range rt.outcomes() {
			if !seen[want] {
				t.Errorf("got no golden file for %s, want one", want)
			}
		}
	}
}

// resultOf is the result of an answer; that of a bare array is ok.
func resultOf(body string) string {
	var v struct{ Result string }
	if json.Unmarshal([]byte(body), &v) != nil {
		return "ok"
	}
	return v.Result
}

// outcomes are the ends that a call of an endpoint can come to: success, and each failure of its own.
func (r route) outcomes() (all []string) {
	e := described[r.path]
	add := func(status int, result protocol.Code) {
		all = append(all, fmt.Sprint(r.path, " ", status, " ", result))
	}
	if e.tag == "dropped" {
		add(http.StatusGone, resultFail)
		return all
	}
	add(http.StatusOK, "ok")
	codes, unreadable := e.refusals()
	for _, code := range codes {
		add(http.StatusOK, code)
	}
	if unreadable {
		add(http.StatusBadRequest, resultFail)
	}
	add(http.StatusUnauthorized, protocol.NotAllowed)
	add(http.StatusForbidden, protocol.NotAllowed)
	if r.path != "findUserPresence" { // answered from memory, where everybody is found
		add(http.StatusServiceUnavailable, protocol.TryLater)
	}
	return all
}

var goldenOffline = []store.OfflineMessage{
	{Message: store.Message{ID: "p1", MsgID: "c1", Type: "MTT-000", From: "zhangsan", To: "zhangsan", Time: "1544602393021", Body: `[{"text":"你好"}]`, SessionID: "zhangsan"}, Owner: "lisi"},
	{Message: store.Message{ID: "p2", MsgID: "c4", Type: "MTT-000", From: "zhangsan", To: "zhangsan", Time: "1544602393024", Body: "b3BhcXVl", SessionID: "zhangsan", Flags: "1,1,2.1.0"}, Owner: "lisi", Status: 1},
	{Message: store.Message{MsgID: "owed", Type: "MTB-100", From: "admin", To: "admin", Time: "1544602393032", Body: `[{"title":"x"}]`, SessionID: "admin"}, Owner: "lisi"},
}

// alphabetical fails when an object of the answer has its keys out of order.
func alphabetical(t *testing.T, body string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	var walk func()
	walk = func() {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("got %v, want JSON in %s", err, body)
		}
		switch token {
		case json.Delim('['):
			for d.More() {
				walk()
			}
			d.Token()
		case json.Delim('{'):
			last := ""
			for d.More() {
				key, _ := d.Token()
				if key.(string) <= last {
					t.Errorf("key %q comes after %q, want the alphabet's order in %s", key, last, body)
				}
				last = key.(string)
				walk()
			}
			d.Token()
		}
	}
	walk()
}

func TestHeaders(t *testing.T) {
	l := newLab(t)
	for path, a := range map[string]answer{
		"an answer":  l.get(t, "findSessions", "user_id=zhangsan"),
		"a stream":   l.get(t, "findSessionHistory", "session_id=g1&length=2"),
		"a failure":  l.get(t, "findSessions", ""),
		"a 404":      l.get(t, "noSuchThing", ""),
		"a 405":      l.do(t, http.MethodPut, "findSessions", "", ""),
		"a 401":      l.do(t, http.MethodGet, "findSessions", "", ""),
		"no prefix":  l.get(t, "/", ""),
		"other path": l.get(t, "/plugins/other", ""),
	} {
		t.Run(path, func(t *testing.T) {
			for name, want := range map[string]string{
				"Content-Type":                "application/json;charset=utf-8",
				"Cache-Control":               "no-store",
				"Referrer-Policy":             "no-referrer",
				"X-Content-Type-Options":      "nosniff",
				"Access-Control-Allow-Origin": "*",
			} {
				if got := a.header.Get(name); got != want {
					t.Errorf("got %s is %q, want %q", name, got, want)
				}
			}
			if a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf(`%s allows credentials, want Access-Control-Allow-Credentials ""`, path)
			}
			if v := a.object(t); v["result"] == nil || v["result_detail"] == nil {
				t.Errorf("%s has no result: %s, want a result, a result_detail", path, a.body)
			}
		})
	}
	if a := l.do(t, http.MethodPut, "findSessions", "", ""); a.status != 405 || a.header.Get("Allow") != "GET, POST, OPTIONS" {
		t.Errorf(`PUT: got %d, Allow %q, want 405, Allow "GET, POST, OPTIONS"`, a.status, a.header.Get("Allow"))
	}
	if a := l.do(t, http.MethodHead, "getOffline", "user_id=lisi", "", "Authorization", "Bearer "+adminKey); a.status != 405 || len(l.svc.taken()) != 0 {
		t.Errorf("HEAD: got %d, want 405: it would clear a queue that nobody saw", a.status)
	}
}

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }
