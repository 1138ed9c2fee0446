package unasked

import (
	"log/slog"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Clients counts clients that send without asking for an acknowledgement (receipts.server: requested). Metrics name classes of clients, the log
// names some users. It belongs to one goroutine, but for [Clients.Silent]. Make it with [New].
type Clients struct {
	log      *slog.Logger
	messages *prometheus.CounterVec
	clients  *prometheus.GaugeVec
	known    *lru.Cache[Client, bool] // whether it has ever asked
	silent   int                      // of known: never asked
	since    int                      // messages since the last line in the log
	next     time.Time                // when the next one is due; zero: no message yet
}

// Client is one user, by the local part of their JID, with one class of client.
type Client struct{ User, Class string }

func (c Client) String() string { return c.User + " (" + c.Class + ")" }

const (
	// maxClients bounds the memory, of about 5 MB. One forgotten early counts as new.
	maxClients = 50_000
	// firstTell lets several clients come together before the first line is logged.
	firstTell = 10 * time.Minute
	// tellPeriod lies between two lines.
	tellPeriod = 24 * time.Hour
	// maxNames is how many clients a line names.
	maxNames = 20
)

// New begins with none. Its metrics are tlim_unasked_total and tlim_unasking_clients.
func New(reg prometheus.Registerer, log *slog.Logger) *Clients {
	f := promauto.With(reg)
	c := &Clients{log: log,
		messages: f.NewCounterVec(prometheus.CounterOpts{Name: "tlim_unasked_total",
			Help: "Stored messages whose senders did not ask for an acknowledgement, by class of client: web, android, ios, other."}, []string{"client"}),
		clients: f.NewGaugeVec(prometheus.GaugeOpts{Name: "tlim_unasking_clients",
			Help: "Users whose client of this class has sent since the start and never asked for an acknowledgement."}, []string{"client"})}
	c.known, _ = lru.NewWithEvict(maxClients, func(one Client, asked bool) { // fails for a size below 1 only
		if !asked {
			c.count(one, -1)
		}
	})
	return c
}

// Note takes one stored message of a client.
func (c *Clients) Note(local, resource string, asks bool, now time.Time) {
	one := Client{local, ClassOf(resource)}
	asked, known := c.known.Get(one)
	switch {
	case asks && !asked:
		if known {
			c.count(one, -1)
		}
		c.known.Add(one, true)
	case !asks && !known:
		c.known.Add(one, false)
		c.count(one, 1)
	}
	if !asks {
		c.messages.WithLabelValues(one.Class).Inc()
		c.since++
		if c.next.IsZero() {
			c.next = now.Add(firstTell)
		}
	}
}

func (c *Clients) count(one Client, n int) {
	c.silent += n
	c.clients.WithLabelValues(one.Class).Add(float64(n))
}

// Tell logs, once a day, who never asks.
func (c *Clients) Tell(now time.Time) {
	if c.since == 0 || now.Before(c.next) {
		return
	}
	if c.silent > 0 {
		var names []string
		for _, one := range c.Silent(maxNames) {
			names = append(names, one.String())
		}
		c.log.Warn("clients never ask for an acknowledgement: what is lost on the way to us they do not repeat",
			"clients", c.silent, "messages", c.since, "for example", strings.Join(names, ", "))
	}
	c.since, c.next = 0, now.Add(tellPeriod)
}

// Silent lists at most n clients that have never asked, those that sent last first. Any goroutine may call it.
func (c *Clients) Silent(n int) (list []Client) {
	keys := c.known.Keys() // its own lock
	for i := len(keys) - 1; i >= 0 && len(list) < n; i-- {
		if asked, there := c.known.Peek(keys[i]); there && !asked {
			list = append(list, keys[i])
		}
	}
	return list
}

// ClassOf tells what kind of client has a resource (web, android, ios or other), by the mark that the shipped clients put into it.
func ClassOf(resource string) string {
	for _, class := range [...]string{"web", "android", "ios"} {
		if strings.Contains(resource, "["+class+"]") {
			return class
		}
	}
	return "other"
}
