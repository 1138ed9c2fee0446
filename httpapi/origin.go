package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// anyOrigin says whether pages of every origin may read answers (http.cors_origins has *). Where callers without a key may
// call, * is nobody's origin: what a page can read is then decided by nothing but where it comes from.
func (a *API) anyOrigin() bool {
	return a.cfg.AllowAnonymous == AnonymousNone && slices.Contains(a.cfg.CORSOrigins, "*")
}

// allowOrigin writes the CORS headers. Credentials are never allowed: a key in a header or parameter is sent by a page that
// has it, cookies mean nothing here.
func (a *API) allowOrigin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if a.anyOrigin() {
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

// fieldNames is a list of names of head fields.
var fieldNames = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~, \t-]{1,1000}$")

// preflight answers OPTIONS. A page of an allowed origin may send whatever fields its library adds (X-Requested-With,
// Cache-Control): none of them gives a right but Authorization, which holds a key that the page has.
func (a *API) preflight(w http.ResponseWriter, r *http.Request) {
	a.commonHeaders(w, r)
	h := w.Header()
	h.Set("Allow", "GET, POST, OPTIONS")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Add("Vary", "Access-Control-Request-Headers")
	wanted := strings.Join(r.Header.Values("Access-Control-Request-Headers"), ", ")
	if !fieldNames.MatchString(wanted) {
		wanted = "Authorization, Content-Type, Idempotency-Key"
	}
	h.Set("Access-Control-Allow-Headers", wanted)
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// listed says whether an origin is allowed by its name.
func (a *API) listed(origin string) bool {
	return origin != "" && origin != "*" && slices.ContainsFunc(a.cfg.CORSOrigins, func(o string) bool {
		return strings.EqualFold(strings.TrimSuffix(o, "/"), origin)
	})
}

// judge decides about a call whose right to be here comes from http.allow_anonymous alone, as an error. A browser makes calls
// for any page in any network, so such a call has to be for one of our names, and not for a page of somebody else. A read
// counts as a write does: that its answer stays unread is a promise of the browser, and of DNS.
func (a *API) judge(r *http.Request, rt *route, c caller) error {
	if c.keyed || rt.callers.scopes&scopeAnybody != 0 { // an endpoint for everybody gives nothing to who does not hold the link
		return nil
	}
	if host := a.strangeHost(r); host != "" {
		a.refusedHosts.seen(func() {
			a.log.Warn("a call without a key came for a host name that is not this site's: if it is, add it to http.hosts", "host", fmt.Sprintf("%.100q", host), "endpoint", rt.path)
		}, host)
		return forbidden(http.StatusForbidden, textHost, fmt.Sprintf("%.100s", host))
	}
	if page := a.crossSite(r); page != "" {
		a.refusedOrigins.seen(func() {
			a.log.Warn("a call without a key came from a page of another origin: if it is this site's, add it to http.cors_origins", "page", fmt.Sprintf("%.100q", page), "endpoint", rt.path)
		}, page)
		return forbidden(http.StatusForbidden, textCrossSite)
	}
	return nil
}

// crossSite says for what page of another origin a browser calls; "" when it is none, or one that is listed by name. State
// changes by GET here, so what browsers and net/http.CrossOriginProtection let pass (an <img src>) counts as well.
// Sec-Fetch-Site is sent to https and loopback only; elsewhere Origin or, failing that, Referer has to tell, and a browser
// that sends neither (referrerpolicy="no-referrer") is not believed.
func (a *API) crossSite(r *http.Request) (page string) {
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	if origin == "" {
		if from, err := url.Parse(r.Header.Get("Referer")); err != nil {
			origin = "null"
		} else if from.Host != "" || from.Scheme != "" {
			origin = from.Scheme + "://" + from.Host
		}
	}
	switch {
	case a.listed(origin), site == "same-origin", site == "none":
		return ""
	case site == "cross-site":
		return cmp.Or(origin, "unknown")
	case origin != "": // another port of this host is no other site
		if from, err := url.Parse(origin); err != nil || from.Hostname() == "" || !strings.EqualFold(from.Hostname(), hostOf(a.hosts(r)[0])) {
			return origin
		}
		return ""
	case site != "", browser(r):
		return "unknown"
	}
	return ""
}

// browser says whether a request looks like one of a browser. Each of them calls itself Mozilla, but so do some libraries of
// old integrators and apps. What they leave out and no browser does, and no page can take away, are Accept and Accept-Language.
func browser(r *http.Request) bool {
	agent := r.UserAgent()
	switch {
	case !strings.HasPrefix(agent, "Mozilla/") && !strings.HasPrefix(agent, "Opera/"),
		strings.HasSuffix(agent, " Hutool"): // Java; a browser in all else
		return false
	case strings.HasPrefix(agent, "Mozilla/4.0 "), // copied from Java examples, as Internet Explorer had it
		strings.HasPrefix(agent, "Mozilla/5.0 (Linux; U; Android "): // xUtils and OkGo of Android, as its first browser had it
		return r.Header["Accept"] != nil && r.Header["Accept-Language"] != nil
	}
	return true
}

// hosts are the names for which a request came, at least one: those that trusted proxies say they were called by, else Host.
func (a *API) hosts(r *http.Request) []string {
	if forwarded := r.Header.Values("X-Forwarded-Host"); len(forwarded) > 0 && contains(a.cfg.TrustedProxies, parseAddr(r.RemoteAddr)) {
		var names []string
		for name := range strings.SplitSeq(strings.Join(forwarded, ","), ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			return names
		}
	}
	return []string{r.Host}
}

// strangeHost is a name for which a request came and that is none of ours; "" when there is none. A page of anybody can have
// its own name lead here (DNS rebinding) and is then of our origin, but it cannot have it be an address or a name of ours. All
// names that proxies wrote count: what the page wrote itself stands among them.
func (a *API) strangeHost(r *http.Request) string {
	for _, host := range a.hosts(r) {
		name := hostOf(host)
		if host == "" || name == "localhost" || slices.Contains(a.cfg.Hosts, "*") { // HTTP/1.0 needs no Host; every browser sends it
			continue
		}
		if _, err := netip.ParseAddr(name); err == nil {
			continue
		}
		if !slices.Contains(a.ownHosts, name) {
			return host
		}
	}
	return ""
}

// hostOf is the host of host:port, in lower case, without brackets and the dot of a full name; "" is none.
func hostOf(host string) string {
	return lower(strings.TrimSuffix((&url.URL{Host: host}).Hostname(), "."))
}

// ownHosts are the names that need no key http.hosts: all that the configuration tells.
func ownHosts(c Config) (names []string) {
	add := func(host string) {
		if name := hostOf(host); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, host := range c.Hosts {
		add(host)
	}
	for _, address := range append([]string{c.Files.BaseURL}, c.CORSOrigins...) {
		if u, err := url.Parse(address); err == nil {
			add(u.Host)
		}
	}
	return names
}

// firsts remembers what was said once; more than its room is not said.
type firsts struct {
	mu    sync.Mutex
	known map[string]bool
}

const maxFirsts = 50

// seen runs say when key is new.
func (f *firsts) seen(say func(), key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known[key] || len(f.known) >= maxFirsts || len(key) > 1<<10 {
		return
	}
	if f.known == nil {
		f.known = map[string]bool{}
	}
	f.known[key] = true
	say()
}
