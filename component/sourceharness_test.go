package component

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tlim/store"
)

// sourceHarness is a harness whose users come from a source. Its polls are the test's own: the Service's loop stands still in
// its first one.
type sourceHarness struct {
	*harness
	from *testSource
	log  lines
}

// testSource is a Source that answers as told, one user a page.
type testSource struct {
	mu         sync.Mutex
	users      []store.SourceUser
	fail       error  // of the second page
	during     func() // before the last page
	owns       bool   // the users are the server's accounts
	keepsNone  bool   // of push codes
	failPush   error
	calledOver []string      // calls of SetPush and DeletePushCodes
	loops      chan struct{} // one for each poll of the Service's own
	let        bool          // those go on
}

// own marks the context of a test's own poll.
type own struct{}

func (f *testSource) Users(ctx context.Context, after string, _ int) ([]store.SourceUser, bool, error) {
	if ctx.Value(own{}) == nil && after == "" {
		f.loops <- struct{}{}
		if !f.let {
			<-ctx.Done()
			return nil, false, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.users, func(u store.SourceUser) bool { return u.ID > after })
	switch {
	case after != "" && f.fail != nil:
		return nil, false, f.fail
	case i < 0 || i == len(f.users)-1:
		if f.during != nil {
			f.mu.Unlock()
			f.during()
			f.mu.Lock()
		}
		return slices.Clone(f.users[max(0, len(f.users)-1):]), true, nil
	}
	return slices.Clone(f.users[i : i+1]), false, nil
}

func (f *testSource) OwnsAccounts() bool { return f.owns }
func (f *testSource) KeepsPush() bool    { return !f.keepsNone }

func (f *testSource) SetPush(_ context.Context, id, code string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calledOver = append(f.calledOver, id+"="+code)
	if f.failPush != nil {
		return f.failPush
	}
	for i := range f.users {
		switch u := &f.users[i]; {
		case u.ID == id:
			u.PushCode = code
		case u.PushCode == code:
			u.PushCode = ""
		}
	}
	return nil
}

func (f *testSource) DeletePushCodes(_ context.Context, codes []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calledOver = append(f.calledOver, "dead "+strings.Join(codes, " "))
	for i := range f.users {
		if slices.Contains(codes, f.users[i].PushCode) {
			f.users[i].PushCode = ""
		}
	}
	return f.failPush
}

// set changes what the source does.
func (f *testSource) set(change func(*testSource)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
	slices.SortFunc(f.users, func(a, b store.SourceUser) int { return strings.Compare(a.ID, b.ID) })
}

// have makes it hold these users: "id" or "id=name" or "id=name/push code".
func (f *testSource) have(list ...string) {
	f.set(func(f *testSource) {
		f.users = nil
		for _, text := range list {
			text, code, _ := strings.Cut(text, "/")
			id, name, _ := strings.Cut(text, "=")
			f.users = append(f.users, store.SourceUser{ID: id, Name: name, Login: id, PushCode: code})
		}
	})
}

// startSourced starts with users in the directory that the source had at an earlier poll.
func startSourced(t *testing.T, change func(*DirectoryConfig), users ...string) *sourceHarness {
	h := &sourceHarness{from: &testSource{loops: make(chan struct{}, 100)}, harness: newHarness(t)}
	h.origin, h.logged = h.from, &h.log
	h.harness.begin(func(c *Config) {
		c.Directory = DirectoryConfig{Interval: time.Hour, MaxRemove: 100}
		if change != nil {
			change(&c.Directory)
		}
	})
	<-h.from.loops // the Service's own poll stands still from now on
	limit, dry := h.source.cfg.MaxRemove, h.source.cfg.DryRun
	h.source.cfg.MaxRemove, h.source.cfg.DryRun = 100, false
	h.from.have(users...)
	h.polled()
	h.source.cfg.MaxRemove, h.source.cfg.DryRun = limit, dry
	h.rec.take()
	return h
}

// poll is one poll as the loop makes it.
func (h *sourceHarness) poll() error {
	h.t.Helper()
	err := h.source.poll(context.WithValue(h.t.Context(), own{}, true))
	h.source.note(err)
	return err
}

func (h *sourceHarness) polled() {
	h.t.Helper()
	if err := h.poll(); err != nil {
		h.t.Fatal(err)
	}
}

// directory lists the users: id=name/push code, with ? for those who were only seen.
func (h *harness) directory() string {
	h.t.Helper()
	users, err := h.db.ListUsers(h.t.Context(), "", 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	var list []string
	for _, u := range users {
		text := u.ID + "=" + u.Name
		if u.PushCode != "" {
			text += "/" + u.PushCode
		}
		if u.Learned {
			text += "?"
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}

func (h *harness) holds(what, want string) {
	h.t.Helper()
	if got := h.directory(); got != want {
		h.t.Errorf("%s: the directory holds\n%s\nwant\n%s", what, got, want)
	}
}

// written says what was written since the last look, without housekeeping.
func (h *sourceHarness) written() string {
	var list []string
	for _, c := range h.rec.take() {
		for _, u := range c.Users {
			list = append(list, "put "+u.ID)
		}
		for _, u := range c.SetPush {
			list = append(list, fmt.Sprintf("push %s %s", u.ID, u.PushCode))
		}
		for _, id := range c.DropUsers {
			list = append(list, "left "+id)
		}
		for _, u := range c.Learn {
			list = append(list, "learn "+u.ID)
		}
	}
	return strings.Join(list, ", ")
}

func (h *sourceHarness) wrote(what, want string) {
	h.t.Helper()
	if got := h.written(); got != want {
		h.t.Errorf("%s: wrote %q, want %q", what, got, want)
	}
}
