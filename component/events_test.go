package component

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/events"
	"tlim/component/protocol"
	"tlim/store"
)

// office is a business system of the test's: each event that it takes comes out of got.
type office struct {
	hang chan struct{} // not nil: calls hang until it is closed, or they are given up
	got  chan map[string]any
}

func (o *office) Post(ctx context.Context, _ string, body []byte) error {
	if o.hang != nil {
		select {
		case <-o.hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var call struct {
		Events []map[string]any `json:"events"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		return err
	}
	for _, e := range call.Events {
		o.got <- e
	}
	return nil
}

func startTelling(t *testing.T, o *office) *harness {
	t.Helper()
	h := newHarness(t)
	h.told = events.Config{Poster: o, MaxWaiting: 10_000, Keep: time.Hour}
	return h.begin(nil)
}

// next renders events, each by its kind and the fields that are there of those given.
func (o *office) next(t *testing.T, n int) (list []string) {
	t.Helper()
	for range n {
		select {
		case e := <-o.got:
			line := fmt.Sprint(e["kind"])
			for _, name := range []string{"msg_id", "msg_type", "msg_from", "msg_to", "session_id", "reader", "device", "revoked_by", "change", "session_name", "joined", "left", "user_id", "body"} {
				if v, ok := e[name]; ok {
					line += fmt.Sprintf(" %s=%v", name, v)
				}
			}
			list = append(list, line)
		case <-time.After(time.Minute):
			t.Fatalf("got %q and no more, want %d events", list, n)
		}
	}
	return list
}

func (o *office) want(t *testing.T, lines ...string) {
	t.Helper()
	for i, got := range o.next(t, len(lines)) {
		if got != lines[i] {
			t.Errorf("event %d: got %q, want %q", i, got, lines[i])
		}
	}
}

func TestEventsOfEachKind(t *testing.T) {
	o := &office{got: make(chan map[string]any, 1000)}
	h := startTelling(t, o)
	o.want(t, "user.came user_id=zhangsan", "user.came user_id=lisi", "user.came user_id=wangwu", "user.came user_id=zhaoliu")

	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hello"))
	o.want(t, "message.stored msg_id=m1 msg_type=MTT-000 msg_from=zhangsan msg_to=lisi")
	h.send("lisi/b[web]", `{"msg_id":"r1","msg_type":"MTT-100","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":"m1"}]}`)
	o.want(t, "message.read msg_id=m1 msg_from=zhangsan reader=lisi device=web")
	h.send("lisi/p", `{"msg_id":"r2","msg_type":"MTT-100","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":"m1"}]}`) // read already
	h.send("zhangsan/p", `{"msg_id":"v1","msg_type":"MTT-101","msg_from":"zhangsan","msg_to":"lisi","body":[{"msg_id":"m1"}]}`)
	o.want(t, "message.revoked msg_id=m1 msg_from=zhangsan revoked_by=zhangsan")

	g := h.makeGroup("zhangsan", "zhangsan", "lisi")
	o.want(t, "group.changed session_id="+g+" change=created session_name=Zhangsan,Lisi joined=[zhangsan lisi]")
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: g, Name: "组", Add: []string{"wangwu"}, Remove: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	o.want(t, "group.changed session_id="+g+" change=edited session_name=组 joined=[wangwu] left=[lisi]")
	h.send("zhangsan/p", groupText("m2", "zhangsan", g, "hi"))
	h.send("wangwu/a[android]", groupRead("r3", "wangwu", g, "m2"))
	o.want(t, "message.stored msg_id=m2 msg_type=MTS-000 msg_from=zhangsan msg_to="+g+" session_id="+g,
		"message.read msg_id=m2 msg_from=zhangsan session_id="+g+" reader=wangwu device=mobile")
	if err := h.Dissolve(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	o.want(t, "group.changed session_id="+g+" change=dissolved")

	if err := h.RemoveUsers(t.Context(), []string{"lisi"}); err != nil {
		t.Fatal(err)
	}
	o.want(t, "user.left user_id=lisi")
	for range 2 { // the second tells nothing new
		if err := h.AddUsers(t.Context(), []store.User{{ID: "lisi", Name: "李四"}, {ID: "wangwu", Name: "王五"}}); err != nil {
			t.Fatal(err)
		}
	}
	h.send("zhangsan/p", text("m3", "zhangsan", "lisi", "hello"))
	o.want(t, "user.came user_id=lisi", "message.stored msg_id=m3 msg_type=MTT-000 msg_from=zhangsan msg_to=lisi")
}

func groupRead(id, reader, group, msgID string) string {
	return `{"msg_id":"` + id + `","msg_type":"MTS-100","msg_from":"` + reader + `","msg_to":"zhangsan","session_id":"` + group + `","body":[{"msg_id":"` + msgID + `","session_id":"` + group + `"}]}`
}

// An event is there exactly when its message is, however often its batch was decided.
func TestAnEventIsWrittenOnceWithItsMessage(t *testing.T) {
	o := &office{got: make(chan map[string]any, 1000)}
	h := startTelling(t, o)
	o.next(t, 4)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hello"))
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hello")) // a repetition: its batch is decided again
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "hello"))
	h.rec.breakWith(store.ErrUnavailable)
	h.send("zhangsan/p", text("m3", "zhangsan", "lisi", "hello"))
	h.rec.breakWith(nil)
	h.send("zhangsan/p", text("m4", "zhangsan", "lisi", "hello"))
	h.send("zhangsan/p", text("m3", "zhangsan", "lisi", "hello"))
	var ids []string
	for _, line := range o.next(t, 4) {
		ids = append(ids, strings.Fields(line)[1])
	}
	if got, want := fmt.Sprint(ids), "[msg_id=m1 msg_id=m2 msg_id=m4 msg_id=m3]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n := len(o.got); n != 0 {
		t.Errorf("got %d events more, want none", n)
	}
}

// What was stored and not told before a kill is told by the next process.
func TestEventsOfAKilledProcess(t *testing.T) {
	o := &office{got: make(chan map[string]any, 1000), hang: make(chan struct{})}
	h := startTelling(t, o)
	for i := range 20 {
		h.send("zhangsan/p", text(fmt.Sprint("m", i), "zhangsan", "lisi", "hello"))
	}
	h.kill()
	close(o.hang)
	h.run(nil)
	h.Up()
	seen := map[string]bool{}
	for _, line := range o.next(t, 24) {
		seen[line] = true
	}
	if len(seen) != 24 {
		t.Errorf("got %d different events, want four users and 20 messages", len(seen))
	}
}

// Without a webhook nothing is written and nothing asked.
func TestEventsCostNothingWhenOff(t *testing.T) {
	h := start(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hello"))
	if n, err := h.db.CountEvents(t.Context(), false); n != 0 || err != nil || h.Service.events != nil {
		t.Errorf("got %d rows, %v, want none and nobody who would send them", n, err)
	}
}

// Who came is told by who was there before. While that cannot be read nothing is written, and nobody who was there is told to have come.
func TestNobodyComesWhileTheDirectoryCannotBeRead(t *testing.T) {
	o := &office{got: make(chan map[string]any, 1000)}
	h := startTelling(t, o)
	o.next(t, 4)
	h.users.Cache.Drop("zhaoliu")
	asked := 0
	h.rec.set(func(r *recordingStore) {
		r.users = func(jids []string) error {
			if slices.Contains(jids, "zhaoliu") {
				asked++
				return store.ErrUnavailable
			}
			return nil
		}
	})
	again := []store.User{{ID: "zhaoliu", Name: "赵六"}}
	if err := h.AddUsers(t.Context(), again); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("while nobody can tell: got %v, want %v", err, protocol.ErrUnavailable)
	}
	if asked == 0 {
		t.Error("got no question about zhaoliu, want one")
	}
	h.rec.set(func(r *recordingStore) { r.users = nil })
	if err := h.AddUsers(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hello"))
	o.want(t, "message.stored msg_id=m1 msg_type=MTT-000 msg_from=zhangsan msg_to=lisi")
}

func TestRobotsNeitherComeNorLeave(t *testing.T) {
	o := &office{got: make(chan map[string]any, 1000)}
	h := startTelling(t, o)
	o.next(t, 4)
	wants(t, "a robot", h.KeepRobots(t.Context(), []protocol.Robot{alarmBot}), "")
	wants(t, "no robot", h.KeepRobots(t.Context(), nil), "")
	wants(t, "a person of its name", h.AddUsers(t.Context(), []store.User{{ID: "Alarm-Bot", Name: "x"}}), "")
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "hello"))
	o.want(t, "user.came user_id=Alarm-Bot", "message.stored msg_id=m1 msg_type=MTT-000 msg_from=zhangsan msg_to=lisi")
}
