package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"tlim/scripts/cmd/faults/checker"
)

// journal writes the history of a round, and tells those who wait how messages flow.
type journal struct {
	mu     sync.Mutex
	file   *os.File
	out    *bufio.Writer
	err    error
	change *sync.Cond

	made map[string]time.Time // messages without an acknowledgement: when they were first sent
	last time.Time            // of the last acknowledgement, or the begin of the watch
	gap  time.Duration        // longest since watch
	mark time.Time            // since fresh
	new  int                  // acknowledgements of messages that were first sent after mark
	who  map[string]bool      // and their senders
	odd  int
}

func newJournal() *journal {
	j := &journal{made: map[string]time.Time{}, who: map[string]bool{}, last: time.Now()}
	j.change = sync.NewCond(&j.mu)
	return j
}

// begin opens the file of a round.
func (j *journal) begin(path string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	j.file, j.out = f, bufio.NewWriter(f)
	return nil
}

// end closes it. The error is the first of all writes.
func (j *journal) end() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := errors.Join(j.err, j.out.Flush(), j.file.Close())
	j.file, j.out, j.err = nil, nil, nil
	return err
}

func (j *journal) add(e checker.Event) {
	now := time.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	if e.At == 0 {
		e.At = now.UnixMilli()
	}
	text, err := json.Marshal(e)
	if err == nil {
		_, err = j.out.Write(append(text, '\n'))
	}
	if j.err == nil {
		j.err = err
	}
	switch e.Kind {
	case checker.Odd:
		j.odd++
		fmt.Println("  ODD:", e.Text)
	case checker.Sent:
		if _, again := j.made[e.Message]; !again {
			j.made[e.Message] = now
		}
	case checker.Acknowledged:
		j.gap = max(j.gap, now.Sub(j.last))
		j.last = now
		if at, open := j.made[e.Message]; open && at.After(j.mark) {
			j.new++
			j.who[e.User] = true
		}
		delete(j.made, e.Message)
		j.change.Broadcast()
	}
}

// watch begins to look for the longest pause.
func (j *journal) watch() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last, j.gap = time.Now(), 0
}

// pause is the longest time without an acknowledgement since watch.
func (j *journal) pause() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.gap
}

// flows returns when n messages of several people that are sent from now on have been acknowledged, or after limit.
func (j *journal) flows(n, people int, limit time.Duration) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mark, j.new = time.Now(), 0
	clear(j.who)
	return j.await(limit, func() bool { return j.new >= n && len(j.who) >= people })
}

// settled returns when nothing that was sent lacks its acknowledgement, or after limit.
func (j *journal) settled(limit time.Duration) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.await(limit, func() bool { return len(j.made) == 0 })
}

func (j *journal) await(limit time.Duration, ready func() bool) error {
	over := false
	timer := time.AfterFunc(limit, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		over = true
		j.change.Broadcast()
	})
	defer timer.Stop()
	for !ready() {
		if over {
			return fmt.Errorf("after %s %d messages of %d people were acknowledged, %d are open", limit, j.new, len(j.who), len(j.made))
		}
		j.change.Wait()
	}
	return nil
}
