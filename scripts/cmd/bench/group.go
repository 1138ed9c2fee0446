package main

import (
	"context"
	"fmt"
	"time"

	"tlim/scripts/lab"
)

// groupWindow is how many group messages are under way at once, as in the measurements before.
const groupWindow = 20

// groupMode is one way to get a message to 50 clients.
type groupMode struct {
	series         *Series
	members        []*member
	writer         *writer
	acks           bool     // the sender gets an acknowledgement for each message
	pid            int      // of the component; 0: the server does it itself
	service        *service // nil for what is not tlim
	window         int64    // messages under way at once
	untilConfirmed bool     // all copies are confirmed, and a round ends when they are

	before *groupMode // the same of the version that is measured against, if there is one
}

func newGroupMode(part, name string, members []*member, address, stanzaType, session string) *groupMode {
	return &groupMode{series: &Series{Part: part, Mode: name, Unit: "deliveries/s"}, members: members, window: groupWindow,
		writer: newGroupWriter(members[0].user, address, stanzaType, session, true)}
}

// newServiceMode is a group of one of ours, of whom members are there.
func newServiceMode(part, how string, members []*member, s *service, to crowd) *groupMode {
	m := newGroupMode(part, s.mode+how, members, s.address, "chat", s.groups[to])
	m.acks, m.pid, m.service = true, s.PID(), s
	return m
}

// groupModes are all ways whose parts run; the first three are the bare component and ours, when nobody confirms and by pings.
func (r *rig) groupModes() []*groupMode {
	bare := newGroupMode("group", "bare component, unstored", r.plain, r.bareAddress, "chat", r.sqlite.groups[ofPlain])
	bare.acks, bare.pid = true, r.barePID()
	ours := func(s *service, how string, members []*member, to crowd, untilConfirmed bool) *groupMode {
		m := newServiceMode("group", how, members, s, to)
		m.untilConfirmed = untilConfirmed
		return m
	}
	const none, pings, receipts = ", nobody confirms", ", all confirm by pings", ", all confirm by receipts"
	list := []*groupMode{bare,
		ours(r.silent, none, r.mute, ofMute, false),
		ours(r.sqlite, pings, r.plain, ofPlain, true),
		ours(r.sqlite, receipts, r.confirming, ofConfirming, true),
		newGroupMode("group", "the server's MUC, unstored", r.plain, r.roomAddress, "groupchat", r.sqlite.groups[ofPlain]),
		ours(r.mysql, pings, r.plain, ofPlain, true),
	}
	if r.beforeSilent != nil {
		// In the order of ours: what the server's JVM does after one way belongs to the next.
		list[1].before = ours(r.beforeSilent, none, r.mute, ofMute, false)
		list[2].before = ours(r.before[0], pings, r.plain, ofPlain, true)
		list[3].before = ours(r.before[0], receipts, r.confirming, ofConfirming, true)
		list[5].before = ours(r.before[1], pings, r.plain, ofPlain, true)
		for _, m := range list[:6] {
			if m.before != nil {
				list = append(list, m.before)
			}
		}
	}
	return list
}

// round sends for d, a window of messages at a time, and counts until the last member has the last message.
func (g *groupMode) round(ctx context.Context, r *rig, d time.Duration) (sample Sample, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", g.series.Mode, err)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, d+patience)
	defer cancel()
	size := int64(len(g.members))
	p := newProgress(size)
	before, err := begin(g.members, p)
	if err != nil {
		return sample, err
	}
	answers, err := g.answers(ctx)
	if err != nil {
		return sample, err
	}
	meter, err := startMeter(g.pid, r.server.PID)
	if err != nil {
		return sample, err
	}

	start := time.Now()
	sent := int64(0)
	for time.Since(start) < d {
		room := g.window - (sent - p.copies.Load()/size)
		if room > 0 {
			if err := g.members[0].client.Send(g.writer.batch(int(room))); err != nil {
				return sample, err
			}
			sent += room
		}
		if err := p.until(ctx, func() bool { return sent-p.copies.Load()/size < g.window }); err != nil {
			return sample, err
		}
	}
	if err := p.until(ctx, func() bool { return p.copies.Load() >= sent*size }); err != nil {
		return sample, err
	}
	sample = Sample{Count: int(sent * size), Seconds: time.Since(start).Seconds()}
	sample.Value = float64(sample.Count) / sample.Seconds
	if err := meter.stop(&sample); err != nil {
		return sample, err
	}

	// What belongs to the round but not to its time: nothing of it may run into the next one.
	if err := p.until(ctx, func() bool { return !g.acks || p.acks.Load() >= sent }); err != nil {
		return sample, err
	}
	sample.AckStanzas = int(p.ackStanzas.Load())
	err = before.end(ctx, func(i int) (copies, acks int) {
		if i == 0 && g.acks {
			acks = int(sent)
		}
		return int(sent), acks
	})
	if err == nil && g.service != nil { // it has read what its clients answered
		err = g.members[0].client.Ping(ctx, g.service.address)
	}
	if err == nil && g.untilConfirmed {
		err = awaitNoneUnconfirmed(ctx, g.service.Tlim)
	}
	if err != nil {
		return sample, err
	}
	now, err := g.answers(ctx)
	if g.service != nil {
		sample.Answers = max(0, now-answers-int(sent))
	}
	return sample, err
}

// answers is how many stanzas have come to tlim.
func (g *groupMode) answers(ctx context.Context) (int, error) {
	if g.service == nil {
		return 0, nil
	}
	samples, err := g.service.Metrics(ctx)
	return int(samples[`tlim_link_stanzas_in_total{name="iq"}`] + samples[`tlim_link_stanzas_in_total{name="message"}`]), err
}

// awaitNoneUnconfirmed returns when tlim waits for no confirmation any more.
func awaitNoneUnconfirmed(ctx context.Context, t *lab.Tlim) error {
	unconfirmed, err := awaitMetric(ctx, t, "tlim_owed_copies", func(v float64) bool { return v == 0 })
	if err != nil {
		return fmt.Errorf("%.0f copies are still unconfirmed: %w", unconfirmed, err)
	}
	return nil
}

// awaitMetric returns when a metric is as wanted, with its last value in any case.
func awaitMetric(ctx context.Context, t *lab.Tlim, name string, wanted func(float64) bool) (float64, error) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		samples, err := t.Metrics(ctx)
		if err != nil {
			return 0, err
		}
		value, known := samples[name]
		if !known {
			return 0, fmt.Errorf("no metric %s", name)
		}
		if wanted(value) {
			return value, nil
		}
		select {
		case <-ctx.Done():
			return value, fmt.Errorf("%s is %.0f: %w", name, value, ctx.Err())
		case <-ticker.C:
		}
	}
}
