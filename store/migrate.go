package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

//go:embed schema
var schemaFiles embed.FS

// schemaVersion is the number of the schema that this version writes into tlim_schema.
const schemaVersion = 1

// Report says what [Open] found and did.
type Report struct {
	Engine   string
	Created  []string // tables made by this Open
	Added    []string // columns added to legacy tables, and indexes made on empty ones
	Missing  []string // the statements that make the missing indexes of legacy tables
	Degraded []string // what is refused although it is everyday's, and the remedy; the worst first
	Warnings []string // what cannot be stored, or could be lost, and the remedy
}

// part is one statement of schema/<engine>/*.sql.
type part struct {
	kind    string // table, column or index
	table   string
	name    string // of the column or index
	columns []string
	sql     string
}

// repeatable is the statement of an index without uniqueness: the old plugin left duplicates.
func (p part) repeatable() string { return strings.Replace(p.sql, "UNIQUE ", "", 1) }

var (
	createTable = regexp.MustCompile(`(?s)^CREATE TABLE (\w+) \(`)
	addColumn   = regexp.MustCompile(`(?s)^ALTER TABLE (\w+) ADD (?:COLUMN )?\(?(\w+) `)
	createIndex = regexp.MustCompile(`(?s)^CREATE (?:UNIQUE )?INDEX (\w+) ON (\w+) \(([\w,\[\]" ]+)\)`)
	quotes      = strings.NewReplacer("[", "", "]", "", `"`, "", " ", "")
)

// schema reads the statements of an engine, in the order tables, columns, indexes.
func schema(engine string) ([]part, error) {
	var parts []part
	for _, file := range []string{"tables.sql", "columns.sql", "indexes.sql"} {
		text, err := schemaFiles.ReadFile("schema/" + engine + "/" + file)
		if err != nil {
			return nil, err
		}
		var kept []string
		for _, line := range strings.Split(string(text), "\n") {
			if !strings.HasPrefix(strings.TrimSpace(line), "--") {
				kept = append(kept, line)
			}
		}
		for _, stmt := range strings.Split(strings.Join(kept, "\n"), ";") {
			if stmt = strings.TrimSpace(stmt); stmt == "" {
				continue
			}
			p := part{sql: stmt}
			if m := createTable.FindStringSubmatch(stmt); m != nil {
				p.kind, p.table, p.name = "table", m[1], m[1]
			} else if m := addColumn.FindStringSubmatch(stmt); m != nil {
				p.kind, p.table, p.name = "column", m[1], m[2]
			} else if m := createIndex.FindStringSubmatch(stmt); m != nil {
				p.kind, p.name, p.table, p.columns = "index", m[1], m[2], strings.Split(strings.ToLower(quotes.Replace(m[3])), ",")
			} else {
				return nil, fmt.Errorf("schema/%s/%s: not a statement of a known form: %s", engine, file, stmt)
			}
			parts = append(parts, p)
		}
	}
	return parts, nil
}

// migrate creates or adopts the tables, as Config.Migrate says.
func (s *Store) migrate(ctx context.Context) error {
	s.report.Engine = s.dialect.name
	switch s.cfg.Migrate {
	case MigrateAuto, MigrateCheck, MigrateOff:
	default:
		return fmt.Errorf("store.migrate %q is not known, use auto, check or off", s.cfg.Migrate)
	}
	conn, err := s.pools.admin.Conn(ctx)
	if err != nil {
		return s.fail(err)
	}
	m := &migration{s: s, conn: conn, auto: s.cfg.Migrate == MigrateAuto, off: s.cfg.Migrate == MigrateOff}
	err = m.run(ctx)
	// Closed by hand and not deferred: SQLite has one writing connection, and the next statement wants it.
	err = errors.Join(err, conn.Close())
	s.logReport()
	return err
}

func (s *Store) logReport() {
	r := s.report
	if len(r.Created)+len(r.Added) > 0 {
		s.log.Info("database tables made", "tables", r.Created, "added", r.Added)
	}
	if len(r.Missing) > 0 {
		s.log.Warn("indexes are missing, reads will be slow until these statements have been run", "statements", strings.Join(r.Missing, "; "))
	}
	for _, w := range r.Degraded {
		s.log.Error("database: " + w)
	}
	for _, w := range r.Warnings {
		s.log.Warn("database: " + w)
	}
}

type migration struct {
	s     *Store
	conn  *sql.Conn
	auto  bool
	off   bool // nothing is compared: only what inserts must know of legacy columns is read
	have  catalogue
	parts []part
	wrong []string          // differences that nothing here may or can mend
	slow  func(what string) // hears of a statement that may take its time, before it; may be nil
}

// run refuses a server on which no row can be written. Then it compares (1), and goes through the tables (2), the columns (3), the
// indexes (4) and our own rows (5). Each step looks before it acts, so the next run finishes one that was killed.
func (m *migration) run(ctx context.Context) (err error) {
	if m.parts, err = schema(m.s.dialect.name); err != nil {
		return err
	}
	for i := range m.parts {
		m.parts[i].sql = m.s.dialect.named(m.parts[i].sql)
	}
	if m.s.dialect.refuse != nil {
		why, err := m.s.dialect.refuse(ctx, m.conn)
		if err == nil && why != "" {
			return errors.New(why)
		}
		if err != nil {
			return m.s.fail(err)
		}
	}
	if m.auto {
		unlock, failed := m.s.dialect.lock(ctx, m.conn)
		if failed != nil {
			return m.s.fail(failed)
		}
		defer func() {
			if failed := unlock(); failed != nil {
				m.s.report = Report{Engine: m.s.dialect.name}
				err = errors.Join(err, fmt.Errorf("commit the tables: %w", m.s.fail(failed)))
			}
		}()
	}
	if m.have, err = m.s.dialect.catalogue(ctx, m.conn); err != nil {
		return m.s.fail(err)
	}
	m.s.dialect = m.s.dialect.exactly(m.have)
	steps := []func(context.Context) error{m.version, m.compare, m.tables, m.made, m.columns, m.indexes, m.rows, m.advise}
	if m.off {
		steps = []func(context.Context) error{m.shapes, m.advise}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	for _, w := range m.wrong { // with store.migrate off differences are told, and the start goes on
		m.warn("%s", w)
	}
	return nil
}

// version refuses tables of a newer tlim before anything is touched.
func (m *migration) version(ctx context.Context) error { return m.newer(ctx, m.conn) }

// newer refuses tables of a newer tlim.
func (m *migration) newer(ctx context.Context, db querier) error {
	if m.have[tSchema.name] == nil {
		return nil
	}
	var version number
	err := db.QueryRowContext(ctx, m.s.dialect.text(`SELECT version FROM tlim_schema WHERE id = 1`)).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil && version > schemaVersion {
		return fmt.Errorf("%w: they are of version %d, made by a newer tlim; this one knows version %d", ErrSchema, version, schemaVersion)
	}
	return m.s.fail(err)
}

// compare refuses what nothing here may mend before anything is touched, and learns the shapes of legacy tables.
func (m *migration) compare(ctx context.Context) error {
	adds := m.parts
	if !m.auto {
		adds = nil
	}
	for _, t := range allTables() {
		if m.have[t.name] == nil {
			if !m.auto {
				m.wrong = append(m.wrong, "table "+t.name+" is missing")
			}
			continue
		}
		for _, column := range lacking(t, adds, m.have[t.name]) {
			m.wrong = append(m.wrong, "column "+column+" is missing")
		}
	}
	if err := m.shapes(ctx); err != nil {
		return err
	}
	if len(m.wrong) > 0 {
		remedy := ""
		if slices.ContainsFunc(m.wrong, func(w string) bool { return remedyIn(w) == "" }) {
			remedy = "; is this the right database?"
			if !m.auto {
				remedy = "; store.migrate is check: set it to auto for one start"
			}
		}
		return fmt.Errorf("%w: %s%s", ErrSchema, strings.Join(m.wrong, ", "), remedy)
	}
	return nil
}

func (m *migration) shapes(ctx context.Context) error {
	unfit, err := m.s.unfit(ctx, m.conn, m.have)
	if err != nil {
		return m.s.fail(err)
	}
	for _, a := range unfit {
		if a.Severe {
			m.wrong = append(m.wrong, a.Seen+" ("+a.Remedy+")")
		} else {
			m.warn("%s (%s)", a.Seen, a.Remedy)
		}
	}
	m.s.report.Degraded = m.s.dialect.refusals(m.have)
	for _, t := range allTables() {
		if info := m.have[t.name]; info != nil {
			m.adopt(t, info)
		}
	}
	m.s.report.Warnings = append(m.s.report.Warnings, m.s.dialect.conversions(m.have)...)
	return nil
}

func (m *migration) tables(ctx context.Context) error {
	for _, p := range missing(m.parts, m.have) {
		if p.kind != "table" {
			continue
		}
		if _, err := m.conn.ExecContext(ctx, p.sql); err != nil {
			return fmt.Errorf("create table %s: %w", p.table, m.s.fail(err))
		}
		m.s.report.Created = append(m.s.report.Created, p.table)
	}
	return nil
}

// made learns the shapes of the tables that were made just now, where they have the character set of their database and the server does
// not say what it lacks.
func (m *migration) made(ctx context.Context) error {
	if len(m.s.report.Created) == 0 || !m.s.dialect.replaces {
		return nil
	}
	have, err := m.s.dialect.catalogue(ctx, m.conn)
	if err != nil {
		return m.s.fail(err)
	}
	maps.DeleteFunc(have, func(name string, _ *tableInfo) bool { return !slices.Contains(m.s.report.Created, name) })
	for _, t := range allTables() {
		if info := have[t.name]; info != nil {
			m.adopt(t, info)
		}
	}
	m.s.report.Degraded = append(m.s.report.Degraded, m.s.dialect.refusals(have)...)
	m.s.report.Warnings = append(m.s.report.Warnings, m.s.dialect.conversions(have)...)
	return nil
}

// columns adds those that may be added.
func (m *migration) columns(ctx context.Context) error {
	for _, p := range missing(m.parts, m.have) {
		if p.kind != "column" {
			continue
		}
		if m.slow != nil {
			m.slow("column " + p.name + " of " + p.table)
		}
		m.s.log.Info("adding a column; a server without instant ones copies the table, which takes its time", "column", p.table+"."+p.name)
		if _, err := m.conn.ExecContext(ctx, p.sql); err != nil {
			return fmt.Errorf("add column %s.%s: %w", p.table, p.name, m.s.fail(err))
		}
		m.s.report.Added = append(m.s.report.Added, p.table+"."+p.name)
	}
	return nil
}

// adopt takes a table's lengths as they are, and names what it cannot hold.
func (m *migration) adopt(t table, info *tableInfo) {
	sh := m.s.shapes[t.name]
	for i, c := range t.columns {
		have := info.columns[c.name]
		if have.charset.lacks != lacksNothing {
			sh.charsets[i] = have.charset
		}
		switch {
		case sh.width != nil:
			if sh.sizes[i] = have.length; have.characters > 0 && (c.limit == 0 || have.characters < c.limit) {
				sh.limits[i] = have.characters
			}
		case have.length > 0 && (c.limit == 0 || have.length < c.limit):
			sh.limits[i] = have.length
		}
		if dated(have.kind) || isTime(c.name) && slices.Contains(m.s.dialect.narrow, have.kind) {
			m.wrong = append(m.wrong, fmt.Sprintf("%s.%s is %s and takes no milliseconds: the old plugin cannot run on it either (make it varchar(20) as the plugin's own script does, and its values milliseconds since 1970, 13 digits)",
				t.name, c.name, have.kind))
		}
		if c.name == "body" && have.length > 0 {
			m.warn("%s.body holds %d characters: longer messages are refused (%s)", t.name, have.length, m.s.dialect.widenBody(t.name))
		}
	}
	first := t.columns[0].name
	if have := info.columns[first]; slices.Contains(m.s.dialect.integers, have.kind) && (first == "id_" || first == "style_id") {
		if have.numbered {
			sh.number()
		} else {
			m.wrong = append(m.wrong, fmt.Sprintf("%s.%s is %s and does not number itself: it has to take a text of 36 characters (%s)",
				t.name, first, have.kind, m.s.dialect.widenKey(t.name, first)))
		}
	}
}

// dated says that a type, of whichever engine, is one of dates or times: it refuses a text of milliseconds, or answers another one.
func dated(kind string) bool {
	return strings.HasPrefix(kind, "date") || strings.HasPrefix(kind, "time") || kind == "smalldatetime" || kind == "year"
}

// isTime says that a column holds a time in milliseconds, by the names of the deployed tables.
func isTime(column string) bool { return column == "ts" || strings.HasSuffix(column, "_time") }

func (m *migration) warn(format string, args ...any) {
	m.s.report.Warnings = append(m.s.report.Warnings, fmt.Sprintf(format, args...))
}

// indexes makes those of our own tables and of tables without rows, and names the missing ones of others: building one on
// millions of rows is the administrator's decision. On a table with rows uniqueness is not asked for: the old plugin left
// duplicates.
func (m *migration) indexes(ctx context.Context) error {
	empty := map[string]bool{}
	for _, t := range ownTables {
		empty[t.name] = m.auto // as good as empty: nobody else writes them, and where they are large they have their index
	}
	for _, p := range m.parts {
		if p.kind != "index" {
			continue
		}
		if info := m.have[p.table]; info != nil && info.serves(p.columns) {
			continue
		}
		if _, asked := empty[p.table]; !asked && m.auto {
			found := false
			query, args := m.s.dialect.page(`SELECT 1 FROM `+p.table, nil, 1, 0)
			if err := each(ctx, m.conn, m.s.dialect.text(query), func(scanner) error { found = true; return nil }, args...); err != nil {
				return m.s.fail(err)
			}
			empty[p.table] = !found
		}
		statement := p.sql
		if info := m.have[p.table]; info != nil && !m.s.dialect.tellApart(info, p.columns) && isDeployed(table{name: p.table}) {
			statement = p.repeatable() // it would take two ids for one
		}
		if !empty[p.table] || p.takenBy(m.have) != nil {
			m.s.report.Missing = append(m.s.report.Missing, p.repeatable())
			continue
		}
		if _, err := m.conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("create index %s: %w", p.name, m.s.fail(err))
		}
		if m.have[p.table] != nil {
			m.s.report.Added = append(m.s.report.Added, p.name)
		}
	}
	return nil
}

// rows makes the rows that must exist: the schema's version and tlim_state.
func (m *migration) rows(ctx context.Context) error {
	if !m.auto {
		return nil
	}
	if err := m.rowOnce(ctx, tSchema.name, func() error {
		_, err := m.conn.ExecContext(ctx, m.s.dialect.text(`INSERT INTO tlim_schema (id, version, applied) VALUES (1, ?, ?)`),
			schemaVersion, m.s.cfg.Now().UnixMilli())
		return err
	}); err != nil {
		return err
	}
	return m.rowOnce(ctx, tState.name, func() error {
		// Positions begin behind the rows of the old plugin: without that the first crash would replay all of history. A
		// sender's clock may have run ahead, so never in the future.
		newest := text("")
		query, args := m.s.dialect.page(`SELECT msg_time FROM ofmessage WHERE msg_time <= ? ORDER BY msg_time DESC`,
			[]any{millis(m.s.cfg.Now().UnixMilli())}, 1, 0)
		if err := each(ctx, m.conn, m.s.dialect.text(query), func(scan scanner) error { return scan(&newest) }, args...); err != nil {
			return err
		}
		from, ok := ParseTime(string(newest))
		if newest != "" && !ok { // a time in another form: nothing of the past is ours
			from = m.s.cfg.Now().UnixMilli()
		}
		_, err := m.conn.ExecContext(ctx, m.s.dialect.text(`INSERT INTO tlim_state (id, epoch, batch, clock, delivered, settled) VALUES (1, 0, 0, 0, ?, ?)`),
			from, from)
		return err
	})
}

func (m *migration) rowOnce(ctx context.Context, table string, insert func() error) error {
	found := false
	err := each(ctx, m.conn, m.s.dialect.text(`SELECT id FROM `+table+` WHERE id = 1`), func(scanner) error { found = true; return nil })
	if err == nil && !found {
		err = insert()
	}
	if err != nil {
		return fmt.Errorf("first row of %s: %w", table, m.s.fail(err))
	}
	return nil
}

// advise looks at the server or the file, also with tables that others made.
func (m *migration) advise(ctx context.Context) error {
	advice, err := m.s.dialect.advise(ctx, m.conn)
	m.s.report.Warnings = append(m.s.report.Warnings, advice...)
	return m.s.fail(err)
}
