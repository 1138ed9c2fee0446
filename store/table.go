package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// column is a column that we write. limit is what it holds in characters; 0 means no limit that is worth a check of ours.
type column struct {
	name       string
	limit      int
	decoration decoration
}

// table is a table as we write it. The order of the columns is the order of the values of an insert. Where the first
// column is id_ or style_id, a legacy table may number its rows itself (see shape).
type table struct {
	name    string
	columns []column
}

// tableOf reads columns from "name limit decoration, ..."; a column without a limit is a number or unbounded text.
func tableOf(name, columns string) table {
	t := table{name: name}
	for _, c := range strings.Split(columns, ",") {
		var col column
		fmt.Sscan(c, &col.name, &col.limit, &col.decoration)
		t.columns = append(t.columns, col)
	}
	return t
}

// The tables of SCHEMA.md and our own. Lengths count characters on every engine, SQLite included, which would take
// anything: a site that moves to another engine later must not find rows that do not fit there.
var (
	tMessage = tableOf("ofmessage",
		"id_ 64, msg_id 64, msg_type 20, msg_from 64, msg_to 64, msg_time 20, body, session_id 64, flags 20")
	tOffline = tableOf("ofcustomoffline",
		"id_ 64, msg_id 64, msg_type 20, msg_from 64, msg_to 64, msg_time 20, body, session_id 64, msg_status, delete_user 64, flags 20")
	tGroup = tableOf("ofsession",
		"session_id 64, session_type, session_name 256 cut, session_create_time 20, session_modify_time 20, session_delete_time 20, session_valid, session_user 64, session_pic 256 drop")
	tMember  = tableOf("ofsubscriber", "user_id 64, user_name 256 cut, acct_login 64 drop, pic 256 drop, session_id 64, ts 20")
	tReceipt = tableOf("ofstatus", "id_ 64, msg_id 64, sender 64, reader 64, status")
	tChat    = tableOf("ofchat",
		"chat_id 64, chat_name 64 cut, chat_user 64, chat_other 64, chat_create_time 64, chat_modify_time 64, chat_pic 64 drop")
	tAnnouncement = tableOf("ofpubact", "id_ 64, title 256, content, user_id 64, ts 64, session_id 64")
	tStyle        = tableOf("ofstyle", "style_id 64, style_name 64, style_value, user_id 64")

	tState    = tableOf("tlim_state", "id, epoch, batch, clock, delivered, settled")
	tID       = tableOf("tlim_id", "msg_id 64, class 1, msg_from 64, conversation 200, msg_time 20, digest 64, state 10")
	tUser     = tableOf("tlim_user", "user_id 64, jid 255, user_name 256 cut, acct_login 64 drop, user_email 256 drop, pic_url 256 drop, push_code 255, push_os 20, confirms, learned, has_left, generation, account, stale, robot")
	tFormer   = tableOf("tlim_former", "session_id 64, user_id 64, ts 20")
	tPurge    = tableOf("tlim_purge", "session_id 64, ts 20")
	tSecret   = tableOf("tlim_secret", "name 64, value 256")
	tFile     = tableOf("tlim_file", "file_id 64, file_name 256, media_type 64, file_size, digest 64, user_id 64, ts 20")
	tUse      = tableOf("tlim_file_use", "file_id 64, msg_id 64")
	tPush     = tableOf("tlim_push", "push_id 64, channel 20, msg_id 64, msg_type 20, platforms 20, title 256 cut, alert 400 cut, receivers, made 20, due 20, tries, call_id 128, done, outcome 20")
	tCall     = tableOf("tlim_call", "call_id 64, call_key 64, business 64, caller 64, msg_type 20, digest 64, body, receivers, made 20, done, answer 20")
	tCallPart = tableOf("tlim_call_part", "call_id 64, first_no, receivers")
	tKey      = tableOf("tlim_key", "name 64, digest 64, scopes 64, rate 32, made 20, made_by 64 cut, ended 20, ended_by 64 cut, robot_id 64, robot_name 64 cut")
	tAudit    = tableOf("tlim_audit", "audit_id 64, ts 20, who 64 cut, address 64 cut, what 40, target 64 cut, detail 400 cut, outcome 20")
	tEvent    = tableOf("tlim_event", "event_id 64, kind 20, conversation 200, body, made 20, due 20, tries, dead, reason 256 cut")
	tLeader   = tableOf("tlim_leader", "id, epoch, beat, process 64, host 255, pid, version 64, address 255, domain 255, component 255, marker 64, standby, released, settings 2000")
	tSchema   = tableOf("tlim_schema", "id, version, applied")

	// The deployed tables, which may stand there already, and ours.
	deployedTables = []table{tMessage, tOffline, tGroup, tMember, tReceipt, tChat, tAnnouncement, tStyle}
	ownTables      = []table{tState, tID, tUser, tFormer, tPurge, tSecret, tFile, tUse, tPush, tCall, tCallPart, tKey, tAudit, tEvent, tLeader, tSchema}
)

func allTables() []table { return append(append([]table{}, deployedTables...), ownTables...) }

// uniqueKeys are the keys of texts that say who or what a row is about. On a column whose collation takes more for equal than we
// do, two rows cannot both be there.
var uniqueKeys = map[string][][]string{
	tGroup.name:    {{"session_id"}},
	tMember.name:   {{"user_id", "session_id"}},
	tReceipt.name:  {{"msg_id", "reader"}},
	tChat.name:     {{"chat_user", "chat_other"}},
	tID.name:       {{"msg_id", "class"}},
	tUser.name:     {{"user_id"}, {"jid"}},
	tFormer.name:   {{"session_id", "user_id"}},
	tPurge.name:    {{"session_id"}},
	tSecret.name:   {{"name"}},
	tFile.name:     {{"file_id"}},
	tUse.name:      {{"file_id", "msg_id"}},
	tPush.name:     {{"push_id"}},
	tCall.name:     {{"call_id"}, {"call_key"}},
	tCallPart.name: {{"call_id"}},
	tKey.name:      {{"name"}},
	tAudit.name:    {{"audit_id"}},
	tEvent.name:    {{"event_id"}},
}

// shape is a table as it stands in this database.
type shape struct {
	names    []string  // the columns that an insert names
	limits   []int     // characters, parallel to names; 0: no check
	sizes    []int     // of the columns that stand there, as the engine counts them, parallel to names; 0: no check
	charsets []charset // of the columns, parallel to names
	kinds    []decoration
	first    string                             // the name of the first column
	numbered bool                               // it is an identity that the database fills: an insert leaves it out
	replaces bool                               // of the dialect
	width    func(set charset, text string) int // of the dialect
}

// shapeOf is the table as this version creates it.
func (d *dialect) shapeOf(t table) *shape {
	sh := &shape{first: t.columns[0].name, replaces: d.replaces, width: d.width}
	for _, c := range t.columns {
		sh.names, sh.limits = append(sh.names, c.name), append(sh.limits, c.limit)
		sh.sizes, sh.charsets, sh.kinds = append(sh.sizes, 0), append(sh.charsets, charset{}), append(sh.kinds, c.decoration)
	}
	return sh
}

// number leaves the first column to the database: tables of before 2018-11-26 have `id_ int auto_increment` on
// MySQL, and SQL Server's have an identity to this day.
func (s *shape) number() {
	if !s.numbered {
		s.names, s.limits, s.sizes, s.charsets, s.kinds = s.names[1:], s.limits[1:], s.sizes[1:], s.charsets[1:], s.kinds[1:]
		s.numbered = true
	}
}

// rows collects the values of a multi-row insert into one table.
type rows struct {
	table string
	shape *shape
	args  []any
	count int
	done  int   // of them, those that insert has written
	odd   []int // places in args of texts of which has to be asked whether the column's character set holds them
	err   error // the first value that does not fit
}

// rowsOf starts an insert of about n rows into t.
func (s *Store) rowsOf(t table, n int) *rows {
	sh := s.shapes[t.name]
	return &rows{table: t.name, shape: sh, args: make([]any, 0, n*len(sh.names))}
}

// add appends one row, its values in the order of the table's columns. "" becomes NULL.
func (r *rows) add(values ...any) {
	if r.shape.numbered {
		values = values[1:]
	}
	for i, v := range values {
		text, ok := v.(string)
		if !ok {
			r.args = append(r.args, v)
			continue
		}
		if r.shape.kinds[i] != "" {
			text = r.shape.decorate(i, text)
			if !r.shape.surely(i, text) {
				r.odd = append(r.odd, len(r.args))
			}
			v = text
		} else if err := r.shape.fits(i, text); err != nil && r.err == nil {
			r.err = fmt.Errorf("%w: %s.%s: %w", ErrData, r.table, r.shape.names[i], err)
		} else if r.shape.replaces && !r.shape.surely(i, text) {
			r.odd = append(r.odd, len(r.args))
		}
		if text == "" {
			v = nil
		}
		r.args = append(r.args, v)
	}
	r.count++
}

// fits says what is wrong with a text for a column.
func (s *shape) fits(i int, text string) error {
	if n, limit := s.beyond(i, text); n > limit {
		return fmt.Errorf("%d characters, %d fit", n, limit)
	}
	// SQLite stores any bytes as text; the other engines refuse them. One behaviour is better than two.
	if !utf8.ValidString(text) {
		return fmt.Errorf("not UTF-8")
	}
	return nil
}

// beyond says how long a text is and how long it may be, where it is too long for its column; else 0, 0.
func (s *shape) beyond(i int, text string) (n, limit int) {
	if limit = s.limits[i]; limit > 0 && len(text) > limit {
		if n = utf8.RuneCountInString(text); n > limit {
			return n, limit
		}
	}
	if limit = s.sizes[i]; limit > 0 && len(text) > limit { // no width is larger than that of UTF-8
		if n = s.width(s.charsets[i], text); n > limit {
			return n, limit
		}
	}
	return 0, 0
}

// insert writes the collected rows. A key that is there is ErrDuplicate, one that the database takes for another's ErrCollation.
func (t *tx) insert(ctx context.Context, r *rows) error {
	if r.err != nil {
		return r.err
	}
	if r.count == 0 {
		return nil
	}
	if err := t.redecorate(ctx, r); err != nil {
		return err
	}
	err := t.s.dialect.insert(ctx, t.exec, r)
	if err == nil || !errors.Is(t.s.dialect.classify(err), ErrDuplicate) {
		return err
	}
	there, failed := t.there(ctx, r)
	switch {
	case failed != nil:
		return fmt.Errorf("%w; whether it is another's: %w", err, failed)
	case !there:
		return fmt.Errorf("%w: %w", ErrCollation, err)
	}
	return err
}

// insertFree is insert for rows that nothing but themselves depends on: one whose key the database takes for another's is left out,
// because it must not take a message with it. It is named in the log, once for each table.
func (t *tx) insertFree(ctx context.Context, r *rows) error {
	err := t.insert(ctx, r)
	if !errors.Is(err, ErrCollation) {
		return err
	}
	width := len(r.shape.names)
	for i := r.done; i < r.count; i++ {
		one := &rows{table: r.table, shape: r.shape, args: r.args[i*width : (i+1)*width], count: 1}
		err := t.insert(ctx, one)
		if errors.Is(err, ErrCollation) {
			if _, said := t.s.collided.LoadOrStore(r.table, true); !said {
				t.s.log.Warn("a row was left out: the collation of its table takes its key for another's, and does so with all that differ in no more (see the warnings of the start)",
					"table", r.table, "error", err)
			}
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// there says whether a key of a row that was not written is there, to the letter.
func (t *tx) there(ctx context.Context, r *rows) (there bool, err error) {
	width := len(r.shape.names)
	for _, key := range uniqueKeys[r.table] {
		var at []int
		for _, column := range key {
			at = append(at, slices.Index(r.shape.names, column))
		}
		var keys []pair
		for row := r.args[r.done*width:]; len(row) > 0 && err == nil; row = row[width:] {
			var k pair
			whole := true
			for i, n := range at {
				text, ok := row[n].(string)
				k[i], whole = text, whole && ok
			}
			if whole { // with NULL there is no key
				keys = append(keys, k)
			}
		}
		found := func(scanner) error { there = true; return nil }
		from := `SELECT ` + key[0] + ` FROM ` + r.table + ` WHERE `
		if len(key) == 2 {
			err = t.readPairs(ctx, from+`(`+key[0]+` == ? AND `+key[1]+` == ?)*`, keys, found)
		} else {
			err = t.readIn(ctx, from+key[0]+` == (?*)`, firsts(keys), found)
		}
	}
	return there, err
}

func firsts(keys []pair) []string {
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = k[0]
	}
	return list
}

// execFunc runs the statement that is known by (name, n), whose text is made once, and says how many rows it found.
type execFunc func(ctx context.Context, name string, n int, text func() string, args []any) (int64, error)

// insertValues is the multi-row insert of the engines that take many rows after VALUES. Few prepared sizes serve all
// batches (measured on MariaDB: 100 rows per statement are the knee, prepared beats interpolated by 14 to 41 %).
func insertValues(ctx context.Context, exec execFunc, r *rows) error {
	width := len(r.shape.names)
	for done := 0; done < r.count; {
		n := 1
		for _, size := range rowSizes {
			if size > r.count-done {
				break
			}
			if bytesOf(r.args[done*width:(done+size)*width]) > maxStatementBytes {
				break
			}
			n = size
		}
		text := func() string {
			row := "(" + strings.TrimSuffix(strings.Repeat("?,", width), ",") + ")"
			return "INSERT INTO " + r.table + " (" + strings.Join(r.shape.names, ", ") + ") VALUES " +
				strings.TrimSuffix(strings.Repeat(row+",", n), ",")
		}
		if _, err := exec(ctx, "insert "+r.table, n, text, r.args[done*width:(done+n)*width]); err != nil {
			return fmt.Errorf("insert into %s: %w", r.table, err)
		}
		done += n
		r.done = done
	}
	return nil
}

// rowSizes are the row counts for which multi-row statements are prepared, ascending.
var rowSizes = []int{1, 8, 32, 128}

// maxStatementBytes bounds one statement's values: old MySQL servers take packets of 1 MiB. One row is always sent.
const maxStatementBytes = 512 << 10

func bytesOf(args []any) int {
	n := 0
	for _, a := range args {
		if s, ok := a.(string); ok {
			n += len(s)
		}
	}
	return n
}
