package system

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/scripts/lab"
)

const silence = ""

// hostile is what a logged-in client sends to harm: its stanza, and the code that it gets for it.
type hostile struct {
	name string
	raw  string // %ID% stands for the stanza's id
	code string // silence: no answer, and nobody gets anything
}

func message(body string) string {
	return `<message type="chat" id="%ID%" to="%C%"><body>` + lab.Escape(body) + `</body></message>`
}

// envelope is a text from me to the victim, as strict JSON, with parts exchanged: pairs of old and new.
func envelope(parts ...string) string {
	text := `{"compress":"0","encode":"1","encrypt":"0","version":"2.1.0","msg_id":"%ID%","msg_type":"MTT-000",` +
		`"msg_from":"%ME%","msg_to":"%VICTIM%","msg_time":"1","body":[{"text":"x"}]}`
	return strings.NewReplacer(parts...).Replace(text)
}

func hostiles() []hostile {
	group := func(session, more string) string {
		return envelope("MTT-000", "MTS-000", `{"text":"x"}`, `{"text":"x","session_id":"`+session+`"}`+more)
	}
	return []hostile{
		// What is no envelope.
		{"no JSON", message(`hello`), "error-005"},
		{"half JSON", message(`{"msg_type":"MTT-000",`), "error-005"},
		{"a JSON array", message(`[1,2]`), "error-005"},
		{"empty body", message(``), "error-000"},
		{"blank body", message(" \n\t"), "error-000"},
		{"nothing at all", `<message type="chat" id="%ID%" to="%C%"/>`, "error-000"},
		{"two bodies", `<message type="chat" id="%ID%" to="%C%"><body>` + lab.Escape(envelope()) + `</body><body>` + lab.Escape(envelope()) + `</body></message>`, "error-005"},
		{"two bodies in two languages", `<message type="chat" id="%ID%" to="%C%"><body xml:lang="zh">` + lab.Escape(envelope()) + `</body><body xml:lang="en">x</body></message>`, "error-005"},
		{"deep nesting", message(envelope(`"x"`, strings.Repeat("[", 20000)+strings.Repeat("]", 20000))), "error-005"},
		{"deep nesting, never closed", message(strings.Repeat(`{"a":`, 30000)), "error-005"},
		{"no type", message(envelope("MTT-000", "")), "error-001"},
		{"a type of none of the families", message(envelope("MTT-000", "XYZ-000")), "error-001"},
		{"a body that is no array", message(envelope(`[{"text":"x"}]`, `{"text":"x"}`)), "error-006"},
		{"a string body that is no array", message(envelope(`[{"text":"x"}]`, `"hello"`)), "error-006"},
		{"no msg_id", message(envelope(`"msg_id":"%ID%",`, ``)), "error-014"},
		{"no receiver", message(envelope("%VICTIM%", "")), "error-008"},
		{"an impossible receiver", message(envelope("%VICTIM%", "a\u200eb")), "error-008"},

		// Another sender.
		{"forged sender", message(envelope("%ME%", "%VICTIM%")), "error-011"},
		{"forged sender admin", message(envelope("%ME%", "admin")), "error-011"},
		{"second msg_from", message(envelope(`"msg_to"`, `"msg_from":"%VICTIM%","msg_to"`)), "error-005"},
		{"MSG_FROM", message(envelope(`"msg_to"`, `"MSG_FROM":"%VICTIM%","msg_to"`)), "error-005"},
		{"Msg_From first", message(envelope(`{"compress"`, `{"Msg_From":"%VICTIM%","compress"`)), "error-005"},
		{"escaped key", message(envelope(`"msg_to"`, `"\u006dsg_from":"%VICTIM%","msg_to"`)), "error-005"},
		{"long s in a key", message(envelope(`"msg_to"`, `"m\u017fg_from":"%VICTIM%","msg_to"`)), "error-005"},
		{"duplicate body", message(envelope(`"body"`, `"body":[{"text":"y"}],"body"`)), "error-005"},
		{"duplicate session in the object", message(group("%GROUP%", "")), "error-011"},
		{"an unknown field twice", message(envelope(`"msg_to"`, `"more":1,"more":2,"msg_to"`)), "error-005"},
		{"unquoted second msg_from", message(envelope(`"msg_to"`, `msg_from:"%VICTIM%","msg_to"`)), "error-005"},
		{"forged acknowledgement", message(envelope("MTT-000", "MTC-100", `{"text":"x"}`, `{"msg_id":"1","msg_time":"1"}`)), "error-011"},
		{"forged approval", message(envelope("MTT-000", "MTB-000")), "error-011"},
		{"forged system message", message(envelope("MTT-000", "MTB-100")), "error-011"},

		// Groups that are not the sender's.
		{"unknown session", message(group("no-such-session", "")), "error-009"},
		{"no session", message(envelope("MTT-000", "MTS-000", "%VICTIM%", "")), "error-007"},
		{"another's session", message(group("%GROUP%", "")), "error-011"},
		{"two sessions", message(group("%GROUP%", `,{"text":"y","session_id":"other"}`)), "error-006"},
		{"session_id twice", message(group("%GROUP%", `,{"session_id":"other","session_id":"%GROUP%"}`)), "error-005"},

		{"revoke in another's session", message(envelope("MTT-000", "MTS-101", `{"text":"x"}`, `{"msg_id":"%VICTIMS%","session_id":"%GROUP%"}`)), "error-011"},
		{"revoke another's message", message(envelope("MTT-000", "MTT-101", `{"text":"x"}`, `{"msg_id":"%VICTIMS%"}`)), "error-011"},
		{"another's msg_id", message(envelope(`"msg_id":"%ID%"`, `"msg_id":"%VICTIMS%"`)), "error-014"},
		{"MTS-107 of another's session", message(envelope("MTT-000", "MTS-107", `{"text":"x"}`, `{"session_id":"%GROUP%"}`)), "error-011"},

		// Sizes.
		{"3,001 characters", message(envelope(`"x"`, `"`+strings.Repeat("好", 3001)+`"`)), "error-012"},
		{"a body over 64 KiB", message(envelope(`"x"`, `"x","more":"`+strings.Repeat("y", 65<<10)+`"`)), "error-012"},
		{"a stanza over 256 KiB", message(envelope(`"x"`, `"x","more":"`+strings.Repeat("y", 300<<10)+`"`)), "error-012"},
		{"a stanza of nearly 1 MiB", message(envelope(`"x"`, `"x","more":"`+strings.Repeat("y", 1_000_000)+`"`)), "error-012"},
		{"an id of 65 characters", message(envelope(`"msg_id":"%ID%"`, `"msg_id":"`+strings.Repeat("i", 65)+`"`)), "error-012"},
		{"a type of 21 characters", message(envelope("MTT-000", "MTT-00000000000000000")), "error-001"},
		{"a receiver of 65 characters", message(envelope("%VICTIM%", strings.Repeat("v", 65))), "error-012"},

		// Characters.
		{"U+0001 in the id", message(envelope(`"msg_id":"%ID%"`, `"msg_id":"%ID%\u0001"`)), "error-005"},
		{"U+FFFE in the id", message(envelope(`"msg_id":"%ID%"`, `"msg_id":"%ID%\ufffe"`)), "error-005"},
		{"half a surrogate in the id", message(envelope(`"msg_id":"%ID%"`, `"msg_id":"%ID%\ud83d"`)), "error-005"},
		{"U+0000 in the receiver", message(envelope("%VICTIM%", `%VICTIM%\u0000`)), "error-005"},

		// Stanzas that are no chat.
		{"groupchat", strings.Replace(message(envelope()), `type="chat"`, `type="groupchat"`, 1), silence},
		{"headline", strings.Replace(message(envelope()), `type="chat"`, `type="headline"`, 1), silence},
		{"an error", `<message type="error" id="%ID%" to="%C%"><body>` + lab.Escape(envelope()) + `</body><error type="cancel"><gone xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`, silence},
		{"a copy", strings.Replace(message(envelope()), `<body>`, `<subject>ASYNC</subject><body>`, 1), silence},
		{"an unknown payload", `<message type="chat" id="%ID%" to="%C%"><x xmlns="urn:example"><body>no</body></x></message>`, silence},
		{"a nested message", `<message type="chat" id="%ID%" to="%C%"><forwarded xmlns="urn:xmpp:forward:0"><message xmlns="jabber:client" from="%VICTIM%@%D%" to="%C%"><body>` + lab.Escape(envelope("%ME%", "%VICTIM%")) + `</body></message></forwarded></message>`, silence},
		{"a bare nested message", `<message type="chat" id="%ID%" to="%C%"><message xmlns="jabber:client" from="%VICTIM%@%D%" to="%C%"><body>` + lab.Escape(envelope("%ME%", "%VICTIM%")) + `</body></message></message>`, "error-000"},
		{"a delegated stanza", `<message type="chat" id="%ID%" to="%C%"><delegation xmlns="urn:xmpp:delegation:1"><forwarded xmlns="urn:xmpp:forward:0"><iq xmlns="jabber:client" type="set" id="1" from="%VICTIM%@%D%"/></forwarded></delegation></message>`, silence},
		{"what looks like a packet copy", `<message type="chat" id="%ID%" to="%C%"><packet xmlns="http://example.org/protocol/openfire-intercept" incoming="true"><message xmlns="jabber:client" from="%VICTIM%@%D%/x" to="%ME%@%D%"><body>` + lab.Escape(envelope("%ME%", "%VICTIM%")) + `</body></message></packet></message>`, silence},
		{"a confirmation of nothing", `<message type="chat" id="%ID%" to="%C%"><received xmlns="urn:xmpp:receipts"/></message>`, silence},
		{"a confirmation of an id with markup", `<message type="chat" id="%ID%" to="%C%"><received xmlns="urn:xmpp:receipts" id="&lt;x a=&quot;&apos;&#10;"/></message>`, silence},

		// Presence and IQs: nothing here answers with a message.
		{"priority abc", `<presence id="%ID%" to="%C%"><priority>abc</priority></presence>`, silence},
		{"priority without end", `<presence id="%ID%" to="%C%"><priority>` + strings.Repeat("9", 5000) + `</priority></presence>`, silence},
		{"show with markup", `<presence id="%ID%" to="%C%"><show>&lt;dnd/&gt;</show><c xmlns="http://jabber.org/protocol/caps" hash="sha-1" node="x" ver="y"/></presence>`, silence},
		{"a subscription", `<presence id="%ID%" type="subscribe" to="%C%"/>`, silence},
		{"a probe", `<presence id="%ID%" type="probe" to="%C%"/>`, silence},
	}
}

// questions are IQs that must be answered, whatever with, so that nobody waits.
var questions = map[string][2]string{
	"RSM max=abc":          {"get", `<query xmlns="http://jabber.org/protocol/disco#items"><set xmlns="http://jabber.org/protocol/rsm"><max>abc</max></set></query>`},
	"RSM in a command":     {"set", `<command xmlns="http://jabber.org/protocol/commands" node="x" action="execute"><set xmlns="http://jabber.org/protocol/rsm"><max>abc</max></set></command>`},
	"vCard":                {"get", `<vCard xmlns="vcard-temp"/>`},
	"vCard of another":     {"set", `<vCard xmlns="vcard-temp"><FN>"'&lt;</FN></vCard>`},
	"an unknown namespace": {"get", `<query xmlns="urn:example:none"/>`},
	"delegation":           {"set", `<delegation xmlns="urn:xmpp:delegation:1"><forwarded xmlns="urn:xmpp:forward:0"/></delegation>`},
	"a nested message":     {"set", `<query xmlns="urn:example"><message xmlns="jabber:client" to="x"><body>y</body></message></query>`},
	"quotes in attributes": {"get", `<query xmlns='urn:example' a='&quot;/&gt;&#10;&apos;'/>`},
	"two questions":        {"get", `<ping xmlns="urn:xmpp:ping"/><query xmlns="jabber:iq:version"/>`},
	"no question":          {"get", ``},
	"ping":                 {"get", `<ping xmlns="urn:xmpp:ping"/>`},
	"disco":                {"get", `<query xmlns="http://jabber.org/protocol/disco#info" node="&lt;&quot;"/>`},
	"version":              {"get", `<query xmlns="jabber:iq:version"/>`},
}

// Whatever a client sends, it gets its code or nothing, nobody else gets anything, and the link is the same one afterwards.
func TestHostileClient(t *testing.T) {
	w := newWorld(t, openfire, nil)
	names := people(t, 3)
	me, victim, friend := names[0], names[1], names[2]
	attacker := w.online(me, "evil")
	target := w.online(victim, "phone")
	other := w.online(victim, "a[web]")
	session := w.group(victim, friend)
	victims := lab.NewID() // a message of the victim's
	w.send(target, victims, lab.Text(victim, friend, victims, "mine"))
	w.receive(other, victims)
	losses := w.metric("tlim_link_losses_total")

	// after sends what must pass, and returns what came to the attacker before that was acknowledged.
	after := func(t *testing.T, want string) []lab.Message {
		t.Helper()
		w := w.in(t)
		id := lab.NewID()
		check(t, attacker.SendMessage(w.component, id, lab.Text(me, victim, id, want)))
		w.acknowledged(attacker, id)
		for _, d := range []*lab.Client{target, other} {
			w.receive(d, id)
			for _, m := range d.Drain() {
				t.Errorf("%s got %.500s, want nothing but what passed", d.JID, m.Raw)
			}
		}
		return attacker.Drain()
	}
	for _, h := range hostiles() {
		t.Run(h.name, func(t *testing.T) {
			id := lab.NewID()
			fill := strings.NewReplacer("%ID%", id, "%C%", w.component, "%D%", w.server.Domain, "%ME%", me,
				"%VICTIM%", victim, "%VICTIMS%", victims, "%GROUP%", session)
			check(t, attacker.Send(fill.Replace(h.raw)))
			got := silence
			for _, m := range after(t, h.name) {
				_, _, code := m.Failure()
				if m.Type != "error" || m.ID != id || m.Body != "" || got != silence {
					t.Errorf(`got %.500s (%v), want an error of %v without a body, and %v`, m.Raw, got, id, silence)
				}
				got = code
			}
			if got != h.code {
				t.Errorf("code %q, want %q", got, h.code)
			}
		})
	}
	for name, q := range questions {
		for _, to := range []string{w.component, "admin@" + w.component, victim + "@" + w.component} {
			t.Run(fmt.Sprintf("IQ to %.5s, %s", to, name), func(t *testing.T) {
				_, err := attacker.IQ(within(t, soon), q[0], to, q[1])
				var refused *lab.IQError
				if err != nil && !errors.As(err, &refused) {
					t.Errorf("got %v, want an answer or a refusal", err)
				}
				after(t, name)
			})
		}
	}
	if now := w.metric("tlim_link_losses_total"); now != losses {
		t.Errorf("the link was lost %v times, want now %v", now-losses, losses)
	}
	if w.metric("tlim_link_up") != 1 {
		t.Error("the link is down, want it up")
	}
	history := w.chatHistory(victim, me)
	for _, m := range history.List {
		if m.From != me {
			t.Errorf("stored in the name of %s: %s, want %s", m.From, m.Body, me)
		}
	}
	if list := w.groupHistory(session).List; len(list) != 0 {
		t.Errorf("in the group: got %v, want none", list)
	}
}

// What passes, passes whole: texts with characters that XML forbids in JSON escapes, and a tlim extension that would make Openfire's
// parser lose the thread of the stream.
func TestPoisonPasses(t *testing.T) {
	w := newWorld(t, openfire, nil)
	names := people(t, 2)
	me, friend := names[0], names[1]
	sender, receiver := w.online(me, "1"), w.online(friend, "2")
	losses := w.metric("tlim_link_losses_total")
	for _, c := range []struct{ name, text, ext string }{
		{name: "U+0001 as a JSON escape", text: `"a\u0001b"`},
		{name: "U+FFFE as a JSON escape", text: `"a\ufffeb"`},
		{name: "half a surrogate as a JSON escape", text: `"a\ud83db"`},
		{name: "U+0000 as a JSON escape", text: `"a\u0000b"`},
		{name: "]]>", text: `"a ]]> <![CDATA[ &amp; b"`},
		{name: "unknown fields", text: `"x","x":1,"y":{"x":2}`},
		{name: "single quotes in the extension", text: `"x"`, ext: `<tlim xmlns='im.itonglian.com' location='web&quot;/&gt;&#10;&lt;' ack='1'/>`},
		{name: "newlines in the extension", text: `"x"`, ext: "<tlim\n\txmlns=\"im.itonglian.com\"\n ack=\"1\"\n location=\"a&#10;b&#9;c\"\n></tlim>"},
		{name: "a prefixed extension", text: `"x"`, ext: `<t:tlim xmlns:t="im.itonglian.com" t:location="x" ack="1" location="web"/>`},
		{name: "children in the extension", text: `"x"`, ext: `<tlim xmlns="im.itonglian.com" ack="1"><!-- c --><a b='&quot;/&gt;'>t</a></tlim>`},
		{name: "an emoji in the extension", text: `"x"`, ext: `<tlim xmlns="im.itonglian.com" ack="1" location="&#x1F600;"/>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := w.in(t)
			id := lab.NewID()
			body := strings.NewReplacer("%ID%", id, "%ME%", me, "%VICTIM%", friend, `"x"`, c.text).Replace(envelope())
			ext := c.ext
			if ext == "" {
				ext = `<tlim xmlns="im.itonglian.com" ack="1"/>`
			}
			check(t, sender.Send(`<message type="chat" id="`+id+`" to="`+w.component+`">`+ext+`<body>`+lab.Escape(body)+`</body></message>`))
			w.acknowledged(sender, id)
			got := w.receive(receiver, id)
			if got.Body != body {
				t.Errorf("got the body\n%s\nwant it as it was sent\n%s", got.Body, body)
			}
			if !got.Has("tlim", "im.itonglian.com") {
				t.Errorf("got %s, want it with its tlim extension", got.Raw)
			}
			// What HTTP answers is what the receiver reads.
			stored := w.rows("findChatHistory", "session_id", friend, "user_id", me, "start", "0", "length", "1")
			if len(stored.List) != 1 || stored.List[0].ID != id || stored.List[0].Body != `[{"text":`+c.text+`}]` {
				t.Errorf("stored: got %v, want %v alone, with the body %v", stored.List, id, `[{"text":`+c.text+`}]`)
			}
		})
	}
	if now := w.metric("tlim_link_losses_total"); now != losses {
		t.Errorf("the link was lost %v times, want now %v", now-losses, losses)
	}
}

// A namespace in the extension comes to us unescaped (Openfire 4.2), and what stands in the extension goes back to the server in
// every copy: whatever is not well-formed there would cost the link.
func TestPoisonedExtension(t *testing.T) {
	w := newWorld(t, openfire, nil)
	names := people(t, 2)
	me, friend := names[0], names[1]
	sender, receiver := w.online(me, "1"), w.online(friend, "2")
	losses := w.metric("tlim_link_losses_total")
	for _, c := range []struct{ name, own, child string }{
		{name: "tags that do not match", child: `u"></b><c d="`},
		{name: "an attribute twice, in a child", child: `u" a="1" a="2`},
		{name: "an attribute twice", own: `" a="1" a="2`},
		{name: "half a reference", own: `" a="&`},
		{name: "an unknown reference", child: `u" a="&nbsp;`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := w.in(t)
			id := lab.NewID()
			ext := `<tlim ack="1" xmlns="` + lab.Escape("im.itonglian.com"+c.own) + `"/>`
			if c.child != "" {
				ext = `<tlim ack="1" xmlns="im.itonglian.com"><x xmlns="` + lab.Escape(c.child) + `"/></tlim>`
			}
			check(t, sender.Send(`<message type="chat" id="`+id+`" to="`+w.component+`">`+ext+`<body>`+lab.Escape(lab.Text(me, friend, id, c.name))+`</body></message>`))
			w.acknowledged(sender, id)
			if got := w.receive(receiver, id); !got.Has("tlim", "im.itonglian.com") {
				t.Errorf("got %s, want it with a tlim extension", got.Raw)
			}
			check(t, sender.Sync(within(t, soon)))
			if now := w.metric("tlim_link_losses_total"); now != losses {
				t.Errorf("the link was lost %v times, want now %v", now-losses, losses)
				losses = now
			}
		})
	}
}

// A stanza that is too large for the server may end the client's stream; what comes through is refused. The link stays.
func TestTooLarge(t *testing.T) {
	w := newWorld(t, openfire, nil)
	names := people(t, 2)
	me, friend := names[0], names[1]
	receiver := w.online(friend, "2")
	losses := w.metric("tlim_link_losses_total")
	for _, size := range []int{1_040_000, 1_200_000, 5_000_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			w := w.in(t)
			doomed, err := w.dial(within(t, soon), me, "1", lab.WithPresence("", 0))
			check(t, err)
			defer doomed.Kill()
			id := lab.NewID()
			check(t, doomed.SendMessage(w.component, id, lab.Text(me, friend, id, strings.Repeat("y", size))))
			m, err := doomed.Recv(within(t, soon))
			if _, _, code := m.Failure(); err == nil && code != "error-012" {
				t.Errorf("the sender got %.300s, want error-012", m.Raw)
			}
			if err != nil && doomed.Err() == nil { // a server that closes with bytes unread resets, which its last words may not survive
				t.Errorf("got %v, want a refusal or the end of the stream", err)
			}
			t.Logf("code or end: %v %v", m.Type, err)
			sender := w.online(me, "3")
			id = lab.NewID()
			w.send(sender, id, lab.Text(me, friend, id, "small"))
			w.receive(receiver, id)
			if now := w.metric("tlim_link_losses_total"); now != losses {
				t.Errorf("the link was lost %v times, want now %v", now-losses, losses)
			}
		})
	}
}

// Openfire 4.2 does not escape namespaces (dom4j 1.6): its users can write into our stream. They cannot keep us from reading on. That they can
// write in other users' names is beyond us: the stanza that says who sent it is then theirs (deploy/README.md says so).
func TestPoisonedStream(t *testing.T) {
	w := newWorld(t, openfire, nil)
	names := people(t, 2)
	attacker, friend := w.online(names[0], "1"), w.online(names[1], "2")
	losses := w.metric("tlim_link_losses_total")
	var worst time.Duration
	for _, namespace := range []string{
		`"`, `"'`, `<&>`, `" a="`, `"/>`, `"><a><b>`, `"><!--`, `"><![CDATA[`, `"><?pi `,
		`"/></message></stream:stream>`, `"/></message></stream:stream><message><x a="`,
		`"/></message><stream:error><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream><message><x a="`,
		`"/></message>text`, `"><message><x a="`, `"/></message><message><message><x a="`, `"/></message><!-- `, `"/></message><iq type="result" id="x`,
	} {
		t.Run(namespace, func(t *testing.T) {
			w := w.in(t)
			x := `<x xmlns="` + lab.Escape("urn:x:"+namespace) + `"/>`
			check(t, attacker.Send(`<message type="chat" to="`+w.component+`">`+x+`</message>`))
			check(t, attacker.Sync(within(t, soon)))
			began := time.Now()
			id := lab.NewID()
			body := lab.Text(names[0], names[1], id, "passes")
			// A client repeats what gets no receipt: the first one may be lost in what had to be skipped.
			again := time.NewTicker(100 * time.Millisecond)
			defer again.Stop()
			passed := make(chan error, 1) // the one result
			ctx := within(t, soon)
			go func() {
				_, err := friend.WaitFor(ctx, func(m lab.Message) bool { return m.ID == id })
				passed <- err
			}()
			for waiting := true; waiting; {
				check(t, attacker.SendMessage(w.component, id, body))
				select {
				case err := <-passed:
					check(t, err)
					waiting = false
				case <-again.C:
				}
			}
			worst = max(worst, time.Since(began))
		})
	}
	if now := w.metric("tlim_link_losses_total"); now != losses {
		t.Errorf("the link was lost %v times, want now %v", now-losses, losses)
	}
	t.Logf("after at most %s a message passes again; broken %v times", worst.Round(time.Millisecond), w.metric("tlim_link_broken_total"))
}
