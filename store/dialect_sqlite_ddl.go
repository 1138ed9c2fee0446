package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What a Migrator needs of SQLite. There a statement that changes tables keeps everybody from writing, so nobody else may have the file
// open: a process that serves would refuse messages meanwhile.

var sqliteDDL = ddl{
	open:      openSQLiteDDL,
	hold:      holdSQLite,
	dropIndex: func(index, _ string) string { return "DROP INDEX " + index },
}

func openSQLiteDDL(cfg Config) (*sql.DB, error) {
	base, err := sqliteURI(cfg.DSN)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(base, "mode=") {
		base += "mode=rw&"
	}
	db, err := sql.Open("sqlite", base+"_pragma=busy_timeout(0)&_pragma=locking_mode(EXCLUSIVE)&"+sqliteSafety+"&_pragma=cache_size(-65536)&_pragma=temp_store(MEMORY)&_txlock=immediate")
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

func holdSQLite(ctx context.Context, cfg Config, db *sql.DB) (conn *sql.Conn, release func() error, err error) {
	wait, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	err = unbusy(wait, func() (err error) {
		if conn, err = db.Conn(ctx); err != nil {
			return err
		}
		if _, err = conn.ExecContext(ctx, "BEGIN EXCLUSIVE"); err == nil {
			_, err = conn.ExecContext(ctx, "COMMIT") // the lock stays, by locking_mode
		}
		if err != nil {
			err = errors.Join(err, conn.Close())
		}
		return err
	})
	switch {
	case err == nil:
		return conn, nil, nil
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case busySQLite(err):
		return nil, nil, heldBy(openedBy(sqliteFile(cfg)))
	}
	return nil, nil, err
}

// openedBy names the other processes that have a file open, as far as this system and our rights tell.
func openedBy(path string) string {
	unknown := fmt.Sprintf("somebody has %s open (fuser %s names them); stop it first", path, path)
	absolute, err := filepath.Abs(path)
	if err == nil {
		absolute, err = filepath.EvalSymlinks(absolute)
	}
	if err != nil {
		return unknown
	}
	var who []string
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // only of a wrong pattern there is an error
	for _, link := range links {
		target, err := os.Readlink(link)
		process := filepath.Dir(filepath.Dir(link))
		if err != nil || target != absolute || filepath.Base(process) == fmt.Sprint(os.Getpid()) {
			continue
		}
		name, err := os.ReadFile(filepath.Join(process, "comm"))
		if err != nil { // it has ended since
			continue
		}
		if one := fmt.Sprintf("process %s (%s)", filepath.Base(process), strings.TrimSpace(string(name))); !slices.Contains(who, one) {
			who = append(who, one)
		}
	}
	if len(who) == 0 {
		return unknown
	}
	return fmt.Sprintf("%s has %s open; stop it first", strings.Join(who, " and "), path)
}
