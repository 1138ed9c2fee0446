package stream

import (
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// budget bounds the answers (errors, results of questions) that one sender provokes on a link, in what may wait there and in
// what may be said in a second. Without it a sender who floods fills the reserve, and answers of others are lost; and one who
// does not read what they provoke fills the server's memory. It belongs to a writer, whose lock is held.
type budget struct {
	limit    int     // bytes to one sender that may wait while there is room for everybody
	reserved int     // and while answers live on the reserve
	rate     float64 // answers a second to one sender; 0: no limit
	accounts *simplelru.LRU[string, *account]
	queued   []queuedAnswer // those that wait, oldest first
}

type account struct {
	waiting int           // bytes
	limiter *rate.Limiter // nil: no limit
}

// queuedAnswer is an answer in the stream, until it is written.
type queuedAnswer struct {
	of   *account
	size int
	end  uint64 // in the stream
}

const (
	// budgetShare is the part of the buffer, or of the reserve, that answers to one sender may take.
	budgetShare = 32
	// budgetBurst is for how many seconds' answers a sender is in credit who has provoked none.
	budgetBurst = 10
	// maxSenders bounds the memory. One who is forgotten has a full budget again.
	maxSenders = 10_000
)

func newBudget(cfg *Config) *budget {
	b := &budget{limit: cfg.BufferBytes / budgetShare, reserved: cfg.ReserveBytes / budgetShare, rate: cfg.AnswerRate}
	b.accounts, _ = simplelru.NewLRU[string, *account](maxSenders, nil) // fails for a size below 1 only
	return b
}

// take says whether a sender may have an answer of that many bytes; it waits in the stream up to end. scarce says that answers
// live on the reserve. One answer may wait whatever its size.
func (b *budget) take(sender string, size int, end uint64, scarce bool) bool {
	a, ok := b.accounts.Get(sender)
	if !ok {
		a = &account{}
		if b.rate > 0 {
			a.limiter = rate.NewLimiter(rate.Limit(b.rate), max(1, int(b.rate*budgetBurst)))
		}
		b.accounts.Add(sender, a)
	}
	maxBytes := b.limit
	if scarce {
		maxBytes = b.reserved
	}
	if a.waiting > 0 && a.waiting+size > maxBytes || a.limiter != nil && !a.limiter.AllowN(time.Now(), 1) {
		return false
	}
	a.waiting += size
	b.queued = append(b.queued, queuedAnswer{a, size, end})
	return true
}

// written gives back what is on the wire up to there.
func (b *budget) written(sent uint64) {
	n := 0
	for n < len(b.queued) && b.queued[n].end <= sent {
		b.queued[n].of.waiting -= b.queued[n].size
		n++
	}
	if b.queued = b.queued[n:]; len(b.queued) == 0 {
		b.queued = nil
	}
}

// senderOf is who pays for an answer to an address: a user of the server; of others the whole domain, where they can have as many
// names as they like.
func senderOf(to, server string) string {
	bare, _, _ := strings.Cut(to, "/")
	_, domain, named := strings.Cut(bare, "@")
	if named && domain != server {
		return domain
	}
	return bare // as the server wrote it: of names that only look alike each has its own
}

// overLogs is how often the log names a sender who is over the budget.
const overLogs = time.Minute

// answer queues an answer to an address without blocking. One over its sender's budget is counted and dropped: handled. Not
// handled means that there is no room.
func (l *link) answer(to string, b []byte) (handled bool) {
	links := l.s.l
	sender := senderOf(to, links.cfg.Server)
	queued, within := l.out.answer(sender, b)
	switch {
	case queued:
		links.metrics.out.Inc()
		return true
	case within:
		return false
	}
	links.metrics.overBudget.Inc()
	now := time.Now().UnixNano()
	if last := links.overLogged.Load(); now-last > int64(overLogs) && links.overLogged.CompareAndSwap(last, now) {
		links.log.Warn("a sender provokes more errors and answers than one may have; those beyond are dropped", "sender", sender)
	}
	return true
}

// Answer queues an error or a result to an address on the intake link without blocking, out of the part of the reserve that is
// not kept for acknowledgements. What a sender provokes beyond the budget is counted, dropped, and true: only no link and no
// room are false. The bytes are copied.
func (l *Links) Answer(to string, b []byte) bool {
	s := l.current.Load()
	if s == nil || !s.intake().answer(to, b) {
		return false
	}
	s.intake().mark()
	return true
}
