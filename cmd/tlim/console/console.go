package console

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/cmd/tlim/doctor"
	"tlim/component/trigger"
	"tlim/httpapi"
)

const (
	samplePeriod = 5 * time.Second
	maxSamples   = 180 // a quarter of an hour
	maxLosses    = 20
	healthLife   = time.Second // who asks sooner gets the last answer
)

// Health is how the parts of the process are; see /readyz.
type Health struct {
	Ready, Degraded   bool
	Reasons, Warnings []string
	Link, Database    httpapi.PartState
	Users, Messages   httpapi.PartState
}

// Config is what a Console tells of, and asks. All of it has to be given.
type Config struct {
	Version, Component, Domain, Server string
	Engine, EngineVersion              string // of the database
	Metrics                            prometheus.Gatherer
	Health                             func(ctx context.Context) Health // ends soon, whatever hangs
	Settings                           httpapi.Settings
	Examine                            func(ctx context.Context) doctor.Report // ends within [doctor.MaxTime], or with ctx
	Now                                func() time.Time
	Tick                               <-chan time.Time // nil: every 5 seconds
}

// Console implements [httpapi.Console]. Make it with [New] and let it run.
type Console struct {
	cfg     Config
	started time.Time
	wanted  trigger.Trigger // the checks

	asking sync.Mutex // the health is being asked for

	mu       sync.Mutex
	health   Health
	asked    time.Time // when the health was
	counters counters  // of the last sample
	samples  []httpapi.Sample
	losses   []httpapi.Loss // newest last
	lost     int64          // links, since the start
	commit   int64          // when a commit was seen last
	checks   httpapi.Checks
}

// New makes a Console; nothing is asked yet.
func New(cfg Config) *Console {
	return &Console{cfg: cfg, started: cfg.Now(), wanted: trigger.New()}
}

// Run takes samples and makes checks until ctx ends.
func (c *Console) Run(ctx context.Context) error {
	ticks := c.cfg.Tick
	if ticks == nil {
		ticker := time.NewTicker(samplePeriod)
		defer ticker.Stop()
		ticks = ticker.C
	}
	var working sync.WaitGroup
	defer working.Wait()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.wanted:
			working.Go(func() { c.check(ctx) })
		case <-ticks:
			c.look(ctx, 0)
			c.sample()
		}
	}
}

// look asks for the health unless it is known since life; a part that was lost, or is back, is noted.
func (c *Console) look(ctx context.Context, life time.Duration) Health {
	c.asking.Lock()
	defer c.asking.Unlock()
	c.mu.Lock()
	h, age := c.health, c.cfg.Now().Sub(c.asked)
	fresh := !c.asked.IsZero() && age >= 0 && age < life
	c.mu.Unlock()
	if fresh {
		return h
	}
	now := c.cfg.Now()
	h = c.cfg.Health(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.asked.IsZero() {
		c.compare(now, "link", c.health.Link, h.Link)
		c.compare(now, "database", c.health.Database, h.Database)
		c.compare(now, "messages", c.health.Messages, h.Messages)
	}
	c.health, c.asked = h, now
	return h
}

// compare notes what a part has become; the caller holds mu.
func (c *Console) compare(now time.Time, what string, before, after httpapi.PartState) {
	if before.OK == after.OK {
		return
	}
	if what == "link" && !after.OK {
		c.lost++
	}
	c.note(httpapi.Loss{At: now.UnixMilli(), Back: after.OK, State: after.State, Text: after.Text, What: what})
}

func (c *Console) note(l httpapi.Loss) {
	if c.losses = append(c.losses, l); len(c.losses) > maxLosses {
		c.losses = c.losses[1:]
	}
}

// State implements [httpapi.Console].
func (c *Console) State(ctx context.Context) (httpapi.ProcessState, error) {
	if err := ctx.Err(); err != nil {
		return httpapi.ProcessState{}, err
	}
	h := c.look(ctx, healthLife)
	c.mu.Lock()
	defer c.mu.Unlock()
	n := &c.counters
	s := httpapi.ProcessState{
		Version: c.cfg.Version, Component: c.cfg.Component, Domain: c.cfg.Domain, Server: c.cfg.Server, Started: c.started.UnixMilli(),
		Ready: h.Ready, Reasons: h.Reasons, Degraded: h.Degraded, Warnings: h.Warnings, Link: h.Link, Users: h.Users, Messages: h.Messages,
		Database: httpapi.DatabaseState{Engine: c.cfg.Engine, Version: c.cfg.EngineVersion, OK: h.Database.OK, State: h.Database.State, Text: h.Database.Text, LastCommit: c.commit},
		Devices:  n.devices,
		Queue:    httpapi.QueueState{Backlog: n.backlog, InFlight: n.inFlight, RowsDue: n.rowsDue, Unconfirmed: n.unconfirmed, Waiting: n.waiting},
		Pushes:   append([]httpapi.ChannelState{}, n.pushes...),
		Totals:   httpapi.Totals{Commits: n.commits, Deliveries: n.deliveries, Losses: c.lost, Messages: n.messages, Refused: n.refused},
		Samples:  append([]httpapi.Sample{}, c.samples...),
	}
	for i := len(c.losses) - 1; i >= 0; i-- {
		s.Losses = append(s.Losses, c.losses[i])
	}
	return s, nil
}

// Settings implements [httpapi.Console].
func (c *Console) Settings(ctx context.Context) (httpapi.Settings, error) {
	return c.cfg.Settings, ctx.Err()
}

// Checks implements [httpapi.Console].
func (c *Console) Checks(ctx context.Context, run bool) (httpapi.Checks, error) {
	if err := ctx.Err(); err != nil {
		return httpapi.Checks{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if run && !c.checks.Running {
		c.checks.Running = true
		c.wanted.Fire()
	}
	v := c.checks
	v.Lines = append([]httpapi.CheckLine{}, v.Lines...)
	return v, nil
}

// check makes the checks anew.
func (c *Console) check(ctx context.Context) {
	begun := c.cfg.Now()
	report := c.cfg.Examine(ctx)
	v := httpapi.Checks{Started: begun.UnixMilli(), Ended: c.cfg.Now().UnixMilli(), Failures: report.Failures, Warnings: report.Warnings}
	zh := report.InChinese()
	for i, r := range report.Checks {
		for k, f := range r.Findings {
			l := httpapi.CheckLine{ID: r.ID, State: string(f.Status), Text: f.Seen, Remedy: f.Remedy}
			l.Chinese.Text, l.Chinese.Remedy = zh.Checks[i].Findings[k].Seen, zh.Checks[i].Findings[k].Remedy
			v.Lines = append(v.Lines, l)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checks = v
}
