package httpapi

import (
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// What a body may hold before it costs a slot, and how many slots there are: anybody may send one, slowly, and its memory,
// a few times its size, would be missed by chat.
const (
	smallBody = 16 << 10
	maxBodies = 64
)

// adminPaths is how the paths of endpoints begin that only administrators' programs call.
const adminPaths = "admin/"

// readBody adds the parameters of a body to those of the URL. A body that is no form is read past when the URL has
// parameters, as a servlet's getParameter did: integrators send JSON, text or nothing with them; an endpoint that only administrators' programs
// call refuses it instead. Without them JSON counts. A body that takes too long costs its connection. The holder of a key may send as many as they like.
func (a *API) readBody(w http.ResponseWriter, r *http.Request, rt *route, req *request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if r.ContentLength > a.cfg.Limits.Body {
		return a.tooLarge()
	}
	// 1. What it is.
	kind := bodyKind(r.Header.Get("Content-Type"))
	_, keyInURL := req.form["access_token"]
	inURL := len(req.form) > 1 || len(req.form) == 1 && !keyInURL
	if kind == jsonBody && inURL {
		kind = otherBody
	}
	charset := charsetOf(r.Header.Get("Content-Type"))
	switch encoding := r.Header.Get("Content-Encoding"); {
	case r.ContentLength == 0:
	case kind == otherBody && inURL && strings.HasPrefix(rt.path, adminPaths): // no old integrator calls it, and half of what was meant may stand in the body
		return badRequest(textBodyAndURL)
	case kind == otherBody && inURL:
	case kind == otherBody && strings.HasPrefix(lower(r.Header.Get("Content-Type")), "multipart/"):
		return badRequest(textMultipart)
	case kind == otherBody:
		return badRequest(textContentType)
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return badRequest(textContentEncoding)
	case charset == otherCharset:
		return badRequest(textCharset)
	}

	// 2. Its bytes.
	control := http.NewResponseController(w)
	// Errors of the deadlines: a ResponseWriter of a test has none.
	_ = control.SetReadDeadline(time.Now().Add(a.cfg.Limits.BodyTime))
	content, err := a.bodyBytes(http.MaxBytesReader(w, r.Body, a.cfg.Limits.Body), req, kind)
	var tooLarge *http.MaxBytesError
	var refused *failure
	switch {
	case errors.As(err, &refused):
		return err
	case errors.As(err, &tooLarge):
		return a.tooLarge()
	case err != nil:
		return badRequest(textSlowBody)
	}
	_ = control.SetReadDeadline(time.Time{})

	// 3. Its parameters.
	switch {
	case kind == jsonBody && charset == asciiCharset && strings.ContainsFunc(content, func(c rune) bool { return c >= utf8.RuneSelf }):
		return badRequest(textCharset)
	case kind == jsonBody:
		req.json = true
		return req.form.addJSON(content, described[rt.path])
	case kind == formBody && charset == utf8Charset:
		return req.form.add(content)
	}
	own := form{}
	err = own.add(content)
	switch {
	case kind == untypedBody && err != nil && inURL: // it is something else, then
		return nil
	case err != nil:
		return err
	case charset == asciiCharset && !own.ascii():
		return badRequest(textCharset)
	}
	return req.form.add(content)
}

// bodyBytes reads a body to its end; of one that is no form nothing is kept.
func (a *API) bodyBytes(body io.Reader, req *request, kind bodyType) (string, error) {
	if kind == otherBody {
		_, err := io.Copy(io.Discard, body)
		return "", err
	}
	content, err := io.ReadAll(io.LimitReader(body, smallBody))
	if err == nil && len(content) == smallBody {
		if !req.payer.keyed {
			slot, err := a.bodies.take(req.payer, req.payer.bodies)
			if err != nil {
				return "", err
			}
			req.release = slot
		}
		var rest []byte
		rest, err = io.ReadAll(body)
		content = append(content, rest...)
	}
	return string(content), err
}

// bodyType is what a Content-Type makes of a body.
type bodyType int

const (
	untypedBody bodyType = iota // nothing is said: a form, if it reads as one
	formBody
	jsonBody
	otherBody
)

func bodyKind(contentType string) bodyType {
	media, _, _ := strings.Cut(contentType, ";")
	switch lower(strings.TrimSpace(media)) {
	case "":
		return untypedBody
	case "application/x-www-form-urlencoded":
		return formBody
	case "application/json":
		return jsonBody
	}
	return otherBody
}

// charset is what a Content-Type says of the characters of a text.
type charset int

const (
	utf8Charset  charset = iota // or nothing
	asciiCharset                // what Java's clients write when nobody told them: true as long as the text is ASCII
	otherCharset                // never guessed at
)

// charsets are the names of the first two.
var charsets = map[string]charset{"": utf8Charset, "utf-8": utf8Charset, "utf8": utf8Charset, "unicode-1-1-utf-8": utf8Charset,
	"iso-8859-1": asciiCharset, "iso8859-1": asciiCharset, "iso_8859-1": asciiCharset, "latin1": asciiCharset, "us-ascii": asciiCharset, "ascii": asciiCharset}

// charsetName finds the charset also where the rest cannot be read: old code writes ;charset:UTF-8 and worse.
var charsetName = regexp.MustCompile(`(?i)[;\s]charset\s*[=:]?\s*["']?([^"';,\s]*)`)

func charsetOf(contentType string) charset {
	m := charsetName.FindStringSubmatch(contentType)
	if m == nil {
		return utf8Charset
	}
	if c, known := charsets[lower(m[1])]; known {
		return c
	}
	return otherCharset
}

func (a *API) tooLarge() error {
	return &failure{status: http.StatusRequestEntityTooLarge, result: "error-012", text: textTooLargeRequest, args: []any{a.cfg.Limits.Body}}
}
