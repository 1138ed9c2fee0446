package store

import (
	"context"
	"slices"
)

// Erased names one row of ofmessage that goes with its receipts and the files that it opens. What waits for phones stays,
// unlike with a [Drop].
type Erased struct {
	ID          string // id_
	MsgID, From string // of that row; they tell which receipts are the row's
}

const (
	erasedColumns = `id_, msg_id, msg_from`
	chatErased    = `SELECT ` + erasedColumns + ` FROM ofmessage WHERE msg_from == ? AND msg_to == ?` + mtt + butThose
	noticeErased  = `SELECT ` + erasedColumns + ` FROM ofmessage WHERE msg_from == ? AND msg_to == ?` + mtb + butThose
	butThose      = ` AND (msg_time IS NULL OR msg_time <= ? OR msg_time > ?)`
	authorErased  = `SELECT ` + erasedColumns + ` FROM ofmessage WHERE session_id == ? AND msg_from == ?` + mts

	messageAuthors = `SELECT id_, msg_id, msg_from FROM ofmessage WHERE msg_id == (?*)`
)

func scanErased(list *[]Erased) func(scanner) error {
	return func(scan scanner) error {
		*list = append(*list, Erased{})
		e := &(*list)[len(*list)-1]
		return scan((*text)(&e.ID), (*text)(&e.MsgID), (*text)(&e.From))
	}
}

// ChatRows names at most limit messages between a and b, both directions, MTT-* and MTB-*, for [Change.Erase]; but for those
// that came since: with a msg_time above it, up to now (epoch milliseconds). A time beyond now is an old sender's clock.
func (s *Store) ChatRows(ctx context.Context, a, b string, since, now int64, limit int) ([]Erased, error) {
	found := []Erased{}
	for _, side := range [][]any{{a, b}, {b, a}} {
		for _, query := range []string{chatErased, noticeErased} {
			if len(found) >= limit {
				return found, nil
			}
			if err := s.page(ctx, query, append(side[:2:2], millis(since), millis(now)), int64(limit-len(found)), 0, scanErased(&found)); err != nil {
				return nil, err
			}
		}
		if a == b {
			break
		}
	}
	return found, nil
}

// AuthorRows names at most limit messages that a user wrote in a group, for [Change.Erase].
func (s *Store) AuthorRows(ctx context.Context, a Author, limit int) ([]Erased, error) {
	found := []Erased{}
	err := s.page(ctx, authorErased, []any{a.SessionID, a.UserID}, int64(limit), 0, scanErased(&found))
	return found, err
}

// eraseAuthors removes all that these users wrote in these groups. It is for the rest that batches of Erase have left.
func (t *tx) eraseAuthors(ctx context.Context, authors []Author) error {
	for _, a := range authors {
		var rows []Erased
		err := t.query(ctx, statement{authorErased, 0}, func() string { return authorErased }, []any{a.SessionID, a.UserID}, scanErased(&rows))
		if err != nil {
			return err
		}
		if err := t.erase(ctx, rows); err != nil {
			return err
		}
	}
	return nil
}

// erase removes rows by their key, their receipts, and what is known of the files that they name. Receipts know no
// conversation: where another message of the same id stays (legacy tables), only those go whose author is nobody of these.
func (t *tx) erase(ctx context.Context, rows []Erased) error {
	if len(rows) == 0 {
		return nil
	}
	keys := make([]string, 0, len(rows))
	var ids []string
	authors := map[string]map[string]bool{} // by msg_id: who wrote what goes
	for _, e := range rows {
		keys = append(keys, e.ID)
		if e.MsgID == "" {
			continue
		}
		if authors[e.MsgID] == nil {
			authors[e.MsgID] = map[string]bool{}
			ids = append(ids, e.MsgID)
		}
		authors[e.MsgID][e.From] = true
	}
	if err := t.deleteMessages(ctx, keys); err != nil {
		return err
	}

	stay := map[string]map[string]bool{} // by msg_id: who wrote what stays
	err := t.readIn(ctx, messageAuthors, ids, func(scan scanner) error {
		var m Message
		if err := scan((*text)(&m.ID), (*text)(&m.MsgID), (*text)(&m.From)); err != nil {
			return err
		}
		if authors[m.MsgID] != nil {
			if stay[m.MsgID] == nil {
				stay[m.MsgID] = map[string]bool{}
			}
			stay[m.MsgID][m.From] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	var receipts []string
	err = t.readIn(ctx, receiptOwner, ids, func(scan scanner) error {
		var r Receipt
		if err := scan((*text)(&r.ID), (*text)(&r.MsgID), (*text)(&r.Sender)); err != nil {
			return err
		}
		// As everywhere: what a collation takes for equal may not be removed for it.
		if gone := authors[r.MsgID]; gone != nil && (len(stay[r.MsgID]) == 0 || gone[r.Sender] && !stay[r.MsgID][r.Sender]) {
			receipts = append(receipts, r.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := t.doIn(ctx, receiptDelete, receipts); err != nil {
		return err
	}
	return t.doIn(ctx, fileUseDrop, slices.DeleteFunc(ids, func(id string) bool { return len(stay[id]) > 0 }))
}
