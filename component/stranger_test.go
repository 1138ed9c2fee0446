package component

import (
	"fmt"
	"testing"

	"tlim/component/stanza"
	"tlim/component/tokens"
)

// TestDisguised: nobody gets to be another account by characters that one preparation turns into the other's name.
func TestDisguised(t *testing.T) {
	h := start(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "wangwu", "x"))
	h.sender.take()
	for _, local := range []string{"ᴸisi", "lᵢsi", "Lisi", "ｌisi", "li\u00ADsi", "lisi\u1806"} {
		t.Run(fmt.Sprintf("%+q", local), func(t *testing.T) {
			for _, claimed := range []string{local, "lisi"} {
				t.Run(fmt.Sprintf("as %+q", claimed), func(t *testing.T) {
					h.send(local+"/p", text("forged", claimed, "wangwu", "x"))
					if d, posts := h.sender.take(); refusals(posts) != "error-011" || addresses(d, "forged") != "" {
						t.Errorf(`%+q as %+q: got %s, %v, want error-011, no delivery`, local, claimed, refusals(posts), d)
					}
				})
			}
			if devices := h.presence.Devices("lisi"); len(devices) != 0 {
				t.Errorf("%+q is seen as lisi: got %v, want no devices", local, devices)
			}
		})
	}
	for _, id := range []string{"ᴸisi", "lᵢsi"} { // each other door
		t.Run(fmt.Sprintf("to %+q", id), func(t *testing.T) {
			h.send("zhangsan/p", text("m2", "zhangsan", id, "x"))
			if _, posts := h.sender.take(); refusals(posts) != "error-008" {
				t.Errorf("to %+q: got %s, want error-008", id, refusals(posts))
			}
			if spelling, err := h.CanonicalID(t.Context(), id); err == nil {
				t.Errorf("%+q: got the canonical id %q, want an error", id, spelling)
			}
			if _, handled := tokens.NewDesk(nil, testServer, testComponent, nil).Question(stanza.Stanza{Name: "iq", Type: "get", ID: "1",
				From: id + "@" + testServer + "/p", To: testComponent, Inner: []byte(`<token xmlns="urn:tlim:token"/>`)}); handled {
				t.Errorf("%+q: got a token, want none", id)
			}
		})
	}
	h.sendRaw("li\u00ADsi/p", testComponent, `<received xmlns="urn:xmpp:receipts" id="m1"/>`)
	h.CopiedMessage(stanza.Stanza{Name: "message", Type: "chat", From: "Lisi@" + testServer + "/p", To: "wangwu@" + testServer,
		Inner: []byte("<body>" + text("copied", "lisi", "wangwu", "x") + "</body>")})
	h.sync()
	if d, posts := h.sender.take(); addresses(d, "copied") != "" || len(posts) != 0 {
		t.Errorf(`a confirmation and a copy: got %v, %v, want no answer, no delivery`, posts, d)
	}
	for _, local := range []string{"李四", "élodie", "иван"} { // accounts as they are everywhere
		t.Run(local, func(t *testing.T) {
			h.send(local+"/手机", text("from "+local, local, "wangwu", "x"))
			if _, posts := h.sender.take(); refusals(posts) != "acknowledgement" {
				t.Errorf("got %s, want acknowledgement", refusals(posts))
			}
		})
	}
}
