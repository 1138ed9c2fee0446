package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

func init() { register(&sqliteDialect) }

var sqliteDialect = dialect{
	name:     "sqlite",
	aliases:  []string{"sqlite3"},
	title:    "sqlite",
	form:     sqliteForm,
	mask:     maskSQLite,
	file:     sqliteFile,
	inFolder: inSQLiteFolder,

	quote: func(name string) string { return `"` + name + `"` },
	bind:  sqlx.QUESTION,
	// Not loose, unless a table says COLLATE: see exactly. The form costs the index where conditions are joined by OR (seen,
	// SQLite 3.54).
	exact: func(column string) string { return column + " COLLATE BINARY" },
	local: true,
	open:  openSQLite,
	page:  limitOffset,

	family:    familyRange,
	wildcards: "%_",

	connect:        connectSQLite,
	prepare:        prepareSQLite,
	explain:        explainSQLite,
	remedy:         remedySQLite,
	insert:         insertValues,
	classify:       classifySQLite,
	unmatched:      func(error) bool { return false },
	uncommitted:    uncommittedSQLite,
	catalogue:      catalogueSQLite,
	lock:           lockSQLite,
	integers:       []string{"int", "bigint", "mediumint", "smallint", "integer"},
	exactCollation: func(name string) bool { return name == "" },
	collation:      "BINARY",
	widenBody:      func(string) string { return "make the table anew with body text" },
	widenKey:       func(_, column string) string { return "make the table anew with " + column + " varchar(64)" },
	convert:        func(string) string { return "make the table anew without COLLATE" },
	advise:         adviseSQLite,
	looks:          looks{unfit: unfitSQLite},
	ddl:            sqliteDDL,
	version:        "SELECT sqlite_version()",
}

// What a SQLite file is opened with.
const (
	// A commit that was acknowledged survives a power cut: FULL. Batches make that as fast as NORMAL (measured, 3.8 times).
	sqliteSafety = "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"

	// The pages that batches touch again stay in memory (KiB). Not many more: a commit that has balanced a tree walks through
	// all of them (SQLite 3.54, pcache1Truncate), and 64 MiB cost a tenth of the rate at 100,000 to 400,000 messages. The
	// write-ahead log is copied back after 4,000 pages instead of 1,000: pages that many batches touch are copied once.
	sqliteWriter = "_pragma=cache_size(-16384)&_pragma=wal_autocheckpoint(4000)&_pragma=temp_store(MEMORY)"
	sqliteReader = "_pragma=cache_size(-8192)&_pragma=query_only(1)&_pragma=temp_store(MEMORY)"
)

// openSQLite takes a path, or a file: URI whose own parameters stay but for what durability needs.
func openSQLite(cfg Config) (*pools, error) {
	base, err := sqliteURI(cfg.DSN)
	if err != nil {
		return nil, err
	}
	if cfg.readOnly && !strings.Contains(base, "mode=") {
		base += "mode=ro&"
		if path, err := sqlitePath(base); err == nil && unopened(path) {
			base += "immutable=1&" // else SQLite makes -wal and -shm to read with, and leaves them
		}
	} else if cfg.Migrate != MigrateAuto && !strings.Contains(base, "mode=") {
		base += "mode=rw&" // who makes no tables makes no file either, where a name is misspelt
	}
	busy := fmt.Sprintf("_pragma=busy_timeout(%d)&", cfg.MaxWait.Milliseconds())
	p := &pools{}
	// Opening does not connect; the writer connects first (Open pings it), so the file is in WAL mode before a reader
	// looks.
	if p.writer, err = sql.Open("sqlite", base+busy+sqliteSafety+"&"+sqliteWriter+"&_txlock=immediate"); err != nil {
		return nil, err
	}
	if p.reader, err = sql.Open("sqlite", base+busy+sqliteReader); err != nil {
		return nil, errors.Join(err, p.close())
	}
	// One connection stays open for the life of the store: reopening would lose its cache.
	p.writer.SetMaxOpenConns(1)
	p.writer.SetMaxIdleConns(1)
	p.reader.SetMaxOpenConns(min(cfg.MaxOpen, maxSQLiteReaders))
	p.reader.SetMaxIdleConns(min(cfg.MaxIdle, maxSQLiteReaders))
	p.admin = p.writer
	return p, nil
}

// unopened says that nothing beside a database's file tells of a process that has it open, or had when it was killed. One that opens it
// later is not seen: who reads then may get an error, or what was there before.
func unopened(path string) bool {
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		info, err := os.Stat(path + suffix)
		if err == nil && (info.Size() > 0 || suffix == "-shm") || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// explainSQLite names the file, and why the system does not open it: SQLite says neither.
func explainSQLite(cfg Config, err error) error {
	path := cfg.DSN
	if rest, ok := strings.CutPrefix(path, "file:"); ok {
		path, _, _ = strings.Cut(strings.TrimPrefix(rest, "//"), "?")
	}
	err = fmt.Errorf("%s: %w", path, err)
	var e *sqlite.Error
	if !errors.As(err, &e) || e.Code()&0xff != sqlite3.SQLITE_CANTOPEN {
		return err
	}
	f, why := os.OpenFile(path, os.O_RDWR, 0) // it makes no file: whoever may make one has tried
	if why == nil {
		why = f.Close()
	}
	if why != nil {
		err = fmt.Errorf("%w: %w", err, why)
	}
	return err
}

func remedySQLite(cfg Config, err error) string {
	file := sqliteFile(cfg)
	var irregular *errIrregular
	if errors.As(err, &irregular) {
		return "give store.dsn the name of a file; the first start makes it"
	}
	if errors.Is(err, fs.ErrPermission) {
		return "let the user that tlim runs as read and write " + file + " and its folder"
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return ""
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_NOTADB:
		return "give store.dsn the right file, or a name that is free: this one is another program's, encrypted or overwritten; then restore a backup"
	case sqlite3.SQLITE_CORRUPT:
		return "stop tlim, keep a copy of " + file + " with its -wal, and restore a backup, or take what can be read: sqlite3 " + file + " .recover"
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH:
		return "let the user that tlim runs as read and write " + file + " and its folder"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "another program holds " + file + ": end it, or wait for it (fuser " + file + ")"
	case sqlite3.SQLITE_FULL:
		return "make room on the disk of " + file
	case sqlite3.SQLITE_IOERR:
		return "look at the disk of " + file + ", its free space and the kernel's log (dmesg)"
	}
	return ""
}

// connectSQLite opens the file, which may change it to WAL. Two processes that do so at once do not wait for each other as they do
// with every other lock: the second one gets an error at once, whatever its busy_timeout, and tries again here.
func connectSQLite(ctx context.Context, writer *sql.DB) error {
	return unbusy(ctx, func() error { return writer.PingContext(ctx) })
}

// unbusy tries until nobody holds the file, or ctx ends; its error is then that of the last try.
func unbusy(ctx context.Context, try func() error) error {
	for {
		err := try()
		if !busySQLite(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(sqliteRetry):
		}
	}
}

func busySQLite(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

const sqliteRetry = 10 * time.Millisecond

// maxSQLiteReaders bounds the reading connections: each has a cache of its own, and more than the cores do not help a
// library that reads from the page cache.
const maxSQLiteReaders = 8

// inSQLiteFolder does it for tlim.db and file:tlim.db?query, and leaves file:///abs, file://host/ and :memory: alone.
func inSQLiteFolder(dsn, folder string) string {
	name, uri := strings.CutPrefix(dsn, "file:")
	if strings.HasPrefix(name, ":memory:") || strings.HasPrefix(name, "//") || strings.HasPrefix(name, "?") || filepath.IsAbs(name) {
		return dsn
	}
	name = filepath.Join(folder, name)
	if uri {
		return "file:" + name
	}
	return name
}

// sqliteURI is the file: URI of a DSN, ready for parameters.
func sqliteURI(dsn string) (string, error) {
	if dsn == "" {
		return "", errors.New("is empty, give " + sqliteForm)
	}
	if err := sqliteName(dsn); err != nil {
		return "", err
	}
	path, query, _ := strings.Cut(dsn, "?")
	if !strings.HasPrefix(dsn, "file:") {
		path, query = dsn, ""
	}
	if strings.Contains(dsn, ":memory:") || strings.Contains(query, "mode=memory") {
		return "", errors.New("is a database in memory, which has one connection and dies with it: give a file name")
	}
	if !strings.HasPrefix(dsn, "file:") {
		path = "file:" + (&url.URL{Path: path}).EscapedPath() // a "?" or "%" of the name is not a parameter
	}
	uri := path + "?"
	for _, p := range strings.Split(query, "&") {
		// The driver has an order of its own for pragmas, so ours do not win by coming last.
		if plain, err := url.QueryUnescape(p); p == "" || err == nil && durability.MatchString(plain) {
			continue
		}
		uri += p + "&"
	}
	return uri, nil
}

// sqliteForm is what errors name as the right form.
const sqliteForm = "a file name such as tlim.db"

// serverLike is what no name of a file looks like, and addressSign what no name has that is not marked as a path: such a name is a
// mistake, and then all of it may be a password.
var (
	serverLike  = regexp.MustCompile(`(?is)^[a-z][a-z0-9+.-]+://|^[^/]*:.*@|^//.*@|(^|[;?&\s])(password|passwd|pwd|user|user id|uid|server|host)\s*=`)
	addressSign = regexp.MustCompile(`[:;=?&|(){}<>\[\]'"，；：＝？＆＠（）“”‘’]|^-|/.*@`)
	markedPath  = regexp.MustCompile(`^\.{0,2}/`)
	endOfName   = regexp.MustCompile(`\.(db|sqlite|sqlite3)$`)
)

// sqliteName says whether an address can be a file.
func sqliteName(dsn string) error {
	if err := checkForm("sqlite", dsn); err != nil {
		return err
	}
	name, uri := strings.CutPrefix(dsn, "file:")
	if uri {
		name, _, _ = strings.Cut(name, "?")
		name = strings.TrimPrefix(name, "//")
	}
	switch {
	case strings.HasPrefix(name, ":memory:"): // refused where it is opened
	case serverLike.MatchString(name):
		return errors.New("is no file, it looks like the address of a server: " + rightForms())
	case !markedPath.MatchString(name) && filepath.VolumeName(name) == "" && (addressSign.MatchString(name) || strings.Contains(name, "@") && !endOfName.MatchString(name)):
		return errors.New("is no file, it looks like the address of a server: " + rightForms() + "; where it is one, write ./ before its name")
	}
	return nil
}

// fileName is what is surely the name of a file, and not a password that stands alone.
var fileName = regexp.MustCompile(`/|\.(db|sqlite|sqlite3)$`)

// maskSQLite shows the name of a file without parameters.
func maskSQLite(dsn string) (shown string, ok bool) {
	switch {
	case sqliteName(dsn) != nil:
		return "", false
	case strings.HasPrefix(dsn, "file:"):
		path, _, parameters := strings.Cut(dsn, "?")
		if parameters {
			path += "?" + Mask
		}
		return path, true
	}
	return dsn, fileName.MatchString(dsn)
}

var durability = regexp.MustCompile(`(?i)^_(pragma=\s*(main\.)?(journal_mode|synchronous)|txlock=)`)

func classifySQLite(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return ErrDuplicate
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return ErrData
	}
	return nil
}

// uncommittedSQLite: a COMMIT that could not get its lock, or found the disk full, leaves the transaction open and the
// driver rolls it back. After an I/O error the truth is in the file: Committed looks.
func uncommittedSQLite(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL:
		return true
	}
	return false
}

func catalogueSQLite(ctx context.Context, db querier) (catalogue, error) {
	c := catalogue{}
	err := each(ctx, db, `SELECT m.name, p.name, p.type, m.sql FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type = 'table'`,
		func(scan scanner) error {
			var table, col, typ, made text
			if err := scan(&table, &col, &typ, &made); err != nil {
				return err
			}
			info := columnInfo{name: string(col), kind: string(typ)}
			if m := sqliteCollation.FindStringSubmatch(string(made)); m != nil {
				info.collation = m[1] // of some column of the table
			}
			// INTEGER PRIMARY KEY is the only identity of SQLite and no deployed table has one: lengths are ours to check.
			c.column(string(table), info)
			return nil
		})
	if err != nil {
		return nil, err
	}
	err = each(ctx, db, `SELECT m.name, il.name, ii.name FROM sqlite_master m, pragma_index_list(m.name) il, pragma_index_info(il.name) ii
		WHERE m.type = 'table' ORDER BY m.name, il.name, ii.seqno`,
		c.indexRow)
	return c, err
}

// sqliteCollation finds a column whose "=" is not that of its characters. Neither tlim nor Openfire makes one.
var sqliteCollation = regexp.MustCompile(`(?i)\bCOLLATE\s+["\[` + "`" + `]?(NOCASE|RTRIM)\b`)

// lockSQLite begins the one write transaction that the whole migration runs in: DDL is transactional here.
func lockSQLite(ctx context.Context, conn *sql.Conn) (func() error, error) {
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	return func() error {
		// COMMIT also after a failed step: each step is whole, and the next start goes on from there.
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "COMMIT")
		if err != nil {
			conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // what it says adds nothing
		}
		return err
	}, nil
}

// walHeader says whether a file's own first bytes say that it is in WAL mode: of one that is opened as immutable SQLite says another mode.
func walHeader(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var versions [2]byte // to write and to read
	_, err = f.ReadAt(versions[:], 18)
	return err == nil && versions == [2]byte{2, 2}
}

// adviseSQLite reads what the file was opened with: a file system without shared memory leaves WAL out without an error.
func adviseSQLite(ctx context.Context, db querier) ([]string, error) {
	var journal, file string
	var safety int
	if err := db.QueryRowContext(ctx, "SELECT j.journal_mode, s.synchronous, d.file FROM pragma_journal_mode j, pragma_synchronous s, pragma_database_list d WHERE d.name = 'main'").
		Scan(&journal, &safety, &file); err != nil {
		return nil, err
	}
	var advice []string
	if journal != "wal" && !walHeader(file) {
		advice = append(advice, fmt.Sprintf("the SQLite file is in journal_mode %s: reads wait for writes, put it on a local disk, where it can be wal", journal))
	}
	if safety < 2 {
		advice = append(advice, fmt.Sprintf("the SQLite file has synchronous %d: messages that were acknowledged can be lost in a power cut, leave synchronous out of store.dsn", safety))
	}
	return advice, nil
}

// unfitSQLite finds what has the name of a table of ours and is none, or is one in which no row of ours can stand.
func unfitSQLite(ctx context.Context, db querier, _ catalogue) (advice []Advice, err error) {
	if err := each(ctx, db, `SELECT type, name, tbl_name FROM sqlite_master WHERE type IN ('view', 'trigger') ORDER BY name`, func(scan scanner) error {
		var kind, name, table text
		if err := scan(&kind, &name, &table); err != nil || !isOurs(string(table)) {
			return err
		}
		if kind == "view" {
			advice = append(advice, Advice{true, fmt.Sprintf("%s is a view: it takes no columns and no indexes", name), fmt.Sprintf("give its table that name: DROP VIEW %s; ALTER TABLE … RENAME TO %s", name, name)})
			return nil
		}
		advice = append(advice, Advice{false, fmt.Sprintf("the trigger %s runs at writes of %s: each write waits for it, and a row that it refuses is not stored", name, table),
			fmt.Sprintf("see whether it is still wanted, else DROP TRIGGER %s", name)})
		return nil
	}); err != nil {
		return nil, err
	}
	const generated = "2, 3"
	return advice, each(ctx, db, `SELECT m.name, x.name, x.hidden FROM sqlite_master m, pragma_table_xinfo(m.name) x WHERE m.type = 'table'
		AND (x.hidden IN (`+generated+`) OR x."notnull" = 1 AND x.dflt_value IS NULL AND x.pk = 0) ORDER BY m.name, x.cid`, func(scan scanner) error {
		var table, name text
		var hidden number
		if err := scan(&table, &name, &hidden); err != nil || !isOurs(string(table)) {
			return err
		}
		switch ours := columnOf(string(table), string(name)); {
		case hidden != 0 && ours:
			advice = append(advice, Advice{true, fmt.Sprintf("%s.%s is computed by the database, and takes no value", table, name), "make the table anew with a plain column"})
		case hidden == 0 && !ours:
			advice = append(advice, Advice{true, fmt.Sprintf("%s.%s is not the plugin's, must not be NULL and has no default: no row can be added", table, name), "make the table anew with a column that may be NULL"})
		}
		return nil
	})
}
