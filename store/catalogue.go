package store

import (
	"slices"
	"strings"
)

// catalogue is what stands in a database: tables by lower-case name.
type catalogue map[string]*tableInfo

type tableInfo struct {
	names   []string // as the database spells it; two, where letter case tells tables apart
	columns map[string]columnInfo
	indexes map[string][]string // the columns of each index, in order
}

type columnInfo struct {
	name       string
	kind       string // the engine's type name, without length
	length     int    // as the engine counts it, 0 = no small limit
	characters int    // where length is of bytes, and characters are bounded beside it; 0 = they are not
	charset    charset
	collation  string // "" is the engine's own order of characters
	numbered   bool   // the database fills it
}

func (c catalogue) table(name string) *tableInfo {
	key := strings.ToLower(name)
	if c[key] == nil {
		c[key] = &tableInfo{nil, map[string]columnInfo{}, map[string][]string{}}
	}
	if t := c[key]; !slices.Contains(t.names, name) {
		t.names = append(t.names, name)
	}
	return c[key]
}

func (c catalogue) column(table string, info columnInfo) {
	info.name, info.kind = strings.ToLower(info.name), strings.ToLower(info.kind)
	c.table(table).columns[info.name] = info
}

func (c catalogue) index(table, index, column string) {
	t := c.table(table)
	t.indexes[index] = append(t.indexes[index], strings.ToLower(column))
}

// indexRow reads a row of table, index and column, in the order of the columns.
func (c catalogue) indexRow(scan scanner) error {
	var table, index, col text
	if err := scan(&table, &index, &col); err != nil {
		return err
	}
	c.index(string(table), string(index), string(col))
	return nil
}

// serves says whether some index begins with these columns.
func (t *tableInfo) serves(columns []string) bool {
	for _, have := range t.indexes {
		if len(have) >= len(columns) {
			same := true
			for i, c := range columns {
				same = same && have[i] == c
			}
			if same {
				return true
			}
		}
	}
	return false
}
