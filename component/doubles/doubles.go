package doubles

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"tlim/component/pause"
)

// Clock stands still until it is moved.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// NewClock makes a clock that shows t.
func NewClock(t time.Time) *Clock { return &Clock{t: t} }

// Now is what it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Move lets d pass.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// Log keeps what is written to it.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String is all that was written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Count says how often a text is in it.
func (l *Log) Count(text string) int { return strings.Count(l.String(), text) }

// Finder is a server that tells of accounts. It keeps what it was asked. Set its fields before it is used, and by [Finder.Set] after that.
type Finder struct {
	There  []string      // who has an account
	Fail   error         // the answer about all others; nil: there is none
	Silent []string      // of whom it says nothing
	Takes  time.Duration // for an answer

	mu      sync.Mutex
	asked   []string
	waiting int // questions without an answer,
	highest int // and how many of them there were at most
}

// HasAccount answers a question.
func (f *Finder) HasAccount(ctx context.Context, local string) (bool, error) {
	f.mu.Lock()
	f.asked = append(f.asked, local)
	f.waiting++
	f.highest = max(f.highest, f.waiting)
	there, fail, silent, takes := slices.Contains(f.There, local), f.Fail, slices.Contains(f.Silent, local), f.Takes
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.waiting--
		f.mu.Unlock()
	}()
	switch {
	case silent:
		<-ctx.Done()
		return false, ctx.Err()
	case takes > 0 && pause.For(ctx, takes) != nil:
		return false, ctx.Err()
	case there:
		return true, nil
	}
	return false, fail
}

// Questions are those since the last call, in the order of the alphabet.
func (f *Finder) Questions() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.Sort(f.asked)
	list := strings.Join(f.asked, " ")
	f.asked = nil
	return list
}

// Waiting is how many questions have no answer yet.
func (f *Finder) Waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waiting
}

// TakeHighest is how many questions waited at most since the last call.
func (f *Finder) TakeHighest() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.highest
	f.highest = f.waiting
	return n
}

// Set changes what it answers.
func (f *Finder) Set(change func(*Finder)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}
