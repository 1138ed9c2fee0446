package store

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Place is where a look at a window of messages ended. The zero Place says that it reached the end.
type Place struct{ Time, ID string }

// MessagesTo looks at the next window messages of all conversations with msg_time >= time, behind the row after ("" = from
// the first of that time), oldest first, and answers those to a user. No index serves "to this user since then" on every
// engine, and one more would cost each message 15 %; a bounded look costs the same however many messages there are. end
// holds msg_time and id_ of the last one looked at, or of the last one answered, where limit or large bodies ended it.
func (s *Store) MessagesTo(ctx context.Context, user, time, after string, window, limit int) (found []Message, end Place, err error) {
	where, args := `msg_time >= ?`, []any{s.dialect.atLeast(time)}
	if after != "" {
		where, args = oldestFirst.behind(s.dialect, []string{time, after})
	}
	_, err = s.onePage(ctx, `SELECT msg_time, id_ FROM ofmessage WHERE `+where+oldestFirst.order(), args, int64(window-1),
		func(scan scanner) error { return scan((*text)(&end.Time), (*text)(&end.ID)) })
	if err != nil {
		return nil, Place{}, err
	}
	if end != (Place{}) {
		where, args = where+` AND msg_time <= ? AND (msg_time < ? OR id_ <= ?)`, append(args, end.Time, end.Time, end.ID)
	}
	found, err = s.pageOf(ctx, `SELECT `+messageColumns+` FROM ofmessage WHERE `+where+` AND msg_to == ?`+oldestFirst.order(),
		append(args, user), Page{Length: limit})
	if n := len(found); n > 0 && More(found, limit) {
		end = Place{found[n-1].Time, found[n-1].ID}
	}
	return found, end, err
}

// SearchGroup looks at the next window messages of a group, newest first, from behind p.BeforeTime and p.BeforeID ("" = from
// the newest), and answers at most p.Length of those whose body may hold text, in any letter case and in any escaping that JSON
// allows. Callers look closer: letters beyond ASCII that have a case stand for any letter here, so a few answers are too many. end
// holds msg_time and msg_id of the last message looked at. Where p.Length are answered, those between the last answer and end are
// still to be looked at. Opaque bodies are not searched.
func (s *Store) SearchGroup(ctx context.Context, group, text string, p Page, window int) ([]Message, Place, error) {
	return s.search(ctx, groupWhere, []any{group}, text, p, window)
}

// SearchChat is [Store.SearchGroup] for the 1:1 messages between a and b, both directions. The window holds for each of them.
func (s *Store) SearchChat(ctx context.Context, a, b, text string, p Page, window int) ([]Message, Place, error) {
	found, end, err := s.search(ctx, chatWhere, []any{a, b}, text, p, window)
	if err != nil || a == b {
		return found, end, err
	}
	back, other, err := s.search(ctx, chatWhere, []any{b, a}, text, p, window)
	if err != nil {
		return nil, Place{}, err
	}
	// Only as far as both were looked at.
	if end == (Place{}) || other != (Place{}) && newer(other, end) {
		end = other
	}
	found = append(found, back...)
	if end != (Place{}) {
		found = slices.DeleteFunc(found, func(m Message) bool { return newer(end, Place{m.Time, m.MsgID}) })
	}
	slices.SortStableFunc(found, func(m, n Message) int {
		if c := strings.Compare(n.Time, m.Time); c != 0 {
			return c
		}
		return strings.Compare(n.MsgID, m.MsgID)
	})
	return found[:min(len(found), max(0, p.Length))], end, nil
}

func newer(a, b Place) bool { return a.Time > b.Time || a.Time == b.Time && a.ID > b.ID }

const clearText = ` AND (flags IS NULL OR flags LIKE '0,0,%') AND (LOWER(body) LIKE ? ESCAPE '!' OR LOWER(body) LIKE ? ESCAPE '!')`

func (s *Store) search(ctx context.Context, where string, args []any, what string, p Page, window int) ([]Message, Place, error) {
	p.Start = 0
	where, args, _ = keyset(where, args, p)
	var end Place
	_, err := s.onePage(ctx, `SELECT msg_time, msg_id FROM ofmessage WHERE `+where+newestFirst, args, int64(window-1),
		func(scan scanner) error { return scan((*text)(&end.Time), (*text)(&end.ID)) })
	if err != nil {
		return nil, Place{}, err
	}
	switch {
	case end.Time == "": // the end, or legacy rows without a time, which come last
		end = Place{}
	case end.ID == "":
		where, args = where+` AND msg_time >= ?`, append(slices.Clip(args), end.Time)
	default:
		where, args = where+` AND msg_time >= ? AND (msg_time > ? OR msg_id >= ?)`, append(slices.Clip(args), end.Time, end.Time, end.ID)
	}
	plain, escaped := likePatterns(what, s.dialect.wildcards)
	found, err := s.pageOf(ctx, `SELECT `+messageColumns+` FROM ofmessage WHERE `+where+clearText+newestFirst,
		append(slices.Clip(args), plain, escaped), Page{Length: p.Length})
	if n := len(found); n < p.Length && More(found, p.Length) { // large bodies ended it
		end = Place{found[n-1].Time, found[n-1].MsgID}
	}
	return found, end, err
}

// onePage reads the one row at an offset and says whether there is one.
func (s *Store) onePage(ctx context.Context, query string, args []any, offset int64, row func(scanner) error) (found bool, err error) {
	err = s.page(ctx, query, args, 1, offset, func(scan scanner) error {
		found = true
		return row(scan)
	})
	return found, err
}

// likePatterns are what JSON text that holds s may look like: as people write it, and as encoders write it that keep to
// ASCII. Engines disagree on the letter case of what is not ASCII, so such a letter is any character here.
func likePatterns(s, wildcards string) (plain, ascii string) {
	var p, a strings.Builder
	both := func(text string) {
		p.WriteString(text)
		a.WriteString(text)
	}
	for _, r := range strings.ToLower(s) {
		switch {
		case r == '"':
			both(`\"`)
		case r == '\\':
			both(`\\`)
		case r == '\n':
			both(`\n`)
		case r == '\r':
			both(`\r`)
		case r == '\t':
			both(`\t`)
		case r == '!', strings.ContainsRune(wildcards, r):
			both("!" + string(r))
		case r == '/': // some encoders escape it
			both(`%/`)
		case r == '<', r == '>', r == '&':
			p.WriteRune(r)
			a.WriteString(unicodeEscape(r))
		case r < 0x80:
			both(string(r))
		case unicode.SimpleFold(r) != r:
			p.WriteByte('_')
			a.WriteString(`\u____`)
		default:
			p.WriteRune(r)
			a.WriteString(unicodeEscape(r))
		}
	}
	return "%" + p.String() + "%", "%" + a.String() + "%"
}

func unicodeEscape(r rune) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune{r}) {
		b.WriteString(`\u`)
		for shift := 12; shift >= 0; shift -= 4 {
			b.WriteByte(hex[unit>>shift&15])
		}
	}
	return b.String()
}
