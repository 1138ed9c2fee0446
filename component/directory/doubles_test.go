package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"tlim/store"
)

// testSource is a Source that answers as told, one user a page.
type testSource struct {
	mu         sync.Mutex
	users      []store.SourceUser
	fail       error  // of the second page
	during     func() // before the last page
	owns       bool   // the users are the server's accounts
	keepsNone  bool   // of push codes
	failPush   error
	calledOver []string // calls of SetPush and DeletePushCodes
}

func (t *testSource) Users(_ context.Context, after string, _ int) ([]store.SourceUser, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.users, func(u store.SourceUser) bool { return u.ID > after })
	switch {
	case after != "" && t.fail != nil:
		return nil, false, t.fail
	case i < 0 || i == len(t.users)-1:
		if t.during != nil {
			t.mu.Unlock()
			t.during()
			t.mu.Lock()
		}
		return slices.Clone(t.users[max(0, len(t.users)-1):]), true, nil
	}
	return slices.Clone(t.users[i : i+1]), false, nil
}

func (t *testSource) OwnsAccounts() bool { return t.owns }
func (t *testSource) KeepsPush() bool    { return !t.keepsNone }

func (t *testSource) SetPush(_ context.Context, id, code string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calledOver = append(t.calledOver, id+"="+code)
	if t.failPush != nil {
		return t.failPush
	}
	for i := range t.users {
		switch u := &t.users[i]; {
		case u.ID == id:
			u.PushCode = code
		case u.PushCode == code:
			u.PushCode = ""
		}
	}
	return nil
}

func (t *testSource) DeletePushCodes(_ context.Context, codes []string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calledOver = append(t.calledOver, "dead "+strings.Join(codes, " "))
	for i := range t.users {
		if slices.Contains(codes, t.users[i].PushCode) {
			t.users[i].PushCode = ""
		}
	}
	return t.failPush
}

// set changes what the source does.
func (t *testSource) set(change func(*testSource)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(t)
	slices.SortFunc(t.users, func(a, b store.SourceUser) int { return strings.Compare(a.ID, b.ID) })
}

// have makes it hold these users: "id" or "id=name" or "id=name/push code".
func (t *testSource) have(list ...string) {
	t.set(func(f *testSource) {
		f.users = nil
		for _, text := range list {
			text, code, _ := strings.Cut(text, "/")
			id, name, _ := strings.Cut(text, "=")
			f.users = append(f.users, store.SourceUser{ID: id, Name: name, Login: id, PushCode: code})
		}
	})
}

// testAccounts are accounts that are kept as told.
type testAccounts struct {
	mu     sync.Mutex
	have   map[string]string // local part, password
	answer func(local, name string) error
	log    []string
}

func (t *testAccounts) AddAccount(_ context.Context, local, password, name, email string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log = append(t.log, fmt.Sprintf("add %s %q %q", local, name, email))
	if t.answer != nil {
		if err := t.answer(local, name); err != nil {
			return err
		}
	}
	if _, there := t.have[local]; there {
		return ErrAccountExists
	}
	t.have[local] = password
	return nil
}

func (t *testAccounts) RemoveAccount(_ context.Context, local string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log = append(t.log, "remove "+local)
	if t.answer != nil {
		if err := t.answer(local, ""); err != nil {
			return err
		}
	}
	delete(t.have, local)
	return nil
}

func (t *testAccounts) take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.log
	t.log = nil
	return strings.Join(list, ", ")
}

func (t *testAccounts) set(answer func(local, name string) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answer = answer
}
