package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Layout is what stands in a database, and what this version of tlim would add.
type Layout struct {
	Engine   string        `json:"engine"`
	Tables   []TableLayout `json:"tables"`
	Missing  []Missing     `json:"missing"`              // in the order in which it is added
	InTheWay []string      `json:"in_the_way,omitempty"` // of an adoption, with its remedy
}

// TableLayout is a table of ours as it stands there.
type TableLayout struct {
	Name      string         `json:"name"` // as the database spells it
	Deployed  bool           `json:"deployed"`
	Engine    string         `json:"engine,omitempty"` // of the server, such as InnoDB
	Rows      int64          `json:"rows"`
	Estimated bool           `json:"rows_estimated,omitempty"` // the rows are the server's guess
	Bytes     int64          `json:"bytes,omitempty"`          // with its indexes; 0: the engine does not say
	Columns   []ColumnLayout `json:"columns"`
	Indexes   []IndexLayout  `json:"indexes"` // keys too
}

// ColumnLayout is a column. Foreign says that neither tlim nor the old plugin knows it.
type ColumnLayout struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Length    int    `json:"length,omitempty"` // in characters; 0: no small limit
	Charset   string `json:"charset,omitempty"`
	Collation string `json:"collation,omitempty"`
	Numbered  bool   `json:"numbered,omitempty"` // the database fills it
	Foreign   bool   `json:"foreign,omitempty"`
}

// IndexLayout is an index or a key.
type IndexLayout struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

// Missing is a table, a column or an index that is not there.
type Missing struct {
	Kind      string `json:"kind"` // table, column or index
	Table     string `json:"table"`
	Name      string `json:"name"`
	Statement string `json:"statement"`
	Rows      int64  `json:"rows"`  // of the table
	Locks     bool   `json:"locks"` // nobody can write the table meanwhile
}

// size is what a server tells of a table.
type size struct {
	engine      string
	rows, bytes int64
}

// Layout reads what is there. Of engines that have no estimate the rows are counted.
func (e *Examination) Layout(ctx context.Context) (Layout, error) {
	parts, err := schema(e.s.dialect.name)
	if err != nil {
		return Layout{}, err
	}
	l := Layout{Engine: e.s.dialect.name, Tables: []TableLayout{}, Missing: []Missing{}}
	sizes, estimated, err := e.s.sizes(ctx, e.patient(), e.have)
	if err != nil {
		return l, e.s.fail(err)
	}
	for _, t := range allTables() {
		if e.have[t.name] != nil {
			l.Tables = append(l.Tables, e.tableLayout(t, sizes[t.name], estimated))
		}
	}
	for _, p := range missing(parts, e.have) {
		l.Missing = append(l.Missing, Missing{p.kind, p.table, p.name, p.sql, sizes[p.table].rows, p.kind == "index" && sizes[p.table].rows > 0 && !e.s.online(sizes[p.table])})
	}
	return l, nil
}

func (e *Examination) tableLayout(t table, size size, estimated bool) TableLayout {
	info := e.have[t.name]
	l := TableLayout{Name: e.tableName(t.name), Deployed: isDeployed(t), Engine: size.engine, Rows: size.rows, Estimated: estimated, Bytes: size.bytes, Columns: []ColumnLayout{}, Indexes: []IndexLayout{}}
	add := func(name string, foreign bool) {
		if c, there := info.columns[name]; there {
			l.Columns = append(l.Columns, ColumnLayout{name, c.kind, c.length, c.charset.name, c.collation, c.numbered, foreign})
		}
	}
	known := map[string]bool{}
	for _, c := range t.columns {
		known[c.name] = true
		add(c.name, false)
	}
	for _, name := range slices.Sorted(maps.Keys(info.columns)) {
		if !known[name] {
			add(name, true)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(info.indexes)) {
		l.Indexes = append(l.Indexes, IndexLayout{name, info.indexes[name]})
	}
	return l
}

// sizes are those of the tables that are there, by our names; estimated says that the rows are not counted.
func (s *Store) sizes(ctx context.Context, db querier, have catalogue) (sizes map[string]size, estimated bool, err error) {
	if ask := s.dialect.ddl.sizes; ask != nil {
		sizes, err = ask(ctx, db)
		return sizes, true, err
	}
	sizes = map[string]size{}
	for _, t := range allTables() {
		if have[t.name] == nil {
			continue
		}
		rows, err := countOf(ctx, db, "*", t.name)
		if err != nil {
			return nil, false, err
		}
		sizes[t.name] = size{rows: rows}
	}
	return sizes, false, nil
}

// countOf is how many rows of a table have something in a column, or are there at all ("*").
func countOf(ctx context.Context, db querier, column, table string) (rows int64, err error) {
	err = each(ctx, db, `SELECT COUNT(`+column+`) FROM `+table, func(scan scanner) error { return scan((*number)(&rows)) })
	return rows, err
}

// patient are connections for what reads whole tables, which takes as long as it takes.
func (e *Examination) patient() querier {
	if e.s.dialect.local { // no connection of it ends a read, and its others write
		return e.s.pools.reader
	}
	return e.s.pools.admin
}

// online says whether an index is built while others write the table.
func (s *Store) online(of size) bool {
	return s.dialect.ddl.online != nil && s.dialect.ddl.onlineFor(of)
}

// lacking are the columns of a table that is there which no start adds.
func lacking(t table, parts []part, have *tableInfo) (columns []string) {
	for _, c := range t.columns {
		added := slices.ContainsFunc(parts, func(p part) bool { return p.kind == "column" && p.table == t.name && p.name == c.name })
		if _, there := have.columns[c.name]; !there && !added {
			columns = append(columns, t.name+"."+c.name)
		}
	}
	return columns
}

// missing are the parts that are not there, each by the statement that adds it here. What stands in a CREATE TABLE is not named again.
// On a table that others have written uniqueness is not asked for: the old plugin left duplicates.
func missing(parts []part, have catalogue) (list []part) {
	for _, p := range parts {
		info := have[p.table]
		switch {
		case p.kind == "table" && info != nil, p.kind == "index" && info != nil && info.serves(p.columns):
			continue
		case p.kind == "column":
			if info == nil {
				continue
			}
			if _, there := info.columns[p.name]; there {
				continue
			}
		case p.kind == "index" && info != nil && isDeployed(table{name: p.table}):
			p.sql = p.repeatable()
		}
		list = append(list, p)
	}
	return list
}

// String is the part as people read it.
func (m Missing) String() string {
	if m.Kind == "table" {
		return "table " + m.Table
	}
	return fmt.Sprintf("%s %s of %s", m.Kind, m.Name, m.Table)
}
