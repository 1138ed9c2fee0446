package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/encoding"
)

// charset is the character set of a column, as its dialect knows it. The zero value has every character: some engines have no character
// sets of columns.
type charset struct {
	name     string // for people
	lacks    lack
	chinese  bool              // it has the usual characters of China
	encoding encoding.Encoding // for engines that do not say what a set lacks; nil: nobody knows it
	double   bool              // characters beyond ASCII take two bytes
}

// lack says which characters a character set has not.
type lack int

const (
	lacksNothing lack = iota
	lacksPlanes       // what is beyond U+FFFF: emoji and rare Chinese
	lacksSome         // of one country's Chinese characters it has most
	lacksMost         // of Chinese it has a part
	lacksChinese      // all Chinese
)

// No row equals a text with a character that its column lacks. MySQL reports that as an error which it also gives where columns of two
// collations are compared. So the arguments tell what it is, never the error: an error is "nothing found" only where one of them cannot be
// in its column.

// unheldError says which arguments of a statement have characters that the column compared with them lacks. It does not leave this
// package: no row can equal them.
type unheldError struct{ args map[int]bool }

// Error says what no row can have.
func (u *unheldError) Error() string {
	return "no row can equal the value: its column lacks a character"
}

// charsets are the character sets of the columns, read when they are first asked for.
type charsets struct {
	mu   sync.Mutex
	of   catalogue
	read time.Time
}

// charsetsLife is how long they are believed: a table can be converted while tlim runs.
const charsetsLife = time.Minute

func (s *Store) catalogue(ctx context.Context) (catalogue, error) {
	s.charsets.mu.Lock()
	defer s.charsets.mu.Unlock()
	now := s.cfg.Now()
	if s.charsets.of == nil || now.Sub(s.charsets.read) > charsetsLife {
		have, err := s.dialect.catalogue(ctx, s.pools.reader)
		if err != nil {
			return nil, err
		}
		s.charsets.of, s.charsets.read = have, now
	}
	return s.charsets.of, nil
}

// unheld explains an error of a statement that compares texts of different kinds: an *unheldError where arguments are to blame.
func (s *Store) unheld(ctx context.Context, c *command, args []any, why error) error {
	have, err := s.catalogue(ctx)
	if err != nil {
		return fmt.Errorf("%w; which column lacks a character: %w", why, err)
	}
	found := &unheldError{map[int]bool{}}
	for i, column := range c.compared {
		text, ok := args[i].(string)
		if column == "" || !ok {
			continue
		}
		_, name, qualified := strings.Cut(column, ".")
		if !qualified {
			name = column
		}
		for _, table := range c.tables {
			if have[table] == nil {
				continue
			}
			held, err := s.heldBy(ctx, have[table].columns[name].charset, text)
			if err != nil {
				return fmt.Errorf("%w; whether %s.%s lacks a character: %w", why, table, name, err)
			}
			if held != text {
				found.args[i] = true
			}
		}
	}
	if len(found.args) > 0 {
		return found
	}
	return why
}

const lastOfPlane = rune(0xffff)

func withoutBeyond(text string, last rune) string {
	if strings.IndexFunc(text, func(r rune) bool { return r > last }) < 0 {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r > last {
			return '?'
		}
		return r
	}, text)
}

// plain says whether every character set has all of a text.
func plain(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r > 0x7f }) < 0
}

// heldBy is text as a character set can hold it, with a "?" for each character that it lacks.
func (s *Store) heldBy(ctx context.Context, set charset, text string) (string, error) {
	switch {
	case set.lacks == lacksNothing, plain(text):
		return text, nil
	case set.lacks == lacksPlanes:
		return withoutBeyond(text, lastOfPlane), nil
	}
	return s.dialect.held(ctx, s.pools.reader, set, text)
}
