package store

import (
	"context"
	"slices"
	"strings"
)

// keys are the columns by which rows are read page by page, each page from behind the last row of the one before. Together they
// tell all rows apart. A column with a "?" behind its name can be NULL, which reads as "" and sorts below everything (see
// [dialect.command]); no row has "" in it.
//
// For example keys{"session_id", "user_id"} behind ("g1", "u7") are the rows of g1 with a higher user_id, and all rows of higher
// session_ids.
type keys []string

// order is the ORDER BY of the keys.
func (k keys) order() string {
	return " ORDER BY " + strings.ReplaceAll(strings.Join(k, ", "), "?", "")
}

// behind is the condition of the rows behind one with these values, and its arguments. The comparisons are those of ORDER BY,
// and the redundant "a >= ?" is what lets MySQL start in the middle of an index.
func (k keys) behind(d *dialect, values []string) (condition string, args []any) {
	column, null := strings.CutSuffix(k[0], "?")
	value := values[0]
	if !null {
		value = d.atLeast(value)
	}
	above := column + " > ?"
	if value == "" && null {
		above = column + " IS NOT NULL"
	} else {
		args = append(args, value)
	}
	if len(k) == 1 {
		return above, args
	}
	rest, restArgs := k[1:].behind(d, values[1:])
	if len(args) > 0 {
		condition, args = column+" >= ? AND ", append(args, value)
	}
	return condition + "(" + above + " OR " + rest + ")", append(args, restArgs...)
}

// from appends to a query the condition of the rows behind one with these values, and the order. Without any value that is all rows.
func (k keys) from(d *dialect, query string, args []any, values ...string) (string, []any) {
	if slices.ContainsFunc(values, func(v string) bool { return v != "" }) {
		condition, behind := k.behind(d, values)
		and := " AND "
		if !strings.Contains(query, " WHERE ") {
			and = " WHERE "
		}
		query, args = query+and+condition, append(slices.Clip(args), behind...)
	}
	return query + k.order(), args
}

// walk reads at most limit rows of a query in the order of keys, from behind the row with these values; all "": from the first.
func (s *Store) walk(ctx context.Context, query string, args []any, by keys, after []string, limit int, row func(scanner) error) error {
	query, args = by.from(s.dialect, query, args, after...)
	return s.page(ctx, query, args, Page{Length: limit}.length(), 0, row)
}
