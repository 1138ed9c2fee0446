package store

import (
	"context"
	"fmt"
)

// Style is a row of ofstyle: a setting that a user's clients share. Name and UserID are its key.
type Style struct {
	ID     string // style_id, of a row that is inserted
	Name   string
	Value  int
	UserID string
}

const (
	styleOf     = `SELECT style_id, style_name, style_value, user_id FROM ofstyle WHERE user_id == ? ORDER BY style_name, style_id`
	styleUpdate = `UPDATE ofstyle SET style_value = ? WHERE style_name == ? AND user_id == ?`
)

// StylesOf reads a user's styles by name; legacy tables can hold several of one name.
func (s *Store) StylesOf(ctx context.Context, user string) ([]Style, error) {
	found := []Style{}
	err := s.all(ctx, styleOf, []any{user}, func(scan scanner) error {
		found = append(found, Style{})
		y := &found[len(found)-1]
		return scan((*text)(&y.ID), (*text)(&y.Name), intColumn{&y.Value}, (*text)(&y.UserID))
	})
	return found, err
}

// putStyles overwrites the value, or inserts.
func (t *tx) putStyles(ctx context.Context, styles []Style) error {
	for _, y := range styles {
		r := t.s.rowsOf(tStyle, 1)
		if r.add(y.ID, y.Name, int64(y.Value), y.UserID); r.err != nil {
			return r.err
		}
		n, err := t.do(ctx, styleUpdate, int64(y.Value), y.Name, y.UserID)
		if err == nil && n == 0 {
			err = t.insert(ctx, r)
		}
		if err != nil {
			return fmt.Errorf("style %s of %s: %w", y.Name, y.UserID, err)
		}
	}
	return nil
}
