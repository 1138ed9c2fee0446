package system

import (
	"strings"
	"testing"

	"tlim/scripts/lab"
)

// What clients ask the component, and what they say without a body: answered, passed on to the known devices of the other, or
// consumed, and never refused.
func TestQuestionsAndSignals(t *testing.T) {
	for name, server := range map[string]func() (*lab.Server, error){"openfire": openfire, "prosody": prosody} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, server, nil)
			users := people(t, 2)
			zhao, qian := users[0], users[1]
			sender, phone, web := w.online(zhao, "1"), w.online(qian, "1[android]"), w.online(qian, "1[web]")
			for name, c := range map[string]struct{ question, want string }{
				"info":    {`<query xmlns="http://jabber.org/protocol/disco#info"/>`, `category="component"`},
				"items":   {`<query xmlns="http://jabber.org/protocol/disco#items"/>`, `disco#items`},
				"ping":    {`<ping xmlns="urn:xmpp:ping"/>`, `type="result"`},
				"version": {`<query xmlns="jabber:iq:version"/>`, `<name>tlim</name>`},
				"vCard":   {`<vCard xmlns="vcard-temp"/>`, `<FN>tlim</FN>`},
			} {
				t.Run(name, func(t *testing.T) {
					answer, err := sender.IQ(within(t, soon), "get", w.component, c.question)
					if err != nil || !strings.Contains(strings.ReplaceAll(string(answer), `'`, `"`), c.want) {
						t.Errorf("%s: got %s, %v, want an answer with %q and no error", c.question, answer, err, c.want)
					}
				})
			}

			to := qian + "@" + w.component
			for id, signal := range map[string]string{
				"state":  `<composing xmlns="http://jabber.org/protocol/chatstates"/>`,
				"marker": `<displayed xmlns="urn:xmpp:chat-markers:0" id="m1"/>`,
				"both":   `<received xmlns="urn:xmpp:receipts" id="m1"/><active xmlns="http://jabber.org/protocol/chatstates"/>`,
			} {
				t.Run(id, func(t *testing.T) {
					check(t, sender.Send(`<message type="chat" id="`+id+`" to="`+to+`">`+signal+`</message>`))
					for _, device := range []*lab.Client{phone, web} {
						m := w.in(t).receive(device, id)
						if m.From != zhao+"@"+w.component || m.Body != "" || m.Has("received", "") || !m.Has("no-store", "") {
							t.Errorf("%s: got %s, want the signal alone, from %s, with no-store", id, m.Raw, zhao+"@"+w.component)
						}
					}
				})
			}
			check(t, sender.Send(`<message type="chat" id="quiet" to="`+to+`"><received xmlns="urn:xmpp:receipts" id="m1"/></message>`))
			check(t, sender.Send(`<message type="chat" id="data" to="`+to+`"><x xmlns="jabber:x:data" type="form"/></message>`))
			last := lab.NewID()
			w.send(sender, last, lab.Text(zhao, qian, last, "behind them"))
			for _, device := range []*lab.Client{phone, web} {
				w.receive(device, last)
				for _, m := range device.Drain() {
					t.Errorf("%s got %s, want nothing", device.JID, m.Raw)
				}
			}
			for _, m := range sender.Drain() {
				if m.Type == "error" {
					t.Errorf("got the error %s, want none", m.Raw)
				}
			}
			if rows := w.chatHistory(zhao, qian).ids(); len(rows) != 1 {
				t.Errorf("stored: got %v, want 1 row", rows)
			}
		})
	}
}
