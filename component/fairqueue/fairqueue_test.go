package fairqueue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func ownCost(_ string, cost int) int { return cost }

// drainQueue takes what is ready, in its order, n entries at most.
func drainQueue(q *Queue[string], n int) (list []string) {
	for len(list) < n {
		f := q.Turn(ownCost)
		if f == nil {
			break
		}
		list = append(list, q.Take(f.Price()))
	}
	return list
}

// TestFairShares: a conversation of large messages and one of small ones spend the same, whatever waits in the other.
func TestFairShares(t *testing.T) {
	q := New[string]()
	for range 100 {
		q.Push("large", "large", 2000)
	}
	for range 100_000 {
		q.Push("small", "small", 5)
	}
	spent := map[string]int{}
	for _, what := range drainQueue(q, 20_000) {
		if what == "large" {
			spent[what] += 2000
		} else {
			spent[what] += 5
		}
	}
	if d := spent["large"] - spent["small"]; d > 2000+Quantum || d < -2000-Quantum {
		t.Errorf("spent %v, want at most %v apart", spent, 2000+Quantum)
	}
}

// TestFairNewcomer: what comes last waits for one turn of each that waits, not for all that they have.
func TestFairNewcomer(t *testing.T) {
	q := New[string]()
	for i := range 10 {
		for range 1000 {
			q.Push(fmt.Sprint("busy", i), "busy", 60)
		}
	}
	drainQueue(q, 100)
	q.Push("new", "new", 1)
	if at := slices.Index(drainQueue(q, 1000), "new"); at < 0 || at > 10 {
		t.Errorf("got its turn after %d others, want 0 to 10", at)
	}
}

// TestFairOrder: in each conversation, whatever is given back or parked between, what was pushed first is taken first, and nothing is lost.
func TestFairOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	q := New[string]()
	pushed, taken := map[string][]string{}, map[string][]string{}
	for i := range 50_000 {
		key := fmt.Sprint("k", rnd.IntN(12))
		switch n := rnd.IntN(100); {
		case n < 48:
			value := fmt.Sprint(key, "/", i)
			q.Push(key, value, 1+rnd.IntN(300))
			pushed[key] = append(pushed[key], value)
		case n < 92:
			f := q.Turn(ownCost)
			if f == nil {
				continue
			}
			key, cost := f.Key, f.Price()
			value := q.Take(cost)
			if rnd.IntN(10) == 0 {
				q.GiveBack(key, value, cost)
			} else {
				taken[key] = append(taken[key], value)
			}
		case n < 95:
			if f := q.Turn(ownCost); f != nil {
				q.Park(f.Price())
			}
		default:
			q.Unpark(func(*Flow[string]) bool { return rnd.IntN(2) == 0 })
		}
		ready, all := 0, 0
		for _, f := range q.flows {
			all += f.Len()
			if !f.parked {
				ready += f.Len()
			}
		}
		if ready != q.ready || all != q.entries {
			t.Fatalf("got %d ready of %d, want %d of %d", q.ready, q.entries, ready, all)
		}
	}
	q.Unpark(func(*Flow[string]) bool { return true })
	for f := q.Turn(ownCost); f != nil; f = q.Turn(ownCost) {
		key := f.Key
		taken[key] = append(taken[key], q.Take(f.Price()))
	}
	for key := range pushed {
		if !slices.Equal(pushed[key], taken[key]) {
			t.Errorf("%s: got %v, want %v", key, taken[key], pushed[key])
		}
	}
	if q.entries != 0 || q.ready != 0 || len(q.flows) != 0 || q.head != nil {
		t.Errorf("left at the end: got %d entries, %d ready, %d flows, want none", q.entries, q.ready, len(q.flows))
	}
}

// TestFairPark: what has saved for a large entry and was parked then need not save again, and cannot save more by being parked.
func TestFairPark(t *testing.T) {
	q := New[string]()
	q.Push("large", "large", 2000)
	for range 1000 {
		q.Push("small", "small", 60)
	}
	saved := func() *Flow[string] {
		for f := q.Turn(ownCost); ; f = q.Turn(ownCost) {
			if f.Key == "large" {
				return f
			}
			q.Take(60)
		}
	}
	saved()
	before := q.entries
	for range 100 {
		q.Park(2000)
		q.Unpark(func(*Flow[string]) bool { return true })
		if f := saved(); f.saved > 2000+Quantum {
			t.Fatalf("it has saved %d, want at most %d", f.saved, 2000+Quantum)
		}
	}
	if n := before - q.entries; n > 2*100 {
		t.Errorf("%d others had their turn while it was parked 100 times, want at most %d", n, 2*100)
	}
}

// TestFairMemory: a conversation in which something always waits does not grow.
func TestFairMemory(t *testing.T) {
	q := New[string]()
	q.Push("k", "x", 1)
	for range 100_000 {
		q.Push("k", "x", 1)
		drainQueue(q, 1)
	}
	if n := cap(q.flows["k"].entries); n > 16 {
		t.Errorf("room for %d entries of one that waits, want at most 16", n)
	}
}

func BenchmarkFairQueue(b *testing.B) {
	keys := make([]string, 128)
	for i := range keys {
		keys[i] = fmt.Sprint("zhangsan lisi", i)
	}
	q := New[string]()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		q.Push(keys[i%len(keys)], "", 5)
		if i%len(keys) == len(keys)-1 {
			for f := q.Turn(ownCost); f != nil; f = q.Turn(ownCost) {
				q.Take(5)
			}
		}
	}
}
