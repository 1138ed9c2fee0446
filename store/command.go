package store

import (
	"context"
	"database/sql"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"
)

// Statements compare an id, and every other text that says who or what is meant, by operators of our own, because the "=" of
// an engine is that of the column's collation: MySQL's utf8_general_ci takes lísi, LISI and "lisi " for lisi.
//
//	a == ?        the same characters; so is a == (?*), a list, and a == b, another column
//	a !== ?       not the same characters, and not NULL
//	family(a, f)  a, a msg_type, begins with f and a dash
//	exact(a)      a in the form in which the engine's own operators, GROUP BY and DISTINCT tell all of them apart; it is not to be
//	              read: of a group that it makes, MIN(a) is the text
//
// They mean what == means of two strings in Go, on every engine and collation. Order is the engine's: a walk that continues
// behind a row compares by < and > alone, so that it agrees with its ORDER BY. Only of NULL the order is ours: below everything.
var operators = regexp.MustCompile(`exact\(([\w.]+)\)|([\w.]+) (!?==) (\(\?(?:, ?\?)*\)|\?|[\w.]+)|([\w.]+)\)? (?:<=|>=|<>|<|>|=|LIKE) \?|\?`)

// session_user is a reserved word in T-SQL, and unquoted it silently reads the login there.
var reserved = regexp.MustCompile(`\bsession_user\b`)

// command is a statement in the form of an engine.
type command struct {
	text string
	// args are the numbers of the statement's arguments in the order of the placeholders in text; nil: as they come.
	args []int
	// compared are the columns that the statement's arguments are compared with; "" for those that are not.
	compared []string
	ordered  []bool // with which of them by < or >
	numbers  []bool // which of them the database numbers; nil: none
	tables   []string
	value    func(any) any // see dialect
	longest  int           // see dialect
}

var tableName = regexp.MustCompile(`\b(?:FROM|JOIN|UPDATE|INTO) (\w+)`)

// command makes the engine's form of a statement of ours: operators, placeholders and quoting.
func (d *dialect) command(query string) *command {
	c := &command{value: d.value, longest: d.longest}
	form := func(column string) string {
		if d.loose {
			return d.exact(column)
		}
		return column
	}
	query = ofFamily.ReplaceAllStringFunc(query, func(condition string) string {
		m := ofFamily.FindStringSubmatch(condition)
		return d.family(m[1], m[2])
	})
	if d.nullsUp != "" {
		query = orderBy.ReplaceAllStringFunc(query, d.order)
	}
	var text strings.Builder
	n, at, doubled := 0, 0, false // arguments so far; the end of what was copied
	for _, m := range operators.FindAllStringSubmatchIndex(query, -1) {
		text.WriteString(query[at:m[0]])
		at = m[1]
		part := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return query[m[2*i]:m[2*i+1]]
		}
		wrapped, column, operator, with, other := part(1), part(2), part(3), part(4), part(5)
		if before := strings.TrimSpace(query[:m[0]]); strings.HasSuffix(before, "SET") || strings.HasSuffix(before, ",") {
			other = "" // not compared, but written
		}
		if wrapped != "" {
			text.WriteString(form(wrapped))
			continue
		}
		count := strings.Count(query[m[0]:m[1]], "?")
		var these []int
		for range count {
			these = append(these, n)
			n++
			c.compared = append(c.compared, column+other)
			c.ordered = append(c.ordered, other != "" && strings.ContainsAny(query[m[0]:m[1]], "<>"))
		}
		c.args = append(c.args, these...)
		if column == "" {
			text.WriteString(query[m[0]:m[1]])
			continue
		}
		exact, sign := with, " = "
		switch {
		case count == 0:
			exact = form(with)
		case d.loose && d.exactValue != nil:
			exact = strings.ReplaceAll(with, "?", d.exactValue("?"))
		}
		if count > 0 && with != "?" {
			sign = " IN "
		}
		switch {
		case operator == "!==":
			text.WriteString(form(column) + " <> " + exact)
		case d.loose:
			text.WriteString("(" + column + sign + with + " AND " + form(column) + sign + exact + ")")
			c.args = append(c.args, these...)
			doubled = doubled || count > 0
		default:
			text.WriteString(column + sign + exact)
		}
	}
	text.WriteString(query[at:])
	if !doubled {
		c.args = nil
	}
	for _, m := range tableName.FindAllStringSubmatch(query, -1) {
		c.tables = append(c.tables, strings.ToLower(m[1]))
	}
	c.text = d.named(sqlx.Rebind(d.bind, reserved.ReplaceAllStringFunc(text.String(), d.quote)))
	return c
}

var ofFamily = regexp.MustCompile(`family\((\w+), (\w+)\)`)

var orderBy = regexp.MustCompile(` ORDER BY [\w.]+(?:\(\w+\))?(?: DESC)?(?:, [\w.]+(?:\(\w+\))?(?: DESC)?)*`)

// order says of each column of an ORDER BY where its NULLs go.
func (d *dialect) order(clause string) string {
	columns := strings.Split(clause, ", ")
	for i, c := range columns {
		if strings.HasSuffix(c, " DESC") {
			columns[i] += d.nullsDown
		} else {
			columns[i] += d.nullsUp
		}
	}
	return strings.Join(columns, ", ")
}

// exactly is the dialect for a database with these tables: where one says how its columns are compared, comparisons of ids may
// not leave it to them.
func (d *dialect) exactly(have catalogue) *dialect {
	if d.loose {
		return d
	}
	for _, t := range have {
		for _, c := range t.columns {
			if c.collation != "" {
				return d.assumingLoose()
			}
		}
	}
	return d
}

// assumingLoose is the dialect for tables of which nothing is known.
func (d *dialect) assumingLoose() *dialect {
	loose := *d
	loose.loose = true
	return &loose
}

// text is the engine's form of a statement that compares no ids.
func (d *dialect) text(query string) string { return d.command(query).text }

// arrange puts the arguments of the statement in the order of the engine's placeholders, and in the form of its driver.
func (c *command) arrange(args []any) []any {
	if c.numbers != nil {
		args = slices.Clone(args)
		for i, number := range c.numbers {
			if text, ok := args[i].(string); ok && number {
				args[i] = asNumber(text, c.ordered[i])
			}
		}
	}
	if c.args == nil && c.value == nil {
		return args
	}
	placed := slices.Clone(args)
	if c.args != nil {
		placed = make([]any, len(c.args))
		for i, n := range c.args {
			placed[i] = args[n]
		}
	}
	if c.value != nil {
		for i, v := range placed {
			if text, ok := v.(string); ok && c.longest > 0 && len(text) > c.longest && c.comparesKey(i) {
				v = strings.ToValidUTF8(text[:c.longest], "")
			}
			placed[i] = c.value(v)
		}
	}
	return placed
}

// command is the dialect's, for the tables as they stand in this database.
func (s *Store) command(query string) *command {
	c := s.dialect.command(query)
	for i, column := range c.compared {
		name := column[strings.LastIndex(column, ".")+1:]
		for _, table := range c.tables {
			if sh := s.shapes[table]; sh != nil && sh.numbered && name == sh.first {
				if c.numbers == nil {
					c.numbers = make([]bool, len(c.compared))
				}
				c.numbers[i] = true
			}
		}
	}
	return c
}

// asNumber is an id as it is compared with a column that the database numbers. A text that is no number there is an error of SQL Server
// and Oracle, and MySQL takes it for another number; it equals no row, and one in the order of which rows are read sorts as it does
// beside digits.
func asNumber(text string, ordered bool) any {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err == nil && strconv.FormatInt(n, 10) == text:
		return n
	case !ordered:
		return nil
	case text < "0":
		return int64(math.MinInt64)
	}
	return int64(math.MaxInt64)
}

// comparesKey says whether a column that is no body is compared with the placeholder.
func (c *command) comparesKey(i int) bool {
	if c.args != nil {
		i = c.args[i]
	}
	return c.compared[i] != "" && c.compared[i] != "body"
}

// prepared is a command that the database knows.
type prepared struct {
	*command
	stmt *sql.Stmt
}

func prepare(ctx context.Context, db *sql.DB, c *command) (*prepared, error) {
	stmt, err := db.PrepareContext(ctx, c.text)
	if err != nil {
		return nil, err
	}
	return &prepared{c, stmt}, nil
}
