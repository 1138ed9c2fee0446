package component

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/component/doubles"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/unconfirmed"
	"tlim/store"
)

var alarmBot = protocol.Robot{ID: "Alarm-Bot", Name: "告警"}

// says is a text that the robot of these tests sends.
func (h *harness) says(sp Speech, text string) (Spoken, error) {
	sp.Robot = alarmBot
	body := fmt.Sprintf(`{"text":%q}`, text)
	if sp.Type == "" {
		sp.Type = "MTT-000"
	} else {
		body = fmt.Sprintf(`{"text":%q,"session_id":%q}`, text, sp.To)
	}
	sp.Body = "[" + body + "]"
	return h.Speak(h.t.Context(), sp)
}

// wants looks for the code of a refusal; "" for none.
func wants(t *testing.T, what string, err error, code protocol.Code) {
	t.Helper()
	var refused *protocol.Error
	if errors.As(err, &refused) != (code != "") || refused != nil && refused.Code != code || err != nil && refused == nil {
		t.Errorf("%s: got %v, want %q", what, err, code)
	}
}

// TestRobotSpeaks: what a robot says goes to people like a person's message, once, under every way of sending.
func TestRobotSpeaks(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		blind  bool
	}{
		{"auto", nil, false},
		{"nobody tells who is there", nil, true},
		{"bare", func(c *Config) { c.Delivery = DeliverToBare }, true},
		{"sender user", func(c *Config) { c.SenderAsUser = true }, false},
		{"never acknowledged", func(c *Config) { c.Acknowledgements = AcknowledgementsNever }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t, c.change)
			h.online("lisi/phone")
			if c.blind {
				h.blind()
			}

			// 1. To a user.
			first, err := h.says(Speech{To: "lisi", MsgID: "m1"}, "你好\n👍")
			if err != nil || first.MsgID != "m1" || first.Time == "" {
				t.Fatalf("got %v, %v, want m1 and its time", first, err)
			}
			h.sync()
			d, posts := h.sender.take()
			if got := addresses(d, "m1"); !strings.Contains(got, "lisi@im.test") || strings.Contains(got, "alarm-bot") {
				t.Errorf("sent to %q, want lisi alone", got)
			}
			if len(d) != 1 || d[0].From != "alarm-bot@tlim.im.test" || !strings.Contains(string(d[0].Payload), `\n👍`) || len(posts) > 0 {
				t.Errorf("got %v and posts %v, want one delivery from alarm-bot@tlim.im.test and no post", d, posts)
			}

			// 2. Again: the same answer, and nothing else.
			h.clock.Move(time.Second)
			if again, err := h.says(Speech{To: "lisi", MsgID: "m1"}, "你好\n👍"); err != nil || again != first {
				t.Errorf("repeated: got %v, %v, want %v", again, err, first)
			}
			_, err = h.says(Speech{To: "lisi", MsgID: "m1"}, "something else")
			wants(t, "another text under the id", err, protocol.IDConflict)
			_, err = h.says(Speech{To: "wangwu", MsgID: "m1"}, "你好\n👍")
			wants(t, "another receiver under the id", err, protocol.IDConflict)
			byKey, err := h.says(Speech{To: "lisi", Caller: "oa", Key: "k"}, "by key")
			wants(t, "by key", err, "")
			if again, err := h.says(Speech{To: "lisi", Caller: "oa", Key: "k"}, "by key"); err != nil || again != byKey {
				t.Errorf("repeated by its key: got %v, %v, want %v", again, err, byKey)
			}
			_, err = h.says(Speech{To: "lisi", Caller: "oa", Key: "k"}, "else")
			wants(t, "another text under the key", err, protocol.IDConflict)
			if other, err := h.says(Speech{To: "lisi", Caller: "crm", Key: "k"}, "by key"); err != nil || other.MsgID == byKey.MsgID {
				t.Errorf("another caller's key: got %v, %v, want another message", other, err)
			}
			h.sync()
			if d, _ := h.sender.take(); len(d) != 2 {
				t.Errorf("got %d deliveries, want those of the two keys", len(d))
			}
			if found, err := h.db.MessagesByID(t.Context(), []string{"m1"}); err != nil || len(found["m1"]) != 1 || found["m1"][0].From != "Alarm-Bot" {
				t.Errorf("got %v, %v, want one row from Alarm-Bot", found, err)
			}

			// 3. To a group: as a member, and not to itself.
			group := h.makeGroup("zhangsan", "zhangsan", "lisi")
			_, err = h.says(Speech{To: group, Type: "MTS-000", MsgID: "g1"}, "x")
			wants(t, "no member", err, protocol.NotAllowed)
			_, err = h.says(Speech{To: "nowhere", Type: "MTS-000", MsgID: "g2"}, "x")
			wants(t, "no group", err, protocol.NoSuchGroup)
			if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: group, Add: []string{"alarm-bot"}}); err != nil {
				t.Fatal(err)
			}
			_, err = h.says(Speech{To: group, Type: "MTS-000", MsgID: "g1"}, "x")
			wants(t, "a member", err, "")
			h.send("lisi/phone", groupText("g3", "lisi", group, "answer"))
			h.send("lisi/phone", text("a1", "lisi", "alarm-bot", "answer"))
			d, _ = h.sender.take()
			for _, id := range []string{"g1", "g3", "a1"} {
				if got := addresses(d, id); strings.Contains(got, "alarm-bot") || id != "a1" && !strings.Contains(got, "lisi@im.test") {
					t.Errorf("%s: sent to %q, want lisi and never the robot", id, got)
				}
			}
			if got := h.queue("Alarm-Bot"); got != "a1/0" {
				t.Errorf("the robot's queue: got %q, want what was written to it alone", got)
			}
			if got := h.queue("zhangsan"); !strings.Contains(got, "g1/0") {
				t.Errorf("the queue of an absent member: got %q, want g1 in it", got)
			}

			// 4. It revokes its own.
			_, err = h.Speak(t.Context(), Speech{Robot: alarmBot, Type: "MTT-101", To: "lisi", Body: `[{"msg_id":"m1"}]`})
			wants(t, "revoke", err, "")
			if found, err := h.db.MessagesByID(t.Context(), []string{"m1"}); err != nil || len(found["m1"]) != 0 {
				t.Errorf("after the revoke: got %v, %v, want no row", found, err)
			}
			_, err = h.Speak(t.Context(), Speech{Robot: alarmBot, Type: "MTT-101", To: "lisi", Body: `[{"msg_id":"a1"}]`})
			wants(t, "revoke of a person's message", err, protocol.NotAllowed)
		})
	}
}

// TestRobotIsNobodyElse: it takes nobody's id, and nobody takes its.
func TestRobotIsNobodyElse(t *testing.T) {
	finder := &doubles.Finder{There: []string{"account"}}
	h := newHarness(t)
	h.asked = finder
	h.begin(nil)
	keep := func(id, name string) error { return h.KeepRobot(t.Context(), protocol.Robot{ID: id, Name: name}) }

	wants(t, "a user's id", keep("LiSi", "x"), protocol.UserIDInvalid)
	wants(t, "an account's id", keep("account", "x"), protocol.UserIDInvalid)
	wants(t, "admin", keep("admin", "x"), protocol.UserIDInvalid)
	wants(t, "no address", keep(" x", "x"), protocol.UserIDInvalid)
	if err := h.RemoveUsers(t.Context(), []string{"wangwu"}); err != nil {
		t.Fatal(err)
	}
	wants(t, "the id of somebody who has left", keep("wangwu", "x"), protocol.UserIDInvalid)
	wants(t, "its own", keep("Alarm-Bot", "告警"), "")
	wants(t, "again", keep("Alarm-Bot", "告警"), "")
	wants(t, "renamed", keep("Alarm-Bot", "值班"), "")
	found, err := h.db.UsersByJID(t.Context(), []string{"alarm-bot"})
	if want := (store.User{ID: "Alarm-Bot", JID: "alarm-bot", Name: "值班", Robot: true}); err != nil || found["alarm-bot"] != want {
		t.Errorf("got %+v, %v, want %+v", found, err, want)
	}

	wants(t, "addUser of a robot", h.AddUsers(t.Context(), []store.User{{ID: "alarm-bot", Name: "x"}}), protocol.UserIDInvalid)
	wants(t, "removeUser of a robot", h.RemoveUsers(t.Context(), []string{"alarm-bot"}), protocol.UserIDInvalid)
	h.Stanza(stanza.Stanza{Name: "presence", From: "alarm-bot@im.test/x", To: testComponent})
	h.send("alarm-bot/x", text("f1", "alarm-bot", "lisi", "forged"))
	if d, posts := h.sender.take(); len(d) != 0 || refusals(posts) != "error-011" {
		t.Errorf("an account of its name sends: got %v, %v, want error-011", d, posts)
	}

	// Who is declared no more has left, and a new declaration brings them back; a user of that name is a person then.
	wants(t, "declared no more", h.KeepRobots(t.Context(), nil), "")
	found, err = h.db.UsersByJID(t.Context(), []string{"alarm-bot"})
	if err != nil || !found["alarm-bot"].Left {
		t.Errorf("declared no more: got %+v, %v, want it left", found, err)
	}
	wants(t, "declared again", h.KeepRobots(t.Context(), []protocol.Robot{alarmBot}), "")
	wants(t, "declared no more", h.KeepRobots(t.Context(), nil), "")
	wants(t, "addUser of what was a robot", h.AddUsers(t.Context(), []store.User{{ID: "alarm-bot", Name: "x"}}), "")
	if h.IsRobot("alarm-bot") {
		t.Error("got a robot still, want a person")
	}
	wants(t, "a robot again", keep("alarm-bot", "x"), protocol.UserIDInvalid)
}

// TestRobotIsNobodyElseBeforeItIsMade: while the server cannot say whose account has its name, nobody takes its id either; a person who has it already stays one.
func TestRobotIsNobodyElseBeforeItIsMade(t *testing.T) {
	h := start(t, nil)
	h.Down(errors.New("no link"))
	err := h.KeepRobots(t.Context(), []protocol.Robot{alarmBot, {ID: "LISI", Name: "x"}})
	if !errors.Is(err, protocol.ErrUnavailable) {
		t.Fatalf("without a link: got %v, want none made", err)
	}
	wants(t, "addUser of a robot to be", h.AddUsers(t.Context(), []store.User{{ID: "wangwu", Name: "x"}, {ID: "ALARM-bot", Name: "x"}}), protocol.UserIDInvalid)
	wants(t, "removeUser of a robot to be", h.RemoveUsers(t.Context(), []string{"alarm-bot"}), protocol.UserIDInvalid)
	wants(t, "addUser of a person whose id a robot cannot have", h.AddUsers(t.Context(), []store.User{{ID: "lisi", Name: "x"}}), "")
	h.Up()
	h.sync()
	err = h.KeepRobots(t.Context(), []protocol.Robot{alarmBot, {ID: "LISI", Name: "x"}})
	wants(t, "a robot of lisi's id", err, protocol.UserIDInvalid)
	if !h.IsRobot("alarm-bot") || h.IsRobot("lisi") {
		t.Error("got another, want alarm-bot alone made a robot")
	}
}

// TestRobotReceivers: who cannot be written to is refused in words, but what was sent before is answered as it was.
func TestRobotReceivers(t *testing.T) {
	h := start(t, nil)
	first, err := h.says(Speech{To: "wangwu", MsgID: "m1"}, "x")
	wants(t, "to somebody", err, "")
	if err := h.RemoveUsers(t.Context(), []string{"wangwu"}); err != nil {
		t.Fatal(err)
	}
	if again, err := h.says(Speech{To: "wangwu", MsgID: "m1"}, "x"); err != nil || again != first {
		t.Errorf("repeated after they left: got %v, %v, want %v", again, err, first)
	}
	for _, to := range []string{"wangwu", "nobody-known", "admin", " x"} {
		t.Run(fmt.Sprintf("%q", to), func(t *testing.T) {
			_, err := h.says(Speech{To: to, MsgID: "to " + to}, "x")
			wants(t, "to "+to, err, protocol.UserIDInvalid)
		})
	}
	_, err = h.says(Speech{To: "lisi", MsgID: "long"}, strings.Repeat("长", 3001))
	wants(t, "a long text", err, protocol.TooLarge)
}

// TestRobotRate: a robot sends as much as one user may, whoever else sends.
func TestRobotRate(t *testing.T) {
	h := start(t, func(c *Config) { c.UserRate, c.UserBurst = 1, 3 })
	for i := range 3 {
		_, err := h.says(Speech{To: "lisi", MsgID: fmt.Sprint("m", i)}, "x")
		wants(t, "within the rate", err, "")
	}
	_, err := h.says(Speech{To: "lisi", MsgID: "m3"}, "x")
	wants(t, "beyond the rate", err, protocol.TryLater)
	h.rec.set(func(r *recordingStore) {
		r.users = func([]string) error { return errors.New("asked of the database") }
	})
	_, err = h.says(Speech{To: "never-asked-about", MsgID: "m4"}, "x")
	wants(t, "beyond the rate, to somebody who would have to be looked up", err, protocol.TryLater)
	h.rec.set(func(r *recordingStore) { r.users = nil })
	h.send("zhangsan/p", text("z1", "zhangsan", "lisi", "x"))
	if _, posts := h.sender.take(); refusals(posts) != "acknowledgement" {
		t.Errorf("another sender: got %v, want an acknowledgement", posts)
	}
	h.clock.Move(time.Second)
	_, err = h.says(Speech{To: "lisi", MsgID: "m3"}, "x")
	wants(t, "a second later", err, "")
}

// TestRobotAfterKill: a message whose answer was lost with the process is there once when it is repeated, and a restart gives a robot no
// rows of a group.
func TestRobotAfterKill(t *testing.T) {
	h := start(t, nil)
	group := h.makeGroup("lisi", "lisi", "zhangsan")
	first, err := h.says(Speech{To: "lisi", Caller: "oa", Key: "k"}, "x")
	wants(t, "first", err, "")
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: group, Add: []string{"alarm-bot"}}); err != nil {
		t.Fatal(err)
	}
	h.send("zhangsan/p", groupText("g1", "zhangsan", group, "x"))
	h.kill()
	h.run(nil)
	h.Up()
	h.sync()
	if again, err := h.says(Speech{To: "lisi", Caller: "oa", Key: "k"}, "x"); err != nil || again != first {
		t.Errorf("repeated: got %v, %v, want %v", again, err, first)
	}
	if got := h.queue("lisi"); strings.Count(got, first.MsgID) != 1 {
		t.Errorf("got queue %q, want %s once", got, first.MsgID)
	}
	if got := h.queue("Alarm-Bot"); got != "" {
		t.Errorf("the robot's queue: got %q, want nothing of a group", got)
	}
}

// TestRobotQueueIsBounded: what nobody reads does not grow for ever.
func TestRobotQueueIsBounded(t *testing.T) {
	h := newHarness(t)
	h.tune = func(s *Service) { s.robotQueues.limit = 10 }
	h.begin(nil)
	wants(t, "made", h.KeepRobot(t.Context(), alarmBot), "")
	var want []string
	for i := range 13 {
		h.send("zhangsan/p", text(fmt.Sprint("m", i), "zhangsan", "alarm-bot", "x"))
		if i >= 3 {
			want = append(want, fmt.Sprintf("m%d/0", i))
		}
	}
	if n, err := h.trimRobotQueue(t.Context(), "Alarm-Bot"); err != nil || n != 3 {
		t.Errorf("got %d removed, %v, want the 3 oldest", n, err)
	}
	if got := h.queue("Alarm-Bot"); got != strings.Join(want, " ") {
		t.Errorf("got queue %q, want %q", got, strings.Join(want, " "))
	}
	if found, err := h.db.MessagesByID(t.Context(), []string{"m0"}); err != nil || len(found["m0"]) != 1 {
		t.Errorf("got %v, %v, want the message in the history", found, err)
	}
	if seen, _ := h.Look("m0", []string{"Alarm-Bot"}); seen[0].Proof != unconfirmed.ProofNone {
		t.Errorf("got proof %v of what was trimmed, want none: nobody has fetched it", seen[0].Proof)
	}

	// The first row of a process is a reason to look, and then each robotQueueStep rows.
	q := newRobotQueues()
	looks := 0
	for range 2*(robotQueueStep+1) + 1 {
		q.note([]protocol.Person{{ID: "a"}})
		looks += len(q.take())
	}
	if looks != 3 {
		t.Errorf("got %d looks, want 3", looks)
	}
}
