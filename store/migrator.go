package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ErrEngine says that the database's engine has no such thing; the text says why.
var ErrEngine = errors.New("not with this engine")

// ddl is what a [Migrator] needs of an engine.
type ddl struct {
	// open connects without time-outs. Where a database is a file, nobody else has it open meanwhile.
	open func(cfg Config) (*sql.DB, error)

	// hold takes a connection, and keeps other Migrators away until it has ended and release has run, which is nil where the end is all. For
	// others it waits holdTime; then its error is ErrHeld with who is there.
	hold func(ctx context.Context, cfg Config, db *sql.DB) (conn *sql.Conn, release func() error, err error)

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

	// convert is the statement by which a table gets columns that hold everything, unreadable says what of its rows is not what it seems, and
	// converted what the columns have then. All are empty where columns have no character sets.
	convert    func(table string) string
	converted  string
	unreadable func(ctx context.Context, db querier, table string, have *tableInfo) ([]string, error)

	// undroppable says why the user of the address may drop no table; nothing where they may, or nobody can tell. It may be nil.
	undroppable func(ctx context.Context, db querier) ([]Advice, error)

	// dropIndex is the statement.
	dropIndex func(index, table string) string
}

// Progress is how far a [Migrator] is.
type Progress struct {
	Step, Steps int           // from 1
	What        string        // such as index tlim_message_id of ofmessage
	Locks       bool          // nobody can write the table meanwhile
	Unmeasured  bool          // nobody can tell how far the step is: it is done at once, but by servers that copy the table for it
	Done        bool          // of this step
	Took        time.Duration // this step, so far
	Rows, Total int64         // of all steps: a table counts once for each index
	Rate        float64       // rows a second; 0: not known yet
	Left        time.Duration // for all steps; 0: not known yet
}

// Migrator changes the tables of a database on an administrator's word. One at a time works on a database. Each step is whole or not
// there, and looks before it acts: the next Migrator goes on where one was killed.
type Migrator struct {
	s       *Store
	conn    *sql.Conn
	release func() error
	telling sync.Mutex
	listen  func(Progress)
	id      int64 // of conn, where the engine numbers them
}

// tell says how far it is; one at a time is heard.
func (m *Migrator) tell(p Progress) {
	m.telling.Lock()
	defer m.telling.Unlock()
	m.listen(p)
}

// RefusedError is a change that was not begun, because of what is in the way. It has the remedies.
type RefusedError struct{ InTheWay []Advice }

// Error is one line.
func (r *RefusedError) Error() string {
	var said []string
	for _, a := range r.InTheWay {
		said = append(said, a.Seen+". Remedy: "+a.Remedy)
	}
	return "nothing was changed: " + strings.Join(said, "; ")
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
	db, err := d.ddl.open(cfg)
	if err != nil {
		return nil, fmt.Errorf("store.dsn: %w", err)
	}
	m := &Migrator{s: unstarted(cfg, d, &pools{writer: db, reader: db, admin: db}), listen: tell}
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
	if m.conn, m.release, err = m.s.dialect.ddl.hold(first, m.s.cfg, m.s.pools.admin); err != nil {
		return err
	}
	if m.s.dialect.ddl.connection != nil {
		m.id, err = m.s.dialect.ddl.connection(first, m.conn)
	}
	return err
}

// Close ends the connections, and lets others in.
func (m *Migrator) Close() error {
	var err error
	if m.conn != nil {
		err = m.conn.Close()
	}
	if errors.Is(err, sql.ErrConnDone) { // a wait that was interrupted has ended it
		err = nil
	}
	if m.release != nil {
		err = errors.Join(err, m.release())
	}
	return errors.Join(err, m.s.Close())
}

// Up adds what is missing: tables and columns as a start does, and then every index, also those that a start only names. Its Report has
// what was added; with an error it has what was added before.
func (m *Migrator) Up(ctx context.Context) (Report, error) {
	if err := m.possible(ctx, adding); err != nil {
		return Report{}, err
	}
	s := m.s
	var adding atomic.Pointer[columnAdded]
	start := &migration{s: s, conn: m.conn, auto: true, slow: func(what string) {
		adding.Store(&columnAdded{what, time.Now()})
		m.tell(adding.Load().progress())
	}}
	if err := m.interruptibly(ctx, func() {
		if column := adding.Load(); column != nil {
			m.tell(column.progress())
		}
	}, start.run); err != nil {
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

// columnAdded is a column that is being added.
type columnAdded struct {
	what  string
	begun time.Time
}

func (c *columnAdded) progress() Progress {
	return Progress{Step: 1, Steps: 1, What: c.what, Took: time.Since(c.begun), Unmeasured: true}
}

// possible refuses what cannot be done before anything is.
func (m *Migrator) possible(ctx context.Context, c change) error {
	have, err := m.s.dialect.catalogue(ctx, m.conn)
	if err != nil {
		return m.explained(err)
	}
	advice, err := m.s.hindrances(ctx, m.conn, have, c)
	if err != nil {
		return m.explained(err)
	}
	if len(advice) > 0 {
		return &RefusedError{advice}
	}
	return nil
}

// hindrances are what keeps a change from being made: rights of the user of the address, and what stands in the database.
func (s *Store) hindrances(ctx context.Context, db querier, have catalogue, c change) (advice []Advice, err error) {
	if look := s.dialect.looks.rights; look != nil {
		if advice, err = look(ctx, db, have); err != nil {
			return nil, err
		}
	}
	if look := s.dialect.ddl.undroppable; look != nil && c == returning {
		more, err := look(ctx, db)
		if err != nil {
			return nil, err
		}
		advice = append(advice, more...)
	}
	more, err := s.bound(ctx, db, have, c)
	if err != nil || c == returning { // what is no table of ours has nothing to be given back
		return append(advice, more...), err
	}
	unfit, err := s.unfit(ctx, db, have)
	if err != nil {
		return nil, err
	}
	parts, err := schema(s.dialect.name)
	if c == adding {
		more = append(more, s.taken(parts, have)...)
	}
	for _, a := range append(unfit, more...) {
		if a.Severe {
			advice = append(advice, a)
		}
	}
	return advice, err
}

// explained adds to an error what the engine's own words leave open. It stays what it is: the database that refuses a statement is there.
func (m *Migrator) explained(err error) error {
	if err != nil && m.s.dialect.explain != nil {
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
	sizes, _, err := m.s.sizes(ctx, m.conn, have)
	w := &work{steps: steps, begun: time.Now(), size: sizes}
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
	p, ddl := w.steps[i], m.s.dialect.ddl
	what := fmt.Sprintf("index %s of %s", p.name, p.table)
	begun := time.Now()
	statement, locks := p.sql, true
	if m.s.online(w.size[p.table]) {
		statement, locks = ddl.online(p.sql), false
	}
	err := m.watched(ctx, w, i, what, locks, statement)
	if err != nil && !locks && ddl.refusedOnline(err) {
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
	furthest := 0.0
	return m.interruptibly(ctx, func() {
		if ask := m.s.dialect.ddl.progress; ask != nil {
			furthest = max(furthest, ask(ctx, m.s.pools.reader, m.id)) // at its end a server says 0 again
		}
		tell(furthest)
	}, func(ctx context.Context) error {
		_, err := m.conn.ExecContext(ctx, statement)
		return err
	})
}

// interruptibly does what a server would go on with after its client has left: it has the server end it when ctx ends. Meanwhile it calls
// tick each progressTime.
func (m *Migrator) interruptibly(ctx context.Context, tick func(), do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	interrupt, under, cancelled := m.s.dialect.ddl.interrupt, ctx, ctx.Done()
	if interrupt != nil {
		under = context.WithoutCancel(ctx)
	}
	ended := make(chan error, 1)
	go func() { ended <- do(under) }()
	ticks := time.NewTicker(progressTime)
	defer ticks.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil && ctx.Err() != nil {
				return ctx.Err() // what the server says of it is not the cause
			}
			return err
		case <-cancelled:
			cancelled = nil // once
			ticks.Reset(holdPause)
		case <-ticks.C:
			if ctx.Err() == nil {
				tick()
				continue
			}
			if interrupt == nil {
				continue
			}
			// Again and again: what it does may be many statements.
			if err := interrupt(under, m.s.pools.reader, m.id); err != nil {
				return errors.Join(ctx.Err(), fmt.Errorf("the server may go on with it: %w", err))
			}
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
