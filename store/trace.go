package store

import "context"

// Trace is all that the tables say of one message id. Nothing in it is locked, so parts may be a moment apart.
type Trace struct {
	MsgID    string
	State    State
	Messages []Message // several only in legacy tables
	IDs      []ID      // what is remembered: of the message, and of revokes
	Receipts []Receipt
	Offline  []OfflineMessage // without Body
	Files    []string         // ids of the files that it names
	Pushes   []Push           // what became of its pushes, as long as the outbox keeps that
}

const (
	traceReceipts = `SELECT ` + receiptColumns + ` FROM ofstatus WHERE msg_id == ? ORDER BY reader, id_`
	traceOffline  = `SELECT id_, msg_id, msg_type, msg_from, msg_to, msg_time, session_id, msg_status, delete_user
		FROM ofcustomoffline WHERE msg_id == ? ORDER BY delete_user, id_`
	traceFiles = `SELECT file_id, msg_id FROM tlim_file_use WHERE msg_id == ? ORDER BY file_id`
)

// Trace reads what is known of a message id, at most limit receipts and limit offline rows of it.
func (s *Store) Trace(ctx context.Context, msgID string, limit int) (Trace, error) {
	t := Trace{MsgID: msgID}
	var err error
	if t.State, err = s.State(ctx); err != nil {
		return t, err
	}
	messages, err := s.MessagesByID(ctx, []string{msgID})
	if err != nil {
		return t, err
	}
	t.Messages = messages[msgID]
	ids, err := s.IDs(ctx, []string{msgID})
	if err != nil {
		return t, err
	}
	for _, class := range []Class{ClassMessage, ClassRevoke} {
		if id, ok := ids[IDKey{msgID, class}]; ok {
			t.IDs = append(t.IDs, id)
		}
	}
	// As everywhere: what a collation takes for equal is another message.
	err = s.page(ctx, traceReceipts, []any{msgID}, int64(limit), 0, func(scan scanner) error {
		var r Receipt
		err := scan(scanReceipt(&r)...)
		if err == nil && r.MsgID == msgID {
			t.Receipts = append(t.Receipts, r)
		}
		return err
	})
	if err != nil {
		return t, err
	}
	err = s.page(ctx, traceOffline, []any{msgID}, int64(limit), 0, func(scan scanner) error {
		var p OfflineMessage
		err := scan((*text)(&p.ID), (*text)(&p.MsgID), (*text)(&p.Type), (*text)(&p.From), (*text)(&p.To), (*text)(&p.Time),
			(*text)(&p.SessionID), statusOf(&p), (*text)(&p.Owner))
		if err == nil && p.MsgID == msgID {
			t.Offline = append(t.Offline, p)
		}
		return err
	})
	if err != nil {
		return t, err
	}
	err = s.page(ctx, traceFiles, []any{msgID}, int64(limit), 0, func(scan scanner) error {
		var u FileUse
		err := scan((*text)(&u.FileID), (*text)(&u.MsgID))
		if err == nil && u.MsgID == msgID {
			t.Files = append(t.Files, u.FileID)
		}
		return err
	})
	if err != nil {
		return t, err
	}
	pushes, err := s.PushesOf(ctx, []string{msgID})
	t.Pushes = pushes[msgID]
	return t, err
}
