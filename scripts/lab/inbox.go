package lab

import (
	"context"
	"fmt"
	"sort"
	"sync"
)

// inbox is a bounded queue from which a particular item can be taken, not only the first: tests wait for one message and then for
// another that came earlier.
type inbox[T any] struct {
	mu      sync.Mutex
	items   []numbered[T]
	last    int           // number of the newest item
	arrived chan struct{} // closed and replaced at each arrival, nil while nobody waits
	err     error
}

// numbered lets those who wait skip what they have refused, also after somebody else took some of it.
type numbered[T any] struct {
	number int
	item   T
}

// put says false when the inbox is full.
func (b *inbox[T]) put(item T) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) >= inboxSize {
		return false
	}
	b.last++
	b.items = append(b.items, numbered[T]{b.last, item})
	b.wake()
	return true
}

// close makes waiting end with err once nothing wanted is left.
func (b *inbox[T]) close(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
	b.wake()
}

func (b *inbox[T]) wake() {
	if b.arrived != nil {
		close(b.arrived)
		b.arrived = nil
	}
}

// take waits for the first item that wanted accepts.
func (b *inbox[T]) take(ctx context.Context, wanted func(T) bool) (T, error) {
	var none T
	refused := 0 // all up to this number
	for {
		b.mu.Lock()
		for i := sort.Search(len(b.items), func(i int) bool { return b.items[i].number > refused }); i < len(b.items); i++ {
			item := b.items[i].item
			if !wanted(item) {
				continue
			}
			if i == 0 {
				b.items[0].item = none // not kept alive by the array
				b.items = b.items[1:]
			} else {
				b.items = append(b.items[:i], b.items[i+1:]...)
			}
			b.mu.Unlock()
			return item, nil
		}
		refused = b.last
		others := len(b.items)
		if b.err != nil {
			err := b.err
			b.mu.Unlock()
			return none, err
		}
		if b.arrived == nil {
			b.arrived = make(chan struct{})
		}
		arrived := b.arrived
		b.mu.Unlock()

		select {
		case <-arrived:
		case <-ctx.Done():
			return none, fmt.Errorf("nothing of what was waited for (%d others are here): %w", others, ctx.Err())
		}
	}
}

func (b *inbox[T]) drain() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := make([]T, len(b.items))
	for i, n := range b.items {
		items[i] = n.item
	}
	b.items = nil
	return items
}
