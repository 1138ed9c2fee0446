package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// webChecks are about what the chat page needs of the server.
func (s *Site) webChecks() []Check {
	return []Check{{ID: "web.xmpp_url", Name: "the chat page's way to the server", Run: s.checkPageServer}}
}

const (
	pageServerTime = 5 * time.Second
	maxBOSH        = 64 << 10 // of one answer
	webBinding     = "Openfire's console: Server > Server Settings > HTTP Binding"
)

var errNoXMPP = errors.New("what answers is no XMPP server's")

// checkPageServer asks what the page would: for a session of BOSH, which it ends at once, or for a WebSocket.
func (s *Site) checkPageServer(ctx context.Context) []Finding {
	address := s.Config.Web.XMPPURL
	switch {
	case !bool(s.Config.Web.Chat):
		return ok("web.chat is off, so no page asks for the server")
	case address.Reveal() == "":
		return skipped("xmpp.server is not set, so there is no address")
	}
	secure, err := s.PageTLS()
	if err != nil {
		return skipped("%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, pageServerTime)
	defer cancel()
	// As httpapi/web asks: no proxy of the environment, and no answer from elsewhere.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: secure, DisableKeepAlives: true}, CheckRedirect: httpClient.CheckRedirect}
	defer client.CloseIdleConnections()
	way, ask := "BOSH", askBOSH
	to := address.Reveal()
	if rest, found := strings.CutPrefix(to, "ws"); found {
		way, ask, to = "WebSocket", askWebSocket, "http"+rest
	}
	remedy := "set web.xmpp_url to the server's WebSocket or BOSH, such as ws://HOST:7070/ws/ or http://HOST:7070/http-bind/; switch it on there (" + webBinding + "); without a chat page, web.chat: off"
	switch err := ask(ctx, client, to, s.Config.XMPP.Domain); {
	case err == nil:
		return ok("the server's %s answers at %s", way, address)
	case errors.Is(err, errNoXMPP):
		return warning(remedy, "nobody can log in to the chat page: at %s is no %s of an XMPP server (%v)", address, way, err)
	default:
		return warning(remedy, "nobody can log in to the chat page: the server's %s does not answer at %s (%s)", way, address, network(err))
	}
}

// network is why nothing answered, without the address.
func network(err error) string {
	var (
		op     *net.OpError
		failed net.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &failed) && failed.Timeout():
		return "it says nothing in time"
	case errors.As(err, &op):
		return op.Err.Error()
	}
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error() // of an url.Error
	}
	return err.Error()
}

// askBOSH opens a session (XEP-0206) and ends it; nobody is logged in.
func askBOSH(ctx context.Context, client *http.Client, to, domain string) error {
	const outside = `xmlns="http://jabber.org/protocol/httpbind"`
	post := func(body string) ([]byte, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "text/xml; charset=utf-8")
		answer, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%w: HTTP %d", errNoXMPP, answer.StatusCode)
		}
		return io.ReadAll(io.LimitReader(answer.Body, maxBOSH))
	}
	var escaped bytes.Buffer
	if err := xml.EscapeText(&escaped, []byte(domain)); err != nil {
		return err
	}
	text, err := post(`<body rid="1000" to="` + escaped.String() + `" xml:lang="en" wait="1" hold="1" ver="1.6" xmpp:version="1.0" ` + outside + ` xmlns:xmpp="urn:xmpp:xbosh"/>`)
	if err != nil {
		return err
	}
	var body struct {
		XMLName   xml.Name `xml:"http://jabber.org/protocol/httpbind body"`
		SID       string   `xml:"sid,attr"`
		Condition string   `xml:"condition,attr"`
	}
	switch err := xml.Unmarshal(text, &body); {
	case err != nil:
		return fmt.Errorf("%w: it answers otherwise", errNoXMPP)
	case body.SID == "":
		return fmt.Errorf("%w of this domain: it refuses a session of %s: %.64q", errNoXMPP, domain, body.Condition)
	}
	escaped.Reset()
	if err := xml.EscapeText(&escaped, []byte(body.SID)); err != nil {
		return err
	}
	// The server ends it by itself soon; that it did not take this says nothing about the page.
	_, _ = post(`<body rid="1001" sid="` + escaped.String() + `" type="terminate" ` + outside + `/>`)
	return nil
}

// askWebSocket opens a WebSocket that speaks XMPP (RFC 7395) and closes it.
func askWebSocket(ctx context.Context, client *http.Client, to, _ string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return err
	}
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // it never fails
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "xmpp",
		"Sec-WebSocket-Key": base64.StdEncoding.EncodeToString(nonce)} {
		r.Header.Set(name, value)
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("%w: HTTP %d", errNoXMPP, answer.StatusCode)
	case !strings.EqualFold(answer.Header.Get("Sec-WebSocket-Protocol"), "xmpp"):
		return fmt.Errorf("%w: it speaks no xmpp", errNoXMPP)
	}
	return nil
}
