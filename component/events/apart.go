package events

import (
	"context"
	"time"

	"tlim/store"
)

// solo are events of one conversation that are sent one by one, apart from all others, because the receiver refused a request in which they were: so
// what it costs that it refuses one of them, or takes 15 s for that, is paid by this conversation.
type solo struct {
	rows  []store.Event
	again bool // one event that was refused before
}

// result is what became of a solo.
type result struct {
	*solo
	taken   int      // of the first of its rows
	failure *Failure // of the next one; nil: all were taken, or the stop cut it off
}

// repeat queues an event that was refused before, when there is room.
func (e *Events) repeat(row store.Event) {
	if e.repeats < maxRepeats {
		e.repeats++
		e.busy[row.Conversation] = true
		e.queue = append(e.queue, &solo{rows: []store.Event{row}, again: true})
	}
}

// suspect queues the events of a request, those of each conversation by themselves.
func (e *Events) suspect(request []store.Event) {
	of := map[string]*solo{}
	for _, row := range request {
		s := of[row.Conversation]
		if s == nil {
			s = &solo{}
			of[row.Conversation], e.busy[row.Conversation] = s, true
			e.queue = append(e.queue, s)
		}
		s.rows = append(s.rows, row)
	}
	e.suspects += len(request)
}

// launch sends what is queued, while there is room. A receiver that takes nothing gets one at a time.
func (e *Events) launch(ctx context.Context, now time.Time) {
	for len(e.queue) > 0 && e.running < maxApart && !now.Before(e.main.until) && !now.Before(e.apart.until) && !(e.apart.broken() && e.running > 0) {
		s := e.queue[0]
		e.queue = e.queue[1:]
		e.running++
		go func() { e.done <- e.sendApart(ctx, s) }() // Run waits for it
	}
}

func (e *Events) sendApart(ctx context.Context, s *solo) result {
	for i := range s.rows {
		switch failure := e.post(ctx, s.rows[i:i+1]); {
		case failure == nil:
		case ctx.Err() != nil: // the next start repeats it
			return result{solo: s, taken: i}
		default:
			return result{solo: s, taken: i, failure: failure}
		}
	}
	return result{solo: s, taken: len(s.rows)}
}

// outcome writes down what became of a solo; its conversation goes on.
func (e *Events) outcome(ctx context.Context, r result) {
	conversation := r.rows[0].Conversation
	e.running--
	if r.again {
		e.repeats--
	} else {
		e.suspects -= len(r.rows)
	}
	delete(e.busy, conversation)
	now := e.Now()
	due, err := now, error(nil)
	if r.taken > 0 {
		err = e.took(ctx, r.rows[:r.taken])
	}
	switch {
	case r.failure == nil || err != nil:
	case r.failure.Away:
		e.pause(&e.main, now, r.failure)
	default:
		if e.apart.streak++; e.apart.broken() {
			e.pause(&e.apart, now, r.failure)
		}
		due, err = e.failed(ctx, &e.apart, r.rows[r.taken], r.failure)
	}
	if err != nil {
		e.storeAway(err) // it is sent again
	}
	e.look.failed(conversation, due)
}
