package store

import "context"

// Unread says how much of one conversation waits for a user.
type Unread struct {
	SessionID string // the peer's or the group's id, "admin" for notices
	Family    string // MTT, MTS or MTB; see [FamilyOf]
	Count     int
	Newest    string // msg_time of the newest
}

// Messages that users wrote themselves do not count: those wait for their phone only.
const offlineCounts = `SELECT MIN(session_id), msg_type, COUNT(DISTINCT exact(msg_id)), MAX(msg_time) FROM ofcustomoffline WHERE delete_user == ?` + notReceipt + `
	AND (msg_from IS NULL OR msg_from !== delete_user)
	GROUP BY exact(session_id), msg_type ORDER BY exact(session_id), msg_type`

// UnreadCounts counts what waits for owner, by conversation.
func (s *Store) UnreadCounts(ctx context.Context, owner string) ([]Unread, error) {
	found := []Unread{}
	at := map[[2]string]int{}
	err := s.all(ctx, offlineCounts, []any{owner}, func(scan scanner) error {
		var u Unread
		var kind string
		if err := scan((*text)(&u.SessionID), (*text)(&kind), intColumn{&u.Count}, (*text)(&u.Newest)); err != nil {
			return err
		}
		u.Family = FamilyOf(kind)
		key := [2]string{u.SessionID, u.Family}
		n, ok := at[key]
		if !ok {
			at[key] = len(found)
			found = append(found, u)
			return nil
		}
		found[n].Count += u.Count
		found[n].Newest = max(found[n].Newest, u.Newest)
		return nil
	})
	return found, err
}
