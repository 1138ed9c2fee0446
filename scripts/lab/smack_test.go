package lab

import (
	"errors"
	"testing"
	"time"
)

// Phones of an unmodified Smack receive, send and resume, and answer by themselves what the product counts on: receipts where the app asked
// for them, and pings, without the part that does so by an error of their own.
func TestSmack(t *testing.T) {
	ctx := within(t, patience)
	s := stopped(t, must[*Server](t)(StartProsody(ctx, Options{Dir: t.TempDir(), Users: users("zhangsan", "lisi", "wangwu")})))
	us := must[*Client](t)(Dial(ctx, s.C2S, s.Domain, "zhangsan", "secret-zhangsan", "1", WithPresence("", 0)))
	t.Cleanup(us.Kill)
	for version, other := range map[string]string{"4.1.9": "feature-not-implemented", "4.2.4": "service-unavailable", "4.4.8": "feature-not-implemented"} {
		t.Run(version, func(t *testing.T) {
			started := func(without ...string) *Smack {
				p := must[*Smack](t)(StartSmack(ctx, SmackOptions{Version: version, Without: without}))
				t.Cleanup(func() {
					if err := p.Stop(); err != nil {
						t.Error(err)
					}
				})
				return p
			}
			p := started()
			got := make(chan Message, 10)
			one := p.Phone("one", func(m Message, _ time.Time) { got <- m })
			login := SmackLogin{Addr: s.C2S, Domain: s.Domain, User: "lisi", Password: "secret-lisi", Resource: version, SM: true, Resume: true, Receipts: "always"}
			if err := one.Connect(ctx, login); err != nil {
				t.Fatal(err)
			}
			if want := "lisi@" + s.Domain + "/" + version; one.JID != want {
				t.Errorf("logged in as %s, want %s", one.JID, want)
			}
			if _, err := us.IQ(ctx, "get", one.JID, `<ping xmlns="urn:xmpp:ping"/>`); err != nil {
				t.Errorf("a ping: got %v, want it answered", err)
			}

			id, words := NewID(), "你好 \U0001f600 <&>\"'"
			if err := us.SendMessage(one.JID, id, words, `<request xmlns="urn:xmpp:receipts"/>`); err != nil {
				t.Fatal(err)
			}
			select {
			case m := <-got:
				if m.ID != id || m.Body != words || m.From != us.JID || m.Delayed() {
					t.Errorf("the phone got %s, want %s from %s with the body %q, not delayed", m.Raw, id, us.JID, words)
				}
			case <-ctx.Done():
				t.Fatalf("the phone got nothing, want %s", id)
			}
			if _, err := us.WaitFor(ctx, func(m Message) bool { return m.Confirms() == id }); err != nil {
				t.Errorf("got %v, want the phone's receipt for %s", err, id)
			}
			if err := one.Send(ctx, us.JID, "its own", words, true); err != nil {
				t.Fatal(err)
			}
			m := must[Message](t)(us.WaitFor(ctx, func(m Message) bool { return m.ID == "its own" }))
			if m.Body != words || attribute(m.Child("tlim", tlimNS), "ack") != "1" {
				t.Errorf("it sent %s, want the body %v with ack=1", m.Raw, words)
			}

			// Another app of the same user takes its address, and its library notices.
			if err := p.Phone("same", nil).Connect(ctx, login); err != nil {
				t.Fatal(err)
			}
			if _, err := one.Broken(ctx); err != nil {
				t.Errorf("got %v, want the phone to see its connection break", err)
			}

			// Without the part that answers pings.
			two := started(SmackPings).Phone("two", nil)
			if err := two.Connect(ctx, SmackLogin{Addr: s.C2S, Domain: s.Domain, User: "wangwu", Password: "secret-wangwu", Resource: version, Receipts: "off"}); err != nil {
				t.Fatal(err)
			}
			var refused *IQError
			if _, err := us.IQ(ctx, "get", two.JID, `<ping xmlns="urn:xmpp:ping"/>`); !errors.As(err, &refused) || refused.Condition != other {
				t.Errorf("without its part for pings it answers %v, want %s", err, other)
			}
		})
	}
}
