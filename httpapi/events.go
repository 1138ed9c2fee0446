package httpapi

import (
	"context"
	"fmt"
	"strconv"

	"tlim/store"
)

// The states of events that can be asked for.
const (
	EventsWaiting = "waiting"
	EventsFailing = "failing" // they wait, and have failed before
	EventsDead    = "dead"    // they were given up
)

// maxReplay is how many dead events one call replays at most.
const maxReplay = 10_000

// eventPage is how many of them one transaction replays.
const eventPage = 500

// EventState says whether it is a state that can be asked for.
func EventState(state string) bool {
	return state == EventsWaiting || state == EventsFailing || state == EventsDead
}

// EventLists is what a list of events needs of the database.
type EventLists interface {
	Events(ctx context.Context, dead bool, after string, limit int) ([]store.Event, error)
	FailingEvents(ctx context.Context, after string, limit int) ([]store.Event, error)
}

// EventsOf reads at most limit events of a state, the oldest first, from behind the one with the id after.
func EventsOf(ctx context.Context, db EventLists, state, after string, limit int) ([]store.Event, error) {
	if state == EventsFailing {
		return db.FailingEvents(ctx, after, limit)
	}
	return db.Events(ctx, state == EventsDead, after, limit)
}

// listEvents lists events for the business system that wait, that fail, or that were given up.
func (a *API) listEvents(ctx context.Context, r *request) (any, error) {
	state, after, limit := r.first("state"), r.text("after", maxID), r.limit()
	if state == "" {
		state = EventsDead
	}
	if !EventState(state) {
		r.refuse(badRequest(textBadEventState, "state"))
	}
	if r.err != nil {
		return nil, r.err
	}
	events, err := EventsOf(ctx, a.admin, state, after, limit)
	if err != nil {
		return nil, err
	}
	type row struct {
		Conversation string `json:"conversation"`
		Dead         bool   `json:"dead"`
		Due          int64  `json:"due"`
		ID           string `json:"event_id"`
		Kind         string `json:"kind"`
		Made         int64  `json:"made"`
		Reason       string `json:"reason,omitempty"`
		Tries        int    `json:"tries"`
	}
	rows := make([]row, 0, len(events))
	for _, e := range events {
		rows = append(rows, row{e.Conversation, e.Dead, e.Due, e.ID, e.Kind, e.Made, e.Reason, e.Tries})
	}
	next := ""
	if store.More(events, limit) {
		next = rows[len(rows)-1].ID
	}
	return object{"events": rows, "next": next}, nil
}

// replayEvents lets dead events wait again: one, or all.
func (a *API) replayEvents(ctx context.Context, r *request) (any, error) {
	id, all := r.text("event_id", maxID), r.bit("all") == 1
	if (id == "") != all {
		r.refuse(badRequest(textOneOrAll, "event_id", "all"))
	}
	if r.err != nil {
		return nil, r.err
	}
	target := id
	if all {
		target = "all"
	}
	entry := func(n int) store.AuditEvent { return a.event(r, r.path, target, strconv.Itoa(n)+" events") }
	replayed := 0
	if all {
		for after := ""; replayed < maxReplay; {
			n, last, err := ReplayPage(ctx, a.admin, after, entry, a.cfg.Clock().UnixMilli())
			if err != nil {
				return nil, err
			}
			if replayed += n; last == "" {
				break
			}
			after = last
		}
	} else {
		n, err := a.admin.ReplayEvents(ctx, []string{id}, a.cfg.Clock().UnixMilli(), entry(1))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, a.refused(ctx, entry(1), refusal(resultFail, textNoDeadEvent, shortened(id)))
		}
		replayed = n
	}
	left, err := a.admin.CountEvents(ctx, true)
	if err != nil {
		return nil, err
	}
	return object{"left": left, "replayed": replayed}, nil
}

// Replayer is what a replay of all dead events needs of the database.
type Replayer interface {
	Events(ctx context.Context, dead bool, after string, limit int) ([]store.Event, error)
	ReplayEvents(ctx context.Context, ids []string, at int64, e store.AuditEvent) (int, error)
}

// ReplayPage replays the oldest dead events behind the one given ("": all) in one transaction, with what the audit log says of so many. last is
// the one behind which to go on, "" when there was none: what is given up again meanwhile, because too many wait, is not replayed twice.
func ReplayPage(ctx context.Context, db Replayer, after string, entry func(n int) store.AuditEvent, at int64) (n int, last string, err error) {
	page, err := db.Events(ctx, true, after, eventPage)
	if err != nil || len(page) == 0 {
		return 0, "", err
	}
	ids := make([]string, len(page))
	for i := range page {
		ids[i] = page[i].ID
	}
	if n, err = db.ReplayEvents(ctx, ids, at, entry(len(ids))); err != nil {
		return 0, "", fmt.Errorf("replay: %w", err)
	}
	return n, ids[len(ids)-1], nil
}
