package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// What a Migrator needs of MySQL and MariaDB.

var mysqlDDL = ddl{
	open:  openMySQLDDL,
	hold:  holdMySQL,
	users: usersMySQL,
	sizes: sizesMySQL,
	convert: func(table string) string {
		return "ALTER TABLE " + table + " CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
	},
	converted:     "utf8mb4 is a character set of MySQL and MariaDB",
	unreadable:    unreadableMySQL,
	online:        func(statement string) string { return statement + " ALGORITHM=INPLACE LOCK=NONE" },
	onlineFor:     func(of size) bool { return of.engine == "" || strings.EqualFold(of.engine, "InnoDB") },
	refusedOnline: func(err error) bool { n := mysqlNumber(err); return n == 1845 || n == 1846 }, // not supported, and why
	connection: func(ctx context.Context, conn *sql.Conn) (int64, error) {
		var id int64
		err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id)
		return id, err
	},
	progress: progressMySQL,
	interrupt: func(ctx context.Context, db querier, connection int64) error {
		_, err := db.ExecContext(ctx, fmt.Sprintf("KILL QUERY %d", connection))
		return err
	},
	undroppable: func(ctx context.Context, db querier) ([]Advice, error) {
		account, err := accountMySQL(ctx, db)
		if err != nil {
			return nil, err
		}
		lacking, told, err := ddlMySQL(ctx, db, account.database, "DROP")
		if err != nil || !told || len(lacking) == 0 {
			return nil, err
		}
		return []Advice{{true, "the user of store.dsn lacks DROP", account.granting("DROP")}}, nil
	},
	dropIndex: func(index, table string) string { return "DROP INDEX " + index + " ON " + table },
}

// openMySQLDDL makes one connection for the work and one that watches it.
func openMySQLDDL(cfg Config) (*sql.DB, error) {
	base, err := mysqlAddress(cfg.DSN)
	if err != nil {
		return nil, err
	}
	connector, err := newMySQLNodes(base, cfg).connector(base, cfg, 0, 0)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(2)
	return db, nil
}

// A lock of a name of its own: that of a start is waited for by whoever starts, and an index takes longer than they wait. The server keeps
// it while it still works on the statement of a process that was killed.
const mysqlMigrator = "LEFT(CONCAT('tlim_migrator ', DATABASE()), 64)"

func holdMySQL(ctx context.Context, cfg Config, db *sql.DB) (*sql.Conn, func() error, error) {
	conn, err := db.Conn(ctx)
	if err == nil {
		if err = lockMigratorMySQL(ctx, cfg, conn); err != nil {
			err = errors.Join(err, conn.Close())
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return conn, nil, nil
}

func lockMigratorMySQL(ctx context.Context, cfg Config, conn *sql.Conn) error {
	// While a statement waits for a table, everybody behind it waits too.
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("SET SESSION lock_wait_timeout = %d", max(1, int(cfg.MaxWait.Seconds())))); err != nil {
		return err
	}
	var got, holder sql.NullInt64
	if err := conn.QueryRowContext(ctx, fmt.Sprintf("SELECT GET_LOCK(%s, %d)", mysqlMigrator, int(holdTime.Seconds()))).Scan(&got); err != nil {
		return err
	}
	if got.Int64 == 1 {
		return nil
	}
	if err := conn.QueryRowContext(ctx, "SELECT IS_USED_LOCK("+mysqlMigrator+")").Scan(&holder); err != nil {
		return err
	}
	var user, host, statement text
	var seconds number
	err := conn.QueryRowContext(ctx, "SELECT user, host, time, LEFT(info, 60) FROM information_schema.processlist WHERE id = ?", holder.Int64).
		Scan(&user, &host, &seconds, &statement)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return heldBy(fmt.Sprintf("connection %d of the server migrates", holder.Int64))
	case err != nil:
		return err
	case statement == "":
		return heldBy(fmt.Sprintf("connection %d of the server, of %s from %s, migrates", holder.Int64, user, host))
	}
	return heldBy(fmt.Sprintf("connection %d of the server, of %s from %s, has been at this for %d s: %s", holder.Int64, user, host, seconds, statement))
}

func sizesMySQL(ctx context.Context, db querier) (map[string]size, error) {
	sizes := map[string]size{}
	err := each(ctx, db, `SELECT table_name, engine, table_rows, data_length + index_length FROM information_schema.tables WHERE table_schema = DATABASE()`, func(scan scanner) error {
		var table, engine text
		var rows, bytes number
		err := scan(&table, &engine, &rows, &bytes)
		sizes[strings.ToLower(string(table))] = size{string(engine), int64(rows), int64(bytes)}
		return err
	})
	return sizes, err
}

// progressMySQL is MariaDB's: of an index that is built in place it is a number of the whole server, of a copy one of the connection. MySQL
// has neither; how far a step is is a courtesy, so that is no error.
func progressMySQL(ctx context.Context, db querier, connection int64) float64 {
	var name text
	var hundredths number
	if err := db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Innodb_onlineddl_pct_progress'").Scan(&name, &hundredths); err == nil && hundredths > 0 {
		return min(1, float64(hundredths)/10000)
	}
	var stage, stages int
	var percent float64
	err := db.QueryRowContext(ctx, "SELECT stage, max_stage, progress FROM information_schema.processlist WHERE id = ?", connection).Scan(&stage, &stages, &percent)
	if err != nil || stages == 0 || stage == 0 {
		return 0
	}
	return (float64(stage-1) + percent/100) / float64(stages)
}

// openMySQLMark is a lock by which a connection of a store says what it is. The server forgets it with the connection.
const openMySQLMark = "CONCAT('tlim_open ', %s)"

// usersMySQL finds the marks. Of other users' connections the server tells only who has the right PROCESS.
func usersMySQL(ctx context.Context, db querier) (who []string, err error) {
	err = each(ctx, db, "SELECT id, user, host FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID() AND IS_USED_LOCK("+fmt.Sprintf(openMySQLMark, "id")+") = id",
		func(scan scanner) error {
			var id number
			var user, host text
			err := scan(&id, &user, &host)
			who = append(who, fmt.Sprintf("connection %d of the server, of %s from %s", id, user, host))
			return err
		})
	return who, err
}

// unreadableMySQL counts the texts of a latin1 column that are UTF-8 by their bytes: a program wrote them without saying so. They are read
// today as they are after the conversion, which is wrong both times.
func unreadableMySQL(ctx context.Context, db querier, table string, have *tableInfo) (notes []string, err error) {
	for _, c := range []string{"body", "content"} {
		if have.columns[c].charset.name != "latin1" {
			continue
		}
		const bytes, meant, read = "CONVERT(CAST(%s AS BINARY) USING utf8mb4)", "%[1]s <> CONVERT(%[2]s USING utf8mb4) AND %[1]s NOT LIKE '%%?%%'", "CONVERT(CAST(CONVERT(%s USING latin1) AS BINARY) USING utf8mb4)"
		var n number
		var example text
		where := fmt.Sprintf(meant, fmt.Sprintf(bytes, c), c)
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*), MIN(id_) FROM "+table+" WHERE "+where).Scan(&n, &example); err != nil {
			return nil, err
		}
		if n > 0 {
			notes = append(notes, fmt.Sprintf("%d values of %s are UTF-8 that was written as latin1, such as that of id_ %.64q: they are misread today and stay so. After the conversion: UPDATE %s SET %s = %s WHERE id_ = …",
				n, c, string(example), table, c, fmt.Sprintf(read, c)))
		}
	}
	return notes, nil
}
