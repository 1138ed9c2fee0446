package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestUserRate: a user's calls have a rate, of which those that change something take more.
func TestUserRate(t *testing.T) {
	now := testTime
	l := newLab(t, func(c *Config) {
		c.UserRate, c.Clock = 2, func() time.Time { return now }
	})
	call := func(user, path, query string) answer {
		t.Helper()
		return l.do(t, http.MethodGet, path, query, "", "Authorization", "Bearer "+l.token(t, user))
	}
	const burst = 2 * burstTime
	for range burst/writeWeight - 1 {
		if a := call("lisi", "addStyle", "user_id=lisi&style_name=x"); a.status != 200 {
			t.Fatalf("got %d %s, want 200", a.status, a.body)
		}
	}
	for range writeWeight / readWeight {
		if a := call("lisi", "hasUnread", "user_id=lisi"); a.status != 200 {
			t.Fatalf("got %d %s, want 200", a.status, a.body)
		}
	}
	l.svc.taken()
	if a := call("lisi", "hasUnread", "user_id=lisi"); a.status != 429 || a.header.Get("Retry-After") != "1" || a.object(t)["result"] != "error-013" {
		t.Errorf("one too many: got %d, Retry-After %q, %s, want 429, Retry-After 1, error-013", a.status, a.header.Get("Retry-After"), a.body)
	}
	if a := call("lisi", "addStyle", "user_id=lisi&style_name=x"); a.status != 429 || a.header.Get("Retry-After") != "3" {
		t.Errorf("one that changes something: got %d, Retry-After %q, want 429, Retry-After 3", a.status, a.header.Get("Retry-After"))
	}
	if calls := l.svc.taken(); len(calls) != 0 {
		t.Errorf("what was refused was done: got %q, want none", calls)
	}
	if a := call("zhangsan", "hasUnread", "user_id=zhangsan"); a.status != 200 {
		t.Errorf("another user: got %d, want 200", a.status)
	}
	if a := l.get(t, "hasUnread", "user_id=lisi"); a.status != 200 {
		t.Errorf("a key: got %d, want 200", a.status)
	}
	now = now.Add(3 * time.Second)
	if a := call("lisi", "addStyle", "user_id=lisi&style_name=x"); a.status != 200 {
		t.Errorf("after the time that was told: got %d, want 200", a.status)
	}
}

// TestListsWeigh: a call with a long list takes more of the rate, which later calls wait for.
func TestListsWeigh(t *testing.T) {
	l := newLab(t, func(c *Config) { c.UserRate = 10 })
	token := "Bearer " + l.token(t, "lisi")
	ids := make([]string, maxEntries["clear"])
	for i := range ids {
		ids[i] = fmt.Sprint("m", i)
	}
	taken := 0
	for ; taken < 100; taken++ {
		if l.do(t, http.MethodPost, "getOffline", "", "user_id=lisi&clear="+strings.Join(ids, ","), "Authorization", token).status == 429 {
			break
		}
	}
	// 100 at once; each weighs 5 and 1000/50, and one row was a page.
	if taken != 4 {
		t.Errorf("%d calls were taken, want 4", taken)
	}
}

// TestRatesAreForgotten: who has not called for a while costs nothing.
func TestRatesAreForgotten(t *testing.T) {
	r := newRates(1, burstTime)
	now := testTime
	for i := range 10_000 {
		r.take(fmt.Sprint("u", i), now, 1)
		now = now.Add(50 * time.Millisecond)
	}
	if n := len(r.of); n > 2000 {
		t.Errorf("%d users are remembered, want at most 2000", n)
	}
	// Nobody gets a fresh burst by that.
	for range burstTime {
		r.take("greedy", now, 1)
	}
	for i := range 5000 {
		r.take(fmt.Sprint("v", i), now, 1)
	}
	if r.take("greedy", now, 1) == 0 {
		t.Error("a used up rate was forgotten, want it kept")
	}
}

// TestUploadRate: one caller's uploads together have a rate in bytes, and keys have none.
func TestUploadRate(t *testing.T) {
	l := newFileLab(t)
	const size = 8 << 20
	text, media := body(t, part{"user_id", "", "lisi"}, part{"mFile", "a", strings.Repeat("x", size)})
	token := "Bearer " + l.token(t, "lisi")
	up := func(authorization string) {
		t.Helper()
		if a := l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "", text, "Content-Type", media, "Authorization", authorization); a.status != 200 {
			t.Fatalf("got %d %s, want 200", a.status, a.body)
		}
	}
	for range 4 {
		up("Bearer " + adminKey)
	}
	if n := len(l.API.uploads.of); n != 0 {
		t.Errorf("%d payers are held to a rate, want 0", n)
	}
	begin := time.Now()
	for range 4 {
		up(token)
	}
	if took, least := time.Since(begin), time.Duration(4*size-maxUploadRate)*time.Second/maxUploadRate*9/10; took < least {
		t.Errorf("%d MiB took %v, want at least %v", 4*size>>20, took, least)
	}
}
