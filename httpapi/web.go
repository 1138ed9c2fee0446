package httpapi

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"tlim/component/protocol"
	"tlim/httpapi/web"
)

// Web is the section web of the configuration, and what a page needs to know of the others.
type Web struct {
	Chat        bool        // the chat page, what it asks before it logs in, and its way to the server
	Admin       bool        // the administrators' console
	XMPP        string      // the server's WebSocket or BOSH, see [web.TransportOf]
	TLS         *tls.Config // of that; nil: the system's authorities
	Connections int         // requests that are passed on to it at once, of one address half of them; 0 is 1,000
	Pages       fs.FS       // nil: those of this binary

	Domain, Component string
	Version           string // of this program
	MaxBody           int64  // bytes of a message's body
	GroupMembers      int    // to which groups may grow; 0 is no limit
	RevokeWindow      time.Duration
	Acknowledgements  string // requested, always or never: who gets an MTC-100
}

// defaultWebConnections is the default of [Web].Connections.
const defaultWebConnections = 1000

// Paths of what pages need beside the API. All are relative to the page in their use: a proxy may have put a prefix before.
const (
	webConfigPath = "web/config.json"
	adminPath     = "admin"
	chatPage      = "chat" // the folder of the chat page in web.Built
	adminPage     = "admin"
)

// webPaths are where requests to the server come in.
var webPaths = map[web.Transport]string{web.WebSocket: "xmpp/ws", web.BOSH: "xmpp/bosh"}

// pageConfig is web/config.json: what a page needs to know before its user has logged in. It holds no secret, and nothing that
// somebody who can log in does not learn.
type pageConfig struct {
	API              string    `json:"api"`
	Acknowledgements string    `json:"acknowledgements"`
	Component        string    `json:"component"`
	Domain           string    `json:"domain"`
	Files            pageFiles `json:"files"`
	Language         Language  `json:"language"`
	MaxBody          int64     `json:"max_body"`
	MaxMembers       int       `json:"max_members"`
	RevokeWindow     int64     `json:"revoke_window"`
	Version          string    `json:"version"`
	XMPP             pageXMPP  `json:"xmpp"`
}

type pageFiles struct {
	MaxSize int64 `json:"max_size"` // 0: there are no files
	Strict  bool  `json:"strict"`
}

type pageXMPP struct {
	Path      string        `json:"path"`
	Transport web.Transport `json:"transport"`
}

// mountWeb serves the pages. They ask for no credential themselves: they have none before their user has logged in.
func (a *API) mountWeb(p paths) error {
	pages := a.cfg.Web.Pages
	if pages == nil {
		pages = web.Built()
	}
	if a.cfg.Web.Admin {
		if err := a.mountConsole(p, pages); err != nil {
			return err
		}
	}
	if a.cfg.Web.Chat {
		return a.mountChat(p, pages)
	}
	return nil
}

// mountConsole serves the administrators' page. All that it shows comes from endpoints that want an admin key.
func (a *API) mountConsole(p paths, pages fs.FS) error {
	files, err := web.Page(pages, adminPage, "../")
	if err != nil {
		return err
	}
	for _, f := range files {
		a.mountPage(p, "/"+adminPath+"/"+f.Name, f)
	}
	a.mountPage(p, "/"+adminPath, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", adminPath+"/") // relative: a proxy may have put a prefix before
		w.WriteHeader(http.StatusPermanentRedirect)
	}))
	return nil
}

// mountChat serves the chat page at the root, and what it needs, among it the way on which its user logs in to the XMPP server.
func (a *API) mountChat(p paths, pages fs.FS) error {
	files, err := web.Page(pages, chatPage, "")
	if err != nil {
		return err
	}
	for _, f := range files {
		a.mountPage(p, "/"+f.Name, f)
	}
	proxy, err := web.NewProxy(web.ProxyConfig{To: a.cfg.Web.XMPP, TLS: a.cfg.Web.TLS, Client: func(r *http.Request) netip.Addr { return clientAddr(r, a.cfg.TrustedProxies) }, Refuse: a.refuseXMPP, Log: a.log, Body: a.cfg.Limits.Body})
	if err != nil {
		return fmt.Errorf("web.xmpp_url: %w", err)
	}
	a.proxy = proxy
	path := webPaths[proxy.Transport]
	method := map[web.Transport]string{web.WebSocket: http.MethodGet, web.BOSH: http.MethodPost}[proxy.Transport]
	p.add("/"+path, map[string]http.HandlerFunc{method: a.passOn(path)}, a.refusing(&failure{status: http.StatusMethodNotAllowed, result: resultFail, text: textFileMethod, args: []any{method}, allow: method}))

	c := pageConfig{API: base[1:], Acknowledgements: a.cfg.Web.Acknowledgements, Component: a.cfg.Web.Component, Domain: a.cfg.Web.Domain, Language: a.cfg.Language,
		MaxBody: a.cfg.Web.MaxBody, MaxMembers: a.cfg.Web.GroupMembers, RevokeWindow: a.cfg.Web.RevokeWindow.Milliseconds(), Version: a.cfg.Web.Version,
		XMPP: pageXMPP{Path: path, Transport: proxy.Transport}}
	if a.cfg.Files.Blobs != nil {
		c.Files = pageFiles{MaxSize: a.cfg.Files.MaxSize, Strict: a.cfg.Files.Strict}
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	a.mountPage(p, "/"+webConfigPath, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.commonHeaders(w, r)
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
	}))
	return nil
}

// mountPage serves what is the same for everybody.
func (a *API) mountPage(p paths, path string, content http.Handler) {
	const methods = "GET, HEAD"
	h := func(w http.ResponseWriter, r *http.Request) {
		start := a.cfg.Clock()
		out := &fileWriter{responder: a.responder(w)}
		content.ServeHTTP(out, r)
		a.metrics.seen("web", out.status, anonymousName, a.cfg.Clock().Sub(start))
	}
	p.add(path, map[string]http.HandlerFunc{http.MethodGet: h, http.MethodHead: h},
		a.refusing(&failure{status: http.StatusMethodNotAllowed, result: resultFail, text: textFileMethod, args: []any{methods}, allow: methods}))
}

// passOn passes requests on to the server: those of our own pages, and of programs that are no browser. Nobody who calls has
// rights here, so that what a page of somebody else could do is to try passwords in its reader's name.
func (a *API) passOn(path string) http.HandlerFunc {
	total := a.cfg.Web.Connections
	if total == 0 {
		total = defaultWebConnections
	}
	places := make(chan struct{}, total)
	var own shares
	return func(w http.ResponseWriter, r *http.Request) {
		out := &statusWriter{ResponseWriter: w, status: http.StatusSwitchingProtocols}
		defer func() { // how long it took is the server's and its user's affair
			a.metrics.requests.WithLabelValues(path, strconv.Itoa(out.status), anonymousName).Inc()
		}()
		if page := a.crossSite(r); page != "" {
			a.refusedOrigins.seen(func() {
				a.log.Warn("an XMPP connection came from a page of another origin: if it is this site's, add it to http.cors_origins", "page", fmt.Sprintf("%.100q", page))
			}, page)
			a.answerFailure(out, r, forbidden(http.StatusForbidden, textForeignPage))
			return
		}
		leave, ok := own.take(a.payerOf(r, caller{}).name, max(1, total/2))
		if !ok {
			a.answerFailure(out, r, tooMany(time.Second))
			return
		}
		defer leave()
		if err := take(places); err != nil {
			a.answerFailure(out, r, unavailable())
			return
		}
		defer func() { <-places }()
		a.metrics.passing.Inc()
		defer a.metrics.passing.Dec()
		a.proxy.ServeHTTP(out, r)
	}
}

// refuseXMPP answers what was not passed on.
func (a *API) refuseXMPP(w http.ResponseWriter, r *http.Request, why web.Refusal) {
	f := &failure{status: http.StatusBadGateway, result: protocol.TryLater, retry: retryAfter}
	switch why {
	case web.NoUpgrade:
		f = badRequest(textNoUpgrade)
	case web.TooLarge:
		f = failureOf(a.tooLarge())
	case web.SlowBody:
		f = badRequest(textSlowBody)
	case web.Stopping:
		f = unavailable()
	case web.TooSlow:
		f.status, f.text = http.StatusGatewayTimeout, textSlowServer
	case web.Unexpected:
		f.text = textStrangeServer
	case web.Unreachable:
		f.text = textNoServer
	}
	a.answerFailure(w, r, f)
}

// statusWriter keeps the status for the metrics.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader begins the answer.
func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// The sentences about pages.
var (
	textForeignPage   = text{"拒绝其他站点的网页连接 XMPP 服务器：请在 http.cors_origins 中列出该页面的来源", "a page of another site may not connect to the XMPP server from here: list its origin in http.cors_origins"}
	textNoUpgrade     = text{"此路径只接受 WebSocket 连接", "a WebSocket is wanted here"}
	textNoServer      = text{"无法连接 XMPP 服务器的网页接口，请管理员检查 web.xmpp_url", "the XMPP server cannot be reached for web pages: the administrator checks web.xmpp_url"}
	textStrangeServer = text{"web.xmpp_url 的地址不是 XMPP 服务器的 WebSocket 或 BOSH 接口，请管理员检查", "what answers at web.xmpp_url is not the WebSocket or BOSH of an XMPP server: the administrator checks it"}
	textSlowServer    = text{"XMPP 服务器没有及时回应", "the XMPP server did not answer in time"}
)
