package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// What a Migrator needs of Oracle.

var oracleDDL = ddl{
	open:   openOracleDDL,
	hold:   holdOracle,
	users:  usersOracle,
	online: func(statement string) string { return statement + " ONLINE" },
	// Whether an edition can is not known before: Standard refuses.
	onlineFor:     func(size) bool { return true },
	refusedOnline: func(err error) bool { return oracleCode(err) == 439 },
	dropIndex:     func(index, _ string) string { return "DROP INDEX " + index },
}

const (
	oracleHoldTable = `CREATE TABLE tlim_migrator (id NUMBER(1))`
	oracleHold      = `LOCK TABLE tlim_migrator IN EXCLUSIVE MODE WAIT 2`
	oracleRelease   = `DROP TABLE tlim_migrator`

	// The sessions of a store have this name; who changes tables or looks at them has another one.
	oracleProgram = "tlim"
	oracleUsers   = `SELECT sid, username, machine FROM v$session WHERE program = 'tlim' AND schemaname = SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')`
)

// openOracleDDL makes one connection for the work, and one that looks. A statement waits as long for writers of its table as others wait.
func openOracleDDL(cfg Config) (*sql.DB, error) {
	base, err := oracleAddress(cfg.DSN)
	if err != nil {
		return nil, err
	}
	base.ProgramName = oracleProgram + " migrate"
	session := append([]string{fmt.Sprintf("ALTER SESSION SET DDL_LOCK_TIMEOUT = %d", max(1, int(cfg.MaxWait/time.Second)))}, oracleSession...)
	db := sql.OpenDB(&oracleConnector{config: *base, session: session})
	db.SetMaxOpenConns(2)
	return db, nil
}

// holdOracle locks a table of its own, as [lockOracle] does with another one; a process that was killed leaves it to the next.
func holdOracle(ctx context.Context, _ Config, db *sql.DB) (*sql.Conn, func() error, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	release, err := oracleTableLock{oracleHoldTable, oracleHold, oracleRelease}.take(ctx, conn)
	switch {
	case err == nil:
		return conn, release, nil
	case errors.Is(err, errOracleHeld):
		err = heldBy("a session of the server that has locked TLIM_MIGRATOR")
	}
	return nil, nil, errors.Join(err, conn.Close())
}

// usersOracle finds the sessions. Who may not read V$SESSION is told of none; a tlim that writes is fenced before anything goes.
func usersOracle(ctx context.Context, db querier) (who []string, err error) {
	err = each(ctx, db, oracleUsers, func(scan scanner) error {
		var id number
		var user, host text
		err := scan(&id, &user, &host)
		who = append(who, fmt.Sprintf("session %d of the server, of %s from %s", id, user, host))
		return err
	})
	if code := oracleCode(err); code == 942 || code == 1031 {
		return nil, nil
	}
	return who, err
}
