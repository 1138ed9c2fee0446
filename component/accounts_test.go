package component

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tlim/component/trigger"
	"tlim/store"
)

// testAccounts are accounts that are kept as told.
type testAccounts struct {
	mu     sync.Mutex
	have   map[string]string // local part, password
	answer func(local, name string) error
	log    []string
}

func (a *testAccounts) AddAccount(_ context.Context, local, password, name, email string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, fmt.Sprintf("add %s %q %q", local, name, email))
	if a.answer != nil {
		if err := a.answer(local, name); err != nil {
			return err
		}
	}
	if _, there := a.have[local]; there {
		return ErrAccountExists
	}
	a.have[local] = password
	return nil
}

func (a *testAccounts) RemoveAccount(_ context.Context, local string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, "remove "+local)
	if a.answer != nil {
		if err := a.answer(local, ""); err != nil {
			return err
		}
	}
	delete(a.have, local)
	return nil
}

func (a *testAccounts) take() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.log
	a.log = nil
	return strings.Join(list, ", ")
}

func (a *testAccounts) set(answer func(local, name string) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

// keeperHarness is a harness with a keeper of accounts that the test lets work; the Service's own has none.
type keeperHarness struct {
	*harness
	*testAccounts
	keeper *accountKeeper
	lines  lines
}

// startKeeper starts with an empty server and these users in the directory.
func startKeeper(t *testing.T, cfg DirectoryConfig, users ...store.User) *keeperHarness {
	h := &keeperHarness{testAccounts: &testAccounts{have: map[string]string{}}, harness: newHarness(t)}
	h.logged = &h.lines
	h.harness.begin(nil)
	h.keeper = &accountKeeper{trigger: trigger.New(), s: h.Service, server: h.testAccounts, cfg: cfg, failed: map[string]*accountFailure{}}
	check(t, h.RemoveUsers(t.Context(), []string{"lisi", "wangwu", "zhangsan", "zhaoliu"}))
	check(t, h.db.SetAccount(t.Context(), h.epoch, []string{"lisi", "wangwu", "zhangsan", "zhaoliu"}, store.AccountGone))
	if len(users) > 0 {
		check(t, h.AddUsers(t.Context(), users))
	}
	return h
}

// works is one round, and what it asked of the server.
func (h *keeperHarness) works(want string) error {
	h.t.Helper()
	err := h.keeper.work(h.t.Context())
	if got := h.testAccounts.take(); got != want {
		h.t.Errorf("asked %s\nwant %s", got, want)
	}
	return err
}

func TestAccountsAreMade(t *testing.T) {
	h := startKeeper(t, DirectoryConfig{CreateAccounts: true, Password: "first"}, store.User{ID: "Anna", Name: "安娜", Email: "a@x.cn"},
		store.User{ID: "b c", Name: strings.Repeat("b", 101), Email: strings.Repeat("m", 101)}, store.User{ID: "there"})
	h.have["there"] = "own"
	check(t, h.works(fmt.Sprintf(`add anna "安娜" "a@x.cn", add b\20c %q "", add there "there" ""`, strings.Repeat("b", 100))))
	if fmt.Sprint(h.have) != `map[anna:first b\20c:first there:own]` {
		t.Errorf("the server has %v", h.have)
	}
	if h.lines.count(`made=2 found=1 removed=0 of_made="Anna b c"`) != 1 {
		t.Errorf("the log: %s", h.lines.buf.String())
	}
	check(t, h.works("")) // once
	check(t, h.RemoveUsers(t.Context(), []string{"Anna"}))
	check(t, h.works("")) // removed only when told
	for what, want := range map[string]float64{"made": 2, "found": 1, "removed": 0, "failed": 0} {
		if got := counter(t, h.metrics.directory.accounts.WithLabelValues(what)); got != want {
			t.Errorf("%s: counted %v, want %v", what, got, want)
		}
	}
}

// Without a configured password each account has one of its own, which nobody can guess and no log tells.
func TestRandomPasswords(t *testing.T) {
	h := startKeeper(t, DirectoryConfig{CreateAccounts: true}, store.User{ID: "a"}, store.User{ID: "b"})
	check(t, h.works(`add a "a" "", add b "b" ""`))
	if len(h.have["a"]) < 20 || len(h.have["b"]) < 20 || h.have["a"] == h.have["b"] {
		t.Errorf("passwords %q and %q", h.have["a"], h.have["b"])
	}
	if h.lines.count(h.have["a"])+h.lines.count(h.have["b"]) > 0 {
		t.Error("a password is in the log")
	}
}

func TestAccountsAreRemovedWhenTold(t *testing.T) {
	h := startKeeper(t, DirectoryConfig{CreateAccounts: true, RemoveAccounts: true, Password: "p"}, store.User{ID: "a"}, store.User{ID: "b"}, store.User{ID: "c"})
	check(t, h.works(`add a "a" "", add b "b" "", add c "c" ""`))
	check(t, h.RemoveUsers(t.Context(), []string{"a", "b"}))
	// b comes back while a's account is being removed.
	h.testAccounts.set(func(local, _ string) error {
		if local == "a" {
			check(t, h.AddUsers(t.Context(), []store.User{{ID: "b"}}))
		}
		return nil
	})
	check(t, h.works("remove a"))
	check(t, h.works(""))
	if fmt.Sprint(h.have) != "map[b:p c:p]" {
		t.Errorf("the server has %v", h.have)
	}
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "a"}}))
	check(t, h.works(`add a "a" ""`)) // back, with a new account
}

// A source may lack a user for a moment; his account is removed when he is still away an interval later.
func TestAccountsOfASource(t *testing.T) {
	cfg := DirectoryConfig{Interval: time.Hour, MaxRemove: 100, CreateAccounts: true, RemoveAccounts: true, Password: "p"}
	h := startSourced(t, nil, "a", "b")
	server := &testAccounts{have: map[string]string{}}
	k := &accountKeeper{trigger: trigger.New(), s: h.Service, server: server, cfg: cfg, failed: map[string]*accountFailure{}}
	works := func(what, want string) {
		t.Helper()
		check(t, k.work(t.Context()))
		if got := server.take(); got != want {
			t.Errorf("%s: asked %q, want %q", what, got, want)
		}
	}
	for _, id := range []string{"lisi", "wangwu", "zhangsan", "zhaoliu"} { // who left at the begin
		check(t, h.db.SetAccount(t.Context(), h.epoch, []string{id}, store.AccountGone))
	}
	works("begin", `add a "a" "", add b "b" ""`)
	h.from.have("b")
	h.polled()
	works("just left", "")
	h.clock.move(cfg.Interval - 1)
	works("a little later", "")
	h.from.have("a", "b")
	h.polled()
	works("back", "")
	h.from.have("b")
	h.polled()
	h.clock.move(1)
	works("left again", "")
	h.clock.move(cfg.Interval - 1)
	works("a little later", "")
	h.clock.move(1)
	works("away", "remove a")
	works("once", "")
}

// A name with an emoji that the server does not answer to is tried without it.
func TestAccountsOfAnOldServer(t *testing.T) {
	h := startKeeper(t, DirectoryConfig{CreateAccounts: true}, store.User{ID: "a", Name: "A😀"}, store.User{ID: "b", Name: "B😀", Email: "b@x.cn"})
	h.have["a"] = "own"
	h.testAccounts.set(func(local, name string) error {
		if strings.Contains(name, "B😀") {
			return fmt.Errorf("ask im.test: %w", context.DeadlineExceeded)
		}
		return nil
	})
	check(t, h.works(`add a "A😀" "", add b "B😀" "b@x.cn", add b "B" "b@x.cn"`))
	if _, made := h.have["b"]; !made || len(h.keeper.failed) > 0 {
		t.Errorf("the server has %v, put off are %v", h.have, h.keeper.failed)
	}
}

// A user who fails is put off, longer each time, and does not keep the others waiting.
func TestFailingAccounts(t *testing.T) {
	h := startKeeper(t, DirectoryConfig{CreateAccounts: true}, store.User{ID: "a"}, store.User{ID: "b"}, store.User{ID: "c"})
	h.testAccounts.set(func(local, _ string) error {
		if local == "b" {
			return errors.New("no answer for " + local)
		}
		return nil
	})
	if err := h.works(`add a "a" "", add b "b" "", add c "c" ""`); err == nil || !strings.Contains(err.Error(), "no answer for b") {
		t.Error(err)
	}
	check(t, h.works(""))
	h.clock.move(accountRetry)
	if err := h.works(`add b "b" ""`); err == nil {
		t.Error("b succeeds")
	}
	h.clock.move(accountRetry)
	check(t, h.works(""))
	h.clock.move(accountRetry)
	if err := h.works(`add b "b" ""`); err == nil {
		t.Error("b succeeds")
	}
	for range 20 {
		h.clock.move(accountLongest)
		if err := h.works(`add b "b" ""`); err == nil {
			t.Error("b succeeds")
		}
	}
	h.clock.move(accountLongest)
	h.testAccounts.set(nil)
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
	h := startKeeper(t, DirectoryConfig{CreateAccounts: true, RemoveAccounts: true}, users...)
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "gone"}}))
	check(t, h.RemoveUsers(t.Context(), []string{"gone"}))
	h.testAccounts.set(func(local, _ string) error {
		if local != "u0" {
			return ErrNoAccounts
		}
		return nil
	})
	if err := h.works(strings.Join(all[:2], ", ")); !errors.Is(err, ErrNoAccounts) {
		t.Error(err)
	}
	broken := errors.New("internal-server-error")
	h.testAccounts.set(func(string, string) error { return broken })
	if err := h.works(strings.Join(all[1:1+accountStrikes], ", ") + ", remove gone"); !errors.Is(err, broken) {
		t.Error(err)
	}
	h.testAccounts.set(nil)
	check(t, h.works(strings.Join(all[1+accountStrikes:], ", ")))
}

// The loss of the link is nobody's fault.
func TestAccountsWithoutALink(t *testing.T) {
	h := startKeeper(t, DirectoryConfig{CreateAccounts: true}, store.User{ID: "a"}, store.User{ID: "b"})
	h.testAccounts.set(func(string, string) error {
		h.Down(errors.New("cut"))
		return errors.New("the link is down")
	})
	if err := h.works(`add a "a" ""`); err == nil {
		t.Error("the round goes on")
	}
	h.testAccounts.set(nil)
	h.Up()
	check(t, h.works(`add a "a" "", add b "b" ""`))
}

func TestDryRunOfAccounts(t *testing.T) {
	h := startKeeper(t, DirectoryConfig{CreateAccounts: true, RemoveAccounts: true, DryRun: true}, store.User{ID: "a"}, store.User{ID: "b"})
	check(t, h.RemoveUsers(t.Context(), []string{"b"}))
	check(t, h.works(""))
	check(t, h.works(""))
	if h.lines.count(`make=1 remove=1 of_make=a of_remove=b`) != 1 {
		t.Errorf("the log: %s", h.lines.buf.String())
	}
	h.keeper.cfg.DryRun = false
	check(t, h.works(`add a "a" "", remove b`))
}

// The Service's own keeper works when the link comes and when users change.
func TestAccountsFollowCalls(t *testing.T) {
	server := &testAccounts{have: map[string]string{"lisi": "", "wangwu": "", "zhangsan": "", "zhaoliu": ""}}
	h := newHarness(t)
	h.login = server
	h.begin(func(c *Config) {
		c.Directory = DirectoryConfig{Interval: time.Hour, CreateAccounts: true, RemoveAccounts: true, Password: "p"}
	})
	has := func(what, want string) {
		t.Helper()
		server.mu.Lock()
		defer server.mu.Unlock()
		if got := strings.Join(slices.Sorted(maps.Keys(server.have)), " "); got != want {
			t.Errorf("%s: the server has %s, want %s", what, got, want)
		}
	}
	// They are there when the call is answered.
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "new"}}))
	has("added", "lisi new wangwu zhangsan zhaoliu")
	check(t, h.RemoveUsers(t.Context(), []string{"new", "lisi"}))
	has("removed", "wangwu zhangsan zhaoliu")

	// A server that does not answer costs the call no more than its own time, and the account follows.
	asked, answers := make(chan struct{}, 1), make(chan struct{})
	server.set(func(string, string) error {
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
	server.set(nil)

	// Without a link it is not waited for.
	h.Down(errors.New("cut"))
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "later"}}))
	h.Up()
	h.accounts.settle(t.Context())
	has("after the outage", "later slow wangwu zhangsan zhaoliu")
}
