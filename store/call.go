package store

import (
	"context"
	"encoding/json"
	"fmt"
)

const (
	callColumns = `call_id, call_key, business, caller, msg_type, digest, body, receivers, made, done, answer`

	callGet    = `SELECT ` + callColumns + ` FROM tlim_call WHERE call_id == ?`
	callByKey  = `SELECT ` + callColumns + ` FROM tlim_call WHERE call_key == ?`
	callSame   = `SELECT call_id FROM tlim_call WHERE business == ? AND call_id >= ? ORDER BY call_id`
	callOpen   = `SELECT ` + callColumns + ` FROM tlim_call WHERE done = 0 ORDER BY call_id`
	callBefore = `SELECT call_id FROM tlim_call WHERE call_id < ? AND done = 1 ORDER BY call_id`
	callAnswer = `UPDATE tlim_call SET answer = ? WHERE call_id == ?`
	callEnd    = `UPDATE tlim_call SET answer = ?, done = 1, body = NULL WHERE call_id == ?`
	callFree   = `UPDATE tlim_call SET call_key = NULL WHERE call_id == (?*)`
	callDelete = `DELETE FROM tlim_call WHERE call_id == (?*)`
	callPage   = `SELECT call_id, caller, msg_type, receivers, made, done FROM tlim_call WHERE call_id < ? ORDER BY call_id DESC`

	partsFrom  = `SELECT call_id, first_no, receivers FROM tlim_call_part WHERE call_id == ? AND first_no >= ? ORDER BY first_no`
	partDelete = `DELETE FROM tlim_call_part WHERE call_id == ? AND first_no = ?`

	idBetween = `SELECT msg_id, class, msg_from, conversation, msg_time, digest, state FROM tlim_id WHERE msg_id >= ? AND msg_id <= ? AND class = 'm' AND msg_from == ? ORDER BY msg_id`
	idCount   = `SELECT COUNT(*) FROM tlim_id WHERE msg_id >= ? AND msg_id <= ? AND class = 'm' AND msg_from == ?`
	// What became of a call's messages. Clients choose ids that sort between these, so the author counts.
	callStored = `SELECT COUNT(*) FROM ofmessage WHERE msg_id >= ? AND msg_id <= ? AND msg_from == ?`
	callQueued = `SELECT COUNT(*) FROM ofcustomoffline WHERE msg_id >= ? AND msg_id <= ? AND msg_from == ?`
	callRead   = `SELECT COUNT(*) FROM ofstatus WHERE msg_id >= ? AND msg_id <= ? AND sender == ?`
	callPushed = `SELECT COUNT(DISTINCT exact(msg_id)) FROM tlim_push WHERE msg_id >= ? AND msg_id <= ? AND outcome == ? AND msg_type == ?`

	messageHead = `SELECT msg_id, msg_type, msg_to, msg_time FROM ofmessage WHERE msg_id == (?*)`
)

// Call is a row of tlim_call: a call that pushes a notice.
type Call struct {
	ID string // sorts by its time; the ids of its messages are made of it
	// Key is what a repeat is known by, Business what other calls about the same business are known by: texts whose case does
	// not matter, made by the caller; "" for none. No two rows have the same Key.
	Key, Business string
	Caller        string // for people
	Type          string // of its messages
	Digest        string // of the request
	Body          string // of its messages; forgotten when it is done
	Receivers     int
	Made          int64 // epoch milliseconds
	Done          bool
	Answer        string // "" is ok
}

// CallPart is a row of tlim_call_part: receivers of a call who do not have their message yet.
type CallPart struct {
	CallID string
	First  int // number of the first of them within the call
	To     []string
}

// CallEdit says how far a call is.
type CallEdit struct {
	ID     string
	Answer string
	Done   bool
}

func scanCall(c *Call) []any {
	return []any{(*text)(&c.ID), (*text)(&c.Key), (*text)(&c.Business), (*text)(&c.Caller), (*text)(&c.Type), (*text)(&c.Digest), (*text)(&c.Body),
		intColumn{&c.Receivers}, (*number)(&c.Made), (*flag)(&c.Done), (*text)(&c.Answer)}
}

func (s *Store) call(ctx context.Context, query, key string) (Call, bool, error) {
	var c Call
	found, err := s.one(ctx, query, []any{key}, func(scan scanner) error { return scan(scanCall(&c)...) })
	return c, found, err
}

// Call reads a call by its ID.
func (s *Store) Call(ctx context.Context, id string) (Call, bool, error) {
	return s.call(ctx, callGet, id)
}

// CallByKey reads a call by its Key.
func (s *Store) CallByKey(ctx context.Context, key string) (Call, bool, error) {
	return s.call(ctx, callByKey, key)
}

// CallsAbout lists the calls about a business from the ID since on, oldest first.
func (s *Store) CallsAbout(ctx context.Context, business, since string) ([]string, error) {
	found := []string{}
	err := s.all(ctx, callSame, []any{business, s.dialect.atLeast(since)}, func(scan scanner) error {
		found = append(found, "")
		return scan((*text)(&found[len(found)-1]))
	})
	return found, err
}

// OpenCalls reads the calls that are not done, oldest first.
func (s *Store) OpenCalls(ctx context.Context) ([]Call, error) {
	found := []Call{}
	err := s.all(ctx, callOpen, nil, func(scan scanner) error {
		found = append(found, Call{})
		return scan(scanCall(&found[len(found)-1])...)
	})
	return found, err
}

// CallParts reads at most limit parts of a call that begin at number first or later, in order.
func (s *Store) CallParts(ctx context.Context, id string, first, limit int) ([]CallPart, error) {
	found := []CallPart{}
	err := s.page(ctx, partsFrom, []any{id, int64(first)}, int64(limit), 0, func(scan scanner) error {
		var p CallPart
		var receivers text
		if err := scan((*text)(&p.CallID), intColumn{&p.First}, &receivers); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(receivers), &p.To); err != nil {
			return fmt.Errorf("receivers of call %s: %w", p.CallID, err)
		}
		found = append(found, p)
		return nil
	})
	return found, err
}

// IDsBetween reads at most limit ids of an author's messages from one to the other, both included, in their order.
func (s *Store) IDsBetween(ctx context.Context, author, from, to string, limit int) ([]ID, error) {
	found := []ID{}
	err := s.page(ctx, idBetween, []any{s.dialect.atLeast(from), to, author}, int64(limit), 0, func(scan scanner) error {
		found = append(found, ID{})
		return scan(scanID(&found[len(found)-1])...)
	})
	return found, err
}

// CountIDs counts what IDsBetween reads.
func (s *Store) CountIDs(ctx context.Context, author, from, to string) (int, error) {
	var n number
	_, err := s.one(ctx, idCount, []any{s.dialect.atLeast(from), to, author}, func(scan scanner) error { return scan(&n) })
	return int(n), err
}

// MessageHeads reads id, type, receiver and time of messages, without their bodies.
func (s *Store) MessageHeads(ctx context.Context, msgIDs []string) (map[string]Message, error) {
	found := make(map[string]Message, len(msgIDs))
	err := s.in(ctx, messageHead, nil, msgIDs, nil, func(scan scanner) error {
		var m Message
		err := scan((*text)(&m.MsgID), (*text)(&m.Type), (*text)(&m.To), (*text)(&m.Time))
		found[m.MsgID] = m
		return err
	})
	return found, err
}

// ListCalls reads at most limit calls, newest first, from behind the one with this ID ("" = from the newest): ID, Caller, Type, Receivers, Made and Done.
func (s *Store) ListCalls(ctx context.Context, after string, limit int) ([]Call, error) {
	found := []Call{}
	if after == "" {
		after = "g" // no UUID begins so high
	}
	err := s.page(ctx, callPage, []any{after}, Page{Length: limit}.length(), 0, func(scan scanner) error {
		var c Call
		err := scan((*text)(&c.ID), (*text)(&c.Caller), (*text)(&c.Type), intColumn{&c.Receivers}, (*number)(&c.Made), (*flag)(&c.Done))
		found = append(found, c)
		return err
	})
	return found, err
}

// CallCounts says what became of a call's messages.
type CallCounts struct {
	Stored int
	Queued int // have an offline row
	Read   int // have a receipt
	Pushed int // have a row of the outbox, which keeps them for a day, that was sent
}

// CountCall counts an author's messages of a type with ids from one to the other, both included, which are one receiver's each.
func (s *Store) CountCall(ctx context.Context, author, msgType, from, to string) (n CallCounts, err error) {
	for _, q := range [...]struct {
		query string
		count *int
		of    []any
	}{{callStored, &n.Stored, []any{author}}, {callQueued, &n.Queued, []any{author}}, {callRead, &n.Read, []any{author}}, {callPushed, &n.Pushed, []any{"sent", msgType}}} {
		if _, err := s.one(ctx, q.query, append([]any{s.dialect.atLeast(from), to}, q.of...), func(scan scanner) error { return scan(intColumn{q.count}) }); err != nil {
			return n, err
		}
	}
	return n, nil
}

// DeleteCalls forgets at most limit calls that are done and sort before an ID, and says how many there were.
func (s *Store) DeleteCalls(ctx context.Context, epoch int64, before string, limit int) (int, error) {
	var ids []string
	err := s.page(ctx, callBefore, []any{before}, int64(limit), 0, func(scan scanner) error {
		ids = append(ids, "")
		return scan((*text)(&ids[len(ids)-1]))
	})
	if err != nil {
		return 0, err
	}
	return len(ids), s.clean(ctx, epoch, "calls", len(ids), func(ctx context.Context, t *tx) error { return t.doIn(ctx, callDelete, ids) })
}

func (t *tx) addCalls(ctx context.Context, calls []Call) error {
	r := t.s.rowsOf(tCall, len(calls))
	for i := range calls {
		c := &calls[i]
		r.add(c.ID, c.Key, c.Business, c.Caller, c.Type, c.Digest, c.Body, int64(c.Receivers), millis(c.Made), bit(c.Done), c.Answer)
	}
	return t.insert(ctx, r)
}

func (t *tx) addCallParts(ctx context.Context, parts []CallPart) error {
	r := t.s.rowsOf(tCallPart, len(parts))
	for _, p := range parts {
		receivers, err := json.Marshal(p.To)
		if err != nil {
			return err
		}
		r.add(p.CallID, int64(p.First), string(receivers))
	}
	return t.insert(ctx, r)
}

func (t *tx) dropCallParts(ctx context.Context, parts []CallPart) error {
	for _, p := range parts {
		if _, err := t.do(ctx, partDelete, p.CallID, int64(p.First)); err != nil {
			return err
		}
	}
	return nil
}

// freeCalls lets other calls have the keys of these, whose time is over.
func (t *tx) freeCalls(ctx context.Context, ids []string) error { return t.doIn(ctx, callFree, ids) }

func (t *tx) editCalls(ctx context.Context, edits []CallEdit) error {
	for _, e := range edits {
		query := callAnswer
		if e.Done {
			query = callEnd
		}
		if _, err := t.do(ctx, query, e.Answer, e.ID); err != nil {
			return err
		}
	}
	return nil
}
