package unconfirmed

import "tlim/store"

// DeferDue says whether rows should be written: when they have waited, or are many enough to be written together.
func (t *Table) DeferDue(now int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := &t.deferred
	return len(d.order) > 0 && (len(d.slice.list) > 0 || now-d.order[0].message.Time >= DeferWait.Milliseconds() || len(d.order[0].roster.list) >= maxDeferTogether)
}

// TakeDeferred hands over about n rows to be written. Until WrittenDeferred or UntakeDeferred they are still seen.
func (t *Table) TakeDeferred(n int) (rows []store.OfflineMessage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := &t.deferred
	s := &d.slice
	for len(rows) == 0 {
		if len(s.list) == 0 || s.to >= len(s.list[0].roster.ids) {
			if !d.begin() {
				return nil
			}
		}
		members := s.list[0].roster.ids
		bytes := 0
		for s.from = s.to; s.to < len(members) && len(rows) < n && bytes < maxDeferBytes; s.to++ {
			for _, f := range s.list {
				if f.rows > 0 && f.left.has(s.to) {
					rows = append(rows, f.message.offline(members[s.to], f.status(s.to)))
					bytes += len(f.message.Row.Body)
				}
			}
		}
	}
	return rows
}

// begin starts with the next messages: the oldest one, and others of its group.
func (d *deferred) begin() bool {
	d.slice = deferredSlice{}
	if len(d.order) == 0 {
		return false
	}
	for _, f := range d.order[0].roster.list {
		if f.rows > 0 {
			if d.slice.list = append(d.slice.list, f); len(d.slice.list) == maxDeferTogether {
				break
			}
		}
	}
	return true
}

// WrittenDeferred says that what was taken is in the database.
func (t *Table) WrittenDeferred() {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := &t.deferred
	s := d.slice
	d.slice.from = s.to
	for _, f := range s.list {
		for i := s.from; i < s.to && f.rows > 0; i++ {
			if f.left.has(i) {
				d.done(f, i)
			}
		}
	}
	if len(s.list) > 0 && s.to >= len(s.list[0].roster.ids) {
		d.slice = deferredSlice{}
	}
}

// UntakeDeferred says that nothing was written.
func (t *Table) UntakeDeferred() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deferred.slice.to = t.deferred.slice.from
}
