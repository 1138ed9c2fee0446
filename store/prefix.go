package store

import (
	"context"
	"regexp"
	"strings"
)

// ownNames are the names of tables and indexes that statements and schema have.
var ownNames = func() *regexp.Regexp {
	var names []string
	for _, t := range deployedTables {
		names = append(names, t.name)
	}
	return regexp.MustCompile(`\b(?:` + strings.Join(names, "|") + `|tlim_\w+)\b`)
}()

// under is the dialect for tables and indexes whose names begin with a prefix. Of others it sees none.
func (d *dialect) under(prefix string) *dialect {
	if prefix == "" {
		return d
	}
	u := *d
	u.prefix = prefix
	u.catalogue = func(ctx context.Context, db querier) (catalogue, error) {
		have, err := d.catalogue(ctx, db)
		return have.under(prefix), err
	}
	u.looks.unfit, u.looks.foreignKeys = nil, nil // they look at the tables without a prefix, which are none of these
	return &u
}

// named puts the prefix in front of the names in a statement.
func (d *dialect) named(statement string) string {
	if d.prefix == "" {
		return statement
	}
	return ownNames.ReplaceAllString(statement, d.prefix+"$0")
}

// under are the tables with a prefix, by their names without it.
func (c catalogue) under(prefix string) catalogue {
	found := catalogue{}
	for name, info := range c {
		if rest, ok := strings.CutPrefix(name, strings.ToLower(prefix)); ok {
			found[rest] = info
		}
	}
	return found
}
