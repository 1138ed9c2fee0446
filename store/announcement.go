package store

import (
	"context"
)

// Announcement is a row of ofpubact: what a member posted for a whole group.
type Announcement struct {
	ID, Title, Content, UserID string
	Time                       string // ts: when it was posted
	SessionID                  string
}

// AnnouncementEdit changes the non-nil fields of one announcement.
type AnnouncementEdit struct {
	ID             string
	Title, Content *string
}

const (
	announcementColumns = `id_, title, content, user_id, ts, session_id`
	announcementGet     = `SELECT ` + announcementColumns + ` FROM ofpubact WHERE id_ == ?`
	announcementsOf     = `SELECT ` + announcementColumns + ` FROM ofpubact WHERE session_id == ?`
	announcementCount   = `SELECT COUNT(*) FROM ofpubact WHERE session_id == ?`

	announcementTitle   = `UPDATE ofpubact SET title = ? WHERE id_ == ?`
	announcementContent = `UPDATE ofpubact SET content = ? WHERE id_ == ?`
)

// Ids of ours grow with time. Those of the old plugin are random, and some of its rows have no ts.
var announcementKeys = keys{"id_"}

func scanAnnouncement(a *Announcement) []any {
	return []any{(*text)(&a.ID), (*text)(&a.Title), (*text)(&a.Content), (*text)(&a.UserID), (*text)(&a.Time), (*text)(&a.SessionID)}
}

// Announcement reads one announcement and says whether it exists. Ids are compared exactly, whatever the column thinks
// equal: a legacy table can hold numbers there, and MySQL takes "12abc" for 12.
func (s *Store) Announcement(ctx context.Context, id string) (Announcement, bool, error) {
	var a Announcement
	found, err := s.one(ctx, announcementGet, []any{id}, func(scan scanner) error { return scan(scanAnnouncement(&a)...) })
	if err != nil || !found || a.ID != id {
		return Announcement{}, false, err
	}
	return a, true, nil
}

// Announcements reads at most limit announcements of a group in the order of their ids, from behind the id after ("" = from
// the first).
func (s *Store) Announcements(ctx context.Context, group, after string, limit int) ([]Announcement, error) {
	found := []Announcement{}
	err := s.walk(ctx, announcementsOf, []any{group}, announcementKeys, []string{after}, limit, func(scan scanner) error {
		found = append(found, Announcement{})
		return scan(scanAnnouncement(&found[len(found)-1])...)
	})
	return found, err
}

// CountAnnouncements counts the announcements of a group.
func (s *Store) CountAnnouncements(ctx context.Context, group string) (n int, err error) {
	err = s.all(ctx, announcementCount, []any{group}, func(scan scanner) error { return scan(intColumn{&n}) })
	return n, err
}

func (t *tx) addAnnouncements(ctx context.Context, list []Announcement) error {
	r := t.s.rowsOf(tAnnouncement, len(list))
	for i := range list {
		a := &list[i]
		r.add(a.ID, a.Title, a.Content, a.UserID, a.Time, a.SessionID)
	}
	return t.insert(ctx, r)
}

func (t *tx) editAnnouncements(ctx context.Context, edits []AnnouncementEdit) error {
	for _, e := range edits {
		for _, field := range []struct {
			column, query string
			value         *string
		}{{"title", announcementTitle, e.Title}, {"content", announcementContent, e.Content}} {
			if field.value == nil {
				continue
			}
			if err := t.fits(ctx, tAnnouncement, field.column, *field.value); err != nil {
				return err
			}
			if _, err := t.do(ctx, field.query, *field.value, e.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) dropAnnouncements(ctx context.Context, ids []string) error {
	return t.doIn(ctx, announcementDelete, ids)
}
