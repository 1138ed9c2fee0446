package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"tlim/scripts/lab"
	"tlim/store"
)

// offlineSize is how much of getOffline is measured: 5 rounds of 200 calls are the 1,000.
type offlineSize struct {
	rows  int // of a queue
	calls int // of one mode in one round
}

const (
	// offlineCallers call at once, each for a user of its own.
	offlineCallers = 2
	// offlinePage is the limit of the paged modes, and the length of the short queues that they are compared with.
	offlinePage = 100
)

// queues is one tlim whose database holds the queues of users that are away.
type queues struct {
	db      database
	site    *lab.Tlim
	caller  *caller
	size    offlineSize
	drained int // rounds
}

// queueOf names the owner of a queue: of those that are only read, and of those that a round empties.
func queueOf(kind string, round, i int) string { return fmt.Sprintf("%s%02d-%d", kind, round, i) }

// startQueues fills a database with the queues of so many rounds and starts a tlim on it.
func (r *rig) startQueues(ctx context.Context, db database, name string, size offlineSize, rounds int) (*queues, error) {
	say("offline: filling %s", db.name)
	newest := time.Now().Add(-time.Hour).UnixMilli()
	err := db.fill(ctx, newest, func(yield func(store.Change) bool) {
		queue := func(owner string, rows int) bool {
			for i := range rows {
				if !yield(store.Change{Offline: []store.OfflineMessage{waiting(owner, newest-int64(rows-i))}}) {
					return false
				}
			}
			return true
		}
		for i := range offlineCallers {
			whole := queue(queueOf("short", 0, i), offlinePage) && queue(queueOf("long", 0, i), size.rows)
			for round := range rounds {
				whole = whole && queue(queueOf("drain", round, i), size.drain())
			}
			if !whole {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	site, err := r.startSite(ctx, name, db.config())
	if err != nil {
		return nil, err
	}
	return &queues{db: db, site: site, caller: newCaller(site, offlineCallers), size: size}, nil
}

// waiting is a group message for a phone that is away.
func waiting(owner string, at int64) store.OfflineMessage {
	return store.OfflineMessage{Owner: owner, Message: store.Message{ID: uuid.Must(uuid.NewV7()).String(), MsgID: uuid.NewString(), Type: "MTS-000",
		From: "m00", To: commitGroup, Time: strconv.FormatInt(at, 10), Body: `[{"text":"` + text + `"}]`, SessionID: commitGroup, Flags: "0,0,2.1.0"}}
}

// drain is how many rows the calls of one caller in one round take.
func (o offlineSize) drain() int { return o.calls / offlineCallers * offlinePage }

// turns are the modes; the first is what the others of this database are compared with.
func (q *queues) turns() []turn {
	mode := func(name string, rows int, form func(owner string) url.Values, owner func(i int) string) turn {
		t := turn{series: &Series{Part: "offline", Mode: q.db.name + ", " + name, Unit: "rows/s"}}
		t.round = func(ctx context.Context, r *rig, _ time.Duration) (Sample, error) {
			return q.round(ctx, r, name, rows, func(i int) url.Values { return form(owner(i)) })
		}
		return t
	}
	keep := func(owner string) url.Values { return url.Values{"user_id": {owner}, "getThenClear": {"1"}} }
	page := func(owner string) url.Values {
		return url.Values{"user_id": {owner}, "getThenClear": {"1"}, "limit": {strconv.Itoa(offlinePage)}}
	}
	clear := func(owner string) url.Values {
		return url.Values{"user_id": {owner}, "limit": {strconv.Itoa(offlinePage)}}
	}
	long := amount(int64(q.size.rows))
	empty := mode(fmt.Sprintf("limit=%d, emptied to the last row", offlinePage), offlinePage, clear,
		func(i int) string { return queueOf("drain", q.drained, i) })
	emptied := empty.round
	empty.round = func(ctx context.Context, r *rig, d time.Duration) (Sample, error) {
		sample, err := emptied(ctx, r, d)
		if err == nil {
			err = q.empty(ctx)
		}
		q.drained++
		return sample, err
	}
	return []turn{
		mode(fmt.Sprintf("whole queue of %d", offlinePage), offlinePage, keep, func(i int) string { return queueOf("short", 0, i) }),
		mode(fmt.Sprintf("limit=%d of a queue of %s", offlinePage, long), offlinePage, page, func(i int) string { return queueOf("long", 0, i) }),
		empty,
		mode("whole queue of "+long, q.size.rows, keep, func(i int) string { return queueOf("long", 0, i) }),
	}
}

// round makes the calls of one mode, each of which has to answer exactly rows messages.
func (q *queues) round(ctx context.Context, r *rig, name string, rows int, form func(i int) url.Values) (sample Sample, err error) {
	meter, err := startMeter(q.site.PID(), r.server.PID)
	if err != nil {
		return sample, err
	}
	var got atomic.Int64
	start := time.Now()
	callers, calls := errgroup.WithContext(ctx)
	for i := range offlineCallers {
		callers.Go(func() error {
			for range q.size.calls / offlineCallers {
				body, err := q.caller.get(calls, "getOffline", form(i))
				if err != nil {
					return err
				}
				if n := rowsIn(body); n != rows {
					return fmt.Errorf("an answer has %d messages instead of %d", n, rows)
				}
				got.Add(int64(rows))
			}
			return nil
		})
	}
	if err := callers.Wait(); err != nil {
		return sample, fmt.Errorf("getOffline, %s, %s: %w", q.db.name, name, err)
	}
	sample.Count, sample.Seconds = int(got.Load()), time.Since(start).Seconds()
	sample.Value = float64(sample.Count) / sample.Seconds
	return sample, meter.stop(&sample)
}

// empty checks that the queues of this round are: each of their rows was answered, and none twice.
func (q *queues) empty(ctx context.Context) error {
	for i := range offlineCallers {
		body, err := q.caller.get(ctx, "getOffline", url.Values{"user_id": {queueOf("drain", q.drained, i)}, "getThenClear": {"1"}})
		if err != nil {
			return err
		}
		if n := rowsIn(body); n != 0 {
			return fmt.Errorf("getOffline, %s: %d messages are left in a queue that was read", q.db.name, n)
		}
	}
	return nil
}

// measureOffline runs both databases, one after the other, so that each has its own memory.
func measureOffline(ctx context.Context, r *rig, p plan, report *report) error {
	dbs, err := r.databases(ctx, "offline")
	if err != nil {
		return err
	}
	for _, db := range dbs {
		if err := measureQueues(ctx, r, p, report, db); err != nil {
			return err
		}
	}
	return nil
}

func measureQueues(ctx context.Context, r *rig, p plan, report *report, db database) error {
	q, err := r.startQueues(ctx, db, "tlim-offline-"+db.driver, p.offline, p.rounds+warmUpsHTTP)
	if err != nil {
		return err
	}
	turns := q.turns()
	watch := watchMemory(q.site.PID(), watchEvery)
	err = rotate(ctx, r, p, warmUpsHTTP, turns)
	resident, watchErr := watch.stop()
	if err := errors.Join(err, watchErr); err != nil {
		return err
	}
	for i, t := range turns {
		if i == len(turns)-1 { // a page and a whole queue are no like things
			report.add(t.series)
			continue
		}
		report.add(t.series, turns[0].series)
	}
	report.memory("offline", db.name+", memory meanwhile", resident)
	if p.profile {
		whole := turns[len(turns)-1]
		if err := profiled(ctx, r, "offline-"+db.driver, q.site, whole.round); err != nil {
			return err
		}
	}
	return q.site.Stop()
}

// watchEvery is how often the memory of our process is read in the parts that watch it meanwhile.
const watchEvery = 20 * time.Millisecond
