package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"github.com/go-sql-driver/mysql"

	"tlim/scripts/lab"
	"tlim/store"
)

// database is an empty database of either kind, by the name that the table shows.
type database struct {
	name        string // SQLite, MariaDB
	driver, dsn string // as tlim takes them
}

// databases makes a database of both kinds, in the folder of a tlim that is not started yet, or of nobody.
func (r *rig) databases(ctx context.Context, name string) ([]database, error) {
	other, err := newMariaDB(ctx, r.mariadb, "bench_"+name)
	return []database{r.sqliteDatabase(name), other}, err
}

func (r *rig) sqliteDatabase(name string) database {
	return database{"SQLite", "sqlite", filepath.Join(r.dir, name+".db")}
}

func newMariaDB(ctx context.Context, server *lab.Server, name string) (d database, err error) {
	cfg, err := mysql.ParseDSN(server.DSN)
	if err != nil {
		return d, fmt.Errorf("database %s: %w", name, err)
	}
	db, err := sql.Open("mysql", server.DSN)
	if err != nil {
		return d, fmt.Errorf("database %s: %w", name, err)
	}
	if _, err = db.ExecContext(ctx, "CREATE DATABASE `"+name+"` CHARACTER SET utf8mb4"); err != nil {
		err = fmt.Errorf("database %s: %w", name, err)
	}
	cfg.DBName = name
	return database{"MariaDB", "mysql", cfg.FormatDSN()}, errors.Join(err, db.Close())
}

// config is what makes a tlim use it.
func (d database) config() map[string]any {
	return map[string]any{"store.driver": d.driver, "store.dsn": d.dsn}
}

// open is a store of our own on it.
func (d database) open(ctx context.Context) (*store.Store, error) {
	return store.Open(ctx, store.Config{Driver: d.driver, DSN: d.dsn})
}

// fillBatch is how many messages a fill commits at once.
const fillBatch = 2000

// fill writes changes into a database that no tlim has open. To a tlim that starts on it, all is as delivered long ago: it has
// nothing to replay. newest is the time of the newest message.
func (d database) fill(ctx context.Context, newest int64, changes iter.Seq[store.Change]) (err error) {
	s, err := d.open(ctx)
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	state, err := s.TakeOver(ctx)
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	batch := make([]store.Change, 0, fillBatch)
	write := func() error {
		err := s.Apply(ctx, state.Epoch, store.Positions{Clock: newest, Delivered: newest, Settled: newest}, batch)
		batch = batch[:0]
		return err
	}
	for c := range changes {
		if batch = append(batch, c); len(batch) == fillBatch {
			if err := write(); err != nil {
				return fmt.Errorf("fill: %w", err)
			}
		}
	}
	if err := write(); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	return nil
}
