package presence

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component/logged"
	"tlim/component/pause"
	"tlim/component/trigger"
)

// Watcher keeps the table fresh by snapshots while the link is up.
type Watcher struct {
	table    *Table
	source   Snapshotter
	interval time.Duration // between two at least
	log      *slog.Logger
	learn    func(locals []string) // users seen; must not block
	request  trigger.Trigger       // room for one: a fresh snapshot is wanted
	answered trigger.Trigger       // room for one: there was an answer, good or bad
	seconds  prometheus.Observer   // how long answers take: what they cost the server
	health   logged.Health
	crowded  time.Time // when the log last named users with too many devices
	learned  time.Time // when all users of a snapshot were last told to learn
}

const (
	// crowdedPause is the time between two lines about users with too many devices.
	crowdedPause    = 10 * time.Minute
	maxCrowdedNames = 20
	// learnPause is the time between two calls of learn with everybody who is there; the calls between have only those who came.
	learnPause = time.Minute
	// snapshotTimeout bounds one question: a server of 10,000 sessions answers in well under a second.
	snapshotTimeout = 10 * time.Second
	// stretch keeps the question's cost below a twentieth of one of the server's cores.
	stretch = 20
	// maxUnansweredCost is what a question counts for that got no answer, at most: nothing is known of what an answer would cost, and one
	// that was lost must not blind the table for minutes.
	maxUnansweredCost = time.Second
	// minPause is the time between two snapshots, however cheap they are.
	minPause = 200 * time.Millisecond
)

// NewWatcher makes a watcher of a table. learn is told of users who have come, and must not block.
func NewWatcher(table *Table, source Snapshotter, interval time.Duration, learn func(locals []string), seconds prometheus.Observer, log *slog.Logger) *Watcher {
	table.SetPeriod(interval)
	return &Watcher{table: table, source: source, interval: interval, log: log, learn: learn, seconds: seconds,
		request: trigger.New(), answered: trigger.New(),
		health: logged.Health{Failing: "presence snapshot failed; the last one stands", Again: "presence snapshots work again", Once: true, Warns: true}}
}

// Run asks until ctx, the life of one connection, ends. first is closed after the first answer, good or bad.
func (w *Watcher) Run(ctx context.Context, first chan<- struct{}) {
	w.learned = time.Time{}
	took, err := w.ask(ctx)
	close(first)
	for err == nil || !errors.Is(err, ErrNoSnapshots) {
		minimum := max(minPause, stretch*took) // a request does not shorten it
		if pause.For(ctx, minimum) != nil {
			return
		}
		if rest := w.interval - minimum; rest > 0 {
			timer := time.NewTimer(rest)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-w.request:
				timer.Stop()
			case <-timer.C:
			}
		}
		took, err = w.ask(ctx)
	}
}

func (w *Watcher) ask(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	w.request.Clear() // this question serves all requests until now
	asked := w.table.now()
	w.table.ask(asked)
	sessions, err := w.source.Snapshot(ctx)
	took := w.table.now().Sub(asked)
	switch {
	case err == nil:
		w.seconds.Observe(took.Seconds())
		w.health.Note(w.log, nil)
		crowded, came := w.table.Merge(sessions, asked)
		took = w.table.now().Sub(asked)
		w.table.SetPeriod(took + max(w.interval, minPause, stretch*took))
		if len(crowded) > 0 && asked.Sub(w.crowded) >= crowdedPause {
			w.crowded = asked
			w.log.Warn("users have more sessions than messages are copied to; those beyond get nothing", "most", maxDevices, "users", len(crowded),
				"for example", strings.Join(crowded[:min(len(crowded), maxCrowdedNames)], ", "))
		}
		if asked.Sub(w.learned) >= learnPause {
			w.learned, came = asked, w.table.locals()
		}
		w.learn(came)
	case errors.Is(err, ErrNoSnapshots):
		w.log.Info("this server gives no presence snapshots: users count as offline until they send the component a stanza", "reason", err)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
	default:
		took = min(took, maxUnansweredCost)
		w.health.Note(w.log, err)
	}
	w.table.ask(time.Time{})
	w.answered.Fire()
	return took, err
}

// Look asks for a snapshot and waits until one is in the table that was asked for after the call, or ctx ends.
func (w *Watcher) Look(ctx context.Context) {
	began := w.table.now()
	for {
		w.Refresh()
		select {
		case <-w.answered: // perhaps to a question from before
			if !w.table.LookedAt().Before(began) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// Refresh asks for a snapshot as soon as it may be; it does not wait for it.
func (w *Watcher) Refresh() {
	w.request.Fire()
}
