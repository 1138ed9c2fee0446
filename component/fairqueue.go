package component

// fairQueue holds what waits, by conversation: in order within each, and fair between them by deficit round robin (Shreedhar and
// Varghese, 1995). Each conversation in turn may spend fairQuantum, and keeps what it has saved while its first entry costs more. So
// one whose messages go to two thousand gets no more of what is shared than two people who write as fast as they can. It belongs to
// one goroutine.
type fairQueue[T any] struct {
	flows      map[string]*flow[T]
	head, tail *flow[T]   // those whose turn comes, in its order
	parked     []*flow[T] // those whose turn does not come
	entries    int        // of all
	ready      int        // of those that are not parked
	spare      []*flow[T]
}

// flow is one conversation with something that waits.
type flow[T any] struct {
	key     string
	entries []entry[T]
	first   int  // of entries that is still there
	cost    int  // of all entries
	saved   int  // what it may spend
	begun   bool // its turn has begun: it has got its quantum
	parked  bool
	next    *flow[T]
}

type entry[T any] struct {
	value T
	cost  int
}

const (
	// fairQuantum is what one conversation may spend in its turn: some messages of one to one, or one to a group of fifty.
	fairQuantum = 64
	spareFlows  = 256 // kept for the next conversations: a flow lives as long as one message, mostly
)

func newFairQueue[T any]() *fairQueue[T] { return &fairQueue[T]{flows: map[string]*flow[T]{}} }

func (f *flow[T]) len() int         { return len(f.entries) - f.first }
func (f *flow[T]) front() *entry[T] { return &f.entries[f.first] }

// push adds an entry behind those of its conversation.
func (q *fairQueue[T]) push(key string, value T, cost int) {
	f := q.flow(key)
	if f.first > len(f.entries)/2 { // or a conversation in which something always waits would grow for ever
		n := copy(f.entries, f.entries[f.first:])
		clear(f.entries[n:])
		f.entries, f.first = f.entries[:n], 0
	}
	f.entries = append(f.entries, entry[T]{value, cost})
	q.added(f, cost)
}

// giveBack puts an entry before those of its conversation, and gives back what it has paid: it was taken in vain.
func (q *fairQueue[T]) giveBack(key string, value T, cost int) {
	f := q.flow(key)
	if f.first == 0 {
		f.entries = append(f.entries, entry[T]{})
		copy(f.entries[1:], f.entries)
		f.first++
	}
	f.first--
	f.entries[f.first] = entry[T]{value, cost}
	f.saved += cost
	q.added(f, cost)
}

func (q *fairQueue[T]) added(f *flow[T], cost int) {
	f.cost += cost
	q.entries++
	if !f.parked {
		q.ready++
	}
}

// flow finds a conversation's, or begins it.
func (q *fairQueue[T]) flow(key string) *flow[T] {
	f := q.flows[key]
	if f != nil {
		return f
	}
	if n := len(q.spare); n > 0 {
		f, q.spare = q.spare[n-1], q.spare[:n-1]
	} else {
		f = &flow[T]{}
	}
	f.key = key
	q.flows[key] = f
	q.enlist(f)
	return f
}

func (q *fairQueue[T]) enlist(f *flow[T]) {
	if q.tail == nil {
		q.head = f
	} else {
		q.tail.next = f
	}
	q.tail = f
}

// unlink takes the first one out of the row.
func (q *fairQueue[T]) unlink() *flow[T] {
	f := q.head
	if q.head = f.next; q.head == nil {
		q.tail = nil
	}
	f.next = nil
	return f
}

// turn is the conversation whose turn it is to spend what cost says of its first entry; nil when none is ready. It stays its turn,
// whatever is done in between, until its savings do not suffice.
func (q *fairQueue[T]) turn(cost func(*entry[T]) int) *flow[T] {
	for q.head != nil {
		f := q.head
		if !f.begun {
			f.begun = true
			f.saved += fairQuantum
		}
		if f.saved >= cost(f.front()) {
			return f
		}
		f.begun = false
		q.enlist(q.unlink())
	}
	return nil
}

// take removes the first entry of the conversation whose turn it is, and lets it pay.
func (q *fairQueue[T]) take(paid int) T {
	f := q.head
	e := *f.front()
	*f.front() = entry[T]{}
	f.first++
	f.cost -= e.cost
	f.saved -= paid
	q.entries--
	q.ready--
	if f.len() == 0 {
		q.unlink()
		delete(q.flows, f.key)
		*f = flow[T]{entries: f.entries[:0]}
		if len(q.spare) < spareFlows && cap(f.entries) <= fairQuantum {
			q.spare = append(q.spare, f)
		}
	}
	return e.value
}

// park lets the conversation whose turn it is wait for unpark. It keeps what its first entry costs, or those that have to save for long would
// never be the first to use the room that there is then. It cannot save more meanwhile.
func (q *fairQueue[T]) park(cost int) {
	f := q.unlink()
	f.parked, f.begun, f.saved = true, false, min(f.saved, cost)
	q.ready -= f.len()
	q.parked = append(q.parked, f)
}

// unpark brings back those that may go on.
func (q *fairQueue[T]) unpark(may func(*flow[T]) bool) {
	kept := q.parked[:0]
	for _, f := range q.parked {
		if !may(f) {
			kept = append(kept, f)
			continue
		}
		f.parked = false
		q.ready += f.len()
		q.enlist(f)
	}
	clear(q.parked[len(kept):])
	q.parked = kept
}

// each visits all entries: in order within a conversation, in none between them.
func (q *fairQueue[T]) each(visit func(T)) {
	for _, f := range q.flows {
		for _, e := range f.entries[f.first:] {
			visit(e.value)
		}
	}
}

// clear forgets all.
func (q *fairQueue[T]) clear() { *q = *newFairQueue[T]() }
