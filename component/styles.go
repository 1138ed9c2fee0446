package component

import (
	"context"
	"unicode/utf8"

	"tlim/component/stanza"
	"tlim/store"
)

// SetStyle stores a setting that a user's clients share, over the one of that name. Errors: error-008, error-012,
// ErrUnavailable.
func (s *Service) SetStyle(ctx context.Context, y store.Style) error {
	p, err := s.spell(ctx, y.UserID)
	if err != nil {
		return err
	}
	if utf8.RuneCountInString(y.Name) > maxID || !stanza.ValidXML(y.Name) {
		return refuse(TooLarge, "style_name is longer than %d characters, or holds one that XML forbids", maxID)
	}
	y.UserID = p.ID
	return s.do(ctx, &call{alone: true, plan: func(_ context.Context, b *batch) error {
		y.ID = newID()
		b.changes = append(b.changes, store.Change{Styles: []store.Style{y}})
		return nil
	}})
}
