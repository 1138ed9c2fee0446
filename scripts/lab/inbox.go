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
func (i *inbox[T]) put(item T) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.items) >= inboxSize {
		return false
	}
	i.last++
	i.items = append(i.items, numbered[T]{i.last, item})
	i.wake()
	return true
}

// close makes waiting end with err once nothing wanted is left.
func (i *inbox[T]) close(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.err = err
	i.wake()
}

func (i *inbox[T]) wake() {
	if i.arrived != nil {
		close(i.arrived)
		i.arrived = nil
	}
}

// take waits for the first item that wanted accepts.
func (i *inbox[T]) take(ctx context.Context, wanted func(T) bool) (T, error) {
	var none T
	refused := 0 // all up to this number
	for {
		i.mu.Lock()
		for at := sort.Search(len(i.items), func(at int) bool { return i.items[at].number > refused }); at < len(i.items); at++ {
			item := i.items[at].item
			if !wanted(item) {
				continue
			}
			if at == 0 {
				i.items[0].item = none // not kept alive by the array
				i.items = i.items[1:]
			} else {
				i.items = append(i.items[:at], i.items[at+1:]...)
			}
			i.mu.Unlock()
			return item, nil
		}
		refused = i.last
		others := len(i.items)
		if i.err != nil {
			err := i.err
			i.mu.Unlock()
			return none, err
		}
		if i.arrived == nil {
			i.arrived = make(chan struct{})
		}
		arrived := i.arrived
		i.mu.Unlock()

		select {
		case <-arrived:
		case <-ctx.Done():
			return none, fmt.Errorf("nothing of what was waited for (%d others are here): %w", others, ctx.Err())
		}
	}
}

func (i *inbox[T]) drain() []T {
	i.mu.Lock()
	defer i.mu.Unlock()
	items := make([]T, len(i.items))
	for at, n := range i.items {
		items[at] = n.item
	}
	i.items = nil
	return items
}
