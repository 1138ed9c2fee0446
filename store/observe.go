package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// What is read here is read beside the old plugin, which writes: of the columns that it has alone, on tables that nobody has adopted.

const (
	observedMessages = `SELECT id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id FROM ofmessage WHERE msg_id == (?*)`
	observedQueue    = `SELECT id_, msg_id, msg_type, msg_from, delete_user, body FROM ofcustomoffline WHERE msg_id == (?*)`
	observedSince    = `SELECT id_, msg_id, msg_type, msg_from, msg_to FROM ofmessage WHERE msg_time >= ? AND msg_time <= ?`
)

// Observable says what keeps an Examination from reading what the old plugin writes: tables, columns or rights.
func (e *Examination) Observable(ctx context.Context) error {
	for _, t := range []struct {
		name    string
		columns string
	}{
		{tMessage.name, "id_ msg_id msg_type msg_from msg_to msg_time body session_id"},
		{tOffline.name, "id_ msg_id msg_type msg_from delete_user body"},
		{tGroup.name, "session_id session_user"},
		{tMember.name, "session_id user_id ts"},
	} {
		if e.have[t.name] == nil {
			return fmt.Errorf("%w: there is no table %s; is store.dsn the database in which the old plugin has its messages?", ErrSchema, t.name)
		}
		for column := range strings.FieldsSeq(t.columns) {
			if _, there := e.have[t.name].columns[column]; !there {
				return fmt.Errorf("%w: column %s.%s is missing; is store.dsn the database in which the old plugin has its messages?", ErrSchema, t.name, column)
			}
		}
		if _, err := e.someRow(ctx, t.name); err != nil {
			return fmt.Errorf("read %s: %w. Remedy: %s", t.name, err, Remedy(e.s.cfg, err))
		}
	}
	return nil
}

// Unindexed names what is looked for by message and has no index: each look reads the whole table.
func (e *Examination) Unindexed() (columns []string) {
	for _, c := range [][2]string{{tMessage.name, "msg_id"}, {tOffline.name, "msg_id"}, {tMessage.name, "msg_time"}} {
		if !e.have[c[0]].serves(c[1:]) {
			columns = append(columns, c[0]+"."+c[1])
		}
	}
	return columns
}

// Adopted says whether a tlim has taken these tables over.
func (e *Examination) Adopted() bool { return e.have[tState.name] != nil }

// StoredMessages reads the messages with these ids, all of each.
func (e *Examination) StoredMessages(ctx context.Context, msgIDs []string) (map[string][]Message, error) {
	found := map[string][]Message{}
	err := e.s.in(ctx, observedMessages, nil, msgIDs, nil, func(scan scanner) error {
		var m Message
		err := scan((*text)(&m.ID), (*text)(&m.MsgID), (*text)(&m.Type), (*text)(&m.From), (*text)(&m.To), (*text)(&m.Time), (*text)(&m.Body), (*text)(&m.SessionID))
		found[m.MsgID] = append(found[m.MsgID], m)
		return err
	})
	return found, err
}

// QueueRows reads the offline messages of these ids: id, type, sender, owner and body.
func (e *Examination) QueueRows(ctx context.Context, msgIDs []string) (map[string][]OfflineMessage, error) {
	found := map[string][]OfflineMessage{}
	err := e.s.in(ctx, observedQueue, nil, msgIDs, nil, func(scan scanner) error {
		var m OfflineMessage
		err := scan((*text)(&m.ID), (*text)(&m.MsgID), (*text)(&m.Type), (*text)(&m.From), (*text)(&m.Owner), (*text)(&m.Body))
		found[m.MsgID] = append(found[m.MsgID], m)
		return err
	})
	return found, err
}

// StoredSince visits the messages whose msg_time, which is their sender's clock, lies between two times in epoch milliseconds. It reads
// no more than limit, and says whether there are more.
func (e *Examination) StoredSince(ctx context.Context, since, until int64, limit int, visit func(Message)) (more bool, err error) {
	n := 0
	err = e.s.all(ctx, observedSince, []any{millis(since), millis(until)}, func(scan scanner) error {
		if n++; n > limit {
			more = true
			return errEnough
		}
		var m Message
		err := scan((*text)(&m.ID), (*text)(&m.MsgID), (*text)(&m.Type), (*text)(&m.From), (*text)(&m.To))
		visit(m)
		return err
	})
	return more, err
}

// Groups reads the groups with these ids.
func (e *Examination) Groups(ctx context.Context, ids []string) (map[string]Group, error) {
	return e.s.Groups(ctx, ids)
}

// Members reads the members of these groups.
func (e *Examination) Members(ctx context.Context, groupIDs []string) (map[string][]Member, error) {
	return e.s.Members(ctx, groupIDs)
}

// Source makes a [Source] that reads with these connections, as [NewSource] does.
func (e *Examination) Source(cfg SourceConfig) (*Source, error) { return NewSource(e.s, cfg) }

// HoldsMessage says whether the table of messages can hold a body, and HoldsQueued whether the queue can: a legacy column is too short for some, and
// its character set lacks characters.
func (e *Examination) HoldsMessage(ctx context.Context, body string) (bool, error) {
	return e.holds(ctx, tMessage.name, body)
}

// HoldsQueued is HoldsMessage for the queue.
func (e *Examination) HoldsQueued(ctx context.Context, body string) (bool, error) {
	return e.holds(ctx, tOffline.name, body)
}

func (e *Examination) holds(ctx context.Context, table, body string) (bool, error) {
	column := e.have[table].columns["body"]
	width := utf8.RuneCountInString(body)
	if e.s.dialect.width != nil {
		width = e.s.dialect.width(column.charset, body)
	}
	if column.length > 0 && width > column.length {
		return false, nil
	}
	held, err := e.s.heldBy(ctx, column.charset, body)
	if err != nil {
		return false, errors.Join(fmt.Errorf("whether %s holds a body", table), e.s.fail(err))
	}
	return held == body, nil
}
