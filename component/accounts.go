package component

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"tlim/component/pause"
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
	accountPage    = 50                    // accounts of one round, noted in one write
	accountPause   = 20 * time.Millisecond // at most 50 a second: each costs the server a key derivation and a write
	accountTime    = 10 * time.Second      // for one account
	accountTry     = 2 * time.Second       // of which for a name that an old database of the server does not take
	accountStrikes = 5                     // failures in a row that end a round: it is the server, not the users
	accountRetry   = time.Minute           // before a user's second try, doubled to accountLongest
	accountLongest = time.Hour
	accountField   = 100 // characters of Openfire's name and email columns
)

// accountKeeper makes accounts for the users of the directory and removes those of users who left, one after the other. What
// was done stands in tlim_user, so a stop or crash costs the accounts of one round, which are then found to be there.
type accountKeeper struct {
	trigger trigger.Trigger // it has a run of its own soon
	s       *Service
	server  Accounts // nil: none are kept
	cfg     DirectoryConfig
	rounds  rounds

	// Of the one goroutine that works.
	failed map[string]*accountFailure // by local part
	left   map[string]time.Time       // local parts of users whose accounts are to go, and when that was first seen
	said   string                     // the last trouble, to log it once
	dry    string                     // the last word of a dry run, likewise
}

type accountFailure struct {
	next time.Time
	wait time.Duration
}

func (k *accountKeeper) keeps() bool {
	return k.server != nil && (k.cfg.CreateAccounts || k.cfg.RemoveAccounts)
}

func (k *accountKeeper) run(ctx context.Context) {
	if !k.keeps() {
		return
	}
	if k.cfg.CreateAccounts && k.cfg.Password == "" {
		k.s.log.Warn("directory.initial_password is empty: each new account gets a random password that nobody knows, and can be used once an administrator has set another")
	}
	if k.cfg.DryRun {
		k.s.log.Warn("directory.dry_run is on: accounts are neither made nor removed")
	}
	k.trigger.Loop(ctx, k.cfg.Interval, func(ctx context.Context) {
		for _, done := range k.rounds.begin() {
			defer close(done)
		}
		if !k.s.linkUp() {
			return // poked when it is
		}
		if err := k.work(ctx); ctx.Err() == nil && k.s.linkUp() {
			k.note(err)
		}
	})
}

// note logs when accounts begin to fail, for another reason than before, and when all is well again.
func (k *accountKeeper) note(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text == k.said:
	case text != "":
		k.s.log.Error("accounts could not be made or removed; it is tried again", "error", err)
	default:
		k.s.log.Info("accounts are in step again")
	}
	k.said = text
}

// work does all that is to be done now. Its error is the last failure, when there was one.
func (k *accountKeeper) work(ctx context.Context) error {
	if k.cfg.DryRun {
		return k.say(ctx)
	}
	var made, removed accountRound
	var err error
	if k.cfg.CreateAccounts {
		made = accountRound{k: k, list: k.s.store.AccountsWanted, do: k.add, state: store.AccountThere, metric: "made"}
		err = made.run(ctx)
	}
	if k.cfg.RemoveAccounts && ctx.Err() == nil && !errors.Is(err, ErrNoAccounts) {
		left := map[string]time.Time{}
		removed = accountRound{k: k, list: k.s.store.AccountsUnwanted, do: k.remove, state: store.AccountGone, metric: "removed",
			early: func(u store.User) bool { return k.early(u, left) }}
		err = errors.Join(err, removed.run(ctx))
		k.left = left
	}
	if made.done+removed.done > 0 {
		k.s.log.Info("accounts follow the directory", "made", made.done, "found", made.found, "removed", removed.done,
			"of_made", names(made.some), "of_removed", names(removed.some))
	}
	return err
}

// early says whether a user's account is to stay for now. A source may lack him for the moment of one poll, in the middle of
// somebody's deleting and inserting him, and his account would be gone with all that the server has of him: it goes when he
// is still away an interval later.
func (k *accountKeeper) early(u store.User, left map[string]time.Time) bool {
	if k.s.source == nil || k.s.source.source.OwnsAccounts() {
		return false // somebody said so, or has done it
	}
	since, seen := k.left[u.JID]
	if !seen {
		since = k.s.now()
	}
	left[u.JID] = since
	return k.s.now().Sub(since) < k.cfg.Interval
}

// accountRound walks over the users of one kind of work.
type accountRound struct {
	k      *accountKeeper
	list   func(ctx context.Context, after string, limit int) ([]store.User, error)
	do     func(ctx context.Context, u store.User) error
	state  store.Account
	metric string
	early  func(u store.User) bool // nil: nobody is

	done, found, strikes int
	some                 []store.User // of those done, for the log
}

func (r *accountRound) run(ctx context.Context) error {
	var last error
	for after := ""; ; {
		users, err := r.list(ctx, after, accountPage)
		if err != nil {
			return err
		}
		settled, err := r.page(ctx, users, &last)
		// What was done is noted also at the end of a round that was cut short.
		keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
		noted := r.k.s.store.SetAccount(keep, r.k.s.epoch, settled, r.state)
		cancel()
		if err = errors.Join(err, noted); err != nil {
			return err
		}
		if len(users) < accountPage {
			return last
		}
		after = users[len(users)-1].ID
	}
}

// page works on some users and returns the ids of those who are settled. Its error ends the round; one user's failure does
// not, and stands in last.
func (r *accountRound) page(ctx context.Context, users []store.User, last *error) (settled []string, err error) {
	k := r.k
	for _, u := range users {
		if early := r.early != nil && r.early(u); early || u.JID == "" || u.JID == protocol.AdminID {
			continue
		}
		if f := k.failed[u.JID]; f != nil && k.s.now().Before(f.next) {
			continue
		}
		// A page takes seconds, and an account that was removed in vain is gone with all that the server has of the user.
		now, err := k.s.store.UsersByJID(ctx, []string{u.JID})
		if err != nil {
			return settled, err
		}
		if again, ok := now[u.JID]; !ok || again.Left != u.Left {
			continue
		}
		one, cancel := context.WithTimeout(ctx, accountTime)
		err = r.do(one, u)
		cancel()
		switch {
		case err == nil, errors.Is(err, ErrAccountExists):
			settled = append(settled, u.ID)
			delete(k.failed, u.JID)
			r.strikes = 0
			if err == nil {
				if r.done++; len(r.some) <= namedUsers {
					r.some = append(r.some, u)
				}
				k.s.metrics.directory.accounts.WithLabelValues(r.metric).Inc()
			} else {
				r.found++
				k.s.metrics.directory.accounts.WithLabelValues("found").Inc()
			}
		case ctx.Err() != nil:
			return settled, ctx.Err()
		case !k.s.linkUp(): // no fault of his; Up pokes
			return settled, err
		case errors.Is(err, ErrNoAccounts):
			return settled, err
		default:
			k.s.metrics.directory.accounts.WithLabelValues("failed").Inc()
			k.fail(u.JID)
			*last = err
			if r.strikes++; r.strikes >= accountStrikes {
				return settled, err
			}
		}
		if pause.For(ctx, accountPause) != nil {
			return settled, ctx.Err()
		}
	}
	return settled, nil
}

// fail puts a user off, longer each time, so that some who cannot have an account do not keep it from the others.
func (k *accountKeeper) fail(local string) {
	f := k.failed[local]
	if f == nil {
		f = &accountFailure{wait: accountRetry}
		k.failed[local] = f
	} else {
		f.wait = min(2*f.wait, accountLongest)
	}
	f.next = k.s.now().Add(f.wait)
}

func (k *accountKeeper) add(ctx context.Context, u store.User) error {
	password := k.cfg.Password
	if password == "" {
		password = rand.Text() // 128 bits; not kept and not logged
	}
	name, email := protocol.Shorten(u.Name, accountField), u.Email
	if utf8.RuneCountInString(email) > accountField {
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
		err := k.server.AddAccount(first, u.JID, password, name, email)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
		// On a utf8mb3 database Openfire does not even answer to a name with an emoji (measured).
	}
	return k.server.AddAccount(ctx, u.JID, password, plain, email)
}

func (k *accountKeeper) remove(ctx context.Context, u store.User) error {
	return k.server.RemoveAccount(ctx, u.JID)
}

// say is the dry run: it counts.
func (k *accountKeeper) say(ctx context.Context) error {
	count := func(on bool, list func(context.Context, string, int) ([]store.User, error)) (n int, some []store.User, err error) {
		for after := ""; on; {
			users, err := list(ctx, after, sourcePage)
			if err != nil {
				return n, some, err
			}
			n += len(users)
			some = append(some, users[:min(len(users), namedUsers+1-min(len(some), namedUsers+1))]...)
			if len(users) < sourcePage {
				break
			}
			after = users[len(users)-1].ID
		}
		return n, some, nil
	}
	made, add, err := count(k.cfg.CreateAccounts, k.s.store.AccountsWanted)
	if err != nil {
		return err
	}
	removed, drop, err := count(k.cfg.RemoveAccounts, k.s.store.AccountsUnwanted)
	if err != nil {
		return err
	}
	if text := fmt.Sprint(made, removed); text != k.dry && made+removed > 0 {
		k.dry = text
		k.s.log.Info("directory.dry_run: accounts would be made (where there is none) and removed", "make", made, "remove", removed, "of_make", names(add), "of_remove", names(drop))
	}
	return nil
}
