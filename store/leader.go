package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrMoved says that the leader has moved since it was seen: it lives, or another process has taken over meanwhile.
var ErrMoved = errors.New("the leader has moved since it was seen")

// Leader is the process that writes, or stands by to do so, as it told of itself.
type Leader struct {
	Epoch, Beat int64  // of a leader: its term, and a number that grows while it lives
	Process     string // an id of this run
	Host        string
	PID         int64
	Version     string
	Address     string // where its HTTP API listens
	Domain      string
	Component   string
	Marker      string // the file by which others see that they share its files; "" is none
	Standby     bool   // another one may stand by
	Released    bool   // it ended in order: nobody has to wait
	Reaches     bool   // of a standby: the server answers it
	Settings    string // by which another one sees that its configuration is not the same; written, and read by LeaderSettings alone
}

// Seen is what one look found of who leads. Two that are equal say that nobody has moved between them.
type Seen struct {
	State  State  // its Epoch is the leader's, also that of a version which does not tell of itself
	Leader Leader // empty: no process has told of itself
}

// Known says that the leader has told of itself.
func (s Seen) Known() bool { return s.Leader.Process != "" && s.Leader.Epoch == s.State.Epoch }

// Free says that nobody leads: nobody ever did, or the last one ended in order.
func (s Seen) Free() bool { return s.State.Epoch == 0 || s.Known() && s.Leader.Released }

// The rows of tlim_leader.
const (
	leaderRow  = 1
	standbyRow = 2
)

// serverReached stands in the place of the epoch of the standby's row, which has no term, while the server answers it; else 0, also of versions that
// do not tell.
const serverReached = 1

const (
	leaderGet      = `SELECT epoch, beat, process, host, pid, version, address, domain, component, marker, standby, released FROM tlim_leader WHERE id = ?`
	leaderTake     = `UPDATE tlim_leader SET epoch = ?, beat = beat + 1, process = ?, host = ?, pid = ?, version = ?, address = ?, domain = ?, component = ?, marker = ?, standby = ?, released = 0, settings = ? WHERE id = ?`
	leaderTakeSeen = leaderTake + ` AND epoch = ? AND beat = ?`
	leaderSettings = `SELECT settings FROM tlim_leader WHERE id = 1 AND process == ?`
	leaderBeat     = `UPDATE tlim_leader SET beat = beat + 1 WHERE id = 1 AND epoch = ?`
	leaderRelease  = `UPDATE tlim_leader SET beat = beat + 1, released = 1 WHERE id = 1 AND epoch = ?`
	standbyBeat    = `UPDATE tlim_leader SET epoch = ?, beat = beat + 1, released = 0 WHERE id = 2 AND process == ?`
	standbyRelease = `UPDATE tlim_leader SET beat = beat + 1, released = 1 WHERE id = 2 AND process == ?`
	stateTakeSeen  = `UPDATE tlim_state SET epoch = epoch + 1, batch = batch + 1 WHERE id = 1 AND epoch = ? AND batch = ?`
)

// LookAtLeader reads who leads.
func (s *Store) LookAtLeader(ctx context.Context) (Seen, error) {
	var seen Seen
	var err error
	if seen.State, err = s.State(ctx); err != nil {
		return Seen{}, err
	}
	seen.Leader, err = s.leader(ctx, leaderRow)
	return seen, err
}

// LookAtStandby reads who stands by; empty: nobody ever did.
func (s *Store) LookAtStandby(ctx context.Context) (Leader, error) {
	l, err := s.leader(ctx, standbyRow)
	l.Reaches, l.Epoch = l.Epoch == serverReached, 0
	return l, err
}

func (s *Store) leader(ctx context.Context, row int) (Leader, error) {
	var l Leader
	_, err := s.one(ctx, leaderGet, []any{row}, func(scan scanner) error {
		return scan((*number)(&l.Epoch), (*number)(&l.Beat), (*text)(&l.Process), (*text)(&l.Host), (*number)(&l.PID), (*text)(&l.Version), (*text)(&l.Address),
			(*text)(&l.Domain), (*text)(&l.Component), (*text)(&l.Marker), (*flag)(&l.Standby), (*flag)(&l.Released))
	})
	return l, err
}

// LeaderSettings reads what that process told of its configuration while it leads; "" where it leads no more, or is of a version that tells nothing of it.
func (s *Store) LeaderSettings(ctx context.Context, process string) (settings string, err error) {
	_, err = s.one(ctx, leaderSettings, []any{process}, func(scan scanner) error { return scan((*text)(&settings)) })
	return settings, err
}

// Lead is [Store.TakeOver] for a process that tells of itself. With seen it takes over only from the one that was seen, and only if it
// has not moved since; else it is ErrMoved, and nothing is changed.
func (s *Store) Lead(ctx context.Context, me Leader, seen *Seen) (State, error) {
	return s.takeOver(ctx, func(ctx context.Context, t *tx) (State, error) {
		take, args := stateTake, []any(nil)
		if seen != nil {
			take, args = stateTakeSeen, []any{seen.State.Epoch, seen.State.Batch}
		}
		st, err := t.takeState(ctx, take, args...)
		if err != nil {
			return st, err
		}
		me.Epoch = st.Epoch
		if seen == nil || seen.Leader.Process == "" {
			return st, t.putLeader(ctx, leaderRow, me)
		}
		n, err := t.do(ctx, leaderTakeSeen, append(me.values(leaderRow), seen.Leader.Epoch, seen.Leader.Beat)...)
		if err == nil && n == 0 {
			err = ErrMoved
		}
		return st, err
	})
}

// values are the arguments of leaderTake.
func (l Leader) values(row int) []any {
	return []any{l.Epoch, l.Process, l.Host, l.PID, l.Version, l.Address, l.Domain, l.Component, l.Marker, bit(l.Standby), l.Settings, row}
}

// putLeader writes a row anew.
func (t *tx) putLeader(ctx context.Context, row int, l Leader) error {
	n, err := t.do(ctx, leaderTake, l.values(row)...)
	if err != nil || n > 0 {
		return err
	}
	r := t.s.rowsOf(tLeader, 1)
	r.add(row, l.Epoch, l.Beat, l.Process, l.Host, l.PID, l.Version, l.Address, l.Domain, l.Component, l.Marker, bit(l.Standby), 0, l.Settings)
	return t.insert(ctx, r)
}

// takeState begins an epoch by a form of stateTake, and reads what stands there then.
func (t *tx) takeState(ctx context.Context, take string, args ...any) (State, error) {
	var st State
	n, err := t.do(ctx, take, args...)
	if err != nil {
		return st, err
	}
	if n == 0 && take == stateTake {
		return st, fmt.Errorf("%w: tlim_state has no row", ErrUnavailable)
	}
	if n == 0 {
		return st, ErrMoved
	}
	return st, t.query(ctx, statement{stateGet, 0}, func() string { return stateGet }, nil, scanState(&st))
}

// Release says that this process, whose epoch that was, leads no more, so that nobody has to wait before it takes over.
func (s *Store) Release(ctx context.Context, epoch int64) error {
	if err := s.fenced(ctx, epoch, func(ctx context.Context, t *tx) error {
		_, err := t.do(ctx, leaderRelease, epoch)
		return err
	}); err != nil {
		return fmt.Errorf("release the database: %w", err)
	}
	return nil
}

// Stand tells that this process stands by, and that it lives; Sit that it ends.
func (s *Store) Stand(ctx context.Context, me Leader) error {
	if me.Epoch = 0; me.Reaches {
		me.Epoch = serverReached
	}
	return s.unfenced(ctx, func(ctx context.Context, t *tx) error {
		n, err := t.do(ctx, standbyBeat, me.Epoch, me.Process)
		if err != nil || n > 0 {
			return err
		}
		return t.putLeader(ctx, standbyRow, me)
	})
}

// Sit takes back what Stand told.
func (s *Store) Sit(ctx context.Context, me Leader) error {
	return s.unfenced(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.do(ctx, standbyRelease, me.Process)
		return err
	})
}

// Heart tells that the leader lives, on a connection of its own: no long transaction and no crowd of reads holds it up.
type Heart struct {
	s    *Store
	conn *sql.Conn
}

// NewHeart makes a Heart, whose connection is one more than Config.MaxOpen. Close it before the store.
func (s *Store) NewHeart() *Heart {
	s.pools.reader.SetMaxOpenConns(s.cfg.MaxOpen + 1)
	return &Heart{s: s}
}

// Beat tells it once. ErrFenced: another process has taken over.
func (h *Heart) Beat(ctx context.Context, epoch int64) error {
	if h.conn == nil {
		conn, err := h.s.pools.reader.Conn(ctx)
		if err != nil {
			return fmt.Errorf("heartbeat: %w", h.s.fail(err))
		}
		h.conn = conn
	}
	c := h.s.command(leaderBeat)
	result, err := h.conn.ExecContext(ctx, c.text, c.arrange([]any{epoch})...)
	if err != nil {
		return errors.Join(fmt.Errorf("heartbeat: %w", h.s.fail(err)), h.Close())
	}
	n, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("heartbeat: %w", h.s.fail(err))
	}
	if n == 0 {
		return h.deposed(ctx, epoch)
	}
	return nil
}

// deposed tells a higher epoch from a row that is not there, or that a node of a cluster has not heard of yet.
func (h *Heart) deposed(ctx context.Context, epoch int64) error {
	state, err := h.s.State(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("heartbeat: %w", err)
	case state.Epoch > epoch:
		return fmt.Errorf("heartbeat: %w: its epoch is %d, ours was %d", ErrFenced, state.Epoch, epoch)
	}
	return fmt.Errorf("heartbeat: %w: there is no row of tlim_leader with our epoch %d", ErrUnavailable, epoch)
}

// Close gives the connection back.
func (h *Heart) Close() error {
	if h.conn == nil {
		return nil
	}
	err := h.conn.Close()
	h.conn = nil
	if errors.Is(err, sql.ErrConnDone) {
		return nil
	}
	return err
}
