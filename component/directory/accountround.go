package directory

import (
	"context"
	"errors"
	"time"

	"tlim/component/pause"
	"tlim/component/protocol"
	"tlim/store"
)

const noteTime = 5 * time.Second // for writing down what was done

// accountRound walks over the users of one kind of work.
type accountRound struct {
	k      *accountKeeper
	list   func(ctx context.Context, after string, limit int) ([]store.User, error)
	do     func(ctx context.Context, u store.User) error
	state  store.Account
	metric string
	early  func(u store.User) bool // whether the user is left for a later round; nil: nobody is

	done    int          // accounts that were made or removed
	found   int          // that were there already
	some    []store.User // of those done, for the log
	strikes int          // failures in a row
}

func (a *accountRound) run(ctx context.Context) error {
	var last error
	for after := ""; ; {
		users, err := a.list(ctx, after, accountPage)
		if err != nil {
			return err
		}
		inStep, err := a.page(ctx, users, &last)
		// What was done is noted even when the round was cut short.
		keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
		noted := a.k.d.setAccount(keep, inStep, a.state)
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

// page works on some users and returns the ids of those whose accounts are in step. Its error ends the round; one user's failure does
// not, and stands in last.
func (a *accountRound) page(ctx context.Context, users []store.User, last *error) (inStep []string, err error) {
	k := a.k
	for _, u := range users {
		if early := a.early != nil && a.early(u); early || u.JID == "" || u.JID == protocol.AdminID {
			continue
		}
		if f := k.failed[u.JID]; f != nil && k.d.deps.Now().Before(f.next) {
			continue
		}
		// A page takes seconds, and an account that was removed in vain is gone with all that the server has of the user.
		now, err := k.d.deps.Store.UsersByJID(ctx, []string{u.JID})
		if err != nil {
			return inStep, err
		}
		if again, ok := now[u.JID]; !ok || again.Left != u.Left {
			continue
		}
		one, cancel := context.WithTimeout(ctx, accountTime)
		err = a.do(one, u)
		cancel()
		switch {
		case err == nil, errors.Is(err, ErrAccountExists):
			inStep = append(inStep, u.ID)
			delete(k.failed, u.JID)
			a.strikes = 0
			if err == nil {
				if a.done++; len(a.some) <= maxNamedUsers {
					a.some = append(a.some, u)
				}
				k.d.metrics.accounts.WithLabelValues(a.metric).Inc()
			} else {
				a.found++
				k.d.metrics.accounts.WithLabelValues("found").Inc()
			}
		case ctx.Err() != nil:
			return inStep, ctx.Err()
		case !k.d.deps.LinkUp(): // not the user's fault; LinkReady triggers
			return inStep, err
		case errors.Is(err, ErrNoAccounts):
			return inStep, err
		default:
			k.d.metrics.accounts.WithLabelValues("failed").Inc()
			k.fail(u.JID)
			*last = err
			if a.strikes++; a.strikes >= maxAccountFailures {
				return inStep, err
			}
		}
		if pause.For(ctx, accountPause) != nil {
			return inStep, ctx.Err()
		}
	}
	return inStep, nil
}
