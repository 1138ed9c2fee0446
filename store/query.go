package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// statement names a prepared statement: its text before expansion, and how often its list is repeated.
type statement struct {
	query string
	n     int
}

// scanner reads the columns of the current row.
type scanner func(dest ...any) error

// text reads a column as a string: NULL is "", and a number (id_ of legacy tables) its decimal text.
type text string

// Scan implements sql.Scanner.
func (t *text) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*t = ""
	case string:
		*t = text(v)
	case []byte:
		*t = text(v)
	case int64:
		*t = text(strconv.FormatInt(v, 10))
	case float64:
		*t = text(strconv.FormatFloat(v, 'f', -1, 64))
	default:
		return fmt.Errorf("a %T in a text column", v)
	}
	return nil
}

// number reads an int column; NULL is 0, as the old plugin read it.
type number int64

// Scan implements sql.Scanner.
func (n *number) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*n = 0
	case int64:
		*n = number(v)
	case uint64:
		*n = number(v)
	case float64:
		if *n = number(v); float64(*n) != v {
			return fmt.Errorf("%v in a number column", v)
		}
	case []byte:
		i, err := strconv.ParseInt(string(v), 10, 64)
		*n = number(i)
		return err
	case string:
		i, err := strconv.ParseInt(v, 10, 64)
		*n = number(i)
		return err
	default:
		return fmt.Errorf("a %T in a number column", v)
	}
	return nil
}

// flag reads a 0/1 column.
type flag bool

// Scan implements sql.Scanner.
func (f *flag) Scan(v any) error {
	var n number
	err := n.Scan(v)
	*f = n != 0
	return err
}

// bit is a bool as the tables hold it.
func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// millis is a time as the tables hold it: 13 digits, so that text sorts as numbers do.
func millis(ms int64) string { return fmt.Sprintf("%0*d", timeDigits, max(0, ms)) }

const timeDigits = 13

// ParseTime reads a time that sorts, as text, as its milliseconds do: 13 digits. Legacy rows have others, as dates.
func ParseTime(text string) (ms int64, ok bool) {
	if len(text) != timeDigits || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	return ms, err == nil
}

// each runs a query without preparing it, and calls row for every row.
func each(ctx context.Context, db querier, query string, row func(scanner) error, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	return drain(rows, row)
}

func drain(rows *sql.Rows, row func(scanner) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); errors.Is(err, errEnough) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return rows.Err()
}

// errEnough ends a read without an error. It does not leave this package.
var errEnough = errors.New("enough rows")

// reader returns the prepared statement for st, whose text is made at the first use. The set of statements is fixed by
// the code (texts times list sizes), so nothing is ever evicted.
func (s *Store) reader(ctx context.Context, st statement, text func() string) (*prepared, error) {
	if v, ok := s.readers.Load(st); ok {
		return v.(*prepared), nil
	}
	p, err := prepare(ctx, s.pools.reader, s.command(text()))
	if err != nil {
		return nil, err
	}
	if v, lost := s.readers.LoadOrStore(st, p); lost { // somebody else was faster
		p.stmt.Close()
		p = v.(*prepared)
	}
	return p, nil
}

// read runs a prepared query on the reading pool, bounded by MaxWait.
func (s *Store) read(ctx context.Context, st statement, text func() string, args []any, row func(scanner) error) error {
	leave, err := s.shared.enter(ctx)
	if err != nil {
		return s.fail(err)
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.MaxWait)
	defer cancel()
	began := time.Now()
	p, err := s.reader(ctx, st, text)
	if err != nil {
		return s.fail(s.late(err, began))
	}
	rows, err := p.stmt.QueryContext(ctx, p.arrange(args)...)
	if err == nil {
		err = drain(rows, row)
	}
	if err != nil && s.dialect.unmatched(err) {
		err = s.unheld(ctx, p.command, args, err)
	}
	return s.fail(s.late(err, began))
}

// all reads every row of one query.
func (s *Store) all(ctx context.Context, query string, args []any, row func(scanner) error) error {
	err := s.read(ctx, statement{query, 0}, func() string { return query }, args, row)
	if errors.As(err, new(*unheldError)) {
		return nil
	}
	return err
}

// one reads at most one row and says whether there was one.
func (s *Store) one(ctx context.Context, query string, args []any, row func(scanner) error) (found bool, err error) {
	err = s.all(ctx, query, args, func(scan scanner) error {
		if found {
			return nil // legacy tables hold duplicates: the first counts
		}
		found = true
		return row(scan)
	})
	return found, err
}

// page reads length rows after the first offset.
func (s *Store) page(ctx context.Context, query string, args []any, length, offset int64, row func(scanner) error) error {
	query, args = s.dialect.page(query, args, length, offset)
	return s.all(ctx, query, args, row)
}

// listSizes and pairSizes are the lengths for which queries with lists are prepared. Shorter lists are filled up with
// their last value. 500 stays below Oracle's 1,000 and SQL Server's 2,098.
var (
	listSizes = []int{1, 8, 32, 128, 500}
	pairSizes = []int{1, 8, 32, 128}
)

// chunk is the next part of n values: how many of them, and for which prepared size.
func chunk(n int, sizes []int) (take, size int) {
	for _, size := range sizes {
		if n <= size {
			return n, size
		}
	}
	last := sizes[len(sizes)-1]
	return last, last
}

// parts calls do for all keys, in chunks of the prepared sizes; before are the arguments in front of the list, width those of a key.
// Keys that their column cannot hold are left out, because no row equals them: one hostile id must not hide the rows of the others.
func parts[K any](keys []K, sizes []int, before, width int, do func(keys []K, size int) error) error {
	for len(keys) > 0 {
		take, size := chunk(len(keys), sizes)
		err := do(keys[:take], size)
		var unheld *unheldError
		if errors.As(err, &unheld) {
			var held []K
			for i, k := range keys[:take] {
				lacks := false
				for n := range width {
					lacks = lacks || unheld.args[before+i*width+n]
				}
				if !lacks {
					held = append(held, k)
				}
			}
			if len(held) == take { // a value beside the list
				return nil
			}
			err = parts(held, sizes, before, width, do)
		}
		if err != nil {
			return err
		}
		keys = keys[take:]
	}
	return nil
}

// in runs a query with one "?*" for all keys, in chunks; before and after are the arguments around the list.
func (s *Store) in(ctx context.Context, query string, before []any, keys []string, after []any, row func(scanner) error) error {
	return parts(keys, listSizes, len(before), 1, func(keys []string, size int) error {
		args := append(make([]any, 0, len(before)+size+len(after)), before...)
		args = append(fill(args, keys, size), after...)
		return s.read(ctx, statement{query, size}, func() string { return list(query, size) }, args, row)
	})
}

// fill appends keys and repeats the last one up to size.
func fill(args []any, keys []string, size int) []any {
	for _, k := range keys {
		args = append(args, k)
	}
	last := args[len(args)-1]
	for range size - len(keys) {
		args = append(args, last)
	}
	return args
}

// pair is two values that a "(a == ? AND b == ?)*" of a query compares.
type pair [2]string

// pairs runs a query with one "(..)*" for all pairs, in chunks.
func (s *Store) pairs(ctx context.Context, query string, keys []pair, row func(scanner) error) error {
	return parts(keys, pairSizes, 0, 2, func(keys []pair, size int) error {
		return s.read(ctx, statement{query, size}, func() string { return alternatives(query, size) }, fillPairs(keys, size), row)
	})
}

func fillPairs(keys []pair, size int) []any {
	args := make([]any, 0, 2*size)
	for i := range size {
		k := keys[min(i, len(keys)-1)]
		args = append(args, k[0], k[1])
	}
	return args
}

// Page is a part of a history, newest first, equal times by msg_id.
type Page struct {
	// Start rows are skipped and Length are answered; math.MaxInt is "all that follow".
	Start, Length int
	// BeforeTime and BeforeID are msg_time and msg_id of the last row of the page before; they replace Start, and make
	// a deep page as cheap as the first. A row without any msg_time is reached by Start only.
	BeforeTime, BeforeID string
	// NoTotal leaves out the count of the whole, which costs as much as a long page: the total is -1.
	NoTotal bool
}

// maxPageBytes is what the bodies of one page hold together, and the one that is over it: a thousand messages of the largest size
// would be 64 MiB, for each of some hundred slow readers.
const maxPageBytes = 1 << 20

// More says whether rows may follow those of a page that asked for n: it ends with its n-th, or before, when its bodies are large.
func More[T interface{ size() int }](page []T, n int) bool {
	size := 0
	for i := range page {
		size += page[i].size()
	}
	return len(page) >= n || size >= maxPageBytes
}

// paged makes of row, which says how large a row was, the reading of a page that ends by size.
func paged(row func(scanner) (size int, err error)) func(scanner) error {
	left := maxPageBytes
	return func(scan scanner) error {
		size, err := row(scan)
		if left -= size; err == nil && left <= 0 {
			err = errEnough
		}
		return err
	}
}

func (p Page) length() int64 {
	// A limit of MaxInt64 plus an offset overflows in some engines.
	return int64(min(p.Length, math.MaxInt32))
}
