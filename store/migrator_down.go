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
	Name  string `json:"name"`
	Rows  int64  `json:"rows"`
	Means string `json:"means"`
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
	tKey.name:      "keys of the HTTP API that the console and tlim keys new made: they end",
	tAudit.name:    "what administrators changed",
	tEvent.name:    "events for business systems, those not sent yet and the dead ones",
	tLeader.name:   "which process leads, and which stands by",
	tState.name:    "where delivery stands: a tlim that comes back begins behind the newest message",
	tSchema.name:   "the version of these tables",
}

// Return says what [Migrator.Down] would take away.
func (e *Examination) Return(ctx context.Context) (Return, error) {
	r, err := e.s.returns(ctx, e.patient(), e.have)
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
			n, err := countOf(ctx, db, p.name, t.name)
			if err != nil {
				return r, err
			}
			r.Columns = append(r.Columns, Lost{p.table + "." + p.name, n, "which messages are compressed or encrypted: clients show those as they are"})
		}
	}
	for _, t := range returnedTables {
		if have[t.name] != nil {
			n, err := countOf(ctx, db, "*", t.name)
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
	parts, err := schema(s.dialect.name)
	if err != nil {
		return nil, err
	}
	// Another program can have a table of such a name. Its rows are not ours to drop.
	for _, t := range ownTables {
		if info := have[t.name]; info != nil {
			if columns := lacking(t, parts, info); len(columns) > 0 {
				why = append(why, fmt.Sprintf("the table %s is another program's, and would be dropped: it has no column %s. Is store.dsn the right database? Else give that table another name", t.name, some(columns)))
			}
		}
	}
	if len(why) > 0 {
		return why, nil
	}
	if err := (&migration{s: s, have: have}).newer(ctx, db); err != nil {
		if !errors.Is(err, ErrSchema) {
			return nil, err
		}
		why = append(why, err.Error()+"; run that one")
	}
	for _, t := range deployedTables {
		info := have[t.name]
		if info == nil {
			why = append(why, "there is no table "+t.name+": is store.dsn the right database?")
			continue
		}
		for _, column := range lacking(t, parts, info) {
			why = append(why, "the plugin's column "+column+" is missing: is store.dsn the right database?")
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
	if err := m.possible(ctx, returning); err != nil {
		return nil, err
	}
	unlock, err := m.alone(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if failed := unlock(); failed != nil {
			gone = nil
			if err == nil { // else that is why
				err = m.explained(failed)
			}
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
	for i, step := range steps {
		begun := time.Now()
		tell := func() {
			m.tell(Progress{Step: i + 1, Steps: len(steps), What: step.what, Took: time.Since(begun), Unmeasured: true})
		}
		tell()
		if err := m.interruptibly(ctx, tell, func(ctx context.Context) error {
			_, err := m.conn.ExecContext(ctx, step.statement)
			return err
		}); err != nil {
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
		list = append(list, takeaway{"index " + i, s.dialect.ddl.dropIndex(index, table)})
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

// alone keeps others from starting until unlock, and is ErrHeld where another tlim has the database open.
func (m *Migrator) alone(ctx context.Context) (unlock func() error, err error) {
	if err := m.interruptibly(ctx, func() {}, func(ctx context.Context) (err error) {
		unlock, err = m.s.dialect.lock(ctx, m.conn)
		return err
	}); err != nil {
		return nil, m.explained(err)
	}
	if err := m.unused(ctx); err != nil {
		return nil, errors.Join(err, unlock())
	}
	return unlock, nil
}

// unused is ErrHeld where another tlim has the database open.
func (m *Migrator) unused(ctx context.Context) error {
	for until := time.Now().Add(holdTime); ; {
		who, err := m.s.openers(ctx, m.conn)
		switch {
		case err != nil:
			return m.explained(err)
		case who == "":
			return nil
		case time.Now().After(until):
			return fmt.Errorf("%w: %s; nothing was changed", ErrHeld, who)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(holdPause):
		}
	}
}

// openers says which other tlim has the database open; "" where none is seen.
func (s *Store) openers(ctx context.Context, db querier) (string, error) {
	if s.dialect.ddl.users == nil {
		return "", nil
	}
	who, err := s.dialect.ddl.users(ctx, db)
	if err != nil || len(who) == 0 {
		return "", err
	}
	return fmt.Sprintf("a tlim has the database open (%s): stop it first", strings.Join(who, ", ")), nil
}

// InTheWay says what would keep a [Migrator] from changing the tables now, or from dropping some, with the remedies.
func (e *Examination) InTheWay(ctx context.Context, drop bool) (why []string, err error) {
	c := converting
	if drop {
		c = returning
	}
	advice, err := e.s.hindrances(ctx, e.s.pools.reader, e.have, c)
	if err != nil {
		return nil, e.s.fail(err)
	}
	for _, a := range advice {
		why = append(why, a.Seen+". Remedy: "+a.Remedy)
	}
	who, err := e.s.openers(ctx, e.s.pools.reader)
	if who != "" {
		why = append(why, who)
	}
	return why, e.s.fail(err)
}

const holdPause = 50 * time.Millisecond
