package store

import "context"

const offlineColumns = messageColumns + `, msg_status, delete_user`

const (
	offlineAll    = `SELECT ` + offlineColumns + ` FROM ofcustomoffline WHERE delete_user == ?`
	offlineSince  = offlineAll + ` AND msg_time >= ?`
	offlinePlace  = `SELECT msg_id FROM ofcustomoffline WHERE id_ == ?`
	offlineUnread = `SELECT id_ FROM ofcustomoffline WHERE delete_user == ?` + notReceipt
	offlineOwners = `SELECT MIN(delete_user), MIN(msg_id) FROM ofcustomoffline WHERE msg_id == (?*) GROUP BY exact(delete_user), exact(msg_id)`

	offlineMarks = `SELECT MIN(delete_user), MIN(msg_id), MIN(msg_from), MIN(msg_type) FROM ofcustomoffline WHERE msg_id == (?*)
		GROUP BY exact(delete_user), exact(msg_id), exact(msg_from), exact(msg_type)`

	offlineOfMessage = `SELECT id_, msg_id, msg_type, msg_from, msg_to, session_id, delete_user FROM ofcustomoffline WHERE msg_id == (?*)`
	offlineOfPair    = `SELECT id_, msg_id FROM ofcustomoffline WHERE (delete_user == ? AND msg_id == ?)*`
	offlineDelete    = `DELETE FROM ofcustomoffline WHERE id_ == (?*)`
	offlineOfGroup   = `SELECT id_ FROM ofcustomoffline WHERE session_id == ?`
	offlineOldGroup  = offlineOfGroup + ` AND (msg_time <= ? OR msg_time IS NULL) AND (msg_type <> ? OR msg_type IS NULL)`
)

// offlineKeys are oldest first. Legacy rows can be without a time or an id.
var offlineKeys = keys{"msg_time?", "msg_id?", "id_"}

func scanOffline(p *OfflineMessage) []any {
	return append(scanMessage(&p.Message), statusOf(p), (*text)(&p.Owner))
}

// intColumn reads into an int.
type intColumn struct{ to *int }

// Scan implements sql.Scanner.
func (i intColumn) Scan(v any) error {
	var n number
	err := n.Scan(v)
	*i.to = int(n)
	return err
}

func statusOf(p *OfflineMessage) intColumn { return intColumn{&p.Status} }

func (s *Store) offline(ctx context.Context, query string, args []any, after []string, limit int) ([]OfflineMessage, error) {
	found := []OfflineMessage{}
	err := s.walk(ctx, query, args, offlineKeys, after, limit, paged(func(scan scanner) (int, error) {
		found = append(found, OfflineMessage{})
		p := &found[len(found)-1]
		return scanSized(scan, scanOffline(p), &p.Message)
	}))
	return found, err
}

// Offline reads what waits for owner, oldest first, equal times by msg_id: at most limit rows with msg_time >= since
// ("" = all). For the next page pass Time and ID of the last row as afterTime and afterID; [More] says
// whether there is one. When that row was removed in between, the rows of its time are answered again.
func (s *Store) Offline(ctx context.Context, owner, since, afterTime, afterID string, limit int) ([]OfflineMessage, error) {
	if afterID == "" || afterTime < since {
		return s.offlineSince(ctx, owner, since, limit)
	}
	var place string // msg_id of the last row
	found, err := s.one(ctx, offlinePlace, []any{afterID}, func(scan scanner) error { return scan((*text)(&place)) })
	if err != nil {
		return nil, err
	}
	if !found {
		return s.offlineSince(ctx, owner, afterTime, limit)
	}
	return s.offline(ctx, offlineAll, []any{owner}, []string{afterTime, place, afterID}, limit)
}

func (s *Store) offlineSince(ctx context.Context, owner, since string, limit int) ([]OfflineMessage, error) {
	if since == "" {
		return s.offline(ctx, offlineAll, []any{owner}, nil, limit)
	}
	return s.offline(ctx, offlineSince, []any{owner, since}, nil, limit)
}

// HasOffline says whether anything but read receipts waits for owner.
func (s *Store) HasOffline(ctx context.Context, owner string) (bool, error) {
	found := false
	err := s.page(ctx, offlineUnread, []any{owner}, 1, 0, func(scanner) error { found = true; return nil })
	return found, err
}

// RecentOffline reads at most limit rows of owner with msg_time >= since (epoch milliseconds), oldest first.
func (s *Store) RecentOffline(ctx context.Context, owner string, since int64, limit int) ([]OfflineMessage, error) {
	found := []OfflineMessage{}
	err := s.walk(ctx, offlineSince, []any{owner, millis(since)}, offlineKeys, nil, limit, func(scan scanner) error {
		found = append(found, OfflineMessage{})
		return scan(scanOffline(&found[len(found)-1])...)
	})
	return found, err
}

// OfflineOwners says for whom rows of these messages wait: the keys hold Owner and MsgID.
func (s *Store) OfflineOwners(ctx context.Context, msgIDs []string) (map[OfflineKey]bool, error) {
	found := map[OfflineKey]bool{}
	err := s.in(ctx, offlineOwners, nil, msgIDs, nil, func(scan scanner) error {
		var k OfflineKey
		if err := scan((*text)(&k.Owner), (*text)(&k.MsgID)); err != nil {
			return err
		}
		found[k] = true
		return nil
	})
	return found, err
}

// OfflineMark tells a queue row from others of the same message id, which anybody may have used.
type OfflineMark struct{ Owner, MsgID, From, Type string }

// OfflineMarks says what waits under these message ids.
func (s *Store) OfflineMarks(ctx context.Context, msgIDs []string) (map[OfflineMark]bool, error) {
	found := map[OfflineMark]bool{}
	err := s.in(ctx, offlineMarks, nil, msgIDs, nil, func(scan scanner) error {
		var k OfflineMark
		if err := scan((*text)(&k.Owner), (*text)(&k.MsgID), (*text)(&k.From), (*text)(&k.Type)); err != nil {
			return err
		}
		found[k] = true
		return nil
	})
	return found, err
}

func (t *tx) addOffline(ctx context.Context, rows []OfflineMessage) error {
	r := t.s.rowsOf(tOffline, len(rows))
	for i := range rows {
		p := &rows[i]
		r.add(p.ID, p.MsgID, p.Type, p.From, p.To, p.Time, p.Body, p.SessionID, int64(p.Status), p.Owner, p.Flags)
	}
	return t.insert(ctx, r)
}

// dropOffline removes rows by id_, or all rows of (owner, message).
func (t *tx) dropOffline(ctx context.Context, keys []OfflineKey) error {
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
	err := t.readPairs(ctx, offlineOfPair, named, func(scan scanner) error {
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
	return t.doIn(ctx, offlineDelete, rows)
}

// dropQueues removes what a short transaction takes; [Store.PurgeQueue] has the rest.
func (t *tx) dropQueues(ctx context.Context, groups []string) error {
	var rows []string
	for _, group := range groups {
		query, args := t.s.dialect.page(offlineOfGroup, []any{group}, int64(maxCleaned-len(rows)), 0)
		err := t.query(ctx, statement{query, 0}, func() string { return query }, args, func(scan scanner) error {
			rows = append(rows, "")
			return scan((*text)(&rows[len(rows)-1]))
		})
		if err != nil {
			return err
		}
		if len(rows) >= maxCleaned {
			break
		}
	}
	return t.doIn(ctx, offlineDelete, rows)
}

// offlineOf finds the rows of these messages that matches accepts. A row names its owner, the author and the peer, in
// columns that changed their meaning over the years; whoever it names must be of the conversation.
func (t *tx) offlineOf(ctx context.Context, msgIDs []string, matches func(msgID, msgType, session string, parties ...string) bool) ([]string, error) {
	var rows []string
	err := t.readIn(ctx, offlineOfMessage, msgIDs, func(scan scanner) error {
		var p OfflineMessage
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
