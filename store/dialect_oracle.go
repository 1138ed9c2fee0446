package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"
	ora "github.com/sijms/go-ora/v2"
	"github.com/sijms/go-ora/v2/network"
)

func init() { register(&oracleDialect) }

var oracleDialect = dialect{
	name:    "oracle",
	title:   "oracle",
	address: oracleServer,
	server:  "an Oracle server",
	form:    oracleForm,
	mask:    maskOracle,

	// Names without quotation marks stand in upper case.
	quote: func(name string) string { return `"` + strings.ToUpper(name) + `"` },
	bind:  sqlx.NAMED,
	// Sessions compare and sort bytes (see oracleSession), so "=" is exact.
	exact:   func(column string) string { return column },
	value:   oracleValue,
	longest: maxOracleText,
	open:    openOracle,
	page:    rownum,

	family:    familyRange,
	wildcards: "%_",
	nullsUp:   " NULLS FIRST",
	nullsDown: " NULLS LAST",
	lowest:    "\x01", // "" is NULL

	explain:        explainOracle,
	remedy:         remedyOracle,
	insert:         insertArrays,
	classify:       classifyOracle,
	unmatched:      func(error) bool { return false },
	held:           heldByEncoding,
	replaces:       true,
	width:          widthOracle,
	uncommitted:    uncommittedOracle,
	catalogue:      catalogueOracle,
	lock:           lockOracle,
	refuse:         refuseOracle,
	integers:       []string{"number", "float"},
	exactCollation: func(string) bool { return true },
	widenBody:      widenOracleBody,
	widenKey: func(table, column string) string {
		return fmt.Sprintf("ALTER TABLE %[1]s ADD (%[2]snew VARCHAR2(64 CHAR)); UPDATE %[1]s SET %[2]snew = %[2]s; ALTER TABLE %[1]s DROP COLUMN %[2]s CASCADE CONSTRAINTS; "+
			"ALTER TABLE %[1]s RENAME COLUMN %[2]snew TO %[2]s; ALTER TABLE %[1]s ADD PRIMARY KEY (%[2]s); and drop the trigger that numbers the rows", table, column)
	},
	convert: func(string) string {
		return "a table has the character set of its database: move the database to AL32UTF8 with Oracle's Database Migration Assistant for Unicode"
	},
	advise:  adviseOracle,
	version: oracleVersion,
	looks:   looks{now: nowOracle},
	ddl:     oracleDDL,
}

func widenOracleBody(table string) string {
	return fmt.Sprintf("ALTER TABLE %[1]s ADD (body_long CLOB); UPDATE %[1]s SET body_long = body; ALTER TABLE %[1]s DROP COLUMN body; ALTER TABLE %[1]s RENAME COLUMN body_long TO body; "+
		"the old plugin does not read chat histories from a CLOB", table)
}

// maxOracleText is the longest text in bytes that goes as VARCHAR2.
const maxOracleText = 4000

// oracleValue makes a LOB of what is longer.
func oracleValue(v any) any {
	if text, ok := v.(string); ok && len(text) > maxOracleText {
		return ora.Clob{String: text, Valid: true}
	}
	return v
}

// rownum is the clause of every Oracle since 11g: rows are numbered behind their order, and the number is not read.
func rownum(query string, args []any, length, offset int64) (string, []any) {
	if offset == 0 {
		return "SELECT * FROM (" + query + ") WHERE ROWNUM <= ?", append(args, length)
	}
	return "SELECT " + labels(query) + " FROM (SELECT ordered.*, ROWNUM place FROM (" + query + ") ordered WHERE ROWNUM <= ?) WHERE place > ?",
		append(args, offset+length, offset)
}

var selectList = regexp.MustCompile(`^SELECT (?:DISTINCT )?(.*?) FROM `)

// labels are the names of a query's columns, of which each has one.
func labels(query string) string {
	list := strings.Split(selectList.FindStringSubmatch(query)[1], ", ")
	for i, column := range list {
		if at := strings.LastIndex(column, " AS "); at >= 0 {
			list[i] = column[at+len(" AS "):]
		}
	}
	return strings.Join(list, ", ")
}

// oracleSession is what each session begins with. FORCE_WAIT: no other setting may let a COMMIT return before its log is on the disk.
var oracleSession = []string{
	"ALTER SESSION SET NLS_SORT = BINARY NLS_COMP = BINARY NLS_NUMERIC_CHARACTERS = '.,'",
	"ALTER SESSION SET COMMIT_LOGGING = IMMEDIATE COMMIT_WAIT = FORCE_WAIT",
	"ALTER SESSION SET RECYCLEBIN = OFF", // what is dropped is gone
}

// openOracle takes an address and a user; what a session needs to be is set here. READ COMMITTED is what the server begins with.
func openOracle(cfg Config) (*pools, error) {
	base, err := oracleAddress(cfg.DSN)
	if err != nil {
		return nil, err
	}
	base.PrefetchRows = 200
	base.Location = "UTC" // else the driver asks for the server's zone at each login, without an end; no column of ours is a time
	if base.ProgramName = oracleProgram; cfg.readOnly {
		base.ProgramName += " look"
	}
	make := func(wait time.Duration) *sql.DB {
		db := sql.OpenDB(&oracleConnector{config: *base, session: oracleSession, wait: wait})
		db.SetConnMaxLifetime(cfg.MaxLifetime)
		return db
	}
	p := &pools{reader: make(cfg.MaxWait), writer: make(cfg.MaxWait), admin: make(0)}
	p.reader.SetMaxOpenConns(cfg.MaxOpen)
	p.reader.SetMaxIdleConns(cfg.MaxIdle)
	p.writer.SetMaxOpenConns(1)
	p.writer.SetMaxIdleConns(1)
	p.admin.SetMaxOpenConns(2)
	return p, nil
}

// insertArrays binds the values of many rows as arrays, which are one statement and one round trip. A text that goes as a LOB goes in a
// statement of its own row. A key that is there leaves the rows of the array before it, until the transaction is rolled back.
func insertArrays(ctx context.Context, exec execFunc, r *rows) error {
	width := len(r.shape.names)
	text := func() string {
		return "INSERT INTO " + r.table + " (" + strings.Join(r.shape.names, ", ") + ") VALUES (" + strings.TrimSuffix(strings.Repeat("?,", width), ",") + ")"
	}
	for done := 0; done < r.count; {
		n, kind := arrayOf(r.args[done*width:], width)
		args := r.args[done*width : (done+n)*width]
		if n > 1 {
			var err error
			if args, err = columnsOf(args, width); err != nil {
				return fmt.Errorf("insert into %s: %w", r.table, err)
			}
		}
		if _, err := exec(ctx, "insert "+r.table, kind, text, args); err != nil {
			return fmt.Errorf("insert into %s: %w", r.table, err)
		}
		done += n
		r.done = done
	}
	return nil
}

// maxArray is how many rows go as one statement.
const maxArray = 128

// What a statement of insertArrays binds: each is prepared for itself, because the driver keeps the types of the first time.
const (
	oneRow  = 1
	longRow = 2
	array   = 3
)

// arrayOf says how many of the first rows go together, and as what.
func arrayOf(args []any, width int) (n, kind int) {
	long := func(row []any) bool {
		return slices.ContainsFunc(row, func(v any) bool { text, ok := v.(string); return ok && len(text) > maxOracleText })
	}
	for bytes := 0; n < maxArray && (n+1)*width <= len(args); n++ {
		row := args[n*width : (n+1)*width]
		if long(row) {
			break
		}
		if bytes += bytesOf(row); n > 0 && bytes > maxStatementBytes {
			break
		}
	}
	switch n {
	case 0:
		return 1, longRow
	case 1:
		return 1, oneRow
	}
	return n, array
}

// columnsOf turns rows into columns.
func columnsOf(args []any, width int) ([]any, error) {
	columns := make([]any, width)
	for i := range columns {
		var column []any
		for at := i; at < len(args); at += width {
			v, err := driver.DefaultParameterConverter.ConvertValue(args[at])
			if err != nil {
				return nil, err
			}
			column = append(column, v)
		}
		columns[i] = column
	}
	return columns, nil
}

// oracleCode is the number of an ORA- error; 0 for all others.
func oracleCode(err error) int {
	var e *network.OracleError
	if errors.As(err, &e) {
		return e.ErrCode
	}
	return 0
}

// explainOracle says which rights are wanted, in one line.
func explainOracle(_ Config, err error) error {
	switch oracleCode(err) {
	case 1031, 1950, 1536, 942:
		return fmt.Errorf("%w; the tables have to be those of the user of store.dsn itself, who needs CREATE SESSION, and CREATE TABLE and a quota at the first start of a new version", oneLine{err})
	}
	return oneLine{err}
}

func remedyOracle(_ Config, err error) string {
	switch oracleCode(err) {
	case 1005, 1017:
		return "correct user and password in store.dsn; since 11g letter case counts in a password"
	case 28000, 28001:
		return "unlock the account of store.dsn (ALTER USER … ACCOUNT UNLOCK), or give it a new password"
	case 1045:
		return "GRANT CREATE SESSION to the user of store.dsn"
	case 1031, 1950, 1536:
		return "GRANT CREATE TABLE to the user of store.dsn, and a quota on its tablespace (ALTER USER … QUOTA UNLIMITED ON …)"
	case 12514, 12505, 12506, 12516, 12518, 12520:
		return "correct the service or the SID in store.dsn: lsnrctl status on the server lists the services"
	case 12541:
		return "start the listener, or correct host and port in store.dsn"
	case 1033, 1034, 12528:
		return "start the database; it is mounted, starting or down"
	case 1652, 1653, 1654, 1691:
		return "add space to the tablespace that the error names"
	}
	return ""
}

func classifyOracle(err error) error {
	switch oracleCode(err) {
	case 1: // a key or a unique index
		return ErrDuplicate
	case 12899, 1401, // would be cut
		1438,       // too large a number
		1400, 1407, // NULL where none may be
		1461, 24816, // too long a text for a column that is no LOB
		1722, 1481, // no number
		1450: // an index entry that is too long
		return ErrData
	}
	return nil
}

// uncommittedOracle: of a connection that was lost the driver says ErrBadConn also when it had sent the COMMIT.
func uncommittedOracle(err error) bool {
	return errors.Is(err, errUnsent) || oracleCode(err) == 2091 // rolled back instead
}

// oracleUTF8 is the older one of Oracle's two UTF-8: beyond U+FFFF it has two of three bytes.
var oracleUTF8 = charset{name: "utf8mb3", lacks: lacksPlanes, chinese: true}

// oracleCharsets are the character sets of databases.
var oracleCharsets = map[string]charset{
	"AL32UTF8": {}, "UTF8": oracleUTF8, "ZHS16GBK": cpGBK, "ZHS32GB18030": cpGB18030, "ZHT16BIG5": cpBig5, "ZHT16MSWIN950": cpBig5, "ZHT16HKSCS": cpBig5,
	"JA16SJIS": cpJapanese, "JA16SJISTILDE": cpJapanese, "KO16MSWIN949": cpKorean, "KO16KSC5601": cpKorean,
	"WE8MSWIN1252": cpWestern, "WE8ISO8859P1": cpWestern, "WE8ISO8859P15": cpWestern, "US7ASCII": lackingChinese("ascii", nil),
	"EE8MSWIN1250": cp1250, "CL8MSWIN1251": cp1251, "EL8MSWIN1253": cp1253, "TR8MSWIN1254": cp1254, "IW8MSWIN1255": cp1255,
	"AR8MSWIN1256": cp1256, "BLT8MSWIN1257": cp1257, "VN8MSWIN1258": cp1258, "TH8TISASCII": cp874,
}

// widthOracle counts bytes: whatever a column's length is of, its bytes have an end too.
func widthOracle(set charset, value string) int {
	switch set.name {
	case "":
		return len(value)
	case oracleUTF8.name:
		n := len(value)
		for _, r := range value {
			if utf8.RuneLen(r) == 4 {
				n += 2
			}
		}
		return n
	}
	return encodedLength(set, value)
}

// What the server knows of the user's own tables, whose names alone a name without an owner means, synonyms aside.
const (
	oracleColumns = `SELECT c.table_name, c.column_name, c.data_type, c.data_length, c.char_length, c.char_used, n.value
		FROM user_tab_columns c JOIN user_tables t ON t.table_name = c.table_name
		JOIN nls_database_parameters n ON n.parameter = 'NLS_CHARACTERSET'`
	oracleIndexes = `SELECT c.table_name, c.index_name, c.column_name FROM user_ind_columns c JOIN user_indexes i ON i.index_name = c.index_name
		WHERE i.status <> 'UNUSABLE' ORDER BY c.table_name, c.index_name, c.column_position`
	oracleQuoted = `SELECT table_name FROM user_tables WHERE table_name <> UPPER(table_name)
		UNION SELECT table_name || '.' || column_name FROM user_tab_columns WHERE column_name <> UPPER(column_name)`
	oracleClock     = `SELECT TO_CHAR(SYS_EXTRACT_UTC(SYSTIMESTAMP), 'YYYY-MM-DD HH24:MI:SS.FF3') FROM dual`
	oracleVersion   = `SELECT MAX(version) FROM product_component_version WHERE product LIKE 'Oracle%'`
	oracleLockTable = `CREATE TABLE tlim_lock (id NUMBER(1))`
	oracleLock      = `LOCK TABLE tlim_lock IN EXCLUSIVE MODE WAIT 60`
	oracleUnlock    = `DROP TABLE tlim_lock`
)

func catalogueOracle(ctx context.Context, db querier) (catalogue, error) {
	c := catalogue{}
	err := each(ctx, db, oracleColumns, func(scan scanner) error {
		var table, name, kind, used, stored text
		var length, characters number
		if err := scan(&table, &name, &kind, &length, &characters, &used, &stored); err != nil {
			return err
		}
		info := columnInfo{name: string(name), kind: string(kind)}
		set, known := oracleCharsets[string(stored)]
		if !known {
			set = lackingChinese(strings.ToLower(string(stored)), nil)
		}
		switch kind {
		case "VARCHAR2", "CHAR":
			info.length, info.charset = int(length), set
			if used == "C" {
				info.characters = int(characters)
			}
		case "NVARCHAR2", "NCHAR":
			info.characters = int(characters)
		case "CLOB", "LONG":
			info.charset = set
		}
		c.column(string(table), info)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, db, oracleIndexes, c.indexRow)
	return c, err
}

// lockOracle keeps others from changing the tables. Whoever has no right to make its table makes no other one either.
func lockOracle(ctx context.Context, conn *sql.Conn) (func() error, error) {
	unlock, err := oracleTableLock{oracleLockTable, oracleLock, oracleUnlock}.take(ctx, conn)
	switch code := oracleCode(err); {
	case code == 1031, code == 1950, code == 1536:
		return func() error { return nil }, nil
	case errors.Is(err, errOracleHeld):
		err = errors.New("another process has been changing the tables for 60 seconds")
	}
	return unlock, err
}

// oracleTableLock is a table that is made and locked, from a session of its own: every change of a table would end the lock of its session.
// The last one to want it drops it, and a process that was killed leaves it to the next.
type oracleTableLock struct{ create, lock, drop string }

// errOracleHeld is the lock's that somebody else has.
var errOracleHeld = errors.New("somebody else has the lock")

func (o oracleTableLock) take(ctx context.Context, conn *sql.Conn) (release func() error, err error) {
	var db *sql.DB
	if err := conn.Raw(func(c any) error {
		own, ok := c.(interface{ beside() *sql.DB })
		if !ok {
			return fmt.Errorf("a lock on a %T", c)
		}
		db = own.beside()
		return nil
	}); err != nil {
		return nil, err
	}
	for {
		tx, err := o.locked(ctx, db)
		switch code := oracleCode(err); {
		case err == nil:
			return func() error {
				tx.Rollback() // a connection that is lost holds no lock
				// Who waits for the lock has it now, and the table cannot be dropped: that one drops it.
				db.ExecContext(context.WithoutCancel(ctx), o.drop)
				return db.Close()
			}, nil
		case code == 942 && ctx.Err() == nil: // dropped between the two
			continue
		case code == 54, code == 30006:
			err = errOracleHeld
		}
		return nil, errors.Join(err, db.Close())
	}
}

func (o oracleTableLock) locked(ctx context.Context, db *sql.DB) (*sql.Tx, error) {
	if _, err := db.ExecContext(ctx, o.create); err != nil && oracleCode(err) != 955 { // it is there
		return nil, err
	}
	tx, err := db.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, o.lock); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

// refuseOracle names tables and columns that only a name in quotation marks reaches: tlim would make others beside them.
func refuseOracle(ctx context.Context, db querier) (why string, err error) {
	var names []string
	err = each(ctx, db, oracleQuoted, func(scan scanner) error {
		var name text
		err := scan(&name)
		if table, _, _ := strings.Cut(strings.ToLower(string(name)), "."); isDeployedName(table) {
			names = append(names, string(name))
		}
		return err
	})
	if len(names) == 0 || err != nil {
		return "", err
	}
	var remedies []string
	for _, name := range names {
		table, column, of := strings.Cut(name, ".")
		if of {
			remedies = append(remedies, fmt.Sprintf(`ALTER TABLE "%s" RENAME COLUMN "%s" TO %s`, table, column, strings.ToUpper(column)))
		}
	}
	for _, name := range names {
		if !strings.Contains(name, ".") {
			remedies = append(remedies, fmt.Sprintf(`ALTER TABLE "%s" RENAME TO %s`, name, strings.ToUpper(name)))
		}
	}
	return fmt.Sprintf("%s were made with names in quotation marks, and no statement without them finds them; %s", strings.Join(names, ", "), strings.Join(remedies, "; ")), nil
}

// adviseOracle says of bodies that count bytes how many Chinese characters they hold.
func adviseOracle(ctx context.Context, db querier) ([]string, error) {
	have, err := catalogueOracle(ctx, db)
	if err != nil {
		return nil, err
	}
	var advice []string
	for _, t := range []string{tMessage.name, tOffline.name} {
		if info := have[t]; info != nil && info.columns["body"].length > 0 {
			body := info.columns["body"]
			advice = append(advice, fmt.Sprintf("the length of %s.body is of bytes: %d Chinese characters fit (%s)", t, body.length/widthOracle(body.charset, "汉"), widenOracleBody(t)))
		}
	}
	return advice, nil
}

func nowOracle(ctx context.Context, db querier) (time.Time, error) {
	var now text
	if err := db.QueryRowContext(ctx, oracleClock).Scan(&now); err != nil {
		return time.Time{}, err
	}
	return time.Parse("2006-01-02 15:04:05.000", string(now))
}
