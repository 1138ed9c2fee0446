package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/errors"

	"tlim/component/protocol"
)

// What a server makes anew each time, and what the examples show for it.
var (
	madeUUID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	madeFile = regexp.MustCompile(`[0-9a-f]{32}`)
)

func stable(text string) string {
	text = madeUUID.ReplaceAllString(text, "5b3f1a52-8c0d-4e6f-9a7b-1c2d3e4f5a6b")
	return madeFile.ReplaceAllString(text, knownFile)
}

// allRoutes are those of the table and the files'.
func (l *lab) allRoutes() (all []route) {
	all = l.routes()
	for _, rt := range l.fileRoutes() {
		all = append(all, rt.route)
	}
	return all
}

// TestExamples sends the example of each endpoint to a real API, reads first, by GET (POST for what changes something), and
// compares the answer.
func TestExamples(t *testing.T) {
	l := newWhole(t)
	routes := l.allRoutes()
	slices.SortStableFunc(routes, func(a, b route) int {
		number := map[effect]int{reads: 0, writes: 1}
		return number[a.effect] - number[b.effect]
	})
	for _, rt := range routes {
		t.Run(rt.path, func(t *testing.T) {
			e, err := exampleOf(rt.path)
			if err != nil {
				t.Fatal(err)
			}
			got := l.sendExample(t, rt, e)
			want := http.StatusOK
			if described[rt.path].tag == "dropped" {
				want = http.StatusGone
			}
			if got.status != want {
				t.Fatalf("got %d %s, want %d", got.status, got.body, want)
			}
			answer := []byte(stable(got.body))
			switch media := got.header.Get("Content-Type"); {
			case strings.HasPrefix(media, "image/"):
				if got.body != "GIF89a" || e.Answer != nil {
					t.Errorf("got %q, want GIF89a, Answer nil", got.body)
				}
				return
			case strings.HasPrefix(media, "text/plain"):
				if answer, err = json.Marshal(string(answer)); err != nil {
					t.Fatal(err)
				}
				answer = bytes.ReplaceAll(answer, []byte(`\u0026`), []byte("&"))
			}
			if *update {
				e.Answer = answer
				var buf bytes.Buffer
				encoder := json.NewEncoder(&buf)
				encoder.SetEscapeHTML(false)
				encoder.SetIndent("", "  ")
				if err := encoder.Encode(e); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile("examples/"+strings.ReplaceAll(rt.path, "/", ".")+".json", buf.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, e.Answer); err != nil {
				t.Fatal(err)
			}
			if compact.String() != string(answer) {
				t.Errorf("answers\n%s\nwant, as the document says,\n%s", answer, compact.String())
			}
		})
	}
}

// sendExample sends an example by the method that suits its endpoint.
func (l *lab) sendExample(t *testing.T, rt route, e example) answer {
	t.Helper()
	switch {
	case described[rt.path].uploads():
		values := form{}
		if err := values.add(e.Query); err != nil {
			t.Fatal(err)
		}
		text, media := body(t, part{"user_id", "", values.first("user_id")}, part{"mFile", "team.gif", values.first("mFile")})
		return l.do(t, http.MethodPost, "/"+rt.path, "", text, "Content-Type", media, "Authorization", "Bearer "+adminKey)
	case described[rt.path].tag == "files":
		return l.get(t, "/"+rt.path, e.Query)
	case rt.effect == writes:
		return l.post(t, rt.path, e.Query)
	}
	return l.get(t, rt.path, e.Query)
}

// served is the document as a caller gets it, and a validator of it.
func served(t testing.TB, l *lab) (document object, check validator.Validator) {
	t.Helper()
	a := l.do(t, http.MethodGet, "openapi.json", "", "")
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json;charset=utf-8" {
		t.Fatalf(`got %d %s, want 200, Content-Type "application/json;charset=utf-8"`, a.status, a.header.Get("Content-Type"))
	}
	if err := json.Unmarshal([]byte(a.body), &document); err != nil {
		t.Fatal(err)
	}
	return document, checker(t, []byte(a.body))
}

// checker validates by a document.
func checker(t testing.TB, document []byte) validator.Validator {
	t.Helper()
	parsed, err := libopenapi.NewDocument(document)
	if err != nil {
		t.Fatal(err)
	}
	check, errs := validator.NewValidator(parsed)
	if len(errs) > 0 {
		t.Fatalf("the document cannot be read: got %v, want none", errs)
	}
	return check
}

func explain(problems []*errors.ValidationError) string {
	var all []string
	for _, p := range problems {
		all = append(all, p.Message+": "+p.Reason)
		for _, s := range p.SchemaValidationErrors {
			all = append(all, s.FieldPath+" "+s.Reason)
		}
	}
	return strings.Join(all, "\n")
}

// TestDocument: it is valid OpenAPI 3.0, and its paths and methods are those that are served, each endpoint once: files at the root alone and by one method,
// and nothing of whose answer has no one type.
func TestDocument(t *testing.T) {
	l := newWhole(t)
	document, check := served(t, l)
	if ok, problems := check.ValidateDocument(); !ok {
		t.Fatalf("the document: got %s, want it valid", explain(problems))
	}
	if document["openapi"] != "3.0.3" {
		t.Errorf("openapi is %v, want 3.0.3", document["openapi"])
	}
	documented := map[string]bool{}
	for path, item := range document["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			documented[strings.ToUpper(method)+" "+path] = true
		}
	}
	all, err := l.mount()
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	for path := range all {
		if path != lower(path) {
			written[lower(path)] = true
		}
	}
	for path, served := range all {
		if written[path] { // it is there with its capitals, too
			continue
		}
		for method := range served.of {
			key := method + " " + path
			switch {
			case method != http.MethodGet && method != http.MethodPost, strings.HasPrefix(path, "/cap-aco/"), strings.HasPrefix(path, base+"docs"), path == base+"openapi.json":
			case !documented[key] && elsewhere(l, method, path):
			case !documented[key]:
				t.Errorf("%s is served, want it in the document", key)
			default:
				delete(documented, key)
			}
		}
	}
	if len(documented) > 0 {
		t.Errorf("in the document and not served: %v, want none", slices.Sorted(maps.Keys(documented)))
	}
	for path := range described {
		if !slices.ContainsFunc(l.allRoutes(), func(rt route) bool { return rt.path == path }) {
			t.Errorf("%s is described, want a route", path)
		}
	}
	ids := map[any]bool{}
	for _, item := range document["paths"].(map[string]any) {
		for _, operation := range item.(map[string]any) {
			id := operation.(map[string]any)["operationId"]
			if ids[id] {
				t.Errorf("operationId %v is there twice, want once", id)
			}
			ids[id] = true
		}
	}
}

// elsewhere says whether what is served is in the document by another path or method.
func elsewhere(l *lab, method, path string) bool {
	for _, rt := range l.fileRoutes() {
		if path == base+rt.path || path == "/"+rt.path && method == http.MethodPost && rt.answer == nil {
			return true
		}
	}
	return described[strings.TrimPrefix(path, base)].bare && method == http.MethodGet
}

// inJSON is a query string as a JSON body that says the same; "" when none can: a name that the endpoint does not have, or one twice.
func inJSON(t *testing.T, endpoint, query string) string {
	t.Helper()
	values := form{}
	if values.add(query) != nil {
		return ""
	}
	body := object{}
	for name, list := range values {
		at := slices.IndexFunc(described[endpoint].params, func(f field) bool { return f.name == name })
		if at < 0 && name != accessToken.name {
			return ""
		}
		var kind kind
		if at >= 0 {
			kind = described[endpoint].params[at].kind
		}
		text := list[0]
		_, err := strconv.Atoi(text)
		switch {
		case kind.list && !kind.json && (len(list) > 1 || !strings.HasPrefix(text, "[")):
			body[name] = strings.Split(strings.Join(list, ","), ",")
		case len(list) > 1, kind.json && strings.HasPrefix(text, `"`):
			return ""
		case kind.list && json.Valid([]byte(text)), (kind.schema["type"] == "integer" || kind.schema["type"] == "number") && err == nil && (text == "0" || text[0] != '0' && text[0] != '+'):
			body[name] = json.RawMessage(text)
		default:
			body[name] = text
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// call is a call of a test and its answer.
type call struct {
	what, method, path, query string
	answer                    answer
}

// everyCall sends what the golden files hold, and the examples, and hands on what was answered.
func everyCall(t *testing.T, asked func(endpoint, parameter string), then func(c call)) {
	t.Helper()
	files, err := filepath.Glob("testdata/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	labs := goldenLabs(t)
	for _, l := range labs {
		l.asked = asked
	}
	for _, file := range files {
		g := readGolden(t, file)
		endpoint := goldenEndpoint(file)
		l := labs[g.lab()]
		if !described[endpoint].bare { // which the document has as JSON alone
			for _, method := range l.methods(t, endpoint) {
				then(call{file, method, base + endpoint, g.Query, l.send(t, method, endpoint, g)})
			}
		}
		if body := inJSON(t, endpoint, g.Query); body != "" {
			then(call{file + " in JSON", http.MethodPost, base + endpoint, body, l.sendJSON(t, endpoint, body, g)})
		}
	}
	whole := newWhole(t)
	whole.asked = asked
	for _, rt := range whole.allRoutes() {
		e, err := exampleOf(rt.path)
		if err != nil {
			t.Fatal(err)
		}
		method, path := http.MethodGet, base+rt.path
		if described[rt.path].tag == "files" {
			path = "/" + rt.path
		}
		if rt.effect == writes {
			method = http.MethodPost
		}
		if answer := whole.sendExample(t, rt, e); !described[rt.path].bare {
			then(call{"example of " + rt.path, method, path, e.Query, answer})
		}
		if described[rt.path].tag == "files" && method == http.MethodGet { // what is not here is asked of the old system, by all its parameters
			whole.get(t, "/"+rt.path, strings.ReplaceAll(e.Query, knownFile, strings.Repeat("f", 32)))
		}
	}
}

// methods are those that an endpoint takes.
func (l *lab) methods(t *testing.T, endpoint string) []string {
	t.Helper()
	if rt := l.routeOf(t, endpoint); rt.postOnly() {
		return []string{http.MethodPost}
	}
	return []string{http.MethodGet, http.MethodPost}
}

// TestDocumentedAnswers holds every answer of the golden files and examples against the schema that the document has for it;
// and every field that the document names is in one of them.
func TestDocumentedAnswers(t *testing.T) {
	document, _ := served(t, newWhole(t))
	failure := document["components"].(map[string]any)["schemas"].(map[string]any)["Failure"].(map[string]any)
	document = closed(map[string]any(document)).(map[string]any)
	failure["additionalProperties"] = true // the numbers of the endpoint
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	check := checker(t, text)
	missing := map[string]bool{}
	for path, e := range described {
		for _, f := range e.answer {
			missing[path+" "+f.name] = true
			for _, inner := range f.of {
				missing[path+" "+f.name+"."+inner.name] = true
			}
		}
	}
	seen := func(path string, v any) {
		fields, _ := v.(map[string]any)
		if list, ok := v.([]any); ok && len(list) > 0 {
			fields, _ = list[0].(map[string]any)
		}
		for name, value := range fields {
			delete(missing, path+" "+name)
			rows, _ := value.([]any)
			if part, ok := value.(map[string]any); ok {
				rows = []any{part}
			}
			for _, row := range rows {
				inner, _ := row.(map[string]any)
				for key := range inner {
					delete(missing, path+" "+name+"."+key)
				}
			}
		}
	}
	everyCall(t, nil, func(c call) {
		r := httptest.NewRequest(c.method, c.path, nil)
		w := &http.Response{StatusCode: c.answer.status, Header: c.answer.header, Body: io.NopCloser(strings.NewReader(c.answer.body)), Request: r}
		item := document["paths"].(map[string]any)[c.path].(map[string]any)[strings.ToLower(c.method)].(map[string]any)
		if item["responses"].(map[string]any)[strconv.Itoa(c.answer.status)] == nil {
			t.Errorf("%s: %s %s answers %d, want what the document names", c.what, c.method, c.path, c.answer.status)
		}
		if !strings.HasPrefix(c.answer.header.Get("Content-Type"), "application/json") {
			return
		}
		if ok, problems := check.ValidateHttpResponse(r, w); !ok {
			t.Errorf("%s: %s %s?%s answers %d %s, want it as the document says: %s", c.what, c.method, c.path, c.query, c.answer.status, c.answer.body, explain(problems))
		}
		var v any
		if err := json.Unmarshal([]byte(c.answer.body), &v); err != nil {
			t.Fatal(err)
		}
		endpoint := strings.TrimPrefix(c.path, base)
		if described[strings.TrimPrefix(endpoint, "/")].tag != "files" && c.answer.status == http.StatusOK && !slices.Contains(results(endpoint), resultOf(c.answer.body)) {
			t.Errorf("%s: %s answers %s, want a result that is described", c.what, c.path, c.answer.body)
		}
		seen(strings.TrimPrefix(endpoint, "/"), v)
	})
	if len(missing) > 0 {
		t.Errorf("in the document and in no answer: %s, want none", strings.Join(slices.Sorted(maps.Keys(missing)), "\n"))
	}
}

// results are those with which an endpoint may answer at HTTP 200.
func results(endpoint string) []string {
	e := described[endpoint]
	all := []string{"ok"}
	codes, _ := e.refusals()
	if e.streamed {
		codes = append(codes, protocol.TryLater, resultFail)
	}
	for _, code := range codes {
		all = append(all, string(code))
	}
	return all
}

// closed is a document whose objects have no other fields than those that it names.
func closed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = closed(inner)
		}
		if v["type"] == "object" && v["properties"] != nil {
			v["additionalProperties"] = false
		}
	case []any:
		for i := range v {
			v[i] = closed(v[i])
		}
	}
	return v
}

// TestDocumentedParameters: what handlers read and what the document names is the same.
func TestDocumentedParameters(t *testing.T) {
	read := map[string]bool{}
	var mu sync.Mutex
	everyCall(t, func(endpoint, parameter string) {
		mu.Lock()
		defer mu.Unlock()
		read[endpoint+" "+parameter] = true
	}, func(call) {})
	mu.Lock()
	defer mu.Unlock()
	for path, e := range described {
		for _, f := range e.params {
			if f.kind.file {
				continue // a part, which TestExamples sends
			}
			if !read[path+" "+f.name] {
				t.Errorf("%s: the document names %s, which nobody reads, want it read", path, f.name)
			}
			delete(read, path+" "+f.name)
			for _, inner := range f.of {
				key := path + " " + f.name + "." + inner.name
				if !read[key] && f.name != "params" { // which is passed on as it is
					t.Errorf("%s: the document names %s in %s, which nobody reads, want it read", path, inner.name, f.name)
				}
				delete(read, key)
			}
		}
	}
	if len(read) > 0 {
		t.Errorf("read, and not in the document: %v, want none", slices.Sorted(maps.Keys(read)))
	}
}

// TestExampleRequests: what the document shows as a call is a call by its own rules.
func TestExampleRequests(t *testing.T) {
	l := newWhole(t)
	_, check := served(t, l)
	for _, rt := range l.routes() {
		e, err := exampleOf(rt.path)
		if err != nil {
			t.Fatal(err)
		}
		values := form{}
		if err := values.add(e.Query); err != nil {
			t.Fatal(err)
		}
		query := url.Values(values).Encode()
		post := httptest.NewRequest(http.MethodPost, base+rt.path, strings.NewReader(inJSON(t, rt.path, e.Query)))
		post.Header.Set("Content-Type", "application/json")
		calls := []*http.Request{post}
		if !described[rt.path].bare && !rt.postOnly() {
			calls = append(calls, httptest.NewRequest(http.MethodGet, base+rt.path+"?"+query, nil))
		}
		for _, r := range calls {
			r.Header.Set("Authorization", "Bearer "+adminKey)
			if ok, problems := check.ValidateHttpRequest(r); !ok {
				t.Errorf("%s %s?%s: got %s, want the example as the document says", r.Method, rt.path, e.Query, explain(problems))
			}
		}
	}
}

// TestFailureExamples: each shared failure is answered as the document shows it, by a call that gets it.
func TestFailureExamples(t *testing.T) {
	english := func(c *Config) { c.Language = English }
	l := newLab(t, english)
	slow := newLab(t, english, func(c *Config) { c.Keys[0].Rate = 0.1 })
	slow.get(t, "findSessions", "user_id=x")
	document, _ := served(t, l)
	files := newWhole(t, func(c *Config) { c.Files.FallbackURL = "" })
	got := map[string]answer{
		"400": l.get(t, "findSessionHistory", "session_id=g1&start=x"),
		"401": l.do(t, http.MethodGet, "findSessions", "user_id=x", ""),
		"403": l.do(t, http.MethodGet, "findSessions", "user_id=x", "", "Authorization", "Bearer "+businessKey),
		"404": files.get(t, "/upload/download", "fileId=x"),
		"410": l.get(t, "findReadMsg", ""),
		"413": l.post(t, "findSessions", "a="+strings.Repeat("x", 1<<20)),
		"429": slow.get(t, "findSessions", "user_id=x"),
		"500": l.get(t, "hasUnread", "user_id=broken"),
		"503": l.get(t, "hasUnread", "user_id=away"),
	}
	shared := document["components"].(map[string]any)["responses"].(map[string]any)
	if len(shared) != len(got) {
		t.Errorf("got %d shared failures tried, want %d", len(got), len(shared))
	}
	for status, a := range got {
		t.Run(fmt.Sprintf("%.60q", status), func(t *testing.T) {
			response := shared[status].(map[string]any)
			want, err := json.Marshal(response["content"].(map[string]any)["application/json"].(map[string]any)["example"])
			if err != nil {
				t.Fatal(err)
			}
			v := a.object(t)
			delete(v, "session_id") // of this call, and the numbers of its endpoint
			delete(v, "total")
			answered, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if strconv.Itoa(a.status) != status || string(answered) != string(want) {
				t.Errorf("got %d %s\nwant %s %s as the document says", a.status, answered, status, want)
			}
			headers, _ := response["headers"].(map[string]any)
			for name := range headers {
				if a.header.Get(name) == "" {
					t.Errorf("%s comes without %s, want it", status, name)
				}
			}
		})
	}
}
