package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Rows of legacy tables can be as no row of ours is: other programs wrote them. They are served as they are, and counted here with
// examples, so that somebody can decide what becomes of them. Nothing here rewrites one.

const (
	// maxDirtRows is how many rows of a table are looked at: some seconds of reading.
	maxDirtRows = 50_000
	// maxDirtRefs is how many different references of a table are looked up, dirtChunk of them in one statement.
	maxDirtRefs = 4_000
	dirtChunk   = 500
	// maxDirtExamples of each fault are named.
	maxDirtExamples = 3
)

// dirtTable says what is looked for in a table, beyond what holds for each column.
type dirtTable struct {
	table
	key      []string // that nothing stands twice by
	users    []string // ids of users
	others   []string // other ids
	required []string
	time     string
	body     string
	refs     []dirtRef
}

// dirtRef is a column whose value is the key of another table.
type dirtRef struct{ column, table, key string }

var dirtTables = []dirtTable{
	{table: tMessage, key: []string{"msg_id"}, users: []string{"msg_from"}, others: []string{"msg_id", "msg_to", "session_id"},
		required: []string{"msg_id", "msg_type", "msg_from", "msg_to", "msg_time", "body"}, time: "msg_time", body: "body"},
	{table: tOffline, users: []string{"delete_user", "msg_from"}, others: []string{"msg_id", "msg_to", "session_id"},
		required: []string{"msg_id", "msg_type", "msg_from", "msg_to", "msg_time", "body", "delete_user"}, time: "msg_time", body: "body",
		refs: []dirtRef{{"msg_id", tMessage.name, "msg_id"}}},
	{table: tReceipt, key: []string{"msg_id", "reader"}, users: []string{"sender", "reader"}, others: []string{"msg_id"},
		required: []string{"msg_id", "reader", "sender"}, refs: []dirtRef{{"msg_id", tMessage.name, "msg_id"}}},
	{table: tChat, key: []string{"chat_user", "chat_other"}, users: []string{"chat_user", "chat_other"}, required: []string{"chat_user", "chat_other"}},
	{table: tGroup, users: []string{"session_user"}, others: []string{"session_id"}, required: []string{"session_type", "session_user"}},
	{table: tMember, users: []string{"user_id"}, others: []string{"session_id"}, refs: []dirtRef{{"session_id", tGroup.name, "session_id"}}},
	{table: tAnnouncement, users: []string{"user_id"}, others: []string{"session_id"}, required: []string{"session_id", "user_id"}, time: "ts", body: "content",
		refs: []dirtRef{{"session_id", tGroup.name, "session_id"}}},
}

// DirtTables are the tables that [Examination.Dirt] looks at.
func DirtTables() (names []string) {
	for _, t := range dirtTables {
		names = append(names, t.name)
	}
	return names
}

// Dirt is what a look at the rows of a table found.
type Dirt struct {
	Advice []Advice
	Looked int      // rows
	Part   bool     // there are more
	Unseen []string // what was not looked for, and why
}

// Dirt looks at the rows of one of [DirtTables], at 50,000 of them and for most at most, and then a third as long at what they refer to. On a
// larger table what stands twice is looked for along its index, and not at all without one.
func (e *Examination) Dirt(ctx context.Context, name string, now time.Time, most time.Duration) (Dirt, error) {
	at := slices.IndexFunc(dirtTables, func(t dirtTable) bool { return t.name == name })
	if at < 0 || e.have[name] == nil {
		return Dirt{}, nil
	}
	l := &dirtLook{dirtTable: dirtTables[at], e: e, now: now, until: time.Now().Add(most), most: most, kinds: map[string]*dirtKind{}, keys: map[string]int{}, refers: map[string]map[string]bool{}}
	if err := l.scan(ctx); err != nil {
		return l.Dirt, e.s.fail(err)
	}
	if err := l.twice(ctx); err != nil {
		return l.Dirt, e.s.fail(err)
	}
	for _, ref := range l.refs {
		if err := l.orphans(ctx, ref); err != nil {
			return l.Dirt, e.s.fail(err)
		}
	}
	l.conclude()
	return l.Dirt, nil
}

// dirtLook is one look at one table.
type dirtLook struct {
	dirtTable
	Dirt
	e      *Examination
	now    time.Time
	until  time.Time
	most   time.Duration
	kinds  map[string]*dirtKind
	order  []string                   // of the kinds
	keys   map[string]int             // how often a key was seen
	refers map[string]map[string]bool // the values of a column that refers
}

// dirtKind is one fault of the rows.
type dirtKind struct {
	count    int
	examples []string
	remedy   string
}

// found counts a fault; its text stands behind the count.
func (d *dirtLook) found(what, example, remedy string) {
	k := d.kinds[what]
	if k == nil {
		k = &dirtKind{remedy: remedy}
		d.kinds[what], d.order = k, append(d.order, what)
	}
	k.count++
	if len(k.examples) < maxDirtExamples && !slices.Contains(k.examples, example) {
		k.examples = append(k.examples, example)
	}
}

func (d *dirtLook) conclude() {
	for _, what := range d.order {
		k := d.kinds[what]
		d.Advice = append(d.Advice, Advice{false, fmt.Sprintf("%s: %d %s, such as %s", d.name, k.count, what, strings.Join(k.examples, ", ")), k.remedy})
	}
}

// scan reads the rows once, in whatever order is the cheapest.
func (d *dirtLook) scan(ctx context.Context) error {
	var columns []column
	info := d.e.have[d.name]
	for _, c := range d.columns {
		if _, there := info.columns[c.name]; there {
			columns = append(columns, c)
		}
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	query, args := d.e.s.dialect.page(`SELECT `+strings.Join(names, ", ")+` FROM `+d.e.tableName(d.name), nil, maxDirtRows+1, 0)
	values, into := make([]nullable, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	return each(ctx, d.e.s.pools.reader, d.e.s.dialect.text(query), func(scan scanner) error {
		if d.Looked == maxDirtRows || time.Now().After(d.until) {
			d.Part = true
			return errEnough
		}
		if err := scan(into...); err != nil {
			return err
		}
		d.Looked++
		row := map[string]nullable{}
		for i, c := range columns {
			row[c.name] = values[i]
			d.cell(c, values[i], row)
		}
		d.row(row)
		return nil
	}, args...)
}

// nullable is a text that may be NULL.
type nullable struct {
	text
	null bool
}

// Scan implements sql.Scanner.
func (n *nullable) Scan(v any) error {
	n.null = v == nil
	return n.text.Scan(v)
}

// named says which row it is.
func (d *dirtLook) named(row map[string]nullable) string {
	for _, c := range append(slices.Clone(d.key), d.columns[0].name) {
		if v := row[c]; v.text != "" {
			return fmt.Sprintf("%s %.64q", c, string(v.text))
		}
	}
	return "a row without a name"
}

func (d *dirtLook) cell(c column, v nullable, row map[string]nullable) {
	switch {
	case v.text == "" && slices.Contains(d.required, c.name):
		d.found("rows without "+c.name, d.named(row), fmt.Sprintf("they are served without it; see them: SELECT * FROM %s WHERE %s IS NULL OR %s = ''", d.name, c.name, c.name))
	case c.limit > 0 && utf8.RuneCountInString(string(v.text)) > c.limit:
		d.found(fmt.Sprintf("values of %s with more than %d characters", c.name, c.limit), fmt.Sprintf("%.20q...", string(v.text)),
			"they are read, and none of this length can be written; shorten them, or leave them to clean-up")
	}
}

// row looks at what is between or inside of the columns.
func (d *dirtLook) row(row map[string]nullable) {
	if len(d.key) > 0 {
		if key, whole := keyOf(d.key, row); whole {
			d.keys[key]++
		}
	}
	for _, ref := range d.refs {
		if v := string(row[ref.column].text); v != "" && len(d.refers[ref.column]) < maxDirtRefs {
			if d.refers[ref.column] == nil {
				d.refers[ref.column] = map[string]bool{}
			}
			d.refers[ref.column][v] = true
		}
	}
	for _, c := range append(slices.Clone(d.users), d.others...) {
		v := string(row[c].text)
		switch trimmed := strings.Trim(v, " "); {
		case trimmed != strings.TrimSpace(v):
			first := d.columns[0].name
			d.found("values of "+c+" with a tab, a line's end or another blank at an end", fmt.Sprintf("%.64q", v), fmt.Sprintf("such a row belongs to nobody and is not found, and TRIM leaves such blanks alone; for each: UPDATE %s SET %s = '%s' WHERE %s = '%s'",
				d.name, c, sqlText(strings.TrimSpace(v)), first, sqlText(string(row[first].text))))
		case trimmed != v:
			d.found("values of "+c+" with blanks at an end", fmt.Sprintf("%.64q", v), fmt.Sprintf("such a row belongs to nobody and is not found: UPDATE %s SET %s = LTRIM(RTRIM(%s)) WHERE %s LIKE ' %%' OR %s LIKE '%% '", d.name, c, c, c, c))
		}
	}
	for _, c := range d.users {
		if v := string(row[c].text); v != strings.ToLower(v) {
			d.found("users in "+c+" with capitals", fmt.Sprintf("%.64q", v), fmt.Sprintf("ids are compared byte for byte: such a row is that of a user whom directory.source spells so, and nobody's else. For each user whom it spells in lower case: UPDATE %s SET %s = LOWER(%s) WHERE %s = '%s'", d.name, c, c, c, sqlText(v)))
		}
	}
	if v := string(row[d.time].text); d.time != "" && v != "" {
		if what := d.oddTime(v); what != "" {
			d.found("values of "+d.time+" that are "+what, fmt.Sprintf("%.20q (%s)", v, d.named(row)), "they are answered as they are, in an order of their own, and clean-up leaves them alone; milliseconds of 13 digits are the right form")
		}
	}
	if v := strings.ToLower(string(row[d.body].text)); d.body != "" && (strings.HasPrefix(v, "%5b") || strings.HasPrefix(v, "%7b")) {
		d.found("values of "+d.body+" that are URL-encoded", d.named(row), "they are served as they are, and clients decode them or show them so")
	}
}

// sqlText is an id for people to put between quotes of a statement; one of another program that is no id of ours is left to them.
func sqlText(v string) string {
	if len(v) > 64 || strings.ContainsAny(v, "'\\\"") || strings.ContainsFunc(v, unicode.IsControl) {
		return "<the id>"
	}
	return v
}

// oddTime says in what other form than ours a time is.
func (d *dirtLook) oddTime(v string) string {
	ms, ours := ParseTime(v)
	switch {
	case ours && time.UnixMilli(ms).Sub(d.now) > time.Minute:
		return "in the future"
	case ours:
		return ""
	case strings.Trim(v, "0123456789") != "":
		return "dates, or no times at all"
	case len(v) == 10:
		return "seconds"
	}
	return "no milliseconds of 13 digits"
}

// keyOf joins the columns of a key; whole is false when one is missing.
func keyOf(key []string, row map[string]nullable) (joined string, whole bool) {
	parts := make([]string, len(key))
	for i, c := range key {
		if parts[i] = string(row[c].text); parts[i] == "" {
			return "", false
		}
	}
	return strings.Join(parts, "\x00"), true
}

// twice looks for keys that stand more than once. Of a table that was read in part it reads the beginning of an index instead, in
// which those that are equal stand side by side.
func (d *dirtLook) twice(ctx context.Context) error {
	if len(d.key) == 0 {
		return nil
	}
	if d.Part {
		clear(d.keys)
		if !d.e.have[d.name].serves(d.key) {
			d.Unseen = append(d.Unseen, fmt.Sprintf("whether (%s) stands twice: the table is large and has no index on it", strings.Join(d.key, ", ")))
			return nil
		}
		names := strings.Join(d.key, ", ")
		query, args := d.e.s.dialect.page(`SELECT `+names+` FROM `+d.e.tableName(d.name)+` ORDER BY `+names, nil, maxDirtRows, 0)
		values, into := make([]nullable, len(d.key)), make([]any, len(d.key))
		for i := range values {
			into[i] = &values[i]
		}
		err := each(ctx, d.e.s.pools.reader, d.e.s.dialect.text(query), func(scan scanner) error {
			if time.Now().After(d.until.Add(d.most / 6)) {
				return errEnough
			}
			if err := scan(into...); err != nil {
				return err
			}
			row := map[string]nullable{}
			for i, c := range d.key {
				row[c] = values[i]
			}
			if key, whole := keyOf(d.key, row); whole {
				d.keys[key]++
			}
			return nil
		}, args...)
		if err != nil {
			return err
		}
	}
	var doubled []string
	for key, n := range d.keys {
		if n > 1 {
			doubled = append(doubled, key)
		}
	}
	slices.Sort(doubled) // the examples are the same each time
	names := strings.Join(d.key, ", ")
	for _, key := range doubled {
		d.found("values of ("+names+") that stand more than once", fmt.Sprintf("%.140q", strings.ReplaceAll(key, "\x00", " ")),
			fmt.Sprintf("tlim works with them: each is read, and named by all that names it; see them: SELECT %s, COUNT(*) FROM %s GROUP BY %s HAVING COUNT(*) > 1", names, d.name, names))
	}
	return nil
}

// orphans looks for values that refer to no row.
func (d *dirtLook) orphans(ctx context.Context, ref dirtRef) error {
	target := d.e.have[ref.table]
	if target == nil || len(d.refers[ref.column]) == 0 {
		return nil
	}
	if !target.serves([]string{ref.key}) {
		large, err := d.e.large(ctx, ref.table)
		if err != nil {
			return err
		}
		if large {
			d.Unseen = append(d.Unseen, fmt.Sprintf("whether the rows that %s names are there: %s is large and has no index on %s", ref.column, ref.table, ref.key))
			return nil
		}
	}
	var values []string
	for v := range d.refers[ref.column] {
		values = append(values, v)
	}
	slices.Sort(values)
	there := map[string]bool{}
	for chunk := range slices.Chunk(values, dirtChunk) {
		if time.Now().After(d.until.Add(d.most / 3)) {
			d.Unseen = append(d.Unseen, "some of the rows that "+ref.column+" names: time was over")
			for _, v := range chunk {
				there[v] = true
			}
			continue
		}
		args := make([]any, len(chunk))
		for i, v := range chunk {
			args[i] = v
		}
		query := list(`SELECT DISTINCT `+ref.key+` FROM `+d.e.tableName(ref.table)+` WHERE `+ref.key+` IN (?*)`, len(args))
		c := d.e.s.dialect.command(query)
		err := each(ctx, d.e.s.pools.reader, c.text, func(scan scanner) error {
			var v text
			err := scan(&v)
			there[string(v)] = true
			return err
		}, c.arrange(args)...)
		if err != nil && !d.e.s.dialect.unmatched(err) { // what a column cannot hold is in no row of it
			return err
		}
	}
	for _, v := range values {
		if !there[v] {
			d.found(fmt.Sprintf("values of %s that no row of %s has", ref.column, ref.table), fmt.Sprintf("%.64q", v),
				fmt.Sprintf("nothing has to be done: they are shown to nobody but by their own id; see them: SELECT * FROM %s WHERE %s NOT IN (SELECT %s FROM %s)", d.name, ref.column, ref.key, ref.table))
		}
	}
	return nil
}

// large says whether a table has more rows than are looked at.
func (e *Examination) large(ctx context.Context, table string) (bool, error) {
	if look := e.s.dialect.looks.rows; look != nil {
		n, err := look(ctx, e.s.pools.reader, e.tableName(table))
		return n > maxDirtRows, err
	}
	more := false
	query, args := e.s.dialect.page(`SELECT 1 FROM `+e.tableName(table), nil, 1, maxDirtRows)
	err := each(ctx, e.s.pools.reader, e.s.dialect.text(query), func(scanner) error { more = true; return errEnough }, args...)
	return more, err
}
