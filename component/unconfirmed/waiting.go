package unconfirmed

import (
	"slices"

	"tlim/component/protocol"
	"tlim/store"
)

// waiting are the copies that are to become queue rows with the next batches. When the link is lost these are all that there
// are, so they share their messages until they are written. It is guarded by the lock of [Table].
type waiting struct {
	rows      []waitingRow
	from      int64               // no message in rows is older; good while there are rows
	taken     []waitingRow        // those that a batch is writing now
	confirmed map[RowKey]struct{} // copies in rows that need not be written any more, perhaps; gone when rows is empty
}

type waitingRow struct {
	message *Message
	owner   string
	status  int8
}

// RowKey names a copy: the owner as rows name them, and the message.
type RowKey struct{ Owner, MsgID string }

func (w waitingRow) key() RowKey { return RowKey{w.owner, w.message.Row.MsgID} }

// queue makes a copy one of those that wait.
func (w *waiting) queue(m *Message, owner string, status int8) {
	if len(w.rows) == 0 || m.Time < w.from {
		w.from = m.Time
	}
	w.rows = append(w.rows, waitingRow{m, owner, status})
}

// confirm keeps a copy from being written, if it waits.
func (w *waiting) confirm(owner, msgID string) {
	if len(w.rows) == 0 {
		return
	}
	if w.confirmed == nil {
		w.confirmed = map[RowKey]struct{}{}
	}
	w.confirmed[RowKey{owner, msgID}] = struct{}{}
}

// ConfirmWaiting keeps a copy from being written. It is true when it was the row that was to follow its message: then there is none.
func (t *Table) ConfirmWaiting(owner, msgID string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.confirm(owner, msgID)
	return t.deferred.confirm(owner, msgID)
}

// of lists what waits for an owner, and what is being written for them.
func (w *waiting) of(owner string) (list []Entry) {
	for _, rows := range [...][]waitingRow{w.taken, w.rows} {
		for _, r := range rows {
			if r.owner != owner { // most are
				continue
			}
			if _, confirmed := w.confirmed[r.key()]; !confirmed {
				list = append(list, Entry{r.message, r.status})
			}
		}
	}
	return list
}

// Take hands over copies that are to be written as rows, n of them, or up to twice that of many that wait, but for those that not says
// no to. Until the next Take, Written, Untake or GiveBack, [Table.Queue] still shows them.
func (t *Table) Take(n int, not func(store.OfflineMessage) bool) (list []store.OfflineMessage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = nil
	if len(t.rows) == 0 {
		return nil
	}
	n = min(max(n, min(len(t.rows)/2, 2*n)), len(t.rows)) // a batch is bounded by the work in it
	var kept []waitingRow
	for _, r := range t.rows[:n] {
		if _, confirmed := t.confirmed[r.key()]; confirmed {
			continue
		}
		if not != nil && not(r.message.Row) {
			kept = append(kept, r)
			continue
		}
		t.taken = append(t.taken, r)
		list = append(list, r.message.offline(r.owner, r.status))
	}
	if rest := t.rows[n:]; len(kept) == 0 {
		t.rows = rest
	} else {
		t.rows = slices.Concat(kept, rest)
	}
	if len(t.rows) == 0 {
		t.rows, t.confirmed = nil, nil
	}
	return list
}

// CountOpen says how many copies of each of these messages are unconfirmed or wait to become rows.
func (t *Table) CountOpen(ids map[string]bool) map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := map[string]int{}
	for _, m := range t.order {
		if ids[m.Row.MsgID] && !m.gone {
			counts[m.Row.MsgID] += m.open
		}
	}
	for _, r := range t.rows {
		if ids[r.message.Row.MsgID] {
			counts[r.message.Row.MsgID]++
		}
	}
	return counts
}

// Urge makes rows of what is unconfirmed of these messages, and puts them, with those of them that wait already, in front of what [Table.Take] hands
// over. It says how many these are. What a user wrote themselves is left as it is where their phones do not prove it: a crash makes no rows of it either.
func (t *Table) Urge(ids map[string]bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	urged := func(m *Message) bool { return m != nil && ids[m.Row.MsgID] }
	if slices.ContainsFunc(t.order, func(m *Message) bool { return m.open > 0 && urged(m) }) {
		for _, u := range t.users {
			for i := range u.copies {
				if c := &u.copies[i]; urged(c.message) && (c.confirm || !c.own) {
					t.toRow(u, i)
				}
			}
			t.trim(u)
		}
	}
	var first, rest []waitingRow
	for _, r := range t.rows {
		if urged(r.message) {
			first = append(first, r)
		} else {
			rest = append(rest, r)
		}
	}
	if len(first) > 0 {
		t.rows = append(first, rest...)
	}
	return len(first)
}

// Marks adds those of these messages that wait to become rows.
func (t *Table) Marks(msgIDs []string, found map[store.OfflineMark]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, rows := range [...][]waitingRow{t.taken, t.rows} {
		for _, r := range rows {
			if m := &r.message.Row; slices.Contains(msgIDs, m.MsgID) {
				found[store.OfflineMark{Owner: r.owner, MsgID: m.MsgID, From: m.From, Type: m.Type}] = true
			}
		}
	}
}

// Has says whether a user has an unconfirmed copy of a message.
func (t *Table) Has(local string, mark store.OfflineMark) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.users[local]
	return u != nil && slices.ContainsFunc(u.copies, func(c openCopy) bool {
		return c.message != nil && c.message.Row.MsgID == mark.MsgID && c.message.Row.From == mark.From && c.message.Row.Type == mark.Type
	})
}

// Waits says whether there is anything to take.
func (t *Table) Waits() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.rows) > 0
}

// Written says that what was taken is in the database.
func (t *Table) Written() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = nil
}

// Untake undoes take: the batch failed.
func (t *Table) Untake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken, later := t.taken, t.rows
	t.taken, t.rows = nil, make([]waitingRow, 0, len(taken)+len(later))
	for _, r := range slices.Concat(taken, later) {
		t.queue(r.message, r.owner, r.status)
	}
}

// GiveBack takes rows that could not be written: some of take, or any others.
func (t *Table) GiveBack(rows []store.OfflineMessage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = nil
	for _, row := range rows {
		m := &Message{Row: row, Time: protocol.TimeOrZero(row.Time)}
		m.Row.ID = "" // it is no row
		t.queue(m, row.Owner, int8(row.Status))
	}
}
