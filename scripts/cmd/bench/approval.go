package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tlim/scripts/lab"
)

const (
	// approvalCallers is how many integrators' threads send an approval for one receiver at once, each the next one when it
	// has its answer. Bare, as many loops commit the same rows one by one, each the next when the database has answered.
	approvalCallers = 64
	// largeCallers send approvals for many receivers.
	largeCallers = 2
	// approvalSlice is how many receivers tlim commits at once (HTTP.md), and so the bare loop.
	approvalSlice = 500
)

// approvalBody is what the documents show as an example.
const approvalBody = `[{"bizId":"20181126001","docTitle":"travel expenses of November","solId":"2400000001","spType":"1","wzType":"2","taskId":"2400000042"}]`

// approvals is one database, twice: tlim's, and bare.
type approvals struct {
	db        database // tlim's
	site      *lab.Tlim
	caller    *caller
	bare      *inserts
	receivers []string // nobody of them is online: their rows wait
	next      atomic.Int64
	sent      [2]atomic.Int64 // receivers, by tlim and bare

	pair []*member // two clients, and what one writes to the other
	last *writer
}

// receiverName is the i-th receiver. All have accounts: what the server does with messages for strangers is no measure.
func receiverName(i int) string { return fmt.Sprintf("away%04d", i) }

func (r *rig) startApprovals(ctx context.Context, own, bare database, receivers int) (*approvals, error) {
	a := &approvals{db: own}
	var err error
	if a.bare, err = openInserts(ctx, bare, approvalCallers); err != nil {
		return nil, err
	}
	if a.site, err = r.startSite(ctx, "tlim-approval-"+own.driver, own.config()); err != nil {
		return nil, errors.Join(err, a.bare.db.Close())
	}
	a.caller = newCaller(a.site, approvalCallers)
	a.pair = r.plain[:2]
	a.last = newChatWriter(a.pair[0].user, a.pair[1].user, "tlim-approval-"+own.driver+"."+r.domain)
	names := map[string]string{}
	for i := range receivers {
		name := receiverName(i)
		names[name] = name
		a.receivers = append(a.receivers, name)
	}
	if err := a.site.AddUsers(ctx, names); err != nil {
		return nil, errors.Join(err, a.bare.db.Close())
	}
	return a, nil
}

// call sends one approval through tlim.
func (a *approvals) call(ctx context.Context, receivers []string) error {
	_, err := a.caller.post(ctx, "approval", url.Values{"params": {approvalBody}, "msgTo": {strings.Join(receivers, ",")}})
	if err == nil {
		a.sent[0].Add(int64(len(receivers)))
	}
	return err
}

// insert commits what call writes.
func (a *approvals) insert(ctx context.Context, receivers []string) error {
	at := strconv.FormatInt(time.Now().UnixMilli(), 10)
	for len(receivers) > 0 {
		n := min(len(receivers), approvalSlice)
		if err := a.bare.commit(ctx, receivers[:n], at, approvalBody); err != nil {
			return err
		}
		a.sent[1].Add(int64(n))
		receivers = receivers[n:]
	}
	return nil
}

// one is the next receiver of all, so that all queues grow alike.
func (a *approvals) one() []string {
	i := int(a.next.Add(1)) % len(a.receivers)
	return a.receivers[i : i+1]
}

// some are the next n.
func (a *approvals) some(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = a.one()[0]
	}
	return list
}

func (a *approvals) all() []string { return a.receivers }

// loops are tlim and bare, for one receiver and for all. What is counted is approvals, however many one commit takes.
func (a *approvals) loops() []turn {
	make := func(name string, callers, perDo int, pid int, do func(context.Context) error) turn {
		t := turn{series: &Series{Part: "approval", Mode: a.db.name + ", " + name, Unit: "approvals/s"}}
		t.round = func(ctx context.Context, r *rig, d time.Duration) (sample Sample, err error) {
			if sample, err = inParallel(ctx, r, d, callers, pid, do); err != nil {
				return sample, fmt.Errorf("%s: %w", t.series.Mode, err)
			}
			if pid != 0 {
				if err := a.settle(ctx); err != nil {
					return sample, fmt.Errorf("%s: %w", t.series.Mode, err)
				}
			}
			sample.Count *= perDo
			sample.Value *= float64(perDo)
			return sample, nil
		}
		return t
	}
	all := amount(int64(len(a.receivers)))
	return []turn{
		make(fmt.Sprintf("1 receiver: bare, %d callers that commit each its own", approvalCallers), approvalCallers, 1, 0,
			func(ctx context.Context) error { return a.insert(ctx, a.one()) }),
		make(fmt.Sprintf("1 receiver: bare, one loop of commits of %d", approvalCallers), 1, approvalCallers, 0,
			func(ctx context.Context) error { return a.insert(ctx, a.some(approvalCallers)) }),
		make(fmt.Sprintf("1 receiver: tlim, %d callers", approvalCallers), approvalCallers, 1, a.site.PID(),
			func(ctx context.Context) error { return a.call(ctx, a.one()) }),
		make(fmt.Sprintf("%s receivers: bare, %d callers, commits of %d", all, largeCallers, approvalSlice), largeCallers, 1, 0,
			func(ctx context.Context) error { return a.insert(ctx, a.all()) }),
		make(fmt.Sprintf("%s receivers: tlim, %d callers", all, largeCallers), largeCallers, 1, a.site.PID(),
			func(ctx context.Context) error { return a.call(ctx, a.all()) }),
	}
}

// settle returns when the server has taken what tlim sends. An approval is answered when it is committed: without this, its
// copies would be on their way while the next turn is measured. A message that was written after them comes after them.
func (a *approvals) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	p := newProgress(1)
	before, err := begin(a.pair, p)
	if err != nil {
		return err
	}
	if err := a.pair[0].client.Send(a.last.batch(1)); err != nil {
		return err
	}
	if err := p.until(ctx, func() bool { return p.copies.Load() >= 1 && p.acks.Load() >= 1 }); err != nil {
		return err
	}
	return before.end(ctx, func(i int) (copies, acks int) { return i, 1 - i })
}

// settleTime is for a server that has got more than it can take meanwhile.
const settleTime = 2 * time.Minute

// inParallel lets callers do the same again and again until d is over, and counts what was done.
func inParallel(ctx context.Context, r *rig, d time.Duration, callers, pid int, do func(context.Context) error) (sample Sample, err error) {
	meter, err := startMeter(pid, r.server.PID)
	if err != nil {
		return sample, err
	}
	var done atomic.Int64
	start := time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	for range callers {
		group.Go(func() error {
			for time.Since(start) < d {
				if err := do(groupCtx); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return sample, err
	}
	sample.Count, sample.Seconds = int(done.Load()), time.Since(start).Seconds()
	sample.Value = float64(sample.Count) / sample.Seconds
	return sample, meter.stop(&sample)
}

func measureApproval(ctx context.Context, r *rig, p plan, report *report) error {
	own, err := r.databases(ctx, "approval")
	if err != nil {
		return err
	}
	bare, err := r.databases(ctx, "bare")
	if err != nil {
		return err
	}
	for i := range own {
		if err := measureApprovals(ctx, r, p, report, own[i], bare[i]); err != nil {
			return err
		}
	}
	return nil
}

func measureApprovals(ctx context.Context, r *rig, p plan, report *report, own, bare database) (err error) {
	a, err := r.startApprovals(ctx, own, bare, p.receivers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.bare.db.Close()) }()
	turns := a.loops()
	if err := rotate(ctx, r, p, warmUpsHTTP, turns); err != nil {
		return err
	}
	if err := a.check(ctx); err != nil {
		return err
	}
	for i, t := range turns {
		measure := turns[0].series
		if i > 2 {
			measure = turns[3].series
		}
		report.add(t.series, measure)
	}
	for _, pair := range [][2]*Series{{turns[2].series, turns[0].series}, {turns[4].series, turns[3].series}} {
		report.goal(pair[0], atLeast("0.5 of bare", pair[0].ratio(pair[1]), 0.5))
	}
	if p.profile {
		for name, t := range map[string]turn{"1": turns[2], "all": turns[4]} {
			if err := profiled(ctx, r, "approval-"+own.driver+"-"+name, a.site, t.round); err != nil {
				return err
			}
		}
	}
	return a.site.Stop()
}

// check compares what stands in both databases: for each receiver the same number of rows, of the same length.
func (a *approvals) check(ctx context.Context) (err error) {
	db, err := sql.Open(a.db.driver, a.db.dsn)
	if err != nil {
		return fmt.Errorf("approvals: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ours, err := wrote(ctx, db, a.bare.tables)
	if err != nil {
		return fmt.Errorf("approvals: %w", err)
	}
	theirs, err := wrote(ctx, a.bare.db, a.bare.tables)
	if err != nil {
		return fmt.Errorf("approvals: %w", err)
	}
	for i, t := range a.bare.tables {
		if err := alike(ours[i], a.sent[0].Load(), theirs[i], a.sent[1].Load()); err != nil {
			return fmt.Errorf("approvals, %s, %s: %w", a.db.name, t.name, err)
		}
	}
	return nil
}

// alike says what differs between two tables that were written for so many receivers each.
func alike(ours written, oursFor int64, bare written, bareFor int64) error {
	if ours.rows != oursFor || bare.rows != bareFor || oursFor == 0 || bareFor == 0 {
		return fmt.Errorf("%d rows for %d receivers by tlim, %d for %d bare", ours.rows, oursFor, bare.rows, bareFor)
	}
	if ours.characters*bareFor != bare.characters*oursFor {
		return fmt.Errorf("a row has %.1f characters by tlim and %.1f bare",
			float64(ours.characters)/float64(oursFor), float64(bare.characters)/float64(bareFor))
	}
	return nil
}
