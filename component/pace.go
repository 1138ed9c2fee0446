package component

import "sync"

// pace keeps batches from becoming small just when the server is busy. A conveyor that is faster than the server takes each
// message alone, and pays a commit for it that the server's own work then lacks (two cores: 400 commits for 600 group messages
// a second). So it looks when what it sent has been routed: while the copies of two or more batches, and paceCopies in all, are
// on their way, what comes waits, and the next batch takes it together. The server always has a batch to work on meanwhile.
type pace struct {
	mu      sync.Mutex
	copies  int // sent, and not known to be routed
	batches int // groups of them that a ping was sent behind
	unasked int // copies behind the last ping
	held    bool
	life    uint64
	room    chan struct{} // room for one: some were routed
}

const (
	paceCopies = 500 // about 14 ms of Openfire 4.2 (measured); fewer than that never wait
	paceAsk    = 100 // copies between two pings: one costs the server about as much as a copy
)

func newPace() *pace { return &pace{room: make(chan struct{}, 1)} }

// sent notes copies that were handed to the sender, and asks it to tell when they are routed.
func (p *pace) sent(sender Sender, n int) {
	p.mu.Lock()
	p.copies += n
	if p.unasked += n; p.unasked < paceAsk {
		p.mu.Unlock()
		return
	}
	asked, life := p.unasked, p.life
	p.unasked = 0
	p.batches++
	p.mu.Unlock()
	sender.Barrier(func(error) { // a lost link has nothing on its way either
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.life != life {
			return
		}
		p.copies -= asked
		p.batches--
		select {
		case p.room <- struct{}{}:
		default:
		}
	})
}

// full says whether the server has enough to do: from paceCopies on, until half of them are left.
func (p *pace) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := paceCopies
	if p.held {
		most /= 2
	}
	p.held = p.batches >= 2 && p.copies >= most
	return p.held
}

// reset forgets what was sent on a connection that is gone.
func (p *pace) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.life++
	p.copies, p.batches, p.unasked, p.held = 0, 0, 0, false
}
