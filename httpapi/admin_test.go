package httpapi

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
	"tlim/store"
)

// TestKeysAreMadeAndEnded: a key holds from its making to its end, at once here and at the next look in another process on the same
// database; and the configuration's names are its own.
func TestKeysAreMadeAndEnded(t *testing.T) {
	s := seeded(t)
	l, other := newLabOver(t, s), newLabOver(t, s)
	calls := func(l *lab, secret string) int {
		t.Helper()
		return l.do(t, http.MethodGet, "findNotice", "call_id="+testCall, "", "Authorization", "Bearer "+secret).status
	}
	look := func(l *lab) {
		t.Helper()
		if err := l.LoadKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	a := l.post(t, "admin/keys/new", "name=oa-2&scopes=business&rate=1000")
	secret, _ := a.object(t)["secret"].(string)
	if a.status != 200 || secret == "" || calls(l, secret) != 200 {
		t.Fatalf("a new key: got %s, %d of its call, want a secret, 200", a.body, calls(l, secret))
	}
	if got := calls(other, secret); got != 401 {
		t.Errorf("elsewhere, before the next look: got %d, want 401", got)
	}
	look(other)
	if got := calls(other, secret); got != 200 {
		t.Errorf("elsewhere: got %d, want 200", got)
	}
	if got := l.do(t, http.MethodPost, "admin/keys/end", "", "name=oa-2", "Authorization", "Bearer "+secret); got.status != 403 {
		t.Errorf("a business key ends itself: got %d %s, want 403", got.status, got.body)
	}

	// Reading the configuration again leaves it, unless that takes its name.
	if err := l.ReloadKeys(l.cfg.Keys); err != nil || calls(l, secret) != 200 {
		t.Errorf("after a reload: got %v, %d, want no error, 200", err, calls(l, secret))
	}
	if err := l.ReloadKeys(append([]Key{{Name: "oa-2", Key: "configured-key-0123456789", Scopes: []string{"business"}}}, l.cfg.Keys...)); err != nil {
		t.Fatal(err)
	}
	if calls(l, secret) != 401 || calls(l, "configured-key-0123456789") != 200 || !strings.Contains(l.log.String(), "key=oa-2") {
		t.Errorf("the configuration has taken its name: got %d of the old key, %d of the new one, want 401, 200, and the log to say so", calls(l, secret), calls(l, "configured-key-0123456789"))
	}
	if list := l.get(t, "admin/keys", "").body; strings.Count(list, `"name":"oa-2"`) != 2 || strings.Contains(list, secret) || strings.Contains(list, "0123456789") {
		t.Errorf("got %s, want both, and no secret", list)
	}
	if err := l.ReloadKeys(l.cfg.Keys); err != nil || calls(l, secret) != 200 {
		t.Errorf("it has given the name back: got %v, %d, want no error, 200", err, calls(l, secret))
	}

	// A key made by a command beside it, and ended there.
	k, made := NewKey("beside", []string{"business"}, 0, protocol.Robot{}, "wang", testTime)
	if err := s.AddKey(t.Context(), k, Event("keys/new", "wang", store.CommandLine, testTime)); err != nil {
		t.Fatal(err)
	}
	look(l)
	if got := calls(l, made); got != 200 {
		t.Errorf("made beside it: got %d, want 200", got)
	}
	if _, _, err := s.EndKey(t.Context(), "beside", Event("keys/end", "wang", store.CommandLine, testTime)); err != nil {
		t.Fatal(err)
	}
	look(l)
	if got := calls(l, made); got != 401 {
		t.Errorf("ended beside it: got %d, want 401", got)
	}

	// The end.
	if a := l.post(t, "admin/keys/end", "name=oa-2"); a.object(t)["result"] != "ok" || calls(l, secret) != 401 {
		t.Errorf("ended: got %s, %d of its call, want ok, 401", a.body, calls(l, secret))
	}
	if got := calls(other, secret); got != 200 {
		t.Errorf("elsewhere, before the next look: got %d, want 200", got)
	}
	look(other)
	if got := calls(other, secret); got != 401 {
		t.Errorf("elsewhere: got %d, want 401", got)
	}
	if log := l.log.String() + other.log.String(); strings.Contains(log, secret) || strings.Contains(log, made) {
		t.Error("got a secret in the log, want none")
	}
}

// TestAuditLog: what is changed, and what the holder of a key may not change, is written down with who, whence, when and how it
// ended; what is asked for is not, nor what strangers try.
func TestAuditLog(t *testing.T) {
	now := testTime
	s := seeded(t)
	l := newLabOver(t, s, func(c *Config) { c.Clock = func() time.Time { return now }; c.Language = English })
	written := func() (lines []string) {
		t.Helper()
		events, err := s.AuditEvents(t.Context(), "", 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if !strings.HasPrefix(e.ID, "01700000") { // those of the seed
				lines = append(lines, fmt.Sprintf("%s %s %s %q %q %s", e.Who, e.Address, e.What, e.Target, e.Detail, e.Outcome))
				if e.Time != now.UnixMilli() {
					t.Errorf("got the time %d, want %d", e.Time, now.UnixMilli())
				}
			}
		}
		return lines
	}
	business := []string{"Authorization", "Bearer " + businessKey}
	if a := l.post(t, "admin/tokens/revoke", "user_id=stranger"); a.object(t)["known"] != false {
		t.Errorf("of nobody: got %s, want that they are not known", a.body)
	}
	l.post(t, "admin/tokens/revoke", "user_id=LiSi")
	l.post(t, "admin/keys/new", "name=root&scopes=admin")
	l.post(t, "admin/keys/new", "name=oa-2&scopes=admin,business&rate=2")
	l.post(t, "admin/keys/end", "name=oa-2")
	l.post(t, "admin/keys/end", "name=oa-2") // nothing is changed
	for range 3 {
		l.do(t, http.MethodPost, "admin/tokens/revoke", "", "user_id=lisi", business...) // one a minute is written
	}
	l.do(t, http.MethodPost, "admin/tokens/revoke", "", "user_id=lisi", "Authorization", "Bearer "+l.token(t, "zhangsan"))
	l.do(t, http.MethodPost, "admin/tokens/revoke", "", "user_id=lisi", "Authorization", "Bearer nonsense")
	l.do(t, http.MethodPost, "admin/tokens/revoke", "", "user_id=lisi")
	l.get(t, "admin/keys", "")
	l.get(t, "admin/audit", "")
	l.get(t, "admin/tokens/revoke", "user_id=lisi")
	want := []string{
		`oa 127.0.0.1 tokens/revoke "" "this caller may not call this endpoint" refused`,
		`root 127.0.0.1 keys/end "oa-2" "" done`,
		`root 127.0.0.1 keys/new "oa-2" "scopes [admin business], at most 2 calls a second" done`,
		`root 127.0.0.1 keys/new "root" "scopes [admin]; there is, or was, a key named \"root\": its name stands in the audit log, so take another" refused`,
		`root 127.0.0.1 tokens/revoke "lisi" "" done`,
		`root 127.0.0.1 tokens/revoke "stranger" "" done`,
	}
	if got := written(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	before := testTime
	now = before.Add(time.Minute)
	l.do(t, http.MethodPost, "admin/tokens/revoke", "", "user_id=lisi", business...)
	events, err := s.AuditEvents(t.Context(), "", 1)
	if err != nil || len(events) != 1 || events[0].Time != now.UnixMilli() || events[0].Who != "oa" {
		t.Errorf("a minute later: got %+v, %v, want the next refusal", events, err)
	}
}

// breakAudit takes the table of the audit log away.
func breakAudit(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite", file+"?_pragma=busy_timeout(60000)") // the store writes, too
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("DROP TABLE tlim_audit"); err != nil {
		t.Fatal(err)
	}
}

// TestUnwrittenIsUndone: what the audit log does not take is not done.
func TestUnwrittenIsUndone(t *testing.T) {
	l := newWhole(t)
	breakAudit(t, l.file)
	token := l.token(t, "lisi")
	for path, query := range map[string]string{"admin/tokens/revoke": "user_id=lisi", "admin/keys/new": "name=oa-2&scopes=admin", "admin/keys/end": "name=old"} {
		t.Run(path, func(t *testing.T) {
			if a := l.post(t, path, query); a.status != 503 || a.object(t)["result"] != "error-013" {
				t.Errorf("got %d %s, want 503 error-013", a.status, a.body)
			}
		})
	}
	if a := l.do(t, http.MethodGet, "findSessions", "user_id=lisi", "", "Authorization", "Bearer "+token); a.status != 200 {
		t.Errorf("the token: got %d, want 200, as before", a.status)
	}
	if list := l.get(t, "admin/keys", "").body; strings.Contains(list, "oa-2") || strings.Count(list, `"can_end":true`) != 1 {
		t.Errorf("the keys: got %s, want them as before", list)
	}
	if a := l.do(t, http.MethodGet, "findNotice", "call_id="+testCall, "", "Authorization", "Bearer secret-of-oa-2"); a.status != 401 {
		t.Errorf("a key that was not made: got %d, want 401", a.status)
	}
}

// A secret that was pasted where a name belongs is refused, and stands nowhere.
func TestSecretsAreNoNames(t *testing.T) {
	s := seeded(t)
	l := newLabOver(t, s, func(c *Config) { c.Language = English })
	made, _ := l.post(t, "admin/keys/new", "name=oa-2&scopes=business").object(t)["secret"].(string)
	for what, secret := range map[string]string{"a configured key": adminKey, "one that was made": made, "one of another tlim": freshSecret(), "a user's token": l.token(t, "lisi"), "Bearer and a key": "Bearer:" + freshSecret()} {
		t.Run(what, func(t *testing.T) {
			for _, call := range []string{"admin/keys/new?scopes=business&name=", "admin/keys/end?name=", "admin/tokens/revoke?user_id="} {
				path, query, _ := strings.Cut(call, "?")
				a := l.post(t, path, query+url.QueryEscape(secret))
				if a.status != 400 || !strings.Contains(a.body, "looks like a key or a token") || strings.Contains(a.body, secret) {
					t.Errorf("%s to %s: got %d %s, want 400 that says so without it", what, path, a.status, a.body)
				}
			}
			if audit := l.get(t, "admin/audit", "").body; strings.Contains(audit, secret) || strings.Contains(l.log.String(), secret) {
				t.Errorf("%s: got it in the audit log or in the log, want it in neither: %s", what, audit)
			}
		})
	}
	if a := l.post(t, "admin/keys/new", "scopes=business&name=ABCDEFGHIJKLMNOPQRSTUVWXYZ2"); a.status != 200 {
		t.Errorf("a long name: got %d %s, want 200", a.status, a.body)
	}
}
