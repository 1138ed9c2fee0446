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
// It bounds it: no more than room says may be handed over. The bound follows the server's speed, by the time that its answers take, so
// that what was handed over is routed within about slowAnswer: whatever comes next waits no longer than that.
//
// And it keeps batches from becoming small just when the server is busy. A conveyor that is faster than the server takes each message
// alone, and pays a commit for it that the server's own work then lacks (two cores: 400 commits for 600 group messages a second). So
// while the copies of two or more batches, and paceCopies in all, are on their way, what comes waits, and the next batch takes it
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
	Wake    trigger.Trigger // room for one: some were routed
}

// Sender tells when the server has routed what was queued; done must not block.
type Sender interface {
	Barrier(done func(error))
}

// Load is a number of copies and their bytes.
type Load struct{ Copies, Bytes int }

const (
	PaceCopies = 500 // about 14 ms of Openfire 4.2 (measured); fewer than that never wait
	AskCopies  = 100 // between two pings: one costs the server about as much as a copy
	askBytes   = 128 << 10

	// The bound, in copies: what an Openfire 4.2 routes in 100 ms when it shares a busy machine, when it has just begun, and when it has two
	// cores for itself.
	minBound   = 300
	firstBound = 500
	maxBound   = 6000
	BoundBytes = 1 << 10 // for each copy of the bound: an envelope of 350 bytes makes a copy of 700
	// slowAnswer is how long the answer to a ping may take before less is handed over: other conversations' messages wait for what was.
	slowAnswer = 120 * time.Millisecond
)

// New makes a window with nothing in it.
func New(now func() time.Time) *Window {
	return &Window{now: now, Min: minBound, Bound: firstBound, Max: maxBound, Wake: trigger.New()}
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

// Room is how much more may be handed over. A caller that has more than that is told by wake when to look again.
func (f *Window) Room() Room {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Room{Load{f.Bound - f.copies, f.Bound*BoundBytes - f.bytes}, f.copies == 0}
}

// Sent notes what was handed to the sender, and asks it to tell when that is routed.
func (f *Window) Sent(sender Sender, l Load) {
	f.mu.Lock()
	f.copies += l.Copies
	f.bytes += l.Bytes
	f.unasked.Copies += l.Copies
	f.unasked.Bytes += l.Bytes
	if f.unasked.Copies < AskCopies && f.unasked.Bytes < askBytes {
		f.mu.Unlock()
		return
	}
	f.ask(sender)
}

// Full notes that there was more to hand over than room: the answer to a ping will tell of room, so one must be under way.
func (f *Window) Full(sender Sender) {
	f.mu.Lock()
	f.short = true
	if f.batches > 0 || f.unasked.Copies == 0 {
		f.mu.Unlock()
		return
	}
	f.ask(sender)
}

// ask sends a ping behind what was handed over. It is called with the lock held, and gives it up.
func (f *Window) ask(sender Sender) {
	asked, life, at := f.unasked, f.life, f.now()
	f.unasked = Load{}
	f.batches++
	f.mu.Unlock()
	sender.Barrier(func(err error) { // a lost link has nothing on its way either
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.life != life {
			return
		}
		f.copies -= asked.Copies
		f.bytes -= asked.Bytes
		f.batches--
		if err == nil {
			f.adapt(at, asked.Copies)
		}
		f.Wake.Fire()
	})
}

// adapt moves the bound: down by a quarter when an answer was slow, once for all that was on its way by then, and up by a part of what
// was routed in time while the bound kept something back.
func (f *Window) adapt(asked time.Time, copies int) {
	now := f.now()
	switch {
	case now.Sub(asked) > slowAnswer:
		if asked.After(f.slowed) {
			f.Bound, f.slowed = max(f.Min, f.Bound*3/4), now
		}
	case f.short:
		f.Bound = min(f.Max, f.Bound+max(1, copies/8))
		f.short = false
	}
}

// Busy says whether the server has enough to do: from paceCopies on, until half of them are left.
func (f *Window) Busy() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	most := PaceCopies
	if f.held {
		most /= 2
	}
	f.held = f.batches >= 2 && f.copies >= most
	return f.held
}

// Reset forgets what was sent on a connection that is gone. The bound stays: it is the same server, mostly.
func (f *Window) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.life++
	f.copies, f.bytes, f.batches, f.unasked, f.held = 0, 0, 0, Load{}, false
}

// Now are for the metrics, and for how much may wait.
func (f *Window) Now() (now Load, bound int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Load{f.copies, f.bytes}, f.Bound
}

// copyHead is what a copy has around its payload, about, in bytes.
const copyHead = 160

// SizeOf is how many bytes a copy of a delivery has, about.
func SizeOf(d *stanza.Delivery) int { return len(d.Payload) + copyHead }

// LoadOf is what a delivery puts on the server.
func LoadOf(d *stanza.Delivery) Load { return Load{len(d.To), len(d.To) * SizeOf(d)} }
