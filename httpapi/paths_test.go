package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestCanonical(t *testing.T) {
	for escaped, want := range map[string]string{
		"/plugins/tlim/findSessions":                       "/plugins/tlim/findsessions",
		"/PLUGINS//tlim/FindSessions/":                     "/plugins/tlim/findsessions/",
		"/plugins;a=b/tlim;/findSessions;jsessionid=0A1/":  "/plugins/tlim/findsessions/",
		"/plugins/tlim/findSessions/;jsessionid=0A1.x":     "/plugins/tlim/findsessions/",
		"/plugins/tlim/find%53essions":                     "/plugins/tlim/findsessions",
		"/plugins/tlim/findSessions%3Bx":                   "/plugins/tlim/findsessions;x",
		"/plugins/tlim/find%E2%84%AAessions":               "/plugins/tlim/find\u212aessions", // the Kelvin sign
		"/plugins/tlim/findSe%C5%BFsions":                  "/plugins/tlim/findseſsions",
		"":                                                 "/",
		"/":                                                "/",
		"//":                                               "/",
		"/plugins/tlim/..;/tlim/findSessions":              "no",
		"/plugins/tlim/docs/../findSessions":               "no",
		"/plugins/tlim/docs/%2e%2E/findSessions":           "no",
		"/plugins/./tlim/findSessions":                     "no",
		"/plugins/tlim%2FfindSessions":                     "no",
		"/plugins/tlim%5cfindSessions":                     "no",
		"/plugins/tlim%zz":                                 "no",
		"/plugins/tlim/findSessions%00":                    "/plugins/tlim/findsessions\x00",
		"/cap-aco/mobileHttpController/uploadForUrl;x=1;y": "/cap-aco/mobilehttpcontroller/uploadforurl",
	} {
		t.Run(escaped, func(t *testing.T) {
			got, ok := canonical(escaped)
			if !ok {
				got = "no"
			}
			if got != want {
				t.Errorf("%q is %q, want %q", escaped, got, want)
			}
		})
	}
}

// TestValidPrefix: no prefix is a step that no path has.
func TestValidPrefix(t *testing.T) {
	for p, want := range map[string]bool{"/cap-aco": true, "/a/b.c": true, "/.well": true, "/..a": true, "": false, "/": false, "cap": false, "/..": false, "/a/.": false, "/a/../b": false, "/a//b": false, "/a;b": false} {
		t.Run(p, func(t *testing.T) {
			if ValidPrefix(p) != want {
				t.Errorf("got %v, want %v", !want, want)
			}
		})
	}
}

// pathForms are spellings of a path that a servlet container of the old system took for the same.
var pathForms = map[string]func(string) string{
	"lower case":     strings.ToLower,
	"upper case":     strings.ToUpper,
	"a slash behind": func(p string) string { return p + "/" },
	"jsessionid":     func(p string) string { return p + ";jsessionid=0A1B.node1" },
	"parameters":     func(p string) string { return "/" + strings.ReplaceAll(p[1:], "/", ";a=b/") + "/;c" },
	"two slashes":    func(p string) string { return strings.ReplaceAll(p, "/", "//") },
	"escaped letters": func(p string) string {
		return escapeLetters.ReplaceAllStringFunc(p, func(c string) string { return fmt.Sprintf("%%%02x", c[0]) })
	},
	"all of it":        func(p string) string { return strings.ToUpper(strings.ReplaceAll(p, "/", "//")) + "//;jsessionid=1" },
	"an absolute form": func(p string) string { return "http://127.0.0.1" + p },
}

var escapeLetters = regexp.MustCompile(`[aeiouAEIOU]`)

// strangePaths are spellings that nobody needs and that a proxy in front may read otherwise than we do.
var strangePaths = map[string]func(string) string{
	"a step back":         func(p string) string { return "/x/.." + p },
	"an escaped one":      func(p string) string { return "/x/%2e%2E" + p },
	"one with parameters": func(p string) string { return "/x/..;a" + p },
	"no step":             func(p string) string { return "/." + p },
	"an escaped slash":    func(p string) string { return p[:1] + strings.Replace(p[1:], "/", "%2F", 1) },
	"a backslash":         func(p string) string { return p[:1] + strings.Replace(p[1:], "/", "%5C", 1) },
	"an escaped ;":        func(p string) string { return p + "%3Bx" },
	"an end of text":      func(p string) string { return p + "%00" },
	"a blank":             func(p string) string { return p + "%20" },
	"a dot behind":        func(p string) string { return p + "." },
	"something behind":    func(p string) string { return p + "/x" },
	"the Kelvin sign":     func(p string) string { return strings.NewReplacer("k", "%E2%84%AA", "s", "%C5%BF").Replace(p) },
}

// TestPathForms walks the whole matrix of paths, callers and spellings: every spelling has the rights of the plain path and is
// counted and logged under its name; what is no spelling of it is nothing at all, to everybody.
func TestPathForms(t *testing.T) {
	none := newFileLab(t)
	labs := map[string]*lab{"none": none.lab}
	for _, mode := range []Anonymous{AnonymousClients, AnonymousAll} {
		labs[string(mode)] = newLabOver(t, none.store, func(c *Config) {
			c.AllowAnonymous, c.Files, c.Language, c.Hosts = mode, none.cfg.Files, English, []string{"example.com"}
		})
	}
	callers := []struct {
		name, lab string
		header    string
	}{
		{"none", "none", ""}, {"clients", "clients", ""}, {"all", "all", ""}, {"business", "none", businessKey}, {"admin", "none", adminKey},
		{"self", "none", none.token(t, "zhangsan")}, {"outside", "none", none.token(t, "wangwu")},
	}
	type target struct{ path, query string }
	var targets []target
	names := []string{"other", "docs"}
	for _, rt := range none.routes() {
		targets = append(targets, target{base + rt.path, repeatedQuery(rt.path)})
		names = append(names, rt.path)
	}
	for _, rt := range none.fileRoutes() {
		names = append(names, rt.path)
		for _, prefix := range []string{"/", base, "/cap-aco/"} {
			targets = append(targets, target{prefix + rt.path, "fileId=" + strings.Repeat("f", 32)})
		}
	}
	for _, path := range []string{"openapi.json", "docs/start.js", "docs/swagger-ui.css"} {
		targets = append(targets, target{base + path, ""})
	}

	call := func(l *lab, method, path, query, key string) (string, []string) {
		r := httptest.NewRequest(method, path, strings.NewReader(query))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		w := httptest.NewRecorder()
		l.Handler().ServeHTTP(w, r)
		body := w.Body.String()
		if len(body) > 4096 {
			body = fmt.Sprint(len(body), " bytes")
		}
		return fmt.Sprint(w.Code, " ", body), l.svc.taken()
	}
	count := 0
	for _, at := range targets {
		for _, c := range callers {
			t.Run(c.name+" "+at.path, func(t *testing.T) {
				for _, method := range []string{http.MethodPost, http.MethodHead, http.MethodPut} {
					l := labs[c.lab]
					want, wantCalls := call(l, method, at.path, at.query, c.header)
					if method == http.MethodPost && strings.HasPrefix(want, "404") && !strings.Contains(want, textNoSuchFile.en) {
						t.Fatalf("%s is not served, want it: %s", at.path, want)
					}
					for _, of := range pathForms {
						count++
						if got, calls := call(l, method, of(at.path), at.query, c.header); got != want || !slices.Equal(calls, wantCalls) {
							t.Errorf("%s %s by %s: %s does %q, %s\nwant as the plain path: %q, %s", method, at.path, c.name, of(at.path), calls, got, wantCalls, want)
						}
					}
					for form, of := range strangePaths {
						if of(at.path) == at.path {
							continue
						}
						count++
						if got, calls := call(l, method, of(at.path), at.query, c.header); !strings.HasPrefix(got, "404 ") || len(calls) > 0 {
							t.Errorf(`%s %s by %s: %s (%s) does %q, %s, want beginning with "404 ", no calls`, method, at.path, c.name, form, of(at.path), calls, got)
						}
					}
				}
			})
		}
	}
	t.Logf("%d calls", count)

	for _, l := range labs {
		families, err := l.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				for _, label := range m.GetLabel() {
					if label.GetName() == "endpoint" && !slices.Contains(names, label.GetValue()) {
						t.Errorf("%s counts endpoint %q, want a path of the list", f.GetName(), label.GetValue())
					}
				}
			}
		}
		for _, m := range regexp.MustCompile(`endpoint=(\S+)`).FindAllStringSubmatch(l.log.String(), -1) {
			if !slices.Contains(names, m[1]) {
				t.Fatalf("the log names endpoint %q, want a path of the list", m[1])
			}
		}
	}
}

// TestDocsForms: the page is found in any spelling, and its own links still lead to its files.
func TestDocsForms(t *testing.T) {
	l := newLab(t)
	for path, want := range map[string]int{"docs": 301, "DOCS": 301, "docs;jsessionid=1": 301, "docs/": 200, "Docs//": 200, "docs/;jsessionid=1": 200, "docs/Start.JS": 200, "docs/swagger-ui.css/": 200} {
		t.Run(path, func(t *testing.T) {
			a := l.do(t, http.MethodGet, path, "", "")
			if a.status != want || want == 301 && a.header.Get("Location") != "docs/" {
				t.Errorf("got %d %v, want %d (301: to docs/)", a.status, a.header, want)
			}
		})
	}
}
