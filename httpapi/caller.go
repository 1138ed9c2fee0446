package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"tlim/component/protocol"
	"tlim/component/tokens"
	"tlim/store"
)

// Names of callers without a key of their own, in logs and metrics.
const (
	anonymousName = "anonymous"
	tokenName     = "user" // whoever it is: metrics are no place for people
)

// ReservedName says whether a key cannot have that name, because it stands for callers without one.
func ReservedName(name string) bool { return name == anonymousName || name == tokenName }

// Tokens says whose user token a text is. *tokens.Issuer implements it.
type Tokens interface {
	// User returns the user's canonical id. Errors are a [protocol.Error] for a token that does not hold, or
	// [protocol.ErrUnavailable].
	User(ctx context.Context, token string) (string, error)
}

// tokenTime bounds the check of a token.
const tokenTime = 5 * time.Second

// caller is who calls: a key, or nobody known.
type caller struct {
	name   string
	scopes scope
	keyed  bool
	user   string         // the canonical id of whom a user token names; "" for keys, but as speakingAt says, and anonymous callers
	robot  protocol.Robot // as whom a key speaks; without an ID as nobody
}

// bearer returns the key of the Authorization header. Other schemes are not ours.
func bearer(r *http.Request) string {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

// credential returns the credential of a call, as far as it is there by now; "" for none.
func credential(r *http.Request, f form) string {
	if secret := bearer(r); secret != "" {
		return secret
	}
	return f.first("access_token")
}

// identify says who the holder of a credential is. Until that is known its address pays for the look.
func (a *API) identify(r *http.Request, secret string, rt *route) (caller, error) {
	if a.cfg.Tokens != nil && strings.HasPrefix(secret, tokens.Prefix) {
		who := a.payerOf(r, caller{})
		return a.byToken(store.Shared(r.Context(), who.name, who.reads), secret)
	}
	c, err := a.keyed(secret)
	if a.svc.IsRobot(c.robot.ID) { // not where the id that the configuration gives it is a person's
		c = c.speakingAt(rt)
	}
	return c, err
}

// speakingAt makes a key that speaks as a robot that robot, where its scopes do not reach and those of users do: it may call what the holder of
// a user token may.
func (c caller) speakingAt(rt *route) caller {
	if c.robot.ID != "" && c.scopes&rt.callers.scopes == 0 && rt.callers.scopes&scopeUser != 0 {
		c.user, c.scopes = c.robot.ID, c.scopes|scopeUser
	}
	return c
}

// keyed identifies the holder of a key, and holds it to its rate.
func (a *API) keyed(secret string) (caller, error) {
	k, ok := a.keys.find(secret)
	if !ok {
		return caller{}, forbidden(http.StatusUnauthorized, textBadKey)
	}
	c := caller{name: k.name, scopes: k.scopes | scopeAnybody, keyed: true, robot: k.robot}
	if k.limiter == nil {
		return c, nil
	}
	if wait := takeOf(k.limiter, a.cfg.Clock(), 1); wait > 0 {
		return c, tooMany(wait)
	}
	return c, nil
}

func (a *API) byToken(ctx context.Context, token string) (caller, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	defer cancel()
	user, err := a.cfg.Tokens.User(ctx, token)
	var refused *protocol.Error
	switch {
	case errors.As(err, &refused):
		return caller{}, forbidden(http.StatusUnauthorized, textBadToken)
	case err != nil:
		return caller{}, err
	}
	return caller{name: tokenName, scopes: scopeUser | scopeAnybody, keyed: true, user: user}, nil
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
	case c.scopes&rt.callers.scopes != 0 && (c.keyed || !rt.callers.keyed):
		return nil
	case c.keyed:
		return forbidden(http.StatusForbidden, textNotAllowed)
	}
	return forbidden(http.StatusUnauthorized, textNoCaller)
}

// admit says whether a caller may call rt, as an error, and takes note of those who have no key where one belongs.
func (a *API) admit(r *http.Request, rt *route, c caller) error {
	err := c.may(rt)
	if !c.keyed && rt.callers.scopes&scopeAnybody == 0 {
		a.keyless.seen(clientAddr(r, a.cfg.TrustedProxies).String(), rt.path, err == nil)
	}
	return err
}

// allow says whether a caller may call rt and is heard, as an error.
func (a *API) allow(r *http.Request, rt *route, c caller) error {
	if err := a.admit(r, rt, c); err != nil {
		return err
	}
	return a.judge(r, rt, c)
}

// clientAddr is the address that a request comes from. X-Forwarded-For counts as far as trusted proxies wrote it: from
// the right, up to the first address that is none of theirs. What cannot be read there is no address at all.
func clientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr := parseAddr(r.RemoteAddr)
	headers := r.Header.Values("X-Forwarded-For")
	for i := len(headers) - 1; i >= 0; i-- {
		for rest := headers[i]; rest != ""; {
			if !contains(trusted, addr) {
				return addr
			}
			cut := strings.LastIndexByte(rest, ',')
			hop := strings.TrimSpace(rest[cut+1:])
			if rest = rest[:max(cut, 0)]; hop != "" {
				addr = parseAddr(hop)
			}
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
