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
	series  *Series
	members []*member
	writer  *writer
	acks    bool     // the sender gets a receipt for each message
	pid     int      // of the component; 0: the server does it itself
	service *service // nil for what is not tlim
	owing   bool     // wait after the round until all copies are confirmed
}

// groupModes are all ways whose parts run, the bare component and ours first.
func (r *rig) groupModes() []*groupMode {
	mode := func(name string, members []*member, address, stanzaType, session string) *groupMode {
		return &groupMode{series: &Series{Part: "group", Mode: name, Unit: "deliveries/s"}, members: members,
			writer: newGroupWriter(members[0].user, address, stanzaType, session, true)}
	}
	ours := func(name string, members []*member, s *service) *groupMode {
		m := mode(name, members, s.address, "chat", s.session)
		m.acks, m.pid, m.service = true, s.PID(), s
		return m
	}
	var list []*groupMode
	if r.bare != nil {
		bare := mode("bare component, unstored", r.plain, r.bareAddress, "chat", r.sqlite.session)
		bare.acks, bare.pid = true, r.barePID()
		list = append(list, bare)
	}
	list = append(list, ours("tlim, SQLite", r.plain, r.sqlite))
	if r.confirmed != nil {
		m := ours("tlim, SQLite, all confirm", r.confirming, r.confirmed)
		m.owing = true
		list = append(list, m, mode("the server's MUC, unstored", r.plain, r.roomAddress, "groupchat", r.sqlite.session))
	}
	if r.mysql != nil {
		list = append(list, ours("tlim, MariaDB", r.plain, r.mysql))
	}
	return list
}

// round sends for d, groupWindow messages at a time, and counts until the last member has the last message.
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
	meter, err := startMeter(g.pid, r.server.PID)
	if err != nil {
		return sample, err
	}

	start := time.Now()
	sent := int64(0)
	for time.Since(start) < d {
		room := groupWindow - (sent - p.copies.Load()/size)
		if room > 0 {
			if err := g.members[0].client.Send(g.writer.batch(int(room))); err != nil {
				return sample, err
			}
			sent += room
		}
		if err := p.until(ctx, func() bool { return sent-p.copies.Load()/size < groupWindow }); err != nil {
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
	sample.Receipts = int(p.receipts.Load())
	if g.owing {
		if err := awaitNothingOwed(ctx, g.service.Tlim); err != nil {
			return sample, err
		}
	}
	return sample, before.end(ctx, func(i int) (copies, acks int) {
		if i == 0 && g.acks {
			acks = int(sent)
		}
		return int(sent), acks
	})
}

// awaitNothingOwed returns when tlim waits for no confirmation any more.
func awaitNothingOwed(ctx context.Context, t *lab.Tlim) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		samples, err := t.Metrics(ctx)
		if err != nil {
			return err
		}
		owed, known := samples["tlim_owed_copies"]
		if !known {
			return fmt.Errorf("no metric tlim_owed_copies")
		}
		if owed == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%.0f copies are still owed: %w", owed, ctx.Err())
		case <-ticker.C:
		}
	}
}
