package component

import (
	"context"
	"io"
	"strings"
	"sync"
	"tlim/component/stanza"
)

// recordingSender keeps what would go to the server.
type recordingSender struct {
	mu          sync.Mutex
	deliveries  []stanza.Delivery
	pings       []sentPing
	fronts      map[string]string // ids of the pings in front, by those behind
	askedNobody string            // id of the last ping to nobody
	posts       []string
	barriers    []func(error)
	hold        bool // barriers are not answered
	down        bool
	delivering  func()     // called at the begin of Deliver
	posted      *sync.Cond // on mu
}

// sentPing is a ping and the copies in front of it.
type sentPing struct {
	run    stanza.Run
	copies []stanza.Delivery
}

func (r *recordingSender) Deliver(_ context.Context, d []stanza.Delivery, runs ...stanza.Run) error {
	r.mu.Lock()
	delivering := r.delivering
	r.mu.Unlock()
	if delivering != nil {
		delivering()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return io.ErrClosedPipe
	}
	r.deliveries = append(r.deliveries, stanza.Joined(d, runs)...)
	for _, run := range runs {
		if strings.HasPrefix(run.JID, "nobody@") {
			r.askedNobody = run.Ping
		}
		if run.Ping != "" && !strings.HasPrefix(run.JID, "nobody@") {
			p := sentPing{run: run}
			for _, c := range run.Of {
				p.copies = append(p.copies, d[c.Delivery])
			}
			r.pings = append(r.pings, p)
			if r.fronts == nil {
				r.fronts = map[string]string{}
			}
			r.fronts[run.Ping] = run.Front
		}
	}
	return nil
}

func (r *recordingSender) Post(b []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posts = append(r.posts, string(b))
	r.posted.Broadcast()
	return !r.down
}

func (r *recordingSender) Answer(_ string, b []byte) bool { return r.Post(b) }

// await returns when there were that many posts.
func (r *recordingSender) await(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.posts) < n {
		r.posted.Wait()
	}
}

func (r *recordingSender) Barrier(done func(error)) {
	r.mu.Lock()
	hold, down := r.hold, r.down
	if hold && !down {
		r.barriers = append(r.barriers, done)
	}
	r.mu.Unlock()
	switch {
	case down:
		done(io.ErrClosedPipe)
	case !hold:
		done(nil)
	}
}

// set changes what the sender does.
func (r *recordingSender) set(change func(*recordingSender)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

// answer answers the barriers that are held.
func (r *recordingSender) answer(err error) {
	r.mu.Lock()
	held := r.barriers
	r.barriers = nil
	r.mu.Unlock()
	for _, done := range held {
		done(err)
	}
}

func (r *recordingSender) take() ([]stanza.Delivery, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, p := r.deliveries, r.posts
	r.deliveries, r.posts = nil, nil
	return d, p
}

// nobody is the id of the ping that asks how the server answers for nobody.
func (r *recordingSender) nobody() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.askedNobody
}
