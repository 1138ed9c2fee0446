package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tlim/component/pause"
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

func (f *testSource) Users(_ context.Context, after string, _ int) ([]store.SourceUser, bool, error) {
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

// registry is a server that tells of accounts. It keeps what it was asked.
type registry struct {
	mu      sync.Mutex
	there   []string
	fail    error         // of all others, instead of that there is none
	silent  []string      // of whom it says nothing
	takes   time.Duration // for an answer
	asked   []string
	now     int // questions that wait,
	highest int // and how many of them did at most
}

func (r *registry) HasAccount(ctx context.Context, local string) (bool, error) {
	r.mu.Lock()
	r.asked = append(r.asked, local)
	r.now++
	r.highest = max(r.highest, r.now)
	there, fail, silent, takes := slices.Contains(r.there, local), r.fail, slices.Contains(r.silent, local), r.takes
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.now--
		r.mu.Unlock()
	}()
	switch {
	case silent:
		<-ctx.Done()
		return false, ctx.Err()
	case takes > 0 && pause.For(ctx, takes) != nil:
		return false, ctx.Err()
	case there:
		return true, nil
	}
	return false, fail
}

// questions are those since the last look.
func (r *registry) questions() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.asked)
	list := strings.Join(r.asked, " ")
	r.asked = nil
	return list
}

func (r *registry) set(change func(*registry)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}
