package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/store"
)

// keeping is a harness that keeps accounts.
type keeping struct {
	*harness
	server *testAccounts
}

// startKeeping starts with an empty server and these users in the directory.
func startKeeping(t *testing.T, cfg Config, users ...store.User) *keeping {
	t.Helper()
	h := &keeping{server: &testAccounts{have: map[string]string{}}}
	h.harness = newHarness(t, cfg, with{accounts: h.server})
	h.add(users...)
	return h
}

// add is AddUsers, and remove RemoveUsers, that do not wait for accounts: a test says when the keeper works.
func (k *keeping) add(users ...store.User) {
	k.t.Helper()
	k.unwaited(func() error { return k.AddUsers(k.t.Context(), users) })
}

func (k *keeping) remove(ids ...string) {
	k.t.Helper()
	k.unwaited(func() error { return k.RemoveUsers(k.t.Context(), ids) })
}

func (k *keeping) unwaited(call func() error) {
	k.t.Helper()
	down := k.down.Swap(true)
	check(k.t, call())
	k.down.Store(down)
}

// works is one round, and what it asked of the server.
func (k *keeping) works(want string) error {
	k.t.Helper()
	err := k.accounts.work(k.t.Context())
	if got := k.server.take(); got != want {
		k.t.Errorf("asked %s\nwant %s", got, want)
	}
	return err
}

func TestAccountsAreMade(t *testing.T) {
	h := startKeeping(t, Config{CreateAccounts: true, Password: "first"}, store.User{ID: "Anna", Name: "安娜", Email: "a@x.cn"},
		store.User{ID: "b c", Name: strings.Repeat("b", 101), Email: strings.Repeat("m", 101)}, store.User{ID: "there"})
	h.server.have["there"] = "own"
	check(t, h.works(fmt.Sprintf(`add anna "安娜" "a@x.cn", add b\20c %q "", add there "there" ""`, strings.Repeat("b", 100))))
	if fmt.Sprint(h.server.have) != `map[anna:first b\20c:first there:own]` {
		t.Errorf("the server has %v, want %q", h.server.have, `map[anna:first b\20c:first there:own]`)
	}
	if h.log.Count(`made=2 found=1 removed=0 of_made="Anna b c"`) != 1 {
		t.Errorf("the log: got %s, want one such line", h.log)
	}
	check(t, h.works("")) // once
	h.remove("Anna")
	check(t, h.works("")) // removed only when told
	for what, want := range map[string]float64{"made": 2, "found": 1, "removed": 0, "failed": 0} {
		if got := value(t, h.metrics.accounts.WithLabelValues(what)); got != want {
			t.Errorf("%s: got %v counted, want %v", what, got, want)
		}
	}
}

// Without a configured password each account has one of its own, which nobody can guess and no log tells.
func TestRandomPasswords(t *testing.T) {
	h := startKeeping(t, Config{CreateAccounts: true}, store.User{ID: "a"}, store.User{ID: "b"})
	check(t, h.works(`add a "a" "", add b "b" ""`))
	if len(h.server.have["a"]) < 20 || len(h.server.have["b"]) < 20 || h.server.have["a"] == h.server.have["b"] {
		t.Errorf("got passwords %q and %q, want two of at least 20 characters", h.server.have["a"], h.server.have["b"])
	}
	if h.log.Count(h.server.have["a"])+h.log.Count(h.server.have["b"]) > 0 {
		t.Error("the log holds a password, want none in it")
	}
}

func TestAccountsAreRemovedWhenTold(t *testing.T) {
	h := startKeeping(t, Config{CreateAccounts: true, RemoveAccounts: true, Password: "p"}, store.User{ID: "a"}, store.User{ID: "b"}, store.User{ID: "c"})
	check(t, h.works(`add a "a" "", add b "b" "", add c "c" ""`))
	h.remove("a", "b")
	// b comes back while a's account is being removed.
	h.server.set(func(local, _ string) error {
		if local == "a" {
			h.add(store.User{ID: "b"})
		}
		return nil
	})
	check(t, h.works("remove a"))
	check(t, h.works(""))
	if fmt.Sprint(h.server.have) != "map[b:p c:p]" {
		t.Errorf(`got accounts %v, want map[b:p c:p]`, h.server.have)
	}
	h.add(store.User{ID: "a"})
	check(t, h.works(`add a "a" ""`)) // back, with a new account
}

// A source may lack a user for a moment; their account is removed when they are still away an interval later.
func TestAccountsOfASource(t *testing.T) {
	cfg := Config{Interval: time.Hour, MaxRemove: 100, CreateAccounts: true, RemoveAccounts: true, Password: "p"}
	h := startSourced(t, func(c *Config) { *c = cfg }, "a", "b")
	server := &testAccounts{have: map[string]string{}}
	k := newAccountKeeper(h.Directory, server)
	works := func(what, want string) {
		t.Helper()
		check(t, k.work(t.Context()))
		if got := server.take(); got != want {
			t.Errorf("%s: asked %q, want %q", what, got, want)
		}
	}
	works("begin", `add a "a" "", add b "b" ""`)
	h.from.have("b")
	h.polled()
	works("just left", "")
	h.clock.Move(cfg.Interval - 1)
	works("a little later", "")
	h.from.have("a", "b")
	h.polled()
	works("back", "")
	h.from.have("b")
	h.polled()
	h.clock.Move(1)
	works("left again", "")
	h.clock.Move(cfg.Interval - 1)
	works("a little later", "")
	h.clock.Move(1)
	works("away", "remove a")
	works("once", "")
}

// A name with an emoji that the server does not answer to is tried without it.
func TestAccountsOfAnOldServer(t *testing.T) {
	h := startKeeping(t, Config{CreateAccounts: true}, store.User{ID: "a", Name: "A😀"}, store.User{ID: "b", Name: "B😀", Email: "b@x.cn"})
	h.server.have["a"] = "own"
	h.server.set(func(local, name string) error {
		if strings.Contains(name, "B😀") {
			return fmt.Errorf("ask im.test: %w", context.DeadlineExceeded)
		}
		return nil
	})
	check(t, h.works(`add a "A😀" "", add b "B😀" "b@x.cn", add b "B" "b@x.cn"`))
	if _, made := h.server.have["b"]; !made || len(h.accounts.failed) > 0 {
		t.Errorf("got accounts %v, put off %v, want b, nothing put off", h.server.have, h.accounts.failed)
	}
}

// A user who fails is put off, longer each time, and does not keep the others waiting.
func TestFailingAccounts(t *testing.T) {
	h := startKeeping(t, Config{CreateAccounts: true}, store.User{ID: "a"}, store.User{ID: "b"}, store.User{ID: "c"})
	h.server.set(func(local, _ string) error {
		if local == "b" {
			return errors.New("no answer for " + local)
		}
		return nil
	})
	if err := h.works(`add a "a" "", add b "b" "", add c "c" ""`); err == nil || !strings.Contains(err.Error(), "no answer for b") {
		t.Errorf(`got %v, want an error with "no answer for b"`, err)
	}
	check(t, h.works(""))
	h.clock.Move(minAccountRetry)
	if err := h.works(`add b "b" ""`); err == nil {
		t.Error("add b: got no error, want the server's")
	}
	h.clock.Move(minAccountRetry)
	check(t, h.works(""))
	h.clock.Move(minAccountRetry)
	if err := h.works(`add b "b" ""`); err == nil {
		t.Error("add b: got no error, want the server's")
	}
	for range 20 {
		h.clock.Move(maxAccountRetry)
		if err := h.works(`add b "b" ""`); err == nil {
			t.Error("add b: got no error, want the server's")
		}
	}
	h.clock.Move(maxAccountRetry)
	h.server.set(nil)
	check(t, h.works(`add b "b" ""`))
	check(t, h.works(""))
}

// A server that fails for one user after the other, or keeps no accounts, is not asked for all of them; what was done stays
// noted.
func TestServerThatMakesNoAccounts(t *testing.T) {
	var users []store.User
	var all []string
	for i := range 9 {
		users = append(users, store.User{ID: fmt.Sprint("u", i)})
		all = append(all, fmt.Sprintf(`add u%d "u%d" ""`, i, i))
	}
	h := startKeeping(t, Config{CreateAccounts: true, RemoveAccounts: true}, users...)
	h.add(store.User{ID: "gone"})
	h.remove("gone")
	h.server.set(func(local, _ string) error {
		if local != "u0" {
			return ErrNoAccounts
		}
		return nil
	})
	if err := h.works(strings.Join(all[:2], ", ")); !errors.Is(err, ErrNoAccounts) {
		t.Errorf("got %v, want %v", err, ErrNoAccounts)
	}
	broken := errors.New("internal-server-error")
	h.server.set(func(string, string) error { return broken })
	if err := h.works(strings.Join(all[1:1+maxAccountFailures], ", ") + ", remove gone"); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	h.server.set(nil)
	check(t, h.works(strings.Join(all[1+maxAccountFailures:], ", ")))
}

// The loss of the link is nobody's fault.
func TestAccountsWithoutALink(t *testing.T) {
	h := startKeeping(t, Config{CreateAccounts: true}, store.User{ID: "a"}, store.User{ID: "b"})
	h.server.set(func(string, string) error {
		h.down.Store(true)
		return errors.New("the link is down")
	})
	if err := h.works(`add a "a" ""`); err == nil {
		t.Error("add a: got no error, want the end of the round")
	}
	h.server.set(nil)
	h.down.Store(false)
	check(t, h.works(`add a "a" "", add b "b" ""`))
}

func TestDryRunOfAccounts(t *testing.T) {
	h := startKeeping(t, Config{CreateAccounts: true, RemoveAccounts: true, DryRun: true}, store.User{ID: "a"}, store.User{ID: "b"})
	h.remove("b")
	check(t, h.works(""))
	check(t, h.works(""))
	if h.log.Count(`make=1 remove=1 of_make=a of_remove=b`) != 1 {
		t.Errorf("the log: got %s, want one such line", h.log)
	}
	h.Directory.cfg.DryRun = false
	check(t, h.works(`add a "a" "", remove b`))
}

// A call that names users waits for their accounts.
func TestCallsWaitForAccounts(t *testing.T) {
	h := startKeeping(t, Config{Interval: time.Hour, CreateAccounts: true, RemoveAccounts: true, Password: "p"})
	h.start()
	has := func(what, want string) {
		t.Helper()
		h.server.mu.Lock()
		defer h.server.mu.Unlock()
		if got := strings.Join(slices.Sorted(maps.Keys(h.server.have)), " "); got != want {
			t.Errorf("%s: the server has %q, want %q", what, got, want)
		}
	}
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "lisi"}, {ID: "new"}}))
	has("added", "lisi new")
	check(t, h.RemoveUsers(t.Context(), []string{"lisi"}))
	has("removed", "new")

	// A server that does not answer costs the call no more than its own time, and the account follows.
	asked, answers := make(chan struct{}, 1), make(chan struct{})
	h.server.set(func(string, string) error {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-answers
		return nil
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-asked; leave() }()
	check(t, h.AddUsers(ctx, []store.User{{ID: "slow"}}))
	close(answers)
	h.server.set(nil)

	// Without a link it is not waited for.
	h.down.Store(true)
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "later"}}))
	h.down.Store(false)
	h.LinkReady()
	h.accounts.await(t.Context())
	has("after the outage", "later new slow")

	// Nor when nobody works any more.
	close(h.ended)
	hung := make(chan struct{})
	h.server.set(func(string, string) error { <-hung; return nil })
	defer close(hung)
	began := time.Now()
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "last"}}))
	if took := time.Since(began); took >= accountWait {
		t.Errorf("a call after the end: answered after %v, want less than %v", took, accountWait)
	}
}
