package component

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"tlim/component/doubles"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

func copiesOf(d []stanza.Delivery) string {
	var list []string
	for _, c := range d {
		to := make([]string, 0, len(c.To))
		for _, target := range c.To {
			to = append(to, target.JID)
		}
		list = append(list, c.ID+">"+strings.Join(to, ","))
	}
	return strings.Join(list, " ")
}

// TestKilledWithoutQueue: a kind that is stored and waits for nobody is delivered again, and gets no rows.
func TestKilledWithoutQueue(t *testing.T) {
	h := newHarness(t)
	h.tune = func(s *Service) {
		s.kinds.named["MTT-150"] = &Kind{Name: "MTT-150", Stored: true, scope: scopeChat, confirm: true, act: actChat}
	}
	h.begin(nil)
	h.online("lisi/p")
	h.clock.Move(time.Second)
	h.sender.set(func(r *recordingSender) { r.hold = true })
	h.send("zhangsan/p", strings.Replace(text("m1", "zhangsan", "lisi", "of the moment"), "MTT-000", "MTT-150", 1))
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "waits"))
	h.sender.take()
	h.kill()

	h.run(nil)
	h.Up()
	h.sync()
	if got := h.queue("lisi"); got != "m2/0" {
		t.Errorf("rows: got %q, want those of m2", got)
	}
	again, _ := h.sender.take()
	if got, want := copiesOf(again), "m1>lisi@im.test/p m2>lisi@im.test/p"; got != want {
		t.Errorf("delivered again: got %s, want %s", got, want)
	}
}

// TestKilled: after a kill everything above the proven position is delivered again, in order and under the same ids, and
// everybody has a row of what was not settled.
func TestKilled(t *testing.T) {
	h := start(t, nil)
	group := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	h.online("lisi/p", "wangwu/p", "wangwu/w[web]")
	h.clock.Move(time.Second)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "proven"))
	h.clock.Move(time.Second)
	h.sync() // a barrier proves m1
	h.snapshot()
	h.sender.set(func(r *recordingSender) { r.hold = true })
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "not proven"))
	h.send("zhangsan/p", groupText("m3", "zhangsan", group, "not proven"))
	h.send("lisi/p", text("m4", "lisi", "zhaoliu", "has a row"))
	h.send("lisi/p", `{"msg_type":"MTC-001","msg_from":"lisi","msg_to":"zhangsan","body":[]}`)
	first, _ := h.sender.take()
	h.kill()

	h.run(nil)
	h.sync()
	for user, want := range map[string]string{"lisi": "m1/0 m2/0 m3/0", "wangwu": "m3/0", "zhaoliu": "m4/0", "zhangsan": ""} {
		if got := h.queue(user); got != want {
			t.Errorf("rows of %s: got %q, want %q", user, got, want)
		}
	}
	h.Up()
	h.sync()
	again, _ := h.sender.take()
	want := []string{"m2>lisi@im.test/p", "m3>lisi@im.test/p,wangwu@im.test/p,wangwu@im.test/w[web]", "m4>lisi@im.test/p"} // nothing to zhaoliu, who is absent
	if !slices.EqualFunc(strings.Fields(copiesOf(again)), want, sameCopy) {                                                // zhangsan is no session of the server: no ASYNC copy of m2
		t.Errorf("delivered again: got %s\nwant %s\nfirst %s", copiesOf(again), want, copiesOf(first))
	}
	if !strings.Contains(string(again[0].Payload), "not proven") || !strings.Contains(string(again[0].Payload), `\"text\"`) {
		t.Errorf(`payload: got %s, want "not proven" and "\"text\"" in it`, again[0].Payload)
	}

	// Once proven it is over.
	h.sender.set(func(r *recordingSender) { r.hold = false })
	h.halt()
	h.run(nil)
	h.Up()
	h.sync()
	if d, _ := h.sender.take(); len(d) != 0 {
		t.Errorf("delivered a third time: got %s, want nothing", copiesOf(d))
	}
	if got := h.queue("lisi"); got != "m1/0 m2/0 m3/0" {
		t.Errorf(`rows twice: got %q, want "m1/0 m2/0 m3/0"`, got)
	}
}

// TestTimeAfterRestart: a clock that stands does not make two messages of a conversation equal in time, and who was removed
// right after the start was a member of what was said before.
func TestTimeAfterRestart(t *testing.T) {
	h := start(t, nil)
	group := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.sender.set(func(r *recordingSender) { r.hold = true })
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.send("zhangsan/p", groupText("m2", "zhangsan", group, "x"))
	h.kill()
	h.sender.take()
	h.run(nil)
	h.send("zhangsan/p", text("m3", "zhangsan", "lisi", "x"))
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: group, Remove: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	rows, err := h.db.MessagesByID(t.Context(), []string{"m1", "m2", "m3"})
	if err != nil || rows["m3"][0].Time <= rows["m1"][0].Time || rows["m3"][0].Time <= rows["m2"][0].Time {
		t.Errorf("got %+v, %v, want a time of m3 behind those of m1 and m2", rows, err)
	}
	h.sender.set(func(r *recordingSender) { r.hold = false })
	h.arrive("lisi/p")
	h.Up()
	h.sync()
	if d, _ := h.sender.take(); !strings.Contains(addresses(d, "m2"), "lisi@") {
		t.Errorf("delivered again: got %s, want m2 to lisi", copiesOf(d))
	}
}

// TestKilledToOneself: what somebody wrote to themselves, and the server to them in their own name, is theirs to get like any other.
func TestKilledToOneself(t *testing.T) {
	h := start(t, nil)
	group := h.makeGroup("zhangsan", "lisi")
	h.online("lisi/p", "lisi/q")
	h.clock.Move(time.Second)
	h.sync()
	h.sender.set(func(r *recordingSender) { r.hold = true })
	h.send("lisi/p", text("m1", "lisi", "lisi", "x"))
	if err := h.Dissolve(t.Context(), group); err != nil {
		t.Fatal(err)
	}
	h.sync()
	h.sender.take()
	h.kill()

	h.run(nil)
	h.sync()
	rows, err := h.db.Offline(t.Context(), "lisi", "", "", "", 10)
	if err != nil || len(rows) != 2 || rows[0].MsgID != "m1" || rows[1].Type != "MTS-107" || rows[1].SessionID != group || rows[1].To != group {
		t.Errorf("rows: got %+v, %v, want m1, and an MTS-107 of and to %v", rows, err, group)
	}
	h.sender.set(func(r *recordingSender) { r.hold = false })
	h.Up()
	h.sync()
	d, _ := h.sender.take()
	if len(d) != 2 {
		t.Fatalf("delivered again: got %s, want 2 deliveries", copiesOf(d))
	}
	for _, c := range d {
		if got := addresses([]stanza.Delivery{c}, c.ID); !sameCopy(">"+strings.ReplaceAll(got, " ", ","), ">lisi@im.test/p,lisi@im.test/q") || strings.Contains(string(c.Payload), "ASYNC") {
			t.Errorf(`%s to %s: got %s, want it plain, to "lisi@im.test/p lisi@im.test/q"`, c.ID, got, c.Payload)
		}
	}
}

// TestLinkLost: messages between two connections reach those who were members then.
func TestLinkLost(t *testing.T) {
	h := start(t, nil)
	group := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	deleted := h.makeGroup("zhangsan", "zhangsan", "lisi")
	dissolved := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.clock.Move(time.Second)
	h.sync()
	h.sender.set(func(r *recordingSender) { r.hold = true })
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.sender.take()
	h.sender.answer(errors.New("lost"))
	h.Down(errors.New("cut"))
	h.sender.set(func(r *recordingSender) { r.down = true })

	h.send("zhangsan/p", groupText("m2", "zhangsan", group, "x")) // still in the queue when the link went
	h.send("zhangsan/p", groupText("m3", "zhangsan", deleted, "x"))
	h.send("zhangsan/p", groupText("m4", "zhangsan", dissolved, "x"))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := h.ModifyGroup(t.Context(), GroupEdit{ID: group, Add: []string{"zhaoliu"}, Remove: []string{"wangwu"}})
	must(err)
	_, err = h.DeleteGroup(t.Context(), deleted)
	must(err)
	must(h.Dissolve(t.Context(), dissolved))
	h.send("zhangsan/p", fmt.Sprintf(`{"msg_id":"m5","msg_type":"MTS-103","msg_from":"zhangsan","msg_to":%q,"body":[{"session_id":%q,"subscribers":[{"user_id":"WangWu"}]}]}`, group, group))
	if d, _ := h.sender.take(); len(d) != 0 {
		t.Fatalf("sent into a dead link: got %s, want nothing", copiesOf(d))
	}

	h.sender.set(func(r *recordingSender) { r.down, r.hold = false, false })
	h.arrive("lisi/p", "zhangsan/p", "wangwu/p", "zhaoliu/p")
	h.Up()
	h.sync()
	d, _ := h.sender.take()
	got := copiesOf(d)
	words := slices.DeleteFunc(strings.Fields(got), func(copied string) bool { return len(copied) > 36 && copied[8] == '-' }) // the notices of the dissolution
	want := []string{"m1>lisi@im.test/p", "m1>zhangsan@im.test/p", "m2>lisi@im.test/p,zhangsan@im.test/p,wangwu@im.test/p", "m3>lisi@im.test/p,zhangsan@im.test/p", "m5>lisi@im.test/p,zhaoliu@im.test/p,zhangsan@im.test/p,wangwu@im.test/p"}
	if !slices.EqualFunc(words, want, sameCopy) || len(strings.Fields(got)) != len(want)+2 {
		t.Errorf("delivered again: got %s\nwant %s and two notices", got, want)
	}
	if strings.Contains(got, "m4") {
		t.Errorf("delivered again: got %s, want no m4: what was said in a dissolved group goes with it", got)
	}
	if err := h.Ready(); err != nil {
		t.Errorf("Ready: got %v, want no error", err)
	}
}

// sameCopy compares without the order of the addresses.
func sameCopy(a, b string) bool {
	idA, toA, _ := strings.Cut(a, ">")
	idB, toB, _ := strings.Cut(b, ">")
	return idA == idB && slices.Equal(slices.Sorted(slices.Values(strings.Split(toA, ","))), slices.Sorted(slices.Values(strings.Split(toB, ","))))
}

// TestReplayGoesOn: a replay that the sender refuses is tried again, and nothing overtakes it.
func TestReplayGoesOn(t *testing.T) {
	h := start(t, nil)
	h.arrive("lisi/p")
	h.clock.Move(time.Second)
	h.sender.set(func(r *recordingSender) { r.down = true })
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x")) // Deliver fails; the link has not told yet
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	if h.Down(nil); h.Ready() == nil {
		t.Error("Ready without a link: got no error, want one")
	}
	h.Up()
	h.sync()
	h.send("zhangsan/p", text("m3", "zhangsan", "lisi", "x"))
	if h.Ready() == nil {
		t.Error("Ready after a failed replay: got no error, want one")
	}
	again := make(chan struct{})
	h.sender.set(func(r *recordingSender) {
		r.delivering = func() {
			h.sender.set(func(r *recordingSender) { r.delivering, r.down = nil, false })
			close(again)
		}
	})
	<-again
	h.send("zhangsan/p", text("m4", "zhangsan", "lisi", "x"))
	d, _ := h.sender.take()
	got := slices.DeleteFunc(strings.Fields(copiesOf(d)), func(copied string) bool { return strings.Contains(copied, ">zhangsan@") }) // ASYNC copies
	if strings.Join(got, " ") != "m1>lisi@im.test/p m2>lisi@im.test/p m3>lisi@im.test/p m4>lisi@im.test/p" {
		t.Errorf(`got %s, want "m1>lisi@im.test/p m2>lisi@im.test/p m3>lisi@im.test/p m4>lisi@im.test/p"`, got)
	}
	if err := h.Ready(); err != nil {
		t.Errorf("Ready: got %v, want no error", err)
	}
}

// TestLegacyTables starts on tables that the old system has filled: nothing of the past is delivered, a message that it stored is
// stored no second time.
func TestLegacyTables(t *testing.T) {
	h := startOn(t, nil, func(file string) {
		db, err := sql.Open("sqlite", file)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, q := range []string{
			`CREATE TABLE ofmessage (id_ varchar(64) PRIMARY KEY, msg_id varchar(64), msg_type varchar(20), msg_from varchar(64), msg_to varchar(64), msg_time varchar(20), body varchar(3920), session_id varchar(64))`,
			`INSERT INTO ofmessage VALUES ('1', 'm1', 'MTT-000', 'zhangsan', 'lisi', '1544602393123', '[{"text":"x"}]', 'zhangsan'),
				('2', 'm2', 'MTS-000', 'zhangsan', 'G', '1544602393124', '[{"session_id":"G","text":"x"}]', 'G'),
				('3', 'm3', 'MTT-000', 'zhangsan', 'lisi', '1893456000000', '[{"text":"of the future"}]', 'zhangsan'),
				('4', 'm4', 'MTT-000', 'zhangsan', 'lisi', '1544602393125', '[{"text":"twice"}]', 'zhangsan'),
				('5', 'm4', 'MTT-000', 'zhangsan', 'wangwu', '1544602393126', '[{"text":"twice"}]', 'zhangsan'),
				('6', 'm6', 'MTT-000', 'zhangsan', 'lisi', '1544602393126', '[{"text":"x"}]', 'zhangsan'),
				('7', 'm7', 'MTT-000', 'zhangsan', 'lisi', '2018-12-12 16:13:13', '[{"text":"a date"}]', 'zhangsan')`,
			`CREATE TABLE ofstatus (id_ varchar(64) PRIMARY KEY, msg_id varchar(64), sender varchar(64), reader varchar(64), status int)`,
			`INSERT INTO ofstatus VALUES ('1', 'm1', 'zhangsan', 'lisi', 2), ('2', 'm1', 'zhangsan', 'lisi', 1)`,
		} {
			if _, err := db.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
	})
	if st := h.state(); st.Delivered < 1544602393126 || st.Delivered > 1_600_000_000_000 {
		t.Fatalf("positions of the first start: got %+v, want delivered up to 1544602393126 to 1600000000000", st)
	}
	h.Down(errors.New("cut"))
	h.sync()
	h.Up()
	h.sync()
	if d, _ := h.sender.take(); len(d) != 0 {
		t.Fatalf("delivered before anything was written: got %s, want nothing of the past", copiesOf(d))
	}
	send := func(env, want string) {
		t.Helper()
		h.send("zhangsan/p", env)
		if _, posts := h.sender.take(); refusals(posts) != want {
			t.Errorf("%s: got %s, want %s", env, refusals(posts), want)
		}
	}
	send(text("m1", "zhangsan", "lisi", "x"), "acknowledgement")
	send(text("m3", "zhangsan", "lisi", "of the future"), "acknowledgement")
	if c := h.rec.take(); len(c) != 0 {
		t.Errorf("stored a second time: got %+v, want none", c)
	}
	send(text("m1", "zhangsan", "lisi", "y"), string(protocol.IDConflict))
	send(text("m1", "zhangsan", "wangwu", "x"), string(protocol.IDConflict))
	send(strings.Replace(text("m1", "zhangsan", "lisi", "x"), "MTT-000", "MTT-001", 1), string(protocol.IDConflict))
	h.send("wangwu/p", text("m1", "wangwu", "lisi", "x"))
	if _, posts := h.sender.take(); refusals(posts) != string(protocol.IDConflict) {
		t.Errorf("another sender: got %s, want %s", refusals(posts), string(protocol.IDConflict))
	}
	send(groupText("m2", "zhangsan", "G", "x"), "acknowledgement")
	send(text("new", "zhangsan", "lisi", "x"), "acknowledgement")
	send(strings.Replace(text("v1", "zhangsan", "lisi", ""), `MTT-000`, "MTT-101", 1), "acknowledgement") // names nothing
	// One id in two conversations, as old data may hold it: each is revoked where it belongs.
	send(`{"msg_id":"v2","msg_type":"MTT-101","msg_from":"zhangsan","msg_to":"lisi","body":[{"msg_id":"m4"}]}`, "acknowledgement")
	rows, err := h.db.MessagesByID(t.Context(), []string{"m4"})
	if err != nil || len(rows["m4"]) != 1 || rows["m4"][0].To != "wangwu" {
		t.Errorf("left of m4: got %v, %v, want the one to wangwu", rows, err)
	}
	// A message read twice, as old data may hold it: both rows say the same from now on.
	h.send("lisi/p", `{"msg_type":"MTT-100","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":"m1"},{"msg_id":"of the old system"}]}`)
	h.sender.take()
	key := store.ReceiptKey{MsgID: "m1", Reader: "lisi"}
	if read, err := h.db.Receipts(t.Context(), []store.ReceiptKey{key}); err != nil || len(read[key]) != 2 || read[key][0].Status+read[key][1].Status != 4 {
		t.Errorf("receipts of m1: got %v, %v, want 2, both read", read, err)
	}
	// Nobody knows what the old system had: a receipt of what is not there is kept.
	key = store.ReceiptKey{MsgID: "of the old system", Reader: "lisi"}
	if read, err := h.db.Receipts(t.Context(), []store.ReceiptKey{key}); err != nil || len(read[key]) != 1 || read[key][0].Sender != "zhangsan" {
		t.Errorf("receipts of what is not there: got %v, %v, want 1, of zhangsan", read, err)
	}
	// A revoke under the id of its message is no second message of that id.
	send(`{"msg_id":"m6","msg_type":"MTT-101","msg_from":"zhangsan","msg_to":"lisi","body":[{"msg_id":"m6"}]}`, "acknowledgement")
	send(text("m6", "zhangsan", "lisi", "x"), "acknowledgement")
	if rows, err := h.db.MessagesByID(t.Context(), []string{"m6"}); err != nil || len(rows["m6"]) != 1 || rows["m6"][0].Type != "MTT-101" {
		t.Errorf("left of m6: got %v, %v, want the one of the type MTT-101", rows, err)
	}
	h.kill()
	h.run(nil)
	h.Up()
	h.sync()
	d, _ := h.sender.take()
	if addresses(d, "m1")+addresses(d, "m2")+addresses(d, "m3") != "" {
		t.Errorf(`delivered again: got %s, want nothing of the past`, copiesOf(d))
	}
}

// TestOddTimeAmongOurs: a row that another program wrote, whose time is no number, lies among messages that are unconfirmed. Replay and
// recovery pass it once and come to their end.
func TestOddTimeAmongOurs(t *testing.T) {
	h := start(t, nil)
	h.sender.set(func(r *recordingSender) { r.hold = true })
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	first := h.state().Clock
	h.clock.Move(time.Second)
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	if _, err := h.raw().Exec(`INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id)
		VALUES ('odd', 'odd', 'MTT-000', 'zhangsan', 'lisi', ?, '[]', 'zhangsan')`, protocol.FormatTime(first)+"x"); err != nil {
		t.Fatal(err)
	}
	h.sender.take()
	h.arrive("lisi/p")
	again := func(what string) {
		t.Helper()
		h.Up()
		h.sync()
		d, _ := h.sender.take()
		var ids []string
		for _, one := range d {
			ids = append(ids, one.ID)
		}
		if got := strings.Join(ids, " "); got != "m1 odd m2" {
			t.Errorf(`%s: delivered again: got %q, want "m1 odd m2"`, what, got)
		}
	}
	h.sender.answer(errors.New("lost"))
	h.Down(errors.New("cut"))
	h.sync()
	again("a new link")
	h.kill()
	h.run(nil)
	again("a new process")
	h.sender.set(func(r *recordingSender) { r.hold = false })
}

// TestOthersWroteMeanwhile: a site goes back to the old plugin for a while. What that has stored is neither delivered nor queued
// by a tlim that is killed before its first message is settled.
func TestOthersWroteMeanwhile(t *testing.T) {
	h := start(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.halt()
	h.clock.Move(time.Hour)
	if _, err := h.raw().Exec(`INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id)
		VALUES ('old', 'old', 'MTT-000', 'zhangsan', 'lisi', ?, '[]', 'zhangsan')`, protocol.FormatTime(h.clock.Now().UnixMilli())); err != nil {
		t.Fatal(err)
	}
	h.clock.Move(time.Hour)
	h.run(nil)
	h.Up()
	h.sync()
	h.sender.set(func(r *recordingSender) { r.hold = true })
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	h.sender.take()
	h.kill()
	h.run(nil)
	h.arrive("lisi/p")
	h.Up()
	h.sync()
	h.sender.set(func(r *recordingSender) { r.hold = false })
	if d, _ := h.sender.take(); copiesOf(d) != "m2>lisi@im.test/p" {
		t.Errorf(`delivered again: got %s, want "m2>lisi@im.test/p"`, copiesOf(d))
	}
	if got := h.queue("lisi"); got != "m1/0 m2/0" {
		t.Errorf(`queued: got %s, want "m1/0 m2/0"`, got)
	}
}

// TestFence: a second process takes over, the first stops, and its senders are told to repeat.
func TestFence(t *testing.T) {
	h := start(t, nil)
	other, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: h.file(), Migrate: store.MigrateCheck, MaxOpen: 2, MaxIdle: 2, MaxWait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	err = <-h.stopped
	if !errors.Is(err, store.ErrFenced) {
		t.Fatalf("Run: got %v, want %v", err, store.ErrFenced)
	}
	d, posts := h.sender.take()
	if len(d) != 0 || refusals(posts) != string(protocol.TryLater) {
		t.Errorf("got %v, %v, want no deliveries, %v", d, posts, protocol.TryLater)
	}
	if err := h.Dissolve(t.Context(), "any"); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("a call after the end: got %v, want %v", err, protocol.ErrUnavailable)
	}
	h.post("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	if _, posts := h.sender.take(); refusals(posts) != string(protocol.TryLater) {
		t.Errorf("a message after the end: got %v, want %v", posts, protocol.TryLater)
	}
	h.stop = nil
	h.db.Close()
}

// TestReplayTroubleIsSaidOnce: a database that is away when the link comes up is asked at each tick, and logged once.
func TestReplayTroubleIsSaidOnce(t *testing.T) {
	var log doubles.Log
	h := &harness{t: t, dir: t.TempDir(), clock: doubles.NewClock(time.UnixMilli(1_600_000_000_000)), sender: &recordingSender{},
		server: &fakeServer{sessions: map[string]presence.Session{}}, logged: &log}
	h.sender.posted = sync.NewCond(&h.sender.mu)
	h.begin(nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x")) // from then on there is something to replay
	asked := make(chan struct{}, 1000)
	h.rec.set(func(r *recordingStore) {
		r.messages = func() error { asked <- struct{}{}; return store.ErrUnavailable }
	})
	h.Down(nil)
	h.Up()
	for range 3 {
		<-asked
	}
	h.rec.set(func(r *recordingStore) { r.messages = nil })
	for h.Ready() != nil {
		h.sync()
	}
	if n := log.Count("was interrupted"); n != 1 {
		t.Errorf("logged %d times, want 1", n)
	}
}

// Batches that fail take no time: msg_time is the server's clock again with the first that is written.
func TestTimeAfterFailures(t *testing.T) {
	h := start(t, nil)
	group := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.rec.breakWith(store.ErrUnavailable)
	for n := range 3 {
		h.together(func() {
			for i := range 50 {
				h.post("zhangsan/p", groupText(fmt.Sprintf("m%d-%d", n, i), "zhangsan", group, "x"))
			}
		})
	}
	h.rec.breakWith(nil)
	h.clock.Move(time.Millisecond)
	h.send("zhangsan/p", groupText("m", "zhangsan", group, "x"))
	rows, err := h.db.MessagesByID(t.Context(), []string{"m"})
	if err != nil || len(rows["m"]) != 1 || rows["m"][0].Time != protocol.FormatTime(h.clock.Now().UnixMilli()) {
		t.Errorf("got %v, %v, want m at %d", rows, err, h.clock.Now().UnixMilli())
	}
}
