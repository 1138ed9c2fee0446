package component

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tlim/component/directory"
	"tlim/component/outbox"
	"tlim/component/protocol"
	"tlim/store"
)

func TestPushReceivers(t *testing.T) {
	h := startPushing(t, nil)
	group := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu", "zhaoliu")
	var cutName = cutMarked(groupName(t, h, group), 6)
	title := groupName(t, h, group)

	// 1:1: the receiver and nobody else; who has no code gets none.
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hello"))
	h.sent("MTT-000 [] Zhangsan:hello -> lisi/cl")
	h.send("zhangsan/p", text("m2", "zhangsan", "zhaoliu", "hello"))
	h.send("zhangsan/p", text("m3", "zhangsan", "zhangsan", "to myself"))
	h.sent()

	// A group: all but the sender, in one call.
	h.send("zhangsan/p", groupText("m4", "zhangsan", group, "hi"))
	h.sent("MTS-000 [" + title + "] Zhangsan(" + cutName + "):hi -> lisi/cl wangwu/cw")

	// Receipts, commands and business messages of clients wake nobody.
	h.send("lisi/p", `{"msg_id":"r1","msg_type":"MTT-100","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":"m1"}]}`)
	h.send("lisi/p", `{"msg_id":"r2","msg_type":"MTC-000","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":"m1"}]}`)
	h.send("lisi/p", `{"msg_id":"r3","msg_type":"MTB-001","msg_from":"lisi","msg_to":"zhangsan","body":[{"x":"y"}]}`)
	h.sent()

	// The web does not suppress; an available iPhone has the message already, an absent-minded one has not.
	h.online("wangwu/b[web]", "wangwu/i[ios]:away", "lisi/x[android]")
	h.send("zhangsan/p", groupText("m5", "zhangsan", group, "hi"))
	h.sent("MTS-000 [" + title + "] Zhangsan(" + cutName + "):hi -> lisi/cl wangwu/cw")
	h.online("wangwu/i[ios]", "lisi/i[ios]")
	h.send("zhangsan/p", groupText("m6", "zhangsan", group, "hi"))
	h.sent("MTS-000 [" + title + "] Zhangsan(" + cutName + "):hi android only -> lisi/cl wangwu/cw")
	h.register("wangwu", "cw") // from the iPhone: its class is known now
	h.send("zhangsan/p", text("m7", "zhangsan", "wangwu", "hi"))
	h.sent()
	h.offline("wangwu/i[ios]")
	h.send("zhangsan/p", text("m8", "zhangsan", "wangwu", "hi"))
	h.sent("MTT-000 [] Zhangsan:hi -> wangwu/cw")

	// A device that changes hands is its new owner's; an empty code ends it; who left the directory is left alone.
	h.register("zhaoliu", "cw")
	h.send("zhangsan/p", text("m9", "zhangsan", "wangwu", "hi"))
	h.send("zhangsan/p", text("m10", "zhangsan", "zhaoliu", "hi"))
	h.sent("MTT-000 [] Zhangsan:hi -> zhaoliu/cw")
	h.register("zhaoliu", "")
	h.send("zhangsan/p", text("m11", "zhangsan", "zhaoliu", "hi"))
	if err := h.RemoveUsers(t.Context(), []string{"lisi"}); err != nil {
		t.Fatal(err)
	}
	h.send("zhangsan/p", text("m12", "zhangsan", "lisi", "hi"))
	h.sent()

	// Approvals for many with one text are one call; a dissolution tells everybody, its maker too.
	h.register("zhaoliu", "cu")
	if _, err := h.Notify(t.Context(), Notice{Type: "MTB-000", Body: `[{"docTitle":"secret"}]`, Receivers: []string{"zhangsan", "zhaoliu", "lisi"}}); err != nil {
		t.Fatal(err)
	}
	h.sent("MTB-000 [] 收到了一条审批消息 -> zhangsan/cz zhaoliu/cu")
	if err := h.Dissolve(t.Context(), group); err != nil {
		t.Fatal(err)
	}
	h.sent("MTS-107 [" + title + "] 收到一条系统消息 -> zhangsan/cz zhaoliu/cu")
}

func groupName(t *testing.T, h *pushHarness, id string) string {
	t.Helper()
	groups, err := h.db.Groups(t.Context(), []string{id})
	if err != nil {
		t.Fatal(err)
	}
	return groups[id].Name
}

func TestPushHidden(t *testing.T) {
	h := startPushing(t, func(c *Config) { c.PushHidden = true })
	group := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.send("zhangsan/p", groupText("m1", "zhangsan", group, "secret"))
	h.sent("MTS-000 [] 收到了一条新消息 -> lisi/cl")
	if _, err := h.Notify(t.Context(), Notice{Type: "MTB-000", Body: `[{}]`, Receivers: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	h.sent("MTB-000 [] 收到了一条新消息 -> lisi/cl")
}

func TestPushKinds(t *testing.T) {
	h := startPushing(t, nil, "MTB-", "MTT-001")
	for i, kind := range []string{"MTT-000", "MTT-001", "MTT-0011"} {
		h.send("zhangsan/p", fmt.Sprintf(`{"msg_id":"m%d","msg_type":%q,"msg_from":"zhangsan","msg_to":"lisi","body":[{}]}`, i, kind))
	}
	h.sent("MTT-001 [] 发送了一个图片消息 -> lisi/cl")
	if _, err := h.Notify(t.Context(), Notice{Type: "MTB-100", Body: `[{"type":3}]`, Receivers: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	h.sent("MTB-100 [] 收到了一条新消息 -> lisi/cl")
}

// A device gets a push for every message, also when several show the same text: only then is it not one call.
func TestPushSameTextTwice(t *testing.T) {
	h := startPushing(t, nil)
	h.together(func() {
		h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
		h.post("zhangsan/p", text("m2", "zhangsan", "wangwu", "hi"))
		h.post("zhangsan/p", text("m3", "zhangsan", "lisi", "hi"))
	})
	h.drained()
	got := h.vendor.take()
	if len(got) != 2 || strings.Count(strings.Join(got, " "), "lisi/cl") != 2 || strings.Count(strings.Join(got, " "), "wangwu/cw") != 1 {
		t.Errorf("got calls %q, want 2, with lisi/cl twice, wangwu/cw once", got)
	}
}

// A vendor that is down is asked again, later and later, under the old name; the log says so once, and once when it is back.
func TestPushRetries(t *testing.T) {
	h := startPushing(t, nil)
	h.vendor.set(busy)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
	for i, wait := range []time.Duration{2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		h.asleep(wait * time.Second)
		if got := len(h.vendor.names()); got != i+1 {
			t.Fatalf("got %d calls before pause %d, want %d", got, i, i+1)
		}
		h.timers.move(wait*time.Second - time.Millisecond)
		h.sync()
		if got := len(h.vendor.names()); got != i+1 {
			t.Fatalf("got %d calls before pause %d was over, want %d", got, i, i+1)
		}
		if i == 9 {
			h.vendor.set(nil)
		}
		h.timers.move(time.Millisecond)
	}
	h.drained()
	names := h.vendor.names()
	if len(names) != 11 || len(slices.Compact(names)) != 1 {
		t.Errorf("got names %q, want 11 that are the same", names)
	}
	h.wantPushes("m1", "lisi sent")
	h.await("the good news", func() bool { return h.log.Count("pushes work again") == 1 })
	if n := h.log.Count("pushes fail"); n != 1 {
		t.Errorf("logged %d times, want 1", n)
	}
}

// What the vendor says of its limits counts; the other calls of the pass are left for then.
func TestPushRateLimit(t *testing.T) {
	h := startPushing(t, nil)
	h.vendor.set(func(outbox.Note) (bool, error) { return true, &outbox.Error{Err: errVendor, Wait: 40 * time.Second} })
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
	h.asleep(40 * time.Second)
	h.send("zhangsan/p", text("m2", "zhangsan", "wangwu", "ho")) // wakes nobody: the vendor has said when
	h.timers.move(40*time.Second - time.Millisecond)
	h.sync()
	if got := h.vendor.names(); len(got) != 1 {
		t.Fatalf("got %d calls while the vendor takes none, want 1", len(got))
	}
	h.vendor.set(nil)
	h.vendor.take()
	h.timers.move(time.Millisecond)
	h.sent("MTT-000 [] Zhangsan:hi -> lisi/cl", "MTT-000 [] Zhangsan:ho -> wangwu/cw")
	for _, id := range []string{"m1", "m2"} {
		if rows := h.pushRowsOf(id); len(rows) != 1 || rows[0].Tries != 0 || rows[0].Alert != "" {
			t.Errorf(`%s: got %+v, want 1 row without tries or text: a limit is no failure, and a settled row keeps no text`, id, rows)
		}
	}
}

// What the vendor will not take is given up at once, what it has no name for waits.
func TestPushRefused(t *testing.T) {
	h := startPushing(t, nil)
	h.vendor.set(func(outbox.Note) (bool, error) { return false, errors.New("vendor: status 401") })
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
	h.wantPushes("m1", "lisi refused")
	h.vendor.set(nil)
	h.vendor.mu.Lock()
	h.vendor.name = func() error { return &outbox.Error{Err: errVendor, Wait: time.Minute} }
	h.vendor.mu.Unlock()
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "hi"))
	// The worker may not sleep yet: its timer would then begin after the move.
	h.await("a second reason", func() bool { h.timers.move(pushFirstWait); return h.log.Count("name a request") == 1 })
	h.vendor.mu.Lock()
	h.vendor.name = nil
	h.vendor.mu.Unlock()
	h.vendor.take()
	h.await("the rest", func() bool { h.timers.move(20 * time.Second); return h.waitingRows() == 0 })
	h.sent("MTT-000 [] Zhangsan:hi -> lisi/cl")
	h.await("the good news", func() bool { return h.log.Count("pushes work again") == 1 })
	if h.log.Count("status 401") != 1 {
		t.Errorf("log: got %s, want status 401 once", h.log.String())
	}
}

// What was read or revoked while the vendor was away is not sent; the others are.
func TestPushWithdrawn(t *testing.T) {
	h := startPushing(t, nil)
	group := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	h.vendor.set(busy)
	h.send("zhangsan/p", groupText("read", "zhangsan", group, "hi"))
	h.send("zhangsan/p", text("gone", "zhangsan", "lisi", "hi"))
	h.send("zhangsan/p", text("kept", "zhangsan", "lisi", "ho"))
	h.asleep(pushFirstWait)
	h.send("lisi/b[web]", fmt.Sprintf(`{"msg_id":"r","msg_type":"MTS-100","msg_from":"lisi","msg_to":%q,"body":[{"session_id":%q,"msg_id":"read"}]}`, group, group))
	h.send("zhangsan/p", `{"msg_id":"v","msg_type":"MTT-101","msg_from":"zhangsan","msg_to":"lisi","body":[{"msg_id":"gone"}]}`)
	h.vendor.set(nil)
	h.vendor.take()
	h.timers.move(pushLongWait)
	h.drained()
	got := strings.Join(h.vendor.take(), "\n")
	if strings.Contains(got, "Zhangsan:hi") || strings.Count(got, "wangwu/cw") != 1 || !strings.Contains(got, "Zhangsan:ho") || !strings.Contains(got, "Zhangsan撤回了一条消息") {
		t.Errorf("got calls\n%s\nwant wangwu/cw once, with \"Zhangsan:ho\" and Zhangsan撤回了一条消息, without \"Zhangsan:hi\"", got)
	}
	h.wantPushes("read", "lisi withdrawn, wangwu sent")
	h.wantPushes("gone", "lisi withdrawn")
	h.wantPushes("kept", "lisi sent")
	h.wantPushes("v", "lisi sent")
}

// After an hour a push is news no more.
func TestPushExpires(t *testing.T) {
	h := startPushing(t, nil)
	h.vendor.set(busy)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
	h.asleep(pushFirstWait)
	h.timers.move(pushLife + time.Millisecond)
	h.wantPushes("m1", "lisi expired")
	if got := h.pushCount(outbox.Expired); got != 1 {
		t.Errorf("got %v counted, want 1", got)
	}
	h.await("the log to say so", func() bool { return h.log.Count("pushes were given up") == 1 })
}

// A dead registration is dropped, once the vendor has shown that it knows the app at all.
func TestPushDeadRegistrations(t *testing.T) {
	h := startPushing(t, nil)
	dead := func(n outbox.Note) (bool, error) {
		var codes []string
		for _, to := range n.To {
			if to.User != "wangwu" {
				codes = append(codes, to.Code)
			}
		}
		if len(codes) == 0 {
			return false, nil
		}
		if len(codes) == len(n.To) {
			return false, &outbox.Error{Err: errVendor, Dead: codes}
		}
		return false, &outbox.Error{Dead: codes}
	}
	h.vendor.set(dead)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
	h.wantPushes("m1", "lisi dead")
	h.send("zhangsan/p", text("m1b", "zhangsan", "lisi", "again"))
	h.wantPushes("m1b", "lisi dead")
	if h.code("lisi") != "cl" || h.log.Count("another app's") != 1 {
		t.Errorf("got code %q, want cl, not dropped although nothing ever went out, and another app's logged once: %s", h.code("lisi"), h.log.String())
	}
	group := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	h.send("zhangsan/p", groupText("m2", "zhangsan", group, "hi"))
	h.wantPushes("m2", "lisi dead, wangwu sent")
	if h.code("lisi") != "" || h.code("wangwu") != "cw" {
		t.Errorf(`got codes %q and %q, want "", "cw"`, h.code("lisi"), h.code("wangwu"))
	}
	h.vendor.take()
	h.send("zhangsan/p", text("m3", "zhangsan", "lisi", "hi")) // at once: the directory's memory knows as well
	h.sent()
	h.register("lisi", "cl2")
	h.vendor.set(nil)
	h.send("zhangsan/p", text("m4", "zhangsan", "lisi", "hi"))
	h.sent("MTT-000 [] Zhangsan:hi -> lisi/cl2")
	if h.log.Count("pushes fail") != 0 {
		t.Errorf("log: got %s, want no failed push: dead phones are no trouble of the vendor's", h.log.String())
	}
}

// What a vendor says of phones that a note did not mean counts for nothing: with another app's key it does not know an iPhone's
// registration in a note for Android either, and has not shown that it knows the app.
func TestPushDeadForAnotherReason(t *testing.T) {
	h := startPushing(t, nil)
	h.vendor.set(func(n outbox.Note) (bool, error) {
		if n.Android {
			return false, &outbox.Error{Err: errVendor, Dead: []string{n.To[0].Code}}
		}
		return false, &outbox.Error{Dead: []string{"cw"}} // nobody asked about it
	})
	h.online("lisi/i[ios]")
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
	h.wantPushes("m1", "lisi unmeant")
	h.offline("lisi/i[ios]")
	if h.code("lisi") != "cl" || h.log.Count("another app's") != 0 {
		t.Errorf("got code %q, log %s, want cl, nothing of another app's", h.code("lisi"), h.log.String())
	}
	for _, id := range []string{"m2", "m3"} { // the second when something has gone out
		h.send("zhangsan/p", text(id, "zhangsan", "lisi", "hi"))
		h.wantPushes(id, "lisi sent")
	}
	if h.code("lisi") != "cl" || h.code("wangwu") != "cw" {
		t.Errorf("got codes %q and %q, want cl, cw", h.code("lisi"), h.code("wangwu"))
	}
}

// A dead registration goes from the directory's source first, whose next poll would bring it back.
func TestPushDeadInTheSource(t *testing.T) {
	from := &testSource{users: []string{"zhangsan", "lisi", "wangwu", "zhaoliu"}}
	h := startPushingOf(t, from, func(c *Config) { c.Directory = directory.Config{Interval: time.Hour, MaxRemove: 100} })
	from.failing(store.ErrUnavailable)
	h.send("zhangsan/p", text("m1", "zhangsan", "wangwu", "hi"))
	h.wantPushes("m1", "wangwu sent")
	h.vendor.set(func(n outbox.Note) (bool, error) { return false, &outbox.Error{Err: errVendor, Dead: []string{"cl"}} })
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "hi"))
	h.wantPushes("m2", "lisi dead")
	if h.code("lisi") != "cl" {
		t.Errorf("got code %q, want cl: the source still has it", h.code("lisi"))
	}
	if told := from.take(); told != "dead cl" {
		t.Errorf(`the source was told %q, want "dead cl"`, told)
	}
	from.failing(nil)
	h.send("zhangsan/p", text("m3", "zhangsan", "lisi", "hi"))
	h.wantPushes("m3", "lisi dead")
	if h.code("lisi") != "" || from.take() != "dead cl" {
		t.Errorf(`got code %q, want it dropped, and the source told "dead cl"`, h.code("lisi"))
	}
}

// A call that is repeated has all its receivers, also when the rows of a pass are too many: the vendor, who knows the call
// again, would push to none who were missing.
func TestPushRequestsStayWhole(t *testing.T) {
	h := startPushing(t, nil)
	var mu sync.Mutex
	down, seen, got := true, map[string]bool{}, map[string]int{}
	h.vendor.set(func(n outbox.Note) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			return true, errVendor
		}
		for _, to := range n.To {
			if !seen[n.ID] {
				got[to.Code]++
			}
		}
		seen[n.ID] = true
		return false, nil
	})
	write := func(alert string, n int) {
		t.Helper()
		now := h.clock.Now().UnixMilli()
		rows := make([]store.Push, n)
		for i := range rows {
			name := fmt.Sprint(alert, i)
			rows[i] = store.Push{ID: protocol.NewID(), Channel: "test", MsgID: name, Type: "MTT-000", Platforms: "android,ios", Alert: alert,
				To: []store.PushTo{{User: name, Code: name}}, Made: now, Due: now}
		}
		if err := h.do(t.Context(), &task{plan: func(_ context.Context, b *batch) error {
			b.outgoing = rows
			return nil
		}}); err != nil {
			t.Fatal(err)
		}
	}
	write("first", pushRows-100)
	h.asleep(pushFirstWait)
	h.timers.move(pushFirstWait / 2)
	write("second", 200) // due before the first are again
	mu.Lock()
	down = false
	mu.Unlock()
	h.timers.move(pushFirstWait / 2)
	h.drained()
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 2 || len(got) != pushRows+100 {
		t.Errorf("got %d calls to %d phones, want 2 to %d", len(seen), len(got), pushRows+100)
	}
	for code, n := range got {
		if n != 1 {
			t.Errorf("%s: got %d pushes, want 1", code, n)
		}
	}
}

// A group with more phones than one call takes.
func TestPushToMany(t *testing.T) {
	h := startPushing(t, nil)
	users := make([]store.User, outbox.MaxReceivers+1)
	ids := []string{"zhangsan"}
	for i := range users {
		users[i] = store.User{ID: fmt.Sprint("many", i), PushCode: fmt.Sprint("c", i)}
		ids = append(ids, users[i].ID)
	}
	if err := h.AddUsers(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	if err := h.do(t.Context(), &task{alone: true, plan: func(_ context.Context, b *batch) error {
		b.changes = append(b.changes, store.Change{SetPush: users})
		for _, u := range users {
			b.staleUsers = append(b.staleUsers, u.JID)
		}
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	group := h.makeGroup("zhangsan", ids...)
	var mu sync.Mutex
	var sizes []int
	got := map[string]int{}
	h.vendor.set(func(n outbox.Note) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		sizes = append(sizes, len(n.To))
		for _, to := range n.To {
			got[to.Code]++
		}
		return false, nil
	})
	h.send("zhangsan/p", groupText("m1", "zhangsan", group, "hi"))
	h.drained()
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(sizes)
	if fmt.Sprint(sizes) != fmt.Sprint([]int{1, outbox.MaxReceivers}) || len(got) != len(users) {
		t.Errorf("got calls with %v receivers, %d phones, want 1 and %d receivers, %d phones", sizes, len(got), outbox.MaxReceivers, len(users))
	}
}

// A message sent again, as clients do that got no acknowledgement, is one push.
func TestPushOfRepeatedMessage(t *testing.T) {
	h := startPushing(t, nil)
	for range 3 {
		h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
	}
	h.sent("MTT-000 [] Zhangsan:hi -> lisi/cl")
	h.wantPushes("m1", "lisi sent")
	h.halt()
	h.run(nil)
	h.Up()
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
	h.sent()
	h.wantPushes("m1", "lisi sent")
}

// The longest names there are keep no message from being stored.
func TestPushLongest(t *testing.T) {
	h := startPushing(t, nil)
	long := strings.Repeat("😀", protocol.MaxName)
	if err := h.AddUsers(t.Context(), []store.User{{ID: "zhangsan", Name: long}}); err != nil {
		t.Fatal(err)
	}
	h.register("lisi", strings.Repeat("码", directory.MaxPushCode))
	group := h.makeGroup("zhangsan", "zhangsan", "lisi")
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: group, Name: long}); err != nil {
		t.Fatal(err)
	}
	id := strings.Repeat("m", protocol.MaxID)
	h.send("zhangsan/p", groupText(id, "zhangsan", group, strings.Repeat("长", 100)))
	h.drained()
	calls := h.vendor.take()
	if len(calls) != 1 || !strings.Contains(calls[0], long+"(😀😀😀😀😀😀...):"+strings.Repeat("长", 30)+"... -> lisi/") {
		t.Errorf("got calls %q, want one with %q", calls, long+"(😀😀😀😀😀😀...):"+strings.Repeat("长", 30)+"... -> lisi/")
	}
}

// One bad receiver costs the others nothing.
func TestPushSplit(t *testing.T) {
	h := startPushing(t, nil)
	h.register("zhaoliu", "bad")
	h.vendor.set(func(n outbox.Note) (bool, error) {
		for _, to := range n.To {
			if to.Code == "bad" {
				return false, &outbox.Error{Err: errVendor, Split: true}
			}
		}
		return false, nil
	})
	group := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu", "zhaoliu")
	h.send("zhangsan/p", groupText("m1", "zhangsan", group, "hi"))
	h.wantPushes("m1", "lisi sent, wangwu sent, zhaoliu refused")
	if names := h.vendor.names(); len(names) > 5 || len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		t.Errorf("got calls %q, want at most 5, each of another name", names)
	}
	// A part that failed for a while is repeated, and no other.
	h.vendor.take()
	failing := true
	h.vendor.set(func(n outbox.Note) (bool, error) {
		switch {
		case len(n.To) > 1:
			return false, &outbox.Error{Err: errVendor, Split: true}
		case n.To[0].User == "wangwu" && failing:
			return true, errVendor
		}
		return false, nil
	})
	h.send("zhangsan/p", groupText("m2", "zhangsan", group, "hi"))
	h.await("the rest", func() bool { return h.outcomes("m2") == "lisi sent, wangwu , zhaoliu sent" })
	h.vendor.take()
	h.vendor.mu.Lock()
	failing = false
	h.vendor.mu.Unlock()
	// The worker may not sleep yet: its timer would then begin after the move.
	h.await("the repeated part", func() bool { h.timers.move(pushFirstWait); return h.waitingRows() == 0 })
	h.wantPushes("m2", "lisi sent, wangwu sent, zhaoliu sent")
	if got := h.vendor.take(); len(got) != 1 || !strings.HasSuffix(got[0], "-> wangwu/cw") {
		t.Errorf(`got %q repeated, want one call, to wangwu/cw`, got)
	}
}

// One push per device and message within three minutes, also over a restart.
func TestPushSpacing(t *testing.T) {
	h := startPushing(t, nil)
	revoke := `{"msg_id":"m1","msg_type":"MTT-101","msg_from":"zhangsan","msg_to":"lisi","body":[{"msg_id":"other"}]}`
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
	h.sent("MTT-000 [] Zhangsan:hi -> lisi/cl")
	h.halt()
	h.run(nil)
	h.timers.move(pushSpacing - time.Second)
	h.Up()
	h.sync()
	h.send("zhangsan/p", revoke) // clients do name revokes like messages
	h.sent()
	h.wantPushes("m1", "lisi repeated, lisi sent")
	h.timers.move(time.Second)
	h.send("zhangsan/p", strings.Replace(revoke, `"MTT-101"`, `"MTS-101"`, 1))
	h.send("lisi/p", strings.NewReplacer(`"m1"`, `"m2"`).Replace(text("m1", "lisi", "zhangsan", "hi")))
	h.sent("MTT-000 [] Lisi:hi -> zhangsan/cz")
}

// kill -9 between the call and its record repeats it under the same name; what was never sent is sent by the next process.
func TestPushSurvivesTheProcess(t *testing.T) {
	h := startPushing(t, nil)
	h.rec.set(func(r *recordingStore) {
		r.updating = func(steps []store.PushUpdate) error {
			if steps[0].Outcome != "" {
				return store.ErrUnavailable
			}
			return nil
		}
	})
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
	h.asleep(pushStoreWait)
	h.timers.move(pushStoreWait)
	h.asleep(pushStoreWait)
	first := h.vendor.names()
	if len(first) != 1 {
		t.Errorf("got calls %q, want 1: what cannot be recorded is not sent again by the same process", first)
	}
	h.kill()
	h.vendor.take()
	h.run(nil)
	h.await("the repetition", func() bool { return len(h.vendor.names()) == 1 })
	if got := h.vendor.names(); !slices.Equal(got, first) {
		t.Errorf("repeated: got %q, want %q", got, first)
	}
	h.wantPushes("m1", "lisi sent")
}

// A stop does not wait for a vendor that hangs, and what hung is sent again.
func TestPushStop(t *testing.T) {
	h := startPushing(t, nil)
	h.blind()
	began := make(chan struct{}, 1)
	h.vendor.hang(began)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
	<-began
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "ho")) // and delivery does not wait for it either
	deliveries, _ := h.sender.take()
	if addresses(deliveries, "m1") == "" || addresses(deliveries, "m2") == "" {
		t.Errorf("got deliveries %v, want m1 and m2", deliveries)
	}
	h.halt()
	h.vendor.hang(nil)
	if h.log.Count("pushes fail") != 0 {
		t.Errorf("log: got %s, want no failed push: a stop is no trouble of the vendor's", h.log.String())
	}
	h.run(nil)
	h.sent("MTT-000 [] Zhangsan:hi -> lisi/cl", "MTT-000 [] Zhangsan:ho -> lisi/cl")
}

// Whatever keeps a push from being written, the message goes its way.
func TestPushNeverFailsADelivery(t *testing.T) {
	h := startPushing(t, nil)
	group := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	h.users.Drop("wangwu")
	h.rec.set(func(r *recordingStore) {
		r.users = func(jids []string) error {
			if slices.Contains(jids, "wangwu") { // only the push wants to know of members
				return store.ErrUnavailable
			}
			return nil
		}
	})
	h.send("zhangsan/p", groupText("m1", "zhangsan", group, "hi"))
	deliveries, posts := h.sender.take()
	if addresses(deliveries, "m1") == "" || refusals(posts) != "acknowledgement" {
		t.Errorf("got m1 delivered to %q, answers %q, want it delivered, an acknowledgement", addresses(deliveries, "m1"), posts)
	}
	if got := h.pushCount(outbox.Unwritten); got != 1 {
		t.Errorf("got %v counted, want 1", got)
	}
	h.rec.set(func(r *recordingStore) { r.users = nil })

	h.outbox.Committed(slices.Repeat([]store.Push{{Channel: "test"}}, pushMaxRemembered))
	h.send("zhangsan/p", groupText("m2", "zhangsan", group, "hi"))
	h.send("zhangsan/p", groupText("m3", "zhangsan", group, "hi"))
	deliveries, _ = h.sender.take()
	if addresses(deliveries, "m3") == "" || len(h.pushRowsOf("m3")) != 0 || h.log.Count("too many pushes") != 1 {
		t.Errorf("got m3 delivered to %q, rows %v, log %s, want it delivered, no rows, too many pushes once", addresses(deliveries, "m3"), h.pushRowsOf("m3"), h.log.String())
	}
	if got := h.pushCount(outbox.Overflow); got != 2 {
		t.Errorf("got %v counted, want 2", got)
	}
	h.halt() // the next process counts what is there
	h.run(nil)
	h.Up()
	h.sync()
	h.send("zhangsan/p", groupText("m4", "zhangsan", group, "hi"))
	h.wantPushes("m4", "lisi sent, wangwu sent")
}

// Rows are kept for a day, those of a channel that is switched off not at all.
func TestPushSweep(t *testing.T) {
	h := startPushing(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
	h.drained()
	h.timers.move(pushKept)
	h.asleep(pushSweep)
	if len(h.pushRowsOf("m1")) != 1 {
		t.Errorf("got %d rows before the time, want 1", len(h.pushRowsOf("m1")))
	}
	h.await("the clean-up", func() bool { h.timers.move(pushSweep + time.Millisecond); return len(h.pushRowsOf("m1")) == 0 })

	h.vendor.set(busy)
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "hi"))
	h.asleep(pushFirstWait)
	h.halt()
	h.push = []outbox.Channel{{Name: "another", Pusher: h.vendor}}
	h.run(nil)
	h.await("the clean-up", func() bool { return len(h.pushRowsOf("m2")) == 0 })
}

// Without channels no message costs a look or a row.
func TestNoPushes(t *testing.T) {
	h := start(t, nil)
	if err := h.RegisterPush(t.Context(), "lisi", "cl"); err != nil {
		t.Fatal(err)
	}
	h.rec.take()
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hi"))
	for _, c := range h.rec.take() {
		if len(c.Pushes) > 0 {
			t.Errorf("got %+v, want none", c.Pushes)
		}
	}
	if channels, err := h.db.PushChannels(t.Context()); err != nil || len(channels) != 0 {
		t.Errorf("got channels %v, %v, want none", channels, err)
	}
}
