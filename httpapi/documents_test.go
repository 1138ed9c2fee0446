package httpapi

import (
	"os"
	"regexp"
	"testing"
)

// HTTP.md has a row on each endpoint that is not dropped.
func TestDocumentNamesEveryEndpoint(t *testing.T) {
	text, err := os.ReadFile("HTTP.md")
	if err != nil {
		t.Fatal(err)
	}
	l := newFileLab(t)
	var paths []string
	for _, rt := range l.routes() {
		if described[rt.path].tag != "dropped" {
			paths = append(paths, rt.path)
		}
	}
	for _, rt := range l.fileRoutes() {
		paths = append(paths, rt.path)
	}
	if len(paths) < 40 {
		t.Errorf("got %d endpoints, want at least 40", len(paths))
	}
	for _, path := range paths {
		if !hasRow(string(text), path) {
			t.Errorf("no table of HTTP.md has a row on %s, want one", path)
		}
	}
	if hasRow(string(text), "findNothing") || hasRow("| f | [findNotice](#x) | a |\n| findNotice | who may |\n| another | who may |\n", "findNotice") {
		t.Error("got a row on what has none, want it found missing")
	}
}

// hasRow says whether a table of a Markdown text with three columns or more has a row whose first cell names the endpoint.
func hasRow(text, endpoint string) bool {
	return regexp.MustCompile(`(?m)^\|[^|\n]*\b` + regexp.QuoteMeta(endpoint) + `\b[^|\n]*\|[^|\n]*\|[^|\n]*\|`).MatchString(text)
}
