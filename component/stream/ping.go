package stream

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"tlim/component/stanza"
)

// pings are the XEP-0199 pings under way on one link. A server works a stream off in order, so they are answered in order,
// each as proof that all before it was routed.
type pings struct {
	mu      sync.Mutex
	waiting []*ping
	proof   time.Time // of the last answer
	closed  bool
}

type ping struct {
	id   string
	pos  uint64      // end of it in the stream of what is written
	owed time.Time   // since when the server owes the answer; zero while it is not the oldest one that is written
	done func(error) // may be nil
}

// maxPings bounds the barriers that wait on one link: each is asked for by a caller that then waits for it.
const maxPings = 1000

// Barrier asks for proof that the server has routed all that was delivered and posted before, by pinging it on every link.
// It does not block. done(nil) is the proof; done(err) means that the link was lost, and that nothing is known. It is called
// once, on a goroutine of this package, and must not block.
func (l *Links) Barrier(done func(error)) {
	s := l.current.Load()
	if s == nil {
		go done(ErrDown)
		return
	}
	b := &barrier{left: len(s.links), done: done}
	for _, k := range s.links {
		if !k.ping(b.part) {
			go b.part(ErrDown) // not on the caller's goroutine, which may hold what done needs
		}
	}
}

// barrier waits for the pings of all links.
type barrier struct {
	mu   sync.Mutex
	left int
	done func(error)
}

func (b *barrier) part(err error) {
	b.mu.Lock()
	b.left--
	ended := b.done != nil && (err != nil || b.left == 0)
	done := b.done
	if ended {
		b.done = nil
	}
	b.mu.Unlock()
	if ended {
		done(err)
	}
}

// pingPayload is the question of XEP-0199.
const pingPayload = `<ping xmlns="urn:xmpp:ping"/>`

// ping queues a ping; false when the link takes nothing more. It may go over the limits of the buffer: it is short, and
// bounded by maxPings.
func (l *link) ping(done func(error)) bool {
	p := &ping{id: l.s.l.newID(), done: done}
	b := make([]byte, 0, 192)
	b = append(b, `<iq type="get" id="`...)
	b = append(b, p.id...)
	b = append(b, `" from="`...)
	b = stanza.AppendAttr(b, l.domain)
	b = append(b, `" to="`...)
	b = stanza.AppendAttr(b, l.s.l.cfg.Server)
	b = append(b, `">`+pingPayload+`</iq>`...)

	l.pings.mu.Lock()
	defer l.pings.mu.Unlock()
	if l.pings.closed || len(l.pings.waiting) >= maxPings {
		return false
	}
	var ok bool
	if p.pos, ok = l.out.ping(b); !ok {
		return false
	}
	l.pings.waiting = append(l.pings.waiting, p)
	l.s.l.metrics.out.Inc()
	return true
}

// answered takes the answer to a ping; false when the id is none's. An error is an answer too: the server worked it off. So it did
// with all pings before, whatever became of their answers.
func (l *link) answered(id string) bool {
	l.pings.mu.Lock()
	at := slices.IndexFunc(l.pings.waiting, func(p *ping) bool { return p.id == id })
	if at < 0 {
		l.pings.mu.Unlock()
		return false
	}
	done := slices.Clone(l.pings.waiting[:at+1])
	l.pings.waiting = slices.Delete(l.pings.waiting, 0, at+1)
	l.pings.proof = time.Now()
	l.pings.mu.Unlock()
	for _, p := range done {
		if p.done != nil {
			p.done(nil)
		}
	}
	return true
}

// proven notes another sign that the server works off what we send.
func (p *pings) proven() {
	p.mu.Lock()
	p.proof = time.Now()
	p.mu.Unlock()
}

// look says for how long the server has owed the answer to the oldest ping (asked), or else how long ago the last proof was.
// It owes from when that ping was on the wire and the one before was answered: a server that works through much is slow, not
// deaf. The time that a ping waits in the buffer is the business of the write deadline.
func (p *pings) look(now time.Time, written uint64) (silent time.Duration, asked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		return now.Sub(p.proof), false
	}
	oldest := p.waiting[0]
	if oldest.owed.IsZero() {
		if written < oldest.pos {
			return 0, true
		}
		oldest.owed = now
	}
	return now.Sub(oldest.owed), true
}

// fail ends all that wait.
func (p *pings) fail(err error) {
	p.mu.Lock()
	waiting := p.waiting
	p.waiting, p.closed = nil, true
	p.mu.Unlock()
	for _, ping := range waiting {
		if ping.done != nil {
			ping.done(fmt.Errorf("ping: %w", err))
		}
	}
}
