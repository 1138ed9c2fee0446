package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// change is what a [Migrator] is about to do.
type change int

const (
	adding change = iota
	converting
	returning
)

// foreignKey is one of which a table of ours is a side.
type foreignKey struct {
	name, table, to    string
	columns, toColumns []string
	drop               string // the statement by which it goes
}

// unfit says what of our tables is not as tables of ours can be, although they have our names and columns.
func (s *Store) unfit(ctx context.Context, db querier, have catalogue) (advice []Advice, err error) {
	if look := s.dialect.looks.unfit; look != nil {
		if advice, err = look(ctx, db, have); err != nil {
			return nil, err
		}
	}
	keys, err := s.foreignKeys(ctx, db)
	for _, k := range keys {
		advice = append(advice, Advice{false, fmt.Sprintf("the foreign key %s binds %s to %s: it refuses rows that the plugin and tlim write, and keeps tables from being converted", k.name, k.table, k.to), k.drop})
	}
	return advice, err
}

func (s *Store) foreignKeys(ctx context.Context, db querier) ([]foreignKey, error) {
	if s.dialect.looks.foreignKeys == nil {
		return nil, nil
	}
	keys, err := s.dialect.looks.foreignKeys(ctx, db)
	return slices.DeleteFunc(keys, func(k foreignKey) bool { return !isOurs(k.table) && !isOurs(k.to) }), err
}

// isOurs says whether a table is one of ours, in whichever letter case.
func isOurs(name string) bool {
	return slices.ContainsFunc(allTables(), func(t table) bool { return strings.EqualFold(t.name, name) })
}

// columnOf says whether a table of ours has the column.
func columnOf(name, of string) bool {
	return slices.ContainsFunc(allTables(), func(t table) bool {
		return strings.EqualFold(t.name, name) && slices.ContainsFunc(t.columns, func(c column) bool { return strings.EqualFold(c.name, of) })
	})
}

// bound are the foreign keys that keep a change from being made.
func (s *Store) bound(ctx context.Context, db querier, have catalogue, c change) (advice []Advice, err error) {
	if c == adding {
		return nil, nil
	}
	keys, err := s.foreignKeys(ctx, db)
	faulty := func(name string) bool {
		name = strings.ToLower(name)
		return slices.ContainsFunc(allTables(), func(t table) bool {
			return t.name == name && (charsetFault(t, have[name]) != "" || s.dialect.collationFault(have[name]) != "")
		})
	}
	// Without an index that begins with its columns the server keeps no foreign key, and ours go.
	needsOurs := func(name string, columns []string) bool {
		info := have[strings.ToLower(name)]
		if info == nil || !info.serves(columns) {
			return false
		}
		kept := *info
		kept.indexes = map[string][]string{}
		for index, of := range info.indexes {
			if !strings.HasPrefix(index, "tlim_") {
				kept.indexes[index] = of
			}
		}
		return !kept.serves(columns)
	}
	for _, k := range keys {
		switch {
		case c == converting && (faulty(k.table) || faulty(k.to)):
			advice = append(advice, Advice{true, fmt.Sprintf("the foreign key %s binds %s to %s, and keeps both from being converted", k.name, k.table, k.to), k.drop})
		case c == returning && (needsOurs(k.table, k.columns) || needsOurs(k.to, k.toColumns)):
			advice = append(advice, Advice{true, fmt.Sprintf("the foreign key %s of %s to %s needs an index of tlim's, which would go", k.name, k.table, k.to), k.drop})
		}
	}
	return advice, err
}

// taken are the indexes whose name another one has.
func (s *Store) taken(parts []part, have catalogue) (advice []Advice) {
	for _, p := range missing(parts, have) {
		if columns := p.takenBy(have); columns != nil {
			advice = append(advice, Advice{true, fmt.Sprintf("%s has an index %s already, but of (%s)", p.table, p.name, strings.Join(columns, ", ")), s.dialect.ddl.dropIndex(p.name, p.table)})
		}
	}
	return advice
}

// takenBy are the columns of an index that has the name of this one; nil where there is none.
func (p part) takenBy(have catalogue) []string {
	if info := have[p.table]; info != nil && p.kind == "index" {
		for name, columns := range info.indexes {
			if strings.EqualFold(name, p.name) {
				return columns
			}
		}
	}
	return nil
}
