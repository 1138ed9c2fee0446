package store

import "context"

const (
	idGet = `SELECT msg_id, class, msg_from, conversation, msg_time, digest, state FROM tlim_id WHERE msg_id == (?*)`
	idSet = `UPDATE tlim_id SET msg_from = ?, conversation = ?, state = ? WHERE msg_id == ? AND class = ?`
)

func scanID(id *ID) []any {
	return []any{(*text)(&id.MsgID), (*text)(&id.Class), (*text)(&id.From), (*text)(&id.Conversation),
		(*text)(&id.Time), (*text)(&id.Digest), (*text)(&id.State)}
}

// IDs reads what is remembered of message ids, of both classes.
func (s *Store) IDs(ctx context.Context, msgIDs []string) (map[IDKey]ID, error) {
	found := make(map[IDKey]ID, len(msgIDs))
	err := s.in(ctx, idGet, nil, msgIDs, nil, func(scan scanner) error {
		var id ID
		if err := scan(scanID(&id)...); err != nil {
			return err
		}
		found[IDKey{id.MsgID, id.Class}] = id
		return nil
	})
	return found, err
}

func (t *tx) addIDs(ctx context.Context, ids []ID) error {
	r := t.s.rowsOf(tID, len(ids))
	for i := range ids {
		id := &ids[i]
		r.add(id.MsgID, string(id.Class), id.From, id.Conversation, id.Time, id.Digest, string(id.State))
	}
	return t.insert(ctx, r)
}

// setIDs overwrites, or inserts what is not there. The tombstone of one id may be set by several changes of a batch.
func (t *tx) setIDs(ctx context.Context, ids []ID) error {
	for i := range ids {
		id := &ids[i]
		n, err := t.do(ctx, idSet, id.From, id.Conversation, string(id.State), id.MsgID, string(id.Class))
		if err != nil {
			return err
		}
		if n == 0 {
			if err := t.addIDs(ctx, ids[i:i+1]); err != nil {
				return err
			}
		}
	}
	return nil
}
