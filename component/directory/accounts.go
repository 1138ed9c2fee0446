package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"tlim/component/logged"
	"tlim/component/protocol"
	"tlim/component/trigger"
	"tlim/store"
)

// Accounts makes and removes the accounts on the server by which users log in. Its calls may take seconds.
type Accounts interface {
	// AddAccount makes an account. ErrAccountExists: there is one, which stays as it is.
	AddAccount(ctx context.Context, local, password, name, email string) error
	// RemoveAccount removes an account; none there is no error.
	RemoveAccount(ctx context.Context, local string) error
}

var (
	// ErrAccountExists says that the user has an account already.
	ErrAccountExists = errors.New("the account exists already")

	// ErrNoAccounts says that this server keeps no accounts for us: it is another server, or forbids it.
	ErrNoAccounts = errors.New("the server lets us keep no accounts")
)

const (
	accountPage        = 50                    // accounts whose making or removal is noted in one write
	accountPause       = 20 * time.Millisecond // at most 50 a second: each costs the server a key derivation and a write
	accountTime        = 10 * time.Second      // for one account
	accountTry         = 2 * time.Second       // of which for a name that an old database of the server does not take
	maxAccountFailures = 5                     // failures in a row that end a round: it is the server, not the users
	minAccountRetry    = time.Minute           // before a user's second try, doubled to maxAccountRetry
	maxAccountRetry    = time.Hour
	maxAccountField    = 100 // characters of Openfire's name and email columns
)

// accountKeeper makes accounts for the users of the directory and removes those of users who left, one after the other. What
// was done stands in tlim_user. A stop or crash forgets what was done in one page; those accounts are then found to be there.
type accountKeeper struct {
	d       *Directory
	server  Accounts // nil: none are kept
	trigger trigger.Trigger
	rounds  rounds

	// Of the one goroutine that works.
	failed map[string]*accountFailure // by local part
	left   map[string]time.Time       // local parts of users whose accounts are to go, and when that was first seen
	health logged.Health
	dry    logged.Text // what a dry run would do
}

type accountFailure struct {
	next time.Time
	wait time.Duration
}

func newAccountKeeper(d *Directory, server Accounts) *accountKeeper {
	return &accountKeeper{d: d, server: server, trigger: trigger.New(), failed: map[string]*accountFailure{},
		health: logged.Health{Failing: "accounts could not be made or removed; it is tried again", Again: "accounts are in step again"}}
}

func (a *accountKeeper) keeps() bool {
	return a.server != nil && (a.d.cfg.CreateAccounts || a.d.cfg.RemoveAccounts)
}

func (a *accountKeeper) run(ctx context.Context) {
	if !a.keeps() {
		return
	}
	if a.d.cfg.CreateAccounts && a.d.cfg.Password == "" {
		a.d.log.Warn("directory.initial_password is empty: each new account gets a random password that nobody knows, and can be used once an administrator has set another")
	}
	if a.d.cfg.DryRun {
		a.d.log.Warn("directory.dry_run is on: accounts are neither made nor removed")
	}
	a.trigger.Loop(ctx, a.d.cfg.Interval, func(ctx context.Context) {
		for _, done := range a.rounds.begin() {
			defer close(done)
		}
		if !a.d.deps.LinkUp() {
			return // LinkReady triggers
		}
		if err := a.work(ctx); ctx.Err() == nil && a.d.deps.LinkUp() {
			a.health.Note(a.d.log, err)
		}
	})
}

// work does all that is to be done now. Its error is the last failure, when there was one.
func (a *accountKeeper) work(ctx context.Context) error {
	if a.d.cfg.DryRun {
		return a.sayDryRun(ctx)
	}
	var made, removed accountRound
	var err error
	if a.d.cfg.CreateAccounts {
		made = accountRound{k: a, list: a.d.deps.Store.AccountsWanted, do: a.add, state: store.AccountThere, metric: "made"}
		err = made.run(ctx)
	}
	if a.d.cfg.RemoveAccounts && ctx.Err() == nil && !errors.Is(err, ErrNoAccounts) {
		left := map[string]time.Time{}
		removed = accountRound{k: a, list: a.d.deps.Store.AccountsUnwanted, do: a.remove, state: store.AccountGone, metric: "removed",
			early: func(u store.User) bool { return a.early(u, left) }}
		err = errors.Join(err, removed.run(ctx))
		a.left = left
	}
	if made.done+removed.done > 0 {
		a.d.log.Info("accounts follow the directory", "made", made.done, "found", made.found, "removed", removed.done,
			"of_made", names(made.some), "of_removed", names(removed.some))
	}
	return err
}

// early says whether a user's account is to stay for now. A source may lack a user for the moment of one poll, in the middle of
// somebody's deleting and inserting them, and their account would be gone with all that the server has of them. So the account goes
// when they are still away an interval later. left collects those who are away.
func (a *accountKeeper) early(u store.User, left map[string]time.Time) bool {
	if a.d.source == nil || a.d.deps.Source.OwnsAccounts() {
		return false // somebody said so, or has done it
	}
	since, seen := a.left[u.JID]
	if !seen {
		since = a.d.deps.Now()
	}
	left[u.JID] = since
	return a.d.deps.Now().Sub(since) < a.d.cfg.Interval
}

// fail puts a user off, longer each time, so that some who cannot have an account do not keep it from the others.
func (a *accountKeeper) fail(local string) {
	f := a.failed[local]
	if f == nil {
		f = &accountFailure{wait: minAccountRetry}
		a.failed[local] = f
	} else {
		f.wait = min(2*f.wait, maxAccountRetry)
	}
	f.next = a.d.deps.Now().Add(f.wait)
}

func (a *accountKeeper) add(ctx context.Context, u store.User) error {
	password := a.d.cfg.Password
	if password == "" {
		password = rand.Text() // 128 bits; not kept and not logged
	}
	name, email := protocol.Shorten(u.Name, maxAccountField), u.Email
	if utf8.RuneCountInString(email) > maxAccountField {
		email = ""
	}
	plain := strings.Map(func(r rune) rune {
		if r > 0xffff {
			return -1
		}
		return r
	}, name)
	if plain != name {
		first, cancel := context.WithTimeout(ctx, accountTry)
		err := a.server.AddAccount(first, u.JID, password, name, email)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
		// On a utf8mb3 database Openfire does not even answer to a name with an emoji (measured).
	}
	return a.server.AddAccount(ctx, u.JID, password, plain, email)
}

func (a *accountKeeper) remove(ctx context.Context, u store.User) error {
	return a.server.RemoveAccount(ctx, u.JID)
}

// sayDryRun counts what a round would do, and logs it when it has changed.
func (a *accountKeeper) sayDryRun(ctx context.Context) error {
	count := func(on bool, list func(context.Context, string, int) ([]store.User, error)) (n int, some []store.User, err error) {
		if !on {
			return 0, nil, nil
		}
		err = walk(ctx, list, func(u store.User) {
			if n++; len(some) <= maxNamedUsers { // one more than are named
				some = append(some, u)
			}
		})
		return n, some, err
	}
	made, add, err := count(a.d.cfg.CreateAccounts, a.d.deps.Store.AccountsWanted)
	if err != nil {
		return err
	}
	removed, drop, err := count(a.d.cfg.RemoveAccounts, a.d.deps.Store.AccountsUnwanted)
	if err != nil {
		return err
	}
	if made+removed > 0 && a.dry.Changes(fmt.Sprint(made, removed)) {
		a.d.log.Info("directory.dry_run: accounts would be made (where there is none) and removed", "make", made, "remove", removed, "of_make", names(add), "of_remove", names(drop))
	}
	return nil
}
