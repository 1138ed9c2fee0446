package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlim/store"
)

// did is an event of the audit log.
func did(n int, target string) store.AuditEvent {
	return store.AuditEvent{ID: fmt.Sprintf("01700000-0000-7000-8000-%012d", n), Time: 1700000000000 + int64(n), Who: "root", Address: "::1", What: "tokens/revoke", Target: target,
		Outcome: store.AuditDone}
}

// TestAudit: events are listed newest first and page by page, are ended once, and go when they are old.
func TestAudit(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		equal(t, "none", must[[]store.AuditEvent](t)(s.AuditEvents(ctx, "", 9)), []store.AuditEvent{})
		var all []store.AuditEvent
		for n := range 5 {
			event := did(n, "lisi")
			event.Detail = fmt.Sprint("第", n)
			must[any](t)(nil, s.AddAudit(ctx, event))
			all = append([]store.AuditEvent{event}, all...)
		}
		other := open(t, cfg)
		equal(t, "all", must[[]store.AuditEvent](t)(other.AuditEvents(ctx, "", 9)), all)
		equal(t, "first page", must[[]store.AuditEvent](t)(other.AuditEvents(ctx, "", 2)), all[:2])
		equal(t, "second page", must[[]store.AuditEvent](t)(other.AuditEvents(ctx, all[1].ID, 2)), all[2:4])
		equal(t, "behind the end", must[[]store.AuditEvent](t)(other.AuditEvents(ctx, all[4].ID, 2)), []store.AuditEvent{})

		// What is long is cut, and hinders nothing.
		long := did(9, strings.Repeat("长", 100))
		long.Who, long.Detail = strings.Repeat("w", 100), strings.Repeat("d", 1000)
		must[any](t)(nil, s.AddAudit(ctx, long))
		got := must[[]store.AuditEvent](t)(s.AuditEvents(ctx, "", 1))[0]
		equal(t, "cut", got.Who+got.Target, long.Who[:64]+strings.Repeat("长", 64))
		equal(t, "detail", len(got.Detail), 400)
		must[any](t)(nil, s.EndAudit(ctx, long.ID, store.AuditFailed, strings.Repeat("错", 1000)))
		got = must[[]store.AuditEvent](t)(s.AuditEvents(ctx, "", 1))[0]
		equal(t, "ended", got.Outcome+got.Detail, "failed"+strings.Repeat("错", 400))
		if err := s.EndAudit(ctx, "none", store.AuditDone, ""); !errors.Is(err, store.ErrData) {
			t.Errorf("the end of what nobody began: got %v, want %v", err, store.ErrData)
		}
		if err := s.AddAudit(ctx, did(1, "x")); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("one id twice: got %v, want %v", err, store.ErrDuplicate)
		}

		// What may be done once in a while.
		once := func(n int, target string, since int64) string {
			event := did(n, target)
			event.What = "notices/remind"
			return fmt.Sprint(s.AddAuditOnce(ctx, event, since))
		}
		equal(t, "something else was done to it", once(20, "lisi", 0), "0 <nil>")
		equal(t, "too early", once(21, "lisi", 1700000000020), "1700000000020 <nil>")
		equal(t, "another", once(22, "LISI", 1700000000000), "0 <nil>")
		equal(t, "late enough", once(23, "lisi", 1700000000021), "0 <nil>")
		equal(t, "last", must[map[string]int64](t)(s.LastAudit(ctx, "notices/remind", []string{"lisi", "LISI", "x"})), map[string]int64{"lisi": 1700000000023, "LISI": 1700000000022})

		// The old ones go.
		equal(t, "old", must[int](t)(s.CountAuditBefore(ctx, 1700000000003)), 3)
		ids := must[[]string](t)(s.AuditBefore(ctx, 1700000000003, 2))
		equal(t, "a page of them", len(ids), 2)
		if err := s.DeleteAudit(ctx, epoch+1, ids); !errors.Is(err, store.ErrFenced) {
			t.Errorf("of another epoch: got %v, want %v", err, store.ErrFenced)
		}
		must[any](t)(nil, s.DeleteAudit(ctx, epoch, ids))
		equal(t, "left", must[int](t)(s.CountAuditBefore(ctx, 1700000000003)), 1)
	})
}

// TestKeys: a key is made and ended in one transaction with its event, its name is given once, and another process sees it.
func TestKeys(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, _ := owned(t, cfg)
		other := open(t, cfg)
		equal(t, "none", must[[]store.Key](t)(s.Keys(ctx)), []store.Key{})
		k := store.Key{Name: "OA-系统", Digest: strings.Repeat("a", 64), Scopes: []string{"admin", "business"}, Rate: 2.5, Made: 1700000000001, MadeBy: "root"}
		plain := store.Key{Name: "oa-系统", Digest: strings.Repeat("b", 64), Scopes: []string{"business"}, Made: 1700000000002, MadeBy: "张"}
		must[any](t)(nil, other.AddKey(ctx, k, did(1, k.Name)))
		must[any](t)(nil, s.AddKey(ctx, plain, did(2, plain.Name)))
		equal(t, "both", must[[]store.Key](t)(s.Keys(ctx)), []store.Key{k, plain})

		again := plain
		again.Digest = strings.Repeat("c", 64)
		if err := s.AddKey(ctx, again, did(3, again.Name)); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("a name twice: got %v, want %v", err, store.ErrDuplicate)
		}
		// An event that cannot be written keeps the key from being made, and from being ended.
		if err := s.AddKey(ctx, store.Key{Name: "x", Digest: "d", Made: 1}, did(1, "x")); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("an event that cannot be written: got %v, want %v", err, store.ErrDuplicate)
		}
		if _, _, err := s.EndKey(ctx, k.Name, did(1, k.Name)); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("an event that cannot be written: got %v, want %v", err, store.ErrDuplicate)
		}
		equal(t, "neither", must[[]store.Key](t)(s.Keys(ctx)), []store.Key{k, plain})

		end := func(name string, n int) string {
			k, found, err := s.EndKey(ctx, name, did(n, name))
			return fmt.Sprint(k.Name, " ", k.Ended, " ", k.EndedBy, " ", found, " ", err)
		}
		equal(t, "ended", end(k.Name, 4), k.Name+" 1700000000004 root true <nil>")
		equal(t, "ended already", end(k.Name, 5), k.Name+" 1700000000004 root true <nil>")
		equal(t, "nobody's", end("OA", 6), " 0  false <nil>")
		k.Ended, k.EndedBy = 1700000000004, "root"
		equal(t, "kept", must[[]store.Key](t)(other.Keys(ctx)), []store.Key{k, plain})
		var what []string
		for _, e := range must[[]store.AuditEvent](t)(s.AuditEvents(ctx, "", 9)) {
			what = append(what, e.ID[len(e.ID)-1:])
		}
		equal(t, "events", strings.Join(what, ""), "421")
	})
}
