package component

import (
	"fmt"
	"strings"
	"testing"

	"tlim/component/unconfirmed"
	"tlim/store"
)

// sight is what administrators are told of a user and a message: where a copy is in memory, and how a phone got it.
func (h *harness) sight(msgID, user string) string {
	h.t.Helper()
	list, _ := h.Look(msgID, []string{"nobody", user})
	if len(list) != 2 || list[0].Where != "" || list[0].Proof != unconfirmed.ProofNone || list[1].User != user {
		h.t.Fatalf("got %+v, want nothing of nobody, and something of %s", list, user)
	}
	words := map[unconfirmed.Proof]string{unconfirmed.ProofNone: "", unconfirmed.ProofPings: "pings", unconfirmed.ProofReceipt: "receipt", unconfirmed.ProofFetched: "fetched"}
	return string(list[1].Where) + "/" + words[list[1].Proof]
}

// TestSight follows a message through all that can become of it.
func TestSight(t *testing.T) {
	h := pinging(t, nil)
	want := func(what, msgID, user, want string) {
		t.Helper()
		if got := h.sight(msgID, user); got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	want("sent, and asked about", "m1", "lisi", "asked/")
	want("another user", "m1", "wangwu", "/")
	want("another message", "m9", "lisi", "/")
	ids, _ := h.pinged()
	h.answerPing("lisi/p", ids[0], pong)
	want("answered", "m1", "lisi", "answered/")
	h.graceOver()
	want("settled", "m1", "lisi", "/pings")

	h.clock.Move(sharedPing)
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x")) // nobody answers
	h.graceOver()
	want("a row", "m2", "lisi", "/")
	for id, missed := range map[string]bool{"m1": false, "m2": true} {
		if list, _ := h.Look(id, []string{"lisi"}); list[0].Missed.IsZero() == missed {
			t.Errorf("%s: got %v, want a time when its copy, which had been sent, became a row: %v", id, list[0].Missed, missed)
		}
	}
	if got := h.queue("lisi"); got != "m2/0" {
		t.Fatalf("queue: got %q, want m2/0", got)
	}
	var rows []store.OfflineMessage
	if err := h.Offline(t.Context(), "lisi", "", 0, func(page []store.OfflineMessage) error { rows = append(rows, page...); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := h.ClearOffline(t.Context(), "lisi", rows); err != nil {
		t.Fatal(err)
	}
	want("fetched", "m2", "lisi", "/fetched")

	h.online("wangwu/p")
	h.send("zhangsan/p", text("m3", "zhangsan", "wangwu", "x"))
	h.sendRaw("wangwu/p", testComponent, `<received xmlns="urn:xmpp:receipts" id="m3"/>`)
	h.sync()
	want("confirmed by the app", "m3", "wangwu", "/receipt")

	if list, known := h.Devices([]string{"lisi", "zhaoliu"}); !known || len(list) != 2 || len(list[0]) != 1 || list[0][0].Resource != "p" || list[0][0].Class != "other" || len(list[1]) != 0 {
		t.Errorf("devices: got %+v, %v, want lisi's p, none of zhaoliu, known", list, known)
	}
}

// TestTreatment: what is said of a type is what the table of kinds does with it.
func TestTreatment(t *testing.T) {
	h := start(t, nil)
	for msgType, want := range map[string]string{"MTT-000": "true true true", "MTS-999": "true true true", "MTT-100": "false true false", "MTS-100": "false true false",
		"MTB-000": "true true true", "MTC-000": "false false false", "nonsense": "false false false", "": "false false false"} {
		t.Run(fmt.Sprintf("%q", msgType), func(t *testing.T) {
			if got := fmt.Sprint(h.Treatment(msgType)); got != want {
				t.Errorf("%s: got %s, want %s", msgType, got, want)
			}
		})
	}
}

// TestRefusals: what was refused is told by its id and to those whom it concerns, and one sender pushes out their own alone.
func TestRefusals(t *testing.T) {
	h := newHarness(t)
	h.begin(nil)
	h.send("zhangsan/p", text("r1", "zhangsan", "lisi", strings.Repeat("x", 3001)))
	h.send("zhangsan/p", `no JSON`)
	h.sync()
	told := func(id, user string) (list []string) {
		for _, one := range h.Refusals(id, user) {
			list = append(list, fmt.Sprintf("%s %s %s>%s %s", one.MsgID, one.Type, one.From, one.To, one.Why.Code))
		}
		return list
	}
	for _, c := range []struct {
		id, user string
		want     string
	}{
		{"r1", "", "[r1 MTT-000 zhangsan>lisi error-012]"},
		{"", "lisi", "[r1 MTT-000 zhangsan>lisi error-012]"},
		{"", "LiSi", "[r1 MTT-000 zhangsan>lisi error-012]"},
		{"", "wangwu", "[]"},
		{"r2", "", "[]"},
	} {
		t.Run(c.id+c.user, func(t *testing.T) {
			if got := fmt.Sprint(told(c.id, c.user)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if got := told("", "zhangsan"); len(got) != 2 || !strings.Contains(got[0]+got[1], "zhangsan> error-005") {
		t.Errorf("got %v, want both of zhangsan", got)
	}
	for i := range 2 * maxRefusals {
		h.send("wangwu/p", text(fmt.Sprint("w", i), "wangwu", "", "x"))
	}
	h.sync()
	if got := told("", "wangwu"); len(got) != maxRefusals || len(told("r1", "")) != 1 {
		t.Errorf("got %d of wangwu, want the last %d; %v, want that of zhangsan kept", len(got), maxRefusals, told("r1", ""))
	}
}
