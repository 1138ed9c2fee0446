package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlim/store"
)

// What the old plugin writes is read on its own tables, which stay as they are, with duplicates and NULLs.
func TestObserve(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
		x := must[*store.Examination](t)(store.Examine(ctx, cfg))
		defer x.Close()
		must[any](t)(nil, x.Observable(ctx))
		equal(t, "adopted", x.Adopted(), false)
		equal(t, "columns without an index", x.Unindexed(), []string{"ofmessage.msg_id", "ofcustomoffline.msg_id", "ofmessage.msg_time"})

		rows := must[map[string][]store.Message](t)(x.StoredMessages(ctx, []string{"m1", "m2", "nosuch", "M2"}))
		equal(t, "messages", fmt.Sprint(len(rows["m1"]), len(rows["m2"]), len(rows)), "2 1 2")
		equal(t, "a message", rows["m2"][0], store.Message{ID: "3", MsgID: "m2", Type: "MTS-000", From: "Z", To: "G", Time: "1544602401877", Body: `[{"session_id":"G","text":"开会"}]`, SessionID: "G"})
		queue := must[map[string][]store.OfflineMessage](t)(x.QueueRows(ctx, []string{"m2", "m1"}))
		var owners []string
		for _, row := range queue["m2"] {
			owners = append(owners, row.Owner)
		}
		equal(t, "owners", fmt.Sprint(len(queue["m1"]), len(owners), strings.Count(strings.Join(owners, ""), "Z")), "3 4 3")

		var since []string
		visit := func(m store.Message) { since = append(since, m.MsgID) }
		more := must[bool](t)(x.StoredSince(ctx, 1544602401877, 1544602500000, 10, visit))
		equal(t, "since", fmt.Sprint(len(since), more), "4 false")
		since = nil
		more = must[bool](t)(x.StoredSince(ctx, 1544602401877, 1544602500000, 2, visit))
		equal(t, "no more than asked for", fmt.Sprint(len(since), more), "2 true")

		equal(t, "groups", must[map[string]store.Group](t)(x.Groups(ctx, []string{"G"}))["G"].Owner, "Z")
		equal(t, "members", len(must[map[string][]store.Member](t)(x.Members(ctx, []string{"G"}))["G"]), 2)
		holds := func(look func(string) (bool, error), body string) bool {
			t.Helper()
			return must[bool](t)(look(body))
		}
		hold := func(body string) bool {
			return holds(func(body string) (bool, error) { return x.HoldsMessage(ctx, body) }, body)
		}
		equal(t, "short", hold("你好"), true)
		queued := func(body string) bool {
			return holds(func(body string) (bool, error) { return x.HoldsQueued(ctx, body) }, body)
		}
		if e.name == "mysql" { // the character sets of the script
			equal(t, "too long", hold(strings.Repeat("长", 3921)), false)
			equal(t, "an emoji in utf8", hold("😀"), false)
			equal(t, "Chinese in latin1", queued("你好"), false)
		}
		equal(t, "plain", queued("hello"), true)
	})
}

// A database without the plugin's tables is named as such.
func TestObserveAnotherDatabase(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		x := must[*store.Examination](t)(store.Examine(ctx, e.fresh(t, e.form("CREATE TABLE other (a varchar(64))")...)))
		defer x.Close()
		if err := x.Observable(ctx); !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), "no table ofmessage") {
			t.Errorf("got %v, want that there is no table ofmessage", err)
		}
	})
}

// A user who may not read the tables is told so before anything is compared.
func TestObservableNeedsSelect(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t, oldTables(e, varchar64, " CHARACTER SET utf8")...)
	x := must[*store.Examination](t)(store.Examine(ctx, asUser(t, e, cfg, "INSERT")))
	defer x.Close()
	if err := x.Observable(ctx); err == nil || !strings.Contains(err.Error(), "read ofmessage: ") || !strings.Contains(err.Error(), "Remedy: ") {
		t.Errorf("got %v, want that the table cannot be read, and the remedy", err)
	}
}
