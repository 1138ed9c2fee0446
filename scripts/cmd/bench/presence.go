package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"tlim/component/openfire"
	"tlim/component/pause"
	"tlim/component/stanza"
	"tlim/component/stream"
	"tlim/scripts/lab"
)

// presenceSize is how many sessions are there when it is measured what presence snapshots cost, and how long each way is watched.
type presenceSize struct {
	sessions []int // ascending: those that are there stay
	window   time.Duration
}

func (p presenceSize) maxSessions() int { return slices.Max(p.sessions) }

const (
	// presenceHeap is the server's: 10,000 sessions take more than the 512 MiB of the other parts.
	presenceHeap = "4g"
	// presenceLogins are under way at once.
	presenceLogins = 16
	// presenceSettle is between a tlim's first snapshot and the measuring: it learns the users that it has seen.
	presenceSettle = 3 * time.Second
	// presenceAsked is how many snapshots are timed, one behind the other, after as many that only warm the server up.
	presenceAsked = 30
	// spareFiles are what a process has open beside its clients' sockets.
	spareFiles = 500
)

func presenceUsers(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("s%05d", i)
	}
	return names
}

// presenceWay is one presence.interval.
type presenceWay struct {
	name, interval string
	java, ours     *Series
	count          *Series // of snapshots
}

// measurePresence logs more and more users in, each with one session, as a site has them.
func measurePresence(ctx context.Context, r *rig, p plan, report *report) error {
	if err := enoughFiles(p.presence.maxSessions()); err != nil {
		return err
	}
	users := presenceUsers(p.presence.maxSessions())
	var clients []*lab.Client
	defer func() {
		for _, c := range clients {
			c.Kill()
		}
	}()
	for _, n := range p.presence.sessions {
		say("presence: %d sessions", n)
		began := time.Now()
		more, err := r.dialMany(ctx, users[len(clients):n])
		clients = append(clients, more...)
		if err != nil {
			return err
		}
		say("presence: logged in, %.0f a second", float64(len(more))/time.Since(began).Seconds())
		if err := r.measureSnapshots(ctx, p, report, n); err != nil {
			return err
		}
		for _, c := range clients {
			if err := c.Err(); err != nil {
				return fmt.Errorf("presence: %s: %w", c.JID, err)
			}
		}
	}
	return nil
}

func (r *rig) dialMany(ctx context.Context, users []string) ([]*lab.Client, error) {
	list := make([]*lab.Client, len(users))
	logins, ctx := errgroup.WithContext(ctx)
	logins.SetLimit(presenceLogins)
	for i, user := range users {
		logins.Go(func() (err error) {
			list[i], err = lab.Dial(ctx, r.server.C2S, r.domain, user, password, "phone", lab.WithPresence("", 0), lab.WithCount())
			return err
		})
	}
	err := logins.Wait()
	return slices.DeleteFunc(list, func(c *lab.Client) bool { return c == nil }), err
}

// measureSnapshots measures what is there now: one snapshot by itself, and tlims that ask for them in their own rhythm.
func (r *rig) measureSnapshots(ctx context.Context, p plan, report *report, n int) error {
	one := &Series{Part: "presence", Mode: fmt.Sprintf("%s sessions: one snapshot", amount(int64(n))), Unit: "ms, p50"}
	sample, err := r.timeSnapshots(ctx, n)
	if err != nil {
		return err
	}
	one.add(sample)
	report.add(one)

	var ways []*presenceWay
	for _, w := range []presenceWay{{name: "none", interval: "24h"}, {name: "2 s at least", interval: "2s"}, {name: "0.2 s at least", interval: "200ms"}} {
		series := func(whose, unit string) *Series {
			return &Series{Part: "presence", Mode: fmt.Sprintf("%s sessions, snapshots %s: %s", amount(int64(n)), w.name, whose), Unit: unit}
		}
		w.java, w.ours, w.count = series("the server", "% of a core"), series("tlim", "% of a core"), series("how many", "a second")
		ways = append(ways, &w)
	}
	for round := range p.rounds {
		say("presence: %d sessions, round %d of %d", n, round+1, p.rounds)
		for i := range ways {
			if err := r.watchSnapshots(ctx, ways[(i+round)%len(ways)], p.presence.window, n); err != nil {
				return err
			}
		}
	}
	for _, w := range ways {
		report.add(w.java)
		report.add(w.ours)
		report.add(w.count)
	}
	return nil
}

// watchSnapshots runs a tlim for a while.
func (r *rig) watchSnapshots(ctx context.Context, w *presenceWay, window time.Duration, n int) (err error) {
	t, err := r.startSite(ctx, "tlim-presence", map[string]any{"presence.interval": w.interval})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Stop()) }()
	if _, err := awaitMetric(ctx, t, "tlim_devices", func(v float64) bool { return v >= float64(n) }); err != nil {
		return err
	}
	if err := pause.For(ctx, presenceSettle); err != nil {
		return err
	}
	before, err := t.Metrics(ctx)
	if err != nil {
		return err
	}
	meter, err := startMeter(t.PID(), r.server.PID)
	if err != nil {
		return err
	}
	worked, err := workSeconds(r.server.PID)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := pause.For(ctx, window); err != nil {
		return err
	}
	sample := Sample{Seconds: time.Since(start).Seconds()}
	if err := meter.stop(&sample); err != nil {
		return err
	}
	work, err := workSeconds(r.server.PID)
	if err != nil {
		return err
	}
	after, err := t.Metrics(ctx)
	if err != nil {
		return err
	}
	add := func(s *Series, value float64) {
		one := sample
		one.Value = value / one.Seconds
		s.add(one)
	}
	add(w.java, 100*(work-worked))
	add(w.ours, 100*sample.CPU)
	add(w.count, after[snapshotsMetric]-before[snapshotsMetric])
	return nil
}

const snapshotsMetric = "tlim_snapshot_seconds_count"

// timeSnapshots asks as tlim asks, one question behind the other.
func (r *rig) timeSnapshots(ctx context.Context, n int) (sample Sample, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	up := make(chan struct{})
	links := stream.New(stream.Config{Addresses: []string{r.server.Component}, Domain: "asker." + r.domain, Server: r.domain, Secret: r.server.Secret,
		Log: slog.New(slog.DiscardHandler)}, onlyUp{up})
	ended := make(chan error, 1)
	go func() { ended <- links.Run(ctx) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-ended)
	}()
	select {
	case <-up:
	case <-ctx.Done():
		return sample, ctx.Err()
	}
	server := openfire.New(links, r.domain)
	for i := range 2 * presenceAsked {
		start := time.Now()
		sessions, err := server.Snapshot(ctx)
		if err != nil {
			return sample, err
		}
		if len(sessions) != n {
			return sample, fmt.Errorf("a snapshot has %d sessions instead of %d", len(sessions), n)
		}
		if i >= presenceAsked {
			sample.add(time.Since(start))
		}
	}
	sample.Value = median(sample.All)
	return sample, nil
}

// onlyUp is a component that nobody writes to. It is used for one connection.
type onlyUp struct{ up chan struct{} }

func (o onlyUp) Stanza(stanza.Stanza) {}
func (o onlyUp) Up()                  { close(o.up) }
func (o onlyUp) Down(error)           {}

func (o onlyUp) Answered(stanza.Stanza, stanza.JID) bool { return false }
