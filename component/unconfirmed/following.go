package unconfirmed

import (
	"slices"

	"tlim/store"
)

// Following lists the rows that are to follow their messages for an owner, with a msg_time from since on, in no order.
func (t *Table) Following(owner string, since int64) (list []Follower) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deferred.of(owner, func(f *Deferral, status int8, writing bool) {
		if f.message.Time >= since {
			list = append(list, Follower{Entry{f.message, status}, f, writing})
		}
	})
	return list
}

// Follower is a row that is to follow its message.
type Follower struct {
	Entry
	deferral *Deferral
	writing  bool // it is on its way into the database
}

// Still says whether these were to follow all the time since they were listed, and not written.
func (t *Table) Still(owner string, list []Follower) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !slices.ContainsFunc(list, func(e Follower) bool {
		f := e.deferral
		i := f.roster.at[owner]
		return e.writing || f.rows == 0 || !f.left.has(i) || t.deferred.writes(f, i)
	})
}

// Followers are those of a message id of which rows are to follow.
func (t *Table) Followers(msgID string) (list []*Deferral) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for f := t.deferred.byID[msgID]; f != nil; f = f.twin {
		list = append(list, f)
	}
	return list
}

// FollowersBy are those of an author in a group.
func (t *Table) FollowersBy(group, author string) (list []*Deferral) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.deferred.rosters {
		for _, f := range r.list {
			if r.group == group && f.rows > 0 && f.message.Row.From == author {
				list = append(list, f)
			}
		}
	}
	return list
}

// RowsOf lists the rows that are to follow messages.
func (t *Table) RowsOf(list []*Deferral) (rows []store.OfflineMessage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range list {
		if f.rows > 0 {
			f.left.each(func(i int) { rows = append(rows, f.message.offline(f.roster.ids[i], f.status(i))) })
		}
	}
	return rows
}

// CountRows says how many rows are to follow messages.
func (t *Table) CountRows(list []*Deferral) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range list {
		n += f.rows
	}
	return n
}

// Followed forgets rows that have been written.
func (t *Table) Followed(list []*Deferral) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range list {
		if f.rows > 0 {
			t.deferred.drop(f)
		}
	}
}
