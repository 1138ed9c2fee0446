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

// Post stores an announcement of a group; who posts need not be a member. Its ID, its Time and the canonical id
// of its user are given here. bounded: limits.announcements_per_group holds, as it does for callers without a key. Errors: error-000 when it says
// nothing, error-008, error-009, error-012, ErrUnavailable.
func (s *Service) Post(ctx context.Context, a store.Announcement, bounded bool) error {
	p, err := s.users.Canonical(ctx, a.UserID)
	if err != nil {
		return err
	}
	if a.Title == "" && a.Content == "" {
		return protocol.Refuse(protocol.BodyEmpty, "title and content are both empty")
	}
	if err := s.checkAnnouncement(&a.Title, &a.Content); err != nil {
		return err
	}
	return s.do(ctx, &task{alone: true, plan: func(ctx context.Context, b *batch) error {
		if _, err := b.mustFind(ctx, a.SessionID); err != nil {
			return err
		}
		if maxPosts := s.cfg.Limits.GroupPosts; bounded && maxPosts > 0 {
			switch n, err := s.store.CountAnnouncements(ctx, a.SessionID); {
			case err != nil:
				return err
			case n >= maxPosts:
				return &protocol.Error{Code: protocol.TooLarge, Text: fmt.Sprintf("the session has %d announcements, at most %d are allowed (limits.announcements_per_group); delete one first", n, maxPosts),
					Chinese: fmt.Sprintf("该会话已有 %d 条公告，最多允许 %d 条（limits.announcements_per_group），请先删除旧公告", n, maxPosts)}
			}
		}
		a.ID, a.UserID, a.Time = protocol.NewID(), p.ID, protocol.FormatTime(b.now.UnixMilli())
		b.changes = append(b.changes, store.Change{Announcements: []store.Announcement{a}})
		return nil
	}})
}

// EditPost changes the non-nil fields of an announcement; found is false when there is none with this id. Errors: error-012,
// ErrUnavailable.
func (s *Service) EditPost(ctx context.Context, e store.AnnouncementEdit) (found bool, err error) {
	if err := s.checkAnnouncement(e.Title, e.Content); err != nil {
		return false, err
	}
	err = s.do(ctx, &task{alone: true, plan: func(ctx context.Context, b *batch) error {
		if _, found, err = s.store.Announcement(ctx, e.ID); err != nil || !found {
			return err
		}
		b.changes = append(b.changes, store.Change{EditAnnouncements: []store.AnnouncementEdit{e}})
		return nil
	}})
	return found, err
}

// DeletePost removes an announcement; one that is gone is no error.
func (s *Service) DeletePost(ctx context.Context, id string) error {
	return s.do(ctx, &task{alone: true, plan: func(ctx context.Context, b *batch) error {
		if _, found, err := s.store.Announcement(ctx, id); err != nil || !found {
			return err
		}
		b.changes = append(b.changes, store.Change{DropAnnouncements: []string{id}})
		return nil
	}})
}

func (s *Service) checkAnnouncement(title, content *string) error {
	switch {
	case title != nil && utf8.RuneCountInString(*title) > protocol.MaxName:
		return protocol.Refuse(protocol.TooLarge, "title is longer than %d characters", protocol.MaxName)
	case content != nil && len(*content) > s.cfg.Limits.Body:
		return protocol.Refuse(protocol.TooLarge, "content is larger than %d bytes", s.cfg.Limits.Body)
	case title != nil && !stanza.ValidXML(*title), content != nil && !stanza.ValidXML(*content):
		return protocol.Refuse(protocol.NotJSON, "the announcement holds a character that XML forbids")
	}
	return nil
}

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
		if maxStyles := s.cfg.Limits.UserStyles; bounded && maxStyles > 0 {
			styles, err := s.store.StylesOf(ctx, p.ID)
			if err != nil {
				return err
			}
			if len(styles) >= maxStyles && !slices.ContainsFunc(styles, func(have store.Style) bool { return have.Name == y.Name }) {
				return &protocol.Error{Code: protocol.TooLarge, Text: fmt.Sprintf("the user has %d settings, at most %d are allowed (limits.styles_per_user)", len(styles), maxStyles),
					Chinese: fmt.Sprintf("该用户已有 %d 项显示设置，最多允许 %d 项（limits.styles_per_user）", len(styles), maxStyles)}
			}
		}
		y.ID = protocol.NewID()
		b.changes = append(b.changes, store.Change{Styles: []store.Style{y}})
		return nil
	}})
}
