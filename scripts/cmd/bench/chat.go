package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	chatPairs  = 10
	chatWindow = 100 // messages of one pair under way
)

// chatMode is one way to get 1:1 messages stored and acknowledged.
type chatMode struct {
	series  *Series
	address string
	pid     int
	service *service
	writers []*writer

	before *chatMode // the same of the version that is measured against, if there is one
}

func (r *rig) chatModes() []*chatMode {
	mode := func(name, address string, pid int, s *service) *chatMode {
		m := &chatMode{series: &Series{Part: "chat", Mode: name, Unit: "messages/s"}, address: address, pid: pid, service: s}
		for i := range chatPairs {
			m.writers = append(m.writers, newChatWriter(r.plain[i].user, r.plain[chatPairs+i].user, address))
		}
		return m
	}
	modes := []*chatMode{mode(r.sqlite.mode, r.sqlite.address, r.sqlite.PID(), r.sqlite)}
	if r.mysql != nil {
		modes = append(modes, mode(r.mysql.mode, r.mysql.address, r.mysql.PID(), r.mysql))
	}
	for i, s := range r.before {
		modes[i].before = mode(s.mode, s.address, s.PID(), s)
		modes = append(modes, modes[i].before)
	}
	if r.bare != nil {
		modes = append([]*chatMode{mode("bare component, unstored", r.bareAddress, r.barePID(), nil)}, modes...)
	}
	return modes
}

// round lets all pairs send for d; a message is done when its receiver has it and its sender the acknowledgement.
func (c *chatMode) round(ctx context.Context, r *rig, d time.Duration) (sample Sample, err error) {
	end := time.Now().Add(d)
	return c.run(ctx, r, d, func(int) bool { return time.Now().Before(end) })
}

// run goes on while more says so, which gets the number of messages that a pair has sent and is called by all pairs at once.
func (c *chatMode) run(ctx context.Context, r *rig, d time.Duration, more func(sent int) bool) (sample Sample, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", c.series.Mode, err)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, d+patience)
	defer cancel()
	follow := make([]*progress, chatPairs)
	before := make([]*tally, chatPairs)
	for i := range follow {
		follow[i] = newProgress(1)
		if before[i], err = begin([]*member{r.plain[i], r.plain[chatPairs+i]}, follow[i]); err != nil {
			return sample, err
		}
	}
	meter, err := startMeter(c.pid, r.server.PID)
	if err != nil {
		return sample, err
	}

	start := time.Now()
	sent := make([]int, chatPairs)
	pairs, ctx := errgroup.WithContext(ctx)
	for i := range chatPairs {
		pairs.Go(func() (err error) {
			sent[i], err = c.pair(ctx, r.plain[i], follow[i], c.writers[i], more)
			return err
		})
	}
	if err := pairs.Wait(); err != nil {
		return sample, err
	}
	sample = Sample{Seconds: time.Since(start).Seconds()}
	for i := range chatPairs {
		sample.Count += sent[i]
		sample.AckStanzas += int(follow[i].ackStanzas.Load())
	}
	sample.Value = float64(sample.Count) / sample.Seconds
	if err := meter.stop(&sample); err != nil {
		return sample, err
	}
	check, cancelCheck := context.WithTimeout(context.WithoutCancel(ctx), patience) // the group's context ended with its Wait
	defer cancelCheck()
	for i, t := range before {
		err := t.end(check, func(which int) (copies, acks int) {
			if which == 0 {
				return 0, sent[i]
			}
			return sent[i], 0
		})
		if err != nil {
			return sample, err
		}
	}
	return sample, nil
}

// pair sends from one member to another and returns how many messages went through.
func (c *chatMode) pair(ctx context.Context, from *member, p *progress, w *writer, more func(sent int) bool) (int, error) {
	sent := 0
	done := func() int { return int(min(p.copies.Load(), p.acks.Load())) }
	for more(sent) {
		if room := chatWindow - (sent - done()); room > 0 {
			if err := from.client.Send(w.batch(room)); err != nil {
				return sent, err
			}
			sent += room
		}
		if err := p.until(ctx, func() bool { return sent-done() < chatWindow }); err != nil {
			return sent, err
		}
	}
	return sent, p.until(ctx, func() bool { return done() >= sent })
}
