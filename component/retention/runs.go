package retention

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"tlim/component/pause"
	"tlim/store"
)

// The states of a clean-up.
const (
	Running  = "running"
	Stopping = "stopping" // was told to stop
	Done     = "done"
	Stopped  = "stopped" // what is left is for the next one
	Failed   = "failed"
)

// Progress is how far a clean-up is, or how it ended.
type Progress struct {
	State          string
	By             string // who asked for it; "": it is a nightly one
	Started, Ended time.Time
	Table          string // the one that it works on
	Removed        Removed
	Err            string // why it failed
}

// Counted is what a clean-up would remove, as it was counted at a time.
type Counted struct {
	At    time.Time
	Found Removed
	Err   string // why it could not be counted
}

// State is what is known of clean-ups in this process.
type State struct {
	Config   Config
	Counting bool
	Counted  *Counted  // the last count; nil: there was none
	Run      *Progress // the clean-up under way, or the last one; nil: there was none
}

// Why a clean-up that was asked for is not begun.
var (
	ErrRunning = errors.New("a clean-up is under way")
	ErrAway    = errors.New("no clean-up is begun before the start and after the end of the service")
)

// AuditLog is where it is written down that somebody asked for a clean-up, and how that ended. *store.Store implements it.
type AuditLog interface {
	AddAudit(ctx context.Context, e store.AuditEvent) error
	EndAudit(ctx context.Context, id, outcome, detail string) error
}

// runs are the clean-ups of a Cleaner, one at a time, and its counts.
type runs struct {
	slot  chan struct{} // has one place, for the clean-up under way
	ready chan struct{} // closed when Run works

	mu       sync.Mutex
	life     context.Context // of Run; nil when it does not work
	working  sync.WaitGroup  // what somebody asked for
	run      *Progress
	cancel   context.CancelFunc // of the run
	over     chan struct{}      // closed when the run has ended
	counting chan struct{}      // closed when the count under way has ended; nil: none is
	counted  *Counted
}

func (r *runs) live(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.life = ctx
	close(r.ready)
}

func (r *runs) die() {
	r.mu.Lock()
	r.life = nil
	r.mu.Unlock()
	r.working.Wait()
}

// enter waits until Run works. What is begun in the life that it returns calls working.Done when it has ended.
func (r *runs) enter(ctx context.Context) (life context.Context, err error) {
	select {
	case <-r.ready:
	case <-ctx.Done():
		return nil, errors.Join(ErrAway, ctx.Err())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life == nil {
		return nil, ErrAway
	}
	r.working.Add(1)
	return r.life, nil
}

// State says what is known.
func (c *Cleaner) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := State{Config: c.cfg, Counting: c.counting != nil}
	if c.counted != nil {
		counted := *c.counted
		s.Counted = &counted
	}
	if c.run != nil {
		run := *c.run
		s.Run = &run
	}
	return s
}

// Start begins a clean-up in the background, whether or not they are switched on, once the audit log has that e asked for it, and returns it as
// it begins. Errors: ErrRunning, ErrAway; that of the audit log, and nothing is begun.
func (c *Cleaner) Start(ctx context.Context, e store.AuditEvent) (Progress, error) {
	life, err := c.enter(ctx)
	if err != nil {
		return Progress{}, err
	}
	ctx, work, err := c.take(ctx, life, e)
	if err != nil {
		c.working.Done()
		return Progress{}, err
	}
	begun := *c.State().Run
	go func() {
		defer c.working.Done()
		_, _ = work(ctx) // it was logged and counted
	}()
	return begun, nil
}

// CleanFor is [Cleaner.Start] that returns when the clean-up has ended; it needs no Run, and ends with ctx.
func (c *Cleaner) CleanFor(ctx context.Context, e store.AuditEvent) (Removed, error) {
	ctx, work, err := c.take(ctx, ctx, e)
	if err != nil {
		return Removed{}, err
	}
	return work(ctx)
}

// take gives the slot to a clean-up that somebody asks for, and notes its begin. It works until life ends.
func (c *Cleaner) take(asked, life context.Context, e store.AuditEvent) (context.Context, func(context.Context) (Removed, error), error) {
	select {
	case c.slot <- struct{}{}:
	default:
		return nil, nil, ErrRunning
	}
	e.Outcome = store.AuditBegun
	if err := c.Audit.AddAudit(asked, e); err != nil {
		<-c.slot
		return nil, nil, err
	}
	ctx := c.begin(life, e.Who)
	return ctx, func(ctx context.Context) (Removed, error) {
		return c.work(ctx, func(p Progress) { c.endAudit(context.WithoutCancel(ctx), e, p) })
	}, nil
}

// How an outcome is written down: rows are gone, so it is tried for a while.
const (
	outcomeTime  = 5 * time.Second
	outcomePause = 500 * time.Millisecond
)

// endAudit writes down how a clean-up ended.
func (c *Cleaner) endAudit(ctx context.Context, e store.AuditEvent, p Progress) {
	outcome, detail := store.AuditDone, "removed "+p.Removed.String()
	switch {
	case p.State == Stopped:
		outcome = store.AuditStopped
	case p.State == Failed:
		outcome, detail = store.AuditFailed, detail+"; "+p.Err
	}
	ctx, cancel := context.WithTimeout(ctx, outcomeTime)
	defer cancel()
	for {
		err := c.Audit.EndAudit(ctx, e.ID, outcome, detail)
		if err == nil {
			return
		}
		if pause.For(ctx, outcomePause) != nil {
			c.Log.Error("how a clean-up ended is not in the audit log, which has it as begun", "who", e.Who, "outcome", outcome, "detail", detail, "error", err)
			return
		}
	}
}

// Stop ends the clean-up under way behind its transaction, once the audit log has that e asked for it, and waits for its end. Without one it
// does nothing.
func (c *Cleaner) Stop(ctx context.Context, e store.AuditEvent) error {
	over := c.Over()
	select {
	case <-over:
		return nil
	default:
	}
	if err := c.Audit.AddAudit(ctx, e); err != nil {
		return err
	}
	c.mu.Lock()
	if c.over == over && c.run.Ended.IsZero() { // not another one that began meanwhile
		c.run.State = Stopping
		c.cancel()
	}
	c.mu.Unlock()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Over is closed when the clean-up under way has ended, and has been written down; now when there is none.
func (c *Cleaner) Over() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// Count begins to count in the background what a clean-up would remove now, unless a count is under way, and waits for that until ctx ends: the
// count goes on behind it. Error: ErrAway.
func (c *Cleaner) Count(ctx context.Context) error {
	life, err := c.enter(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	over := c.counting
	if over == nil {
		over = make(chan struct{})
		c.counting = over
		go c.count(life, over)
	} else {
		c.working.Done()
	}
	c.mu.Unlock()
	select {
	case <-over:
	case <-ctx.Done():
	}
	return nil
}

// count counts, and closes over.
func (c *Cleaner) count(ctx context.Context, over chan<- struct{}) {
	defer c.working.Done()
	counted := Counted{At: c.Now()}
	var err error
	if counted.Found, err = Count(ctx, c.Store, c.cfg, counted.At); err != nil {
		counted.Err = err.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted, c.counting = &counted, nil
	close(over)
}

// begin notes that a clean-up begins, and returns the context that its stop ends.
func (c *Cleaner) begin(ctx context.Context, by string) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run, c.over = &Progress{State: Running, By: by, Started: c.Now()}, make(chan struct{})
	ctx, c.cancel = context.WithCancel(ctx)
	return ctx
}

// at notes the table that a clean-up works on.
func (c *Cleaner) at(table string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run.Table = table
}

// told notes what a clean-up has removed so far.
func (c *Cleaner) told(done Removed) {
	c.mu.Lock()
	c.run.Removed = done
	run := *c.run
	c.mu.Unlock()
	if c.Progress != nil {
		c.Progress(run)
	}
}

// end notes how a clean-up ended, tells ended of it, and frees the slot: who sees its end may begin the next.
func (c *Cleaner) end(done Removed, err error, stopped bool, ended func(Progress)) {
	c.mu.Lock()
	run := *c.run
	c.mu.Unlock()
	run.Removed, run.Ended, run.Table, run.State = done, c.Now(), "", Done
	switch {
	case stopped:
		run.State = Stopped
	case err != nil:
		run.State, run.Err = Failed, err.Error()
	}
	if ended != nil {
		ended(run)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run = &run
	c.cancel()
	<-c.slot
	close(c.over)
}

// The tables that are cleaned up.
const (
	messageTable = "ofmessage"
	receiptTable = "ofstatus"
	offlineTable = "ofcustomoffline"
	idTable      = "tlim_id"
	formerTable  = "tlim_former"
	fileTable    = "tlim_file"
	auditTable   = "tlim_audit"
)

// Table is what clean-up has to do with one.
type Table struct {
	Name string
	Days int // for how many days rows are kept; 0 is for ever
	Rows int // that go
	Odd  int // of unknown age, which stay
}

// Tables is what goes, table by table. Receipts go with their messages.
func (r Removed) Tables(cfg Config) []Table {
	return []Table{
		{messageTable, cfg.Days, r.Messages, r.OddMessages}, {receiptTable, cfg.Days, r.Receipts, 0}, {offlineTable, cfg.OfflineDays, r.Offline, r.OddOffline},
		{idTable, cfg.IDs, r.IDs, 0}, {formerTable, 1, r.Formers, 0}, {fileTable, cfg.FilesDays, r.Files, 0}, {auditTable, AuditDays, r.Audit, 0},
	}
}

// String names what went, for people.
func (r Removed) String() string {
	text := ""
	for _, t := range r.Tables(Config{}) {
		if t.Rows > 0 {
			text += ", " + t.Name + " " + strconv.Itoa(t.Rows)
		}
	}
	if text == "" {
		return "nothing"
	}
	return text[2:]
}
