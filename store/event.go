package store

import (
	"context"
	"fmt"
)

const (
	eventColumns = `event_id, kind, conversation, body, made, due, tries, dead, reason`

	eventPage     = `SELECT ` + eventColumns + ` FROM tlim_event WHERE dead = ? AND event_id > ? ORDER BY event_id`
	eventFailing  = `SELECT ` + eventColumns + ` FROM tlim_event WHERE dead = 0 AND tries > 0 AND event_id > ? ORDER BY event_id`
	eventOldest   = `SELECT event_id FROM tlim_event WHERE dead = ? ORDER BY event_id`
	eventLast     = `SELECT event_id FROM tlim_event WHERE event_id > ? ORDER BY event_id DESC`
	eventCount    = `SELECT COUNT(*) FROM tlim_event WHERE dead = ?`
	eventOld      = `SELECT event_id FROM tlim_event WHERE dead = 1 AND due < ? ORDER BY event_id`
	eventFailed   = `UPDATE tlim_event SET due = ?, tries = ?, reason = ? WHERE dead = 0 AND event_id == (?*)`
	eventDead     = `UPDATE tlim_event SET dead = 1, due = ?, reason = ? WHERE dead = 0 AND event_id == (?*)`
	eventReplay   = `UPDATE tlim_event SET dead = 0, due = ?, tries = 0 WHERE dead = 1 AND event_id == (?*)`
	eventDelete   = `DELETE FROM tlim_event WHERE event_id == (?*)`
	eventBury     = `DELETE FROM tlim_event WHERE dead = 1 AND event_id == (?*)`
	eventDeadKeys = `SELECT event_id FROM tlim_event WHERE dead = 1 AND event_id == (?*)`
)

// Event is a row of tlim_event, the outbox of what business systems are told. It is written in the transaction of what it tells of, and
// goes when it was taken; a dead one, which was given up, stays until it is replayed or its days are over.
type Event struct {
	ID           string // rises in the order in which events happened
	Kind         string // message.stored ...
	Conversation string // events of one arrive in order
	Body         string // JSON, as it is sent
	Made         int64  // epoch milliseconds
	Due          int64  // when it is to be tried; of a dead one, since when it is
	Tries        int    // failed so far
	Dead         bool
	Reason       string // why it failed last; "" before that
}

func (e Event) size() int { return len(e.Body) }

// EventUpdate is one step in the life of events that wait.
type EventUpdate struct {
	IDs    []string
	Dead   bool   // they are given up
	Due    int64  // epoch milliseconds
	Tries  int    // of those that are not
	Reason string // cut to the column
}

// Events reads at most limit events, those that wait or the dead, in their order, from behind the one with this ID ("" = the first).
func (s *Store) Events(ctx context.Context, dead bool, after string, limit int) ([]Event, error) {
	return s.eventsOf(ctx, eventPage, []any{bit(dead)}, after, limit)
}

// FailingEvents is [Store.Events] of those that wait and have failed.
func (s *Store) FailingEvents(ctx context.Context, after string, limit int) ([]Event, error) {
	return s.eventsOf(ctx, eventFailing, nil, after, limit)
}

func (s *Store) eventsOf(ctx context.Context, query string, args []any, after string, limit int) ([]Event, error) {
	found := []Event{}
	if after == "" {
		after = belowEvents
	}
	err := s.page(ctx, query, append(args, after), Page{Length: limit}.length(), 0, paged(func(scan scanner) (int, error) {
		var e Event
		err := scan((*text)(&e.ID), (*text)(&e.Kind), (*text)(&e.Conversation), (*text)(&e.Body), (*number)(&e.Made), (*number)(&e.Due), intColumn{&e.Tries},
			(*flag)(&e.Dead), (*text)(&e.Reason))
		found = append(found, e)
		return len(e.Body), err
	}))
	return found, err
}

// belowEvents is lower than every id, and not "", which Oracle takes for no value.
const belowEvents = " "

// CountEvents counts those that wait, or the dead.
func (s *Store) CountEvents(ctx context.Context, dead bool) (n int, err error) {
	_, err = s.one(ctx, eventCount, []any{bit(dead)}, func(scan scanner) error { return scan(intColumn{&n}) })
	return n, err
}

// LastEvent is the highest ID of all events that are there; "" of none.
func (s *Store) LastEvent(ctx context.Context) (id string, err error) {
	err = s.page(ctx, eventLast, []any{belowEvents}, 1, 0, func(scan scanner) error { return scan((*text)(&id)) })
	return id, err
}

// UpdateEvents writes steps in one transaction beside the conversations. What it does may be done again.
func (s *Store) UpdateEvents(ctx context.Context, epoch int64, steps []EventUpdate) error {
	err := s.fenced(ctx, epoch, func(ctx context.Context, t *tx) error {
		for i := range steps {
			u := &steps[i]
			reason, err := t.decoration(ctx, tEvent, "reason", u.Reason)
			if err != nil {
				return err
			}
			if u.Dead {
				err = t.doIn(ctx, eventDead, u.IDs, millis(u.Due), reason)
			} else {
				err = t.doIn(ctx, eventFailed, u.IDs, millis(u.Due), int64(u.Tries), reason)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("update events: %w", err)
	}
	return nil
}

// DeleteEvents removes events that were taken.
func (s *Store) DeleteEvents(ctx context.Context, epoch int64, ids []string) error {
	if err := s.fenced(ctx, epoch, func(ctx context.Context, t *tx) error { return t.doIn(ctx, eventDelete, ids) }); err != nil {
		return fmt.Errorf("delete %d events: %w", len(ids), err)
	}
	return nil
}

// ExpireEvents gives up the oldest that wait, at most limit, with a reason, and says how many.
func (s *Store) ExpireEvents(ctx context.Context, epoch int64, at int64, reason string, limit int) (int, error) {
	ids, err := s.eventIDs(ctx, eventOldest, []any{bit(false)}, limit)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return len(ids), s.UpdateEvents(ctx, epoch, []EventUpdate{{IDs: ids, Dead: true, Due: at, Reason: reason}})
}

// DeleteDeadEvents removes dead events, at most limit: those given up before the time given (epoch milliseconds), or, when it is 0, the
// oldest. It says how many.
func (s *Store) DeleteDeadEvents(ctx context.Context, epoch int64, before int64, limit int) (int, error) {
	query, args := eventOld, []any{millis(before)}
	if before == 0 {
		query, args = eventOldest, []any{bit(true)}
	}
	ids, err := s.eventIDs(ctx, query, args, limit)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	// One that was replayed meanwhile stays.
	if err := s.fenced(ctx, epoch, func(ctx context.Context, t *tx) error { return t.doIn(ctx, eventBury, ids) }); err != nil {
		return 0, fmt.Errorf("delete %d dead events: %w", len(ids), err)
	}
	return len(ids), nil
}

// ReplayEvents lets dead events wait again, due at the time given (epoch milliseconds), and says how many there were among these IDs. What
// the audit log says of it is written in the same transaction, unless none is dead.
func (s *Store) ReplayEvents(ctx context.Context, ids []string, at int64, e AuditEvent) (n int, err error) {
	err = s.unfenced(ctx, func(ctx context.Context, t *tx) error {
		var dead []string
		if err := t.readIn(ctx, eventDeadKeys, ids, func(scan scanner) error {
			dead = append(dead, "")
			return scan((*text)(&dead[len(dead)-1]))
		}); err != nil {
			return err
		}
		if n = len(dead); n == 0 {
			return nil
		}
		if err := t.doIn(ctx, eventReplay, dead, millis(at)); err != nil {
			return err
		}
		return t.addAudit(ctx, e)
	})
	if err != nil {
		return 0, fmt.Errorf("replay events: %w", err)
	}
	return n, nil
}

func (s *Store) eventIDs(ctx context.Context, query string, args []any, limit int) (ids []string, err error) {
	err = s.page(ctx, query, args, int64(limit), 0, func(scan scanner) error {
		ids = append(ids, "")
		return scan((*text)(&ids[len(ids)-1]))
	})
	return ids, err
}

func (t *tx) addEvents(ctx context.Context, events []Event) error {
	r := t.s.rowsOf(tEvent, len(events))
	for i := range events {
		e := &events[i]
		r.add(e.ID, e.Kind, e.Conversation, e.Body, millis(e.Made), millis(e.Due), int64(e.Tries), bit(e.Dead), e.Reason)
	}
	return t.insert(ctx, r)
}
