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

func TestUsers(t *testing.T) {
	h := start(t, nil)
	add := func(u store.User, code protocol.Code) {
		t.Helper()
		err := h.AddUsers(t.Context(), []store.User{{ID: "fine"}, u})
		if codeOf(err) != code {
			t.Errorf("%+v: got %v, want %v", u, err, code)
		}
		if err != nil && u.ID != "" && u.ID != "\u0001" && u.ID != "ADMIN" && !strings.Contains(err.Error(), protocol.Shorten(u.ID, protocol.MaxID)) {
			t.Errorf("got %v, want an error that names the user", err)
		}
		found, err := h.db.UsersByJID(t.Context(), []string{"fine"})
		if err != nil || (found["fine"].ID == "") != (code != "") {
			t.Errorf("%+v: got %v, %v, want all users or none", u, found, err)
		}
	}
	add(store.User{ID: ""}, protocol.UserIDInvalid)
	add(store.User{ID: "\u0001"}, protocol.UserIDInvalid)
	add(store.User{ID: "ADMIN"}, protocol.UserIDInvalid)
	add(store.User{ID: strings.Repeat("u", 65)}, protocol.TooLarge)
	add(store.User{ID: "u", Name: strings.Repeat("n", 257)}, protocol.TooLarge)
	add(store.User{ID: "u", Pic: "\u0001"}, protocol.UserIDInvalid)
	if id, err := h.CanonicalID(t.Context(), "LiuQi"); err != nil || id != "liuqi" {
		t.Errorf("before anybody knows: got %q, %v, want liuqi", id, err)
	}
	add(store.User{ID: "LiuQi", Name: "刘七"}, "") // what was remembered of them is out of date now

	if id, err := h.CanonicalID(t.Context(), "liuqi"); err != nil || id != "LiuQi" {
		t.Errorf("got %q, %v, want LiuQi", id, err)
	}
	if id, err := h.CanonicalID(t.Context(), "NoBody"); err != nil || id != "nobody" {
		t.Errorf("got %q, %v, want nobody", id, err)
	}
	if _, err := h.CanonicalID(t.Context(), ""); codeOf(err) != protocol.UserIDInvalid {
		t.Errorf("an empty id: got %v, want %v", err, protocol.UserIDInvalid)
	}

	// Seen users are learned once, and addUser says better.
	h.online("seen/p")
	h.snapshot()
	h.sync()
	found, err := h.db.UsersByJID(t.Context(), []string{"seen"})
	if err != nil || !found["seen"].Learned || found["seen"].Name != "seen" {
		t.Errorf("got %+v, %v, want seen, learned", found, err)
	}
	g, _, err := h.CreateGroup(t.Context(), GroupSpec{Owner: "seen", Members: []string{"seen"}})
	if err != nil {
		t.Error(err)
	}
	if err := h.RemoveUsers(t.Context(), []string{"SEEN", "\u00a0x"}); codeOf(err) != protocol.UserIDInvalid || !strings.Contains(err.Error(), `\u00a0x`) {
		t.Errorf(`an id that cannot be: got %v, want %v with "\u00a0x"`, err, protocol.UserIDInvalid)
	}
	if found, err := h.db.UsersByJID(t.Context(), []string{"seen"}); err != nil || found["seen"].Left {
		t.Errorf("after a refused removal: got %+v, %v, want seen, who has not left", found, err)
	}
	// Who left is no member any more by name, but their rows stay.
	if err := h.RemoveUsers(t.Context(), []string{"SEEN", "nobody"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.CreateGroup(t.Context(), GroupSpec{Owner: "lisi", Members: []string{"seen"}}); codeOf(err) != protocol.GroupNotCreated {
		t.Errorf("a group with a user who left: got %v, want %v", err, protocol.GroupNotCreated)
	}
	if h.members(g.ID) != "seen" {
		t.Errorf("members: got %s, want seen: nothing is deleted", h.members(g.ID))
	}
}
