package component

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

func TestEveryDeviceOnce(t *testing.T) {
	h := start(t, nil)
	h.online("zhangsan/a[web]", "zhangsan/b")
	h.send("zhangsan/a[web]", text("m1", "zhangsan", "lisi", "nobody"))
	d, posts := h.sender.take()
	if got := addresses(d, "m1"); got != "zhangsan@im.test/b" {
		t.Errorf("the receiver is absent: sent to %q, want zhangsan@im.test/b", got)
	}
	if len(d) != 1 || !strings.Contains(string(d[0].Payload), "<subject>ASYNC</subject>") {
		t.Errorf(`the sender's other device: got %v, want 1 delivery with <subject>ASYNC</subject>`, d)
	}
	if len(posts) != 1 || !strings.Contains(posts[0], `{\"msg_id\":\"m1\",\"msg_time\":\"1600000000000\"}`) || !strings.Contains(posts[0], `to="zhangsan@im.test/a[web]"`) {
		t.Errorf(`acknowledgement: got %v, want 1, of m1 at 1600000000000, to zhangsan@im.test/a[web]`, posts)
	}

	h.online("lisi/phone")
	h.send("zhangsan/a[web]", text("m2", "zhangsan", "lisi", "one"))
	h.online("lisi/x[web]")
	h.send("zhangsan/a[web]", text("m3", "zhangsan", "lisi", "two"))
	d, _ = h.sender.take()
	if got := addresses(d, "m2"); !strings.HasPrefix(got, "lisi@im.test/phone ") {
		t.Errorf("one device known: sent to %q, want its full JID", got)
	}
	if got := addresses(d, "m3"); !strings.Contains(got, "lisi@im.test/phone") || !strings.Contains(got, "lisi@im.test/x[web]") {
		t.Errorf("two devices known: sent to %q, want both full JIDs", got)
	}
	if !d[len(d)-2].To[0].Private {
		t.Error("a copy to a full JID: got none that is private, want it private, or the server makes carbons")
	}
	if strings.Contains(string(d[len(d)-2].Payload), "ASYNC") {
		t.Error("the receiver's copy: got an ASYNC one, want a plain one")
	}

	// Whatever they show, and whatever their priority.
	for i, presence := range []string{
		"<priority>-1</priority>",
		"<show>xa</show><priority> 0 </priority>",
		"<show>dnd</show><priority>-128</priority>",
		"<priority>many</priority>",
		`<priority xmlns="x">-1</priority><show xmlns="x">away</show>`,
	} {
		t.Run(presence, func(t *testing.T) {
			h.Stanza(stanza.Stanza{Name: "presence", From: "wangwu@im.test/p", To: testComponent, Inner: []byte(presence)})
			id := fmt.Sprintf("p%d", i)
			h.send("zhangsan/b", text(id, "zhangsan", "wangwu", "x"))
			d, _ := h.sender.take()
			if got, _, _ := strings.Cut(addresses(d, id), " "); got != "wangwu@im.test/p" {
				t.Errorf("sent to %q, want wangwu@im.test/p", got)
			}
		})
	}
	if got := h.queue("wangwu"); got != "p1/0 p2/0" {
		t.Errorf(`queue %q: rows follow what is shown, want "p1/0 p2/0"`, got)
	}
}

func TestQueueFollowsPresence(t *testing.T) {
	for _, c := range []struct {
		name, sender string
		devices      []string
		receiver     string
		own          string
	}{
		{"nobody there", "zhangsan/p", nil, "m/0", ""},
		{"web", "zhangsan/p", []string{"lisi/x[web]"}, "m/1", ""},
		{"mobile", "zhangsan/p", []string{"lisi/p"}, "", ""},
		{"web and mobile", "zhangsan/p", []string{"lisi/x[web]", "lisi/p"}, "", ""},
		{"away mobile counts as absent", "zhangsan/p", []string{"lisi/p:away"}, "m/0", ""},
		{"sender on the web only", "zhangsan/x[web]", []string{"lisi/p"}, "", "m/1"},
		{"sender on both", "zhangsan/x[web]", []string{"lisi/p", "zhangsan/p"}, "", ""},
		{"sender on the web, away", "zhangsan/x[web]:away", []string{"lisi/p"}, "", "m/1"},
		{"sender on the web, not to be disturbed, their phone away", "zhangsan/x[web]:dnd", []string{"lisi/p", "zhangsan/p:xa"}, "", "m/1"},
		{"sender on the web, away, and on a phone", "zhangsan/x[web]:away", []string{"lisi/p", "zhangsan/p"}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t, nil)
			group := h.makeGroup("zhangsan", "zhangsan", "lisi")
			h.online(append(c.devices, c.sender)...)
			sender, _, _ := strings.Cut(c.sender, ":")
			h.send(sender, text("m", "zhangsan", "lisi", "x"))
			h.send(sender, groupText("n", "zhangsan", group, "x"))
			both := func(user, want string) {
				t.Helper()
				if _, status, queued := strings.Cut(want, "/"); queued {
					want += " n/" + status
				}
				if got := h.queue(user); got != want {
					t.Errorf("queue of %s: got %q, want %q", user, got, want)
				}
			}
			both("lisi", c.receiver)
			both("zhangsan", c.own)
		})
	}
}

func TestExactlyOnce(t *testing.T) {
	h := start(t, nil)
	h.blind()
	first := text("m1", "zhangsan", "lisi", "x")
	h.send("zhangsan/p", first)
	h.clock.Move(time.Second)
	h.send("zhangsan/q", strings.Replace(first, `"msg_time":"1"`, `"msg_time":"2"`, 1))
	d, posts := h.sender.take()
	if n := strings.Count(addresses(d, "m1"), "lisi"); n != 1 {
		t.Errorf("delivered %d times, want 1", n)
	}
	if len(posts) != 2 || !strings.Contains(posts[1], `\"msg_time\":\"1600000000000\"`) {
		t.Errorf("the retry: got %v, want 2 acknowledgements, the second with the time of the first, 1600000000000", posts)
	}
	for name, other := range map[string]string{
		"other body":         text("m1", "zhangsan", "lisi", "y"),
		"other conversation": text("m1", "zhangsan", "wangwu", "x"),
		"other kind":         strings.Replace(first, "MTT-000", "MTT-001", 1),
	} {
		t.Run(name, func(t *testing.T) {
			h.send("zhangsan/p", other)
			if _, posts := h.sender.take(); refusals(posts) != string(protocol.IDConflict) {
				t.Errorf("got %v, want %s", posts, protocol.IDConflict)
			}
		})
	}
	h.send("lisi/p", text("m1", "lisi", "zhangsan", "x"))
	if _, posts := h.sender.take(); refusals(posts) != string(protocol.IDConflict) {
		t.Errorf("other sender: got %v, want %s", posts, protocol.IDConflict)
	}
	// The memory survives a restart.
	h.halt()
	h.run(nil)
	h.Up()
	h.send("zhangsan/p", first)
	d, posts = h.sender.take()
	if strings.Contains(addresses(d, "m1"), "lisi") || refusals(posts) != "acknowledgement" {
		t.Errorf("after a restart: got %v, %v, want no copy to lisi, an acknowledgement", d, posts)
	}
}

// TestOneBatch sends the same id twice and a conflicting one within one batch.
func TestOneBatch(t *testing.T) {
	h := start(t, nil)
	h.blind()
	h.together(func() {
		h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
		h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
		h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "z"))
	})
	d, posts := h.sender.take()
	if n := strings.Count(addresses(d, "m1"), "lisi"); n != 1 {
		t.Errorf("delivered %d times, want 1", n)
	}
	if got := refusals(posts); got != "error-014 acknowledgement" {
		t.Fatalf(`answers: got %s, want "error-014 acknowledgement"`, got)
	}
	if strings.Count(posts[1], `\"m1\"`) != 1 {
		t.Errorf("the acknowledgement: got %s, want m1 named once", posts[1])
	}
}

// TestRevokedInOneBatch: a message and its revoke that arrive together leave the revoke alone, in history and in queues.
func TestRevokedInOneBatch(t *testing.T) {
	h := start(t, nil)
	group := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.together(func() {
		h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
		h.post("zhangsan/p", `{"msg_id":"v1","msg_type":"MTT-101","msg_from":"zhangsan","msg_to":"lisi","body":[{"msg_id":"m1"}]}`)
		h.post("zhangsan/p", groupText("m2", "zhangsan", group, "x"))
		h.post("zhangsan/p", fmt.Sprintf(`{"msg_id":"v2","msg_type":"MTS-101","msg_from":"zhangsan","msg_to":%q,"body":[{"session_id":%q,"msg_id":"m2"}]}`, group, group))
	})
	rows, err := h.db.MessagesByID(t.Context(), []string{"m1", "m2", "v1", "v2"})
	if err != nil || len(rows) != 2 || len(rows["v1"]) != 1 || len(rows["v2"]) != 1 {
		t.Errorf("stored: got %v, %v, want v1 and v2, each once", rows, err)
	}
	if got := h.queue("lisi"); got != "v1/0 v2/0" {
		t.Errorf(`queue %q, want "v1/0 v2/0"`, got)
	}
}

// TestListMovesOnce: however many messages of a conversation a batch holds, its list entries are written once.
func TestListMovesOnce(t *testing.T) {
	h := start(t, nil)
	group := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.rec.take()
	h.together(func() {
		for i := range 3 {
			h.post("zhangsan/p", text(fmt.Sprintf("a%d", i), "zhangsan", "lisi", "x"))
			h.post("lisi/p", text(fmt.Sprintf("b%d", i), "lisi", "zhangsan", "x"))
			h.post("lisi/p", groupText(fmt.Sprintf("g%d", i), "lisi", group, "x"))
		}
	})
	messages, chats, groups := 0, 0, 0
	for _, c := range h.rec.take() {
		chats += len(c.Chats)
		if c.Message != nil {
			messages++
		}
		if c.TouchGroup != "" {
			groups++
		}
	}
	if messages != 9 || chats != 2 || groups != 1 {
		t.Errorf("got %d messages, %d list entries, %d groups written, want 9, 2, 1", messages, chats, groups)
	}
}

// TestReadTwiceInOneBatch: one row of ofstatus for a message and a reader, whichever of their devices says it first.
func TestReadTwiceInOneBatch(t *testing.T) {
	h := start(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	read := func(id string) string {
		return `{"msg_id":"` + id + `","msg_type":"MTT-100","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":"m1"}]}`
	}
	h.together(func() {
		h.post("lisi/b[web]", read("r1"))
		h.post("lisi/p", read("r2"))
		h.post("lisi/b[web]", read("r3"))
	})
	key := store.ReceiptKey{MsgID: "m1", Reader: "lisi"}
	rows, err := h.db.Receipts(t.Context(), []store.ReceiptKey{key})
	if err != nil || len(rows[key]) != 1 || rows[key][0].Status != 2 || rows[key][0].Sender != "zhangsan" {
		t.Errorf("got %+v, %v, want 1 row, of zhangsan, with status 2", rows, err)
	}
}

// TestOneAcknowledgement: a device gets one acknowledgement for all that it sent in a batch, another device its own, and who did not ask gets none.
func TestOneAcknowledgement(t *testing.T) {
	h := start(t, nil)
	h.together(func() {
		h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
		h.post("lisi/p", text("m2", "lisi", "zhangsan", "x"))
		h.post("zhangsan/p", text("m3", "zhangsan", "lisi", "x"))
		h.post("zhangsan/q", text("m4", "zhangsan", "lisi", "x"))
		h.Stanza(stanza.Stanza{Name: "message", Type: "chat", ID: "s1", From: "zhangsan@im.test/p", To: testComponent,
			Inner: []byte("<body>" + text("m5", "zhangsan", "lisi", "x") + "</body>")})
		h.post("zhangsan/p", text("m6", "zhangsan", "lisi", "x"))
	})
	_, posts := h.sender.take()
	want := [][]string{{`to="zhangsan@im.test/p"`, "m1", "m3", "m6"}, {`to="lisi@im.test/p"`, "m2"}, {`to="zhangsan@im.test/q"`, "m4"}}
	if len(posts) != len(want) {
		t.Fatalf("got %d acknowledgements, want %d: %v", len(posts), len(want), posts)
	}
	ids := regexp.MustCompile(`\\"msg_id\\":\\"(m\d)\\"`)
	for i, words := range want {
		var named []string
		for _, match := range ids.FindAllStringSubmatch(posts[i], -1) {
			named = append(named, match[1])
		}
		if !strings.Contains(posts[i], words[0]) || !slices.Equal(named, words[1:]) {
			t.Errorf("acknowledgement %d: got %s, want one of %q that names %q", i, posts[i], words[0], words[1:])
		}
	}
}

// TestGuiltyAlone: what the database cannot hold is its sender's error only.
func TestGuiltyAlone(t *testing.T) {
	h := start(t, nil)
	h.rec.failWhen(func(c store.Change) error {
		if c.Message != nil && strings.Contains(c.Message.Body, "poison") {
			return store.ErrData
		}
		return nil
	})
	h.together(func() {
		h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
		h.post("lisi/p", text("m2", "lisi", "zhangsan", "poison"))
		h.post("lisi/p", text("m2", "lisi", "zhangsan", "poison")) // its repetition must not get an acknowledgement
		h.post("wangwu/p", text("m3", "wangwu", "lisi", "y"))
	})
	d, posts := h.sender.take()
	if got := refusals(posts); got != "acknowledgement error-012 error-012 acknowledgement" {
		t.Errorf(`answers: got %s, want "acknowledgement error-012 error-012 acknowledgement"`, got)
	}
	if addresses(d, "m2") != "" || addresses(d, "m1") == "" || addresses(d, "m3") == "" {
		t.Errorf(`deliveries: got %v, want m1 and m3, not m2`, d)
	}
}

// TestReadTwice: a receipt that is sent again is answered as it was the first time, although it changes nothing now.
func TestReadTwice(t *testing.T) {
	h := start(t, nil)
	h.blind()
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.send("zhangsan/p", text("m2", "zhangsan", "wangwu", "x"))
	for range 2 {
		h.sender.take()
		h.send("lisi/p", `{"msg_id":"r1","msg_type":"MTT-100","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":"m1"},{"msg_id":"m2"}]}`)
		if d, posts := h.sender.take(); refusals(posts) != "acknowledgement" || addresses(d, "r1") != "zhangsan@im.test/p" {
			t.Errorf("got %s, answers %v, want r1 to zhangsan@im.test/p, an acknowledgement", copiesOf(d), posts)
		}
	}
}

// typed is a 1:1 envelope of some type.
func typed(msgType string) string {
	return `{"msg_id":"t ` + msgType + `","msg_type":"` + msgType + `","msg_from":"zhangsan","msg_to":"lisi","body":[]}`
}

func TestIdentity(t *testing.T) {
	h := start(t, nil)
	for name, c := range map[string]struct{ device, env, want string }{
		"forged":              {"zhangsan/p", text("m", "lisi", "wangwu", "x"), "error-011"},
		"forged by case":      {"zhangsan/p", `{"msg_id":"m","msg_type":"MTT-000","msg_from":"zhangsan","MSG_FROM":"lisi","msg_to":"wangwu","body":[]}`, "error-005"},
		"forged by escape":    {"zhangsan/p", `{"msg_id":"m","msg_type":"MTT-000","msg_from":"zhangsan","msg\u005ffrom":"lisi","msg_to":"wangwu","body":[]}`, "error-005"},
		"twice":               {"zhangsan/p", `{"msg_id":"m","msg_type":"MTT-000","msg_from":"lisi","msg_from":"zhangsan","msg_to":"wangwu","body":[]}`, "error-005"},
		"other spelling":      {"zhangsan/p", text("m", "ZhangSan", "lisi", "x"), "acknowledgement"},
		"nobody":              {"zhangsan/p", text("m2", "", "lisi", "x"), "error-008"},
		"to nobody":           {"zhangsan/p", text("m3", "zhangsan", "", "x"), "error-008"},
		"to an impossible id": {"zhangsan/p", text("m4", "zhangsan", "\u0001", "x"), "error-005"},
		"no id":               {"zhangsan/p", text("", "zhangsan", "lisi", "x"), "error-014"},
		"not a type":          {"zhangsan/p", typed("XYZ-000"), "error-001"},
		"a family within":     {"zhangsan/p", typed("xMTT-000"), "error-001"},
		"two families":        {"zhangsan/p", typed("MTB-MTT-0"), "error-001"},
		"a blank behind":      {"zhangsan/p", typed("MTB-100 "), "error-001"},
		"a line behind":       {"zhangsan/p", typed(`MTT-000\n`), "error-001"},
		"a wide digit":        {"zhangsan/p", typed("MTT-00０"), "error-001"},
		"no number":           {"zhangsan/p", typed("MTT-"), "error-001"},
		"small letters":       {"zhangsan/p", typed("mtt-000"), "error-001"},
		"17 behind the dash":  {"zhangsan/p", typed("MTT-0123456789abcdefg"), "error-001"},
		"a type to come":      {"zhangsan/p", typed("MTT-9zZ"), "acknowledgement"},
		"like an answer":      {"zhangsan/p", typed("MTC-1001"), "error-011"},
		"like an approval":    {"zhangsan/p", typed("MTB-000MTT"), "error-011"},
		"like a system one":   {"zhangsan/p", typed("MTB-1000"), "error-011"},
		"a client's notice":   {"zhangsan/p", typed("MTB-MTT"), ""},
		"not JSON":            {"zhangsan/p", `hello`, "error-005"},
		"empty":               {"zhangsan/p", ``, "error-000"},
		"not an array":        {"zhangsan/p", `{"msg_id":"m","msg_type":"MTT-000","msg_from":"zhangsan","msg_to":"lisi","body":"x"}`, "error-006"},
		"deep":                {"zhangsan/p", strings.Repeat("[", 50000), "error-005"},
		"long id":             {"zhangsan/p", text(strings.Repeat("i", 65), "zhangsan", "lisi", "x"), "error-012"},
		"long text":           {"zhangsan/p", text("m", "zhangsan", "lisi", strings.Repeat("你", 3001)), "error-012"},
		"large body":          {"zhangsan/p", `{"msg_id":"m","msg_type":"MTT-001","msg_from":"zhangsan","msg_to":"lisi","body":[{"fileId":"` + strings.Repeat("x", 70000) + `"}]}`, "error-012"},
		"forged answer":       {"zhangsan/p", `{"msg_id":"m","msg_type":"MTC-100","msg_from":"zhangsan","msg_to":"lisi","body":[]}`, "error-011"},
		"forged approval":     {"zhangsan/p", `{"msg_id":"m","msg_type":"MTB-000","msg_from":"zhangsan","msg_to":"lisi","body":[]}`, "error-011"},
		"notice by admin":     {"admin/p", `{"msg_id":"m","msg_type":"MTB-001","msg_from":"admin","msg_to":"lisi","body":[]}`, "error-011"},
		"unquoted keys":       {"zhangsan/p", `{msg_id:'m9',msg_type:'MTT-000',msg_from:'zhangsan',msg_to:'lisi',msg_time:1599218283837,body:[{text:'x',},],}`, "acknowledgement"},
		"3000 characters":     {"zhangsan/p", text("m10", "zhangsan", "lisi", strings.Repeat("你", 2999)+"😀"), "acknowledgement"},
	} {
		t.Run(name, func(t *testing.T) {
			h.send(c.device, c.env)
			if _, posts := h.sender.take(); refusals(posts) != c.want {
				t.Errorf("got %s, want %s", refusals(posts), c.want)
			}
		})
	}
	for _, c := range h.rec.take() {
		if c.Message != nil && c.Message.Type != "MTT-000" && c.Message.Type != "MTT-9zZ" {
			t.Errorf("stored as %s, want MTT-9zZ", c.Message.Type)
		}
	}
	h.sendRaw("zhangsan/p", testComponent, "<body>a</body><body>b</body>")
	h.sendRaw("zhangsan/p", testComponent, "")
	if _, posts := h.sender.take(); refusals(posts) != "error-005 error-000" {
		t.Errorf(`two bodies, no body: got %v, want error-005, error-000`, posts)
	}
	h.sendRaw("zhangsan/p", testComponent, `<body>{}</body><subject>ASYNC</subject>`)
	h.sendRaw("zhangsan/p", "lisi@"+testComponent, `<thread>t</thread><composing xmlns="http://jabber.org/protocol/chatstates"/>`)
	if d, posts := h.sender.take(); len(d)+len(posts) != 0 {
		t.Errorf("copies and chat states: got %d deliveries, %v, want no answer", len(d), posts)
	}
	h.online("lisi/p")
	h.sendRaw("zhangsan/p", "lisi@"+testComponent, `<composing xmlns="http://jabber.org/protocol/chatstates"/>`)
	if d, _ := h.sender.take(); addresses(d, "s1") != "lisi@im.test/p" || !strings.Contains(string(d[len(d)-1].Payload), "<composing") {
		t.Errorf(`a chat state: sent to %q, want <composing to lisi@im.test/p`, addresses(d, "s1"))
	}
}

// TestBodyByteForByte: unknown fields and spacing survive in the copies.
func TestBodyByteForByte(t *testing.T) {
	h := start(t, nil)
	h.blind()
	env := ` { "x" : {"deep":[1, 2]}, "msg_id":"m1", "msg_type":"MTT-000","msg_from":"zhangsan" ,"msg_to":"lisi","msg_time":1599218283837,"body":"[{\"text\":\"你好 😀 <b>&amp;]]>\"}]", "z":null } `
	h.send("zhangsan/p", env)
	d, _ := h.sender.take()
	var want strings.Builder
	want.WriteString("<body>")
	want.Write(stanza.AppendEscaped(nil, env))
	want.WriteString("</body>")
	if len(d) == 0 || !strings.HasPrefix(string(d[0].Payload), want.String()) {
		t.Fatalf("payload %s\nwant %s", d[0].Payload, want.String())
	}
	m := h.rec.take()[0].Message
	if m.Body != `[{"text":"你好 😀 <b>&amp;]]>"}]` {
		t.Errorf("got stored body %s, want %s", m.Body, `[{"text":"你好 😀 <b>&amp;]]>"}]`)
	}
}

func TestDatabaseAway(t *testing.T) {
	h := start(t, nil)
	h.blind()
	h.rec.breakWith(store.ErrUnavailable)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	d, posts := h.sender.take()
	if len(d) != 0 || refusals(posts) != string(protocol.TryLater) || !strings.Contains(posts[0], `type="wait"`) {
		t.Errorf("without a database: got %v, %v, want nothing forwarded, %s of the type wait", d, posts, protocol.TryLater)
	}
	if h.Ready() == nil {
		t.Error("Ready: got no error, want that of the database")
	}
	h.rec.breakWith(nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	d, posts = h.sender.take()
	if addresses(d, "m1") != "lisi@im.test" && !strings.HasPrefix(addresses(d, "m1"), "lisi@im.test") || refusals(posts) != "acknowledgement" {
		t.Errorf("after the database is back: got %v, %v, want m1 to lisi, an acknowledgement", d, posts)
	}
	if err := h.Ready(); err != nil {
		t.Errorf("Ready: got %v, want no error", err)
	}
}
