package component

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tlim/component/directory"
	"tlim/component/protocol"
	"tlim/store"
)

// testSource is a source of these users, who have no names.
type testSource struct {
	mu       sync.Mutex
	users    []string
	codes    map[string]string // push codes, by user
	failPush error
	told     []string // calls of SetPush and DeletePushCodes
}

func (t *testSource) Users(context.Context, string, int) (users []store.SourceUser, done bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range t.users {
		users = append(users, store.SourceUser{ID: id, PushCode: t.codes[id]})
	}
	return users, true, nil
}

func (t *testSource) OwnsAccounts() bool { return false }
func (t *testSource) KeepsPush() bool    { return true }

func (t *testSource) SetPush(_ context.Context, id, code string) error {
	return t.push(id+"="+code, func() {
		if t.codes == nil {
			t.codes = map[string]string{}
		}
		t.codes[id] = code
	})
}

func (t *testSource) DeletePushCodes(_ context.Context, codes []string) error {
	return t.push("dead "+strings.Join(codes, " "), func() {
		maps.DeleteFunc(t.codes, func(_, code string) bool { return slices.Contains(codes, code) })
	})
}

func (t *testSource) push(what string, do func()) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = append(t.told, what)
	if t.failPush == nil {
		do()
	}
	return t.failPush
}

// failing lets calls about push codes fail, and forgets those of before.
func (t *testSource) failing(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failPush, t.told = err, nil
}

func (t *testSource) take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.told
	t.told = nil
	return strings.Join(list, ", ")
}

// The source is polled from the start, through the conveyor, and a registration of a push code goes there first.
func TestSourceOfUsers(t *testing.T) {
	h := newHarness(t)
	from := &testSource{users: []string{"lisi", "new"}}
	h.origin = from
	h.begin(func(c *Config) { c.Directory = directory.Config{Interval: time.Hour, MaxRemove: 100} })
	for {
		users := must(h.db.ListUsers(t.Context(), "", 10))(t)
		if len(users) == 2 && users[0].ID == "lisi" && users[1].ID == "new" {
			break
		}
		h.sync()
	}
	h.online("new/x[ios]")
	check(t, h.RegisterPush(t.Context(), "New", "c"))
	if u := mustUsers(t, h, "new")["new"]; u.PushCode != "c" || u.PushOS != "ios" || from.take() != "new=c" {
		t.Errorf(`the directory has %+v, want the code c of ios, and the source told "new=c"`, u)
	}
	from.failing(errors.New("read only"))
	if err := h.RegisterPush(t.Context(), "new", "other"); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("a source that cannot be written: got %v, want %v", err, protocol.ErrUnavailable)
	}
	if u := mustUsers(t, h, "new")["new"]; u.PushCode != "c" {
		t.Errorf("the directory has %+v, want the code c: all or none", u)
	}
	h.online("stranger/p")
	if _, known := mustUsers(t, h, "stranger")["stranger"]; known {
		t.Error("stranger is learned, want that not: the source says who is a user")
	}
}

// testAccounts are accounts on the server. It tells what it was asked for, by local part.
type testAccounts struct {
	asked chan string
	cut   func() // called for the user "cut", whose account is then not made
}

func (t *testAccounts) AddAccount(_ context.Context, local, _, _, _ string) error {
	t.asked <- local
	if local == "cut" && t.cut != nil {
		cut := t.cut
		t.cut = nil
		cut()
		return errors.New("the link is down")
	}
	return nil
}

func (t *testAccounts) RemoveAccount(_ context.Context, local string) error {
	t.asked <- "no " + local
	return nil
}

// Accounts are made and removed for the users of calls, and what the loss of the link has kept waiting when it is up again.
func TestAccountsFollowTheLink(t *testing.T) {
	server := &testAccounts{asked: make(chan string, 100)}
	h := newHarness(t)
	h.login = server
	h.begin(func(c *Config) {
		c.Directory = directory.Config{Interval: time.Hour, CreateAccounts: true, RemoveAccounts: true, Password: "p"}
	})
	var begun []string
	for range 4 { // those of the harness, once the link was up
		begun = append(begun, <-server.asked)
	}
	if slices.Sort(begun); strings.Join(begun, " ") != "lisi wangwu zhangsan zhaoliu" {
		t.Errorf(`got accounts of %q begun, want "lisi wangwu zhangsan zhaoliu"`, begun)
	}
	check(t, h.RemoveUsers(t.Context(), []string{"lisi"}))
	if got := <-server.asked; got != "no lisi" {
		t.Errorf(`got %s, want "no lisi"`, got)
	}
	server.cut = func() { h.Down(errors.New("cut")) }
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "cut"}})) // it returns at the end of a round
	if got := <-server.asked; got != "cut" || len(server.asked) > 0 {
		t.Errorf("got %s, want cut, and nothing else asked", got)
	}
	h.Up()
	if got := <-server.asked; got != "cut" {
		t.Errorf("got %s, want cut", got)
	}
}

// must hands a value on, and ends the test at an error.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
