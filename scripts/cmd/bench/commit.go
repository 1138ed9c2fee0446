package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"tlim/store"
)

// commitBatch is the conveyor's largest batch.
const commitBatch = 128

// listEvery is how often the conveyor moves a list entry.
const listEvery = time.Second

// commits is the store without anything around it: it writes the rows that the conveyor writes for the same messages, into
// an SQLite database beside tlim's.
type commits struct {
	store *store.Store
	epoch int64
	clock int64
	moved time.Time // when the list entries were last written
}

func openCommits(ctx context.Context, dir string) (*commits, error) {
	s, err := store.Open(ctx, store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "commits.db")})
	if err != nil {
		return nil, fmt.Errorf("bare commits: %w", err)
	}
	state, err := s.TakeOver(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bare commits: %w", err), s.Close())
	}
	c := &commits{store: s, epoch: state.Epoch, clock: time.Now().UnixMilli()}
	// The list entries and the group exist before: a conversation begins once.
	var change store.Change
	for i := range chatPairs {
		a, b := commitPair(i)
		for _, key := range []store.ChatKey{{Partner: a, Owner: b}, {Partner: b, Owner: a}} {
			change.Chats = append(change.Chats, store.Chat{ID: uuid.NewString(), Name: key.Partner, Partner: key.Partner, Owner: key.Owner,
				CreateTime: c.tick(), ModifyTime: c.tick()})
		}
	}
	change.Groups = []store.Group{{ID: commitGroup, Name: "bench", Owner: "m00", CreateTime: c.tick(), ModifyTime: c.tick()}}
	if err := c.apply(ctx, []store.Change{change}); err != nil {
		return nil, errors.Join(fmt.Errorf("bare commits: %w", err), s.Close())
	}
	return c, nil
}

const commitGroup = "4d5e7b52-2b5e-4b0e-9a65-0d6f5a4c3b21"

func commitPair(i int) (from, to string) {
	return fmt.Sprintf("m%02d", i), fmt.Sprintf("m%02d", chatPairs+i)
}

func (c *commits) tick() string {
	c.clock++
	return fmt.Sprintf("%013d", c.clock)
}

func (c *commits) apply(ctx context.Context, changes []store.Change) error {
	return c.store.Apply(ctx, c.epoch, store.Positions{Clock: c.clock, Delivered: c.clock - 1, Settled: c.clock - 1}, changes)
}

// message is the change of one message: a row and its id.
func (c *commits) message(kind, from, to, session, conversation string) store.Change {
	id, at := uuid.NewString(), c.tick()
	return store.Change{
		Message: &store.Message{ID: uuid.Must(uuid.NewV7()).String(), MsgID: id, Type: kind, From: from, To: to, Time: at,
			Body: `[{"text":"` + text + `"}]`, SessionID: session, Flags: "0,0,2.1.0"},
		IDs: []store.ID{{MsgID: id, Class: store.ClassMessage, From: from, Conversation: conversation, Time: at,
			Digest: "0123456789abcdef0123456789abcdef", State: store.Live}},
	}
}

// round commits batches of 1:1 messages for d.
func (c *commits) round(ctx context.Context, r *rig, d time.Duration) (sample Sample, err error) {
	meter, err := startMeter(0, r.server.PID)
	if err != nil {
		return sample, err
	}
	start := time.Now()
	for time.Since(start) < d {
		changes := make([]store.Change, commitBatch)
		for i := range changes {
			from, to := commitPair(i % chatPairs)
			changes[i] = c.message("MTT-000", from, to, from, from+" "+to)
		}
		if time.Since(c.moved) >= listEvery {
			c.moved = time.Now()
			for i := range chatPairs {
				a, b := commitPair(i)
				at := changes[i].Message.Time
				changes[i].Chats = []store.Chat{{Partner: a, Owner: b, ModifyTime: at}, {Partner: b, Owner: a, ModifyTime: at}}
			}
		}
		if err := c.apply(ctx, changes); err != nil {
			return sample, fmt.Errorf("bare commits: %w", err)
		}
		sample.Count += commitBatch
	}
	sample.Seconds = time.Since(start).Seconds()
	sample.Value = float64(sample.Count) / sample.Seconds
	return sample, meter.stop(&sample)
}

// one commits one group message and returns how long that took.
func (c *commits) one(ctx context.Context) (time.Duration, error) {
	change := c.message("MTS-000", "m00", commitGroup, commitGroup, commitGroup)
	if time.Since(c.moved) >= listEvery {
		c.moved = time.Now()
		change.TouchGroup = commitGroup
	}
	start := time.Now()
	if err := c.apply(ctx, []store.Change{change}); err != nil {
		return 0, fmt.Errorf("bare commit: %w", err)
	}
	return time.Since(start), nil
}
