package system

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tlim/scripts/lab"
)

// notice composes a group message of that kind; object is added to the session_id.
func notice(kind, from, session, id string, object map[string]any) string {
	o := map[string]any{"session_id": session}
	for k, v := range object {
		o[k] = v
	}
	return lab.NewEnvelope(kind, from, session, id, []map[string]any{o})
}

// A read receipt reaches the author, is counted, waits in the queue of an absent author without being "unread", and rises
// from web to mobile but never back.
func TestReadReceipts(t *testing.T) {
	w := newWorld(t, openfire, nil)
	users := people(t, 3)
	zhao, qian, sun := users[0], users[1], users[2]
	author := w.online(zhao, "1[android]")
	web, phone := w.online(qian, "1[web]"), w.online(qian, "1[ios]")
	session := w.group(zhao, qian, sun)
	status := func(id string, want int) {
		t.Helper()
		list, _ := w.get("findStatusList", "msg_id", id, "sender", zhao)["ofStatusList"].([]any)
		if len(list) != 1 {
			t.Fatalf("%s: got %v, want one", id, list)
		}
		if r := list[0].(map[string]any); r["reader"] != qian || r["sender"] != zhao || r["status"] != float64(want) {
			t.Errorf("%s: %v, want status %d", id, r, want)
		}
	}

	t.Run("1:1", func(t *testing.T) {
		w := w.in(t)
		id, receipt := lab.NewID(), lab.NewID()
		w.send(author, id, lab.Text(zhao, qian, id, "read me"))
		w.receive(web, id)
		w.receive(phone, id)
		check(t, web.SendMessage(w.component, receipt, lab.ReadReceipt(qian, zhao, receipt, id)))
		got := w.receive(author, receipt)
		if !got.Is("MTT-100", receipt) || got.Has("request", "urn:xmpp:receipts") {
			t.Errorf("the author got %s, want an MTT-100 that asks for no confirmation", got.Raw)
		}
		if m := w.receive(phone, receipt); m.Subject != "ASYNC" {
			t.Errorf("the reader's other device: got %s, want it as ASYNC", m.Raw)
		}
		status(id, 1)
		receipt = lab.NewID()
		check(t, phone.SendMessage(w.component, receipt, lab.ReadReceipt(qian, zhao, receipt, id)))
		w.receive(author, receipt)
		status(id, 2)
		receipt = lab.NewID()
		check(t, web.SendMessage(w.component, receipt, lab.ReadReceipt(qian, zhao, receipt, id)))
		w.receive(author, receipt)
		status(id, 2)
		list, _ := w.get("findChatRead", "msg_from", zhao, "msg_to", qian, "start", "0", "length", "10")["messageReadList"].([]any)
		if len(list) != 1 || list[0].(map[string]any)["msg_id"] != id || list[0].(map[string]any)["readNum"] != float64(1) {
			t.Errorf("findChatRead: got %v, want %v, read once", list, id)
		}
	})
	t.Run("group", func(t *testing.T) {
		w := w.in(t)
		first, second, receipt := lab.NewID(), lab.NewID(), lab.NewID()
		for _, id := range []string{first, second} {
			w.send(author, id, lab.GroupText(zhao, session, id, "read me"))
			w.receive(web, id)
		}
		check(t, web.SendMessage(w.component, receipt, lab.GroupReadReceipt(qian, session, receipt, first, second)))
		if got := w.receive(author, receipt); !got.Is("MTS-100", receipt) {
			t.Errorf("the author got %s, want the MTS-100 %s", got.Raw, receipt)
		}
		list, _ := w.get("findSessionRead", "session_id", session, "sender", zhao, "start", "0", "length", "10")["messageReadList"].([]any)
		read := map[any]any{}
		for _, o := range list {
			read[o.(map[string]any)["msg_id"]] = o.(map[string]any)["readNum"]
		}
		if len(read) != 2 || read[first] != float64(1) || read[second] != float64(1) {
			t.Errorf("findSessionRead: %v, want the two messages, read by one each", list)
		}
	})
	t.Run("absent author", func(t *testing.T) {
		w := w.in(t)
		// Sun wrote and left.
		away := w.online(sun, "1")
		id, receipt := lab.NewID(), lab.NewID()
		w.send(away, id, lab.Text(sun, qian, id, "bye"))
		w.receive(web, id)
		check(t, away.Close())
		w.takeQueue(sun) // what the group said
		check(t, web.SendMessage(w.component, receipt, lab.ReadReceipt(qian, sun, receipt, id)))
		await(t, within(t, soon), "the receipt in the queue", func() (bool, error) { return slices.Contains(w.queue(sun).ids(), receipt), nil })
		if w.unread(sun) {
			t.Error("a read receipt alone counts as unread, want nothing unread")
		}
	})
	t.Run("not the reader's", func(t *testing.T) {
		w := w.in(t)
		stranger := w.online(sun, "2")
		id, receipt := lab.NewID(), lab.NewID()
		w.send(author, id, lab.Text(zhao, qian, id, "for qian"))
		check(t, stranger.SendMessage(w.component, receipt, lab.ReadReceipt(sun, zhao, receipt, id)))
		if code, _, _ := w.refused(stranger, receipt); code != "error-011" {
			t.Errorf("code %s, want error-011", code)
		}
		if list, _ := w.get("findStatusList", "msg_id", id, "sender", zhao)["ofStatusList"].([]any); len(list) != 0 {
			t.Errorf("got %v, want none", list)
		}
	})
}

// A revoke takes the message out of history, queues and receipts, and is itself in history; only the author may, in a group
// the owner too; a message that comes after its revoke goes nowhere.
func TestRevoke(t *testing.T) {
	w := newWorld(t, openfire, nil)
	users := people(t, 4)
	zhao, qian, sun, absent := users[0], users[1], users[2], users[3]
	author, reader, third := w.online(zhao, "1"), w.online(qian, "1"), w.online(sun, "1")
	session := w.group(qian, zhao, sun, absent) // qian owns it

	t.Run("1:1", func(t *testing.T) {
		w := w.in(t)
		id, revoke := lab.NewID(), lab.NewID()
		w.send(author, id, lab.Text(zhao, absent, id, "oops"))
		if !slices.Contains(w.queue(absent).ids(), id) {
			t.Fatalf("queue: got %v, want %q in it", w.queue(absent).ids(), id)
		}
		w.send(author, revoke, lab.Revoke(zhao, absent, revoke, id))
		if got := w.queue(absent).ids(); slices.Contains(got, id) || !slices.Contains(got, revoke) {
			t.Errorf("queue: got %v, want %[3]q in it, not %[2]q", got, id, revoke)
		}
		if got := w.chatHistory(zhao, absent).ids(); slices.Contains(got, id) || !slices.Contains(got, revoke) {
			t.Errorf("history: got %v, want %[3]q in it, not %[2]q", got, id, revoke)
		}
		// Sent again by a client that missed the receipt: told so, and not brought back to life.
		w.send(author, id, lab.Text(zhao, absent, id, "oops"))
		if got := w.chatHistory(zhao, absent).ids(); slices.Contains(got, id) {
			t.Errorf("history after it was sent again: got %v, want the revoked %q not in it", got, id)
		}
	})
	t.Run("group, by its owner", func(t *testing.T) {
		w := w.in(t)
		id, read, revoke := lab.NewID(), lab.NewID(), lab.NewID()
		w.send(author, id, lab.GroupText(zhao, session, id, "oops"))
		w.receive(third, id)
		check(t, third.SendMessage(w.component, read, lab.GroupReadReceipt(sun, session, read, id)))
		w.receive(author, read)
		w.send(reader, revoke, lab.GroupRevoke(qian, session, revoke, id))
		w.receive(third, revoke)
		if got := w.groupHistory(session).ids(); slices.Contains(got, id) || !slices.Contains(got, revoke) {
			t.Errorf("history: got %v, want %[3]q in it, not %[2]q", got, id, revoke)
		}
		if got := w.queue(absent).ids(); slices.Contains(got, id) || !slices.Contains(got, revoke) {
			t.Errorf("queue: got %v, want %[3]q in it, not %[2]q", got, id, revoke)
		}
		if list, _ := w.get("findStatusList", "msg_id", id, "sender", zhao)["ofStatusList"].([]any); len(list) != 0 {
			t.Errorf("receipts: got %v, want none", list)
		}
	})
	t.Run("by another", func(t *testing.T) {
		w := w.in(t)
		id, revoke := lab.NewID(), lab.NewID()
		w.send(author, id, lab.GroupText(zhao, session, id, "mine"))
		check(t, third.SendMessage(w.component, revoke, lab.GroupRevoke(sun, session, revoke, id)))
		if code, condition, _ := w.refused(third, revoke); code != "error-011" || condition != "forbidden" {
			t.Errorf("code %s %s, want error-011, condition forbidden", code, condition)
		}
		if got := w.groupHistory(session).ids(); !slices.Contains(got, id) {
			t.Errorf("history: got %v, want %q in it still", got, id)
		}
	})
	t.Run("revoke first", func(t *testing.T) {
		w := w.in(t)
		id, revoke, after := lab.NewID(), lab.NewID(), lab.NewID()
		w.send(author, revoke, lab.Revoke(zhao, qian, revoke, id))
		w.receive(reader, revoke) // it may hold the message from elsewhere
		w.send(author, id, lab.Text(zhao, qian, id, "late"))
		w.send(author, after, lab.Text(zhao, qian, after, "after"))
		w.receive(reader, after)
		for _, m := range reader.Drain() {
			if m.ID == id {
				t.Errorf("the receiver got %s after its revoke, want nothing", m.Raw)
			}
		}
	})
}

// A group dissolves by HTTP and by its owner's MTS-107, once however often it is said; each member gets an MTS-107 of the
// server's, the absent one in the queue; everything else of the group is gone, and late notices are taken without an error.
func TestDissolve(t *testing.T) {
	w := newWorld(t, openfire, nil)
	users := people(t, 3)
	owner, member, absent := users[0], users[1], users[2]
	boss, worker := w.online(owner, "1"), w.online(member, "1")
	for _, way := range []string{"HTTP", "MTS-107", "both"} {
		t.Run(way, func(t *testing.T) {
			w := w.in(t)
			session := w.group(owner, member, absent)
			id := lab.NewID()
			w.send(boss, id, lab.GroupText(owner, session, id, "hello"))
			w.receive(worker, id)

			if way == "MTS-107" {
				refused := lab.NewID()
				check(t, worker.SendMessage(w.component, refused, notice("MTS-107", member, session, refused, nil)))
				if code, _, _ := w.refused(worker, refused); code != "error-011" {
					t.Errorf("dissolved by a member: got %s, want error-011", code)
				}
			}
			if way != "MTS-107" {
				w.get("dissolved", "session_id", session)
			}
			if way != "HTTP" {
				said := lab.NewID()
				w.send(boss, said, notice("MTS-107", owner, session, said, nil))
			}
			w.get("dissolved", "session_id", session) // again: ok

			for user, device := range map[string]*lab.Client{owner: boss, member: worker} {
				m, err := device.WaitFor(within(t, soon), func(m lab.Message) bool { return m.Is("MTS-107", "") && strings.Contains(m.Body, session) })
				check(t, err)
				env := must[lab.Envelope](t)(m.Envelope())
				body, err := env.Objects()
				if err != nil || env.From != user || env.To != user || body[0]["session_id"] != session {
					t.Errorf("%s: got %s, want one of and to %v in %v", device.JID, m.Raw, user, session)
				}
			}
			queue := w.takeQueue(absent)
			if len(queue.List) != 1 || queue.List[0].Type != "MTS-107" || queue.List[0].Group != session {
				t.Errorf("the queue of the absent: got %v, want an MTS-107 of %v alone", queue.List, session)
			}
			for _, path := range []string{"findSession", "findSubscribers", "findSessionHistory"} {
				answer := must[map[string]any](t)(w.tlim.Get(within(t, soon), path, pairs("session_id", session, "start", "0", "length", "10")))
				if answer["result"] != "error-009" || answer["session_id"] != session {
					t.Errorf("%s: got %v, want error-009, session_id %v", path, answer, session)
				}
			}
			late, dead := lab.NewID(), lab.NewID()
			w.send(worker, late, notice("MTS-104", member, session, late, map[string]any{"user_id": member, "user_name": "x"}))
			check(t, worker.SendMessage(w.component, dead, lab.GroupText(member, session, dead, "anybody?")))
			if code, condition, _ := w.refused(worker, dead); code != "error-009" || condition != "item-not-found" {
				t.Errorf("a message to a group that is gone: got %s %s, want error-009, condition item-not-found", code, condition)
			}
			for _, device := range []*lab.Client{boss, worker} {
				for _, m := range device.Drain() {
					if m.ID == late || m.Is("MTS-107", "") {
						t.Errorf("%s got %s, want neither a late notice nor a second MTS-107", device.JID, m.Raw)
					}
				}
			}
		})
	}
}

// Clients call HTTP first and send the notice afterwards: who was removed may still say so, and is told so.
func TestLateNotices(t *testing.T) {
	w := newWorld(t, openfire, nil)
	users := people(t, 3)
	owner, leaver, other := users[0], users[1], users[2]
	boss, gone, rest := w.online(owner, "1"), w.online(leaver, "1"), w.online(other, "1")
	session := w.group(owner, leaver, other)
	mine := lab.NewID()
	w.send(gone, mine, lab.GroupText(leaver, session, mine, "mine"))
	w.get("modifySession", "session_id", session, "subscribers", `[{user_id:"`+leaver+`",type:"del"}]`)

	removed := lab.NewID()
	w.send(boss, removed, notice("MTS-103", owner, session, removed, map[string]any{"subscribers": []map[string]string{{"user_id": leaver, "user_name": "x"}}}))
	for _, device := range []*lab.Client{boss, gone, rest} {
		w.receive(device, removed) // the removed one too
	}
	left := lab.NewID()
	w.send(gone, left, notice("MTS-104", leaver, session, left, map[string]any{"user_id": leaver, "user_name": "x"}))
	w.receive(rest, left)
	revoke := lab.NewID()
	w.send(gone, revoke, lab.GroupRevoke(leaver, session, revoke, mine))
	w.receive(rest, revoke)
	talk := lab.NewID()
	check(t, gone.SendMessage(w.component, talk, lab.GroupText(leaver, session, talk, "still here?")))
	if code, _, _ := w.refused(gone, talk); code != "error-011" {
		t.Errorf("a removed member talks: got %s, want error-011", code)
	}
	after := lab.NewID()
	w.send(boss, after, lab.GroupText(owner, session, after, "without you"))
	w.receive(rest, after)
	ping := lab.NewID()
	w.send(boss, ping, lab.Text(owner, leaver, ping, "are you there"))
	w.receive(gone, ping)
	for _, m := range gone.Drain() {
		if m.ID == after {
			t.Errorf("a removed member got %s, want nothing of the group", m.Raw)
		}
	}
	if got := w.groupHistory(session).ids(); slices.Contains(got, mine) || !slices.Contains(got, left) {
		t.Errorf("history: got %v, want %[3]q in it, not %[2]q", got, mine, left)
	}
}

// An integrator pushes an approval by GET with JSON as the documents show it: unquoted keys, single quotes.
func TestApproval(t *testing.T) {
	w := newWorld(t, openfire, nil)
	users := people(t, 3)
	here, absent, web := users[0], users[1], users[2]
	w.known(users...)
	phone, browser := w.online(here, "1"), w.online(web, "1[web]")
	params := `[{bizId:'1001',docTitle:"请假 \u0041; [ {& 😀",solId:"s",spType:'1052M001',wzType:"w",taskId:12,}]`
	w.get("approval", "params", params, "msgTo", here+","+absent+","+web)
	ids := map[string]bool{}
	for _, device := range []*lab.Client{phone, browser} {
		m := must[lab.Message](t)(device.WaitFor(within(t, soon), func(m lab.Message) bool { return m.Is("MTB-000", "") }))
		env := must[lab.Envelope](t)(m.Envelope())
		body, err := env.Objects()
		if err != nil || m.From != "admin@"+w.component || env.From != "admin" || body[0]["docTitle"] != "请假 A; [ {& 😀" || body[0]["spType"] != "1052M001" {
			t.Errorf(`got %s, want one from %s with docTitle "请假 A; [ {& 😀" and spType 1052M001`, m.Raw, "admin@"+w.component)
		}
		var text string
		if json.Unmarshal(env.Body, &text) != nil {
			t.Errorf("got the body %s, want it as a string, as shipped clients expect it", env.Body)
		}
		ids[env.ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("two receivers got the msg_ids %v, want one for each", ids)
	}
	for user, status := range map[string]int{absent: 0, web: 1} {
		queue := w.queue(user)
		if len(queue.List) != 1 || queue.List[0].Status != status || queue.List[0].From != "admin" || queue.List[0].Type != "MTB-000" || queue.List[0].Owner != user ||
			queue.List[0].Group != "admin" || queue.List[0].To != "admin" || objects(t, queue.List[0].Body)[0]["docTitle"] != "请假 A; [ {& 😀" {
			t.Errorf(`queue of %s: got %+v, want one row of status %v, an MTB-000 of admin with docTitle "请假 A; [ {& 😀"`, user, queue.List, status)
		}
		if !w.unread(user) {
			t.Errorf("%s has nothing unread, want the approval unread", user)
		}
	}
	list := w.rows("findSystemHistory", "msg_to", absent, "type", "MTB", "start", "0", "length", "max")
	if list.Total != 1 || list.List[0].Type != "MTB-000" {
		t.Errorf("findSystemHistory: got %v, want one MTB-000", list)
	}
	for _, bad := range []string{``, `{`, `[]`, `hello`, `[{a:"\u0001`} {
		t.Run(fmt.Sprintf("params %q", bad), func(t *testing.T) {
			answer := must[map[string]any](t)(w.tlim.Get(within(t, soon), "approval", pairs("params", bad, "msgTo", here)))
			if answer["result"] == "ok" {
				t.Errorf("got %v, want it refused", answer)
			}
		})
	}
}

// getOffline clears exactly what it answered: not what came meanwhile, not what lies before its cut-off.
func TestQueueClearsExactly(t *testing.T) {
	w := newWorld(t, openfire, nil)
	users := people(t, 2)
	sender, absent := users[0], users[1]
	w.known(users...)
	c := w.online(sender, "1")
	var ids []string
	add := func() string {
		id := lab.NewID()
		w.send(c, id, lab.Text(sender, absent, id, fmt.Sprint(len(ids))))
		ids = append(ids, id)
		return id
	}
	for range 5 {
		add()
	}
	queue := w.queue(absent)
	if fmt.Sprint(queue.ids()) != fmt.Sprint(ids) || !w.unread(absent) {
		t.Fatalf("queue: got %v, unread %v, want %v, unread", queue.ids(), w.unread(absent), ids)
	}
	for _, m := range queue.List {
		if m.Owner != absent || m.Group != sender || m.To != sender || m.Status != 0 {
			t.Errorf(`row %+v, want one of %v in %s, of status 0`, m, absent, sender)
		}
	}
	// From the third on; the two before stay.
	if got := w.rows("getOffline", "user_id", absent, "msg_id", ids[2]).ids(); fmt.Sprint(got) != fmt.Sprint(ids[2:]) {
		t.Errorf("from the third: got %v, want %v", got, fmt.Sprint(ids[2:]))
	}
	if got := w.queue(absent).ids(); fmt.Sprint(got) != fmt.Sprint(ids[:2]) {
		t.Errorf("what is left: got %v, want %v", got, fmt.Sprint(ids[:2]))
	}
	sixth := add()
	if got := w.rows("getOffline", "user_id", absent, "getThenClear", "1", "clear", ids[0]).ids(); fmt.Sprint(got) != fmt.Sprint([]string{ids[1], sixth}) {
		t.Errorf("after naming the first: got %v, want %v", got, []string{ids[1], sixth})
	}
	if got := w.takeQueue(absent).ids(); fmt.Sprint(got) != fmt.Sprint([]string{ids[1], sixth}) {
		t.Errorf("asked once more: got %v, want %v", got, []string{ids[1], sixth})
	}
	if got := w.takeQueue(absent).ids(); len(got) != 0 || w.unread(absent) {
		t.Errorf("after all was taken: got %v, unread %v, want none and nothing unread", got, w.unread(absent))
	}
}

// presence is what findPresence says of each member of a group.
func (w *world) presence(session string) map[string]string {
	w.t.Helper()
	var list []struct {
		UserID string `json:"user_id"`
		Status string `json:"status"`
	}
	check(w.t, w.tlim.Call(within(w.t, soon), "GET", "findPresence", pairs("session_id", session), &list))
	got := map[string]string{}
	for _, p := range list {
		got[p.UserID] = p.Status
	}
	return got
}

// findPresence says of each member what their best device shows, also of clients that never heard of tlim.
func TestPresence(t *testing.T) {
	w := newWorld(t, openfire, nil)
	users := people(t, 5)
	session := w.group(users...)
	w.login(users[0], "1", lab.WithPresence("", 0))
	w.login(users[1], "1", lab.WithPresence("away", 0))
	w.login(users[2], "1", lab.WithPresence("dnd", 5))
	w.login(users[2], "2", lab.WithPresence("", 1))
	w.login(users[3], "1", lab.WithPresence("away", 1))
	two := w.login(users[3], "2[web]", lab.WithPresence("", 2))
	want := map[string]string{users[0]: "available", users[1]: "away", users[2]: "offline", users[3]: "available", users[4]: "offline"}
	await(t, within(t, soon), fmt.Sprint("findPresence to answer ", want), func() (bool, error) {
		got := w.presence(session)
		return fmt.Sprint(got) == fmt.Sprint(want), fmt.Errorf("it answers %v", got)
	})
	two.Kill()
	want[users[3]] = "away"
	await(t, within(t, soon), "a killed device to be gone", func() (bool, error) {
		got := w.presence(session)
		return fmt.Sprint(got) == fmt.Sprint(want), fmt.Errorf("it answers %v", got)
	})
}
