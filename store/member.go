package store

import (
	"context"
	"fmt"
)

const (
	memberOf        = `SELECT user_id, user_name, acct_login, pic, session_id, ts FROM ofsubscriber WHERE session_id == (?*) ORDER BY session_id, ts, user_id`
	memberUpdate    = `UPDATE ofsubscriber SET user_name = ?, acct_login = ?, pic = ? WHERE user_id == ? AND session_id == ?`
	memberDelete    = `DELETE FROM ofsubscriber WHERE (user_id == ? AND session_id == ?)*`
	memberDeleteAll = `DELETE FROM ofsubscriber WHERE session_id == (?*)`

	formerOf     = `SELECT session_id, user_id, ts FROM tlim_former WHERE session_id == (?*) AND ts >= ?`
	formerUpdate = `UPDATE tlim_former SET ts = ? WHERE session_id == ? AND user_id == ?`
)

// Members reads the members of these groups, in the order in which they joined.
func (s *Store) Members(ctx context.Context, groupIDs []string) (map[string][]Member, error) {
	found := make(map[string][]Member, len(groupIDs))
	err := s.in(ctx, memberOf, nil, groupIDs, nil, func(scan scanner) error {
		var m Member
		if err := scan((*text)(&m.UserID), (*text)(&m.UserName), (*text)(&m.Login), (*text)(&m.Pic), (*text)(&m.SessionID), (*text)(&m.Since)); err != nil {
			return err
		}
		found[m.SessionID] = append(found[m.SessionID], m)
		return nil
	})
	return found, err
}

// Formers reads who was removed from these groups at since (epoch milliseconds) or later.
func (s *Store) Formers(ctx context.Context, groupIDs []string, since int64) ([]Former, error) {
	found := []Former{}
	err := s.in(ctx, formerOf, nil, groupIDs, []any{millis(since)}, func(scan scanner) error {
		var f Former
		if err := scan((*text)(&f.SessionID), (*text)(&f.UserID), (*text)(&f.Time)); err != nil {
			return err
		}
		found = append(found, f)
		return nil
	})
	return found, err
}

// putMembers refreshes those who are there and inserts the others. Of one member given twice the last counts, and joined
// first.
func (t *tx) putMembers(ctx context.Context, members []Member) error {
	fresh := map[string]bool{} // a group of this call has no rows yet: nothing to refresh
	for i := range t.all.Groups {
		fresh[t.all.Groups[i].ID] = true
	}
	at := map[pair]int{}
	var folded []Member
	for _, m := range members {
		k := pair{m.UserID, m.SessionID}
		if n, ok := at[k]; ok {
			m.Since = folded[n].Since
			folded[n] = m
			continue
		}
		at[k] = len(folded)
		folded = append(folded, m)
	}
	r := t.s.rowsOf(tMember, len(folded))
	for i := range folded {
		m := &folded[i]
		checked := t.s.rowsOf(tMember, 1)
		if checked.add(m.UserID, m.UserName, m.Login, m.Pic, m.SessionID, m.Since); checked.err != nil {
			return checked.err
		}
		if !fresh[m.SessionID] {
			n, err := t.updateMember(ctx, m)
			if err != nil {
				return err
			}
			if n > 0 {
				continue
			}
		}
		for _, at := range checked.odd {
			r.odd = append(r.odd, len(r.args)+at)
		}
		r.args, r.count = append(r.args, checked.args...), r.count+1
	}
	if err := t.insert(ctx, r); err != nil {
		return fmt.Errorf("members: %w", err)
	}
	return nil
}

// updateMember sets name, login and picture, and says whether there is such a member.
func (t *tx) updateMember(ctx context.Context, m *Member) (int64, error) {
	args := []any{m.UserName, m.Login, m.Pic, m.UserID, m.SessionID}
	for i, column := range []string{"user_name", "acct_login", "pic"} {
		var err error
		if args[i], err = t.decoration(ctx, tMember, column, args[i].(string)); err != nil {
			return 0, err
		}
	}
	return t.do(ctx, memberUpdate, args...)
}

func (t *tx) dropMembers(ctx context.Context, members []Member) error {
	named := make([]pair, len(members))
	for i, m := range members {
		named[i] = pair{m.UserID, m.SessionID}
	}
	return t.doPairs(ctx, memberDelete, named)
}

// putFormers inserts, or refreshes the time.
func (t *tx) putFormers(ctx context.Context, formers []Former) error {
	for _, f := range formers {
		n, err := t.do(ctx, formerUpdate, f.Time, f.SessionID, f.UserID)
		if err != nil {
			return err
		}
		if n == 0 {
			r := t.s.rowsOf(tFormer, 1)
			r.add(f.SessionID, f.UserID, f.Time)
			if err := t.insertFree(ctx, r); err != nil {
				return err
			}
		}
	}
	return nil
}
