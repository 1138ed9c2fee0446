package store

import (
	"context"
	"sync"
	"time"
)

// A history's total is a count, and a count reads all of its index: 160 ms of a million messages (measured, SQLite), against
// 0.1 ms for the page beside it. So what a long history had is remembered up to its newest message, and only what came since
// is counted: within a conversation msg_time only grows (PROTOCOL.md). A deletion by this process
// makes it forget all counts. A deletion by another program is seen when totalLife is over.
const (
	longHistory = 10_000 // messages; counting fewer costs as little as looking here
	totalLife   = time.Minute
	maxTotals   = 1000 // histories
)

// totals are the remembered counts. The zero value is ready.
type totals struct {
	mu        sync.Mutex
	known     map[string]counted
	deleting  bool   // a transaction deletes messages: nothing is known
	deletions uint64 // how many such transactions there were
}

// counted says that n messages of a history are not newer than until, as counted at the time at.
type counted struct {
	n     int64
	until string
	at    time.Time
}

// get returns the remembered count of a history; its until is "" when there is none. The second value goes back to put, which thereby sees
// whether messages were deleted since.
func (t *totals) get(history string, now time.Time) (counted, uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.known[history]
	if age := now.Sub(c.at); age < 0 || age >= totalLife {
		c = counted{}
	}
	return c, t.deletions
}

// put remembers a count, unless messages were deleted since get returned this number of deletions.
func (t *totals) put(history string, c counted, deletions uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.deleting || t.deletions != deletions {
		return // it may have counted what is gone
	}
	if t.known == nil || len(t.known) >= maxTotals {
		t.known = map[string]counted{}
	}
	t.known[history] = c
}

// delete is called before a transaction deletes messages, and deleted after its end, whatever that was.
func (t *totals) delete() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deleting = true
	clear(t.known)
}

func (t *totals) deleted() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.deleting {
		t.deleting = false
		t.deletions++
	}
}

// total counts a history, whose parts have these arguments, unless p does not want it.
func (s *Store) total(ctx context.Context, p Page, where string, parts ...[]any) (int64, error) {
	if p.NoTotal {
		return -1, nil
	}
	var total int64
	for _, args := range parts {
		n, err := s.count(ctx, where, args)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

const (
	historyCount = `SELECT COUNT(*), MAX(msg_time) FROM ofmessage WHERE `
	historySince = ` AND msg_time > ?`
)

func (s *Store) count(ctx context.Context, where string, args []any) (int64, error) {
	history := where
	for _, a := range args {
		history += "\x00" + a.(string)
	}
	now := s.cfg.Now()
	before, deletions := s.totals.get(history, now)
	if before.until != "" {
		where, args = where+historySince, append(args[:len(args):len(args)], before.until)
	}
	var n number
	var newest text
	_, err := s.one(ctx, historyCount+where, args, func(scan scanner) error { return scan(&n, &newest) })
	if err != nil {
		return 0, err
	}
	// Legacy rows may have a date for a time, or come from a clock that ran ahead: what is written next sorts below those.
	if t, ok := ParseTime(string(newest)); before.until == "" && n >= longHistory && ok && t <= now.UnixMilli() {
		s.totals.put(history, counted{int64(n), string(newest), now}, deletions)
	}
	return before.n + int64(n), nil
}
