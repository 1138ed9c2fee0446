package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// ErrEngine says that the database's engine has no such thing; the text says why.
var ErrEngine = errors.New("not with this engine")

// moves are what a [Migrator] needs of an engine. open is nil where there is no Migrator for it.
type moves struct {
	// open connects without time-outs. Where a database is a file, nobody else has it open meanwhile.
	open func(cfg Config) (*sql.DB, error)

	// hold takes a connection, and keeps other Migrators away until it ends. For others it waits holdTime; then its error is ErrHeld with who is there.
	hold func(ctx context.Context, cfg Config, db *sql.DB) (*sql.Conn, error)

	// users are the other processes of tlim that have the database open. nil: hold has seen to it that there is none.
	users func(ctx context.Context, db querier) ([]string, error)

	// sizes are those of the tables, by lower-case name. nil: rows are counted.
	sizes func(ctx context.Context, db querier) (map[string]size, error)

	// online is the form of a CREATE INDEX that fails where others could not write meanwhile; onlineFor says of which tables that is
	// known before, and refusedOnline that an error means it. online is nil where everybody waits.
	online        func(statement string) string
	onlineFor     func(size) bool
	refusedOnline func(error) bool

	// connection numbers a connection, and progress says how much of its statement is done; 0: nobody knows.
	connection func(ctx context.Context, conn *sql.Conn) (int64, error)
	progress   func(ctx context.Context, db querier, connection int64) float64

	// interrupt ends the statement of a connection, which the server would go on with after its client has left. It may be nil where a
	// cancelled context does that.
	interrupt func(ctx context.Context, db querier, connection int64) error

	// convert is the statement by which a table gets columns that hold everything, and unreadable says what of its rows is not what it
	// seems. Both are nil where columns have no character sets.
	convert    func(table string) string
	unreadable func(ctx context.Context, db querier, table string, have *tableInfo) ([]string, error)

	// undroppable says why the user of the address may drop no table; "" where they may, or nobody can tell. It may be nil.
	undroppable func(ctx context.Context, db querier) (string, error)

	// dropIndex is the statement.
	dropIndex func(index, table string) string
}

// Progress is how far a [Migrator] is.
type Progress struct {
	Step, Steps int           // from 1
	What        string        // such as index tlim_message_id of ofmessage
	Locks       bool          // nobody can write the table meanwhile
	Instant     bool          // done at once, but by servers that copy the table for it
	Done        bool          // of this step
	Took        time.Duration // this step, so far
	Rows, Total int64         // of all steps: a table counts once for each index
	Rate        float64       // rows a second; 0: not known yet
	Left        time.Duration // for all steps; 0: not known yet
}

// Migrator changes the tables of a database on an administrator's word. One at a time works on a database. Each step is whole or not
// there, and looks before it acts: the next Migrator goes on where one was killed.
type Migrator struct {
	s    *Store
	conn *sql.Conn
	tell func(Progress)
	id   int64 // of conn, where the engine numbers them
}

// NewMigrator connects and keeps others away; they get ErrHeld. Nothing is changed yet. Its error is one line and holds no secret. Close
// the Migrator after use.
func NewMigrator(ctx context.Context, cfg Config, tell func(Progress)) (*Migrator, error) {
	cfg = cfg.withDefaults()
	cfg.Migrate = MigrateAuto
	d, err := dialectOf(cfg.Driver)
	if err != nil {
		return nil, err
	}
	if d.moves.open == nil {
		return nil, fmt.Errorf("%w: this release changes no tables of %s by a command; tlim migrate status has the statements", ErrEngine, d.name)
	}
	db, err := d.moves.open(cfg)
	if err != nil {
		return nil, fmt.Errorf("store.dsn: %w", err)
	}
	m := &Migrator{s: unstarted(cfg, d, &pools{writer: db, reader: db, admin: db}), tell: tell}
	if err := m.connect(ctx); err != nil {
		err = m.s.fail(err)
		if d.explain != nil && !errors.Is(err, ErrHeld) {
			err = d.explain(cfg, err)
		}
		return nil, errors.Join(fmt.Errorf("open the %s database: %w", d.name, err), m.Close())
	}
	return m, nil
}

func (m *Migrator) connect(ctx context.Context) (err error) {
	if file := m.s.File(); file != "" {
		if err := regular(file); err != nil {
			return err
		}
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no such file: %w", fs.ErrNotExist)
		}
	}
	first, cancel := context.WithTimeout(ctx, m.s.cfg.MaxWait)
	defer cancel()
	if m.conn, err = m.s.dialect.moves.hold(first, m.s.cfg, m.s.pools.admin); err != nil {
		return err
	}
	if m.s.dialect.moves.connection != nil {
		m.id, err = m.s.dialect.moves.connection(first, m.conn)
	}
	return err
}

// Close ends the connections, and lets others in.
func (m *Migrator) Close() error {
	var err error
	if m.conn != nil {
		err = m.conn.Close()
	}
	return errors.Join(err, m.s.Close())
}

// Up adds what is missing: tables and columns as a start does, and then every index, also those that a start only names. Its Report has
// what was added; with an error it has what was added before.
func (m *Migrator) Up(ctx context.Context) (Report, error) {
	if err := m.writable(ctx); err != nil {
		return Report{}, err
	}
	s := m.s
	start := &migration{s: s, conn: m.conn, auto: true, slow: func(what string) { m.tell(Progress{Step: 1, Steps: 1, What: what, Instant: true}) }}
	if err := start.run(ctx); err != nil {
		return s.report, m.explained(err)
	}
	have, err := s.dialect.catalogue(ctx, m.conn)
	if err != nil {
		return s.report, m.explained(err)
	}
	parts, err := schema(s.dialect.name)
	if err != nil {
		return s.report, err
	}
	work, err := m.indexWork(ctx, missing(parts, have), have)
	if err != nil {
		return s.report, m.explained(err)
	}
	s.report.Missing = nil
	for i, w := range work.steps {
		if err := m.build(ctx, work, i); err != nil {
			for _, left := range work.steps[i:] {
				s.report.Missing = append(s.report.Missing, left.sql)
			}
			return s.report, fmt.Errorf("index %s of %s: %w", w.name, w.table, m.explained(err))
		}
		s.report.Added = append(s.report.Added, w.name)
	}
	return s.report, nil
}

// writable refuses what cannot be done before anything is.
func (m *Migrator) writable(ctx context.Context) error {
	look := m.s.dialect.looks.rights
	if look == nil {
		return nil
	}
	have, err := m.s.dialect.catalogue(ctx, m.conn)
	if err != nil {
		return m.explained(err)
	}
	advice, err := look(ctx, m.conn, have)
	if err != nil {
		return m.explained(err)
	}
	for _, a := range advice {
		return fmt.Errorf("nothing was changed: %s. Remedy: %s", a.Seen, a.Remedy)
	}
	return nil
}

func (m *Migrator) explained(err error) error {
	if err = m.s.fail(err); err != nil && m.s.dialect.explain != nil {
		err = m.s.dialect.explain(m.s.cfg, err)
	}
	return err
}

// work is what is to be done, and how far it is.
type work struct {
	steps []part
	size  map[string]size
	begun time.Time
	rows  int64 // of the steps that are done
	total int64
}

func (m *Migrator) indexWork(ctx context.Context, steps []part, have catalogue) (*work, error) {
	w := &work{steps: steps, begun: time.Now()}
	var err error
	if m.s.dialect.moves.sizes != nil {
		w.size, err = m.s.dialect.moves.sizes(ctx, m.conn)
	} else {
		w.size, err = countRows(ctx, m.conn, have)
	}
	for _, p := range steps {
		w.total += w.size[p.table].rows
	}
	return w, err
}

// progress is that of step i, of which a part is done.
func (w *work) progress(i int, what string, part float64, step time.Time) Progress {
	p := Progress{Step: i + 1, Steps: len(w.steps), What: what, Took: time.Since(step), Rows: w.rows, Total: w.total}
	p.Rows += int64(part * float64(w.size[w.steps[i].table].rows))
	if took := time.Since(w.begun).Seconds(); p.Rows > 0 && took > 0 {
		p.Rate = float64(p.Rows) / took
	}
	if p.Rows >= p.Total/minShare && p.Rate > 0 {
		p.Left = time.Duration(float64(p.Total-p.Rows) / p.Rate * float64(time.Second))
	}
	return p
}

// minShare: of less than this part of the rows nobody can tell how long all of them take.
const minShare = 50

// build makes one index, without locking writers out where the engine can.
func (m *Migrator) build(ctx context.Context, w *work, i int) error {
	p, moves := w.steps[i], m.s.dialect.moves
	what := fmt.Sprintf("index %s of %s", p.name, p.table)
	begun := time.Now()
	statement, locks := p.sql, true
	if m.s.online(w.size[p.table]) {
		statement, locks = moves.online(p.sql), false
	}
	err := m.watched(ctx, w, i, what, locks, statement)
	if err != nil && !locks && moves.refusedOnline(err) {
		locks = true
		err = m.watched(ctx, w, i, what, locks, p.sql)
	}
	if err != nil {
		return err
	}
	w.rows += w.size[p.table].rows
	done := w.progress(i, what, 0, begun)
	done.Done, done.Locks = true, locks
	m.tell(done)
	return nil
}

// progressTime is how often people hear of a step that goes on.
const progressTime = time.Second

// watched runs a statement that takes its time, and tells how far it is.
func (m *Migrator) watched(ctx context.Context, w *work, i int, what string, locks bool, statement string) error {
	begun := time.Now()
	tell := func(part float64) {
		p := w.progress(i, what, part, begun)
		p.Locks = locks
		m.tell(p)
	}
	tell(0)
	ended := make(chan error, 1)
	interrupt, under, cancelled := m.s.dialect.moves.interrupt, ctx, ctx.Done()
	if interrupt != nil {
		under = context.WithoutCancel(ctx)
	}
	go func() {
		_, err := m.conn.ExecContext(under, statement)
		ended <- err
	}()
	tick := time.NewTicker(progressTime)
	defer tick.Stop()
	furthest := 0.0
	for {
		select {
		case err := <-ended:
			if err != nil && ctx.Err() != nil {
				return ctx.Err() // what the server says of it is not the cause
			}
			return err
		case <-cancelled:
			cancelled = nil // once
			if interrupt != nil {
				if err := interrupt(under, m.s.pools.reader, m.id); err != nil {
					return errors.Join(ctx.Err(), fmt.Errorf("the server may go on with it: %w", err))
				}
			}
		case <-tick.C:
			if ask := m.s.dialect.moves.progress; ask != nil {
				furthest = max(furthest, ask(ctx, m.s.pools.reader, m.id)) // at its end a server says 0 again
			}
			tell(furthest)
		}
	}
}

// holdTime is how long others are waited for: a look such as tlim doctor's, and a server that takes a moment to see that one has left.
const holdTime = 2 * time.Second

// heldBy is ErrHeld with who is there; "" is not known.
func heldBy(who string) error {
	if who = strings.TrimSpace(who); who == "" {
		who = "it does not say who it is"
	}
	return fmt.Errorf("%w: %s", ErrHeld, who)
}
