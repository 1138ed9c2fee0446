package tokens

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

const (
	testServer    = "example.test"
	testComponent = "tlim.example.test"
)

// testClock is moved by hand.
type testClock struct{ t time.Time }

func (t *testClock) now() time.Time       { return t.t }
func (t *testClock) move(d time.Duration) { t.t = t.t.Add(d) }

func atStart() time.Time { return time.UnixMilli(1_600_000_000_000) }

// code is the code of a refusal, or the text of another error.
func code(err error) protocol.Code {
	var refusal *protocol.Error
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return protocol.Code(fmt.Sprint(err))
}

func openStore(t *testing.T) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{DSN: filepath.Join(t.TempDir(), "tlim.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestIssuer(t *testing.T) {
	db, clock := openStore(t), &testClock{t: atStart()}
	ctx := t.Context()
	state, err := db.TakeOver(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Apply(ctx, state.Epoch, store.Positions{}, []store.Change{{Users: []store.User{{ID: "ZhangSan", JID: "zhangsan"}, {ID: "left", JID: "left"}}}}); err != nil {
		t.Fatal(err)
	}
	issuer := New(db, time.Hour, clock.now)
	token, expires, err := issuer.Issue(ctx, "zhangsan")
	if err != nil || expires.UnixMilli() != 1_600_003_600_000 || !strings.HasPrefix(token, Prefix) {
		t.Fatalf("got %s, %v, %v, want a token that begins with %q and ends at 1600003600000", token, expires, err, Prefix)
	}
	user := func(issuer *Issuer, token string) string {
		id, err := issuer.User(ctx, token)
		if err != nil {
			return string(code(err))
		}
		return id
	}
	if got := user(issuer, token); got != "ZhangSan" {
		t.Errorf("their own: got %s, want ZhangSan", got)
	}
	if got := user(New(db, time.Minute, clock.now), token); got != "ZhangSan" {
		t.Errorf("after a restart: got %s, want ZhangSan", got)
	}
	if got := user(New(openStore(t), time.Hour, clock.now), token); got != "error-011" {
		t.Errorf("of another site: got %s, want error-011", got)
	}

	// One for a name that preparation would make another's, as a process of another version could have signed it.
	for _, local := range []string{"ZhangSan", "zhangsa\u207F"} {
		t.Run(local, func(t *testing.T) {
			signed := fmt.Sprintf("%s%s.%d.0", Prefix, base64.RawURLEncoding.EncodeToString([]byte(local)), expires.UnixMilli())
			if got := user(issuer, signed+"."+sign(issuer.key, signed)); got != "error-011" {
				t.Errorf("got %s, want error-011", got)
			}
		})
	}

	// Every other text is none: any character changed, parts exchanged, cut or grown.
	for i := range len(token) {
		changed := []byte(token)
		changed[i] ^= 1
		if got := user(issuer, string(changed)); got != "error-011" {
			t.Errorf("with character %d changed: got %s, want error-011", i, got)
		}
		if got := user(issuer, token[:i]); got != "error-011" {
			t.Errorf("cut at %d: got %s, want error-011", i, got)
		}
	}
	other, _, err := issuer.Issue(ctx, "lisi")
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := strings.Split(token, "."), strings.Split(other, ".")
	mine[1] = theirs[1]
	for _, text := range []string{"", ".", strings.Join(mine, "."), token + "x", token + "." + mine[4], Prefix + strings.Repeat("A", 5000) + ".1.0.x",
		Prefix + base64.RawURLEncoding.EncodeToString([]byte("zhangsan")) + ".9999999999999.0."} {
		t.Run(fmt.Sprintf("%.60q", text), func(t *testing.T) {
			if got := user(issuer, text); got != "error-011" {
				t.Errorf("%.80q: got %s, want error-011", text, got)
			}
		})
	}

	// It ends: by time, by revocation, when the user leaves.
	clock.move(time.Hour - time.Millisecond)
	if got := user(issuer, token); got != "ZhangSan" {
		t.Errorf("a moment before its end: got %s, want ZhangSan", got)
	}
	clock.move(time.Millisecond)
	if got := user(issuer, token); got != "error-011" {
		t.Errorf("at its end: got %s, want error-011", got)
	}
	token, _, _ = issuer.Issue(ctx, "zhangsan")
	if err := db.RevokeTokens(ctx, "zhangsan", store.AuditEvent{ID: "e1", What: "tokens/revoke", Outcome: store.AuditDone}); err != nil {
		t.Fatal(err)
	}
	if got := user(issuer, token); got != "error-011" {
		t.Errorf("revoked: got %s, want error-011", got)
	}
	if token, _, _ = issuer.Issue(ctx, "zhangsan"); user(issuer, token) != "ZhangSan" {
		t.Error("a token made after the revocation: got it refused, want zhangsan's")
	}
	token, _, _ = issuer.Issue(ctx, "left")
	if err := db.Apply(ctx, state.Epoch, store.Positions{}, []store.Change{{DropUsers: []string{"left"}}}); err != nil {
		t.Fatal(err)
	}
	if got := user(issuer, token); got != "error-011" {
		t.Errorf("of who has left: got %s, want error-011", got)
	}
	if _, _, err := issuer.Issue(ctx, "left"); code(err) != protocol.NotAllowed {
		t.Errorf("for who has left: got %v, want %v", err, protocol.NotAllowed)
	}
}

// brokenTokens is a database that is away.
type brokenTokens struct{ Store }

func (brokenTokens) TokenState(context.Context, string) (store.TokenState, error) {
	return store.TokenState{}, store.ErrUnavailable
}

func TestIssuerWithoutDatabase(t *testing.T) {
	db := openStore(t)
	good := New(db, time.Hour, nil)
	token, _, err := good.Issue(t.Context(), "zhangsan")
	if err != nil {
		t.Fatal(err)
	}
	broken := New(brokenTokens{db}, time.Hour, nil)
	if _, _, err := broken.Issue(t.Context(), "zhangsan"); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("issue: got %v, want %v", err, protocol.ErrUnavailable)
	}
	if _, err := broken.User(t.Context(), token); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("check: got %v, want %v", err, protocol.ErrUnavailable)
	}
	// A key that somebody wrote by hand is named, and not used.
	other := openStore(t)
	if _, err := other.Secret(t.Context(), secretName, "password"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := New(other, time.Hour, nil).Issue(t.Context(), "zhangsan"); err == nil || !strings.Contains(err.Error(), "tlim_secret") || strings.Contains(err.Error(), "password") {
		t.Errorf("a key that is none: got %v, want an error with tlim_secret, without password", err)
	}
}

// desk is a Desk whose answers come by a channel.
func desk(t *testing.T, s Store) (*Desk, chan stanza.Stanza) {
	t.Helper()
	answers := make(chan stanza.Stanza, 16)
	d := NewDesk(New(s, time.Hour, atStart), testServer, testComponent, func(to string, b []byte) bool {
		st, err := stanza.Parse(append([]byte(nil), b...))
		if err != nil {
			t.Errorf("the desk sent %s: %v, want a stanza", b, err)
		}
		if st.To != to {
			t.Errorf("got an answer to %s counted for %s, want for its receiver", st.To, to)
		}
		answers <- st
		return true
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d, answers
}

func question(typ, from, inner string) stanza.Stanza {
	return stanza.Stanza{Name: "iq", Type: typ, ID: `q"1`, From: from, To: testComponent, Inner: []byte(inner)}
}

const (
	askToken   = `<token xmlns="urn:tlim:token"/>`
	askCommand = `<command xmlns="http://jabber.org/protocol/commands" node="urn:tlim:token" action="execute"/>`
)

func TestDesk(t *testing.T) {
	db := openStore(t)
	d, answers := desk(t, db)
	issuer := New(db, time.Hour, atStart)
	from := "lisi@" + testServer + "/x[web]"
	for _, c := range []struct{ typ, inner string }{{"get", askToken}, {"set", askCommand}, {"set", strings.Replace(askCommand, ` action="execute"`, "", 1)}} {
		t.Run(c.typ+" "+c.inner, func(t *testing.T) {
			if payload, handled := d.Question(question(c.typ, from, c.inner)); payload != nil || !handled {
				t.Fatalf("%s: got %q, handled %v, want nothing yet, true", c.inner, payload, handled)
			}
			got := <-answers
			if got.Name != "iq" || got.Type != "result" || got.ID != `q"1` || got.From != testComponent || got.To != from {
				t.Errorf("got answer %+v, want the result of q\"1 from %s to %s", got, testComponent, from)
			}
			token, expires := "", ""
			if e, ok := got.Child("token", nsToken); ok {
				token, expires = e.Text(), e.Attr("expires")
			} else if cmd, ok := got.Child("command", nsCommands); ok && cmd.Attr("status") == "completed" && cmd.Attr("sessionid") != "" {
				form, _ := cmd.Child("x", nsData)
				for field := range form.Children() {
					value, _ := field.Child("value", nsData)
					switch field.Attr("var") {
					case "token":
						token = value.Text()
					case "expires":
						expires = value.Text()
					}
				}
			}
			if user, err := issuer.User(t.Context(), token); user != "lisi" || err != nil || expires != "1600003600000" {
				t.Errorf("%s: got token %q of %q until %s, %v, want lisi's until 1600003600000", c.inner, token, user, expires, err)
			}
		})
	}
}

// TestDeskRefuses: only a session of this server's users, asking the component itself, gets one.
func TestDeskRefuses(t *testing.T) {
	d, answers := desk(t, openStore(t))
	from := "lisi@" + testServer + "/x"
	other := question("get", from, askToken)
	other.To = "lisi@" + testComponent
	for name, st := range map[string]stanza.Stanza{
		"another address":      other,
		"a bare JID":           question("get", "lisi@"+testServer, askToken),
		"the server":           question("get", testServer, askToken),
		"a server's resource":  question("get", testServer+"/x", askToken),
		"another server":       question("get", "lisi@evil.test/x", askToken),
		"ourselves":            question("get", "lisi@"+testComponent+"/x", askToken),
		"an address that fits": question("get", "lisi@"+testServer+"@x/x", askToken),
		"a set":                question("set", from, askToken),
		"a get of the command": question("get", from, askCommand),
		"another command":      question("set", from, strings.Replace(askCommand, nsToken, "urn:other", 1)),
		"cancel":               question("set", from, strings.Replace(askCommand, "execute", "cancel", 1)),
		"another namespace":    question("get", from, `<token xmlns="urn:other"/>`),
		"two questions":        question("get", from, askToken+askToken),
		"nothing":              question("get", from, ""),
	} {
		t.Run(name, func(t *testing.T) {
			if payload, handled := d.Question(st); payload != nil || handled {
				t.Errorf("got %q, handled %v, want nothing, false", payload, handled)
			}
		})
	}
	select {
	case st := <-answers:
		t.Errorf("got answer %+v, want none", st)
	default:
	}

	broken, answers := desk(t, brokenTokens{openStore(t)})
	if _, handled := broken.Question(question("get", from, askToken)); !handled {
		t.Fatal("the question: got it not handled, want it handled")
	}
	if got := <-answers; got.Type != "error" || stanza.ErrorOf(&got).Condition != "resource-constraint" || stanza.ErrorOf(&got).Type != "wait" {
		t.Errorf("without a database: got %+v, want the error resource-constraint, wait", got)
	}
}

// TestDeskBounds: nobody fills the queue alone, and a full one refuses.
func TestDeskBounds(t *testing.T) {
	d := NewDesk(New(openStore(t), time.Hour, nil), testServer, testComponent, func(string, []byte) bool { return true })
	ask := func(n int) bool {
		_, handled := d.Question(question("get", fmt.Sprintf("u%d@%s/x", n, testServer), askToken))
		return handled
	}
	for n := range maxQuestions {
		if !ask(n) {
			t.Fatalf("question %d is refused, want it taken", n)
		}
		if n == 0 && ask(0) {
			t.Error("a second question of one user is taken, want it refused")
		}
	}
	if ask(maxQuestions) {
		t.Error("a full desk takes more, want it refused")
	}
}

func TestDeskIsFound(t *testing.T) {
	d := NewDesk(nil, testServer, testComponent, nil)
	ask := func(space, node string) string {
		payload, handled := d.Question(question("get", "lisi@"+testServer+"/x", `<query xmlns="`+space+`" node="`+node+`"/>`))
		if handled != (payload != nil) {
			t.Errorf("%s %s: got handled %v, payload %q, want a payload if handled", space, node, handled, payload)
		}
		return string(payload)
	}
	if got := ask(nsItems, nsCommands); !strings.Contains(got, `jid="`+testComponent+`" node="urn:tlim:token"`) {
		t.Errorf("the list of commands: got %s, want with %q", got, `jid="`+testComponent+`" node="urn:tlim:token"`)
	}
	if got := ask(nsInfo, nsToken); !strings.Contains(got, `type="command-node"`) || !strings.Contains(got, nsData) {
		t.Errorf("the command: got %s, want a command-node and %q in it", got, nsData)
	}
	for _, node := range []string{nsToken, "urn:other"} {
		t.Run(node, func(t *testing.T) {
			if got := ask(nsItems, node); got != "" {
				t.Errorf(`items of %s: got %q, want none`, node, got)
			}
		})
	}
}
