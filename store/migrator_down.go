package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Return is what giving the tables back to the old plugin takes away, and what keeps from it.
type Return struct {
	Refused []string // why it is not done, and the remedy
	Indexes []string // of the plugin's tables
	Columns []Lost   // of the plugin's tables
	Tables  []Lost
}

// Lost is what goes, how many rows of it have something, and what that means.
type Lost struct {
	Name  string
	Rows  int64
	Means string
}

// lostTables say what goes with a table of our own that has rows.
var lostTables = map[string]string{
	tID.name:       "which messages there were: one that is sent again is stored again",
	tUser.name:     "users that addUser named, push codes, who has left",
	tFormer.name:   "members removed in the last 24 hours: their late notices are not taken",
	tPurge.name:    "dissolved groups whose messages are still to be removed: they stay",
	tSecret.name:   "the key of the users' HTTP tokens: they end",
	tFile.name:     "names and types of uploaded files: their bytes stay in files.dir, their addresses answer nothing",
	tUse.name:      "which messages name a file",
	tPush.name:     "pushes, those not sent yet too",
	tCall.name:     "calls that can be repeated or are not finished",
	tCallPart.name: "their receivers who have no message yet",
	tState.name:    "where delivery stands: a tlim that comes back begins behind the newest message",
	tSchema.name:   "the version of these tables",
}

// Return says what [Migrator.Down] would take away.
func (e *Examination) Return(ctx context.Context) (Return, error) {
	r, err := e.s.returns(ctx, e.s.pools.reader, e.have)
	return r, e.s.fail(err)
}

func (s *Store) returns(ctx context.Context, db querier, have catalogue) (r Return, err error) {
	if r.Refused, err = s.unreturnable(ctx, db, have); err != nil {
		return r, err
	}
	parts, err := schema(s.dialect.name)
	if err != nil {
		return r, err
	}
	rows := func(query string) (n int64, err error) {
		err = each(ctx, db, query, func(scan scanner) error { return scan((*number)(&n)) })
		return n, err
	}
	for _, t := range deployedTables {
		info := have[t.name]
		if info == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(info.indexes)) {
			if strings.HasPrefix(name, "tlim_") {
				r.Indexes = append(r.Indexes, name+" of "+t.name)
			}
		}
		for _, p := range parts {
			if _, there := info.columns[p.name]; p.kind != "column" || p.table != t.name || !there {
				continue
			}
			n, err := rows(`SELECT COUNT(` + p.name + `) FROM ` + t.name)
			if err != nil {
				return r, err
			}
			r.Columns = append(r.Columns, Lost{p.table + "." + p.name, n, "which messages are compressed or encrypted: clients show those as they are"})
		}
	}
	for _, t := range returnedTables {
		if have[t.name] != nil {
			n, err := rows(`SELECT COUNT(*) FROM ` + t.name)
			if err != nil {
				return r, err
			}
			r.Tables = append(r.Tables, Lost{t.name, n, lostTables[t.name]})
		}
	}
	return r, nil
}

// returnedTables are our own in the order in which they go. The row that fences a process that still writes goes last.
var returnedTables = append(slices.DeleteFunc(slices.Clone(ownTables), func(t table) bool { return t.name == tState.name }), tState)

// unreturnable says why the old plugin could not run on the tables.
func (s *Store) unreturnable(ctx context.Context, db querier, have catalogue) (why []string, err error) {
	if err := (&migration{s: s, have: have}).newer(ctx, db); err != nil {
		if !errors.Is(err, ErrSchema) {
			return nil, err
		}
		why = append(why, err.Error()+"; run that one")
	}
	parts, err := schema(s.dialect.name)
	if err != nil {
		return nil, err
	}
	for _, t := range deployedTables {
		info := have[t.name]
		if info == nil {
			why = append(why, "there is no table "+t.name+": is store.dsn the right database?")
			continue
		}
		for _, c := range t.columns {
			ours := slices.ContainsFunc(parts, func(p part) bool { return p.kind == "column" && p.table == t.name && p.name == c.name })
			if _, there := info.columns[c.name]; !there && !ours {
				why = append(why, "the plugin's column "+t.name+"."+c.name+" is missing: is store.dsn the right database?")
			}
		}
	}
	if versions := have["ofversion"]; versions != nil {
		found := false
		name := s.dialect.quote(versions.names[0])
		if err := each(ctx, db, `SELECT name FROM `+name, func(scan scanner) error {
			var plugin text
			err := scan(&plugin)
			found = found || plugin == "tlim"
			return err
		}); err != nil {
			return nil, err
		}
		if !found {
			why = append(why, fmt.Sprintf("ofVersion has no row tlim, so the plugin would drop its eight tables at its first start: INSERT INTO %s (name, version) VALUES ('tlim', 1)", versions.names[0]))
		}
	}
	return why, nil
}

// Down gives the tables back to the old plugin: indexes and columns of tlim on the plugin's tables go, then the tables of its own. It
// returns what went. No row of the plugin's tables is changed. A process that serves keeps it from it.
func (m *Migrator) Down(ctx context.Context) (gone []string, err error) {
	if err := m.writable(ctx); err != nil {
		return nil, err
	}
	if err := m.alone(ctx); err != nil {
		return nil, err
	}
	if look := m.s.dialect.moves.undroppable; look != nil {
		why, err := look(ctx, m.conn)
		if err == nil && why != "" {
			err = errors.New("nothing was changed: " + why)
		}
		if err != nil {
			return nil, m.explained(err)
		}
	}
	unlock, err := m.s.dialect.lock(ctx, m.conn) // from who starts now
	if err != nil {
		return nil, m.explained(err)
	}
	defer func() {
		if failed := unlock(); failed != nil {
			gone, err = nil, errors.Join(err, m.explained(failed))
		}
	}()
	have, err := m.s.dialect.catalogue(ctx, m.conn)
	if err != nil {
		return nil, m.explained(err)
	}
	r, err := m.s.returns(ctx, m.conn, have)
	if err != nil {
		return nil, m.explained(err)
	}
	if len(r.Refused) > 0 {
		return nil, fmt.Errorf("%w, nothing was changed: %s", ErrSchema, strings.Join(r.Refused, "; "))
	}
	steps := m.s.takeaways(r)
	if have[tState.name] != nil {
		// Whoever still writes, from wherever, is fenced before anything goes.
		steps = slices.Insert(steps, 0, takeaway{"", stateTake})
	}
	for _, step := range steps {
		if _, err := m.conn.ExecContext(ctx, step.statement); err != nil {
			return gone, fmt.Errorf("%s: %w", step.statement, m.explained(err))
		}
		if step.what != "" {
			gone = append(gone, step.what)
		}
	}
	return gone, nil
}

type takeaway struct{ what, statement string }

func (s *Store) takeaways(r Return) (list []takeaway) {
	for _, i := range r.Indexes {
		index, table, _ := strings.Cut(i, " of ")
		list = append(list, takeaway{"index " + i, s.dialect.moves.dropIndex(index, table)})
	}
	for _, c := range r.Columns {
		table, column, _ := strings.Cut(c.Name, ".")
		list = append(list, takeaway{"column " + c.Name, "ALTER TABLE " + table + " DROP COLUMN " + column})
	}
	for _, t := range r.Tables {
		list = append(list, takeaway{"table " + t.Name, "DROP TABLE " + t.Name})
	}
	return list
}

// alone is ErrHeld where another tlim has the database open.
func (m *Migrator) alone(ctx context.Context) error {
	if m.s.dialect.moves.users == nil {
		return nil
	}
	for until := time.Now().Add(holdTime); ; {
		who, err := m.s.dialect.moves.users(ctx, m.conn)
		switch {
		case err != nil:
			return m.explained(err)
		case len(who) == 0:
			return nil
		case time.Now().After(until):
			return fmt.Errorf("%w: a tlim has the database open (%s); stop it first, nothing was changed", ErrHeld, strings.Join(who, ", "))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(holdPause):
		}
	}
}

const holdPause = 50 * time.Millisecond
