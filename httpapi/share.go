package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"tlim/component/protocol"
	"tlim/store"
)

// payer is on whose account a call is: the holder of a key, a user, or, as long as nobody is known, an address.
type payer struct {
	name  string // unique among all of them
	keyed bool   // by a key of http.keys: each pool keeps slots for those
	allowance
}

// allowance is how much one payer may have at once; 0 is as much as there is. What is above a number is answered with 429, but
// for turns, which are waited for.
type allowance struct {
	calls     int // of any kind, from the head to the end of the answer
	bodies    int // that are large, while they come in
	transfers int // of files
	large     int // answers of more than largeAnswer, while they are written
	writes    int // turns to change something
	reads     int // turns at the database, see [store.Shared]
}

// The allowances. A page in some tabs has a few calls under way; many people may share one address behind a proxy or a NAT; who
// has a key was given it by an administrator.
var (
	keyAllowance     = allowance{reads: 4}
	userAllowance    = allowance{calls: maxPerUser, bodies: 8, transfers: 16, large: 4, writes: 2, reads: 2}
	addressAllowance = allowance{calls: 192, bodies: 24, transfers: 96, large: 16, writes: 16, reads: 4}
)

const (
	// maxPerUser is how many calls one user may have under way.
	maxPerUser = 32

	// A connection to IPv6 has a network of 2^64 addresses to call from.
	hostBits6 = 64
)

// payerOf says who pays for a request by what is known of its caller by now.
func (a *API) payerOf(r *http.Request, c caller) payer {
	switch {
	case c.user != "":
		return payer{name: "user " + c.user, allowance: userAllowance}
	case c.keyed:
		return payer{name: "key " + c.name, keyed: true, allowance: keyAllowance}
	}
	addr := clientAddr(r, a.cfg.TrustedProxies)
	if addr.Is6() {
		if network, err := addr.Prefix(hostBits6); err == nil {
			addr = network.Addr()
		}
	}
	return payer{name: "address " + addressName(addr), allowance: addressAllowance}
}

func addressName(addr netip.Addr) string {
	if !addr.IsValid() {
		return "unknown"
	}
	return addr.String()
}

// enter takes the request into its payer's share, before any pool that all use; as soon as more is known of its caller, into
// another one's. What rt costs is charged to a user's rate at that moment.
func (a *API) enter(r *request, rt *route) error {
	who := a.payerOf(r.http, r.caller)
	if r.payer.name == who.name {
		return nil
	}
	leave, ok := a.calls.take(who.name, who.calls)
	if !ok {
		return tooMany(time.Second)
	}
	r.leave()
	r.leave, r.payer = leave, who
	if r.caller.user == "" {
		return nil
	}
	if wait := a.rates.take(r.caller.user, a.cfg.Clock(), rt.weight()); wait > 0 {
		return tooMany(wait)
	}
	return nil
}

// tooMany is a caller with more calls than its share: HTTP 429.
func tooMany(wait time.Duration) *failure {
	wait = (wait + time.Second - 1).Truncate(time.Second) // Retry-After has whole seconds
	return &failure{status: http.StatusTooManyRequests, result: protocol.TryLater, text: textTooFast, retry: max(time.Second, wait)}
}

// reading marks the reads of a request as its payer's.
func (r *request) reading(ctx context.Context) context.Context {
	return store.Shared(ctx, r.payer.name, r.payer.reads)
}

// shares give each name slots of its own. The zero value is ready.
type shares struct {
	mu sync.Mutex
	of map[string]*share
}

type share struct {
	slots chan struct{}
	users int // who has or awaits a slot; none: the share is forgotten
}

func (s *shares) open(name string, maxSlots int) (sh *share, forget func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]*share{}
	}
	if sh = s.of[name]; sh == nil {
		sh = &share{slots: make(chan struct{}, maxSlots)}
		s.of[name] = sh
	}
	sh.users++
	return sh, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if sh.users--; sh.users == 0 {
			delete(s.of, name)
		}
	}
}

// take takes one of the most slots of a name, if there is one; most 0 is no limit.
func (s *shares) take(name string, maxSlots int) (give func(), ok bool) {
	if maxSlots == 0 {
		return func() {}, true
	}
	sh, forget := s.open(name, maxSlots)
	select {
	case sh.slots <- struct{}{}:
		return func() { <-sh.slots; forget() }, true
	default:
		forget()
		return nil, false
	}
}

// wait is take for who has the time, until ctx ends.
func (s *shares) wait(ctx context.Context, name string, maxSlots int) (give func(), err error) {
	if maxSlots == 0 {
		return func() {}, nil
	}
	if give, ok := s.take(name, maxSlots); ok {
		return give, nil
	}
	sh, forget := s.open(name, maxSlots)
	select {
	case sh.slots <- struct{}{}:
		return func() { <-sh.slots; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, ctx.Err()
	}
}

// pool is a number of slots for all callers together. A quarter is for keys alone, so that business systems get through
// whatever users and strangers do.
type pool struct {
	slots chan struct{}
	open  chan struct{} // those that payers without a key may have
	own   shares
}

func newPool(size int) *pool {
	return &pool{slots: make(chan struct{}, size), open: make(chan struct{}, max(1, size-size/4))}
}

// take takes a slot: first one of the payer's own, of which there are most, then one of all.
func (p *pool) take(who payer, maxSlots int) (give func(), err error) {
	own, ok := p.own.take(who.name, maxSlots)
	if !ok {
		return nil, tooMany(time.Second)
	}
	if !who.keyed {
		if err := take(p.open); err != nil {
			own()
			return nil, err
		}
	}
	if err := take(p.slots); err != nil {
		if !who.keyed {
			<-p.open
		}
		own()
		return nil, err
	}
	return func() {
		<-p.slots
		if !who.keyed {
			<-p.open
		}
		own()
	}, nil
}

// take takes a slot, if there is one.
func take(slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	default:
		return unavailable()
	}
}
