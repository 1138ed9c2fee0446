package conformance

import (
	"fmt"
	"slices"
	"strings"

	"tlim/store"
)

var upkeep = []Behaviour{
	{"clean-up meets every old row once, and removes what is named alone", cleanUp},
	{"the messages of a dissolved group go in parts", purge},
	{"pushes wait in order, and end with their outcome", pushes},
	{"calls to many receivers, part by part", calls},
	{"files and what names them", files},
	{"the clock and the positions only grow", clockGrows},
}

func cleanUp(c *check) {
	var changes []store.Change
	for i := range 20 {
		m := tell(i, "z", "l")
		m.Message.Time = at(i / 3) // three of each time
		m.Offline = []store.OfflineMessage{waiting(m.Message, "l")}
		m.Receipts = []store.Receipt{{ID: fmt.Sprint("r", i), MsgID: m.Message.MsgID, Sender: "z", Reader: "l", Status: 1}}
		m.Formers = []store.Former{{SessionID: fmt.Sprint("g", i/5), UserID: fmt.Sprint("u", i%5), Time: at(i)}}
		changes = append(changes, m)
	}
	if !c.apply(changes...) {
		return
	}
	walk := func(limit int, next func(store.Old, int) ([]store.Old, error)) (found []store.Old) {
		for after := (store.Old{}); len(found) < 100; after = found[len(found)-1] {
			page, err := next(after, limit)
			if err != nil {
				c.fault("pages of %d: wanted no error, came %v", limit, err)
			}
			found = append(found, page...)
			if err != nil || len(page) < limit {
				break
			}
		}
		return found
	}
	keys := func(list []store.Old) int {
		all := map[string]bool{}
		for _, o := range list {
			all[o.Key+" "+o.Second] = true
		}
		return len(all)
	}
	var old []store.Old
	for _, limit := range []int{1, 3, 7, 100} {
		old = walk(limit, func(after store.Old, limit int) ([]store.Old, error) {
			return c.s.OldMessages(c.ctx, epochMillis+3, after, limit)
		})
		c.same(fmt.Sprintf("old messages in pages of %d", limit), fmt.Sprint(len(old), keys(old)), "12 12")
		queue := walk(limit, func(after store.Old, limit int) ([]store.Old, error) { return c.s.WalkOffline(c.ctx, after, limit) })
		ids := walk(limit, func(after store.Old, limit int) ([]store.Old, error) { return c.s.WalkIDs(c.ctx, after, limit) })
		formers := walk(limit, func(after store.Old, limit int) ([]store.Old, error) { return c.s.WalkFormers(c.ctx, after, limit) })
		c.same(fmt.Sprintf("queue, ids and former members in pages of %d", limit), fmt.Sprint(len(queue), keys(queue), len(ids), keys(ids), len(formers), keys(formers)), "20 20 20 20 20 20")
	}
	if len(old) == 0 {
		return
	}
	want(c, "removed", 12)(c.s.DeleteMessages(c.ctx, c.epoch, old))
	want(c, "removed again", 12)(c.s.DeleteMessages(c.ctx, c.epoch, old)) // what is gone is no error
	c.page("history", 8, "m19", "m18", "m17", "m16", "m15", "m14", "m13", "m12")(c.s.ChatHistory(c.ctx, "z", "l", store.Page{Length: 99}))
	want(c, "receipts", map[string]int{"m12": 1})(c.s.ReceiptCounts(c.ctx, []string{"m0", "m11", "m12"}))
	c.is("by a process that was deposed", c.s.DeleteIDs(c.ctx, c.epoch-1, []store.Old{{Key: "m1", Second: "m"}}), store.ErrFenced)
	c.is("queue", c.s.DeleteOffline(c.ctx, c.epoch, []store.Old{{Key: "row-m1-l"}, {Key: "never"}}), nil)
	c.is("ids", c.s.DeleteIDs(c.ctx, c.epoch, []store.Old{{Key: "m1", Second: "m"}, {Key: "M2", Second: "m"}, {Key: "m2", Second: "r"}}), nil)
	c.is("former members", c.s.DeleteFormers(c.ctx, c.epoch, []store.Old{{Key: "g0", Second: "u1"}, {Key: "G0", Second: "u2"}}), nil)
	queue, err := c.s.Offline(c.ctx, "l", "", "", "", 99)
	want(c, "queue rows left", 19)(len(queue), err)
	size[store.IDKey, store.ID](c, "ids left", 2)(c.s.IDs(c.ctx, []string{"m1", "m2", "m3"}))
	formers, err := c.s.Formers(c.ctx, []string{"g0"}, 0)
	want(c, "former members left", 4)(len(formers), err)
}

func purge(c *check) {
	var changes []store.Change
	for n := range 25 {
		m := say(n, "z", "g", "[]")
		m.Receipts = []store.Receipt{{ID: fmt.Sprint("r", n), MsgID: m.Message.MsgID, Sender: "z", Reader: "l", Status: 1}}
		changes = append(changes, m)
	}
	p := store.Purge{SessionID: "g", Time: at(30)}
	changes = append(changes, say(100, "z", "other", "[]"), store.Change{Purges: []store.Purge{p}, Announcements: []store.Announcement{{ID: "a1", Title: "t", SessionID: "g"}, {ID: "a2", Title: "t", SessionID: "h"}}})
	settled := max(c.first.Settled, epochMillis+100)
	if err := c.s.Apply(c.ctx, c.epoch, store.Positions{Settled: settled}, changes); err != nil {
		c.fault("a write: wanted no error, came %v", err)
		return
	}
	steps := 1
	for ; steps < 50; steps++ {
		done, err := c.s.PurgeSome(c.ctx, c.epoch, p, 10)
		if err != nil {
			c.fault("a part: wanted no error, came %v", err)
			return
		}
		if done {
			break
		}
	}
	c.same("parts of 10 for 25 messages, and one announcement", steps >= 3 && steps < 50, true)
	c.page("its history", 0)(c.s.GroupHistory(c.ctx, "g", store.Page{Length: 9}))
	want(c, "its receipts", map[string]int{})(c.s.ReceiptCounts(c.ctx, []string{"m0", "m24"}))
	want(c, "its announcements", 0)(c.s.CountAnnouncements(c.ctx, "g"))
	c.page("another group", 1, "m100")(c.s.GroupHistory(c.ctx, "other", store.Page{Length: 9}))
	want(c, "another's announcements", 1)(c.s.CountAnnouncements(c.ctx, "h"))
	want(c, "what is to be removed", []store.Purge{})(c.s.Purges(c.ctx))
}

func pushes(c *check) {
	wake := func(n int) store.Push {
		return store.Push{ID: fmt.Sprintf("p%d", n), Channel: "c", MsgID: fmt.Sprintf("m%d", n), Type: "MTT-000", Platforms: "android,ios", Title: "组", Alert: "张三:hi 😀",
			Made: epochMillis, Due: epochMillis + int64(n), To: []store.PushTo{{User: "l", Code: "code"}}}
	}
	longest, bare, other := wake(1), wake(2), wake(3)
	longest.Title, longest.Alert = strings.Repeat("😀", 256), strings.Repeat("长", 400)
	for i := range 1000 {
		longest.To = append(longest.To, store.PushTo{User: strings.Repeat("张", 60) + fmt.Sprint(i), Code: strings.Repeat("x", 124) + fmt.Sprint(i)})
	}
	bare.Title, bare.Alert, bare.To = "", "", nil
	other.Channel = "d"
	if !c.apply(store.Change{Pushes: []store.Push{other, bare, longest}}) {
		return
	}
	const late = epochMillis + 99
	want(c, "due", []store.Push{longest, bare})(c.s.DuePushes(c.ctx, "c", late, 10))
	want(c, "due by then", []store.Push{longest})(c.s.DuePushes(c.ctx, "c", epochMillis+1, 10))
	channels, err := c.s.PushChannels(c.ctx)
	slices.Sort(channels)
	want(c, "channels", []string{"c", "d"})(channels, err)
	c.is("of a process that was deposed", c.s.UpdatePushes(c.ctx, c.epoch-1, []store.PushUpdate{{IDs: []string{"p1"}, Request: "r"}}), store.ErrFenced)
	c.is("a delay and an outcome", c.s.UpdatePushes(c.ctx, c.epoch, []store.PushUpdate{{IDs: []string{"p1", "P2"}, Delay: true, At: epochMillis + 50}, {IDs: []string{"p2"}, Outcome: "sent", At: epochMillis + 9}}), nil)
	longest.Due, longest.Tries = epochMillis+50, 1
	want(c, "due again", []store.Push{longest})(c.s.DuePushes(c.ctx, "c", late, 10))
	bare.Done, bare.Outcome, bare.Due = true, "sent", epochMillis+9
	want(c, "what became of it", map[string][]store.Push{"m2": {bare}})(c.s.PushesOf(c.ctx, []string{"m2", "m9"}))
	want(c, "forgotten", 1)(c.s.DeletePushes(c.ctx, "c", late, 10))
	want(c, "waiting", 1)(c.s.CountPushes(c.ctx, "c"))
}

func calls(c *check) {
	many := make([]string, 500) // as long as ids may be, of characters that take four bytes
	for i := range many {
		many[i] = strings.Repeat("😀", 60) + fmt.Sprintf("%04d", i)
	}
	call := store.Call{ID: "0190f8c2-0001", Key: strings.Repeat("a", 64), Business: "b", Caller: "财务", Type: "MTB-000", Digest: "d", Body: `["请假 😀"]` + strings.Repeat("x", 64<<10),
		Receivers: 600, Made: epochMillis}
	bare := store.Call{ID: "0190f8c2-0002", Type: "MTB-100", Receivers: 1, Made: epochMillis + 1, Done: true, Answer: "error-012"}
	parts := []store.CallPart{{CallID: call.ID, First: 1, To: many}, {CallID: call.ID, First: 501, To: many[:100]}}
	if !c.apply(store.Change{Calls: []store.Call{call, bare}, CallParts: parts}) {
		return
	}
	one := func(what string, wanted store.Call, wantedThere bool) func(store.Call, bool, error) {
		return func(came store.Call, there bool, err error) {
			want(c, what, fmt.Sprintf("%+v %v", wanted, wantedThere))(fmt.Sprintf("%+v %v", came, there), err)
		}
	}
	one("by id", call, true)(c.s.Call(c.ctx, call.ID))
	one("without anything", bare, true)(c.s.Call(c.ctx, bare.ID))
	one("by key", call, true)(c.s.CallByKey(c.ctx, call.Key))
	one("no key is no key", store.Call{}, false)(c.s.CallByKey(c.ctx, ""))
	want(c, "open", []store.Call{call})(c.s.OpenCalls(c.ctx))
	want(c, "parts", parts)(c.s.CallParts(c.ctx, call.ID, 0, 9))
	want(c, "parts behind the first", parts[1:])(c.s.CallParts(c.ctx, call.ID, 2, 9))
	want(c, "about the business", []string{call.ID})(c.s.CallsAbout(c.ctx, "b", ""))
	c.apply(store.Change{DropCallParts: parts[:1]})
	want(c, "parts left", parts[1:])(c.s.CallParts(c.ctx, call.ID, 0, 9))
	c.apply(store.Change{DropCallParts: parts[1:], EditCalls: []store.CallEdit{{ID: call.ID, Done: true}}})
	call.Done, call.Body = true, ""
	one("over", call, true)(c.s.Call(c.ctx, call.ID))
	want(c, "forgotten", 2)(c.s.DeleteCalls(c.ctx, c.epoch, "0190f8c2-0009", 9))
}

func files(c *check) {
	id := func(n int) string { return fmt.Sprintf("%032x", n) }
	file := store.File{ID: id(1), Name: "报告 😀.pdf", Type: "application/pdf", Size: 1 << 33, Digest: strings.Repeat("a", 64), Owner: "Z", Time: at(5)}
	small := store.File{ID: id(2), Name: "b", Size: 5, Owner: "Z", Time: at(6)}
	for _, f := range []store.File{file, small} {
		c.is("a file", c.s.AddFile(c.ctx, f), nil)
	}
	c.is("its id again", c.s.AddFile(c.ctx, file), store.ErrDuplicate)
	got, found, err := c.s.GetFile(c.ctx, id(1))
	want(c, "the file", fmt.Sprintf("%+v true", file))(fmt.Sprintf("%+v %v", got, found), err)
	want(c, "bytes of a user", int64(1<<33+5))(c.s.StoredBytes(c.ctx, "Z"))
	m := tell(1, "z", "l")
	m.FileUses = []store.FileUse{{FileID: id(1), MsgID: "m1"}, {FileID: id(1), MsgID: "m1"}}
	c.apply(m)
	using, err := c.s.FileMessages(c.ctx, id(1), 9)
	want(c, "messages that name it", []string{"m1"})(idsOf(using), err)
	want(c, "old files", []string{id(1)})(c.s.FilesBefore(c.ctx, epochMillis+6, 9))
	c.is("removal", c.s.DeleteFiles(c.ctx, []string{id(1), id(9)}), nil)
	want(c, "known files", map[string]bool{id(2): true})(c.s.KnownFiles(c.ctx, []string{id(1), id(2)}))
	using, err = c.s.FileMessages(c.ctx, id(1), 9)
	want(c, "messages that name it, after that", []string{})(idsOf(using), err)
}

func clockGrows(c *check) {
	from := store.Positions{Clock: max(c.first.Clock, 1<<41), Delivered: max(c.first.Delivered, 1<<41), Settled: max(c.first.Settled, 1<<41)}
	plus := func(clock, delivered, settled int64) store.Positions {
		return store.Positions{Clock: from.Clock + clock, Delivered: from.Delivered + delivered, Settled: from.Settled + settled}
	}
	for n, step := range []struct{ give, wanted store.Positions }{
		{plus(10, 5, 1), plus(10, 5, 1)},
		{store.Positions{}, plus(10, 5, 1)},
		{plus(9, 6, 0), plus(10, 6, 1)},
	} {
		c.is("a write", c.s.Apply(c.ctx, c.epoch, step.give, nil), nil)
		want(c, fmt.Sprintf("step %d", n+1), store.State{Epoch: c.epoch, Batch: c.first.Batch + int64(n) + 1, Clock: step.wanted.Clock, Delivered: step.wanted.Delivered,
			Settled: step.wanted.Settled})(c.s.State(c.ctx))
	}
}
