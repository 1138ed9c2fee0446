package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var script = strings.Repeat("export const x = 1;\n", 100)

func built(t *testing.T) map[string]*File {
	t.Helper()
	files, err := Page(fstest.MapFS{
		"chat/index.html":          {Data: []byte("<!DOCTYPE html>chat")},
		"chat/assets/index-Bx1.js": {Data: []byte(script)},
		"chat/assets/logo-Bx2.png": {Data: bytes.Repeat([]byte{7}, 2000)},
		"chat/favicon.svg":         {Data: []byte("<svg/>")},
		"chat/.vite/manifest.json": {Data: []byte("{}")},
		"chat/.keep":               {Data: nil},
		"admin/index.html":         {Data: []byte("admin")},
	}, "chat", "")
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]*File{}
	for _, f := range files {
		of[f.Name] = f
	}
	return of
}

func serve(f http.Handler, method string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func TestPageHasItsFiles(t *testing.T) {
	files := built(t)
	for name, want := range map[string]struct{ media, cache, body string }{
		"":                    {"text/html;charset=utf-8", cacheAsk, "<!DOCTYPE html>chat"},
		"assets/index-Bx1.js": {"text/javascript;charset=utf-8", cacheForever, script},
		"assets/logo-Bx2.png": {"image/png", cacheForever, string(bytes.Repeat([]byte{7}, 2000))},
		"favicon.svg":         {"image/svg+xml", cacheAsk, "<svg/>"},
	} {
		t.Run(fmt.Sprintf("%q", name), func(t *testing.T) {
			w := serve(files[name], http.MethodGet)
			h := w.Result().Header
			if got := h.Get("Content-Type"); w.Code != 200 || got != want.media || h.Get("Cache-Control") != want.cache || w.Body.String() != want.body {
				t.Errorf("got %d, %s, %s, %d bytes, want 200, %s, %s, %d bytes", w.Code, got, h.Get("Cache-Control"), w.Body.Len(), want.media, want.cache, len(want.body))
			}
			for field, value := range map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
				if h.Get(field) != value {
					t.Errorf("%s: got %q, want %q", field, h.Get(field), value)
				}
			}
			if again := serve(files[name], http.MethodGet, "If-None-Match", h.Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
				t.Errorf("asked again: got %d, want 304", again.Code)
			}
			if head := serve(files[name], http.MethodHead); head.Code != 200 || head.Body.Len() > 0 {
				t.Errorf("HEAD: got %d, %d bytes, want 200, none", head.Code, head.Body.Len())
			}
			if part := serve(files[name], http.MethodGet, "Range", "bytes=0-1"); part.Code != 200 || part.Body.String() != want.body {
				t.Errorf("a part: got %d, %d bytes, want 200, the whole", part.Code, part.Body.Len())
			}
		})
	}
	if len(files) != 4 {
		t.Errorf("got %d files, want 4: those of another page and hidden ones are none", len(files))
	}
	// Nothing of a page is written in it, and nobody frames it.
	for _, want := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("got the policy %q, want %q in it", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || strings.Contains(policy, "*") {
		t.Errorf("got the policy %q, want no foreign host and nothing inline", policy)
	}
}

func TestPageIsZippedForWhoTakesIt(t *testing.T) {
	files := built(t)
	plain := serve(files["assets/index-Bx1.js"], http.MethodGet)
	for field, zipped := range map[string]bool{
		"gzip, deflate, br": true, "br;q=1.0, gzip;q=0.8": true, "GZIP": true, "*": true, "gzip;q=1": true,
		"": false, "br": false, "gzip;q=0": false, "gzip; q=0.000": false, "xgzip": false, "identity": false,
	} {
		t.Run(fmt.Sprintf("%q", field), func(t *testing.T) {
			w := serve(files["assets/index-Bx1.js"], http.MethodGet, "Accept-Encoding", field)
			if got := w.Header().Get("Content-Encoding") == "gzip"; got != zipped || w.Header().Get("Vary") != "Accept-Encoding" {
				t.Fatalf("got zipped %v, Vary %q, want %v, Accept-Encoding", got, w.Header().Get("Vary"), zipped)
			}
			if zipped == (w.Header().Get("ETag") == plain.Header().Get("ETag")) {
				t.Errorf("got ETag %s, want another one for other bytes", w.Header().Get("ETag"))
			}
			text := w.Body.Bytes()
			if zipped {
				r, err := gzip.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				if text, err = io.ReadAll(r); err != nil {
					t.Fatal(err)
				}
			}
			if string(text) != script {
				t.Errorf("got %d bytes, want the %d of the file", len(text), len(script))
			}
		})
	}
	for _, name := range []string{"assets/logo-Bx2.png", "favicon.svg"} {
		if got := serve(files[name], http.MethodGet, "Accept-Encoding", "gzip").Header().Get("Content-Encoding"); got != "" {
			t.Errorf("%s: got %q, want it as it is: nothing is saved", name, got)
		}
	}
}

// A binary that was built without pages says so, in both languages; this package's own is one or the other.
func TestPageThatIsNotBuilt(t *testing.T) {
	files, err := Page(fstest.MapFS{".keep": {}}, "chat", "")
	if err != nil || len(files) != 1 || files[0].Name != "" {
		t.Fatalf("got %v, %v, want the page alone", files, err)
	}
	w := serve(files[0], http.MethodGet)
	for _, want := range []string{"编译时没有包含网页", "built without its pages", "scripts/build"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("got %s, want %q in it", w.Body, want)
		}
	}
	if strings.Contains(notBuilt, "<script") || strings.Contains(notBuilt, "style") {
		t.Errorf("got %s, want no scripts or styles in the page, which its policy forbids", notBuilt)
	}
	inFolder, err := Page(fstest.MapFS{".keep": {}}, "admin", "../")
	if err != nil || len(inFolder) != 1 {
		t.Fatalf("got %v, %v, want the page alone", inFolder, err)
	}
	if got := serve(inFolder[0], http.MethodGet).Body.String(); strings.Count(got, `href="../plugins/tlim/docs"`) != 2 || strings.Contains(got, `href="plugins`) {
		t.Errorf("in a folder: got %s, want links that lead out of it", got)
	}
	for _, name := range []string{"chat", "admin"} {
		t.Run(name, func(t *testing.T) {
			own, err := Page(Built(), name, "")
			if err != nil || !slices.ContainsFunc(own, func(f *File) bool { return f.Name == "" }) {
				t.Errorf("this binary's %s: got %v, %v, want a page", name, own, err)
			}
		})
	}
	if _, err := fs.Stat(Built(), ".keep"); err != nil {
		t.Errorf("dist/.keep: %v, want it: without it nothing compiles where npm did not run", err)
	}
}
