package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Advice is what is not as it should be in a database, and its remedy.
type Advice struct {
	Severe bool // messages are refused, lost or wrong because of it
	Seen   string
	Remedy string // a statement where one mends it
}

// Examination looks at a database and changes nothing in it: no table, no row, no file. Its methods may be called from several
// goroutines.
type Examination struct {
	s    *Store
	have catalogue
}

// maxExamineConns bounds the connections of an Examination: it works beside a process that serves.
const maxExamineConns = 4

// Examine connects. Its error is one line that names what is wrong; it is fs.ErrNotExist for a database in a file that is not
// there, and holds no secret. Close the Examination after use.
func Examine(ctx context.Context, cfg Config) (*Examination, error) {
	cfg = cfg.withDefaults()
	cfg.Migrate, cfg.readOnly = MigrateOff, true
	cfg.MaxOpen, cfg.MaxIdle = maxExamineConns, maxExamineConns
	d, err := dialectOf(cfg.Driver)
	if err != nil {
		return nil, err
	}
	p, err := d.open(cfg)
	if err != nil {
		return nil, fmt.Errorf("store.dsn: %w", err)
	}
	s := unstarted(cfg, d, p)
	e := &Examination{s: s}
	began := time.Now()
	if e.have, err = s.catalogueWithin(ctx); err != nil {
		err = s.late(s.fail(err), began)
		if d.explain != nil {
			err = d.explain(cfg, err)
		}
		return nil, errors.Join(fmt.Errorf("open the %s database: %w", d.name, err), s.Close())
	}
	s.dialect = d.exactly(e.have)
	return e, nil
}

// unstarted is a store that nothing was asked of yet.
func unstarted(cfg Config, d *dialect, p *pools) *Store {
	s := &Store{cfg: cfg, log: cfg.Log, dialect: d, pools: p, shapes: map[string]*shape{}, turn: make(chan struct{}, 1),
		writers: map[statement]*prepared{}, wanted: map[statement]*command{}}
	for _, t := range allTables() {
		s.shapes[t.name] = d.shapeOf(t)
	}
	return s
}

// catalogueWithin reads the catalogue. Not every driver comes back with its context, and who opens a pipe waits for ever.
func (s *Store) catalogueWithin(ctx context.Context) (catalogue, error) {
	if file := s.File(); file != "" {
		if err := regular(file); err != nil {
			return nil, err
		}
	}
	type answer struct {
		have catalogue
		err  error
	}
	came := make(chan answer, 1) // nobody takes it after the time
	go func() {
		have, err := s.dialect.catalogue(ctx, s.pools.reader)
		came <- answer{have, err}
	}()
	select {
	case a := <-came:
		return a.have, a.err
	case <-ctx.Done():
	}
	select {
	case a := <-came: // it gave up itself, and knows more
		return a.have, a.err
	case <-time.After(s.cfg.MaxWait / 10):
		return nil, ctx.Err()
	}
}

// Close ends the connections.
func (e *Examination) Close() error { return e.s.Close() }

// Tables lists those of ours that are there.
func (e *Examination) Tables() []string { return e.have.ours() }

// ours are the tables of ours that are there.
func (c catalogue) ours() (names []string) {
	for _, t := range allTables() {
		if c[t.name] != nil {
			names = append(names, t.name)
		}
	}
	return names
}

// Schema says what keeps the tables from being adopted. Tables and columns that the first start makes by itself are no fault, unless
// store.migrate keeps it from it.
func (e *Examination) Schema(ctx context.Context, migrate MigrateMode) ([]Advice, error) {
	parts, err := schema(e.s.dialect.name)
	if err != nil {
		return nil, err
	}
	m := &migration{s: e.s, have: e.have, parts: parts}
	var advice []Advice
	if e.have[tSchema.name] != nil {
		var version number
		err := each(ctx, e.s.pools.reader, `SELECT version FROM tlim_schema WHERE id = 1`, func(scan scanner) error { return scan(&version) })
		if err != nil {
			return nil, e.s.fail(err)
		}
		if version > schemaVersion {
			advice = append(advice, Advice{true, fmt.Sprintf("the tables are of version %d, made by a newer tlim; this one knows version %d", version, schemaVersion),
				"run the tlim that made them, or restore the backup of before"})
		}
	}
	adds, remedy := parts, "is store.dsn the right database? Else add the column as store/SCHEMA.md has it"
	if migrate != MigrateAuto {
		adds, remedy = nil, "set store.migrate: auto for one start"
	}
	for _, t := range allTables() {
		info := e.have[t.name]
		if info == nil {
			if migrate != MigrateAuto {
				advice = append(advice, Advice{true, "table " + t.name + " is missing, and store.migrate is " + string(migrate), "set store.migrate: auto for one start"})
			}
			continue
		}
		for _, column := range lacking(t, adds, info) {
			advice = append(advice, Advice{true, "column " + column + " is missing", remedy})
		}
		m.adopt(t, info)
	}
	unfit, err := e.s.unfit(ctx, e.s.pools.reader, e.have)
	if err != nil {
		return nil, e.s.fail(err)
	}
	advice = append(advice, unfit...)
	for _, t := range e.s.taken(parts, e.have) {
		advice = append(advice, Advice{false, t.Seen, t.Remedy}) // a start lets it be
	}
	for _, w := range m.wrong {
		advice = append(advice, Advice{true, withoutRemedy(w), remedyIn(w)})
	}
	for _, w := range e.s.report.Warnings { // columns that are too short
		advice = append(advice, Advice{false, withoutRemedy(w), remedyIn(w)})
	}
	return advice, nil
}

// withoutRemedy and remedyIn part what this package says in one sentence, with the statement in brackets at its end.
func withoutRemedy(sentence string) string {
	if remedy := remedyIn(sentence); remedy != "" {
		return strings.TrimSuffix(sentence, " ("+remedy+")")
	}
	return sentence
}

func remedyIn(sentence string) string {
	before, remedy, found := strings.Cut(sentence, " (")
	if !found || before == "" || !strings.HasSuffix(remedy, ")") {
		return ""
	}
	return strings.TrimSuffix(remedy, ")")
}

// Charsets names the tables whose columns cannot hold all texts.
func (e *Examination) Charsets() (advice []Advice) {
	refused := e.s.dialect.refusals(e.have)
	for _, t := range allTables() {
		if fault := charsetFault(t, e.have[t.name]); fault != "" {
			severe := slices.ContainsFunc(refused, func(r string) bool { return strings.HasPrefix(r, t.name+" ") })
			advice = append(advice, Advice{severe, t.name + " " + fault, "in a quiet hour, " + e.s.dialect.convert(t.name)})
		}
	}
	// The worst first.
	slices.SortStableFunc(advice, func(a, b Advice) int { return int(bit(b.Severe) - bit(a.Severe)) })
	return advice
}

// Collations names the tables that take more for equal than we do.
func (e *Examination) Collations() (advice []Advice) {
	for _, t := range allTables() {
		if fault := e.s.dialect.collationFault(e.have[t.name]); fault != "" {
			advice = append(advice, Advice{false, t.name + " " + fault, "in a quiet hour, " + e.s.dialect.convert(t.name)})
		}
	}
	return advice
}

// Mixture says whether the deployed tables have different collations.
func (e *Examination) Mixture() []Advice {
	mixed := mixedCollations(e.have)
	if len(mixed) < 2 {
		return nil
	}
	var statements []string
	for _, t := range deployedTables {
		if info := e.have[t.name]; info != nil && !slices.Equal(info.collations(), []string{e.s.dialect.collation}) {
			statements = append(statements, e.s.dialect.convert(t.name))
		}
	}
	return []Advice{{false, mixture(mixed), strings.Join(statements, "; ")}}
}

// Indexes names the missing ones by the statements that make them. What a start makes by itself, on empty tables and on our own, is
// not among them.
func (e *Examination) Indexes(ctx context.Context, migrate MigrateMode) ([]Advice, error) {
	parts, err := schema(e.s.dialect.name)
	if err != nil {
		return nil, err
	}
	var advice []Advice
	for _, p := range missing(parts, e.have) {
		if p.kind != "index" || e.have[p.table] == nil || migrate == MigrateAuto && !isDeployed(table{name: p.table}) {
			continue
		}
		some, err := e.someRow(ctx, p.table)
		if err != nil {
			return nil, err
		}
		if some || migrate != MigrateAuto {
			advice = append(advice, Advice{false, fmt.Sprintf("%s has no index on (%s): reads of it take longer the more rows there are", p.table, strings.Join(p.columns, ", ")),
				"in a quiet hour, " + p.repeatable()})
		}
	}
	return advice, nil
}

// someRow says whether a table has any row.
func (e *Examination) someRow(ctx context.Context, table string) (some bool, err error) {
	query, args := e.s.dialect.page(`SELECT 1 FROM `+e.tableName(table), nil, 1, 0)
	err = each(ctx, e.s.pools.reader, e.s.dialect.text(query), func(scanner) error { some = true; return nil }, args...)
	return some, e.s.fail(err)
}

// tableName is a table's name as the database has it.
func (e *Examination) tableName(table string) string {
	info := e.have[strings.ToLower(table)]
	if info == nil || slices.Contains(info.names, table) {
		return table
	}
	return info.names[0]
}

// State reads the row tlim_state; found is false where no start has made it yet.
func (e *Examination) State(ctx context.Context) (st State, found bool, err error) {
	if e.have[tState.name] == nil {
		return st, false, nil
	}
	err = each(ctx, e.s.pools.reader, stateGet, func(scan scanner) error { found = true; return scanState(&st)(scan) })
	return st, found, e.s.fail(err)
}

// looks are what an Examination asks of a server beyond its catalogue. Each is nil where the engine has no such thing.
type looks struct {
	now        func(ctx context.Context, db querier) (time.Time, error)
	rights     func(ctx context.Context, db querier, have catalogue) ([]Advice, error)
	durability func(ctx context.Context, db querier) ([]Advice, error)
	rows       func(ctx context.Context, db querier, table string) (int64, error)

	// headroom names the tables that number their rows themselves and come to the end of their numbers. saysRefusal: it says of them what
	// the dialect's refuse does.
	headroom    func(ctx context.Context, db querier, have catalogue) ([]Advice, error)
	saysRefusal bool

	// everyCharacter is the statement by which a column of another product's table comes to hold every character.
	everyCharacter func(table, column string) string

	// unfit says of tables of ours that they are none, or take no row of ours.
	unfit       func(ctx context.Context, db querier, have catalogue) ([]Advice, error)
	foreignKeys func(ctx context.Context, db querier) ([]foreignKey, error)
}

// Now is the server's clock; ok is false where the database has none but this machine's, or nobody knows how to ask for it.
func (e *Examination) Now(ctx context.Context) (now time.Time, ok bool, err error) {
	if e.s.dialect.looks.now == nil {
		return now, false, nil
	}
	now, err = e.s.dialect.looks.now(ctx, e.s.pools.reader)
	return now, err == nil, e.s.fail(err)
}

// Rights names what the user of the address may not do; ok is false where that cannot be seen without doing it.
func (e *Examination) Rights(ctx context.Context) (advice []Advice, ok bool, err error) {
	if e.s.dialect.looks.rights == nil {
		return nil, false, nil
	}
	advice, err = e.s.dialect.looks.rights(ctx, e.s.pools.reader, e.have)
	return advice, err == nil, e.s.fail(err)
}

// Logging says whether the server refuses every row for the way in which it logs.
func (e *Examination) Logging(ctx context.Context) ([]Advice, error) {
	if e.s.dialect.refuse == nil || e.s.dialect.looks.saysRefusal {
		return nil, nil
	}
	why, err := e.s.dialect.refuse(ctx, e.s.pools.reader)
	if err != nil || why == "" {
		return nil, e.s.fail(err)
	}
	seen, remedy, _ := strings.Cut(why, "; ")
	return []Advice{{true, seen, remedy}}, nil
}

// Durability names settings with which acknowledged messages can be lost.
func (e *Examination) Durability(ctx context.Context) ([]Advice, error) {
	if look := e.s.dialect.looks.durability; look != nil {
		advice, err := look(ctx, e.s.pools.reader)
		return advice, e.s.fail(err)
	}
	sentences, err := e.s.dialect.advise(ctx, e.s.pools.reader)
	var advice []Advice
	for _, sentence := range sentences {
		advice = append(advice, Advice{false, withoutRemedy(sentence), remedyIn(sentence)})
	}
	return advice, e.s.fail(err)
}

// headroom is the part of its numbers that a table may have used before it is said, and before it is severe.
const (
	headroomWarn   = 0.5
	headroomSevere = 0.9
)

// Headroom names the tables that number their rows themselves and come to the end of their numbers: then no row can be added.
func (e *Examination) Headroom(ctx context.Context) ([]Advice, error) {
	look := e.s.dialect.looks.headroom
	if look == nil {
		return nil, nil
	}
	advice, err := look(ctx, e.s.pools.reader, e.have)
	return advice, e.s.fail(err)
}

// KnownFiles are those of the ids that have a row; told is false before the first start.
func (e *Examination) KnownFiles(ctx context.Context, ids []string) (known map[string]bool, told bool, err error) {
	if e.have[tFile.name] == nil || len(ids) == 0 {
		return map[string]bool{}, e.have[tFile.name] != nil, nil
	}
	known, err = e.known(ctx, fileKnown, ids)
	return known, err == nil, e.s.fail(err)
}

// File is the file that the database lies in; "" when it is a server.
func (e *Examination) File() string { return e.s.File() }
