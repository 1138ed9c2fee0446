package conformance

import (
	"fmt"
	"strings"

	"tlim/store"
)

var messages = []Behaviour{
	{"a message comes back in every field: Chinese, emoji, 3,000 characters, quotes, line ends", comesBack},
	{"blanks at the end stay, and an empty text is none", blanks},
	{"all that a message brings comes back in every field", allComesBack},
	{"ids are told apart by case, width, accent and blanks", exactIDs},
	{"what looks like SQL is text", quotes},
	{"duplicates are refused, with all that came with them", duplicates},
	{"what does not fit is refused whole, and what just fits is stored", unfit},
	{"revocation removes message, queue and receipts of its conversation only", revocation},
	{"lists of more than a thousand keys", manyKeys},
}

// texts are those that databases are known to change.
var texts = []string{
	strings.Repeat("汉", 3000),
	`😀🏽👨‍👩‍👧 𠮷 𝒳`,
	"tail ' \" \\ % _ ; -- \\u0000 \x00 \t \r\n",
	"ﬁ é e\u0301 İ ı ß ſ Ω \u2028 \ufeff \uffff",
	strings.Repeat("x", 64<<10),
}

func comesBack(c *check) {
	for n, text := range texts {
		m := say(n, "张三", "组-"+strings.Repeat("g", 61), `[{"text":"`+text+`"}]`)
		if !c.apply(m) {
			continue
		}
		id := m.Message.MsgID
		want(c, fmt.Sprintf("message %d", n), map[string][]store.Message{id: {*m.Message}})(c.s.MessagesByID(c.ctx, []string{id}))
	}
}

func blanks(c *check) {
	one, two, empty := say(1, "z", "g", "  body  "), say(2, "z ", "g ", " "), say(3, "z", "g", "")
	two.Message.MsgID, two.IDs[0].MsgID = "m2 ", "m2 "
	empty.Message.Flags = ""
	if !c.apply(one, two, empty) {
		return
	}
	ids := []string{"m1", "m2", "m2 ", "m3"}
	want(c, "messages", map[string][]store.Message{"m1": {*one.Message}, "m2 ": {*two.Message}, "m3": {*empty.Message}})(c.s.MessagesByID(c.ctx, ids))
	c.page("the group g", 2, "m3", "m1")(c.s.GroupHistory(c.ctx, "g", store.Page{Length: 9}))
	c.page("the group with a blank", 1, "m2 ")(c.s.GroupHistory(c.ctx, "g ", store.Page{Length: 9}))
}

func allComesBack(c *check) {
	m := say(1, "z", "g", `[{"text":"你好"}]`)
	m.Offline = []store.OfflineMessage{waiting(m.Message, "l")}
	m.Groups = []store.Group{{ID: "g", Type: 1, Name: "张三,李四 😀", CreateTime: at(0), Owner: "z"}}
	m.Members = []store.Member{{UserID: "z", UserName: "张三", Login: "zhang", Pic: "/z.png", SessionID: "g", Since: at(0)},
		{UserID: "l", SessionID: "g", Since: at(1)}}
	m.Formers = []store.Former{{SessionID: "g", UserID: "w", Time: at(5)}}
	m.Receipts = []store.Receipt{{ID: "r1", MsgID: "m1", Sender: "z", Reader: "l", Status: 1}}
	m.Chats = []store.Chat{{ID: "c1", Name: "李四", Partner: "l", Owner: "z", CreateTime: at(1), Pic: "/l.png"}}
	m.Users = []store.User{{ID: "Z", JID: "z", Name: "张三", Login: "zhang", Email: "z@x.cn", Pic: "/z.png"}}
	m.SetPush = []store.User{{ID: "Z", PushCode: "code", PushOS: "ios"}}
	m.Confirming = []store.Confirming{{UserID: "Z", How: store.ConfirmsByPings}}
	m.Purges = []store.Purge{{SessionID: "old", Time: at(2)}}
	if !c.apply(m) {
		return
	}
	other, err := c.x.Open(c.ctx, 0) // what one process wrote another one reads
	if err != nil {
		c.fault("a second store: wanted no error, came %v", err)
		return
	}
	ctx := c.ctx
	want(c, "messages", map[string][]store.Message{"m1": {*m.Message}})(other.MessagesByID(ctx, []string{"m1", "x"}))
	want(c, "queue", m.Offline)(other.Offline(ctx, "l", "", "", "", 10))
	want(c, "marks", map[store.OfflineMark]bool{{Owner: "l", MsgID: "m1", From: "z", Type: "MTS-000"}: true})(other.OfflineMarks(ctx, []string{"m1", "x"}))
	want(c, "ids", map[store.IDKey]store.ID{{MsgID: "m1", Class: "m"}: m.IDs[0]})(other.IDs(ctx, []string{"m1", "x"}))
	want(c, "groups", map[string]store.Group{"g": m.Groups[0]})(other.Groups(ctx, []string{"g", "x"}))
	want(c, "members", map[string][]store.Member{"g": m.Members})(other.Members(ctx, []string{"g"}))
	want(c, "former members", m.Formers)(other.Formers(ctx, []string{"g"}, epochMillis+5))
	want(c, "former members, later", []store.Former{})(other.Formers(ctx, []string{"g"}, epochMillis+6))
	k := store.ReceiptKey{MsgID: "m1", Reader: "l"}
	want(c, "receipts", map[store.ReceiptKey][]store.Receipt{k: m.Receipts})(other.Receipts(ctx, []store.ReceiptKey{k, {MsgID: "m1", Reader: "x"}}))
	want(c, "receipts of the author", m.Receipts)(other.ReceiptsOf(ctx, "m1", "z"))
	want(c, "chats", map[store.ChatKey]bool{{Partner: "l", Owner: "z"}: true})(other.Chats(ctx, []store.ChatKey{{Partner: "l", Owner: "z"}, {Partner: "z", Owner: "l"}}))
	want(c, "chats of a user", m.Chats)(other.ChatsOf(ctx, "z"))
	u := m.Users[0]
	u.PushCode, u.PushOS, u.Confirms = "code", "ios", store.ConfirmsByPings
	want(c, "user by JID", map[string]store.User{"z": u})(other.UsersByJID(ctx, []string{"z"}))
	want(c, "user by id", map[string]store.User{"Z": u})(other.UsersByID(ctx, []string{"Z"}))
	want(c, "dissolved groups", m.Purges)(other.Purges(ctx))
}

func exactIDs(c *check) {
	// None with a blank at its end: for a key most engines take that for the same without it, and refuse it.
	ids := []string{"lisi", "LISI", "Lisi", "lísi", " lisi", "ｌｉｓｉ", "lısi", "lisi\u0301", "straße", "strasse", "李四"}
	var changes []store.Change
	wanted := map[store.IDKey]store.ID{}
	for n, id := range ids {
		m := tell(n, id, "to "+id+".")
		m.Message.MsgID, m.IDs[0].MsgID = id, id
		m.Offline = []store.OfflineMessage{waiting(m.Message, id)}
		m.Offline[0].ID = fmt.Sprint("queued", n)
		m.Receipts = []store.Receipt{{ID: fmt.Sprint("r", n), MsgID: "m", Sender: "z", Reader: id, Status: 1}}
		m.Learn = []store.User{{ID: id, JID: id, Name: fmt.Sprint(n)}}
		changes = append(changes, m)
		wanted[store.IDKey{MsgID: id, Class: store.ClassMessage}] = m.IDs[0]
	}
	if !c.apply(changes...) {
		return
	}
	want(c, "ids", wanted)(c.s.IDs(c.ctx, ids))
	size[string, store.User](c, "users", len(ids))(c.s.UsersByID(c.ctx, ids))
	for n, id := range ids {
		want(c, "the queue of "+id, []store.OfflineMessage{changes[n].Offline[0]})(c.s.Offline(c.ctx, id, "", "", "", 99))
		want(c, "the message "+id, map[string][]store.Message{id: {*changes[n].Message}})(c.s.MessagesByID(c.ctx, []string{id}))
		when, found, err := c.s.MessageTime(c.ctx, id)
		want(c, "the time of "+id, fmt.Sprint(at(n), true))(fmt.Sprint(when, found), err)
		c.page("the chat of "+id, 1, id)(c.s.ChatHistory(c.ctx, id, "to "+id+".", store.Page{Length: 9}))
	}
	c.apply(store.Change{DropOffline: []store.OfflineKey{{Owner: "lisi", MsgID: "lisi"}}})
	owners := map[store.OfflineKey]bool{}
	for _, id := range ids[1:] {
		owners[store.OfflineKey{Owner: id, MsgID: id}] = true
	}
	want(c, "queues after that of lisi was emptied", owners)(c.s.OfflineOwners(c.ctx, ids))
	for _, id := range []string{"LIsi", "lisi ", "lisi  ", "lis", "lisi\u00a0", "李四 "} {
		size[string, []store.Message](c, "the message "+id, 0)(c.s.MessagesByID(c.ctx, []string{id}))
		_, found, err := c.s.MessageTime(c.ctx, id)
		want(c, "a time of "+id, false)(found, err)
	}
}

func quotes(c *check) {
	hostile := `'"; DROP TABLE ofmessage; -- %_?*` + "\\`\n[x]"
	m := tell(1, hostile, "l")
	m.IDs[0].MsgID, m.Message.MsgID = hostile, hostile
	if !c.apply(m) {
		return
	}
	want(c, "message", map[string][]store.Message{hostile: {*m.Message}})(c.s.MessagesByID(c.ctx, []string{hostile}))
	c.page("chat", 1, hostile)(c.s.ChatHistory(c.ctx, "l", hostile, store.Page{Length: 1}))
	c.page("a pattern is none", 0)(c.s.NoticeHistory(c.ctx, "l", "MTB%", store.Page{Length: 1}))
	c.is("again", c.s.Apply(c.ctx, c.epoch, store.Positions{}, []store.Change{m}), store.ErrDuplicate)
}

func duplicates(c *check) {
	first := say(1, "z", "g", "[]")
	first.Receipts = []store.Receipt{{ID: "r1", MsgID: "m1", Sender: "z", Reader: "l", Status: 1}}
	first.Calls = []store.Call{{ID: "call1", Key: "key", Made: 1}}
	if !c.apply(first) {
		return
	}
	row := store.Change{Message: say(1, "z", "g", "[]").Message}
	receipt := store.Change{Receipts: []store.Receipt{{ID: "r2", MsgID: "m1", Sender: "z", Reader: "l", Status: 2}}}
	call := store.Change{Calls: []store.Call{{ID: "call2", Key: "key", Made: 1}}}
	for what, again := range map[string]store.Change{"an id": say(1, "z", "g", "[]"), "a row": row, "a receipt": receipt, "a call": call, "an id of the same batch": say(2, "z", "g", "[]")} {
		c.refused(what, store.ErrDuplicate, []string{"m2", "m3"}, say(2, "z", "g", "[]"), again, say(3, "z", "g", "[]"))
	}
	want(c, "the first stays", map[string][]store.Message{"m1": {*first.Message}})(c.s.MessagesByID(c.ctx, []string{"m1"}))
	want(c, "its receipt stays", first.Receipts)(c.s.ReceiptsOf(c.ctx, "m1", "z"))
	c.apply(say(2, "z", "g", "[]"), say(3, "z", "g", "[]"))
}

func unfit(c *check) {
	nameless := say(6, "z", "g", "[]")
	nameless.IDs[0].MsgID = ""
	id := strings.Repeat("n", 65)
	for what, change := range map[string]store.Change{
		"65 characters":      say(4, strings.Repeat("汉", 65), "g", "[]"),
		"no UTF-8":           say(5, "z", "g", "\xff"),
		"no key":             nameless,
		"a long member":      {Members: []store.Member{{UserID: id, SessionID: "g"}}},
		"a long time":        {EditGroups: []store.GroupEdit{{ID: "g", ModifyTime: &id}}},
		"a long user":        {Users: []store.User{{ID: id, JID: "u"}}},
		"a long pushed code": {Pushes: []store.Push{{ID: "p", Channel: "c", MsgID: id}}},
	} {
		c.refused(what, store.ErrData, []string{"m2", "m3"}, say(2, "z", "g", "[]"), change, say(3, "z", "g", "[]"))
	}
	for n, r := range []string{"汉", "x", "é"} {
		m := say(10+n, strings.Repeat(r, 64), "g", "[]")
		if c.apply(m) {
			want(c, "64 of "+r, map[string][]store.Message{m.Message.MsgID: {*m.Message}})(c.s.MessagesByID(c.ctx, []string{m.Message.MsgID}))
		}
	}
}

func revocation(c *check) {
	// The same id in three conversations, as old tables can hold it.
	chat, other, group := tell(1, "z", "l"), tell(1, "x", "y"), say(1, "z", "g", "[]")
	other.IDs, group.IDs = nil, nil
	other.Message.ID, group.Message.ID = "other", "group"
	chat.Offline = []store.OfflineMessage{waiting(chat.Message, "l")}
	other.Offline = []store.OfflineMessage{waiting(other.Message, "y")}
	group.Offline = []store.OfflineMessage{waiting(group.Message, "l")}
	chat.Offline[0].To = "z" // as shipped clients see it
	chat.Receipts = []store.Receipt{{ID: "r1", MsgID: "m1", Sender: "z", Reader: "l", Status: 1}}
	other.Receipts = []store.Receipt{{ID: "r2", MsgID: "m1", Sender: "x", Reader: "y", Status: 1}}
	if !c.apply(chat, other, group) {
		return
	}
	left := func(what string, rows, queued map[string]bool, receipts int) {
		got := map[string]bool{}
		found, err := c.s.MessagesByID(c.ctx, []string{"m1"})
		for _, m := range found["m1"] {
			got[m.ID] = true
		}
		want(c, what+": messages", rows)(got, err)
		owners := map[string]bool{}
		keys, err := c.s.OfflineOwners(c.ctx, []string{"m1"})
		for k := range keys {
			owners[k.Owner] = true
		}
		want(c, what+": queues", queued)(owners, err)
		counts, err := c.s.ReceiptCounts(c.ctx, []string{"m1"})
		want(c, what+": receipts", receipts)(counts["m1"], err)
	}
	type set = map[string]bool
	c.apply(store.Change{DropMessages: []store.Drop{{MsgID: "m1", From: "y", To: "x"}}})
	left("x and y", set{"group": true, "row-m1": true}, set{"l": true}, 1)
	c.apply(store.Change{DropMessages: []store.Drop{{MsgID: "m1", From: "z", To: "nobody"}, {MsgID: "m1", SessionID: "h"}, {MsgID: "M1", SessionID: "g"}}})
	left("conversations without it", set{"group": true, "row-m1": true}, set{"l": true}, 1)
	c.apply(store.Change{DropMessages: []store.Drop{{MsgID: "m1", From: "l", To: "z"}}})
	left("l and z", set{"group": true}, set{"l": true}, 1)
	tomb := store.ID{MsgID: "m1", Class: store.ClassMessage, From: "z", Conversation: "g", State: store.Revoked}
	c.apply(store.Change{DropMessages: []store.Drop{{MsgID: "m1", SessionID: "g"}}, SetIDs: []store.ID{tomb}})
	left("the group", set{}, set{}, 0)
	tomb.Time, tomb.Digest = chat.IDs[0].Time, chat.IDs[0].Digest
	want(c, "what is remembered", map[store.IDKey]store.ID{{MsgID: "m1", Class: store.ClassMessage}: tomb})(c.s.IDs(c.ctx, []string{"m1"}))
}

func manyKeys(c *check) {
	const n = 1201 // over two full lists and a rest
	var changes []store.Change
	var keys []string
	var read []store.ReceiptKey
	for i := range n {
		m := store.Change{IDs: say(i, "z", "g", "[]").IDs}
		id := m.IDs[0].MsgID
		m.Receipts = []store.Receipt{{ID: fmt.Sprint(i), MsgID: id, Reader: "l", Status: 1}}
		changes, keys, read = append(changes, m), append(keys, id), append(read, store.ReceiptKey{MsgID: id, Reader: "l"})
	}
	if !c.apply(changes...) {
		return
	}
	size[store.IDKey, store.ID](c, "ids", n)(c.s.IDs(c.ctx, append(keys, "x", "m1")))
	size[store.ReceiptKey, []store.Receipt](c, "receipts", n)(c.s.Receipts(c.ctx, append(read, read[0])))
	size[string, int](c, "counts", n)(c.s.ReceiptCounts(c.ctx, append(keys, "m1")))
}
