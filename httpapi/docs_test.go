package httpapi

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestDocsPage: the page and all that it loads is there, comes from here, and stays in its box. No key is needed, not even where
// none is taken from anybody.
func TestDocsPage(t *testing.T) {
	l := newLab(t)
	page := l.do(t, http.MethodGet, "docs/", "", "")
	loads := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page.body, -1)
	if page.status != 200 || len(loads) != 4 {
		t.Fatalf("got %d, loads %v, want 200, 4 loads", page.status, loads)
	}
	if strings.Contains(page.body, "<style") || regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(page.body) {
		t.Error("got scripts or styles of the page's own, want none: its policy forbids them")
	}
	pages := map[string]string{"docs/": "text/html;charset=utf-8", "openapi.json": "application/json;charset=utf-8"}
	for _, load := range loads {
		if strings.Contains(load[1], ":") || strings.HasPrefix(load[1], "/") {
			t.Errorf("got %s loaded, want what is of this page", load[1])
		}
		pages["docs/"+load[1]] = ""
	}
	for path, media := range pages {
		t.Run(path, func(t *testing.T) {
			a := l.do(t, http.MethodGet, path, "", "")
			if a.status != 200 || len(a.body) < 100 || media != "" && a.header.Get("Content-Type") != media || a.header.Get("Content-Type") == "" {
				t.Errorf("got %d, %d bytes, %s, want 200, at least 100 bytes, %q", a.status, len(a.body), a.header.Get("Content-Type"), media)
			}
			for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": docsPolicy} {
				if got := a.header.Get(name); got != want {
					t.Errorf("got %s is %q, want %q", name, got, want)
				}
			}
			if a := l.do(t, http.MethodHead, path, "", ""); a.status != 200 || a.body != "" {
				t.Errorf(`HEAD %s: got %d, want 200, body ""`, path, a.status)
			}
			if a := l.do(t, http.MethodPost, path, "", "x=y"); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" || a.object(t)["result"] != "fail" {
				t.Errorf(`POST %s: got %d %s, want 405, Allow "GET, HEAD", fail`, path, a.status, a.body)
			}
		})
	}
	if a := l.do(t, http.MethodGet, "docs", "", ""); a.status != 301 || a.header.Get("Location") != "docs/" {
		t.Errorf("without the slash: got %d %v, want 301, Location docs/", a.status, a.header)
	}
	for _, path := range []string{"docs/x", "docs/index.html", "docs/../docs.go", "docs/oauth2-redirect.html", "docs/%2e%2e/docs.go"} {
		t.Run(path, func(t *testing.T) {
			if a := l.do(t, http.MethodGet, path, "", ""); a.status != 404 || a.object(t)["result"] != "fail" {
				t.Errorf("got %d, want 404, fail", a.status)
			}
		})
	}
	if a := l.do(t, http.MethodGet, "docs/", "proxy=http://127.0.0.1:1/&url=http://127.0.0.1:1/x.json", ""); a.body != page.body {
		t.Errorf("parameters change the page: %d %s, want %s", a.status, a.body, page.body)
	}
	if strings.Contains(l.do(t, http.MethodGet, "openapi.json", "", "").body, "key-0123456789") {
		t.Error("got a key in the document, want none")
	}
}
