package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

func init() { register(&mysqlDialect) }

var mysqlDialect = dialect{
	name:    "mysql",
	aliases: []string{"mariadb"},
	title:   "mysql (MariaDB too)",
	address: mysqlServer,
	server:  "a MySQL or MariaDB server",
	form:    mysqlForm,
	mask:    maskMySQL,

	quote: func(name string) string { return "`" + name + "`" },
	bind:  sqlx.QUESTION,
	loose: true,
	// Bytes, because a _bin collation still ignores blanks at the end; of one character set, because a gbk column's bytes are
	// others. The optimizer puts no constant into it for the column, and what it costs does not show (measured, MariaDB 10.11:
	// 66,000 rows counted).
	exact: func(column string) string { return "CAST(CONVERT(" + column + " USING utf8mb4) AS BINARY)" },
	open:  openMySQL,
	page:  limitOffset,

	family:    familyRange,
	wildcards: "%_",

	explain:     explainMySQL,
	remedy:      remedyMySQL,
	insert:      insertValues,
	classify:    classifyMySQL,
	unmatched:   unmatchedMySQL,
	held:        heldMySQL,
	uncommitted: uncommittedMySQL,
	deadlocked:  func(err error) bool { return mysqlNumber(err) == 1213 },
	left:        func(err error) bool { return mysqlNumber(err) == noQuorum },
	caughtUp:    caughtUpMySQL,
	catalogue:   catalogueMySQL,
	lock:        lockMySQL,
	refuse:      refuseMySQL,
	integers:    []string{"int", "bigint", "mediumint", "smallint"},
	narrow:      []string{"int", "mediumint", "smallint", "tinyint", "float", "bit"},
	exactCollation: func(name string) bool {
		return name == "" || name == "binary" || strings.HasSuffix(name, "_bin")
	},
	collation: "utf8mb4_bin",
	widenBody: func(table string) string { return "ALTER TABLE " + table + " MODIFY body mediumtext" },
	widenKey: func(table, column string) string {
		return "ALTER TABLE " + table + " MODIFY " + column + " varchar(64) NOT NULL"
	},
	convert: func(table string) string {
		return "ALTER TABLE " + table + " CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, which locks the table"
	},
	advise:  adviseMySQL,
	version: "SELECT VERSION()",
	session: "SELECT CONNECTION_ID()",
	kill:    "KILL %d",
	ddl:     mysqlDDL,
	looks: looks{now: nowMySQL, rights: rightsMySQL, durability: durabilityMySQL, headroom: headroomMySQL, rows: rowsMySQL, unfit: unfitMySQL, foreignKeys: foreignKeysMySQL,
		everyCharacter: func(table, _ string) string { return "ALTER TABLE " + table + " CONVERT TO CHARACTER SET utf8mb4" }},
}

// openMySQL takes an address, a user and a database; the rest of the DSN's settings are made here, whatever it says.
func openMySQL(cfg Config) (*pools, error) {
	base, err := mysqlAddress(cfg.DSN)
	if err != nil {
		return nil, err
	}
	nodes := newMySQLNodes(base, cfg)
	p := &pools{node: nodes.node, moved: nodes.moved, leave: nodes.leave}
	make := func(patience time.Duration, idle time.Duration) *sql.DB {
		var connector driver.Connector
		if connector, err = nodes.connector(base, cfg, patience, idle); err != nil {
			return nil
		}
		db := sql.OpenDB(connector)
		db.SetConnMaxLifetime(cfg.MaxLifetime)
		return db
	}
	// A reader may have to answer a page of a table without an index, so it is more patient than a client is.
	p.reader = make(cfg.MaxWait+5*time.Second, 0)
	idle := mysqlWriterIdle
	if cfg.Standby {
		idle = mysqlStandbyIdle
	}
	p.writer = make(cfg.MaxWait+5*time.Second, idle)
	p.admin = make(0, 0)
	if err != nil {
		return nil, err
	}
	p.reader.SetMaxOpenConns(cfg.MaxOpen)
	p.reader.SetMaxIdleConns(cfg.MaxIdle)
	p.writer.SetMaxOpenConns(1)
	p.writer.SetMaxIdleConns(1)
	p.writer.SetConnMaxIdleTime(idle / 2)
	p.admin.SetMaxOpenConns(2)
	return p, nil
}

// mysqlWriterIdle ends a writer's session on the server: a writer that fell off the network must not hold the lock of
// tlim_state for the eight hours that the default wait_timeout gives it.
const mysqlWriterIdle = 60 * time.Second

// mysqlStandbyIdle is the same where another process wants to take over: as long as it waits for a leader that is silent.
const mysqlStandbyIdle = 4 * time.Second

// mysqlConnector makes connections to one address.
func mysqlConnector(base *mysql.Config, cfg Config, patience, idle time.Duration) (sessionConnector, error) {
	c := base.Clone()
	// utf8mb4 on the connection, whatever the table is: with utf8 an emoji fails even where the table could hold it.
	if err := c.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return sessionConnector{}, err
	}
	c.ParseTime, c.InterpolateParams, c.MultiStatements, c.AllowAllFiles = false, false, false, false
	c.ClientFoundRows = true                         // an UPDATE that changes nothing has found its row all the same
	c.RejectReadOnly = patience > 0 && !cfg.readOnly // after a fail-over to a replica: leave that connection
	c.Timeout, c.ReadTimeout, c.WriteTimeout = 10*time.Second, patience, patience
	c.Logger = mysqlLog{cfg.Log}
	if c.Params == nil {
		c.Params = map[string]string{}
	}
	// Without strict mode MySQL cuts a text that is too long and stores "?" for an emoji, with a warning nobody reads.
	c.Params["sql_mode"] = "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
	c.Params["innodb_lock_wait_timeout"] = fmt.Sprint(max(1, int(cfg.MaxWait.Seconds())))
	if idle > 0 {
		c.Params["wait_timeout"] = fmt.Sprint(int(idle.Seconds()))
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return sessionConnector{}, err
	}
	// Not a parameter: MariaDB 10 calls the variable tx_isolation, MySQL 8 transaction_isolation.
	// Transactions that only read came with MySQL 5.6.5 and MariaDB 10.
	setup := []string{"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED /*!50605 , READ WRITE */", mysqlSession}
	if patience > 0 && !cfg.readOnly {
		setup = append(setup, "DO GET_LOCK("+fmt.Sprintf(openMySQLMark, "CONNECTION_ID()")+", 0)")
	}
	return sessionConnector{Connector: connector, setup: setup}, nil
}

// mysqlSession takes back what an administrator may have set for every session of the server and what changes the meaning of our
// statements: rows that are cut off without a word, what is written and never committed, an order by the beginnings of long ids,
// sessions that end with their first COMMIT. A statement's time is bounded by who waits for it, and that of an ALTER TABLE by nobody.
const mysqlSession = "SET NAMES utf8mb4 COLLATE utf8mb4_bin, sql_select_limit = 18446744073709551615, sql_big_selects = 1, autocommit = 1, completion_type = 0, " +
	"sql_auto_is_null = 0, sql_safe_updates = 0, max_sort_length = 1024, unique_checks = 1 /*M!100101 , max_statement_time = 0 */ /*!50708 , max_execution_time = 0 */"

// sessionConnector runs some statements on each new connection.
type sessionConnector struct {
	driver.Connector
	check func(ctx context.Context, conn driver.Conn) error // before them; may be nil
	setup []string
}

// Connect opens a connection and sets it up.
func (s sessionConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if s.check != nil {
		if err := s.check(ctx, conn); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	for _, statement := range s.setup {
		if _, err := conn.(driver.ExecerContext).ExecContext(ctx, statement, nil); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// mysqlLog takes the driver's own remarks on broken connections, which come back as errors as well.
type mysqlLog struct{ log *slog.Logger }

// Print logs at debug level.
func (m mysqlLog) Print(v ...any) { m.log.Debug("mysql driver", "says", fmt.Sprint(v...)) }

// explainMySQL says which rights are wanted: the server names the first that lacks, of a dozen statements.
func explainMySQL(_ Config, err error) error {
	switch mysqlNumber(err) {
	case 1044, 1142, 1143, 1227:
		err = fmt.Errorf("%w; the user of store.dsn needs SELECT, INSERT, UPDATE and DELETE on its database, and CREATE, ALTER and INDEX at the first start of a new version", err)
	}
	return err
}

// grantee is the user as an error of rights names it, which is how a GRANT does.
var grantee = regexp.MustCompile(`for user ('[^']*'@'[^']*')`)

func remedyMySQL(cfg Config, err error) string {
	database, user := "<database>", "'<user>'@'<host>'"
	if base, failed := mysqlAddress(cfg.DSN); failed == nil && base.DBName != "" {
		database = base.DBName
	}
	if m := grantee.FindStringSubmatch(fmt.Sprint(err)); m != nil {
		user = m[1]
	}
	switch mysqlNumber(err) {
	case 1045, 1698, 1251, 1862:
		return "correct user and password in store.dsn; the server may know this user for another host only: SELECT user, host FROM mysql.user"
	case 1044, 1142, 1143, 1227:
		return "is " + database + " the right database? Then GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON `" + database + "`.* TO " + user
	case 1049:
		return "correct the database's name in store.dsn, or CREATE DATABASE `" + database + "` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
	case 1130:
		return "make the user of store.dsn for this host as well: CREATE USER"
	case 1129:
		return "have the server forget this host's failures: mysqladmin flush-hosts"
	case 1040, 1203, 1226:
		return "raise the server's max_connections or the user's own bound, or lower store.max_open of who else connects"
	case 1205:
		return "a session holds what is wanted by a transaction that takes its time: SHOW PROCESSLIST names it; end it, or wait, and try again"
	case 1832, 1833, 1834:
		return "drop the foreign key that it names (ALTER TABLE … DROP FOREIGN KEY …), do it again, and make the key anew: neither tlim nor the old plugin needs it"
	case 1071, 1709:
		return "a key is too long for the table's row format: ALTER TABLE the table ROW_FORMAT=DYNAMIC, or shorten the column of that key"
	case 1074:
		return "make that column longer than a varchar can be: ALTER TABLE the table MODIFY the column mediumtext"
	case 1021, 1114:
		return noRoom
	case 1005, 1026, 1030, 3:
		if text := err.Error(); strings.Contains(text, "errno: 28") || strings.Contains(text, "error 28") || strings.Contains(text, "errno: 135") {
			return noRoom
		}
	case 3159:
		return "add tls=true to the parameters of store.dsn: the server takes no connection without"
	}
	if errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, mysql.ErrMalformPkt) || errors.Is(err, mysql.ErrOldProtocol) {
		return noEngine("MySQL or MariaDB")
	}
	return ""
}

const noRoom = "make room on the disk where the server keeps its data (or its tmpdir): a table that is copied takes its own size and half of it again"

func mysqlNumber(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

func classifyMySQL(err error) error {
	if errors.Is(err, mysql.ErrPktTooLarge) {
		return ErrData
	}
	switch mysqlNumber(err) {
	case 1062, 1586: // duplicate entry
		return ErrDuplicate
	case 1366, // incorrect string (character set) or integer value
		1406,       // data too long
		1264, 1265, // out of range, truncated
		1292, 1300, 1977, 3854, 3988, // incorrect, invalid, or not convertible
		1048,       // NULL where none may be
		1153, 1301: // larger than max_allowed_packet
		return ErrData
	}
	return nil
}

// unmatchedMySQL: illegal mix of collations, by the number of operands (two, three, a list), and what MySQL 8 says of an argument
// instead. Two columns can be to blame as well.
func unmatchedMySQL(err error) bool {
	switch mysqlNumber(err) {
	case 1267, 1270, 1271, 3854, 3988:
		return true
	}
	return false
}

func heldMySQL(ctx context.Context, db querier, set charset, value string) (string, error) {
	if !plainName.MatchString(set.name) {
		return "", fmt.Errorf("%q is the name of no character set", set.name)
	}
	var held text
	err := db.QueryRowContext(ctx, "SELECT CONVERT(CONVERT(? USING "+set.name+") USING utf8mb4)", value).Scan(&held)
	return string(held), err
}

var plainName = regexp.MustCompile(`^[a-z0-9]+$`)

// uncommittedMySQL: a deadlock or a lock time-out rolls back. ErrBadConn is, by the driver's contract, given only when
// nothing was sent. Anything else at COMMIT, an error packet included, is looked up.
func uncommittedMySQL(err error) bool {
	n := mysqlNumber(err)
	return n == 1213 || n == 1205 || errors.Is(err, driver.ErrBadConn)
}

func catalogueMySQL(ctx context.Context, db querier) (catalogue, error) {
	c := catalogue{}
	err := each(ctx, db, `SELECT table_name, column_name, data_type, character_maximum_length, character_set_name, collation_name, extra
		FROM information_schema.columns WHERE table_schema = DATABASE()`,
		func(scan scanner) error {
			var table, name, kind, charset, collation, extra text
			var length number
			if err := scan(&table, &name, &kind, &length, &charset, &collation, &extra); err != nil {
				return err
			}
			info := columnInfo{name: string(name), kind: string(kind), charset: charsetMySQL(string(charset)), collation: string(collation)}
			info.numbered = strings.Contains(string(extra), "auto_increment")
			if info.kind == "varchar" || info.kind == "char" {
				info.length = int(length) // characters; the text types count bytes, and the server checks those
			}
			c.column(string(table), info)
			return nil
		})
	if err != nil {
		return nil, err
	}
	err = each(ctx, db, `SELECT table_name, index_name, column_name FROM information_schema.statistics
		WHERE table_schema = DATABASE() ORDER BY table_name, index_name, seq_in_index`,
		c.indexRow)
	return c, err
}

func lockMySQL(ctx context.Context, conn *sql.Conn) (func() error, error) {
	// DDL commits by itself here, so each step is repeatable and the lock is one of names.
	const name = "CONCAT('tlim_migrate ', DATABASE())"
	var got sql.NullInt64
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+name+", 60)").Scan(&got); err != nil {
		return nil, err
	}
	if got.Int64 != 1 {
		return nil, errors.New("another process has been changing the tables for 60 seconds")
	}
	return func() error {
		conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK("+name+")") // a connection that is lost has none
		return nil
	}, nil
}

// refuseMySQL: the statements of InnoDB cannot be logged by their text at READ COMMITTED (error 1665 at the first row), where a replica
// would find other rows than they did.
func refuseMySQL(ctx context.Context, db querier) (why string, err error) {
	set := map[string]string{}
	err = each(ctx, db, `SHOW SESSION VARIABLES WHERE Variable_name IN ('log_bin', 'sql_log_bin', 'binlog_format')`, func(scan scanner) error {
		var name, value text
		err := scan(&name, &value)
		set[strings.ToLower(string(name))] = strings.ToUpper(string(value))
		return err
	})
	if err == nil && set["log_bin"] == "ON" && set["sql_log_bin"] != "OFF" && set["binlog_format"] == "STATEMENT" {
		why = "the server's binlog_format is STATEMENT, with which no row can be written at READ COMMITTED; set it to ROW (SET GLOBAL binlog_format = 'ROW', and binlog_format = ROW in the server's configuration file)"
	}
	return why, err
}

func adviseMySQL(ctx context.Context, db querier) ([]string, error) {
	advice, err := durabilityMySQL(ctx, db)
	var sentences []string
	for _, a := range advice {
		sentences = append(sentences, a.Seen+" ("+a.Remedy+")")
	}
	return sentences, err
}
