package component

import (
	"slices"

	"tlim/component/protocol"
	"tlim/store"
)

// waiting are the copies that are to become queue rows with the next batches. When the link is lost these are all that are
// owed, so they share their messages until they are written. It is guarded by the lock of owed.
type waiting struct {
	rows      []waitingRow
	from      int64               // no message in rows is older; good while there are rows
	taken     []waitingRow        // those that a batch is writing now
	confirmed map[rowKey]struct{} // copies in rows that need not be written any more, perhaps; gone when rows is empty
}

type waitingRow struct {
	message *owedMessage
	owner   string
	status  int8
}

type rowKey struct{ owner, msgID string }

func (r waitingRow) key() rowKey { return rowKey{r.owner, r.message.row.MsgID} }

// add makes a copy one of those that wait.
func (w *waiting) add(m *owedMessage, owner string, status int8) {
	if len(w.rows) == 0 || m.time < w.from {
		w.from = m.time
	}
	w.rows = append(w.rows, waitingRow{m, owner, status})
}

// confirm keeps a copy from being written, if it waits.
func (w *waiting) confirm(owner, msgID string) {
	if len(w.rows) == 0 {
		return
	}
	if w.confirmed == nil {
		w.confirmed = map[rowKey]struct{}{}
	}
	w.confirmed[rowKey{owner, msgID}] = struct{}{}
}

// confirmWaiting keeps a copy from being written. It is true when it was the row that was to follow its message: then there is none.
func (o *owed) confirmWaiting(owner, msgID string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.confirm(owner, msgID)
	return o.deferred.confirm(owner, msgID)
}

// of lists what waits for an owner, and what is being written for him.
func (w *waiting) of(owner string) (list []owedEntry) {
	for _, rows := range [...][]waitingRow{w.taken, w.rows} {
		for _, r := range rows {
			if _, confirmed := w.confirmed[r.key()]; r.owner == owner && !confirmed {
				list = append(list, owedEntry{r.message, r.status})
			}
		}
	}
	return list
}

// take hands over copies that are to be written as rows, n of them, or up to twice that of many that wait, but for those that not says
// no to. Until the next take, written, untake or giveBack they are still seen by pending.
func (o *owed) take(n int, not func(store.OfflineMessage) bool) (list []store.OfflineMessage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken = nil
	if len(o.rows) == 0 {
		return nil
	}
	n = min(max(n, min(len(o.rows)/2, 2*n)), len(o.rows)) // a batch is bounded by the work in it
	var kept []waitingRow
	for _, r := range o.rows[:n] {
		if _, confirmed := o.confirmed[r.key()]; confirmed {
			continue
		}
		if not != nil && not(r.message.row) {
			kept = append(kept, r)
			continue
		}
		o.taken = append(o.taken, r)
		list = append(list, r.message.pending(r.owner, r.status))
	}
	if rest := o.rows[n:]; len(kept) == 0 {
		o.rows = rest
	} else {
		o.rows = slices.Concat(kept, rest)
	}
	if len(o.rows) == 0 {
		o.rows, o.confirmed = nil, nil
	}
	return list
}

// marks adds those of these messages that wait to become rows.
func (o *owed) marks(msgIDs []string, found map[store.OfflineMark]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, rows := range [...][]waitingRow{o.taken, o.rows} {
		for _, r := range rows {
			if m := &r.message.row; slices.Contains(msgIDs, m.MsgID) {
				found[store.OfflineMark{Owner: r.owner, MsgID: m.MsgID, From: m.From, Type: m.Type}] = true
			}
		}
	}
}

// owes says whether a copy of a message is owed to a user.
func (o *owed) owes(local string, mark store.OfflineMark) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	u := o.users[local]
	return u != nil && slices.ContainsFunc(u.copies, func(c owedCopy) bool {
		return c.message != nil && c.message.row.MsgID == mark.MsgID && c.message.row.From == mark.From && c.message.row.Type == mark.Type
	})
}

// waits says whether there is anything to take.
func (o *owed) waits() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.rows) > 0
}

// written says that what was taken is in the database.
func (o *owed) written() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken = nil
}

// untake undoes take: the batch failed.
func (o *owed) untake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken, later := o.taken, o.rows
	o.taken, o.rows = nil, make([]waitingRow, 0, len(taken)+len(later))
	for _, r := range slices.Concat(taken, later) {
		o.add(r.message, r.owner, r.status)
	}
}

// giveBack takes rows that could not be written: some of take, or any others.
func (o *owed) giveBack(rows []store.OfflineMessage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken = nil
	for _, row := range rows {
		m := &owedMessage{row: row, time: protocol.ParseTime(row.Time)}
		m.row.ID = "" // it is no row
		o.add(m, row.Owner, int8(row.Status))
	}
}
