package component

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"tlim/component/stanza"
	"tlim/store"
)

// TestFormerAuthors: who has left a group does not hear who reads there what they wrote; its owner does, member or not.
func TestFormerAuthors(t *testing.T) {
	h := start(t, nil)
	h.blind()
	id := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	h.send("wangwu/p", groupText("w", "wangwu", id, "x")) // from now on their phone is known
	h.send("lisi/p", groupText("m0", "lisi", id, "x"))
	h.send("zhangsan/p", groupText("m1", "zhangsan", id, "x"))
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Remove: []string{"lisi", "zhangsan"}}); err != nil {
		t.Fatal(err)
	}
	h.sender.take()
	read := func(receipt, msgID string) string {
		h.send("wangwu/p", fmt.Sprintf(`{"msg_id":%q,"msg_type":"MTS-100","msg_from":"wangwu","msg_to":%q,"body":[{"session_id":%q,"msg_id":%q}]}`, receipt, id, id, msgID))
		d, posts := h.sender.take()
		return copiesOf(d) + refusals(posts)
	}
	if got := read("r0", "m0"); got != "acknowledgement" {
		t.Errorf("a receipt to who was removed: got %s, want acknowledgement", got)
	}
	if got := read("r1", "m1"); got != "r1>zhangsan@im.test/packnowledgement" {
		t.Errorf(`a receipt to the owner: got %s, want "r1>zhangsan@im.test/packnowledgement"`, got)
	}
	if rows, err := h.db.Offline(t.Context(), "lisi", "", "", "", 10); err != nil || slices.ContainsFunc(rows, func(p store.OfflineMessage) bool { return p.MsgID == "r0" }) {
		t.Errorf("queued: got %+v, %v, want no r0", rows, err)
	}
}

// TestFormerAuthorsOwnRow: the reader's phone catches up with what was read on the web, whether or not the author is told.
func TestFormerAuthorsOwnRow(t *testing.T) {
	h := start(t, nil)
	id := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	h.send("lisi/p", groupText("m0", "lisi", id, "x"))
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Remove: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	before := h.queue("wangwu")
	h.online("wangwu/w[web]")
	h.send("wangwu/w[web]", fmt.Sprintf(`{"msg_id":"r0","msg_type":"MTS-100","msg_from":"wangwu","msg_to":%q,"body":[{"session_id":%q,"msg_id":"m0"}]}`, id, id))
	if got, want := h.queue("wangwu"), before+" r0/1"; got != want {
		t.Errorf("the reader's queue is %q, want %q", got, want)
	}
}

// TestFormersStayBehindTheComponent: where copies come from users, those of who has left the group do not: clients answer to that
// address, and would tell them who the members are. No kind that they may still send, no phone that comes later and no replay is different.
func TestFormersStayBehindTheComponent(t *testing.T) {
	asUser := func(c *Config) { c.SenderAsUser = true }
	h := start(t, asUser)
	h.blind()
	id := h.makeGroup("zhangsan", "lisi", "wangwu", "zhaoliu") // the owner is no member
	from := func(when string, d []stanza.Delivery, msgIDs ...string) {
		t.Helper()
		got := map[string]string{}
		for _, copies := range d {
			got[copies.ID] = copies.From
		}
		for _, msgID := range msgIDs {
			want := "lisi@" + testComponent
			if msgID[0] == 'z' {
				want = "zhangsan@" + testServer
			} else if when == "then" {
				want = "lisi@" + testServer
			}
			if got[msgID] != want {
				t.Errorf("%s: %s comes from %q, want %s", when, msgID, got[msgID], want)
			}
		}
	}
	h.send("lisi/p", groupText("m0", "lisi", id, "x"))
	h.send("lisi/p", groupText("m1", "lisi", id, "x"))
	h.send("zhangsan/p", groupText("z0", "zhangsan", id, "x"))
	d, _ := h.sender.take()
	from("then", d, "m0", "m1", "z0")

	h.clock.Move(time.Second)
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Remove: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	h.sender.set(func(r *recordingSender) { r.hold = true })
	var late []string
	for name, kind := range h.kinds.named {
		if !kind.late || name == "MTS-107" { // which is the owner's
			continue
		}
		late = append(late, "late "+name)
		h.send("lisi/p", fmt.Sprintf(`{"msg_id":"late %s","msg_type":%q,"msg_from":"lisi","msg_to":%q,"body":[{"session_id":%q,"msg_id":"m0","user_id":"lisi","subscribers":[{"user_id":"lisi"}]}]}`, name, name, id, id))
	}
	if len(late) < 4 {
		t.Fatalf("late kinds: got %q, want at least 4", late)
	}
	d, posts := h.sender.take()
	if strings.Contains(refusals(posts), "error") {
		t.Errorf("answers: %v, want none refused", posts)
	}
	from("late", d, late...)

	h.online("wangwu/p")
	d, _ = h.sender.take()
	from("a phone that comes", d, append(late, "m1", "z0")...)

	h.send("zhangsan/p", groupText("z1", "zhangsan", id, "x"))
	h.sender.take()
	h.kill()
	h.sender.set(func(r *recordingSender) { r.hold = false })
	h.run(asUser)
	h.Up()
	h.sync()
	d, _ = h.sender.take()
	from("again", d, append(late, "z1")...)
}

// TestFormersInOldRows: a member whom a legacy row spells otherwise may send their late notices, as others may.
func TestFormersInOldRows(t *testing.T) {
	h := start(t, nil)
	id := h.makeGroup("zhangsan", "zhangsan")
	for _, old := range []string{"LISI", "lísi", "lİsi", "lisi "} {
		if err := h.db.Apply(t.Context(), h.epoch, store.Positions{}, []store.Change{{Members: []store.Member{{SessionID: id, UserID: old, Since: "1"}}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Remove: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	if got := h.members(id); strings.Contains(got, "LISI") || !strings.Contains(got, "lísi") || !strings.Contains(got, "lİsi") {
		t.Errorf("members: got %s, want lísi and lİsi, not LISI", got)
	}
	for from, want := range map[string]string{"lisi": "acknowledgement", "wangwu": "error-011"} {
		t.Run(from, func(t *testing.T) {
			h.send(from+"/p", fmt.Sprintf(`{"msg_id":"n %s","msg_type":"MTS-104","msg_from":%q,"msg_to":%q,"body":[{"session_id":%q,"user_id":%q}]}`, from, from, id, id, from))
			if _, posts := h.sender.take(); refusals(posts) != want {
				t.Errorf("got %v, want answers %v", posts, want)
			}
		})
	}
}
