package store

import (
	"context"
	"fmt"
)

// Account says what is known of a user's account on the server, with which their clients log in.
type Account int

// What is known of accounts.
const (
	AccountUnknown Account = 0 // nobody looked
	AccountThere   Account = 1 // we made it, or found it
	AccountGone    Account = 2 // we removed it, or found none to remove
)

const (
	accountsWanted   = `SELECT ` + userColumns + ` FROM tlim_user WHERE has_left = 0 AND learned = 0 AND robot = 0 AND account <> 1`
	accountsUnwanted = `SELECT ` + userColumns + ` FROM tlim_user WHERE has_left = 1 AND robot = 0 AND account <> 2`
	accountsGone     = `SELECT jid FROM tlim_user WHERE has_left = 1 AND learned = 1 AND account = 2 AND jid == (?*)`
	accountSet       = `UPDATE tlim_user SET account = ? WHERE user_id == (?*)`
)

// AccountsWanted reads at most limit users of the directory of whose accounts nothing is known or who have none, ordered by
// id, from behind the id after ("" = from the first). Who was only seen on the wire has one and is not among them.
func (s *Store) AccountsWanted(ctx context.Context, after string, limit int) ([]User, error) {
	return s.userPage(ctx, accountsWanted, after, limit)
}

// AccountsUnwanted reads at most limit users who have left and whose accounts may still be there, ordered as those of
// [Store.AccountsWanted].
func (s *Store) AccountsUnwanted(ctx context.Context, after string, limit int) ([]User, error) {
	return s.userPage(ctx, accountsUnwanted, after, limit)
}

// AccountsGone finds, among these local parts of JIDs, the users who were only seen on the wire and have left because their account was
// gone.
func (s *Store) AccountsGone(ctx context.Context, jids []string) (map[string]bool, error) {
	found := map[string]bool{}
	err := s.in(ctx, accountsGone, nil, jids, nil, func(scan scanner) error {
		var jid text
		err := scan(&jid)
		found[string(jid)] = true
		return err
	})
	return found, err
}

// SetAccount notes what became of the accounts of these users, by id, in one fenced transaction. Errors:
// ErrFenced, ErrUnavailable; what is not noted is looked at again, which is harmless.
func (s *Store) SetAccount(ctx context.Context, epoch int64, ids []string, a Account) error {
	if len(ids) == 0 {
		return nil
	}
	err := s.fenced(ctx, epoch, func(ctx context.Context, t *tx) error {
		return t.doIn(ctx, accountSet, ids, int64(a))
	})
	if err != nil {
		return fmt.Errorf("note %d accounts: %w", len(ids), err)
	}
	return nil
}
