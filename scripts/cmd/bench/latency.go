package main

import (
	"context"
	"fmt"
	"time"

	"tlim/component/pause"
)

// latencies are the ways that take turns message by message.
//
// The goal's messages ask for no acknowledgement. The sender is a member: with one it gets two stanzas at once, and by default
// Openfire leaves Nagle's algorithm on (xmpp.socket.tcp-nodelay), so that the second one waits for the client's delayed
// acknowledgement of the first, 40 ms on Linux, whatever the component does. What that costs is shown beside it.
type latencies struct {
	ways    []*latency
	commit  *Series
	commits *commits
}

// latency is one way to a group of 50.
type latency struct {
	series *Series
	mode   *groupMode
	every  int // takes part in every n-th turn: the slow ways would fill the run
}

// ackEvery is how rarely the ways with acknowledgements take their turn.
const ackEvery = 10

func newSeries(name string) *Series { return &Series{Part: "latency", Mode: name, Unit: "ms, p50"} }

// latencies are bare and ours first.
func (r *rig) latencies(c *commits) *latencies {
	way := func(name, address string, ack bool) *latency {
		l := &latency{series: newSeries(name), every: 1}
		if ack {
			l.every = ackEvery
		}
		l.mode = &groupMode{members: r.plain, writer: newGroupWriter(r.plain[0].user, address, "chat", r.sqlite.groups[ofPlain], ack), acks: ack}
		return l
	}
	return &latencies{
		ways: []*latency{
			way("bare component, write to last of 50", r.bareAddress, false),
			way("tlim, SQLite, write to last of 50", r.sqlite.address, false),
			way("bare component, sender is acknowledged too", r.bareAddress, true),
			way("tlim, SQLite, sender is acknowledged too", r.sqlite.address, true),
		},
		commit: newSeries("one commit, SQLite"), commits: c,
	}
}

// all are the series in the table's order.
func (l *latencies) all() []*Series {
	list := []*Series{}
	for _, w := range l.ways {
		list = append(list, w.series)
	}
	return append(list, l.commit)
}

// round sends n messages each way, one at a time, and returns a sample for each of all.
func (l *latencies) round(ctx context.Context, n int) (samples []Sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*patience+time.Duration(n*len(l.ways))*rest)
	defer cancel()
	p := newProgress(groupSize)
	before, err := begin(l.ways[0].mode.members, p)
	if err != nil {
		return nil, err
	}
	samples = make([]Sample, len(l.ways)+1)
	copies, acks := 0, 0
	for turn := range n {
		for i, w := range l.ways {
			if turn%w.every != 0 {
				continue
			}
			took, err := w.mode.one(ctx, p)
			if err != nil {
				return nil, fmt.Errorf("latency: %s: %w", w.series.Mode, err)
			}
			samples[i].add(took)
			copies++
			if w.mode.acks {
				acks++
				// The acknowledgement may come after the copies, and must not be in the way of the next message.
				if err := p.until(ctx, func() bool { return p.acks.Load() >= int64(acks) }); err != nil {
					return nil, fmt.Errorf("latency: %s: %w", w.series.Mode, err)
				}
			}
		}
		took, err := l.commits.one(ctx)
		if err != nil {
			return nil, err
		}
		samples[len(l.ways)].add(took)
	}
	for i := range samples {
		samples[i].Value = median(samples[i].All)
	}
	return samples, before.end(ctx, func(i int) (int, int) {
		if i == 0 {
			return copies, acks
		}
		return copies, 0
	})
}

func (s *Sample) add(took time.Duration) {
	s.Count++
	s.Seconds += took.Seconds()
	s.All = append(s.All, took.Seconds()*1e3)
}

// rest is between two messages that are sent one at a time. Openfire leaves Nagle's algorithm on: what follows a stanza to a client waits
// until the client has acknowledged that, 40 ms on Linux. Behind each copy goes a ping, so a message that comes sooner would wait for that.
const rest = 50 * time.Millisecond

// one sends one message to clients that are at rest, and returns how long the last member's copy took.
func (g *groupMode) one(ctx context.Context, p *progress) (time.Duration, error) {
	if err := pause.For(ctx, rest); err != nil {
		return 0, err
	}
	raw := g.writer.batch(1)
	target := p.copies.Load() + int64(len(g.members))
	start := time.Now()
	if err := g.members[0].client.Send(raw); err != nil {
		return 0, err
	}
	err := p.until(ctx, func() bool { return p.copies.Load() >= target })
	return time.Since(start), err
}
