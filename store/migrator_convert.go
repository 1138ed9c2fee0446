package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Conversion is a table that gets columns which hold every character and tell all texts apart.
type Conversion struct {
	Table     string        `json:"table"`
	Faults    []string      `json:"faults"` // what is wrong with it now
	Rows      int64         `json:"rows"`   // about
	Bytes     int64         `json:"bytes"`
	Time      time.Duration `json:"nanoseconds"` // about, in which nobody writes it
	Disk      int64         `json:"disk"`        // free bytes that it takes meanwhile, about
	Statement string        `json:"statement"`
	Notes     []string      `json:"notes"` // what the rows are like
}

// ConversionRate is how many bytes a second a server converts, taken low (measured, MariaDB 10.11 with a buffer pool of 64 MiB: 48 MiB
// without indexes, 25 MiB with five, 9 MiB with them on a busy machine).
const ConversionRate = 8 << 20

// Conversions lists the tables in the order in which they are converted: the one first without which phones that are away get no
// Chinese message, then the small before the large. Its error says where there is nothing of the kind.
func (e *Examination) Conversions(ctx context.Context) ([]Conversion, error) {
	return e.s.planned(ctx, e.patient(), e.have)
}

func (s *Store) planned(ctx context.Context, db querier, have catalogue) (list []Conversion, err error) {
	ddl := s.dialect.ddl
	if ddl.convert == nil {
		return nil, fmt.Errorf("%w: %s, in %s there is nothing to convert", ErrEngine, convertedTo(), s.dialect.name)
	}
	if err := s.seen(have); err != nil {
		return nil, err
	}
	sizes, _, err := s.sizes(ctx, db, have)
	if err != nil {
		return nil, s.fail(err)
	}
	for _, t := range allTables() {
		c := Conversion{Table: t.name, Statement: ddl.convert(t.name), Rows: sizes[t.name].rows, Bytes: sizes[t.name].bytes}
		for _, fault := range []string{charsetFault(t, have[t.name]), s.dialect.collationFault(have[t.name])} {
			if fault != "" {
				c.Faults = append(c.Faults, fault)
			}
		}
		if len(c.Faults) == 0 {
			continue
		}
		c.Time = max(time.Second, time.Duration(float64(c.Bytes)/ConversionRate*float64(time.Second)))
		c.Disk = c.Bytes + c.Bytes/2 // the copy, and its indexes while they are sorted
		if c.Notes, err = ddl.unreadable(ctx, db, t.name, have[t.name]); err != nil {
			return nil, s.fail(err)
		}
		list = append(list, c)
	}
	slices.SortStableFunc(list, func(a, b Conversion) int {
		if queue := bit(b.Table == tOffline.name) - bit(a.Table == tOffline.name); queue != 0 {
			return int(queue)
		}
		return int(min(1, max(-1, a.Bytes-b.Bytes)))
	})
	return list, nil
}

// convertedTo says what columns are converted to, in the words of the engines that know it.
func convertedTo() string {
	var said []string
	for _, d := range engines() {
		if d.ddl.converted != "" {
			said = append(said, d.ddl.converted)
		}
	}
	return strings.Join(said, ", ")
}

// seen is an error where nothing can be told of the tables, because they are elsewhere, or may not be read.
func (s *Store) seen(have catalogue) error {
	parts, err := schema(s.dialect.name)
	if err != nil {
		return err
	}
	const remedy = "is store.dsn the right database, and may its user read it?"
	if len(have.ours()) == 0 {
		return fmt.Errorf("%w: no table of the plugin's or of tlim's is seen: %s", ErrSchema, remedy)
	}
	for _, t := range allTables() {
		if info := have[t.name]; info != nil {
			if columns := lacking(t, parts, info); len(columns) > 0 {
				return fmt.Errorf("%w: %s is not seen: %s", ErrSchema, some(columns), remedy)
			}
		}
	}
	return nil
}

// Convert makes the conversions, and returns the tables that are converted. A process that serves keeps it from it: it would refuse
// messages meanwhile, and knows the columns of before.
func (m *Migrator) Convert(ctx context.Context) (converted []string, err error) {
	if err := m.possible(ctx, converting); err != nil {
		return nil, err
	}
	have, err := m.s.dialect.catalogue(ctx, m.conn)
	if err != nil {
		return nil, m.explained(err)
	}
	list, err := m.s.planned(ctx, m.conn, have)
	if err != nil {
		return nil, err
	}
	unlock, err := m.alone(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.explained(unlock())) }()
	w := &work{begun: time.Now(), size: map[string]size{}}
	for _, c := range list {
		w.steps = append(w.steps, part{kind: "conversion", table: c.Table, sql: c.Statement})
		w.size[c.Table] = size{rows: c.Rows}
		w.total += c.Rows
	}
	for i, c := range list {
		begun := time.Now()
		what := "table " + c.Table
		if err := m.watched(ctx, w, i, what, true, c.Statement); err != nil {
			return converted, fmt.Errorf("%s stays as it was: %w", c.Table, m.explained(err))
		}
		w.rows += c.Rows
		done := w.progress(i, what, 0, begun)
		done.Done, done.Locks = true, true
		m.tell(done)
		converted = append(converted, c.Table)
	}
	return converted, nil
}
