package httpapi

import (
	"net/http"
	"net/url"
	"strings"
)

// paths are the handlers by path, as [canonical] has it.
type paths map[string]methods

// methods are the handlers of one path by method, and the one for all other methods.
type methods struct {
	of    map[string]http.HandlerFunc
	other http.HandlerFunc
}

// add serves a path. Two paths that differ in nothing but what [canonical] does not look at are one, the later.
func (p paths) add(path string, of map[string]http.HandlerFunc, other http.HandlerFunc) {
	p[path] = methods{of, other} // so that nearly all requests are found as they are
	p[lower(path)] = methods{of, other}
}

// handler serves p, and other where it has no such path.
func (p paths) handler(other http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := p.find(r)
		if h == nil {
			h = other
		}
		h(w, r)
	})
}

// find is the handler of a request; nil when its path is not served.
func (p paths) find(r *http.Request) http.HandlerFunc {
	m, ok := p[r.URL.Path]
	if !ok || r.URL.RawPath != "" {
		path, readable := canonical(r.URL.EscapedPath())
		if !readable {
			return nil
		}
		if m, ok = p[path]; !ok {
			m, ok = p[strings.TrimSuffix(path, "/")]
		}
		if !ok {
			return nil
		}
	}
	if h := m.of[r.Method]; h != nil {
		return h
	}
	return m.other
}

// canonical is the one spelling of an escaped path, which is what the old system's servlet containers made of it: ASCII letters
// are lower case, path parameters (;jsessionid=...) are gone, several slashes are one, what need not be escaped is not. It
// says no to what a proxy in front may have read otherwise: the steps . and .., and a slash or backslash within a step.
func canonical(escaped string) (path string, ok bool) {
	var out strings.Builder
	out.Grow(len(escaped))
	last := ""
	for step := range strings.SplitSeq(escaped, "/") {
		step, _, _ = strings.Cut(step, ";")
		last = step
		if strings.Contains(step, "%") {
			plain, err := url.PathUnescape(step)
			if err != nil {
				return "", false
			}
			step = plain
		}
		if step == "." || step == ".." || strings.ContainsAny(step, `/\`) {
			return "", false
		}
		if step != "" {
			out.WriteByte('/')
			out.WriteString(lower(step))
		}
	}
	if last == "" {
		out.WriteByte('/')
	}
	return out.String(), true
}

// lower makes ASCII letters small and no others: the Kelvin sign is no k here.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
