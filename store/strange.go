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

// Strange are the newest messages that no tlim has stored: some other program writes. told is false where that cannot be seen, without
// an index on their time or before the first start.
func (e *Examination) Strange(ctx context.Context, since string) (ids []string, told bool, err error) {
	messages := e.have[tMessage.name]
	if messages == nil || e.have[tID.name] == nil || !messages.serves([]string{"msg_time"}) {
		return nil, false, nil
	}
	const newest = 20
	query, args := e.s.dialect.page(`SELECT msg_id, msg_time, 0 FROM ofmessage WHERE msg_time > ? ORDER BY msg_time DESC`, []any{since}, newest, 0)
	if err := e.pairs(ctx, query, func(id, _, _ string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}, args...); err != nil || len(ids) == 0 {
		return nil, err == nil, e.s.fail(err)
	}
	args = make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	ours := map[string]bool{}
	err = e.pairs(ctx, list(`SELECT msg_id, class, 0 FROM tlim_id WHERE msg_id IN (?*)`, len(args)), func(id, _, _ string) { ours[id] = true }, args...)
	ids = slices.DeleteFunc(ids, func(id string) bool { return ours[id] })
	if err != nil || len(ids) == 0 || e.have[tCall.name] == nil {
		return ids, err == nil, e.s.fail(err)
	}
	// Messages of a call have no row of their own: their ids are the call's but for the last digits.
	const stem, end = 30, "000000"
	args = args[:0]
	for _, id := range ids {
		args = append(args, id[:min(stem, len(id))]+end)
	}
	calls := map[string]bool{}
	err = e.pairs(ctx, list(`SELECT call_id, 0, 0 FROM tlim_call WHERE call_id IN (?*)`, len(args)), func(id, _, _ string) { calls[id] = true }, args...)
	ids = slices.DeleteFunc(ids, func(id string) bool { return calls[id[:min(stem, len(id))]+end] })
	return ids, err == nil, e.s.fail(err)
}
