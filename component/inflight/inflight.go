package inflight

import (
	"sync"
	"time"

	"tlim/component/stanza"
	"tlim/component/trigger"
)

// Window counts the copies that were handed to the sender and that the server is not known to have routed: it reads and queues without a
// bound, and a busy group would fill its heap within seconds (measured). An XEP-0199 ping behind them proves that they were routed. It does two
// things with that count.
//
// It bounds it: no more than Room says may be handed over. The bound follows the server's speed, by the time that its answers take, so
// that what was handed over is routed within about slowAnswer: whatever comes next waits no longer than that.
//
// And it keeps batches from becoming small just when the server is busy. A conveyor that is faster than the server takes each message
// alone, and pays a commit for it that the server's own work then lacks (two cores: 400 commits for 600 group messages a second). So
// while the copies of two or more batches, and BusyCopies in all, are on their way, what comes waits, and the next batch takes it
// together. The server always has a batch to work on meanwhile.
type Window struct {
	now func() time.Time
	Min int // bounds of the bound
	Max int

	mu      sync.Mutex
	Bound   int // copies
	copies  int // handed over, and not known to be routed
	bytes   int // of them
	batches int // groups of them that a ping was sent behind
	unasked Load
	short   bool      // the bound has kept something back since it was last looked at
	slowed  time.Time // answers to questions from before do not lower the bound again
	held    bool
	life    uint64
	wake    trigger.Trigger // some were routed
}

// Sender tells when the server has routed what was queued; done must not block.
type Sender interface {
	Barrier(done func(error))
}

// Load is a number of copies and their bytes.
type Load struct{ Copies, Bytes int }

const (
	BusyCopies = 500 // about 14 ms of Openfire 4.2 (measured); fewer than that never wait
	AskCopies  = 100 // between two pings: one costs the server about as much as a copy
	askBytes   = 128 << 10

	// The bound, in copies: what an Openfire 4.2 routes in 100 ms when it shares a busy machine, when it has just begun, and when it has two
	// cores for itself.
	minBound     = 300
	initialBound = 500
	maxBound     = 6000
	BytesPerCopy = 1 << 10 // for each copy of the bound: an envelope of 350 bytes makes a copy of 700
	// slowAnswer is how long the answer to a ping may take before less is handed over: other conversations' messages wait for what was.
	slowAnswer = 120 * time.Millisecond
)

// New makes a window with nothing in it.
func New(now func() time.Time) *Window {
	return &Window{now: now, Min: minBound, Bound: initialBound, Max: maxBound, wake: trigger.New()}
}

// Room is how much more may be handed over.
type Room struct {
	Load
	idle bool // nothing is on its way: one copy may go, whatever its size
}

// Fits is how many of these copies may be handed over now.
func (r Room) Fits(copies, size int) int {
	n := min(copies, r.Copies, r.Bytes/size)
	if n <= 0 && r.idle {
		return min(copies, 1)
	}
	return max(n, 0)
}

// Take is the room that is left after some.
func (r Room) Take(l Load) Room {
	return Room{Load{r.Copies - l.Copies, r.Bytes - l.Bytes}, r.idle && l.Copies == 0}
}

// Wake tells one goroutine that some of what was handed over was routed, or that the link is lost.
func (w *Window) Wake() <-chan struct{} { return w.wake }

// Room is how much more may be handed over. A caller that has more than that is told by Wake when to look again.
func (w *Window) Room() Room {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Room{Load{w.Bound - w.copies, w.Bound*BytesPerCopy - w.bytes}, w.copies == 0}
}

// Sent notes what was handed to the sender, and asks it to tell when that is routed.
func (w *Window) Sent(sender Sender, l Load) {
	w.mu.Lock()
	w.copies += l.Copies
	w.bytes += l.Bytes
	w.unasked.Copies += l.Copies
	w.unasked.Bytes += l.Bytes
	if w.unasked.Copies < AskCopies && w.unasked.Bytes < askBytes {
		w.mu.Unlock()
		return
	}
	w.ask(sender)
}

// Full notes that there was more to hand over than room: the answer to a ping will tell of room, so one must be under way.
func (w *Window) Full(sender Sender) {
	w.mu.Lock()
	w.short = true
	if w.batches > 0 || w.unasked.Copies == 0 {
		w.mu.Unlock()
		return
	}
	w.ask(sender)
}

// ask sends a ping behind what was handed over. It is called with the lock held, and gives it up.
func (w *Window) ask(sender Sender) {
	asked, life, at := w.unasked, w.life, w.now()
	w.unasked = Load{}
	w.batches++
	w.mu.Unlock()
	sender.Barrier(func(err error) { // a lost link has nothing on its way either
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.life != life {
			return
		}
		w.copies -= asked.Copies
		w.bytes -= asked.Bytes
		w.batches--
		if err == nil {
			w.adapt(at, asked.Copies)
		}
		w.wake.Fire()
	})
}

// adapt moves the bound: down by a quarter when an answer was slow, once for all that was on its way by then, and up by a part of what
// was routed in time while the bound kept something back.
func (w *Window) adapt(asked time.Time, copies int) {
	now := w.now()
	switch {
	case now.Sub(asked) > slowAnswer:
		if asked.After(w.slowed) {
			w.Bound, w.slowed = max(w.Min, w.Bound*3/4), now
		}
	case w.short:
		w.Bound = min(w.Max, w.Bound+max(1, copies/8))
		w.short = false
	}
}

// Busy says whether the server has enough to do: from BusyCopies on, until half of them are left.
func (w *Window) Busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	maxCopies := BusyCopies
	if w.held {
		maxCopies /= 2
	}
	w.held = w.batches >= 2 && w.copies >= maxCopies
	return w.held
}

// Reset forgets what was sent on a connection that is gone. The bound stays: it is the same server, mostly.
func (w *Window) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.life++
	w.copies, w.bytes, w.batches, w.unasked, w.held = 0, 0, 0, Load{}, false
}

// Now are for the metrics, and for how much may wait.
func (w *Window) Now() (now Load, bound int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Load{w.copies, w.bytes}, w.Bound
}

// copyHead is what a copy has around its payload, about, in bytes.
const copyHead = 160

// SizeOf is how many bytes a copy of a delivery has, about.
func SizeOf(d *stanza.Delivery) int { return len(d.Payload) + copyHead }

// LoadOf is what a delivery puts on the server.
func LoadOf(d *stanza.Delivery) Load { return Load{len(d.To), len(d.To) * SizeOf(d)} }
