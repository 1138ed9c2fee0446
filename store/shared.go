package store

import (
	"context"
	"sync"
)

// share says for whom a read is.
type share struct {
	name     string
	maxReads int
}

type shareKey struct{}

// Shared marks the reads under ctx as those of one of many callers: at most most of those with this name run at once, and those
// of all names together leave three of four reading connections to everything that is not marked, which is messages. A read that
// has to wait does so until ctx ends, and before that time counts as MaxWait.
func Shared(ctx context.Context, name string, maxReads int) context.Context {
	return context.WithValue(ctx, shareKey{}, share{name, maxReads})
}

// sharedReads hands out turns to the reads that [Shared] marks. A caller waits for a turn of its own first: whoever asks for
// hundreds of reads stands in the common queue with a few of them.
type sharedReads struct {
	all chan struct{}

	mu  sync.Mutex
	own map[string]*ownReads
}

type ownReads struct {
	turns chan struct{}
	users int // reads that have or await a turn; none: it is forgotten
}

func newSharedReads(connections int) *sharedReads {
	return &sharedReads{all: make(chan struct{}, max(1, connections/4)), own: map[string]*ownReads{}}
}

// enter waits for a turn, which leave gives back. A read that is not marked has one.
func (s *sharedReads) enter(ctx context.Context) (leave func(), err error) {
	of, ok := ctx.Value(shareKey{}).(share)
	if !ok {
		return func() {}, nil
	}
	s.mu.Lock()
	o := s.own[of.name]
	if o == nil {
		o = &ownReads{turns: make(chan struct{}, max(1, of.maxReads))}
		s.own[of.name] = o
	}
	o.users++
	s.mu.Unlock()
	forget := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if o.users--; o.users == 0 {
			delete(s.own, of.name)
		}
	}
	for i, turns := range []chan struct{}{o.turns, s.all} {
		select {
		case turns <- struct{}{}:
			continue
		default:
		}
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
			if i == 1 {
				<-o.turns
			}
			forget()
			return nil, ctx.Err()
		}
	}
	return func() {
		<-s.all
		<-o.turns
		forget()
	}, nil
}
