package openfire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"tlim/component/pause"
	"tlim/component/stanza"
	"tlim/component/stream"
)

// CopyLink takes in what old clients send to D itself: Openfire hands a component copies of all messages that clients send.
// It is a link of its own, tlim-copies.D when C is tlim.D, because the way to end a subscription is to end its connection, and the
// messages' link must not end for it.
//
// Above [MaxCopyRate] Openfire loses copies without a sign and slows down as a whole, so a link that gets more than the configured
// rate closes itself for a while. The server cannot be told to leave a sender out, so one who floods ends the copies of everybody:
// the log says who it was. Make it with [NewCopyLink].
type CopyLink struct {
	stream    stream.Config
	taker     CopyTaker
	domain    string // D
	maxCopies int    // copies of one period
	log       *slog.Logger
	taken     prometheus.Counter
	closed    prometheus.Counter
	up        prometheus.Gauge

	watcher CopyWatcher // nil: nobody
	current atomic.Pointer[stream.Links]

	links  *stream.Links // of this connection
	trip   context.CancelCauseFunc
	count  copyCount            // of the reader's goroutine alone while the link is open
	warned map[string]time.Time // when the log last named a sender; of the reader's too
	now    func() time.Time

	asking atomic.Pointer[context.CancelFunc] // ends the subscription's tries when the link goes down
	asked  sync.WaitGroup
}

// CopyWatcher follows the link beside the taker, to know which copies there can be. Its methods must not block.
type CopyWatcher interface {
	LinkUp()                               // the server answers questions
	Subscribed()                           // from now on there are copies
	LinkDown()                             // there are none, and what the server had gathered is lost
	Copied(st stanza.Stanza, at time.Time) // a copy that the taker gets next, and when the server got the message
}

// CopyTaker takes the messages that clients sent to D. It is called by the link's reader: while it blocks, nothing is read.
type CopyTaker interface{ CopiedMessage(st stanza.Stanza) }

// MaxCopyRate is how many copies a second Openfire hands out at most; beyond it copies are lost and the whole server slows down
// (measured).
const MaxCopyRate = 330

const (
	// copyPeriod is how often Openfire hands out what has gathered, all of it at once: a shorter period would count a burst.
	copyPeriod = 5 * time.Second
	// copyJitter is by how much sooner the next may come: two in one period would count double.
	copyJitter = time.Second
	// copyWarn lies between two lines about one sender, and maxCopyWarned bounds the memory for it.
	copyWarn      = time.Minute
	maxCopyWarned = 1000
	// copyAsk bounds the subscription; it is tried again after copyRetry.
	copyAsk   = 10 * time.Second
	copyRetry = 30 * time.Second
)

var errTooManyCopies = errors.New("too many packet copies")

// NewCopyLink makes the link beside that of cfg, from which it differs in its name; nothing is opened before Run. It closes itself
// above rate copies a second, which is at most MaxCopyRate.
func NewCopyLink(cfg stream.Config, rate int, taker CopyTaker) *CopyLink {
	f := promauto.With(cfg.Registerer)
	label, rest, _ := strings.Cut(cfg.Domain, ".")
	cfg.Domain = label + "-copies." + rest
	cfg.Connections = 1
	cfg.Multicast = false
	cfg.Registerer = nil // the names are those of the messages' link
	return &CopyLink{
		stream: cfg, taker: taker, domain: cfg.Server, maxCopies: rate * int(copyPeriod/time.Second), log: cfg.Log, now: time.Now, warned: map[string]time.Time{},
		taken:  f.NewCounter(prometheus.CounterOpts{Name: "tlim_packet_copies_total", Help: "Packet copies of messages that clients sent to the server's own domain."}),
		closed: f.NewCounter(prometheus.CounterOpts{Name: "tlim_packet_copies_closed_total", Help: "How often the copy link closed itself because copies came faster than xmpp.copies_max."}),
		up:     f.NewGauge(prometheus.GaugeOpts{Name: "tlim_packet_copies_up", Help: "1 while packet copies are subscribed to."}),
	}
}

// Watch tells w of the link, from before Run.
func (c *CopyLink) Watch(w CopyWatcher) { c.watcher = w }

// IQ asks the server on this link, as [stream.Links.IQ] does.
func (c *CopyLink) IQ(ctx context.Context, typ, to string, payload []byte) (stanza.Stanza, error) {
	links := c.current.Load()
	if links == nil {
		return stanza.Stanza{}, stream.ErrDown
	}
	return links.IQ(ctx, typ, to, payload)
}

// Status tells of the link.
func (c *CopyLink) Status() (stream.Status, bool) {
	links := c.current.Load()
	if links == nil {
		return stream.Status{}, false
	}
	return links.Status(), true
}

// Run keeps the link open until ctx ends, with a pause after each overload.
func (c *CopyLink) Run(ctx context.Context) error {
	for pauses := (copyPauses{}); ; {
		run, trip := context.WithCancelCause(ctx)
		c.trip, c.count = trip, copyCount{}
		opened := c.now()
		c.links = stream.New(c.stream, c)
		c.current.Store(c.links)
		err := c.links.Run(run)
		c.Down(nil)
		c.asked.Wait()
		overload := errors.Is(context.Cause(run), errTooManyCopies)
		trip(nil)
		if ctx.Err() != nil {
			return nil
		}
		if !overload {
			return err
		}
		if pause.For(ctx, c.overloaded(&pauses, c.now().Sub(opened))) != nil {
			return nil
		}
	}
}

// overloaded says who sent the copies that closed the link, which was open for so long, and for how long it stays closed.
func (c *CopyLink) overloaded(pauses *copyPauses, open time.Duration) time.Duration {
	c.closed.Inc()
	senders, one := c.count.busiest()
	closed, remedy := pauses.next(one, open), "let clients send to the component"
	if one {
		remedy = "the first of the senders makes most of it: find out what they send, and lock the account if need be"
	}
	c.log.Error("packet copies come faster than xmpp.copies_max: the copy link is closed before it harms the server; messages sent to the server's own domain are missed meanwhile",
		"copies_max", c.maxCopies/int(copyPeriod/time.Second), "copies", c.count.total, "within", copyPeriod, "senders", senders, "closed_for", closed, "remedy", remedy)
	return closed
}

// Up subscribes, for this connection only: Openfire forgets it with the connection.
func (c *CopyLink) Up() {
	ctx, cancel := context.WithCancel(context.Background())
	c.asking.Store(&cancel)
	if c.watcher != nil {
		c.watcher.LinkUp()
	}
	c.asked.Go(func() { c.subscribe(ctx, New(c.links, c.domain)) })
}

// subscribe tries until it is done or the link is down.
func (c *CopyLink) subscribe(ctx context.Context, server *Server) {
	for told := false; ; {
		ask, cancel := context.WithTimeout(ctx, copyAsk)
		err := server.SubscribeCopies(ask)
		cancel()
		if err == nil {
			c.up.Set(1)
			if c.watcher != nil {
				c.watcher.Subscribed()
			}
			c.log.Info("packet copies are on: what clients send to the server's own domain is taken too, up to 5 s late")
			return
		}
		if ctx.Err() == nil && !told {
			c.log.Error("the server gives no packet copies; what clients send to its own domain is missed", "error", err)
			told = true
		}
		if pause.For(ctx, copyRetry) != nil {
			return
		}
	}
}

// warn names a sender who makes more than half of the copies that the link bears.
func (c *CopyLink) warn(sender string, now time.Time) {
	if now.Sub(c.warned[sender]) < copyWarn {
		return
	}
	if len(c.warned) >= maxCopyWarned {
		clear(c.warned)
	}
	c.warned[sender] = now
	c.log.Warn("one sender makes more than half of the packet copies that xmpp.copies_max allows; beyond it the copy link closes, for everybody",
		"sender", sender, "copies", c.maxCopies/2+1, "within", copyPeriod)
}

// Down ends the subscription's tries.
func (c *CopyLink) Down(error) {
	c.up.Set(0)
	if cancel := c.asking.Swap(nil); cancel != nil {
		(*cancel)()
		if c.watcher != nil {
			c.watcher.LinkDown()
		}
	}
}

// Answered is false: nothing is asked on this link but what waits for its answer.
func (c *CopyLink) Answered(stanza.Stanza, stanza.JID) bool { return false }

// Stanza takes copies of clients' messages to D. Copies bring all traffic of the server; of it, what goes to the component comes
// directly as well, and what has no resource in from was not sent by a client but by a component, ours among them.
func (c *CopyLink) Stanza(st stanza.Stanza) {
	inner, at, ok := datedCopy(st, c.domain)
	if !ok {
		return
	}
	now := c.now()
	sender, _, _ := strings.Cut(inner.From, "/")
	own := c.count.add(sender, now)
	if c.count.total > c.maxCopies {
		c.trip(fmt.Errorf("%w: more than %d in %s", errTooManyCopies, c.maxCopies, copyPeriod))
		return
	}
	if own == c.maxCopies/2+1 {
		c.warn(sender, now)
	}
	from, err := stanza.ParsePrepared(inner.From)
	if err != nil || from.Domain != c.domain || from.Local == "" || from.Resource == "" {
		return
	}
	if to, err := stanza.ParseJID(inner.To); inner.To != "" && (err != nil || to.Domain != c.domain) {
		return
	}
	c.taken.Inc()
	if c.watcher != nil {
		c.watcher.Copied(inner, at)
	}
	c.taker.CopiedMessage(inner)
}
