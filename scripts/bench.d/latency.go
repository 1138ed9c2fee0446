package main

import (
	"context"
	"fmt"
	"time"
)

// latencies are the three ways that take turns message by message.
type latencies struct {
	bare, ours, commit *Series
	bareMode, oursMode *groupMode
	commits            *commits
}

func (r *rig) latencies(c *commits) *latencies {
	series := func(name string) *Series { return &Series{Part: "latency", Mode: name, Unit: "ms, p50"} }
	mode := func(address string, pid int) *groupMode {
		return &groupMode{members: r.plain, writer: newGroupWriter(r.plain[0].user, address, "chat", r.sqlite.session), pid: pid, acks: true}
	}
	return &latencies{
		bare: series("bare component: write to last of 50"), ours: series("tlim, SQLite: write to last of 50, stored"), commit: series("one commit, SQLite"),
		bareMode: mode(r.bareAddress, r.barePID()), oursMode: mode(r.sqlite.address, r.sqlite.PID()), commits: c,
	}
}

// round sends n messages each way, one at a time, and adds the medians to the series.
func (l *latencies) round(ctx context.Context, n int) (samples [3]Sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p := newProgress(groupSize)
	before, err := begin(l.bareMode.members, p)
	if err != nil {
		return samples, err
	}
	for range n {
		for i, mode := range []*groupMode{l.bareMode, l.oursMode} {
			took, err := mode.one(ctx, p)
			if err != nil {
				return samples, fmt.Errorf("latency: %w", err)
			}
			samples[i].add(took)
		}
		took, err := l.commits.one(ctx)
		if err != nil {
			return samples, err
		}
		samples[2].add(took)
	}
	for i := range samples {
		samples[i].Value = median(samples[i].All)
	}
	// Receipts may come after the last copy.
	err = p.until(ctx, func() bool { return p.acks.Load() >= int64(2*n) })
	if err != nil {
		return samples, fmt.Errorf("latency: %w", err)
	}
	return samples, before.end(ctx, func(i int) (copies, acks int) {
		if i == 0 {
			acks = 2 * n
		}
		return 2 * n, acks
	})
}

func (s *Sample) add(took time.Duration) {
	s.Count++
	s.Seconds += took.Seconds()
	s.All = append(s.All, took.Seconds()*1e3)
}

// one sends one message and returns how long the last member's copy took.
func (g *groupMode) one(ctx context.Context, p *progress) (time.Duration, error) {
	raw := g.writer.batch(1)
	target := p.copies.Load() + int64(len(g.members))
	start := time.Now()
	if err := g.members[0].client.Send(raw); err != nil {
		return 0, err
	}
	err := p.until(ctx, func() bool { return p.copies.Load() >= target })
	return time.Since(start), err
}
