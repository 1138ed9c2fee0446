package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/jmoiron/sqlx"
	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
)

func init() { register(&sqlserverDialect) }

var sqlserverDialect = dialect{
	name:    "sqlserver",
	aliases: []string{"mssql"},
	title:   "sqlserver",
	address: sqlserverServer,
	server:  "a SQL Server",
	form:    sqlserverForm,
	mask:    maskSQLServer,

	quote: func(name string) string { return "[" + name + "]" },
	bind:  sqlx.AT,
	loose: true,
	// Bytes, because a binary collation still ignores blanks at the end; of nvarchar, because those of varchar are of its code page.
	exact:      sqlserverBytes,
	exactValue: sqlserverBytes,
	value:      sqlserverValue,
	open:       openSQLServer,
	page:       offsetFetch,

	// The collations of Windows sort "-" as if it was not there, so a range would be another one.
	family:    func(column, family string) string { return column + " LIKE '" + family + "-%'" },
	wildcards: "%_[",

	explain:     explainSQLServer,
	remedy:      remedySQLServer,
	insert:      insertValues,
	classify:    classifySQLServer,
	unmatched:   func(error) bool { return false },
	held:        heldByEncoding,
	replaces:    true,
	width:       widthSQLServer,
	uncommitted: uncommittedSQLServer,
	catalogue:   catalogueSQLServer,
	lock:        lockSQLServer,
	refuse:      refuseSQLServer,
	integers:    []string{"int", "bigint", "smallint", "tinyint", "numeric", "decimal"},
	narrow:      []string{"int", "smallint", "tinyint", "bit", "real", "float"},
	exactCollation: func(name string) bool {
		return name == "" || strings.HasSuffix(name, "_BIN2") || strings.HasSuffix(name, "_BIN")
	},
	collation: "Latin1_General_100_BIN2",
	widenBody: func(table string) string { return "ALTER TABLE " + table + " ALTER COLUMN body nvarchar(max) NULL" },
	widenKey: func(table, column string) string {
		return "make the table anew with " + column + " nvarchar(64) NOT NULL"
	},
	convert: convertSQLServer,
	advise:  adviseSQLServer,
	looks: looks{now: nowSQLServer, durability: durabilitySQLServer, headroom: headroomSQLServer, saysRefusal: true,
		everyCharacter: func(table, column string) string {
			return "ALTER TABLE " + table + " ALTER COLUMN " + column + " nvarchar(max)"
		}},
	ddl:     sqlserverDDL,
	version: sqlserverVersion,
	session: sqlserverOwnID,
	kill:    "KILL %d",
}

func sqlserverBytes(text string) string {
	return "CAST(CAST(" + text + " AS nvarchar(256)) AS varbinary(512))"
}

// sqlserverValue: the driver sends a string as nvarchar, and a varchar column of the old tables is then converted row by row instead of
// looked up in its index. A text that is the same in every code page goes as varchar, which suits both kinds of columns.
func sqlserverValue(v any) any {
	if text, ok := v.(string); ok && plain(text) {
		return mssql.VarChar(text)
	}
	return v
}

// offsetFetch is the clause of SQL Server 2012 and newer, which wants an order and at least one row.
func offsetFetch(query string, args []any, length, offset int64) (string, []any) {
	if length < 1 {
		return strings.Replace(query, "SELECT ", "SELECT TOP (0) ", 1), args
	}
	if !strings.Contains(query, " ORDER BY ") {
		query += " ORDER BY (SELECT NULL)"
	}
	return query + " OFFSET ? ROWS FETCH NEXT ? ROWS ONLY", append(args, offset, length)
}

const sqlserverDial = 10 * time.Second

// openSQLServer takes an address, a user and a database; what a session needs to be is set here.
func openSQLServer(cfg Config) (*pools, error) {
	base, err := sqlserverAddress(cfg.DSN)
	if err != nil {
		return nil, err
	}
	make := func(patience time.Duration) *sql.DB {
		c := *base
		c.AppName = "tlim"
		c.DialTimeout, c.ConnTimeout = sqlserverDial, patience
		session := sqlserverSession(cfg.MaxWait)
		if patience > 0 && !cfg.readOnly {
			session += "; " + sqlserverMark
		}
		db := sql.OpenDB(&sqlserverConnector{c, session})
		db.SetConnMaxLifetime(cfg.MaxLifetime)
		return db
	}
	// A reader may have to answer a page of a table without an index, so it is more patient than a client is.
	p := &pools{reader: make(cfg.MaxWait + 5*time.Second), writer: make(cfg.MaxWait + 5*time.Second), admin: make(0)}
	p.reader.SetMaxOpenConns(cfg.MaxOpen)
	p.reader.SetMaxIdleConns(cfg.MaxIdle)
	p.writer.SetMaxOpenConns(1)
	p.writer.SetMaxIdleConns(1)
	p.admin.SetMaxOpenConns(2)
	return p, nil
}

// sqlserverConnector connects within the time of the context, of which the driver thinks while it dials and not while it logs in.
type sqlserverConnector struct {
	config  msdsn.Config
	session string
}

// Connect implements driver.Connector.
func (s *sqlserverConnector) Connect(ctx context.Context) (driver.Conn, error) {
	connector := mssql.NewConnectorConfig(s.config)
	connector.SessionInitSQL = s.session
	dialer := &sqlserverDialer{ctx: ctx}
	connector.Dialer = dialer
	conn, err := connector.Connect(ctx)
	if dialer.release() {
		if err == nil {
			conn.Close() // it is closed already, and the driver does not know
		}
		return nil, ctx.Err()
	}
	return conn, err
}

// Driver implements driver.Connector.
func (s *sqlserverConnector) Driver() driver.Driver { return &mssql.Driver{} }

// sqlserverDialer closes what it dialled when the context ends, until it is released.
type sqlserverDialer struct {
	ctx   context.Context
	mu    sync.Mutex
	stops []func() bool
}

// DialContext implements mssql.Dialer.
func (s *sqlserverDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stops = append(s.stops, context.AfterFunc(s.ctx, func() { conn.Close() }))
	return conn, nil
}

// release leaves the connections to the driver. ended: it was too late for one of them.
func (s *sqlserverDialer) release() (ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stop := range s.stops {
		ended = !stop() || ended
	}
	return ended
}

// sqlserverSession is what each session begins with. Filtered indexes want the ANSI settings, which a server's defaults may turn off. A
// statement that fails must not end the transaction behind the driver's back: the next one would be committed alone.
func sqlserverSession(wait time.Duration) string {
	return fmt.Sprintf("SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER ON; "+
		"SET NUMERIC_ROUNDABORT, XACT_ABORT, IMPLICIT_TRANSACTIONS OFF; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCK_TIMEOUT %d", wait.Milliseconds())
}

// sqlserverNumber is the number of the first error of an answer: those behind it say what followed from it.
func sqlserverNumber(err error) int32 {
	var e mssql.Error
	if !errors.As(err, &e) {
		return 0
	}
	if len(e.All) > 0 {
		return e.All[0].Number
	}
	return e.Number
}

// explainSQLServer says which rights are wanted, in one line.
func explainSQLServer(_ Config, err error) error {
	switch sqlserverNumber(err) {
	case 229, 230, 262, 1088, 2760, 4902, 15247:
		return fmt.Errorf("%w; the user of store.dsn needs SELECT, INSERT, UPDATE and DELETE on its database, and CREATE TABLE and ALTER on its schema at the first start of a new version", oneLine{err})
	}
	return oneLine{err}
}

func remedySQLServer(_ Config, err error) string {
	switch sqlserverNumber(err) {
	case 18456, 18452, 18470, 18487, 18488:
		return "correct user and password in store.dsn; a login of SQL Server itself is wanted where the server takes Windows' alone"
	case 4060, 911, 916:
		return "correct the database's name in store.dsn, or make it and a user in it for this login"
	case 229, 230, 262, 1088, 2760, 4902, 15247:
		return "let the user of store.dsn SELECT, INSERT, UPDATE and DELETE in its database, CREATE TABLE, and ALTER its schema"
	}
	return ""
}

func classifySQLServer(err error) error {
	switch sqlserverNumber(err) {
	case 2627, 2601: // a key or a unique index
		return ErrDuplicate
	case 8152, 2628, // would be cut
		515,            // NULL where none may be
		245, 248, 8114, // no number
		220, 232, // too large a number
		1946, 1105: // an index entry that is too long
		if sqlserverNumber(err) != 1105 { // 1105 is a full disk
			return ErrData
		}
	}
	return nil
}

// uncommittedSQLServer: the victim of a deadlock and one that waited too long for a lock are rolled back. Of its connection the driver
// says ErrBadConn itself before it has sent anything; an error that only stands for it (mssql.RetryableError) comes after that.
func uncommittedSQLServer(err error) bool {
	n := sqlserverNumber(err)
	return n == 1205 || n == 1222 || err == driver.ErrBadConn //nolint:errorlint // see above: errors.Is would say yes of both
}

// sqlserverPages are the code pages of varchar columns.
var sqlserverPages = map[int]charset{
	936: cpGBK, 950: cpBig5, 932: cpJapanese, 949: cpKorean, 1252: cpWestern, 1250: cp1250, 1251: cp1251, 1253: cp1253, 1254: cp1254,
	1255: cp1255, 1256: cp1256, 1257: cp1257, 1258: cp1258, 874: cp874, 437: cp437, 850: cp850,
}

// sqlserverUTF8 is the character set of a varchar column with a collation of UTF-8: it lacks nothing, and counts bytes.
var sqlserverUTF8 = charset{name: "utf8mb4", chinese: true}

// widthSQLServer: nvarchar counts units of UTF-16, varchar bytes.
func widthSQLServer(set charset, value string) int {
	switch set.name {
	case "":
		n := 0
		for _, r := range value {
			n += max(1, utf16.RuneLen(r))
		}
		return n
	case sqlserverUTF8.name:
		return len(value)
	}
	return encodedLength(set, value)
}

// What the server knows of the tables. Only those of the user's own schema are the ones that a name without one means.
const (
	sqlserverColumns = `SELECT t.name, c.name, y.name, c.max_length, c.collation_name, CAST(COLLATIONPROPERTY(c.collation_name, 'CodePage') AS int), CAST(c.is_identity AS int)
		FROM sys.tables t JOIN sys.columns c ON c.object_id = t.object_id JOIN sys.types y ON y.user_type_id = c.user_type_id
		WHERE t.schema_id = SCHEMA_ID()`
	sqlserverIndexes = `SELECT t.name, i.name, c.name
		FROM sys.tables t JOIN sys.indexes i ON i.object_id = t.object_id
		JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id
		JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id
		WHERE t.schema_id = SCHEMA_ID() AND k.is_included_column = 0 AND i.is_disabled = 0 ORDER BY t.name, i.name, k.key_ordinal`
	sqlserverIdentities = `SELECT t.name, c.name, y.name, c.precision, CAST(c.last_value AS bigint), i.name, CAST(i.is_primary_key AS int), i.type_desc
		FROM sys.tables t JOIN sys.identity_columns c ON c.object_id = t.object_id JOIN sys.types y ON y.user_type_id = c.user_type_id
		LEFT JOIN sys.index_columns k ON k.object_id = c.object_id AND k.column_id = c.column_id
		LEFT JOIN sys.indexes i ON i.object_id = k.object_id AND i.index_id = k.index_id
		WHERE t.schema_id = SCHEMA_ID() ORDER BY t.name, i.index_id`
	sqlserverSettings = `SELECT CAST(is_read_committed_snapshot_on AS int) FROM sys.databases WHERE database_id = DB_ID()`
	sqlserverVersion  = `SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128))`
	sqlserverOwnID    = `SELECT CAST(@@SPID AS int)`
	sqlserverNow      = `SELECT DATEDIFF(day, '19700101', n) * CAST(86400000 AS bigint) + DATEDIFF(ms, CAST(n AS date), n) FROM (SELECT SYSUTCDATETIME() AS n) clock`
	sqlserverDelayed  = `SELECT delayed_durability FROM sys.databases WHERE database_id = DB_ID()`
	sqlserverLock     = `DECLARE @got int; EXEC @got = sp_getapplock @Resource = 'tlim_migrate', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 60000; SELECT @got`
	sqlserverUnlock   = `EXEC sp_releaseapplock @Resource = 'tlim_migrate', @LockOwner = 'Session'`
)

func catalogueSQLServer(ctx context.Context, db querier) (catalogue, error) {
	c := catalogue{}
	err := each(ctx, db, sqlserverColumns, func(scan scanner) error {
		var table, name, kind, collation text
		var length, page, identity number
		if err := scan(&table, &name, &kind, &length, &collation, &page, &identity); err != nil {
			return err
		}
		info := columnInfo{name: string(name), kind: string(kind), collation: string(collation), numbered: identity != 0}
		switch kind {
		case "nvarchar", "nchar":
			info.length = max(0, int(length)/2) // max is -1
		case "varchar", "char", "text":
			if kind != "text" {
				info.length = max(0, int(length))
			}
			info.charset = codePage(int(page))
		}
		c.column(string(table), info)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, db, sqlserverIndexes, c.indexRow)
	return c, err
}

// codePage is the character set of a code page.
func codePage(page int) charset {
	if page == 65001 {
		return sqlserverUTF8
	}
	if set, known := sqlserverPages[page]; known {
		return set
	}
	return lackingChinese(fmt.Sprintf("cp%d", page), nil)
}

func lockSQLServer(ctx context.Context, conn *sql.Conn) (func() error, error) {
	var got number
	if err := conn.QueryRowContext(ctx, sqlserverLock).Scan(&got); err != nil {
		return nil, err
	}
	if got < 0 {
		return nil, errors.New("another process has been changing the tables for 60 seconds")
	}
	return func() error {
		conn.ExecContext(context.WithoutCancel(ctx), sqlserverUnlock) // a connection that is lost has none
		return nil
	}, nil
}

// identity is a column that numbers the rows of an old table, as far as it has come.
type identity struct {
	table, column string
	used          float64 // of its range
	key, kind     string  // its primary key, CLUSTERED or not
	indexes       []string
}

// identitiesSQLServer are the old tables' columns that number rows. They are numeric(6): the millionth insert fails, however many rows were
// deleted.
func identitiesSQLServer(ctx context.Context, db querier) (list []identity, err error) {
	err = each(ctx, db, sqlserverIdentities, func(scan scanner) error {
		var table, column, kind, index, clustered text
		var precision, last, primary number
		if err := scan(&table, &column, &kind, &precision, &last, &index, &primary, &clustered); err != nil {
			return err
		}
		end := math.Pow10(int(precision)) - 1
		switch kind {
		case "int":
			end = math.MaxInt32
		case "bigint":
			end = math.MaxInt64
		case "smallint":
			end = math.MaxInt16
		case "tinyint":
			end = math.MaxUint8
		}
		if !isDeployedName(strings.ToLower(string(table))) {
			return nil
		}
		if n := len(list); n == 0 || list[n-1].table != string(table) {
			list = append(list, identity{table: string(table), column: string(column), used: float64(last) / end})
		}
		i := &list[len(list)-1]
		switch {
		case primary != 0:
			i.key, i.kind = string(index), string(clustered)
		case index != "":
			i.indexes = append(i.indexes, string(index))
		}
		return nil
	})
	return list, err
}

// widen is how to widen the column, which the server does with a locked table and without its key and the indexes that hold it. All or nothing:
// a table would be left without its key.
func (i identity) widen() string {
	statements := []string{"SET XACT_ABORT ON", "BEGIN TRANSACTION"}
	add := func(format string, args ...any) { statements = append(statements, fmt.Sprintf(format, args...)) }
	for _, name := range i.indexes {
		add("DROP INDEX [%s] ON %s", name, i.table)
	}
	if i.key != "" {
		add("ALTER TABLE %s DROP CONSTRAINT [%s]", i.table, i.key)
	}
	add("ALTER TABLE %s ALTER COLUMN %s numeric(18) NOT NULL", i.table, i.column)
	if i.key != "" {
		add("ALTER TABLE %s ADD CONSTRAINT [%s] PRIMARY KEY %s (%s)", i.table, i.key, i.kind, i.column)
	}
	parts, err := schema("sqlserver")
	var others []string
	for _, name := range i.indexes {
		at := slices.IndexFunc(parts, func(p part) bool { return err == nil && p.kind == "index" && p.name == name })
		if at < 0 {
			others = append(others, name)
			continue
		}
		add("%s", strings.Replace(parts[at].sql, "UNIQUE ", "", 1)) // old rows can be there twice
	}
	add("COMMIT TRANSACTION")
	said := strings.Join(statements, "; ")
	if len(others) > 0 {
		said += "; then make " + strings.Join(others, ", ") + " again, as your own scripts have it"
	}
	return said
}

func refuseSQLServer(ctx context.Context, db querier) (why string, err error) {
	list, err := identitiesSQLServer(ctx, db)
	for _, i := range list {
		if i.used > headroomSevere {
			return fmt.Sprintf("%s.%s has used %.0f %% of its numbers, and at their end every insert fails; in a quiet hour, because it locks the table: %s",
				i.table, i.column, 100*i.used, i.widen()), nil
		}
	}
	return "", err
}

// headroomSQLServer is what a start says of the numbers, by table.
func headroomSQLServer(ctx context.Context, db querier, _ catalogue) (advice []Advice, err error) {
	list, err := identitiesSQLServer(ctx, db)
	for _, i := range list {
		if i.used > headroomWarn {
			advice = append(advice, Advice{i.used > headroomSevere, fmt.Sprintf("%s.%s has used %.0f %% of its numbers: at their end no row can be added, and above 90 tlim does not start", i.table, i.column, 100*i.used),
				"in a quiet hour, because it locks the table: " + i.widen()})
		}
	}
	return advice, err
}

func nowSQLServer(ctx context.Context, db querier) (time.Time, error) {
	var ms number
	err := db.QueryRowContext(ctx, sqlserverNow).Scan(&ms)
	return time.UnixMilli(int64(ms)), err
}

func durabilitySQLServer(ctx context.Context, db querier) (advice []Advice, err error) {
	sentences, err := settingsSQLServer(ctx, db)
	for _, sentence := range sentences {
		advice = append(advice, Advice{false, withoutRemedy(sentence), remedyIn(sentence)})
	}
	return advice, err
}

func adviseSQLServer(ctx context.Context, db querier) ([]string, error) {
	list, err := identitiesSQLServer(ctx, db)
	if err != nil {
		return nil, err
	}
	var advice []string
	for _, i := range list {
		if i.used > headroomWarn {
			advice = append(advice, fmt.Sprintf("%s.%s has used %.0f %% of its numbers; above 90 tlim does not start (%s, which locks the table)",
				i.table, i.column, 100*i.used, i.widen()))
		}
	}
	settings, err := settingsSQLServer(ctx, db)
	return append(advice, settings...), err
}

func settingsSQLServer(ctx context.Context, db querier) (advice []string, err error) {
	var snapshot, delayed number
	if err := db.QueryRowContext(ctx, sqlserverSettings).Scan(&snapshot); err != nil {
		return nil, err
	}
	if snapshot == 0 {
		advice = append(advice, "READ_COMMITTED_SNAPSHOT is off: reads wait for writes, and writes for reads (ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON, with nobody else connected)")
	}
	err = db.QueryRowContext(ctx, sqlserverDelayed).Scan(&delayed)
	switch {
	case sqlserverNumber(err) == 207: // SQL Server 2012 has no such thing
	case err != nil:
		return nil, err
	case delayed == 2:
		advice = append(advice, "DELAYED_DURABILITY is FORCED: messages that were acknowledged can be lost in a power cut (ALTER DATABASE CURRENT SET DELAYED_DURABILITY = DISABLED)")
	}
	return advice, nil
}

// convertSQLServer has the columns outside of the key: those in it want the key dropped first.
func convertSQLServer(name string) string {
	var statements []string
	for _, t := range allTables() {
		if t.name != name {
			continue
		}
		for i, c := range t.columns {
			long := c.name == "body" || c.name == "content" || c.name == "receivers"
			if i == 0 || c.limit == 0 && !long || slices.ContainsFunc(uniqueKeys[name], func(k []string) bool { return slices.Contains(k, c.name) }) {
				continue
			}
			size := "max"
			if !long {
				size = fmt.Sprint(c.limit)
			}
			statements = append(statements, fmt.Sprintf("ALTER TABLE %s ALTER COLUMN [%s] nvarchar(%s) COLLATE Latin1_General_100_BIN2 NULL", name, c.name, size))
		}
	}
	return strings.Join(statements, "; ") + "; each locks the table, and an index of the column has to be dropped before"
}
