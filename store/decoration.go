package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// decoration says what becomes of a text that only helps people to recognise somebody or something, when its column cannot hold it:
// names, logins, pictures, titles of pushes. It never takes a message with it. What is content has none, and is refused (ErrData).
type decoration string

const (
	cutShort decoration = "cut"  // as much of it as fits, with "?" for characters that the column lacks
	leaveOut decoration = "drop" // half an address or a half login is of no use
)

// decorate is a text as column i of the table can hold it, as far as that can be told without the database: see surely.
func (s *shape) decorate(i int, text string) string {
	whole := text
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "?")
	}
	if s.charsets[i].lacks == lacksPlanes {
		text = withoutBeyond(text, lastOfPlane)
	}
	if n, limit := s.beyond(i, text); n > limit {
		r := []rune(text)
		for r = r[:min(len(r), limit)]; n > limit; r = r[:len(r)-1] {
			text = string(r)
			n, limit = s.beyond(i, text)
		}
	}
	if text != whole && s.kinds[i] == leaveOut {
		return ""
	}
	return text
}

// surely says whether the character set of column i is sure to hold a text that was decorated.
func (s *shape) surely(i int, text string) bool {
	set := s.charsets[i]
	return set.lacks == lacksNothing || set.lacks == lacksPlanes && !s.replaces || plain(text)
}

// redecorate asks the database about the rest.
func (t *tx) redecorate(ctx context.Context, r *rows) error {
	for _, at := range r.odd {
		i := at % len(r.shape.names)
		whole := r.args[at].(string)
		text, err := t.redecorated(ctx, r.shape, i, whole)
		if err == nil && text != whole && r.shape.kinds[i] == "" {
			err = fmt.Errorf("%w: %s.%s has the character set %s, which lacks a character", ErrData, r.table, r.shape.names[i], r.shape.charsets[i].name)
		}
		if err != nil {
			return err
		}
		if r.args[at] = text; text == "" {
			r.args[at] = nil
		}
	}
	r.odd = nil
	return nil
}

func (t *tx) redecorated(ctx context.Context, sh *shape, i int, text string) (string, error) {
	held, err := t.s.heldBy(ctx, sh.charsets[i], text)
	if err != nil {
		return "", err
	}
	if held != text && sh.kinds[i] == leaveOut {
		return "", nil
	}
	return held, nil
}

// fits says what is wrong with a text that an UPDATE sets and that may not be changed.
func (t *tx) fits(ctx context.Context, of table, column, text string) error {
	sh := t.s.shapes[of.name]
	i := slices.Index(sh.names, column)
	err := sh.fits(i, text)
	if err == nil && sh.replaces && !sh.surely(i, text) {
		held, failed := t.s.heldBy(ctx, sh.charsets[i], text)
		if failed != nil {
			return failed
		}
		if held != text {
			err = fmt.Errorf("its character set %s lacks a character", sh.charsets[i].name)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %s.%s: %w", ErrData, of.name, column, err)
	}
	return nil
}

// decoration is a text as a column that an UPDATE sets can hold it.
func (t *tx) decoration(ctx context.Context, of table, column, text string) (string, error) {
	sh := t.s.shapes[of.name]
	i := slices.Index(sh.names, column)
	if text = sh.decorate(i, text); sh.surely(i, text) {
		return text, nil
	}
	return t.redecorated(ctx, sh, i, text)
}
