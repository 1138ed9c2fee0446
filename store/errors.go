package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Every error of a [Store] method is one of these (errors.Is), or a [*UnknownError].
var (
	// ErrFenced says that another process has taken over, or that nobody ever did: nothing was written, and this
	// process must stop writing.
	ErrFenced = errors.New("another process has taken over the database")

	// ErrDuplicate says that a key exists already. Nothing was written.
	ErrDuplicate = errors.New("the key exists already")

	// ErrCollation is an ErrDuplicate where nothing has that key: the collation of its column takes it for another one's, as
	// "x " for "x" or lísi for lisi. Trying again will not help.
	ErrCollation = fmt.Errorf("%w for its collation, which takes it for another", ErrDuplicate)

	// ErrData says that a value does not fit its column: too long, or of characters that the column's character set
	// cannot hold. Nothing was written, nothing was cut or replaced, and trying again will not help.
	ErrData = errors.New("the database cannot hold the value")

	// ErrUnavailable says that the database could not do it now: connection, time-out, lock, disk, rights. Nothing was
	// written, and trying again later may help.
	ErrUnavailable = errors.New("the database is not available")

	// ErrNoNode is an ErrUnavailable: none of the nodes of store.dsn takes writes now.
	ErrNoNode = fmt.Errorf("%w: no node takes writes", ErrUnavailable)

	// ErrSchema says that the tables are not what this version works with; the text names each difference.
	ErrSchema = errors.New("the tables do not fit")

	// ErrHeld says that another process works on the tables, or has the database open where that must not be; the text names it.
	ErrHeld = errors.New("another process is at it")
)

// UnknownError says that a COMMIT was sent and its answer was lost: the batch may be written or not.
// [Store.Committed] finds out; until it has answered, nobody may be told either way.
type UnknownError struct {
	Epoch, Batch int64 // of the transaction in doubt
	Err          error // how the answer was lost
}

// Error names the batch in doubt.
func (u *UnknownError) Error() string {
	return fmt.Sprintf("batch %d: the answer to its COMMIT was lost: %v", u.Batch, u.Err)
}

// Unwrap returns how the answer was lost.
func (u *UnknownError) Unwrap() error { return u.Err }

// lateError is a wait for the database that ended without an answer. The drivers' own words say neither who was asked nor for how long.
type lateError struct {
	asked  string // as it may be shown
	waited time.Duration
	err    error
}

// Error names both, in the place of the bare words where they stand alone.
func (l *lateError) Error() string {
	said := fmt.Sprintf("%s gave no answer within %v", l.asked, l.waited)
	if text, bare := l.err.Error(), context.DeadlineExceeded.Error(); strings.Contains(text, bare) {
		return strings.Replace(text, bare, said, 1)
	}
	return fmt.Sprintf("%s (%v)", said, l.err)
}

// Unwrap returns the error that ended the wait.
func (l *lateError) Unwrap() error { return l.err }

// Is says that it is a deadline, also where a driver has left no more of it than its text.
func (l *lateError) Is(target error) bool { return target == context.DeadlineExceeded }

// Late says of an error that ended a wait for the database of cfg what did not answer, and within which time; others stay as they are.
func Late(cfg Config, err error, since time.Time) error {
	var network net.Error
	switch {
	case err == nil, errors.As(err, new(*lateError)):
		return err
	case errors.As(err, &network) && network.Timeout(), strings.Contains(err.Error(), context.DeadlineExceeded.Error()):
	default:
		return err
	}
	waited := time.Since(since).Round(10 * time.Millisecond)
	if waited > time.Second {
		waited = waited.Round(100 * time.Millisecond)
	}
	return &lateError{"the database " + MaskDSN(cfg.DSN), waited, err}
}

func (s *Store) late(err error, since time.Time) error { return Late(s.cfg, err, since) }

// fail translates an error of the driver into one of the sentinels, once, where it leaves this package. The driver's own error
// stays in the chain, so that the log shows what the database said.
func (s *Store) fail(err error) error {
	var unknown *UnknownError
	if err != nil {
		s.left(err)
	}
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unknown),
		errors.Is(err, ErrFenced), errors.Is(err, ErrDuplicate), errors.Is(err, ErrData), errors.Is(err, ErrSchema), errors.Is(err, ErrHeld), errors.Is(err, ErrMoved), errors.Is(err, ErrUnavailable):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	// What is neither a duplicate nor a matter of data is the database's or the network's trouble, a missing right and a
	// dropped table included: for the sender all of it means "later".
	kind := s.dialect.classify(err)
	if kind == nil && s.dialect.unmatched(err) {
		return fmt.Errorf("%w: %w; columns of two collations were compared: convert the tables that the start warns of", ErrUnavailable, err)
	}
	if kind == nil {
		kind = ErrUnavailable
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// left gives the connections up where an error says that their server is no part of its cluster any more.
func (s *Store) left(err error) {
	if s.dialect.left != nil && s.pools != nil && s.pools.leave != nil && s.dialect.left(err) {
		s.pools.leave()
	}
}
