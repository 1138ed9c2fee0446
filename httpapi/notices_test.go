package httpapi

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRemindOnceAMinute: one notice is reminded of once a minute, over a restart too; who is refused is told when to come again, another notice is
// another matter, and the log says all of it.
func TestRemindOnceAMinute(t *testing.T) {
	now := testTime
	s := seeded(t)
	lab := func() *lab {
		return newLabOver(t, s, func(c *Config) { c.Clock = func() time.Time { return now }; c.Language = English })
	}
	l := lab()
	remind := func(id, retry string) {
		t.Helper()
		a := l.post(t, "admin/notices/remind", "call_id="+id)
		if want := map[bool]int{true: 200, false: 429}[retry == ""]; a.status != want || a.header.Get("Retry-After") != retry {
			t.Errorf("%s: got %d, Retry-After %q, %s, want %d, %q", id, a.status, a.header.Get("Retry-After"), a.body, want, retry)
		}
	}
	remind(testCall, "")
	remind(testCall, "60")
	remind("notice", "")
	now = now.Add(41 * time.Second)
	l = lab()
	remind(testCall, "19")
	now = now.Add(19 * time.Second)
	remind(testCall, "")
	if a := l.get(t, "admin/notices/remind", "call_id="+testCall); a.status != http.StatusMethodNotAllowed {
		t.Errorf("by a link: got %d, want 405", a.status)
	}

	events, err := s.AuditEvents(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, e := range events {
		if e.Target == testCall {
			got[e.Outcome+" "+e.Detail]++
		}
	}
	if got["done reminded 2, read 1, recent 1, unreachable 1"] != 2 || got["refused a notice can be reminded of once a minute"] != 2 || len(got) != 2 {
		t.Errorf("the audit log has %v, want two that are done and two that were refused", got)
	}
	if a := l.get(t, "admin/notices", "limit=1"); !strings.Contains(a.body, `"reminded":`) {
		t.Errorf("got %s, want when it was reminded", a.body)
	}
}

// TestRemindTogether: of many who remind of one notice at the same time, one does.
func TestRemindTogether(t *testing.T) {
	l := newLabOver(t, seeded(t), func(*Config) {})
	var wait sync.WaitGroup
	statuses := make(chan int, 8)
	for range cap(statuses) {
		wait.Go(func() { statuses <- l.post(t, "admin/notices/remind", "call_id="+testCall).status })
	}
	wait.Wait()
	close(statuses)
	count := map[int]int{}
	for status := range statuses {
		count[status]++
	}
	if count[200] != 1 || count[429] != cap(statuses)-1 {
		t.Errorf("got statuses %v, want one 200 and else 429", count)
	}
}
