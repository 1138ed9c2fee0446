package store

import (
	"context"
	"errors"
	"fmt"
)

// TokenState is what decides whether a user's tokens hold.
type TokenState struct {
	UserID     string // canonical; "" for a user without a row
	Generation int64  // grows when the user's tokens are revoked
	Left       bool
	Robot      bool // nobody logs in as one
}

const (
	secretGet = `SELECT value FROM tlim_secret WHERE name == ?`

	generationGet   = `SELECT user_id, generation, has_left, robot FROM tlim_user WHERE jid == ?`
	generationRaise = `UPDATE tlim_user SET generation = generation + 1 WHERE jid == ?`
)

// Secret reads a secret of ours, and stores fresh when there is none yet. Of two processes that start at once both get the
// same.
func (s *Store) Secret(ctx context.Context, name, fresh string) (string, error) {
	var value string
	read := func() (bool, error) {
		return s.one(ctx, secretGet, []any{name}, func(scan scanner) error { return scan((*text)(&value)) })
	}
	found, err := read()
	if err != nil || found {
		return value, err
	}
	err = s.unfenced(ctx, func(ctx context.Context, t *tx) error {
		r := t.s.rowsOf(tSecret, 1)
		r.add(name, fresh)
		return t.insert(ctx, r)
	})
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return "", fmt.Errorf("secret %s: %w", name, err)
	}
	if found, err = read(); err == nil && !found {
		err = fmt.Errorf("%w: secret %s is not there after it was written", ErrUnavailable, name)
	}
	return value, err
}

// TokenState reads what is known of the user with this local part of a JID.
func (s *Store) TokenState(ctx context.Context, jid string) (TokenState, error) {
	var st TokenState
	_, err := s.one(ctx, generationGet, []any{jid}, func(scan scanner) error {
		return scan((*text)(&st.UserID), (*number)(&st.Generation), (*flag)(&st.Left), (*flag)(&st.Robot))
	})
	return st, err
}

// RevokeTokens raises the generation of a user, which ends their tokens, in one transaction with what the audit log says of it. The
// transaction is not fenced, so that a command may call it while another process serves.
func (s *Store) RevokeTokens(ctx context.Context, jid string, e AuditEvent) error {
	err := s.unfenced(ctx, func(ctx context.Context, t *tx) error {
		if err := t.addAudit(ctx, e); err != nil {
			return err
		}
		n, err := t.do(ctx, generationRaise, jid)
		if err != nil || n > 0 {
			return err
		}
		if err := t.learnUsers(ctx, []User{{ID: jid, JID: jid, Name: jid, Login: jid}}); err != nil {
			return err
		}
		if n, err = t.do(ctx, generationRaise, jid); err == nil && n == 0 {
			err = fmt.Errorf("%w: user %q is in the directory under another address", ErrData, jid)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("revoke the tokens of %s: %w", jid, err)
	}
	return nil
}
