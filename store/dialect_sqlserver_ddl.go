package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// What a Migrator needs of SQL Server.

var sqlserverDDL = ddl{
	open:   openSQLServerDDL,
	hold:   holdSQLServer,
	users:  usersSQLServer,
	sizes:  sizesSQLServer,
	online: func(statement string) string { return statement + " WITH (ONLINE = ON)" },
	// Whether an edition can is not known before: the Express and Standard ones refuse.
	onlineFor:     func(size) bool { return true },
	refusedOnline: func(err error) bool { n := sqlserverNumber(err); return n == 1712 || n == 2725 }, // not in this edition, and not of such a column
	undroppable: func(ctx context.Context, db querier) ([]Advice, error) {
		var may number
		if err := db.QueryRowContext(ctx, sqlserverMayAlter).Scan(&may); err != nil || may != 0 {
			return nil, err
		}
		return []Advice{{true, "the user of store.dsn may not ALTER its schema", "GRANT ALTER ON SCHEMA::dbo TO the user, or run this as an owner of the database"}}, nil
	},
	dropIndex: func(index, table string) string { return "DROP INDEX [" + index + "] ON " + table },
}

const (
	sqlserverHold     = `DECLARE @got int; EXEC @got = sp_getapplock @Resource = 'tlim_migrator', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 2000; SELECT @got`
	sqlserverMayAlter = `SELECT CAST(HAS_PERMS_BY_NAME(SCHEMA_NAME(), 'SCHEMA', 'ALTER') AS int)`

	// A lock by which each connection of a store says what it is. The server takes it away with the connection, and between two uses of one,
	// when the session begins anew.
	sqlserverMark = `EXEC sp_getapplock @Resource = 'tlim_open', @LockMode = 'Shared', @LockOwner = 'Session', @LockTimeout = 0`
	sqlserverOpen = `SELECT APPLOCK_TEST('public', 'tlim_open', 'Exclusive', 'Session')`

	sqlserverSizes = `SELECT t.name, SUM(CASE WHEN a.type = 1 AND p.index_id < 2 THEN p.rows ELSE 0 END), SUM(a.total_pages) * 8192
		FROM sys.tables t JOIN sys.partitions p ON p.object_id = t.object_id JOIN sys.allocation_units a ON a.container_id = p.partition_id
		WHERE t.schema_id = SCHEMA_ID() GROUP BY t.name`
)

// openSQLServerDDL makes one connection for the work, and one that looks.
func openSQLServerDDL(cfg Config) (*sql.DB, error) {
	base, err := sqlserverAddress(cfg.DSN)
	if err != nil {
		return nil, err
	}
	base.AppName = "tlim migrate"
	base.DialTimeout, base.ConnTimeout = sqlserverDial, 0
	db := sql.OpenDB(&sqlserverConnector{*base, sqlserverSession(cfg.MaxWait)})
	db.SetMaxOpenConns(2)
	return db, nil
}

func holdSQLServer(ctx context.Context, _ Config, db *sql.DB) (*sql.Conn, func() error, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	var got number
	if err = conn.QueryRowContext(ctx, sqlserverHold).Scan(&got); err == nil && got < 0 {
		err = heldBy("a session of the server with the name tlim migrate")
	}
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, nil, nil
}

// usersSQLServer tells that there are some: who they are the server tells only those who may see its state.
func usersSQLServer(ctx context.Context, db querier) ([]string, error) {
	var free number
	if err := db.QueryRowContext(ctx, sqlserverOpen).Scan(&free); err != nil || free != 0 {
		return nil, err
	}
	return []string{"a session of the server with the name tlim"}, nil
}

func sizesSQLServer(ctx context.Context, db querier) (map[string]size, error) {
	sizes := map[string]size{}
	err := each(ctx, db, sqlserverSizes, func(scan scanner) error {
		var table text
		var rows, bytes number
		err := scan(&table, &rows, &bytes)
		sizes[strings.ToLower(string(table))] = size{rows: int64(rows), bytes: int64(bytes)}
		return err
	})
	return sizes, err
}
