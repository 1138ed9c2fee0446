package tokens

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
)

// Desk answers a client's question for a token: IQ get <token xmlns="urn:tlim:token"/>, or the ad-hoc command
// urn:tlim:token (XEP-0050), from a full JID of the server to our bare domain. The link's reader asks and must not wait for
// the database, so the answer comes from a goroutine of its own, [Desk.Run].
type Desk struct {
	tokens            *Issuer
	server, component string
	answerTo          func(to string, b []byte) bool
	queue             chan stanza.Stanza

	mu      sync.Mutex
	waiting map[string]struct{} // local parts in the queue: one question of a user at a time
}

const (
	nsToken    = "urn:tlim:token"
	nsCommands = "http://jabber.org/protocol/commands"
	nsInfo     = "http://jabber.org/protocol/disco#info"
	nsItems    = "http://jabber.org/protocol/disco#items"
	nsData     = "jabber:x:data"

	// maxQuestions is a second's worth of answers; who finds the queue full is told service-unavailable, and asks again.
	maxQuestions = 1000
	answerTime   = 5 * time.Second // of one answer
)

// Features are what disco#info of our domain should name for the desk.
func Features() []string { return []string{nsToken, nsCommands} }

// NewDesk makes a desk of the component's domain for users of the server's. answer sends one stanza to an address without
// blocking.
func NewDesk(t *Issuer, server, component string, answer func(to string, b []byte) bool) *Desk {
	return &Desk{tokens: t, server: server, component: component, answerTo: answer,
		queue: make(chan stanza.Stanza, maxQuestions), waiting: map[string]struct{}{}}
}

// Question takes a question of type get or set. It never blocks. handled with a nil payload: the answer follows; handled is
// false for a question that is not the desk's, or that it has no room for.
func (d *Desk) Question(st stanza.Stanza) (payload []byte, handled bool) {
	if st.To != d.component {
		return nil, false
	}
	if c, ok := onlyChild(&st); !ok {
		return nil, false
	} else if st.Type == "get" && c.Attr("node") != "" {
		return d.describe(c)
	} else if !asksForToken(st.Type, c) {
		return nil, false
	}
	from, err := stanza.ParsePrepared(st.From)
	if err != nil || from.Domain != d.server || from.Local == "" || from.Resource == "" {
		return nil, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, twice := d.waiting[from.Local]; twice {
		return nil, false
	}
	select {
	case d.queue <- st:
		d.waiting[from.Local] = struct{}{}
		return nil, true
	default:
		return nil, false
	}
}

func onlyChild(st *stanza.Stanza) (only stanza.Child, ok bool) {
	for c := range st.Children() {
		if ok {
			return only, false
		}
		only, ok = c, true
	}
	return only, ok
}

func asksForToken(typ string, c stanza.Child) bool {
	switch {
	case typ == "get":
		return c.Name == "token" && c.Space == nsToken
	case c.Name == "command" && c.Space == nsCommands && c.Attr("node") == nsToken:
		action := c.Attr("action") // one stage: there is nothing to go on with or to cancel
		return action == "" || action == "execute" || action == "complete"
	}
	return false
}

// describe lets clients find the command (XEP-0050 section 2).
func (d *Desk) describe(c stanza.Child) ([]byte, bool) {
	switch node := c.Attr("node"); {
	case c.Space == nsItems && node == nsCommands:
		return []byte(`<query xmlns="` + nsItems + `" node="` + nsCommands + `"><item jid="` + d.component + `" node="` + nsToken + `" name="HTTP token"/></query>`), true
	case c.Space == nsInfo && node == nsToken:
		return []byte(`<query xmlns="` + nsInfo + `" node="` + nsToken + `"><identity category="automation" type="command-node" name="HTTP token"/>` +
			`<feature var="` + nsCommands + `"/><feature var="` + nsData + `"/></query>`), true
	}
	return nil, false
}

// Run answers until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case st := <-d.queue:
			d.answer(ctx, st)
		}
	}
}

// answer sends the result or an error. One that the link has no room for is lost, and the client asks again.
func (d *Desk) answer(ctx context.Context, st stanza.Stanza) {
	from, _ := stanza.ParsePrepared(st.From) // it was read before
	tctx, cancel := context.WithTimeout(ctx, answerTime)
	token, expires, err := d.tokens.Issue(tctx, from.Local)
	cancel()
	d.mu.Lock()
	delete(d.waiting, from.Local)
	d.mu.Unlock()

	ends := strconv.FormatInt(expires.UnixMilli(), 10)
	c, _ := onlyChild(&st)
	var refusal *protocol.Error
	typ, payload := "result", `<token xmlns="`+nsToken+`" expires="`+ends+`">`+token+`</token>`
	switch {
	case errors.As(err, &refusal):
		typ, payload = "error", string(stanza.AppendError(nil, "auth", "forbidden"))
	case err != nil:
		typ, payload = "error", string(stanza.AppendError(nil, "wait", "resource-constraint"))
	case c.Space == nsCommands:
		payload = `<command xmlns="` + nsCommands + `" node="` + nsToken + `" sessionid="` + protocol.NewID() + `" status="completed"><x xmlns="` + nsData + `" type="result">` +
			`<field var="token" type="text-single" label="token"><value>` + token + `</value></field>` +
			`<field var="expires" type="text-single" label="expires"><value>` + ends + `</value></field></x></command>`
	}
	d.answerTo(st.From, stanza.AppendIQ(nil, typ, st.ID, st.To, st.From, []byte(payload)))
}
