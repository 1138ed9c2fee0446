package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"tlim/scripts/lab"
)

// largeGroup is how many members the group has of whom most are absent.
const largeGroup = 1000

// absentNames are the members of the large group who are not there: accounts that nobody logs in to.
func absentNames() []string {
	names := make([]string, largeGroup-groupSize)
	for i := range names {
		names[i] = fmt.Sprintf("a%03d", i)
	}
	return names
}

// absences are the two groups of one tlim: the same 50 are online in both, and one has 950 more members.
type absences struct {
	service *service
	small   *absence
	large   *absence
}

// absence is one of the groups, by how fast messages go through and by how long one takes.
type absence struct {
	mode    *groupMode
	single  *groupMode // asks for no acknowledgement, as those of the part latency
	latency *Series
	rows    *Series // of those who are absent: how fast they are written, from the first message on until all are
	sent    int     // messages since the start
}

func (r *rig) absences() []*absences {
	group := func(s *service, how string, to crowd) *absence {
		return &absence{mode: newServiceMode("absent", how, r.plain, s, to),
			single:  &groupMode{members: r.plain, writer: newGroupWriter(r.plain[0].user, s.address, "chat", s.groups[to], false)},
			latency: &Series{Part: "absent", Mode: s.mode + how + ": write to last of 50", Unit: "ms, p50"},
			rows:    &Series{Part: "absent", Mode: s.mode + how + ": rows of the absent", Unit: "rows/s"}}
	}
	var list []*absences
	add := func(s *service, window int64) {
		a := &absences{s, group(s, ", 50 members", ofPlain), group(s, ", 1,000 members of whom 50 are there", ofLarge)}
		a.large.mode.window = window
		list = append(list, a)
	}
	add(r.sqlite, groupWindow)
	add(r.mysql, groupWindow)
	for _, s := range r.before {
		add(s, beforeWindow)
	}
	return list
}

func (a *absences) both() []*absence { return []*absence{a.small, a.large} }

// round sends for a part of d: what waits for the absent may be written behind the messages, and the next way must not run beside that.
func (a *absence) round(ctx context.Context, r *rig, d time.Duration) (Sample, error) {
	start := time.Now()
	sample, err := a.mode.round(ctx, r, d/absentPart)
	if err != nil {
		return sample, err
	}
	sent := sample.Count / groupSize
	a.sent += sent
	ctx, cancel := context.WithTimeout(ctx, absentPatience)
	defer cancel()
	if err := awaitRows(ctx, a.mode.service.Tlim); err != nil {
		return sample, fmt.Errorf("%s: rows of the absent: %w", a.mode.series.Mode, err)
	}
	rows := Sample{Count: sent * (largeGroup - groupSize), Seconds: time.Since(start).Seconds()}
	rows.Value = float64(rows.Count) / rows.Seconds
	a.rows.add(rows)
	return sample, nil
}

const (
	absentPart     = 4
	absentPatience = 2 * time.Minute
)

// awaitRows returns when all rows that follow their messages are written; a version before does not know such rows.
func awaitRows(ctx context.Context, t *lab.Tlim) error {
	const deferred = "tlim_deferred_rows"
	samples, err := t.Metrics(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{deferred, "tlim_owed_rows"} {
		if _, known := samples[name]; !known && name == deferred {
			continue
		}
		if _, err := awaitMetric(ctx, t, name, func(v float64) bool { return v == 0 }); err != nil {
			return err
		}
	}
	return nil
}

// one sends n messages to each of the groups, one at a time and by turns.
func (a *absences) one(ctx context.Context, n int, counts bool) error {
	ctx, cancel := context.WithTimeout(ctx, 3*patience+time.Duration(2*n)*rest)
	defer cancel()
	p := newProgress(groupSize)
	before, err := begin(a.small.mode.members, p)
	if err != nil {
		return err
	}
	samples := make([]Sample, 2)
	for i := range 2 * n {
		took, err := a.both()[i%2].single.one(ctx, p)
		if err != nil {
			return fmt.Errorf("%s: %w", a.both()[i%2].latency.Mode, err)
		}
		samples[i%2].add(took)
	}
	for i, one := range a.both() {
		one.sent += n
		samples[i].Value = median(samples[i].All)
		if counts {
			one.latency.add(samples[i])
		}
	}
	return before.end(ctx, func(int) (copies, acks int) { return 2 * n, 0 })
}

// queued checks that each message to the large group waits for two of those who are absent.
func (a *absences) queued(ctx context.Context) error {
	caller := newCaller(a.service.Tlim, 1)
	names := absentNames()
	for _, user := range []string{names[0], names[len(names)-1]} {
		body, err := caller.get(ctx, "getOffline", url.Values{"user_id": {user}, "getThenClear": {"1"}})
		if err != nil {
			return err
		}
		if n := rowsIn(body); n != a.large.sent {
			return fmt.Errorf("%s: %d messages wait for %s, who was absent, instead of %d", a.service.mode, n, user, a.large.sent)
		}
	}
	return nil
}

// beforeWindow is what a version takes at once that counts the copies to all members, also to those who are absent.
const beforeWindow = 3

// absentGoal is how much more a group may cost of which most members are absent.
const absentGoal = 1.3

func measureAbsent(ctx context.Context, r *rig, p plan, report *report) error {
	all := r.absences()
	var turns []turn
	for _, a := range all {
		for _, one := range a.both() {
			turns = append(turns, turn{one.mode.series, one.round})
		}
	}
	if err := rotate(ctx, r, p, warmUps, turns); err != nil {
		return err
	}
	for round := -1; round < p.rounds; round++ {
		say("absent: one message at a time")
		for _, a := range all {
			if err := a.one(ctx, p.latencies, round >= 0); err != nil {
				return err
			}
		}
	}
	for i, a := range all {
		if err := a.queued(ctx); err != nil {
			return err
		}
		report.add(a.small.mode.series)
		report.add(a.large.mode.series, a.small.mode.series)
		a.large.rows.Samples = a.large.rows.Samples[warmUps:]
		report.add(a.large.rows)
		report.add(a.small.latency)
		report.add(a.large.latency, a.small.latency)
		if i < len(all)-len(r.before) {
			report.goal(a.large.mode.series, atLeast("1/1.3 of 50", a.large.mode.series.ratio(a.small.mode.series), 1/absentGoal))
			report.goal(a.large.latency, atMost("1.3 of 50", a.large.latency.ratio(a.small.latency), absentGoal))
		}
	}
	if !p.profile {
		return nil
	}
	return profiled(ctx, r, "absent", r.sqlite.Tlim, all[0].large.round)
}
