package store

import (
	"context"
	"encoding/json"
	"fmt"
)

const (
	pushColumns = `push_id, channel, msg_id, msg_type, platforms, title, alert, receivers, made, due, tries, call_id, done, outcome`

	pushDue        = `SELECT ` + pushColumns + ` FROM tlim_push WHERE channel = ? AND done = 0 AND due <= ? ORDER BY due, push_id`
	pushNext       = `SELECT due FROM tlim_push WHERE channel = ? AND done = 0 ORDER BY due`
	pushDone       = `SELECT ` + pushColumns + ` FROM tlim_push WHERE channel = ? AND done = 1 AND due >= ? ORDER BY due DESC`
	pushOfRequests = `SELECT ` + pushColumns + ` FROM tlim_push WHERE channel = ? AND done = 0 AND call_id == (?*) ORDER BY due, push_id`
	pushOf         = `SELECT ` + pushColumns + ` FROM tlim_push WHERE msg_id == (?*)`
	pushCount      = `SELECT COUNT(*) FROM tlim_push WHERE channel = ? AND done = 0`
	pushChannels   = `SELECT DISTINCT channel FROM tlim_push`
	pushBefore     = `SELECT push_id FROM tlim_push WHERE channel = ? AND done = 1 AND due < ?`
	pushOrphans    = `SELECT push_id FROM tlim_push WHERE channel = ?`
	pushDelete     = `DELETE FROM tlim_push WHERE push_id == (?*)`

	pushClaim     = `UPDATE tlim_push SET call_id = ? WHERE done = 0 AND push_id == (?*)`
	pushDelay     = `UPDATE tlim_push SET due = ?, tries = tries + 1 WHERE done = 0 AND push_id == (?*)`
	pushOutcome   = `UPDATE tlim_push SET done = 1, due = ?, outcome = ?, title = NULL, alert = NULL WHERE push_id == (?*)`
	pushReceivers = `UPDATE tlim_push SET receivers = ? WHERE push_id == (?*)`
	userPushOwner = `SELECT jid FROM tlim_user WHERE push_code == ?`
	userPushDead  = `UPDATE tlim_user SET push_code = NULL, push_os = NULL WHERE push_code == (?*)`
)

// Push is a row of tlim_push, the outbox of pushes: one text for the phones of up to a thousand users. It is written in the
// transaction of its message, and kept without its text for a while after it has its outcome.
type Push struct {
	ID        string // of the row
	Channel   string // which pusher is to send it
	MsgID     string
	Type      string // of the message: MTT-000 ...
	Platforms string // "android,ios" or "android"
	Title     string
	Alert     string
	To        []PushTo
	Made      int64  // when it was written, epoch milliseconds
	Due       int64  // when it is to be sent; once done, when that was
	Tries     int    // failed so far
	Request   string // the name of the request to the vendor that it goes out with; "" = in none yet
	Done      bool
	Outcome   string // of a row that is done, for the receivers without one of their own
}

// PushTo is one receiver of a push.
type PushTo struct {
	User    string `json:"u"`           // as rows name them
	Code    string `json:"c"`           // registration id of their device
	Outcome string `json:"o,omitempty"` // when it differs from the row's
}

// PushUpdate is one step in the life of rows that are not done yet. At most one of Call, Delay and Outcome is given.
type PushUpdate struct {
	IDs     []string
	Request string   // they belong to this request to the vendor
	Delay   bool     // they failed, and are due again at At
	Outcome string   // they are done; their text goes
	At      int64    // epoch milliseconds
	To      []PushTo // replaces the receivers of the one row in IDs, with what became of each; nil: they stay
}

func scanPush(p *Push, receivers *text) []any {
	return []any{(*text)(&p.ID), (*text)(&p.Channel), (*text)(&p.MsgID), (*text)(&p.Type), (*text)(&p.Platforms), (*text)(&p.Title), (*text)(&p.Alert),
		receivers, (*number)(&p.Made), (*number)(&p.Due), intColumn{&p.Tries}, (*text)(&p.Request), (*flag)(&p.Done), (*text)(&p.Outcome)}
}

func pushRow(add func(Push)) func(scanner) error {
	return func(scan scanner) error {
		var p Push
		var receivers text
		if err := scan(scanPush(&p, &receivers)...); err != nil {
			return err
		}
		if receivers != "" {
			if err := json.Unmarshal([]byte(receivers), &p.To); err != nil {
				return fmt.Errorf("receivers of push %s: %w", p.ID, err)
			}
		}
		add(p)
		return nil
	}
}

// DuePushes reads at most limit rows of a channel that wait and are due at now (epoch milliseconds), those that have waited
// longest first.
func (s *Store) DuePushes(ctx context.Context, channel string, now int64, limit int) ([]Push, error) {
	found := []Push{}
	err := s.page(ctx, pushDue, []any{channel, millis(now)}, int64(limit), 0, pushRow(func(p Push) { found = append(found, p) }))
	return found, err
}

// PushesOfRequests reads the rows of a channel that wait and belong to these requests, whenever they are due.
func (s *Store) PushesOfRequests(ctx context.Context, channel string, requests []string) ([]Push, error) {
	found := []Push{}
	err := s.in(ctx, pushOfRequests, []any{channel}, requests, nil, pushRow(func(p Push) { found = append(found, p) }))
	return found, err
}

// NextPush says when the next row of a channel is due; false when none waits.
func (s *Store) NextPush(ctx context.Context, channel string) (due int64, waits bool, err error) {
	err = s.page(ctx, pushNext, []any{channel}, 1, 0, func(scan scanner) error { waits = true; return scan((*number)(&due)) })
	return due, waits, err
}

// DonePushes reads at most limit rows of a channel that got their outcome at since (epoch milliseconds) or later, newest first.
func (s *Store) DonePushes(ctx context.Context, channel string, since int64, limit int) ([]Push, error) {
	found := []Push{}
	err := s.page(ctx, pushDone, []any{channel, millis(since)}, int64(limit), 0, pushRow(func(p Push) { found = append(found, p) }))
	return found, err
}

// PushesOf reads what became of the pushes of these messages, by msg_id, as far as the rows are still kept.
func (s *Store) PushesOf(ctx context.Context, msgIDs []string) (map[string][]Push, error) {
	found := map[string][]Push{}
	err := s.in(ctx, pushOf, nil, msgIDs, nil, pushRow(func(p Push) { found[p.MsgID] = append(found[p.MsgID], p) }))
	return found, err
}

// CountPushes counts the rows of a channel that wait.
func (s *Store) CountPushes(ctx context.Context, channel string) (int, error) {
	var n number
	_, err := s.one(ctx, pushCount, []any{channel}, func(scan scanner) error { return scan(&n) })
	return int(n), err
}

// PushChannels lists the channels that rows name.
func (s *Store) PushChannels(ctx context.Context) ([]string, error) {
	found := []string{}
	err := s.all(ctx, pushChannels, nil, func(scan scanner) error {
		found = append(found, "")
		return scan((*text)(&found[len(found)-1]))
	})
	return found, err
}

// UpdatePushes writes steps in the order given, in one transaction beside the conversations. What it does may be done
// again, so that after ErrUnavailable a caller repeats it. ErrFenced: another process has taken over, and nothing was written.
func (s *Store) UpdatePushes(ctx context.Context, epoch int64, steps []PushUpdate) error {
	err := s.fenced(ctx, epoch, func(ctx context.Context, t *tx) error {
		for i := range steps {
			if err := t.updatePush(ctx, &steps[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("update pushes: %w", err)
	}
	return nil
}

func (t *tx) updatePush(ctx context.Context, u *PushUpdate) error {
	if u.To != nil {
		receivers, err := json.Marshal(u.To)
		if err != nil {
			return err
		}
		if err := t.doIn(ctx, pushReceivers, u.IDs, string(receivers)); err != nil {
			return err
		}
	}
	switch {
	case u.Request != "":
		return t.doIn(ctx, pushClaim, u.IDs, u.Request)
	case u.Delay:
		return t.doIn(ctx, pushDelay, u.IDs, millis(u.At))
	case u.Outcome != "":
		return t.doIn(ctx, pushOutcome, u.IDs, millis(u.At), u.Outcome)
	}
	return nil
}

// DeletePushes removes at most limit rows of a channel that ended before the time given (epoch milliseconds), and says
// how many there were.
func (s *Store) DeletePushes(ctx context.Context, channel string, before int64, limit int) (int, error) {
	return s.deletePushes(ctx, pushBefore, []any{channel, millis(before)}, limit)
}

// DeleteChannel removes at most limit rows of a channel, those that wait as well, and says how many there were: nobody will
// send them any more.
func (s *Store) DeleteChannel(ctx context.Context, channel string, limit int) (int, error) {
	return s.deletePushes(ctx, pushOrphans, []any{channel}, limit)
}

func (s *Store) deletePushes(ctx context.Context, query string, args []any, limit int) (int, error) {
	var ids []string
	err := s.page(ctx, query, args, int64(limit), 0, func(scan scanner) error {
		ids = append(ids, "")
		return scan((*text)(&ids[len(ids)-1]))
	})
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	if err := s.unfenced(ctx, func(ctx context.Context, t *tx) error { return t.doIn(ctx, pushDelete, ids) }); err != nil {
		return 0, fmt.Errorf("delete %d pushes: %w", len(ids), err)
	}
	return len(ids), nil
}

// DeletePushCodes takes registrations that the vendor calls dead from whoever has them. One that nobody has is no error.
func (s *Store) DeletePushCodes(ctx context.Context, codes []string) error {
	err := s.unfenced(ctx, func(ctx context.Context, t *tx) error { return t.doIn(ctx, userPushDead, codes) })
	if err != nil {
		return fmt.Errorf("drop %d push codes: %w", len(codes), err)
	}
	return nil
}

// PushOwners lists the JIDs' local parts of those who have a registration.
func (s *Store) PushOwners(ctx context.Context, code string) ([]string, error) {
	found := []string{}
	err := s.all(ctx, userPushOwner, []any{code}, func(scan scanner) error {
		found = append(found, "")
		return scan((*text)(&found[len(found)-1]))
	})
	return found, err
}

func (t *tx) addPushes(ctx context.Context, pushes []Push) error {
	r := t.s.rowsOf(tPush, len(pushes))
	for i := range pushes {
		p := &pushes[i]
		receivers, err := json.Marshal(p.To)
		if err != nil {
			return err
		}
		r.add(p.ID, p.Channel, p.MsgID, p.Type, p.Platforms, p.Title, p.Alert, string(receivers), millis(p.Made), millis(p.Due),
			int64(p.Tries), p.Request, bit(p.Done), p.Outcome)
	}
	return t.insert(ctx, r)
}
