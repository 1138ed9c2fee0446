package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"tlim/store"
)

// historySize is how much of findSessionHistory is measured.
type historySize struct {
	depth int // of the deep pages
	calls int // of each way in a round
}

const (
	shallow     = 10 // the depth that the deep pages are compared with
	historyPage = 20 // messages of a page
	// historySpread is over how many rows the pages of one depth begin, so that not one page is asked for again and again.
	historySpread = 100
	// historySlow is how many calls of the slow way make a round.
	historySlow = 5
)

// place is where a page begins: behind the row that is so deep, the newest being 0.
type place struct {
	depth  int
	time   string
	before string // the id of the row above the page
	first  string // that of the page's first row
}

// history is one long group session in a database that a tlim serves.
type history struct {
	caller *caller
	store  *store.Store // of our own, beside tlim: a page without what a call has around it
	places map[int][]place
	calls  int
	turn   int // counts, so that each round begins elsewhere
}

const historySession = "7c0c4f2e-4f0b-4f0c-8d5a-0c1f6d2f9b11"

// startHistory fills a database and starts a tlim on it.
func (r *rig) startHistory(ctx context.Context, size historySize) (h *history, err error) {
	db := r.sqliteDatabase("history")
	rows := size.depth + historySpread + historyPage + 1
	say("history: filling %s with %s messages", db.name, amount(int64(rows)))
	newest := time.Now().Add(-time.Hour).UnixMilli()
	h = &history{places: placesAt(size.depth), calls: size.calls}
	err = db.fill(ctx, newest, func(yield func(store.Change) bool) {
		created := strconv.FormatInt(newest-int64(rows), 10)
		group := store.Group{ID: historySession, Name: "bench", Owner: "m00", CreateTime: created, ModifyTime: created}
		if !yield(store.Change{Groups: []store.Group{group}}) {
			return
		}
		for depth := rows - 1; depth >= 0; depth-- {
			m := store.Message{ID: uuid.Must(uuid.NewV7()).String(), MsgID: uuid.NewString(), Type: "MTS-000", From: "m00", To: historySession,
				Time: strconv.FormatInt(newest-int64(depth), 10), Body: `[{"text":"` + text + `"}]`, SessionID: historySession, Flags: "0,0,2.1.0"}
			h.note(depth, m)
			if !yield(store.Change{Message: &m}) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	site, err := r.startSite(ctx, "tlim-history", db.config())
	if err != nil {
		return nil, err
	}
	h.caller = newCaller(site, 1)
	h.store, err = store.Open(ctx, store.Config{Driver: db.driver, DSN: db.dsn, Migrate: store.MigrateCheck})
	return h, err
}

// placesAt are the places of both depths, whose ids are still to be noted.
func placesAt(deep int) map[int][]place {
	places := map[int][]place{}
	for _, from := range []int{shallow, deep} {
		for i := range historySpread {
			places[from] = append(places[from], place{depth: from + i})
		}
	}
	return places
}

// note keeps what the places need to know of the message at a depth.
func (h *history) note(depth int, m store.Message) {
	for from, places := range h.places {
		if i := depth - from; i >= 0 && i < len(places) {
			places[i].time, places[i].before = m.Time, m.MsgID
		}
		if i := depth - 1 - from; i >= 0 && i < len(places) {
			places[i].first = m.MsgID
		}
	}
}

// way is one way to a page.
type way struct {
	series *Series
	from   int // depth
	calls  int
	read   func(ctx context.Context, at place) (rows int, first string, err error)
}

// call is a page by the API; query says where it begins.
func (h *history) call(query func(place) url.Values) func(context.Context, place) (int, string, error) {
	return func(ctx context.Context, at place) (int, string, error) {
		values := query(at)
		values.Set("session_id", historySession)
		values.Set("length", strconv.Itoa(historyPage))
		body, err := h.caller.get(ctx, "findSessionHistory", values)
		return rowsIn(body), firstID(body), err
	}
}

// firstID is the msg_id of the first message of an answer.
func firstID(body []byte) string {
	return string(between(body, `"msg_id":"`, `"`))
}

// page is a page from the store.
func (h *history) page(ctx context.Context, at place) (int, string, error) {
	rows, _, err := h.store.GroupHistory(ctx, historySession, store.Page{Length: historyPage, BeforeTime: at.time, BeforeID: at.before, NoTotal: true})
	if err != nil || len(rows) == 0 {
		return 0, "", err
	}
	return len(rows), rows[0].MsgID, nil
}

// ways are pairs of shallow and deep, each deep one behind what it is compared with.
func (h *history) ways(deep int) []*way {
	before := h.call(func(at place) url.Values { return url.Values{"before": {at.time + "," + at.before}} })
	start := h.call(func(at place) url.Values { return url.Values{"start": {strconv.Itoa(at.depth + 1)}} })
	list := []*way{
		{from: shallow, calls: h.calls, read: before, series: &Series{Mode: "before= at depth %s"}},
		{from: deep, calls: h.calls, read: before, series: &Series{Mode: "before= at depth %s"}},
		{from: deep, calls: historySlow, read: start, series: &Series{Mode: "start= at depth %s"}},
		{from: shallow, calls: h.calls, read: h.page, series: &Series{Mode: "the page alone, without total, at depth %s"}},
		{from: deep, calls: h.calls, read: h.page, series: &Series{Mode: "the page alone, without total, at depth %s"}},
	}
	for _, w := range list {
		w.series.Part, w.series.Unit = "history", "ms, p50"
		w.series.Mode = "SQLite, " + fmt.Sprintf(w.series.Mode, amount(int64(w.from)))
	}
	return list
}

// round reads w's pages one after the other; every one has to begin where it should.
func (h *history) round(ctx context.Context, r *rig, w *way) (sample Sample, err error) {
	meter, err := startMeter(h.caller.site.PID(), r.server.PID)
	if err != nil {
		return sample, err
	}
	for range w.calls {
		h.turn++
		at := h.places[w.from][h.turn*7%historySpread]
		var rows int
		var first string
		if err := sample.timed(func() error { rows, first, err = w.read(ctx, at); return err }); err != nil {
			return sample, fmt.Errorf("%s: %w", w.series.Mode, err)
		}
		if rows != historyPage || first != at.first {
			return sample, fmt.Errorf("%s: a page of %d messages from %s, wanted %d from %s", w.series.Mode, rows, first, historyPage, at.first)
		}
	}
	sample.Value = median(sample.All)
	return sample, meter.stop(&sample)
}

func measureHistory(ctx context.Context, r *rig, p plan, report *report) (err error) {
	h, err := r.startHistory(ctx, p.history)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.store.Close()) }()
	ways := h.ways(p.history.depth)
	turns := make([]turn, len(ways))
	for i, w := range ways {
		turns[i] = turn{w.series, func(ctx context.Context, r *rig, _ time.Duration) (Sample, error) { return h.round(ctx, r, w) }}
	}
	if err := rotate(ctx, r, p, warmUpsHTTP, turns); err != nil {
		return err
	}
	call, alone := ways[0].series, ways[3].series
	for i, w := range ways {
		if i < 3 {
			report.add(w.series, call)
		} else {
			report.add(w.series, alone)
		}
	}
	for _, pair := range [][2]*Series{{ways[1].series, call}, {ways[4].series, alone}} {
		report.goal(pair[0], atMost("2 of depth "+strconv.Itoa(shallow), pair[0].ratio(pair[1]), 2))
	}
	if p.profile {
		err := profiled(ctx, r, "history", h.caller.site, func(ctx context.Context, r *rig, d time.Duration) (Sample, error) {
			for end := time.Now().Add(d); time.Now().Before(end); {
				if _, err := h.round(ctx, r, ways[1]); err != nil {
					return Sample{}, err
				}
			}
			return Sample{}, nil
		})
		if err != nil {
			return err
		}
	}
	return h.caller.site.Stop()
}
