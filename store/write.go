package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// tx is the one write transaction under way.
type tx struct {
	s     *Store
	tx    *sql.Tx
	began time.Time
	all   *Change // the merged changes, see Apply
}

// write runs do in one fenced transaction: (1) wait for the turn, (2) begin, (3) tlim_state first, so that a deposed
// process stops before it has touched a row, (4) do, (5) commit.
func (s *Store) write(ctx context.Context, epoch int64, pos Positions, do func(context.Context, *tx) error) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.release()
	t, err := s.begin(ctx)
	if err != nil {
		return err
	}
	// Past this point the context ends a statement, never the transaction behind our back: COMMIT or ROLLBACK is ours.
	batch, err := t.fence(t.context(ctx), epoch, pos)
	if err == nil {
		err = do(t.context(ctx), t)
	}
	if err != nil {
		return t.rollback(err)
	}
	return t.commit(epoch, batch)
}

// fenced runs do in one fenced transaction, for a job that may be repeated. It does not change the number of the last batch: the
// conveyor looks that number up when the answer to a COMMIT was lost, and would take the job's for its own. An outcome that is not
// known is ErrUnavailable.
func (s *Store) fenced(ctx context.Context, epoch int64, do func(context.Context, *tx) error) error {
	return s.unfenced(ctx, func(ctx context.Context, t *tx) error {
		n, err := t.do(ctx, stateHold, epoch)
		if err == nil && (n == 0 || epoch == 0) {
			err = fmt.Errorf("%w: our epoch was %d", ErrFenced, epoch)
		}
		if err != nil {
			return err
		}
		return do(ctx, t)
	})
}

// unfenced runs do in one transaction that does not look at the epoch, for tables on which no conversation depends. It takes its
// turn like every write. An outcome that is not known is ErrUnavailable, so do must be harmless to repeat.
func (s *Store) unfenced(ctx context.Context, do func(context.Context, *tx) error) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.release()
	t, err := s.begin(ctx)
	if err != nil {
		return err
	}
	if err := do(t.context(ctx), t); err != nil {
		return t.rollback(err)
	}
	if err := t.tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", s.fail(s.late(err, t.began)))
	}
	return nil
}

// take waits for the right to write.
func (s *Store) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil { // where both could be, select may take the turn
		return s.fail(err)
	}
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: waiting for the write before: %w", ErrUnavailable, ctx.Err())
	}
}

// release ends the turn: what the transaction did is there, or not, or nobody knows.
func (s *Store) release() {
	s.totals.deleted()
	<-s.turn
}

// begin prepares what the last transaction missed and starts the next.
func (s *Store) begin(ctx context.Context) (*tx, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.MaxWait)
	defer cancel()
	for st, c := range s.wanted {
		delete(s.wanted, st)
		p, err := prepare(ctx, s.pools.writer, c)
		if err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("prepare: %w", s.fail(s.late(err, began)))
			}
			// A right or a table may be gone since it ran: that is for its own caller to hear, not for every other one.
			s.log.Debug("prepare", "statement", firstWords(c.text), "err", err)
			continue
		}
		s.writers[st] = p
	}
	// The context given here would roll the transaction back when it ends, and later statements would run outside of it.
	opened, err := s.pools.writer.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", s.fail(s.late(err, began)))
	}
	return &tx{s: s, tx: opened, began: began}, nil
}

func (t *tx) context(ctx context.Context) context.Context {
	if t.s.dialect.local {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// exec runs a statement of the transaction and says how many rows it found. The writing pool has one connection and the
// transaction holds it, so a statement that is new is run unprepared and, when the database took it, prepared after the
// transaction.
func (t *tx) exec(ctx context.Context, name string, n int, text func() string, args []any) (int64, error) {
	st := statement{name, n}
	var res sql.Result
	var c *command
	var err error
	if p := t.s.writers[st]; p != nil {
		c = p.command
		res, err = t.tx.StmtContext(ctx, p.stmt).ExecContext(ctx, p.arrange(args)...)
	} else {
		c = t.s.command(text())
		if res, err = t.tx.ExecContext(ctx, c.text, c.arrange(args)...); err == nil {
			t.s.wanted[st] = c
		}
	}
	if err != nil && t.s.dialect.unmatched(err) {
		err = t.s.unheld(ctx, c, args, err)
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// do runs a statement without lists.
func (t *tx) do(ctx context.Context, query string, args ...any) (int64, error) {
	for i, a := range args {
		if a == "" {
			args[i] = nil
		}
	}
	n, err := t.exec(ctx, query, 0, func() string { return query }, args)
	if errors.As(err, new(*unheldError)) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", firstWords(query), err)
	}
	return n, nil
}

// doIn runs a statement with one "?*" for all keys, in chunks; before are the arguments in front of the list.
func (t *tx) doIn(ctx context.Context, query string, keys []string, before ...any) error {
	return parts(keys, listSizes, len(before), 1, func(keys []string, size int) error {
		args := fill(append(make([]any, 0, len(before)+size), before...), keys, size)
		if _, err := t.exec(ctx, query, size, func() string { return list(query, size) }, args); err != nil {
			return fmt.Errorf("%s: %w", firstWords(query), err)
		}
		return nil
	})
}

// doPairs runs a statement with one "(..)*" for all pairs, in chunks.
func (t *tx) doPairs(ctx context.Context, query string, keys []pair) error {
	return parts(keys, pairSizes, 0, 2, func(keys []pair, size int) error {
		if _, err := t.exec(ctx, query, size, func() string { return alternatives(query, size) }, fillPairs(keys, size)); err != nil {
			return fmt.Errorf("%s: %w", firstWords(query), err)
		}
		return nil
	})
}

// readIn runs a query with one "?*" inside the transaction.
func (t *tx) readIn(ctx context.Context, query string, keys []string, row func(scanner) error) error {
	return parts(keys, listSizes, 0, 1, func(keys []string, size int) error {
		return t.query(ctx, statement{query, size}, func() string { return list(query, size) }, fill(nil, keys, size), row)
	})
}

// readPairs runs a query with one "(..)*" inside the transaction.
func (t *tx) readPairs(ctx context.Context, query string, keys []pair, row func(scanner) error) error {
	return parts(keys, pairSizes, 0, 2, func(keys []pair, size int) error {
		return t.query(ctx, statement{query, size}, func() string { return alternatives(query, size) }, fillPairs(keys, size), row)
	})
}

// query runs a query inside the transaction; n of a list is its prepared size, 0 is a query without one.
func (t *tx) query(ctx context.Context, st statement, text func() string, args []any, row func(scanner) error) error {
	var found *sql.Rows
	var c *command
	var err error
	if p := t.s.writers[st]; p != nil {
		c = p.command
		found, err = t.tx.StmtContext(ctx, p.stmt).QueryContext(ctx, p.arrange(args)...)
	} else {
		c = t.s.command(text())
		if found, err = t.tx.QueryContext(ctx, c.text, c.arrange(args)...); err == nil {
			t.s.wanted[st] = c
		}
	}
	if err == nil {
		err = drain(found, row)
	}
	if err != nil && t.s.dialect.unmatched(err) {
		err = t.s.unheld(ctx, c, args, err)
		if st.n == 0 && errors.As(err, new(*unheldError)) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", firstWords(st.query), err)
	}
	return nil
}

// rollback ends the transaction without effect and returns why.
func (t *tx) rollback(why error) error {
	if err := t.tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		// The connection is gone, and the server rolls back what it held.
		t.s.log.Debug("rollback", "err", err)
	}
	return t.s.fail(t.s.late(why, t.began))
}

// commit ends the transaction. Only here can an outcome be unknown.
func (t *tx) commit(epoch, batch int64) error {
	err := t.tx.Commit()
	if err == nil {
		t.s.known = State{Epoch: epoch, Batch: batch}
		return nil
	}
	t.s.known = State{}
	t.s.left(err)
	if t.s.dialect.uncommitted(err) {
		return fmt.Errorf("commit: %w", t.s.fail(err))
	}
	return &UnknownError{Epoch: epoch, Batch: batch, Err: t.s.late(err, t.began)}
}

// firstWords names a statement in an error: its verb and table.
func firstWords(query string) string {
	words, start := 0, 0
	for i := 0; i < len(query); i++ {
		if query[i] == ' ' || query[i] == '\n' {
			if words++; words == 3 {
				return query[start:i]
			}
		}
	}
	return query
}
