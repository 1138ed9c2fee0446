package fairqueue

// Queue holds what waits, by conversation: in order within each, and fair between them by deficit round robin (Shreedhar and
// Varghese, 1995). Each conversation in turn may spend [Quantum], and keeps what it has saved while its first entry costs more. So
// one whose messages go to two thousand gets no more of what is shared than two people who write as fast as they can.
type Queue[T any] struct {
	flows      map[string]*Flow[T]
	head, tail *Flow[T]   // those whose turn comes, in its order
	parked     []*Flow[T] // those whose turn does not come
	entries    int        // of all
	ready      int        // of those that are not parked
	spare      []*Flow[T]
}

// Flow is one conversation with something that waits.
type Flow[T any] struct {
	Key     string
	entries []entry[T]
	first   int  // of entries that is still there
	cost    int  // of all entries
	saved   int  // what it may spend
	begun   bool // its turn has begun: it has got its quantum
	parked  bool
	next    *Flow[T]
}

type entry[T any] struct {
	value T
	cost  int
}

const (
	// Quantum is what one conversation may spend in its turn: some messages of one to one, or one to a group of fifty.
	Quantum       = 64
	maxSpareFlows = 256 // kept for the next conversations: a flow lives as long as one message, mostly
)

// New makes an empty Queue.
func New[T any]() *Queue[T] { return &Queue[T]{flows: map[string]*Flow[T]{}} }

// Len is how many entries wait.
func (q *Queue[T]) Len() int { return q.entries }

// Ready is how many of them wait in conversations whose turn comes.
func (q *Queue[T]) Ready() int { return q.ready }

// Of finds a conversation; nil when nothing of it waits.
func (q *Queue[T]) Of(key string) *Flow[T] { return q.flows[key] }

// Len is how many entries of the conversation wait, Cost what they cost together.
func (f *Flow[T]) Len() int  { return len(f.entries) - f.first }
func (f *Flow[T]) Cost() int { return f.cost }

// Front and Back are the first and the last entry that wait.
func (f *Flow[T]) Front() T { return f.entries[f.first].value }
func (f *Flow[T]) Back() T  { return f.entries[len(f.entries)-1].value }

// Price is what the first entry costs.
func (f *Flow[T]) Price() int { return f.entries[f.first].cost }

// Pay takes from what the conversation may spend, for a part of its first entry.
func (f *Flow[T]) Pay(cost int) { f.saved -= cost }

// Push adds an entry behind those of its conversation.
func (q *Queue[T]) Push(key string, value T, cost int) {
	f := q.flow(key)
	if f.first > len(f.entries)/2 { // or a conversation in which something always waits would grow for ever
		n := copy(f.entries, f.entries[f.first:])
		clear(f.entries[n:])
		f.entries, f.first = f.entries[:n], 0
	}
	f.entries = append(f.entries, entry[T]{value, cost})
	q.added(f, cost)
}

// GiveBack puts an entry before those of its conversation, and gives back what it has paid: it was taken in vain.
func (q *Queue[T]) GiveBack(key string, value T, cost int) {
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

func (q *Queue[T]) added(f *Flow[T], cost int) {
	f.cost += cost
	q.entries++
	if !f.parked {
		q.ready++
	}
}

// flow finds a conversation's, or begins it.
func (q *Queue[T]) flow(key string) *Flow[T] {
	f := q.flows[key]
	if f != nil {
		return f
	}
	if n := len(q.spare); n > 0 {
		f, q.spare = q.spare[n-1], q.spare[:n-1]
	} else {
		f = &Flow[T]{}
	}
	f.Key = key
	q.flows[key] = f
	q.enlist(f)
	return f
}

func (q *Queue[T]) enlist(f *Flow[T]) {
	if q.tail == nil {
		q.head = f
	} else {
		q.tail.next = f
	}
	q.tail = f
}

// unlink takes the first one out of the row.
func (q *Queue[T]) unlink() *Flow[T] {
	f := q.head
	if q.head = f.next; q.head == nil {
		q.tail = nil
	}
	f.next = nil
	return f
}

// Turn is the conversation whose turn it is to spend what cost says of its first entry, by its value and what it costs; nil when none is ready. It stays its turn,
// whatever is done in between, until its savings do not suffice.
func (q *Queue[T]) Turn(cost func(value T, cost int) int) *Flow[T] {
	for q.head != nil {
		f := q.head
		if !f.begun {
			f.begun = true
			f.saved += Quantum
		}
		if f.saved >= cost(f.Front(), f.Price()) {
			return f
		}
		f.begun = false
		q.enlist(q.unlink())
	}
	return nil
}

// Take removes the first entry of the conversation whose turn it is, and lets it pay.
func (q *Queue[T]) Take(paid int) T {
	f := q.head
	e := f.entries[f.first]
	f.entries[f.first] = entry[T]{}
	f.first++
	f.cost -= e.cost
	f.saved -= paid
	q.entries--
	q.ready--
	if f.Len() == 0 {
		q.unlink()
		delete(q.flows, f.Key)
		*f = Flow[T]{entries: f.entries[:0]}
		if len(q.spare) < maxSpareFlows && cap(f.entries) <= Quantum {
			q.spare = append(q.spare, f)
		}
	}
	return e.value
}

// Park lets the conversation whose turn it is wait for Unpark. It keeps what its first entry costs, or those that have to save for long would
// never be the first to use the room that there is then. It cannot save more meanwhile.
func (q *Queue[T]) Park(cost int) {
	f := q.unlink()
	f.parked, f.begun, f.saved = true, false, min(f.saved, cost)
	q.ready -= f.Len()
	q.parked = append(q.parked, f)
}

// Unpark brings back those that may go on.
func (q *Queue[T]) Unpark(may func(*Flow[T]) bool) {
	kept := q.parked[:0]
	for _, f := range q.parked {
		if !may(f) {
			kept = append(kept, f)
			continue
		}
		f.parked = false
		q.ready += f.Len()
		q.enlist(f)
	}
	clear(q.parked[len(kept):])
	q.parked = kept
}

// Each visits all entries: in order within a conversation, in none between them.
func (q *Queue[T]) Each(visit func(T)) {
	for _, f := range q.flows {
		for _, e := range f.entries[f.first:] {
			visit(e.value)
		}
	}
}

// Clear forgets all.
func (q *Queue[T]) Clear() { *q = *New[T]() }
