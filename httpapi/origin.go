package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// allowOrigin writes the CORS headers. Credentials are never allowed: a key in a header or parameter is sent by a page that
// has it, cookies mean nothing here.
func (a *API) allowOrigin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if slices.Contains(a.cfg.CORSOrigins, "*") {
		h.Set("Access-Control-Allow-Origin", "*")
		return
	}
	if len(a.cfg.CORSOrigins) == 0 {
		return
	}
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); a.listed(origin) {
		h.Set("Access-Control-Allow-Origin", origin)
	}
}

// preflight answers OPTIONS.
func (a *API) preflight(w http.ResponseWriter, r *http.Request) {
	a.commonHeaders(w, r)
	h := w.Header()
	h.Set("Allow", "GET, POST, OPTIONS")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// listed says whether an origin is allowed by its name.
func (a *API) listed(origin string) bool {
	return origin != "" && origin != "*" && slices.ContainsFunc(a.cfg.CORSOrigins, func(o string) bool {
		return strings.EqualFold(strings.TrimSuffix(o, "/"), origin)
	})
}

// crossSite says whether a browser calls for a page of another site whose origin is not listed by name. State changes by
// GET here, so what browsers and net/http.CrossOriginProtection let pass (an <img src>) counts as well. Sec-Fetch-Site is
// sent to https and loopback only; elsewhere Origin or, failing that, Referer has to tell.
func (a *API) crossSite(r *http.Request) bool {
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	if a.listed(origin) {
		return false
	}
	if site != "" {
		return !slices.Contains([]string{"same-origin", "same-site", "none"}, site)
	}
	if origin == "" {
		origin = r.Header.Get("Referer")
	}
	if origin == "" {
		return false
	}
	page, err := url.Parse(origin)
	if err != nil {
		return true
	}
	if a.listed(page.Scheme + "://" + page.Host) {
		return false
	}
	here := (&url.URL{Host: r.Host}).Hostname()
	return page.Hostname() == "" || !strings.EqualFold(page.Hostname(), here)
}
