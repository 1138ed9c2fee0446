package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Config says where the database is. Zero values mean the defaults of CONFIG.md.
type Config struct {
	Driver string // one of [Engines]; sqlite is the default
	// DSN is a file name for SQLite, and for servers an address in one of the forms that CONFIG.md has.
	// Character set, isolation, strictness, time-outs and durability are set here, whatever the DSN says of them.
	DSN string

	MaxOpen, MaxIdle int           // reading connections; 32 and 8. One more writes
	MaxLifetime      time.Duration // of a connection to a server; 10 minutes
	MaxWait          time.Duration // the longest wait for a lock, a connection or an answer; 10 seconds

	// Standby says that another process may take over: a session of ours that is silent within a transaction, because we were paused, is ended
	// by the server after seconds, where it can do that.
	Standby bool

	Migrate MigrateMode // MigrateAuto is the default
	Log     *slog.Logger
	Now     func() time.Time // time.Now; dates what adoption writes

	readOnly bool   // nothing is to be changed: see Examine
	prefix   string // of the tables' names: see OpenScratch
}

// MigrateMode says what becomes of tables, columns and indexes that are missing. The values are those of the configuration (CONFIG.md).
type MigrateMode string

const (
	MigrateAuto  MigrateMode = "auto"  // they are made; indexes of large tables that others keep are only named, see Report
	MigrateCheck MigrateMode = "check" // nothing is made: Open fails for tables and columns, and names indexes
	MigrateOff   MigrateMode = "off"   // nothing is made, and nobody looks
)

// Store is an open database. Its methods return the errors of this package; see [Store.Apply] for what a write
// guarantees.
type Store struct {
	cfg     Config
	log     *slog.Logger
	dialect *dialect
	pools   *pools
	shapes  map[string]*shape // by table name; fixed after Open
	report  Report

	readers  sync.Map // statement -> *prepared, on the reading pool
	totals   totals
	charsets charsets
	shared   *sharedReads
	collided sync.Map // tables of which insertFree has left out rows

	// turn is the right to write: one transaction at a time. Everything below belongs to its holder.
	turn    chan struct{}
	writers map[statement]*prepared // on the writing pool
	wanted  map[statement]*command  // seen within a transaction, to be prepared after it
	known   State                   // epoch and number of the last batch that certainly happened; zero: not known
}

// Open connects, and creates or checks the tables as cfg.Migrate says. Its error is one line that names what is wrong:
// the address, the rights, or each missing table and column (ErrSchema).
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	d, err := dialectOf(cfg.Driver)
	if err != nil {
		return nil, err
	}
	p, err := d.open(cfg)
	if err != nil {
		return nil, fmt.Errorf("store.dsn: %w", err)
	}
	d = d.under(cfg.prefix)
	s := &Store{
		cfg: cfg, log: cfg.Log, dialect: d, pools: p,
		shapes:  map[string]*shape{},
		turn:    make(chan struct{}, 1),
		writers: map[statement]*prepared{},
		wanted:  map[statement]*command{},
		shared:  newSharedReads(p.reader.Stats().MaxOpenConnections),
	}
	for _, t := range allTables() {
		s.shapes[t.name] = d.shapeOf(t)
	}
	began := time.Now()
	if err := s.start(ctx); err != nil {
		err = s.late(err, began)
		if d.explain != nil {
			err = d.explain(cfg, err)
		}
		return nil, errors.Join(fmt.Errorf("open the %s database: %w", d.name, err), s.Close())
	}
	return s, nil
}

// CheckDSN says what is wrong with the form of an address; nothing is connected or made. The text stands behind the name of
// the key, and holds nothing of the address.
func CheckDSN(driver, dsn string) error {
	if err := checkForm(driver, dsn); err != nil {
		return err
	}
	d, err := dialectOf(driver)
	if err != nil {
		return err
	}
	p, err := d.open(Config{DSN: dsn}.withDefaults())
	if err != nil {
		return err
	}
	return p.close()
}

// InFolder is an address as it is to be taken where relative names of files are those in folder. What is no address of a file, or wrong,
// stays as it is.
func InFolder(driver, dsn, folder string) string {
	d, err := dialectOf(driver)
	if err != nil || d.inFolder == nil || CheckDSN(driver, dsn) != nil { // a folder would make a name of it, and names are shown
		return dsn
	}
	return d.inFolder(dsn, folder)
}

func (c Config) withDefaults() Config {
	orInt := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	orTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	if c.Driver == "" {
		c.Driver = defaultEngine
	}
	if c.Migrate == "" {
		c.Migrate = MigrateAuto
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	orInt(&c.MaxOpen, 32)
	orInt(&c.MaxIdle, 8)
	orTime(&c.MaxLifetime, 10*time.Minute)
	orTime(&c.MaxWait, 10*time.Second)
	return c
}

// start connects and prepares the tables.
func (s *Store) start(ctx context.Context) error {
	if s.dialect.prepare != nil {
		warnings, err := s.dialect.prepare(s.cfg)
		if err != nil {
			return err
		}
		s.report.Warnings = warnings
	}
	// Connecting is bounded; changing a large table is not.
	first, cancel := context.WithTimeout(ctx, s.cfg.MaxWait)
	defer cancel()
	connect := s.dialect.connect
	if connect == nil {
		connect = func(ctx context.Context, writer *sql.DB) error { return writer.PingContext(ctx) }
	}
	if err := connect(first, s.pools.writer); err != nil {
		return s.fail(err)
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if s.pools.admin != s.pools.writer {
		err := s.pools.admin.Close()
		s.pools.admin = nil
		return err
	}
	return nil
}

// Close ends all connections. It waits for the write that is under way; calls after it fail.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return s.pools.close()
}

// Ping says whether the database answers a read within MaxWait.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.State(ctx)
	return err
}

// File is the file that the database lies in; "" when it is a server.
func (s *Store) File() string {
	if s.dialect.file == nil {
		return ""
	}
	return s.dialect.file(s.cfg)
}

// Node is the node of a cluster to which all connections go; "" where the address names one server.
func (s *Store) Node() string {
	if s.pools.node == nil {
		return ""
	}
	return s.pools.node()
}

// Moves is how often the work has gone to another node of a cluster.
func (s *Store) Moves() int {
	if s.pools.moved == nil {
		return 0
	}
	return s.pools.moved()
}

// Report is what Open found and did to the tables.
func (s *Store) Report() Report { return s.report }
