package httpapi

import (
	"math"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"tlim/component"
)

// anonymousName stands for callers without a key in logs and metrics.
const anonymousName = "anonymous"

// caller is who calls: a key, or nobody known.
type caller struct {
	name   string
	scopes scope
	keyed  bool
	user   string // whom a user token names, in the directory's spelling; "" for keys and anonymous callers
}

// bearer returns the key of the Authorization header. Other schemes are not ours.
func bearer(r *http.Request) string {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

// keyed identifies the holder of a key, and holds it to its rate.
func (a *API) keyed(secret string) (caller, error) {
	k, ok := (*a.ring.Load()).find(secret)
	if !ok {
		return caller{}, forbidden(http.StatusUnauthorized, textBadKey)
	}
	c := caller{name: k.name, scopes: k.scopes | scopeAnybody, keyed: true}
	if k.limiter == nil {
		return c, nil
	}
	now := a.cfg.Clock()
	reservation := k.limiter.ReserveN(now, 1)
	if wait := reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		seconds := time.Duration(math.Ceil(wait.Seconds())) * time.Second
		return c, &failure{status: http.StatusTooManyRequests, result: component.TryLater, text: textTooFast, retry: seconds}
	}
	return c, nil
}

// anonymous identifies a caller without a key by where it comes from.
func (a *API) anonymous(r *http.Request) caller {
	c := caller{name: anonymousName, scopes: anonymousScopes[AnonymousNone]}
	if len(a.cfg.AllowFrom) == 0 || contains(a.cfg.AllowFrom, clientAddr(r, a.cfg.TrustedProxies)) {
		c.scopes = anonymousScopes[a.cfg.AllowAnonymous]
	}
	return c
}

// may says whether c may call rt, as an error.
func (c caller) may(rt *route) error {
	switch {
	case c.scopes&rt.callers != 0:
		return nil
	case c.keyed:
		return forbidden(http.StatusForbidden, textNotAllowed)
	}
	return forbidden(http.StatusUnauthorized, textNoCaller)
}

// clientAddr is the address that a request comes from. X-Forwarded-For counts as far as trusted proxies wrote it: from
// the right, up to the first address that is none of theirs. What cannot be read there is no address at all.
func clientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr := parseAddr(r.RemoteAddr)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && contains(trusted, addr); i-- {
		if hop := strings.TrimSpace(hops[i]); hop != "" {
			addr = parseAddr(hop)
		}
	}
	return addr
}

// parseAddr reads an address with or without a port; the zero Addr is in no range.
func parseAddr(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

func contains(ranges []netip.Prefix, addr netip.Addr) bool {
	for _, p := range ranges {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
