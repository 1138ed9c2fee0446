package store

import "context"

const pendingColumns = messageColumns + `, msg_status, delete_user`

const (
	pendingAll    = `SELECT ` + pendingColumns + ` FROM ofcustomoffline WHERE delete_user == ?`
	pendingSince  = pendingAll + ` AND msg_time >= ?`
	pendingPlace  = `SELECT msg_id FROM ofcustomoffline WHERE id_ == ?`
	pendingUnread = `SELECT id_ FROM ofcustomoffline WHERE delete_user == ? AND msg_type <> 'MTT-100' AND msg_type <> 'MTS-100'`
	pendingOwners = `SELECT DISTINCT exact(delete_user), exact(msg_id) FROM ofcustomoffline WHERE msg_id == (?*)`

	pendingMarks = `SELECT DISTINCT exact(delete_user), exact(msg_id), exact(msg_from), exact(msg_type) FROM ofcustomoffline WHERE msg_id == (?*)`

	pendingOfMessage = `SELECT id_, msg_id, msg_type, msg_from, msg_to, session_id, delete_user FROM ofcustomoffline WHERE msg_id == (?*)`
	pendingOfPair    = `SELECT id_, msg_id FROM ofcustomoffline WHERE (delete_user == ? AND msg_id == ?)*`
	pendingDelete    = `DELETE FROM ofcustomoffline WHERE id_ == (?*)`
	pendingOfGroup   = `DELETE FROM ofcustomoffline WHERE session_id == (?*)`
)

// pendingKeys are oldest first. Adopted rows can be without a time or an id.
var pendingKeys = keys{"msg_time?", "msg_id?", "id_"}

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

func (s *Store) pending(ctx context.Context, query string, args []any, after []string, limit int) ([]Pending, error) {
	found := []Pending{}
	err := s.walk(ctx, query, args, pendingKeys, after, limit, paged(func(scan scanner) (int, error) {
		found = append(found, Pending{})
		p := &found[len(found)-1]
		return scanSized(scan, scanPending(p), &p.Message)
	}))
	return found, err
}

// Pending reads what waits for owner, oldest first, equal times by msg_id: at most limit rows with msg_time >= since
// ("" = all). For the next page pass Time and ID of the last row as afterTime and afterID; [More] says
// whether there is one. When that row was removed in between, the rows of its time are answered again.
func (s *Store) Pending(ctx context.Context, owner, since, afterTime, afterID string, limit int) ([]Pending, error) {
	if afterID == "" || afterTime < since {
		return s.pendingSince(ctx, owner, since, limit)
	}
	var place string // msg_id of the last row
	found, err := s.one(ctx, pendingPlace, []any{afterID}, func(scan scanner) error { return scan((*text)(&place)) })
	if err != nil {
		return nil, err
	}
	if !found {
		return s.pendingSince(ctx, owner, afterTime, limit)
	}
	return s.pending(ctx, pendingAll, []any{owner}, []string{afterTime, place, afterID}, limit)
}

func (s *Store) pendingSince(ctx context.Context, owner, since string, limit int) ([]Pending, error) {
	if since == "" {
		return s.pending(ctx, pendingAll, []any{owner}, nil, limit)
	}
	return s.pending(ctx, pendingSince, []any{owner, since}, nil, limit)
}

// HasPending says whether anything but read receipts waits for owner.
func (s *Store) HasPending(ctx context.Context, owner string) (bool, error) {
	found := false
	err := s.page(ctx, pendingUnread, []any{owner}, 1, 0, func(scanner) error { found = true; return nil })
	return found, err
}

// RecentPending reads at most limit rows of owner with msg_time >= since (epoch milliseconds), oldest first.
func (s *Store) RecentPending(ctx context.Context, owner string, since int64, limit int) ([]Pending, error) {
	found := []Pending{}
	err := s.walk(ctx, pendingSince, []any{owner, millis(since)}, pendingKeys, nil, limit, func(scan scanner) error {
		found = append(found, Pending{})
		return scan(scanPending(&found[len(found)-1])...)
	})
	return found, err
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

// PendingMark tells a queue row from others of the same message id, which anybody may have used.
type PendingMark struct{ Owner, MsgID, From, Type string }

// PendingMarks says what waits under these message ids.
func (s *Store) PendingMarks(ctx context.Context, msgIDs []string) (map[PendingMark]bool, error) {
	found := map[PendingMark]bool{}
	err := s.in(ctx, pendingMarks, nil, msgIDs, nil, func(scan scanner) error {
		var k PendingMark
		if err := scan((*text)(&k.Owner), (*text)(&k.MsgID), (*text)(&k.From), (*text)(&k.Type)); err != nil {
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
