package store

import (
	"cmp"
	"context"
	"slices"
)

const (
	groupColumns = `session_id, session_type, session_name, session_create_time, session_modify_time, session_delete_time, session_valid, session_user, session_pic`
	groupGet     = `SELECT ` + groupColumns + ` FROM ofsession WHERE session_id == (?*)`
	// Two queries and no join: of legacy tables with two collations no index serves the comparison, and MySQL refuses it. A
	// NULL type or state never matches, as before.
	groupsOf    = `SELECT session_id FROM ofsubscriber WHERE user_id == ?`
	groupsOwned = `SELECT COUNT(*) FROM ofsession WHERE session_user == ?`
	groupsIn    = `SELECT ` + groupColumns + ` FROM ofsession WHERE session_valid = ? AND session_type <> 99 AND session_id == (?*)`

	groupDelete   = `DELETE FROM ofsession WHERE session_id == (?*)`
	groupSetName  = `UPDATE ofsession SET session_name = ? WHERE session_id == ?`
	groupSetTime  = `UPDATE ofsession SET session_modify_time = ? WHERE session_id == ?`
	groupSetPic   = `UPDATE ofsession SET session_pic = ? WHERE session_id == ?`
	groupSetValid = `UPDATE ofsession SET session_valid = ? WHERE session_id == ?`
	groupTouch    = `UPDATE ofsession SET session_modify_time = ?, session_valid = ? WHERE session_id == ?`
)

func scanGroup(g *Group) []any {
	return []any{(*text)(&g.ID), intColumn{&g.Type}, (*text)(&g.Name), (*text)(&g.CreateTime), (*text)(&g.ModifyTime),
		(*text)(&g.DeleteTime), intColumn{&g.Valid}, (*text)(&g.Owner), (*text)(&g.Pic)}
}

// Groups reads the groups with these ids.
func (s *Store) Groups(ctx context.Context, ids []string) (map[string]Group, error) {
	found := make(map[string]Group, len(ids))
	err := s.in(ctx, groupGet, nil, ids, nil, func(scan scanner) error {
		var g Group
		if err := scan(scanGroup(&g)...); err != nil {
			return err
		}
		found[g.ID] = g
		return nil
	})
	return found, err
}

// Group reads one group and says whether it exists.
func (s *Store) Group(ctx context.Context, id string) (Group, bool, error) {
	found, err := s.Groups(ctx, []string{id})
	g, ok := found[id]
	return g, ok, err
}

// GroupsOf reads the open groups of a user (session_valid 0), without those of type 99.
func (s *Store) GroupsOf(ctx context.Context, user string) ([]Group, error) {
	return s.WebGroupsOf(ctx, user, 0)
}

// WebGroupsOf reads the groups of a user with this session_valid, without those of type 99.
func (s *Store) WebGroupsOf(ctx context.Context, user string, valid int) ([]Group, error) {
	var ids []string
	err := s.all(ctx, groupsOf, []any{user}, func(scan scanner) error {
		ids = append(ids, "")
		return scan((*text)(&ids[len(ids)-1]))
	})
	if err != nil {
		return nil, err
	}
	found := []Group{}
	err = s.in(ctx, groupsIn, []any{int64(valid)}, ids, nil, func(scan scanner) error {
		found = append(found, Group{})
		return scan(scanGroup(&found[len(found)-1])...)
	})
	slices.SortFunc(found, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.CreateTime, b.CreateTime), cmp.Compare(a.ID, b.ID))
	})
	return found, err
}

// CountGroupsOwned counts the groups whose session_user a user is, closed ones included.
func (s *Store) CountGroupsOwned(ctx context.Context, user string) (n int, err error) {
	err = s.all(ctx, groupsOwned, []any{user}, func(scan scanner) error { return scan(intColumn{&n}) })
	return n, err
}

func (t *tx) addGroups(ctx context.Context, groups []Group) error {
	r := t.s.rowsOf(tGroup, len(groups))
	for i := range groups {
		g := &groups[i]
		r.add(g.ID, int64(g.Type), g.Name, g.CreateTime, g.ModifyTime, g.DeleteTime, int64(g.Valid), g.Owner, g.Pic)
	}
	return t.insert(ctx, r)
}

// editGroups folds all edits of a group into one, the last value of each field, and writes it.
func (t *tx) editGroups(ctx context.Context, edits []GroupEdit) error {
	at := map[string]int{}
	var folded []GroupEdit
	for _, e := range edits {
		n, ok := at[e.ID]
		if !ok {
			at[e.ID] = len(folded)
			folded = append(folded, e)
			continue
		}
		f := &folded[n]
		if e.Name != nil {
			f.Name = e.Name
		}
		if e.ModifyTime != nil {
			f.ModifyTime = e.ModifyTime
		}
		if e.Pic != nil {
			f.Pic = e.Pic
		}
		if e.Valid != nil {
			f.Valid = e.Valid
		}
	}
	for _, e := range folded {
		if err := t.editGroup(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) editGroup(ctx context.Context, e GroupEdit) error {
	set := func(query, field string, value *string) error {
		if value == nil {
			return nil
		}
		if err := t.fits(ctx, tGroup, field, *value); err != nil {
			return err
		}
		_, err := t.do(ctx, query, *value, e.ID)
		return err
	}
	if e.Name != nil {
		name, err := t.decoration(ctx, tGroup, "session_name", *e.Name)
		if err == nil {
			_, err = t.do(ctx, groupSetName, name, e.ID)
		}
		if err != nil {
			return err
		}
	}
	// Its picture is all that a call about it wants.
	if err := set(groupSetPic, "session_pic", e.Pic); err != nil {
		return err
	}
	// A message moves the time and opens the group: the frequent one is one statement.
	if e.ModifyTime != nil && e.Valid != nil {
		_, err := t.do(ctx, groupTouch, *e.ModifyTime, int64(*e.Valid), e.ID)
		return err
	}
	if err := set(groupSetTime, "session_modify_time", e.ModifyTime); err != nil {
		return err
	}
	if e.Valid != nil {
		_, err := t.do(ctx, groupSetValid, int64(*e.Valid), e.ID)
		return err
	}
	return nil
}

// dropGroups removes groups with their members.
func (t *tx) dropGroups(ctx context.Context, ids []string) error {
	if err := t.doIn(ctx, groupDelete, ids); err != nil {
		return err
	}
	return t.doIn(ctx, memberDeleteAll, ids)
}
