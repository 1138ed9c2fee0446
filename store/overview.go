package store

import (
	"context"
	"fmt"
)

// What administrators look at, a page at a time, each by an index.

const (
	userEvery  = `SELECT ` + userColumns + ` FROM tlim_user`
	groupEvery = `SELECT ` + groupColumns + ` FROM ofsession`

	memberCounts = `SELECT MIN(session_id), COUNT(*) FROM ofsubscriber WHERE session_id == (?*) GROUP BY exact(session_id)`
	groupCounts  = `SELECT COUNT(*) FROM ofsubscriber WHERE user_id == ?`
	chatNewest   = `SELECT MIN(chat_other), MAX(chat_modify_time) FROM ofchat WHERE chat_other == (?*) GROUP BY exact(chat_other)`
	queueSizes   = `SELECT MIN(delete_user), COUNT(*), MIN(msg_time) FROM ofcustomoffline WHERE delete_user == (?*) GROUP BY exact(delete_user)`
	queueHeads   = `SELECT id_, msg_id, msg_type, msg_from, msg_time, session_id, msg_status FROM ofcustomoffline WHERE delete_user == ?`

	pushWaiting = `SELECT ` + pushColumns + ` FROM tlim_push WHERE channel = ? AND done = 0`
	pushEnded   = `SELECT ` + pushColumns + ` FROM tlim_push WHERE channel = ? AND done = 1`
	endedBefore = ` AND due <= ? AND (due < ? OR (due = ? AND push_id < ?))`
	endedNewest = ` ORDER BY due DESC, push_id DESC`
)

var (
	groupKeys = keys{"session_id"}
	pushKeys  = keys{"due", "push_id"}
)

// Version is that of the server, or of the library, as it says itself.
func (s *Store) Version(ctx context.Context) (string, error) {
	var version text
	if err := s.pools.reader.QueryRowContext(ctx, s.dialect.version).Scan(&version); err != nil {
		return "", fmt.Errorf("the version of the database: %w", s.fail(err))
	}
	return string(version), nil
}

// EveryUser reads at most limit users, those who left included, ordered by id, from behind the id after ("" = from the first).
func (s *Store) EveryUser(ctx context.Context, after string, limit int) ([]User, error) {
	return s.userPage(ctx, userEvery, after, limit)
}

// EveryGroup reads at most limit groups ordered by id, from behind the id after ("" = from the first).
func (s *Store) EveryGroup(ctx context.Context, after string, limit int) ([]Group, error) {
	found := []Group{}
	err := s.walk(ctx, groupEvery, nil, groupKeys, []string{after}, limit, func(scan scanner) error {
		found = append(found, Group{})
		return scan(scanGroup(&found[len(found)-1])...)
	})
	return found, err
}

// CountMembers says how many members each of these groups has; a group without any is left out.
func (s *Store) CountMembers(ctx context.Context, groups []string) (map[string]int, error) {
	found := make(map[string]int, len(groups))
	err := s.in(ctx, memberCounts, nil, groups, nil, func(scan scanner) error {
		var id string
		var n int
		err := scan((*text)(&id), intColumn{&n})
		found[id] = n
		return err
	})
	return found, err
}

// CountGroups says of how many groups a user is a member.
func (s *Store) CountGroups(ctx context.Context, user string) (n int, err error) {
	err = s.all(ctx, groupCounts, []any{user}, func(scan scanner) error { return scan(intColumn{&n}) })
	return n, err
}

// NewestChats says when a 1:1 conversation of each of these users moved last; who has none is left out.
func (s *Store) NewestChats(ctx context.Context, users []string) (map[string]string, error) {
	found := make(map[string]string, len(users))
	err := s.in(ctx, chatNewest, nil, users, nil, func(scan scanner) error {
		var id, at string
		err := scan((*text)(&id), (*text)(&at))
		found[id] = at
		return err
	})
	return found, err
}

// QueueSize is how many rows wait for a user, and the msg_time of the oldest.
type QueueSize struct {
	Rows   int
	Oldest string
}

// QueueSizes counts what waits for these users; for whom nothing does is left out.
func (s *Store) QueueSizes(ctx context.Context, users []string) (map[string]QueueSize, error) {
	found := make(map[string]QueueSize, len(users))
	err := s.in(ctx, queueSizes, nil, users, nil, func(scan scanner) error {
		var id string
		var size QueueSize
		err := scan((*text)(&id), intColumn{&size.Rows}, (*text)(&size.Oldest))
		found[id] = size
		return err
	})
	return found, err
}

// RowPlace is where a row stands in a queue; the zero value is in front of all.
type RowPlace struct{ Time, MsgID, ID string }

// PlaceFrom is a place in front of all rows of a time, in epoch milliseconds, and of all later ones, and behind all earlier ones.
func PlaceFrom(at int64) RowPlace { return RowPlace{Time: millis(at)} }

// QueueHeads reads at most limit rows of a user's queue, oldest first, from behind a place, without their bodies.
func (s *Store) QueueHeads(ctx context.Context, owner string, after RowPlace, limit int) ([]OfflineMessage, error) {
	found := []OfflineMessage{}
	err := s.walk(ctx, queueHeads, []any{owner}, offlineKeys, []string{after.Time, after.MsgID, after.ID}, limit, func(scan scanner) error {
		p := OfflineMessage{Owner: owner}
		err := scan((*text)(&p.ID), (*text)(&p.MsgID), (*text)(&p.Type), (*text)(&p.From), (*text)(&p.Time), (*text)(&p.SessionID), statusOf(&p))
		found = append(found, p)
		return err
	})
	return found, err
}

// WaitingPushes reads at most limit rows of a channel that wait, in the order in which they are due, from behind the row after (its
// Due and ID; the zero value is in front of all).
func (s *Store) WaitingPushes(ctx context.Context, channel string, after Push, limit int) ([]Push, error) {
	found := []Push{}
	place := []string{"", ""}
	if after.ID != "" {
		place = []string{millis(after.Due), after.ID}
	}
	err := s.walk(ctx, pushWaiting, []any{channel}, pushKeys, place, limit, pushRow(func(p Push) { found = append(found, p) }))
	return found, err
}

// EndedPushes reads at most limit rows of a channel that have their outcome, newest first, from behind the row before (its Due and
// ID; the zero value is in front of all).
func (s *Store) EndedPushes(ctx context.Context, channel string, before Push, limit int) ([]Push, error) {
	found := []Push{}
	query, args := pushEnded, []any{channel}
	if before.ID != "" {
		due := millis(before.Due)
		query, args = query+endedBefore, append(args, due, due, due, before.ID)
	}
	err := s.page(ctx, query+endedNewest, args, int64(limit), 0, pushRow(func(p Push) { found = append(found, p) }))
	return found, err
}
