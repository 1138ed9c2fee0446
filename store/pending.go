package store

import "context"

const pendingColumns = messageColumns + `, msg_status, delete_user`

const (
	pendingOldest = ` ORDER BY msg_time, msg_id, id_`
	pendingAll    = `SELECT ` + pendingColumns + ` FROM ofcustomoffline WHERE delete_user = ?` + pendingOldest
	pendingSince  = `SELECT ` + pendingColumns + ` FROM ofcustomoffline WHERE delete_user = ? AND msg_time >= ?` + pendingOldest
	pendingAfter  = `SELECT ` + pendingColumns + ` FROM ofcustomoffline
		WHERE delete_user = ? AND msg_time >= ? AND (msg_time > ? OR (msg_time = ? AND msg_id > ?))` + pendingOldest
	pendingNamed = `SELECT ` + pendingColumns + ` FROM ofcustomoffline
		WHERE delete_user = ? AND msg_time >= ? AND (msg_time > ? OR (msg_time = ? AND msg_id IS NOT NULL))` + pendingOldest
	pendingTwins = `SELECT ` + pendingColumns + ` FROM ofcustomoffline
		WHERE delete_user = ? AND msg_time = ? AND msg_id = ? AND id_ > ? ORDER BY id_`
	pendingUnread = `SELECT id_ FROM ofcustomoffline WHERE delete_user = ? AND msg_type <> 'MTT-100' AND msg_type <> 'MTS-100'`
	pendingOwners = `SELECT DISTINCT delete_user, msg_id FROM ofcustomoffline WHERE msg_id IN (?*)`

	pendingOfMessage = `SELECT id_, msg_id, msg_type, msg_from, msg_to, session_id, delete_user FROM ofcustomoffline WHERE msg_id IN (?*)`
	pendingOfPair    = `SELECT id_, msg_id FROM ofcustomoffline WHERE (delete_user = ? AND msg_id = ?)*`
	pendingDelete    = `DELETE FROM ofcustomoffline WHERE id_ IN (?*)`
	pendingOfGroup   = `DELETE FROM ofcustomoffline WHERE session_id IN (?*)`
)

func scanPending(p *Pending) []any {
	return append(scanMessage(&p.Message), statusOf(p), (*text)(&p.Owner))
}

// intColumn reads into an int.
type intColumn struct{ to *int }

// Scan implements sql.Scanner.
func (c intColumn) Scan(v any) error {
	var n number
	err := n.Scan(v)
	*c.to = int(n)
	return err
}

func statusOf(p *Pending) intColumn { return intColumn{&p.Status} }

func (s *Store) pending(ctx context.Context, query string, args []any, limit int) ([]Pending, error) {
	found := []Pending{}
	err := s.page(ctx, query, args, Page{Length: limit}.length(), 0, func(scan scanner) error {
		found = append(found, Pending{})
		return scan(scanPending(&found[len(found)-1])...)
	})
	return found, err
}

// Pending reads what waits for owner, oldest first, equal times by msg_id: rows with msg_time >= since ("" = all), at
// least limit of them if there are as many. For the next page pass msg_time and msg_id of the last row as afterTime and
// afterID; a page shorter than limit, or whose last row has no Time, is the last. Adopted tables hold several rows of
// one message for one owner, and rows without a time or an id: what no position can tell apart is not split over two
// pages, so a page can be longer than limit.
func (s *Store) Pending(ctx context.Context, owner, since, afterTime, afterID string, limit int) ([]Pending, error) {
	query, args := pendingAll, []any{owner}
	switch {
	case afterTime != "" && afterTime >= since && afterID == "": // rows without an id sort before their equals
		query, args = pendingNamed, []any{owner, afterTime, afterTime, afterTime}
	case afterTime != "" && afterTime >= since:
		query, args = pendingAfter, []any{owner, afterTime, afterTime, afterTime, afterID}
	case since != "":
		query, args = pendingSince, []any{owner, since}
	}
	found, err := s.pending(ctx, query, args, limit)
	if err != nil || limit <= 0 || len(found) < limit {
		return found, err
	}
	// 1. Go on to the first row that can be named.
	for !named(&found[len(found)-1]) {
		n := len(found)
		if err := s.page(ctx, query, args, 1, int64(n), func(scan scanner) error {
			found = append(found, Pending{})
			return scan(scanPending(&found[n])...)
		}); err != nil || len(found) == n {
			return found, err
		}
	}
	// 2. Its twins.
	last := found[len(found)-1]
	twins, err := s.pending(ctx, pendingTwins, []any{owner, last.Time, last.MsgID, last.ID}, maxTwins)
	return append(found, twins...), err
}

// maxTwins bounds the rows of one message for one owner: the old plugin wrote one per member of a group.
const maxTwins = 10000

// named says whether (msg_time, msg_id) of a row is a position.
func named(p *Pending) bool { return p.Time != "" && p.MsgID != "" }

// HasPending says whether anything but read receipts waits for owner.
func (s *Store) HasPending(ctx context.Context, owner string) (bool, error) {
	found := false
	err := s.page(ctx, pendingUnread, []any{owner}, 1, 0, func(scanner) error { found = true; return nil })
	return found, err
}

// RecentPending reads at most limit rows of owner with msg_time >= since (epoch milliseconds), oldest first.
func (s *Store) RecentPending(ctx context.Context, owner string, since int64, limit int) ([]Pending, error) {
	return s.pending(ctx, pendingSince, []any{owner, millis(since)}, limit)
}

// PendingOwners says for whom rows of these messages wait: the keys hold Owner and MsgID.
func (s *Store) PendingOwners(ctx context.Context, msgIDs []string) (map[PendingKey]bool, error) {
	found := map[PendingKey]bool{}
	err := s.in(ctx, pendingOwners, nil, msgIDs, nil, func(scan scanner) error {
		var k PendingKey
		if err := scan((*text)(&k.Owner), (*text)(&k.MsgID)); err != nil {
			return err
		}
		found[k] = true
		return nil
	})
	return found, err
}

func (t *tx) addPending(ctx context.Context, pending []Pending) error {
	r := t.s.rowsOf(tPending, len(pending))
	for i := range pending {
		p := &pending[i]
		r.add(p.ID, p.MsgID, p.Type, p.From, p.To, p.Time, p.Body, p.SessionID, int64(p.Status), p.Owner, p.Flags)
	}
	return t.insert(ctx, r)
}

// dropPending removes rows by id_, or all rows of (owner, message).
func (t *tx) dropPending(ctx context.Context, keys []PendingKey) error {
	var rows []string
	var named []pair
	for _, k := range keys {
		if k.RowID != "" {
			rows = append(rows, k.RowID)
		} else {
			named = append(named, pair{k.Owner, k.MsgID})
		}
	}
	// As everywhere: what a collation takes for equal may not be removed for it.
	wanted := make(map[string]bool, len(named))
	for _, k := range named {
		wanted[k[1]] = true
	}
	err := t.readPairs(ctx, pendingOfPair, named, func(scan scanner) error {
		var id, msgID string
		if err := scan((*text)(&id), (*text)(&msgID)); err != nil {
			return err
		}
		if wanted[msgID] {
			rows = append(rows, id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.doIn(ctx, pendingDelete, rows)
}

func (t *tx) dropQueues(ctx context.Context, groups []string) error {
	return t.doIn(ctx, pendingOfGroup, groups)
}

// pendingOf finds the rows of these messages that matches accepts. A row names its owner, the author and the peer, in
// columns that changed their meaning over the years; whoever it names must be of the conversation.
func (t *tx) pendingOf(ctx context.Context, msgIDs []string, matches func(msgID, msgType, session string, parties ...string) bool) ([]string, error) {
	var rows []string
	err := t.readIn(ctx, pendingOfMessage, msgIDs, func(scan scanner) error {
		var p Pending
		if err := scan((*text)(&p.ID), (*text)(&p.MsgID), (*text)(&p.Type), (*text)(&p.From), (*text)(&p.To), (*text)(&p.SessionID), (*text)(&p.Owner)); err != nil {
			return err
		}
		if matches(p.MsgID, p.Type, p.SessionID, p.From, p.To, p.SessionID, p.Owner) {
			rows = append(rows, p.ID)
		}
		return nil
	})
	return rows, err
}
