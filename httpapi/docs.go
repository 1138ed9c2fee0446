package httpapi

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"net/http"
	"time"

	"github.com/swaggest/swgui/v5emb"
)

// docsFiles are our part of the page that shows the document: everything but Swagger UI.
//
//go:embed docs/index.html docs/start.js
var docsFiles embed.FS

// swaggerFiles are the files of Swagger UI that the page needs.
var swaggerFiles = map[string]bool{"swagger-ui.css": true, "swagger-ui-bundle.js": true, "favicon-32x32.png": true}

// docsPolicy lets the page load its own files and call this API, and nothing else; no other page can frame it, so that no
// click of its reader is somebody else's. Swagger UI sets styles and shows images of its own by data: addresses.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// mountDocument serves the API's document and a page that shows it. Both need no key: they are the same at every site, and a
// browser that opens a page has no way to send one but in the URL, where keys do not belong. They speak the language of the
// configuration; the document also that of its parameter language. What the page can do it does with the key that its reader types
// in, from this origin, like any other page of this host.
func (a *API) mountDocument(p paths) error {
	documents, err := a.documents()
	if err != nil {
		return err
	}
	swagger := v5emb.New("tlim", "", base+"docs/")
	const methods = "GET, HEAD"
	other := a.refusing(&failure{status: http.StatusMethodNotAllowed, result: resultFail, text: textFileMethod, args: []any{methods}, allow: methods})
	serve := func(path string, write func(w http.ResponseWriter, r *http.Request)) {
		h := func(w http.ResponseWriter, r *http.Request) {
			start := a.cfg.Clock()
			a.commonHeaders(w, r)
			w.Header().Set("Content-Security-Policy", docsPolicy)
			out := &fileWriter{responder: a.responder(w)}
			plain := *r
			plain.Header = r.Header.Clone()
			plain.Header.Del("Range") // nobody needs a part of these
			write(out, &plain)
			a.metrics.seen("docs", out.status, anonymousName, a.cfg.Clock().Sub(start))
		}
		p.add(base+path, map[string]http.HandlerFunc{http.MethodGet: h, http.MethodHead: h}, other)
	}
	content := func(media string, text []byte) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", media)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
		}
	}

	otherLanguage := a.refusing(badRequest(textBadLanguage, "language"))
	serve("openapi.json", func(w http.ResponseWriter, r *http.Request) {
		l := cmp.Or(Language(r.URL.Query().Get("language")), a.cfg.Language)
		document, ok := documents[l]
		if !ok {
			otherLanguage(w, r)
			return
		}
		content("application/json;charset=utf-8", document)(w, r)
	})
	serve("docs", func(w http.ResponseWriter, r *http.Request) { // relative: a proxy may have put a prefix before our paths
		w.Header().Set("Location", "docs/")
		w.WriteHeader(http.StatusMovedPermanently)
	})
	for path, file := range map[string][2]string{"docs/": {"index.html", "text/html;charset=utf-8"}, "docs/start.js": {"start.js", "text/javascript;charset=utf-8"}} {
		text, err := docsFiles.ReadFile("docs/" + file[0])
		if err != nil {
			return err
		}
		if a.cfg.Language == Chinese { // of which start.js takes note
			text = bytes.Replace(text, []byte(`<html lang="en">`), []byte(`<html lang="zh-CN">`), 1)
		}
		serve(path, content(file[1], text))
	}
	for name := range swaggerFiles {
		serve("docs/"+name, func(w http.ResponseWriter, r *http.Request) {
			plain := r.Clone(r.Context())
			plain.URL.Path, plain.URL.RawPath, plain.URL.RawQuery = base+"docs/"+name, "", ""
			swagger.ServeHTTP(w, plain)
		})
	}
	return nil
}

// documents are the document in each language.
func (a *API) documents() (map[Language][]byte, error) {
	document, err := a.document()
	if err != nil {
		return nil, err
	}
	all := map[Language][]byte{}
	for l, in := range map[Language]wording{English: asItIs, Chinese: inChinese} {
		if all[l], err = json.Marshal(worded(document, l, in)); err != nil {
			return nil, err
		}
	}
	return all, nil
}
