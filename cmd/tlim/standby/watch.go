package standby

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tlim/component/logged"
	"tlim/component/pause"
	"tlim/store"
)

// watch looks at the leader until it is silent or gone, and then takes over.
func (r *Role) watch(ctx context.Context) error {
	w := &watched{role: r, reading: logged.Health{Failing: "standing by: the leader cannot be looked at", Again: "standing by: the leader can be looked at again"},
		taking: logged.Health{Failing: "standing by: the database cannot be taken over", Again: "standing by: the database can be taken over"},
		fits:   logged.Health{Failing: "standing by: it is not known whether this process fits the leader", Again: "standing by: this process fits the leader"},
		naming: logged.Health{Failing: "standing by: nobody leads this database, and another connection has the component's name", Again: "standing by: the component's name is free"}}
	for {
		led, err := w.look(ctx)
		if led || err != nil {
			return err
		}
		if err := pause.For(ctx, lookPeriod); err != nil {
			return err
		}
	}
}

// watched is what a standby knows of the leader.
type watched struct {
	role    *Role
	seen    store.Seen
	looked  time.Time // when it was seen last; zero: the database did not answer since
	known   bool
	silent  time.Duration
	checked string        // the process that this one was compared with
	refuses string        // the process that refuses this one, so far
	refused int           // how often it did, one time after the other
	lived   bool          // somebody was seen to lead this database
	asked   time.Time     // when the component's name was another connection's; zero: it was not
	taken   time.Duration // for how long the name has been another connection's

	reading, taking, fits, naming logged.Health
}

// look looks once, and takes over when it is time.
func (w *watched) look(ctx context.Context) (led bool, err error) {
	r := w.role
	asking, cancel := context.WithTimeout(ctx, askTime)
	seen, err := r.cfg.Store.LookAtLeader(asking)
	cancel()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	w.reading.Note(r.cfg.Log, err)
	if err != nil {
		w.looked = time.Time{}
		r.hinder(fmt.Sprintf("the leader cannot be looked at, and this process does not take over meanwhile: %v", err))
		return false, nil
	}
	moved, again := !w.known || seen != w.seen, !w.looked.IsZero()
	lives := w.known && seen.Known() && seen.Leader.Process == w.seen.Leader.Process && seen.Leader.Beat != w.seen.Leader.Beat && !seen.Leader.Released
	if moved {
		w.silent = 0
		w.lived = w.lived || w.known
	} else if again { // time in which nobody could look proves nothing
		w.silent += min(time.Since(w.looked), 2*lookPeriod)
	}
	w.seen, w.known, w.looked = seen, true, time.Now()
	r.saw(seen.Leader, lives)
	if seen.Known() && seen.Leader.Process == r.cfg.Me.Process { // the answer to the COMMIT was lost
		r.lead(seen.State.Epoch)
		return true, nil
	}
	if lives {
		if err := w.compare(ctx); err != nil {
			return false, err
		}
	}
	if !seen.Free() && w.silent < silence {
		if again { // one answer amid errors does not make a leader
			r.hinder("")
		}
		return false, nil
	}
	if taken, err := w.isTaken(ctx); taken || err != nil {
		r.hinder("")
		return false, err
	}
	return w.take(ctx), nil
}

// isTaken asks the server, where nobody was seen to lead this database, whether the component's name is another connection's, and refuses that in the
// end. The name of a leader that was seen may be that one's for a while, and a version that tells nothing of itself is not seen.
func (w *watched) isTaken(ctx context.Context) (bool, error) {
	r, fresh := w.role, w.seen.State.Epoch == 0
	if r.cfg.Taken == nil || w.lived || !fresh && !w.seen.Known() {
		return false, nil
	}
	passed := time.Duration(0)
	if !w.asked.IsZero() {
		if passed = time.Since(w.asked); passed < takenPeriod {
			return true, nil
		}
	}
	asking, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	err := r.cfg.Taken(asking)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	r.mu.Lock()
	if r.taken = ""; err != nil {
		r.taken = err.Error()
	}
	r.mu.Unlock()
	w.naming.Note(r.cfg.Log, err)
	if err == nil {
		w.asked, w.taken = time.Time{}, 0
		return false, nil
	}
	w.asked = time.Now()
	limit := takenLong
	if fresh {
		limit = takenNew
	}
	if w.taken += min(passed, 2*takenPeriod); w.taken < limit { // time in which this process was paused proves nothing
		return true, nil
	}
	return true, &RefusedError{err.Error()}
}

// compare refuses a leader whom this process does not fit.
func (w *watched) compare(ctx context.Context) error {
	leader := w.seen.Leader
	if w.checked == leader.Process || w.role.cfg.Fits == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	err := w.role.cfg.Fits(ctx, leader)
	if errors.As(err, new(*RefusedError)) {
		if w.refuses != leader.Process {
			w.refuses, w.refused = leader.Process, 0
		}
		if w.refused++; w.refused == proofs {
			return err
		}
		return nil
	}
	w.refuses = ""
	w.fits.Note(w.role.cfg.Log, err)
	if err == nil {
		w.checked = leader.Process
		w.role.cfg.Log.Info("standing by", "leader", leader.Host, "pid", leader.PID, "address", leader.Address, "version", leader.Version)
	}
	return nil
}

// take takes over from the one that was seen.
func (w *watched) take(ctx context.Context) bool {
	r, began := w.role, time.Now()
	state, err := r.cfg.Store.Lead(ctx, r.cfg.Me, &w.seen)
	switch {
	case errors.Is(err, store.ErrMoved):
		r.cfg.Log.Info("standing by: the leader lives after all, or another process was faster")
		w.silent = 0
		return false
	case err != nil:
		if ctx.Err() == nil {
			w.taking.Note(r.cfg.Log, err)
			r.hinder(fmt.Sprintf("the leader is silent or gone, and the database cannot be taken over: %v", err))
		}
		return false
	}
	w.taking.Note(r.cfg.Log, nil)
	why := "it was silent"
	if w.seen.Free() {
		why = "it ended in order, or there was none"
	} else if !w.seen.Known() {
		why = "it is of a version that tells nothing of itself, and wrote nothing"
	}
	r.lead(state.Epoch)
	r.cfg.Log.Warn("this process leads now", "instead of", w.seen.Leader.Host, "pid", w.seen.Leader.PID, "why", why, "silent", w.silent.Round(time.Millisecond),
		"epoch", state.Epoch, "took", time.Since(began).Round(time.Millisecond))
	return true
}
