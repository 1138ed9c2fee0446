package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Transport is how a page talks to the XMPP server.
type Transport string

// The transports, as web/config.json names them.
const (
	WebSocket Transport = "websocket" // RFC 7395
	BOSH      Transport = "bosh"      // XEP-0206
)

// TransportOf reads the address of an XMPP server's WebSocket (ws, wss) or BOSH (http, https). The error does not quote it.
func TransportOf(address string) (*url.URL, Transport, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, "", errors.New("is no address")
	}
	kind := map[string]Transport{"ws": WebSocket, "wss": WebSocket, "http": BOSH, "https": BOSH}[u.Scheme]
	switch {
	case kind == "" || u.Hostname() == "" || u.Opaque != "":
		return nil, "", errors.New("is no address like ws://im.example.com:7070/ws/ or http://im.example.com:7070/http-bind/")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, "", errors.New("has a user, a query or a fragment, which go to no XMPP server")
	}
	return u, kind, nil
}

// ProxyConfig says whither a Proxy passes on, and within which bounds. A zero time or size takes its default.
type ProxyConfig struct {
	To  string      // the one address, see [TransportOf]
	TLS *tls.Config // of wss and https; nil: the system's authorities

	Client func(*http.Request) netip.Addr                    // who calls, for X-Forwarded-For; a zero one is not told
	Refuse func(http.ResponseWriter, *http.Request, Refusal) // answers what is not passed on
	Log    *slog.Logger
	Body   int64         // bytes of one BOSH request (1 MiB: several stanzas)
	Dial   time.Duration // until the server has taken a connection (10 s)
	Hold   time.Duration // until it has answered a request, which BOSH lets wait (5 min)
	Idle   time.Duration // of a WebSocket on which nothing moves either way (10 min)
	Slow   time.Duration // for one piece to be taken by either side, and for a request's body to come in (30 s)
}

// Refusal is why a request was not passed on, or not answered.
type Refusal int

// The refusals.
const (
	NoUpgrade   Refusal = iota // a request that asks for no WebSocket
	TooLarge                   // of Body
	Unreachable                // the server takes no connection
	Unexpected                 // it answers something else than XMPP: the address is wrong
	TooSlow                    // it does not answer within Hold
	SlowBody                   // the request did not come whole, or not within Slow
	Stopping                   // this process ends
)

func (p ProxyConfig) withDefaults() ProxyConfig {
	for _, d := range []struct {
		v        *time.Duration
		standard time.Duration
	}{{&p.Dial, 10 * time.Second}, {&p.Hold, 5 * time.Minute}, {&p.Idle, 10 * time.Minute}, {&p.Slow, 30 * time.Second}} {
		if *d.v == 0 {
			*d.v = d.standard
		}
	}
	if p.Body == 0 {
		p.Body = 1 << 20
	}
	return p
}

// Proxy passes requests on to the XMPP server. It is safe for concurrent use; how many there are at once is its caller's to
// bound.
type Proxy struct {
	Transport Transport

	cfg     ProxyConfig
	to      *url.URL // as net/http has it: http or https
	reverse *httputil.ReverseProxy
	ctx     context.Context // over when the process stops
	stop    context.CancelFunc
}

// NewProxy makes a Proxy. Nothing is connected before the first request.
func NewProxy(cfg ProxyConfig) (*Proxy, error) {
	to, kind, err := TransportOf(cfg.To)
	if err != nil {
		return nil, err
	}
	if kind == WebSocket {
		to.Scheme = strings.Replace(to.Scheme, "ws", "http", 1)
	}
	if to.Path == "" {
		to.Path = "/"
	}
	p := &Proxy{Transport: kind, cfg: cfg.withDefaults(), to: to}
	p.ctx, p.stop = context.WithCancel(context.Background())
	dialer := &net.Dialer{Timeout: p.cfg.Dial}
	transport := &http.Transport{
		// No Proxy: the address is reached as it is, whatever the environment says.
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &patient{Conn: conn, slow: p.cfg.Slow}, nil
		},
		TLSClientConfig: cfg.TLS, TLSHandshakeTimeout: p.cfg.Dial, ResponseHeaderTimeout: p.cfg.Hold, MaxResponseHeaderBytes: maxHead,
		MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: idleTime,
		DisableCompression: true, // what comes zipped goes on so
	}
	p.reverse = &httputil.ReverseProxy{Rewrite: p.rewrite, Transport: transport, ModifyResponse: p.judge, ErrorHandler: p.failed,
		FlushInterval: -1, ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug)}
	return p, nil
}

const (
	maxHead  = 64 << 10         // of an answer
	maxIdle  = 16               // connections that are kept for the next BOSH request
	idleTime = 30 * time.Second // for which they are; servers close theirs later
)

// Stop ends what is under way, and everything that still comes.
func (p *Proxy) Stop() { p.stop() }

// ServeHTTP passes one request on: a GET to a WebSocket, a POST to BOSH; other methods are its caller's to refuse.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case p.ctx.Err() != nil:
		p.cfg.Refuse(w, r, Stopping)
		return
	case p.Transport == WebSocket && !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		p.cfg.Refuse(w, r, NoUpgrade)
		return
	case p.Transport == BOSH && r.ContentLength > p.cfg.Body:
		p.cfg.Refuse(w, r, TooLarge)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	inner := r.WithContext(ctx)
	out := &passing{ResponseWriter: w, control: http.NewResponseController(w), idle: p.cfg.Idle, slow: p.cfg.Slow}
	if p.Transport == BOSH {
		_ = out.control.SetReadDeadline(time.Now().Add(p.cfg.Slow)) // a ResponseWriter of a test has none
		out.body = &timely{ReadCloser: http.MaxBytesReader(w, r.Body, p.cfg.Body), control: out.control}
		inner.Body = out.body
	} else {
		inner.Body, inner.ContentLength = http.NoBody, 0
	}
	p.reverse.ServeHTTP(out, inner)
}

// The fields that XMPP needs. All others stay here: keys, cookies, and what a server believes of its own proxies.
var (
	requestFields  = []string{"Accept", "Accept-Encoding", "Content-Type", "User-Agent"}
	upgradeFields  = []string{"Connection", "Upgrade", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions", "User-Agent"}
	answerFields   = []string{"Content-Encoding", "Content-Length"}
	upgradedFields = []string{"Connection", "Upgrade", "Sec-Websocket-Accept", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions"}
)

// only leaves the named fields.
func only(h http.Header, names []string) http.Header {
	kept := http.Header{}
	for _, name := range names {
		if values := h.Values(name); len(values) > 0 {
			kept[name] = values
		}
	}
	return kept
}

// rewrite makes the request that the server gets.
func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	fields := requestFields
	if p.Transport == WebSocket {
		fields = upgradeFields
	}
	r.Out.URL, r.Out.Host = new(*p.to), p.to.Host
	r.Out.Header = only(r.Out.Header, fields)
	if r.Out.Header.Get("User-Agent") == "" {
		r.Out.Header.Set("User-Agent", "") // else net/http names itself
	}
	if addr := p.cfg.Client(r.In); addr.IsValid() {
		r.Out.Header.Set("X-Forwarded-For", addr.String())
	}
}

// errUnexpected is an answer that no XMPP server gives.
var errUnexpected = errors.New("answers something else than XMPP")

// judge looks at an answer before it is passed on.
func (p *Proxy) judge(r *http.Response) error {
	if p.Transport == WebSocket {
		if r.StatusCode != http.StatusSwitchingProtocols {
			return fmt.Errorf("%w: HTTP %d", errUnexpected, r.StatusCode)
		}
		r.Header = only(r.Header, upgradedFields)
		return nil
	}
	// Some errors of BOSH are HTTP's (XEP-0124, 17.2): 400, 403, 404.
	if r.StatusCode < http.StatusOK || r.StatusCode >= http.StatusMultipleChoices && r.StatusCode < http.StatusBadRequest {
		return fmt.Errorf("%w: HTTP %d", errUnexpected, r.StatusCode)
	}
	r.Header = only(r.Header, answerFields)
	r.Header.Set("Content-Type", "text/xml;charset=utf-8") // whatever it is, no browser shows it as a page of ours
	r.Header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	r.Header.Set("Cache-Control", "no-store")
	r.Header.Set("Referrer-Policy", "no-referrer")
	r.Header.Set("X-Content-Type-Options", "nosniff")
	return nil
}

// unfinished tells whether the request's body was still coming. net/http cancels a request whose body cannot be read, so that this is heard of before
// the error of the body itself, or after.
func unfinished(w http.ResponseWriter) bool {
	out, ok := w.(*passing)
	return ok && out.body != nil && !out.body.whole.Load()
}

// failed answers a request that was not passed on, or not answered.
func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	why := Unreachable
	var (
		large   *http.MaxBytesError
		network net.Error
		opening *net.OpError
	)
	switch {
	case p.ctx.Err() != nil:
		why = Stopping
	case errors.As(err, &large):
		why = TooLarge
	case errors.Is(err, errBody) || errors.Is(err, context.Canceled) && unfinished(w):
		why = SlowBody
	case errors.Is(err, errUnexpected):
		why = Unexpected
	case errors.As(err, &opening) && opening.Op == "dial":
	case errors.As(err, &network) && network.Timeout():
		why = TooSlow
	}
	p.cfg.Log.Debug("an XMPP request of a page failed", "error", err)
	p.cfg.Refuse(w, r, why)
}
