package store

import (
	"context"
	"fmt"
)

const (
	purgeAll = `SELECT session_id, ts FROM tlim_purge ORDER BY ts, session_id`
	// What is not yet settled stays for the replay; what is above the clock is not ours and cannot be replayed.
	purgeMessages      = `SELECT msg_id, id_ FROM ofmessage WHERE session_id == ?` + mts + ` AND (msg_time <= ? OR msg_time > ? OR msg_time IS NULL)`
	purgeRest          = `SELECT id_ FROM ofmessage WHERE session_id == ?` + mts
	purgeAnnouncements = `SELECT id_ FROM ofpubact WHERE session_id == ?`
	announcementDelete = `DELETE FROM ofpubact WHERE id_ == (?*)`
	purgeDelete        = `DELETE FROM tlim_purge WHERE session_id == (?*)`
)

// Purges reads the dissolved groups that are still to be emptied, oldest first.
func (s *Store) Purges(ctx context.Context) ([]Purge, error) {
	found := []Purge{}
	err := s.all(ctx, purgeAll, nil, func(scan scanner) error {
		var p Purge
		if err := scan((*text)(&p.SessionID), (*text)(&p.Time)); err != nil {
			return err
		}
		found = append(found, p)
		return nil
	})
	return found, err
}

func (t *tx) addPurges(ctx context.Context, purges []Purge) error {
	r := t.s.rowsOf(tPurge, len(purges))
	for _, p := range purges {
		r.add(p.SessionID, p.Time)
	}
	return t.insert(ctx, r)
}

// PurgeSome removes at most limit messages of a dissolved group with their receipts (fewer, where those are many), or at most limit of its
// announcements, in one fenced transaction of its own. done: nothing is left, and the row of tlim_purge is gone. Messages
// above the settled position (the notices of the dissolution itself) stay until they are settled, so a call can
// remove nothing and not be done: pause between calls. Errors: ErrFenced, ErrUnavailable; it may be repeated.
func (s *Store) PurgeSome(ctx context.Context, epoch int64, p Purge, limit int) (done bool, err error) {
	st, err := s.State(ctx)
	if err != nil {
		return false, err
	}
	// 1. What is there? Nobody adds to a dissolved group, so this need not be asked within the transaction.
	var found []Old
	var msgIDs []string
	err = s.page(ctx, purgeMessages, []any{p.SessionID, millis(st.Settled), millis(st.Clock)}, int64(limit), 0, func(scan scanner) error {
		var o Old
		err := scan((*text)(&o.MsgID), (*text)(&o.Key))
		if found = append(found, o); o.MsgID != "" {
			msgIDs = append(msgIDs, o.MsgID)
		}
		return err
	})
	if err != nil {
		return false, err
	}
	counts, err := s.ReceiptCounts(ctx, msgIDs)
	if err != nil {
		return false, err
	}
	n := affordable(found, counts)
	if n == 0 && len(found) > 0 {
		if thinned, err := s.thinReceipts(ctx, epoch, found[0].MsgID); thinned || err != nil {
			return false, err
		}
		n = 1
	}
	var ids []string
	var drops []Drop
	for _, o := range found[:n] {
		if ids = append(ids, o.Key); o.MsgID != "" {
			drops = append(drops, Drop{MsgID: o.MsgID, SessionID: p.SessionID})
		}
	}
	rest, err := s.some(ctx, purgeRest, 1, p.SessionID)
	if err != nil || len(rest) > 0 && len(ids) == 0 {
		return false, err
	}
	notices, err := s.some(ctx, purgeAnnouncements, limit, p.SessionID)
	if err != nil {
		return false, err
	}

	// 2. Messages first, then announcements, then the row.
	err = s.fenced(ctx, epoch, func(ctx context.Context, t *tx) error {
		if len(ids) > 0 {
			// As a revoke does it, which leaves the rows of other conversations. What waits for phones stays: the old
			// queue went with the dissolution, and the notices of the dissolution are in it now.
			if err := t.dropConversation(ctx, drops, false); err != nil {
				return err
			}
			return t.deleteMessages(ctx, ids) // also those without a msg_id
		}
		if len(notices) > 0 {
			return t.doIn(ctx, announcementDelete, notices)
		}
		done = true
		return t.doIn(ctx, purgeDelete, []string{p.SessionID})
	})
	if err != nil {
		return false, fmt.Errorf("purge %s: %w", p.SessionID, err)
	}
	return done, nil
}

// PurgeQueue removes at most a thousand rows of what waits of a dissolved group for phones, in one fenced transaction of its own, but none of the type
// except, that of the notices of the dissolution. done: there were no more. Errors: ErrFenced, ErrUnavailable; it may be repeated.
func (s *Store) PurgeQueue(ctx context.Context, epoch int64, p Purge, except string) (done bool, err error) {
	rows, err := s.some(ctx, offlineOldGroup, maxCleaned, p.SessionID, p.Time, except)
	if err != nil || len(rows) == 0 {
		return err == nil, err
	}
	err = s.fenced(ctx, epoch, func(ctx context.Context, t *tx) error { return t.doIn(ctx, offlineDelete, rows) })
	if err != nil {
		return false, fmt.Errorf("purge the queues of %s: %w", p.SessionID, err)
	}
	return len(rows) < maxCleaned, nil
}

// some reads at most limit ids of rows of a group.
func (s *Store) some(ctx context.Context, query string, limit int, args ...any) (ids []string, err error) {
	err = s.page(ctx, query, args, int64(limit), 0, func(scan scanner) error {
		ids = append(ids, "")
		return scan((*text)(&ids[len(ids)-1]))
	})
	return ids, err
}
