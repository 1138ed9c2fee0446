package store

import (
	"context"
	"fmt"
	"time"
)

const (
	stateGet     = `SELECT epoch, batch, clock, delivered, settled FROM tlim_state WHERE id = 1`
	stateTake    = `UPDATE tlim_state SET epoch = epoch + 1, batch = batch + 1 WHERE id = 1`
	stateLock    = `UPDATE tlim_state SET batch = batch WHERE id = 1`
	stateHold    = `UPDATE tlim_state SET batch = batch WHERE id = 1 AND epoch = ?`
	stateAdvance = `UPDATE tlim_state SET batch = ?,
		clock = CASE WHEN clock < ? THEN ? ELSE clock END,
		delivered = CASE WHEN delivered < ? THEN ? ELSE delivered END,
		settled = CASE WHEN settled < ? THEN ? ELSE settled END
		WHERE id = 1 AND epoch = ? AND batch = ?`
)

func scanState(st *State) func(scanner) error {
	return func(scan scanner) error {
		return scan((*number)(&st.Epoch), (*number)(&st.Batch), (*number)(&st.Clock), (*number)(&st.Delivered), (*number)(&st.Settled))
	}
}

// State reads the row tlim_state.
func (s *Store) State(ctx context.Context) (State, error) {
	var st State
	found, err := s.one(ctx, stateGet, nil, scanState(&st))
	if err == nil && !found {
		err = fmt.Errorf("%w: tlim_state has no row", ErrUnavailable)
	}
	return st, err
}

// TakeOver makes this process the only one that writes: it begins a new epoch, and from then on Apply with an older one
// gets ErrFenced. It waits for a write that another process has under way. Calling it again is harmless, so an
// error leaves nothing to clear up.
func (s *Store) TakeOver(ctx context.Context) (State, error) {
	return s.takeOver(ctx, func(ctx context.Context, t *tx) (State, error) { return t.takeState(ctx, stateTake) })
}

// takeOver runs take, which begins an epoch, in one transaction.
func (s *Store) takeOver(ctx context.Context, take func(context.Context, *tx) (State, error)) (State, error) {
	if err := s.take(ctx); err != nil {
		return State{}, err
	}
	defer s.release()
	t, err := s.begin(ctx)
	if err != nil {
		return State{}, err
	}
	st, err := take(t.context(ctx), t)
	if err != nil {
		return State{}, fmt.Errorf("take over: %w", t.rollback(err))
	}
	if err := t.commit(st.Epoch, st.Batch); err != nil {
		return State{}, fmt.Errorf("take over: %w: %v", ErrUnavailable, err) //nolint:errorlint // an UnknownError asks its caller to find out; here they call again
	}
	return st, nil
}

// fence updates tlim_state, which locks it until the end of the transaction, and returns the batch's number. Positions
// only ever grow.
func (t *tx) fence(ctx context.Context, epoch int64, pos Positions) (int64, error) {
	// The number of the batch before is normally known; after a lost answer, or for another epoch, the row is asked.
	for range 2 {
		if t.s.known.Epoch == epoch {
			batch := t.s.known.Batch + 1
			n, err := t.do(ctx, stateAdvance, batch, pos.Clock, pos.Clock, pos.Delivered, pos.Delivered,
				pos.Settled, pos.Settled, epoch, batch-1)
			if err != nil || n == 1 {
				return batch, err
			}
		}
		if _, err := t.do(ctx, stateLock); err != nil {
			return 0, err
		}
		var st State
		err := t.query(ctx, statement{stateGet, 0}, func() string { return stateGet }, nil, scanState(&st))
		if err != nil {
			return 0, err
		}
		if st.Epoch != epoch || epoch == 0 {
			return 0, fmt.Errorf("%w: its epoch is %d, ours was %d", ErrFenced, st.Epoch, epoch)
		}
		t.s.known = st
	}
	return 0, fmt.Errorf("%w: tlim_state changed under its lock", ErrUnavailable)
}

// Committed says whether the batch of u happened. It waits, on a connection of its own, until the transaction in doubt
// has ended either way, so its answer is final. ErrUnavailable: ask again. ErrFenced: another process has taken over
// since, and counts on; this one must stop and tell nobody anything.
func (s *Store) Committed(ctx context.Context, u *UnknownError) (bool, error) {
	if err := s.take(ctx); err != nil {
		return false, err
	}
	defer s.release()
	if s.dialect.caughtUp != nil {
		began := time.Now()
		waiting, cancel := context.WithTimeout(ctx, s.cfg.MaxWait)
		err := s.dialect.caughtUp(waiting, s.pools.writer)
		cancel()
		if err != nil {
			return false, fmt.Errorf("look up batch %d: wait for the cluster: %w", u.Batch, s.fail(s.late(err, began)))
		}
	}
	t, err := s.begin(ctx)
	if err != nil {
		return false, fmt.Errorf("look up batch %d: %w", u.Batch, err)
	}
	var st State
	// The server may still be busy with that very COMMIT: the update waits for its row lock.
	if _, err = t.do(t.context(ctx), stateLock); err == nil {
		err = t.query(t.context(ctx), statement{stateGet, 0}, func() string { return stateGet }, nil, scanState(&st))
	}
	// Nothing was changed; the rollback's own error does not matter once the row was read.
	if failed := t.rollback(err); failed != nil {
		return false, fmt.Errorf("look up batch %d: %w", u.Batch, failed)
	}
	if st.Epoch != u.Epoch {
		return false, fmt.Errorf("look up batch %d: %w", u.Batch, ErrFenced)
	}
	s.known = st
	return st.Batch >= u.Batch, nil
}
