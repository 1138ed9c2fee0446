package store

import (
	"context"
	"slices"
)

// pairs reads three columns as texts.
func (e *Examination) pairs(ctx context.Context, query string, row func(a, b, c string), args ...any) error {
	return each(ctx, e.s.pools.reader, e.s.dialect.text(query), func(scan scanner) error {
		var a, b, c text
		err := scan(&a, &b, &c)
		row(string(a), string(b), string(c))
		return err
	}, args...)
}

// known are those of the ids that a query with a list of them finds.
func (e *Examination) known(ctx context.Context, query string, ids []string) (map[string]bool, error) {
	known := map[string]bool{}
	err := e.s.in(ctx, query, nil, ids, nil, func(scan scanner) error {
		var id text
		err := scan(&id)
		known[string(id)] = true
		return err
	})
	return known, err
}

// Strange are the newest messages that no tlim has stored: some other program writes. told is false where that cannot be seen, without
// an index on their time or before the first start.
func (e *Examination) Strange(ctx context.Context, since string) (ids []string, told bool, err error) {
	messages := e.have[tMessage.name]
	if messages == nil || e.have[tID.name] == nil || !messages.serves([]string{"msg_time"}) {
		return nil, false, nil
	}
	const maxStrange = 20
	query, args := e.s.dialect.page(`SELECT msg_id, msg_time, 0 FROM ofmessage WHERE msg_time > ? ORDER BY msg_time DESC`, []any{since}, maxStrange, 0)
	if err := e.pairs(ctx, query, func(id, _, _ string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}, args...); err != nil || len(ids) == 0 {
		return nil, err == nil, e.s.fail(err)
	}
	ours, err := e.known(ctx, `SELECT msg_id FROM tlim_id WHERE msg_id == (?*)`, ids)
	ids = slices.DeleteFunc(ids, func(id string) bool { return ours[id] })
	if err != nil || len(ids) == 0 || e.have[tCall.name] == nil {
		return ids, err == nil, e.s.fail(err)
	}
	// Messages of a call have no row of their own: their ids are the call's but for the last digits.
	const stem, end = 30, "000000"
	var stems []string
	for _, id := range ids {
		stems = append(stems, id[:min(stem, len(id))]+end)
	}
	calls, err := e.known(ctx, `SELECT call_id FROM tlim_call WHERE call_id == (?*)`, stems)
	ids = slices.DeleteFunc(ids, func(id string) bool { return calls[id[:min(stem, len(id))]+end] })
	return ids, err == nil, e.s.fail(err)
}
