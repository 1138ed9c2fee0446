package store

import (
	"context"
	"fmt"
)

// Old is a place in a walk over rows in the order of their age or key, and what clean-up needs to know of a row.
type Old struct {
	Key         string // id_, or msg_id of tlim_id, or session_id of tlim_former
	Second      string // class of tlim_id, user_id of tlim_former
	MsgID, From string // of messages
	Time        string // as it stands there: 13 digits, unless the old system wrote it
}

// The walks read keys and times only. Messages go by their time, which has an index. The others go by their key: an index on
// their time would cost every message about 15 % of the insert rate, for a walk once a day.
const (
	oldMessages = `SELECT id_, msg_id, msg_from, msg_time FROM ofmessage WHERE msg_time <= ?`
	walkOffline = `SELECT id_, msg_time FROM ofcustomoffline`
	walkIDs     = `SELECT msg_id, class, msg_time FROM tlim_id`
	walkFormers = `SELECT session_id, user_id, ts FROM tlim_former`

	idDelete     = `DELETE FROM tlim_id WHERE (msg_id == ? AND class = ?)*`
	formerDelete = `DELETE FROM tlim_former WHERE (session_id == ? AND user_id == ?)*`

	// What no clean-up reaches by its time: letters and dates sort behind the milliseconds of this century.
	oddMessages = `SELECT COUNT(*) FROM ofmessage WHERE msg_time IS NULL OR msg_time > ?`

	receiptSome = `SELECT id_, msg_id, sender FROM ofstatus WHERE msg_id == ?`
)

var (
	offlineRowKeys = keys{"id_"}
	idKeys         = keys{"msg_id", "class"}
	formerKeys     = keys{"session_id", "user_id"}
)

// OldMessages reads at most limit messages whose time sorts, as text, at or before until (epoch milliseconds), oldest first,
// from behind the row after (the zero Old = from the first). Times in another form than 13 digits may be among them.
func (s *Store) OldMessages(ctx context.Context, until int64, after Old, limit int) ([]Old, error) {
	return s.walkOld(ctx, oldMessages, []any{millis(until)}, oldestFirst, []string{after.Time, after.Key}, limit, func(o *Old) []any {
		return []any{(*text)(&o.Key), (*text)(&o.MsgID), (*text)(&o.From), (*text)(&o.Time)}
	})
}

// WalkOffline reads at most limit offline rows of any age in the order of their key, from behind the row after.
func (s *Store) WalkOffline(ctx context.Context, after Old, limit int) ([]Old, error) {
	return s.walkOld(ctx, walkOffline, nil, offlineRowKeys, []string{after.Key}, limit, func(o *Old) []any {
		return []any{(*text)(&o.Key), (*text)(&o.Time)}
	})
}

// WalkIDs reads at most limit remembered ids of any age in the order of their key, from behind the row after.
func (s *Store) WalkIDs(ctx context.Context, after Old, limit int) ([]Old, error) {
	return s.walkPairs(ctx, walkIDs, idKeys, after, limit)
}

// WalkFormers reads at most limit former members of any age in the order of their key, from behind the row after.
func (s *Store) WalkFormers(ctx context.Context, after Old, limit int) ([]Old, error) {
	return s.walkPairs(ctx, walkFormers, formerKeys, after, limit)
}

func (s *Store) walkPairs(ctx context.Context, query string, by keys, after Old, limit int) ([]Old, error) {
	return s.walkOld(ctx, query, nil, by, []string{after.Key, after.Second}, limit, func(o *Old) []any {
		return []any{(*text)(&o.Key), (*text)(&o.Second), (*text)(&o.Time)}
	})
}

func (s *Store) walkOld(ctx context.Context, query string, args []any, by keys, after []string, limit int, columns func(*Old) []any) ([]Old, error) {
	found := []Old{}
	err := s.walk(ctx, query, args, by, after, limit, func(scan scanner) error {
		found = append(found, Old{})
		return scan(columns(&found[len(found)-1])...)
	})
	return found, err
}

// OddMessages counts the messages that [Store.OldMessages] does not reach: without a time, or with one that sorts, as text,
// behind after (epoch milliseconds).
func (s *Store) OddMessages(ctx context.Context, after int64) (n int, err error) {
	_, err = s.one(ctx, oddMessages, []any{millis(after)}, func(scan scanner) error { return scan(intColumn{&n}) })
	return n, err
}

// The following remove rows by their key, each in one fenced transaction. Errors: ErrFenced, ErrUnavailable. Rows that are gone
// are no error, so a call may be repeated. A few hundred rows at a time keep chat waiting for milliseconds.

// maxCleaned bounds the receipts that one transaction removes: a message of a large group can have a thousand.
const maxCleaned = 1000

// DeleteMessages removes the first of these messages, as many as a short transaction takes, with their receipts; what waits
// for phones stays. It says how many; 0 without an error means that the first has more receipts than that, of which some
// are gone now: call again.
func (s *Store) DeleteMessages(ctx context.Context, epoch int64, rows []Old) (int, error) {
	var ids []string
	for _, o := range rows {
		if o.MsgID != "" {
			ids = append(ids, o.MsgID)
		}
	}
	counts, err := s.ReceiptCounts(ctx, ids)
	if err != nil {
		return 0, err
	}
	var erased []Erased
	for _, o := range rows[:affordable(rows, counts)] {
		erased = append(erased, Erased{ID: o.Key, MsgID: o.MsgID, From: o.From})
	}
	if len(erased) == 0 && len(rows) > 0 {
		return s.thin(ctx, epoch, rows[0])
	}
	err = s.clean(ctx, epoch, "messages", len(erased), func(ctx context.Context, t *tx) error { return t.erase(ctx, erased) })
	if err != nil {
		return 0, err
	}
	return len(erased), nil
}

// affordable is how many of the first rows one transaction may remove with their receipts.
func affordable(rows []Old, receipts map[string]int) int {
	sum := 0
	for i, o := range rows {
		if sum += receipts[o.MsgID]; sum > maxCleaned {
			return i
		}
	}
	return len(rows)
}

// thin removes some receipts of a message that has many. One whose id another message has too (legacy tables) goes whole:
// whose receipt is whose is for [tx.erase] to say.
func (s *Store) thin(ctx context.Context, epoch int64, o Old) (int, error) {
	if thinned, err := s.thinReceipts(ctx, epoch, o.MsgID); thinned || err != nil {
		return 0, err
	}
	err := s.clean(ctx, epoch, "messages", 1, func(ctx context.Context, t *tx) error {
		return t.erase(ctx, []Erased{{ID: o.Key, MsgID: o.MsgID, From: o.From}})
	})
	if err != nil {
		return 0, err
	}
	return 1, nil
}

// thinReceipts removes some receipts of a message, unless it has none or another message has its id too.
func (s *Store) thinReceipts(ctx context.Context, epoch int64, msgID string) (thinned bool, err error) {
	found, err := s.MessagesByID(ctx, []string{msgID})
	if err != nil {
		return false, err
	}
	var receipts []string
	err = s.page(ctx, receiptSome, []any{msgID}, maxCleaned, 0, func(scan scanner) error {
		var r Receipt
		err := scan((*text)(&r.ID), (*text)(&r.MsgID), (*text)(&r.Sender))
		if err == nil && r.MsgID == msgID {
			receipts = append(receipts, r.ID)
		}
		return err
	})
	if err != nil || len(found[msgID]) > 1 || len(receipts) == 0 {
		return false, err
	}
	err = s.clean(ctx, epoch, "receipts", len(receipts), func(ctx context.Context, t *tx) error { return t.doIn(ctx, receiptDelete, receipts) })
	return err == nil, err
}

// DeleteOffline removes offline rows.
func (s *Store) DeleteOffline(ctx context.Context, epoch int64, rows []Old) error {
	keys := make([]string, len(rows))
	for i, o := range rows {
		keys[i] = o.Key
	}
	return s.clean(ctx, epoch, "offline rows", len(rows), func(ctx context.Context, t *tx) error { return t.doIn(ctx, offlineDelete, keys) })
}

// DeleteIDs forgets message ids.
func (s *Store) DeleteIDs(ctx context.Context, epoch int64, rows []Old) error {
	return s.clean(ctx, epoch, "ids", len(rows), func(ctx context.Context, t *tx) error { return t.doPairs(ctx, idDelete, pairsOf(rows)) })
}

// DeleteFormers forgets former members.
func (s *Store) DeleteFormers(ctx context.Context, epoch int64, rows []Old) error {
	return s.clean(ctx, epoch, "former members", len(rows), func(ctx context.Context, t *tx) error {
		return t.doPairs(ctx, formerDelete, pairsOf(rows))
	})
}

func pairsOf(rows []Old) []pair {
	keys := make([]pair, len(rows))
	for i, o := range rows {
		keys[i] = pair{o.Key, o.Second}
	}
	return keys
}

func (s *Store) clean(ctx context.Context, epoch int64, what string, n int, do func(context.Context, *tx) error) error {
	if n == 0 {
		return nil
	}
	if err := s.fenced(ctx, epoch, do); err != nil {
		return fmt.Errorf("clean up %d %s: %w", n, what, err)
	}
	return nil
}
