package store

import "context"

const (
	receiptColumns = `id_, msg_id, sender, reader, status`
	receiptByKey   = `SELECT ` + receiptColumns + ` FROM ofstatus WHERE (msg_id == ? AND reader == ?)*`
	receiptOf      = `SELECT ` + receiptColumns + ` FROM ofstatus WHERE msg_id == ? AND sender == ? ORDER BY id_`
	receiptReaders = `SELECT msg_id, reader FROM ofstatus WHERE msg_id == ? ORDER BY reader`
	receiptUpdate  = `UPDATE ofstatus SET status = ? WHERE msg_id == ? AND reader == ?`

	receiptOwner  = `SELECT id_, msg_id, sender FROM ofstatus WHERE msg_id == (?*)`
	receiptCount  = `SELECT MIN(msg_id), COUNT(*) FROM ofstatus WHERE msg_id == (?*) GROUP BY exact(msg_id)`
	receiptDelete = `DELETE FROM ofstatus WHERE id_ == (?*)`
)

func scanReceipt(r *Receipt) []any {
	return []any{(*text)(&r.ID), (*text)(&r.MsgID), (*text)(&r.Sender), (*text)(&r.Reader), intColumn{&r.Status}}
}

// Receipts reads the receipts of these readers for these messages; legacy tables can hold several of one key.
func (s *Store) Receipts(ctx context.Context, keys []ReceiptKey) (map[ReceiptKey][]Receipt, error) {
	found := make(map[ReceiptKey][]Receipt, len(keys))
	named := make([]pair, len(keys))
	for i, k := range keys {
		named[i] = pair{k.MsgID, k.Reader}
	}
	seen := map[string]bool{} // a key given twice, in two chunks, must not double its rows
	err := s.pairs(ctx, receiptByKey, named, func(scan scanner) error {
		var r Receipt
		if err := scan(scanReceipt(&r)...); err != nil {
			return err
		}
		if !seen[r.ID] {
			seen[r.ID] = true
			k := ReceiptKey{r.MsgID, r.Reader}
			found[k] = append(found[k], r)
		}
		return nil
	})
	return found, err
}

// ReceiptsOf reads who has read a message of sender.
func (s *Store) ReceiptsOf(ctx context.Context, msgID, sender string) ([]Receipt, error) {
	found := []Receipt{}
	err := s.all(ctx, receiptOf, []any{msgID, sender}, func(scan scanner) error {
		var r Receipt
		if err := scan(scanReceipt(&r)...); err != nil {
			return err
		}
		if r.MsgID == msgID {
			found = append(found, r)
		}
		return nil
	})
	return found, err
}

// ReceiptCounts counts the receipts of messages.
func (s *Store) ReceiptCounts(ctx context.Context, msgIDs []string) (map[string]int, error) {
	found := make(map[string]int, len(msgIDs))
	err := s.in(ctx, receiptCount, nil, msgIDs, nil, func(scan scanner) error {
		var id string
		var n int
		err := scan((*text)(&id), intColumn{&n})
		found[id] = n // an id given twice, in two chunks, counts once
		return err
	})
	return found, err
}

// putReceipts inserts, then updates in the order given: a receipt of the same call may be raised by a later one.
func (t *tx) putReceipts(ctx context.Context, receipts []Receipt) error {
	r := t.s.rowsOf(tReceipt, len(receipts))
	for i := range receipts {
		if c := &receipts[i]; c.ID != "" {
			r.add(c.ID, c.MsgID, c.Sender, c.Reader, int64(c.Status))
		}
	}
	if err := t.insertFree(ctx, r); err != nil {
		return err
	}
	for i := range receipts {
		if c := &receipts[i]; c.ID == "" {
			if _, err := t.do(ctx, receiptUpdate, int64(c.Status), c.MsgID, c.Reader); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadersOf reads who has read a message, whoever the receipts name as its author; one who read it twice comes twice.
func (s *Store) ReadersOf(ctx context.Context, msgID string) ([]string, error) {
	found := []string{}
	err := s.all(ctx, receiptReaders, []any{msgID}, func(scan scanner) error {
		var id, reader string
		if err := scan((*text)(&id), (*text)(&reader)); err != nil {
			return err
		}
		if id == msgID {
			found = append(found, reader)
		}
		return nil
	})
	return found, err
}
