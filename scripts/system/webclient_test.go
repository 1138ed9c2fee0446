package system

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"tlim/scripts/lab"
)

// webClient is an XMPP client as a page has one: it knows tlim's address alone.
type webClient struct {
	t       *testing.T
	jid     string
	send    func(element string)
	restart func()
	ask     func()      // for what there is, unless it is asked already
	heard   chan string // pieces of XML, as they come
	text    string      // what was heard and not waited for
}

// page is what web/config.json says.
type page struct {
	Domain, Component string
	XMPP              struct{ Path, Transport string }
}

// webLogin logs in through tlim as a page does.
func webLogin(w *world, user, resource string) *webClient {
	w.t.Helper()
	var about page
	r := must[*http.Request](w.t)(http.NewRequestWithContext(within(w.t, soon), http.MethodGet, w.tlim.URL+"/web/config.json", nil))
	response := must[*http.Response](w.t)(http.DefaultClient.Do(r))
	defer response.Body.Close()
	check(w.t, json.NewDecoder(response.Body).Decode(&about))
	if about.Component != w.component || about.Domain != w.server.Domain {
		w.t.Fatalf("web/config.json says %+v, want %s and %s", about, w.component, w.server.Domain)
	}
	c := &webClient{t: w.t, heard: make(chan string, 1<<10)}
	if about.XMPP.Transport == "bosh" {
		c.bosh(w.tlim.URL+"/"+about.XMPP.Path, about.Domain)
	} else {
		c.webSocket(strings.TrimPrefix(w.tlim.URL, "http://"), "/"+about.XMPP.Path, about.Domain)
	}
	c.await("PLAIN")
	c.send(`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">` + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password(user))) + `</auth>`)
	c.await("<success")
	c.restart()
	c.await("urn:ietf:params:xml:ns:xmpp-bind")
	c.send(`<iq xmlns="jabber:client" type="set" id="bind"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>` + resource + `</resource></bind></iq>`)
	c.jid = c.await(`<jid>([^<]*)</jid>`)
	c.send(`<iq xmlns="jabber:client" type="set" id="session"><session xmlns="urn:ietf:params:xml:ns:xmpp-session"/></iq>`)
	c.await(`id=["']session["']`)
	c.send(`<presence xmlns="jabber:client"/>`)
	c.send(`<presence xmlns="jabber:client" to="` + about.Component + `"/>`)
	return c
}

// await waits for what matches, and returns its first group; what was heard so far is forgotten.
func (w *webClient) await(pattern string) string {
	w.t.Helper()
	re, ctx := regexp.MustCompile(pattern), within(w.t, soon)
	for {
		if found := re.FindStringSubmatchIndex(w.text); found != nil {
			piece := ""
			if len(found) > 2 {
				piece = w.text[found[2]:found[3]]
			}
			w.text = w.text[found[1]:]
			return piece
		}
		w.ask()
		select {
		case more := <-w.heard:
			w.text += more
		case <-ctx.Done():
			w.t.Fatalf("got %s, want %s", w.text, pattern)
		}
	}
}

// bosh is XEP-0124 with one request at a time, which waits a second for something to come. Of two at once the second may be the first to
// be read, and for that Openfire 4.2 ends the session.
func (w *webClient) bosh(url, domain string) {
	const outside = `xmlns="http://jabber.org/protocol/httpbind" xmlns:xmpp="urn:xmpp:xbosh"`
	ctx, stop := context.WithCancel(context.Background())
	var (
		under sync.WaitGroup
		mu    sync.Mutex
		rid   = 1000
		open  bool // a request is under way
		sid   string

		waiting []string // to be sent with the next one
	)
	const again = "restart"
	post := func(body string) (string, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		r.Header.Set("Content-Type", "text/xml; charset=utf-8")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err == nil && (response.StatusCode != http.StatusOK || strings.Contains(string(text), `type="terminate"`)) {
			err = fmt.Errorf("HTTP %d %s", response.StatusCode, text)
		}
		return string(text), err
	}
	var step func()
	step = func() { // under mu
		if open {
			return
		}
		attributes, inner := "", strings.Join(waiting, "")
		if len(waiting) > 0 && waiting[0] == again {
			attributes, inner = `to="`+domain+`" xmpp:restart="true" xml:lang="zh"`, ""
		}
		waiting = nil
		rid++
		open = true
		body := fmt.Sprintf(`<body rid="%d" sid="%s" %s %s>%s</body>`, rid, sid, outside, attributes, inner)
		under.Go(func() {
			text, err := post(body)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				text = "broken: " + err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			w.heard <- text
			if open = err != nil; len(waiting) > 0 {
				step()
			}
		})
	}
	first := must[string](w.t)(post(fmt.Sprintf(`<body rid="1000" to="%s" xml:lang="zh" wait="1" hold="1" ver="1.6" xmpp:version="1.0" %s/>`, domain, outside)))
	found := regexp.MustCompile(`sid=["']([^"']*)["']`).FindStringSubmatch(first)
	if found == nil {
		w.t.Fatalf("got %s, want a session", first)
	}
	sid = found[1]
	w.heard <- first
	w.ask = func() {
		mu.Lock()
		defer mu.Unlock()
		step()
	}
	w.send = func(element string) {
		mu.Lock()
		defer mu.Unlock()
		waiting = append(waiting, element)
		step()
	}
	w.restart = func() { w.send(again) }
	w.t.Cleanup(func() { stop(); under.Wait() })
}

// webSocket is RFC 7395 over RFC 6455.
func (w *webClient) webSocket(host, path, domain string) {
	conn := must[net.Conn](w.t)((&net.Dialer{}).DialContext(within(w.t, soon), "tcp", host))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Protocol: xmpp\r\nOrigin: http://%s\r\n\r\n", path, host, host)
	in := bufio.NewReader(conn)
	response := must[*http.Response](w.t)(http.ReadResponse(in, nil))
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Protocol") != "xmpp" {
		w.t.Fatalf("got %d %v, want a WebSocket that speaks xmpp", response.StatusCode, response.Header)
	}
	frame := func(opcode byte, payload string) {
		head := []byte{0x80 | opcode, 0x80}
		if n := len(payload); n < 126 {
			head[1] |= byte(n)
		} else {
			head[1] |= 126
			head = binary.BigEndian.AppendUint16(head, uint16(n))
		}
		_, err := conn.Write(append(append(head, 0, 0, 0, 0), payload...)) // a mask of zeros changes nothing
		check(w.t, err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			var head [2]byte
			if _, err := io.ReadFull(in, head[:]); err != nil {
				return
			}
			n := int(head[1] & 0x7f)
			if n >= 126 {
				more := make([]byte, map[int]int{126: 2, 127: 8}[n])
				if _, err := io.ReadFull(in, more); err != nil {
					return
				}
				n = int(binary.BigEndian.Uint64(append(make([]byte, 8-len(more)), more...)))
			}
			payload := make([]byte, n)
			if _, err := io.ReadFull(in, payload); err != nil {
				return
			}
			if head[0]&0x0f < 8 { // pings and the end are no XML
				w.heard <- string(payload)
			}
		}
	})
	w.t.Cleanup(func() { conn.Close(); reading.Wait() })
	w.ask = func() {}
	w.restart = func() { frame(1, `<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="`+domain+`" version="1.0"/>`) }
	w.send = func(element string) { frame(1, element) }
	w.restart()
}

// message sends an envelope to the component and asks for its acknowledgement.
func (w *webClient) message(component, id, body string) {
	w.send(`<message xmlns="jabber:client" type="chat" id="` + id + `" to="` + component + `"><body>` + escaped(body) + `</body><tlim xmlns="im.itonglian.com" location="web" ack="1"/></message>`)
}

func escaped(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// Each web side of the servers that sites have, through tlim.
func TestWebClients(t *testing.T) {
	for _, c := range []struct {
		name   string
		server func() (*lab.Server, error)
		url    func(*lab.Server) string
	}{
		{"BOSH of Openfire", openfire, func(s *lab.Server) string { return s.HTTPBind }},
		{"WebSocket of Openfire", openfire, func(s *lab.Server) string { return s.WebSocket }},
		{"WebSocket of Prosody", prosody, func(s *lab.Server) string { return s.WebSocket }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.server, map[string]any{"web.xmpp_url": c.url(must[*lab.Server](t)(c.server()))})
			users := people(t, 2)
			w.known(users...)
			phone := w.online(users[1], "phone")
			page := webLogin(w, users[0], "page[web]")

			// There and back, with what is stored.
			id := lab.NewID()
			page.message(w.component, id, lab.Text(users[0], users[1], id, "你好 😀"))
			page.await(`MTC-100`)
			if m := w.receive(phone, id); !strings.Contains(string(m.Raw), "你好 😀") {
				t.Errorf("the phone got %s, want the text", m.Raw)
			}
			back := lab.NewID()
			w.send(phone, back, lab.Text(users[1], users[0], back, "收到"))
			page.await(back + `.*收到`)

			// The credential of the HTTP API, and a call with it.
			page.send(`<iq xmlns="jabber:client" type="get" id="token" to="` + w.component + `"><token xmlns="urn:tlim:token"/></iq>`)
			token := page.await(`<token [^>]*>([^<]+)</token>`)
			r := must[*http.Request](t)(http.NewRequestWithContext(within(t, soon), http.MethodGet,
				w.tlim.URL+"/plugins/tlim/findChatHistory?length=max&user_id="+users[0]+"&session_id="+users[1], nil))
			r.Header.Set("Authorization", "Bearer "+token)
			response := must[*http.Response](t)(http.DefaultClient.Do(r))
			defer response.Body.Close()
			if text := string(must[[]byte](t)(io.ReadAll(response.Body))); response.StatusCode != http.StatusOK || !strings.Contains(text, id) || !strings.Contains(text, back) {
				t.Errorf("the history: got %d %s, want both messages", response.StatusCode, text)
			}
		})
	}
}
