package component

import (
	"context"
	"fmt"
	"slices"
	"unicode/utf8"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// SetStyle stores a setting that a user's clients share, over the one of that name. bounded: limits.styles_per_user holds, as it
// does for callers without a key. Errors: error-008, error-012,
// ErrUnavailable.
func (s *Service) SetStyle(ctx context.Context, y store.Style, bounded bool) error {
	p, err := s.users.Canonical(ctx, y.UserID)
	if err != nil {
		return err
	}
	if utf8.RuneCountInString(y.Name) > protocol.MaxID || !stanza.ValidXML(y.Name) {
		return protocol.Refuse(protocol.TooLarge, "style_name is longer than %d characters, or holds one that XML forbids", protocol.MaxID)
	}
	y.UserID = p.ID
	return s.do(ctx, &task{alone: true, plan: func(ctx context.Context, b *batch) error {
		if most := s.cfg.Limits.UserStyles; bounded && most > 0 {
			styles, err := s.store.StylesOf(ctx, p.ID)
			if err != nil {
				return err
			}
			if len(styles) >= most && !slices.ContainsFunc(styles, func(have store.Style) bool { return have.Name == y.Name }) {
				return &protocol.Error{Code: protocol.TooLarge, Text: fmt.Sprintf("the user has %d settings, at most %d are allowed (limits.styles_per_user)", len(styles), most),
					Chinese: fmt.Sprintf("该用户已有 %d 项显示设置，最多允许 %d 项（limits.styles_per_user）", len(styles), most)}
			}
		}
		y.ID = protocol.NewID()
		b.changes = append(b.changes, store.Change{Styles: []store.Style{y}})
		return nil
	}})
}
