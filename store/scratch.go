package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Scratch is a set of tables of its own beside those of a site, in the same database: same names behind a prefix. Nothing else is read
// or written. Close removes them; what a process that was killed has left, the next one with that prefix removes.
type Scratch struct {
	cfg     Config
	dialect *dialect // of the tables with the prefix
	all     *dialect // of all tables
	pools   *pools
	version string
	removed []string // tables that an earlier process left
	file    string   // made for the tables; "" where the database was there

	owner   int64 // this process in the marker
	endBeat context.CancelFunc
	lost    context.Context // ends when the tables are another's
	beating sync.WaitGroup

	mu     sync.Mutex
	stores []*Store
}

// The marker is the table that is made first and removed last: with it all tables behind the prefix are those of a Scratch. Its row moves
// while its process lives.
const (
	markerName   = "tlim_scratch"
	markerMake   = `CREATE TABLE tlim_scratch (id numeric(18) NOT NULL PRIMARY KEY, beat numeric(18) NOT NULL)`
	markerInsert = `INSERT INTO tlim_scratch (id, beat) VALUES (?, 0)`
	markerBeat   = `UPDATE tlim_scratch SET beat = beat + 1 WHERE id = ?`
	markerGet    = `SELECT id, beat FROM tlim_scratch`
)

const (
	scratchBeat  = time.Second
	scratchWatch = 4 * scratchBeat  // how long a marker that does not move is that of a process which is gone
	scratchEnd   = 90 * time.Second // for removing the tables
)

// ScratchPrefix is the usual prefix. The longest name behind it has 30 characters, as many as Oracle 11g takes.
const ScratchPrefix = "tlimtst_"

var scratchPrefix = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,10}_$`)

// CheckScratchPrefix says what is wrong with a prefix.
func CheckScratchPrefix(prefix string) error {
	if !scratchPrefix.MatchString(prefix) {
		return errors.New("a prefix is a letter, at most 10 more letters and digits, and \"_\" at its end, as " + ScratchPrefix)
	}
	return nil
}

// ErrScratch says that the names behind a prefix are not free.
var ErrScratch = errors.New("the prefix is taken")

// OpenScratch connects, removes what a killed process left behind the prefix, and marks it as its own. It refuses a prefix behind which other
// tables are, and one of a process that runs (ErrScratch). cfg.Migrate does not count. Close it also when ctx has ended.
func OpenScratch(ctx context.Context, cfg Config, prefix string) (*Scratch, error) {
	if err := CheckScratchPrefix(prefix); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	cfg.Migrate, cfg.prefix = MigrateAuto, prefix
	cfg.MaxOpen, cfg.MaxIdle = maxExamineConns, maxExamineConns // a process may serve beside it
	d, err := dialectOf(cfg.Driver)
	if err != nil {
		return nil, err
	}
	x := &Scratch{cfg: cfg, all: d, dialect: d.under(prefix), owner: 1 + rand.Int64N(1e17)}
	if err := x.ownFile(ctx); err != nil {
		return nil, err
	}
	if d.prepare != nil {
		if _, err := d.prepare(x.cfg); err != nil {
			return nil, x.explain(err)
		}
	}
	if x.pools, err = d.open(x.cfg); err != nil {
		return nil, fmt.Errorf("store.dsn: %w", err)
	}
	if err = x.connect(ctx); err != nil {
		err = x.explain(err)
	} else {
		err = x.begin(ctx)
	}
	if err != nil {
		err = errors.Join(err, x.pools.close())
		if !errors.Is(err, ErrScratch) {
			err = errors.Join(err, x.removeFile())
		}
		return nil, err
	}
	var beat context.Context
	beat, x.endBeat = context.WithCancel(context.WithoutCancel(ctx))
	var lose context.CancelCauseFunc
	x.lost, lose = context.WithCancelCause(context.WithoutCancel(ctx))
	x.beating.Go(func() { x.beat(beat, lose) })
	return x, nil
}

// ownFile sees to it that no database is made under the name that the site's is to have: where it is not there, the tables go into a
// file of their own beside it, which is removed with them.
func (s *Scratch) ownFile(ctx context.Context) error {
	path := s.cfg.DSN
	if s.all.file != nil {
		path = s.all.file(s.cfg)
	}
	if s.all.file == nil || path == "" { // what is wrong with it, opening says
		return nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	own := filepath.Join(filepath.Dir(path), s.cfg.prefix+filepath.Base(path))
	if !there(path) {
		s.cfg.DSN, s.file = own, own
		return nil
	}
	if !there(own) {
		return nil
	}
	cfg := s.cfg // a killed process has left it, before there was a database
	cfg.DSN = own
	old, err := OpenScratch(ctx, cfg, cfg.prefix)
	if err != nil {
		return err
	}
	old.file = own
	s.removed = append(old.removed, own)
	return old.Close()
}

func there(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// explain names the database in an error of the beginning.
func (s *Scratch) explain(err error) error {
	if s.all.explain != nil {
		err = s.all.explain(s.cfg, err)
	}
	return fmt.Errorf("open the %s database: %w", s.all.name, err)
}

// connect makes the first connection, and asks for the version.
func (s *Scratch) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.MaxWait)
	defer cancel()
	connect := s.all.connect
	if connect == nil {
		connect = func(ctx context.Context, writer *sql.DB) error { return writer.PingContext(ctx) }
	}
	if err := connect(ctx, s.pools.writer); err != nil {
		return err
	}
	var version text
	if err := s.pools.reader.QueryRowContext(ctx, s.all.version).Scan(&version); err != nil {
		return fmt.Errorf("its version: %w", err)
	}
	s.version = string(version)
	return nil
}

// scratchRights is what the user of the address needs beyond what a process that serves does.
const scratchRights = "the user of store.dsn needs CREATE, INDEX and DROP for the self-test"

// begin looks at what is behind the prefix (1), proves that a table can be removed before many are made (2), and makes the marker (3).
func (s *Scratch) begin(ctx context.Context) error {
	if err := s.inherit(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// A server may finish a statement whose client has gone: tables are made and removed to the end, whatever ctx says.
	ctx = context.WithoutCancel(ctx)
	if _, err := s.pools.admin.ExecContext(ctx, s.dialect.named(markerMake)); err != nil {
		return fmt.Errorf("make %s: %w; %s", s.dialect.named(markerName), err, scratchRights)
	}
	if err := s.drop(ctx, markerName); err != nil {
		return fmt.Errorf("%w; the table is empty and stays, until a run with that right removes it; %s", err, scratchRights)
	}
	if _, err := s.pools.admin.ExecContext(ctx, s.dialect.named(markerMake)); err != nil {
		return fmt.Errorf("make %s: %w", s.dialect.named(markerName), err)
	}
	if _, err := s.pools.admin.ExecContext(ctx, s.dialect.text(markerInsert), s.owner); err != nil {
		return errors.Join(fmt.Errorf("mark the prefix: %w", err), s.drop(ctx, markerName))
	}
	return nil
}

// inherit removes what a process left that is gone.
func (s *Scratch) inherit(ctx context.Context) error {
	have, err := s.dialect.catalogue(ctx, s.pools.reader)
	if err != nil || len(have) == 0 {
		return err
	}
	strange := s.strange(have)
	if have[markerName] == nil { // whatever they are called, nobody has marked them
		strange = have.spelled()
	}
	if len(strange) > 0 {
		return fmt.Errorf("%w: behind %s are tables that are not the self-test's (%s); choose another prefix", ErrScratch, s.cfg.prefix, some(strange))
	}
	before, err := s.marks(ctx)
	if err != nil {
		return err
	}
	for end := time.Now().Add(scratchWatch); len(before) > 0 && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(scratchBeat / 4):
		}
		now, err := s.marks(ctx)
		if err != nil {
			return err
		}
		if !slices.Equal(now, before) {
			return fmt.Errorf("%w: another self-test works behind %s; wait for its end, or choose another prefix", ErrScratch, s.cfg.prefix)
		}
	}
	s.removed = append(s.removed, have.spelled()...)
	return s.dropAll(context.WithoutCancel(ctx))
}

// strange are the tables behind the prefix that are none of ours.
func (s *Scratch) strange(have catalogue) (names []string) {
	others := catalogue{}
	for name, info := range have {
		if len(info.names) > 1 || name != markerName && !slices.ContainsFunc(allTables(), func(t table) bool { return t.name == name }) {
			others[name] = info
		}
	}
	return others.spelled()
}

// spelled are the names of tables as the database has them.
func (c catalogue) spelled() (names []string) {
	for _, info := range c {
		names = append(names, info.names...)
	}
	slices.Sort(names)
	return names
}

// marks reads the marker: the process and its beat.
func (s *Scratch) marks(ctx context.Context) (rows [][2]int64, err error) {
	err = each(ctx, s.pools.reader, s.dialect.text(markerGet), func(scan scanner) error {
		var id, beat number
		err := scan(&id, &beat)
		rows = append(rows, [2]int64{int64(id), int64(beat)})
		return err
	})
	return rows, err
}

// beat moves the marker, and says so when its row is gone.
func (s *Scratch) beat(ctx context.Context, lose context.CancelCauseFunc) {
	tick := time.NewTicker(scratchBeat)
	defer tick.Stop()
	statement := s.dialect.text(markerBeat)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		done, err := s.pools.writer.ExecContext(ctx, statement, s.owner)
		if err == nil {
			var n int64
			if n, err = done.RowsAffected(); err == nil && n == 0 {
				lose(fmt.Errorf("%w: another process has removed the tables behind %s", ErrScratch, s.cfg.prefix))
				return
			}
		}
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Debug("the marker was not moved", "err", err) // the next one may be: a lock, a lost connection
		}
	}
}

// Engine is the engine's name, as in the configuration.
func (s *Scratch) Engine() string { return s.all.name }

// Version is that of the server, or of the library of a file.
func (s *Scratch) Version() string { return s.version }

// Removed are the tables that a process which was killed had left.
func (s *Scratch) Removed() []string { return s.removed }

// File is the file that was made for the tables, because the database's is not there yet; "" where the tables are in the database.
func (s *Scratch) File() string { return s.file }

// Prefix is what all names of the tables begin with.
func (s *Scratch) Prefix() string { return s.cfg.prefix }

// Context ends with ctx, and when another process has taken the tables.
func (s *Scratch) Context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.lost, func() { cancel(context.Cause(s.lost)) })
	return ctx, func() { stop(); cancel(nil) }
}

// Open makes the tables where they are missing, and opens a store on them, which Close closes. maxWait above 0 takes the place of the
// configured one.
func (s *Scratch) Open(ctx context.Context, maxWait time.Duration) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cfg := s.cfg
	if maxWait > 0 {
		cfg.MaxWait = maxWait
	}
	opened, err := Open(context.WithoutCancel(ctx), cfg) // see begin
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stores = append(s.stores, opened)
	return opened, nil
}

// Empty removes all rows, but for the clock and the epoch.
func (s *Scratch) Empty(ctx context.Context) error {
	for _, t := range allTables() {
		if t.name == tState.name || t.name == tSchema.name {
			continue
		}
		if _, err := s.pools.admin.ExecContext(ctx, s.dialect.text(`DELETE FROM `+t.name)); err != nil {
			return fmt.Errorf("empty %s: %w", t.name, err)
		}
	}
	return nil
}

// Rival is a transaction of somebody else in the same tables. End it.
type Rival struct {
	scratch *Scratch
	tx      *sql.Tx
}

// Rival begins a transaction that may write.
func (s *Scratch) Rival(ctx context.Context) (*Rival, error) {
	tx, err := s.pools.admin.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &Rival{scratch: s, tx: tx}, nil
}

// Do runs a statement with plain names of tables.
func (r *Rival) Do(ctx context.Context, statement string) error {
	_, err := r.tx.ExecContext(ctx, r.scratch.dialect.text(statement))
	return err
}

// End rolls back.
func (r *Rival) End() error {
	if err := r.tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// Cutter ends the connection that a store writes by, as a network or a server does. why says why that cannot be done on this database.
func (s *Scratch) Cutter(ctx context.Context, of *Store) (cut func(context.Context) error, why string) {
	switch {
	case s.all.local:
		return nil, "a file has no connections"
	case s.all.kill == "":
		return nil, "on this engine it takes an administrator to end a session"
	}
	var id number
	if err := of.pools.writer.QueryRowContext(ctx, s.all.session).Scan(&id); err != nil {
		return nil, "the number of the session cannot be read: " + err.Error()
	}
	return func(ctx context.Context) error {
		_, err := s.pools.writer.ExecContext(ctx, fmt.Sprintf(s.all.kill, id))
		return err
	}, ""
}

// Close removes the tables, whatever has become of the context of their opening, and proves that none is left.
func (s *Scratch) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), scratchEnd)
	defer cancel()
	s.endBeat()
	s.beating.Wait()
	var errs []error
	for _, opened := range s.stores {
		errs = append(errs, opened.Close())
	}
	if context.Cause(s.lost) != nil { // they are another'opened
		return errors.Join(append(errs, s.pools.close())...)
	}
	failed := s.dropAll(ctx)
	errs = append(errs, failed, s.pools.close())
	if failed == nil {
		errs = append(errs, s.removeFile())
	}
	return errors.Join(errs...)
}

// dropAll removes the tables that are there, the marker last.
func (s *Scratch) dropAll(ctx context.Context) error {
	have, err := s.dialect.catalogue(ctx, s.pools.reader)
	if err != nil {
		return s.left(err)
	}
	var errs []error
	for _, t := range allTables() {
		if have[t.name] != nil {
			errs = append(errs, s.drop(ctx, t.name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return s.left(err)
	}
	if have[markerName] != nil {
		if err := s.drop(ctx, markerName); err != nil {
			return s.left(err)
		}
	}
	have, err = s.dialect.catalogue(ctx, s.pools.reader)
	if err == nil && len(have) > 0 {
		err = fmt.Errorf("%s are there still", some(have.spelled()))
	}
	if err != nil {
		return s.left(err)
	}
	return nil
}

func (s *Scratch) left(err error) error {
	return fmt.Errorf("tables behind %s may be left, the next run with this prefix removes them: %w", s.cfg.prefix, err)
}

func (s *Scratch) drop(ctx context.Context, name string) error {
	name = s.dialect.named(name)
	if _, err := s.pools.admin.ExecContext(ctx, "DROP TABLE "+name+s.all.purge); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// removeFile removes the file that was made for the tables.
func (s *Scratch) removeFile() error {
	if s.file == "" {
		return nil
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(s.file + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
