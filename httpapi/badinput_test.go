package httpapi

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/tokens"
	"tlim/store/blob"
)

// Values that no parameter wants, and that some have to take as text.
var (
	hostile = []string{" ", "-1", "1e9", "null", "true", "' OR 1=1 --", "x'; DROP TABLE ofmessage; --", "\r\nSet-Cookie: x=1", "<script>alert(1)</script>",
		"../../etc/passwd", "%s%n%d", "{{7*7}}", "${jndi:ldap://x}", "😀", "\u202e", "\u2028", "@all", "@", ",,,", "1,2,3", "a,b", strings.Repeat("x", 64),
		strings.Repeat("长", 10_000), strings.Repeat("9", 400), strings.Repeat("%", 1000)}
	// unreadable is what no answer, table or stanza could carry.
	unreadable = []string{"\x00", "a\x00b", "\x01", "\x7f\x1b", "\xff\xfe", "\xc0\xaf", "\xed\xa0\x80", "\ufffe", "\uffff"}
	// hidden are JSON values that become so, or something else than a text.
	hidden = []string{"null", "{}", "[]", "true", "1e400", "-0", "123456789012345678901234567890", `"\u0000"`, `"\u001b"`, `"\ud800"`, `"\uffff"`, `"` + "' OR 1=1 --" + `"`,
		`{"a":{"b":[]}}`, `"x","user_id":"y"`}
	notJSON   = []string{"{{", "[1,", `{"a"`, "hello", "[{a:Infinity}]", strings.Repeat("[", 50_000), strings.Repeat(`{"a":`, 2000), "/*'*/" + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)}
	notArrays = []string{"1", `"x"`, "[1]", "[[]]", "[null]", "null", `[{"a":1},2]`}
	notOfKind = map[string][]string{
		"integer": {"x", "1e9", "0x10", "1.5", "9223372036854775808", strings.Repeat("9", 400), "null", "true", "[]", "1 2", "１"},
		"length":  {"x", "-1", "all", "maxx", "1e9", "2147483648"},
		"place":   {"x", ",m1", "1544602393003", strings.Repeat("1", 21) + ",m1", "1," + strings.Repeat("x", 65)},
		"user":    {" x", "x ", "\u00a0", "a\u00a0b"},
	}
)

// bad is a call with one thing wrong, and how it has to end; want is "" when any documented end will do.
type bad struct {
	what, form, want string
}

// badCalls are all bad calls of an endpoint: its example, in which one parameter after the other is spoilt.
func badCalls(t *testing.T, rt route) (calls []bad) {
	t.Helper()
	e, err := exampleOf(rt.path)
	if err != nil {
		t.Fatal(err)
	}
	good := form{}
	if err := good.add(e.Query); err != nil {
		t.Fatal(err)
	}
	with := func(name, what, want string, values ...string) {
		all := url.Values(maps.Clone(good))
		if delete(all, name); values != nil {
			all[name] = values
		}
		calls = append(calls, bad{fmt.Sprintf("%s: %s %s %.40q", rt.path, what, name, values), all.Encode(), want})
	}
	end := func(code protocol.Code) string {
		switch code {
		case "":
			return ""
		case resultFail:
			return "400 fail"
		}
		return "200 " + string(code)
	}
	for _, f := range described[rt.path].params {
		schema := f.kind.schema
		// 1. Missing, empty, over-long.
		with(f.name, "missing", end(f.missing))
		if !f.blank {
			with(f.name, "empty", end(f.missing), "")
		}
		if max, ok := schema["maxLength"].(int); ok {
			with(f.name, "over-long", end(protocol.TooLarge), strings.Repeat("长", max+1))
		}
		// 2. Not of its kind.
		kind := fmt.Sprint(schema["type"])
		switch {
		case f.name == lengthField.name:
			kind = "length"
		case schema["pattern"] == place.schema["pattern"]:
			kind = "place"
		case f.kind.wrong == protocol.UserIDInvalid:
			kind = "user"
		}
		for _, v := range notOfKind[kind] {
			with(f.name, "not of its kind", end(f.wrongCode()), v)
		}
		if schema["enum"] != nil {
			with(f.name, "not of its kind", end(f.wrongCode()), "7")
		}
		if f.kind.json {
			for _, v := range notJSON {
				with(f.name, "no JSON", end(f.wrongCode()), v)
			}
			for _, v := range notArrays {
				with(f.name, "no objects", end(protocol.NotArray), v)
			}
		}
		// 3. Hostile.
		for _, v := range hostile {
			with(f.name, "hostile", "", v)
		}
		for _, v := range unreadable {
			with(f.name, "unreadable", end(resultFail), v)
		}
		twice := end(resultFail)
		if f.kind.list && !f.kind.json || f.name == keyParameter && good.first(f.name) == "" { // an empty key is none
			twice = ""
		}
		with(f.name, "repeated", twice, good.first(f.name), "' OR 1=1 --")
		if f.kind.json {
			for _, inner := range append([]field{{name: "nobody_reads_this"}}, f.of...) {
				in := func(value string) string { return `[{"` + inner.name + `":` + value + `}]` }
				for _, v := range hidden {
					with(f.name, "hidden in "+inner.name, "", in(v))
				}
				if max, ok := inner.kind.schema["maxLength"].(int); ok {
					want := ""
					if inner.kind.wrong != "" {
						want = end(protocol.TooLarge)
					}
					with(f.name, "over-long "+inner.name, want, in(`"`+strings.Repeat("长", max+1)+`"`))
				}
			}
		}
	}
	// 4. What is wrong with the request as a whole.
	calls = append(calls,
		bad{rt.path + ": a name that nobody can carry", good.encode() + "&%FF=x", "400 fail"},
		bad{rt.path + ": too many parameters", good.encode() + strings.Repeat("&a", maxPairs+1), "400 fail"},
		bad{rt.path + ": a megabyte too much", good.encode() + "&a=" + strings.Repeat("x", 10<<20), "413 error-012"})
	return calls
}

func (f form) encode() string { return url.Values(f).Encode() }

// maxURL is what is sent by GET too; a longer URL never gets as far as a handler.
const maxURL = 200 << 10

// TestBadInput: every parameter of every endpoint missing, empty, over-long, of the wrong type and hostile, by GET and by POST.
// Each call ends as the document says, in JSON, and what is refused has changed nothing.
func TestBadInput(t *testing.T) {
	// 1. All of them by POST. What is taken changes the tables, so that what was refused is looked at again behind it.
	l := newWhole(t)
	done(t, l)
	refused := map[string][]bad{}
	total := 0
	for _, rt := range l.routes() {
		documented := rt.outcomes()
		for _, b := range badCalls(t, rt) {
			total++
			got := l.ends(t, http.MethodPost, rt, b, documented)
			if b.want != "" && got != b.want {
				t.Errorf("%s: %s, want %s", b.what, got, b.want)
			}
			if got != "200 ok" {
				b.want = got
				refused[rt.path] = append(refused[rt.path], b)
			}
		}
	}
	carriedOnly(t, l.file)
	if log := l.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "panic") {
		t.Errorf(`got log %.2000s, want no error and no panic in it`, log)
	}

	// 2. The refused ones, both ways, over tables that stay as they are.
	l = newWhole(t)
	done(t, l)
	before := tables(t, l.file)
	again := 0
	for _, rt := range l.routes() {
		documented := rt.outcomes()
		for _, b := range refused[rt.path] {
			for _, method := range []string{http.MethodPost, http.MethodGet} {
				if method == http.MethodGet && (len(b.form) > maxURL || rt.postOnly()) {
					continue
				}
				again++
				if got := l.ends(t, method, rt, b, documented); got != b.want {
					t.Errorf("%s by %s: got %s, want %s as before", b.what, method, got, b.want)
				}
			}
		}
		if after := tables(t, l.file); after != before {
			t.Errorf("%s: refused calls have changed\n%s\nto\n%s\nwant all as it was", rt.path, without(before, after), without(after, before))
			before = after
		}
	}
	t.Logf("%d bad calls, of which %d were refused, GET counted apart", total, again)
}

// done makes the key of the example and replays its event, so that all later ones are refused, in whatever order they come.
func done(t *testing.T, l *lab) {
	t.Helper()
	for _, endpoint := range []string{"admin/keys/new", "admin/events/replay"} {
		e, err := exampleOf(endpoint)
		if err != nil {
			t.Fatal(err)
		}
		if a := serveOnce(l, http.MethodPost, endpoint, e.Query); a.status != http.StatusOK {
			t.Fatalf("%s: got %d %s, want 200", endpoint, a.status, a.body)
		}
	}
}

// TestBadCredentials: what is no key is none, wherever it stands.
func TestBadCredentials(t *testing.T) {
	l := newWhole(t)
	l.token(t, "lisi") // the first look at a token makes the key of all
	before := tables(t, l.file)
	for _, rt := range l.allRoutes() {
		if described[rt.path].uploads() {
			continue // their bodies are another matter: TestUploadRights
		}
		for _, v := range append([]string{"null", strings.Repeat("x", 100_000), tokens.Prefix, tokens.Prefix + strings.Repeat("x", 10_000)}, slices.Concat(hostile, unreadable)...) {
			query := url.Values{"access_token": {v}}.Encode()
			want := http.StatusUnauthorized
			if !stanza.ValidXML(v) {
				want = http.StatusBadRequest
			}
			get := httptest.NewRequest(http.MethodGet, base+rt.path+"?"+query, nil)
			post := httptest.NewRequest(http.MethodPost, base+rt.path, strings.NewReader(query))
			post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			bearer := httptest.NewRequest(http.MethodGet, base+rt.path, nil)
			bearer.Header.Set("Authorization", "Bearer "+v)
			if rt.postOnly() {
				bearer.Method = http.MethodPost
			}
			for _, r := range []*http.Request{get, post, bearer} {
				if r == get && rt.postOnly() {
					continue
				}
				w := httptest.NewRecorder()
				l.Handler().ServeHTTP(w, r)
				if w.Code != want && (r != bearer || w.Code != http.StatusUnauthorized && strings.TrimSpace(v) != "") || strings.Contains(w.Body.String(), "xxxx") || !json.Valid(w.Body.Bytes()) {
					t.Errorf("%s %s with %.40q: got %d %.200s, want %d with a JSON body that does not repeat it", r.Method, rt.path, v, w.Code, w.Body, want)
				}
			}
		}
	}
	if after := tables(t, l.file); after != before {
		t.Errorf("refused calls have changed\n%s\nto\n%s\nwant all as it was", without(before, after), without(after, before))
	}
}

// ends sends a bad call and says how it ended: its status and result.
func (l *lab) ends(t *testing.T, method string, rt route, b bad, documented []string) string {
	t.Helper()
	a := serveOnce(l, method, rt.path, b.form)
	if a.status == http.StatusOK && described[rt.path].bare && strings.HasPrefix(a.body, "[") && json.Valid([]byte(a.body)) {
		return "200 ok"
	}
	v := a.object(t)
	end := fmt.Sprint(a.status, " ", v["result"])
	known := slices.Contains(documented, rt.path+" "+end) || end == "400 fail" || end == "413 error-012"
	if !known {
		t.Errorf("%s: got %s %.300s, want an end that the document has", b.what, method, a.body)
	}
	if detail, _ := v["result_detail"].(string); (detail == "") != (v["result"] == "ok") {
		t.Errorf("%s: %s: got result_detail %q, want one unless it is ok", b.what, end, detail)
	}
	if v["result"] != "ok" && (len(a.body) > 8<<10 || strings.Contains(a.body, ".go:") || strings.Contains(a.body, "goroutine") || strings.Contains(a.body, "SQL")) {
		t.Errorf("%s: got %.300s (%d bytes), want at most 8 KiB, without paths, goroutines and SQL", b.what, a.body, len(a.body))
	}
	if len(a.header["Set-Cookie"]) > 0 {
		t.Errorf("%s: got a cookie, want none", b.what)
	}
	return end
}

// TestBadFileInput is the same for the paths of the files, where a refusal is HTTP 400 and above and leaves no file.
func TestBadFileInput(t *testing.T) {
	dir := ""
	l := newWhole(t, func(c *Config) {
		c.Files.FallbackURL = ""
		dir = t.TempDir()
		folder, err := blob.OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { folder.Close() })
		c.Files.Blobs = folder
	})
	document, check := served(t, l)
	before := tables(t, l.file)
	ends := func(what string, r *http.Request, want int) {
		t.Helper()
		r.Header.Set("Authorization", "Bearer "+adminKey)
		w := httptest.NewRecorder()
		l.Handler().ServeHTTP(w, r)
		if want != 0 && w.Code != want || w.Code < 400 || w.Code >= 500 {
			t.Errorf("%s: got %d %.300s, want %d (0: any 4xx)", what, w.Code, w.Body, want)
		}
		path := "/" + strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, base), "/") // the document has one path and one method of each
		item, _ := document["paths"].(map[string]any)[path].(map[string]any)
		if item == nil {
			t.Fatalf("%s is not in the document, want it there", path)
		}
		for method := range item {
			r = httptest.NewRequest(strings.ToUpper(method), path, nil)
		}
		if ok, problems := check.ValidateHttpResponse(r, w.Result()); !ok {
			t.Errorf("%s: got %d %.300s, want it as the document says: %s", what, w.Code, w.Body, explain(problems))
		}
	}
	values := slices.Concat(hostile, unreadable, []string{strings.Repeat("f", 32), knownFile + "\x00", knownFile + "/../x", "/upload/download?fileId=../x", "http://127.0.0.1:1/", "file:///etc/passwd"})
	for _, rt := range l.fileRoutes() {
		what := rt.path
		if rt.answer == nil {
			f := described[rt.path].params[0]
			ends(what+": missing", httptest.NewRequest(http.MethodGet, "/"+rt.path, nil), 400)
			ends(what+": empty", httptest.NewRequest(http.MethodGet, "/"+rt.path+"?"+f.name+"=", nil), 400)
			for _, v := range values {
				query := url.Values{f.name: {v}}.Encode()
				want := 404
				if !stanza.ValidXML(v) {
					want = 400
				}
				ends(fmt.Sprintf("%s: GET of %.40q", what, v), httptest.NewRequest(http.MethodGet, "/"+rt.path+"?"+query, nil), want)
				post := httptest.NewRequest(http.MethodPost, base+rt.path, strings.NewReader(query))
				post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				ends(fmt.Sprintf("%s: POST of %.40q", what, v), post, want)
			}
			continue
		}
		send := func(what string, want int, parts ...part) {
			t.Helper()
			text, media := body(t, parts...)
			r := httptest.NewRequest(http.MethodPost, "/"+rt.path, strings.NewReader(text))
			r.Header.Set("Content-Type", media)
			ends(rt.path+": "+what, r, want)
		}
		file := part{"mFile", "x.txt", "content"}
		send("no file", 400, uploader)
		send("two files", 400, uploader, file, file)
		send("nothing", 400)
		if strings.HasPrefix(rt.path, "mobile") {
			send("nobody", 400, file)
			send("an empty user", 400, file, part{"user_id", "", ""})
		}
		for _, v := range slices.Concat(unreadable, notOfKind["user"], []string{strings.Repeat("长", maxID+1), strings.Repeat("x", 10<<10), strings.Repeat("x", 1<<20)}) {
			send(fmt.Sprintf("user %.40q behind the file", v), 400, file, part{"user_id", "", v})
			send(fmt.Sprintf("user %.40q before it", v), 400, part{"user_id", "", v}, file)
		}
		for _, v := range unreadable {
			send(fmt.Sprintf("a field called %q", v), 0, part{"x" + strings.Trim(v, "\x00"), "", "y"}, part{"user_id", "", v}, file)
		}
	}
	if after := tables(t, l.file); after != before {
		t.Errorf("refused calls have added\n%s\nwant nothing", without(after, before))
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("left behind: got %s, want no files", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// tables are all rows of all tables, but for the component's own position.
func tables(t *testing.T, file string) string {
	t.Helper()
	var out strings.Builder
	eachRow(t, file, func(table string, row []any) {
		if table != "tlim_state" && table != "tlim_audit" { // refused attempts of who has a key are written there
			fmt.Fprintf(&out, "%s %q\n", table, row)
		}
	})
	return out.String()
}

// without are the lines of one text that another has not.
func without(text, other string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return strings.Contains(other, line) }), "\n")
}

// carriedOnly: no text of any table holds what a stanza could not carry.
func carriedOnly(t *testing.T, file string) {
	t.Helper()
	eachRow(t, file, func(table string, row []any) {
		for _, v := range row {
			if text, ok := v.(string); ok && (!stanza.ValidXML(text) || !utf8.ValidString(text)) {
				t.Errorf("%s holds %.100q, want UTF-8 that XML can carry", table, text)
			}
		}
	})
}

func eachRow(t *testing.T, file string, do func(table string, row []any)) {
	t.Helper()
	db, err := sql.Open("sqlite", file+"?_pragma=busy_timeout(60000)") // the store writes, too
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	names := query(t, db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
	if len(names) < 10 {
		t.Fatalf("got %d tables, want at least 10", len(names))
	}
	for _, name := range names {
		for _, row := range query(t, db, fmt.Sprintf("SELECT * FROM %q", name[0])) {
			do(fmt.Sprint(name[0]), row)
		}
	}
}

func query(t *testing.T, db *sql.DB, statement string) (all [][]any) {
	t.Helper()
	found, err := db.Query(statement)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	columns, err := found.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for found.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := found.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
