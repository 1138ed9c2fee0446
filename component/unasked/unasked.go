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
// names some users. It belongs to one goroutine. Make it with [New].
type Clients struct {
	log      *slog.Logger
	messages *prometheus.CounterVec
	clients  *prometheus.GaugeVec
	known    *lru.Cache[client, bool] // whether it has ever asked
	silent   int                      // of known: never asked
	since    int                      // messages since the last line in the log
	next     time.Time                // when the next one is due; zero: no message yet
}

// client is one user with one class of client.
type client struct{ local, class string }

func (c client) String() string { return c.local + " (" + c.class + ")" }

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
	c.known, _ = lru.NewWithEvict(maxClients, func(one client, asked bool) { // fails for a size below 1 only
		if !asked {
			c.count(one, -1)
		}
	})
	return c
}

// Note takes one stored message of a client.
func (c *Clients) Note(local, resource string, asks bool, now time.Time) {
	one := client{local, clientClass(resource)}
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
		c.messages.WithLabelValues(one.class).Inc()
		c.since++
		if c.next.IsZero() {
			c.next = now.Add(firstTell)
		}
	}
}

func (c *Clients) count(one client, n int) {
	c.silent += n
	c.clients.WithLabelValues(one.class).Add(float64(n))
}

// Tell logs, once a day, who never asks.
func (c *Clients) Tell(now time.Time) {
	if c.since == 0 || now.Before(c.next) {
		return
	}
	if c.silent > 0 {
		var names []string
		keys := c.known.Keys() // who sent last stands last
		for i := len(keys) - 1; i >= 0 && len(names) < maxNames; i-- {
			if asked, _ := c.known.Peek(keys[i]); !asked {
				names = append(names, keys[i].String())
			}
		}
		c.log.Warn("clients never ask for an acknowledgement: what is lost on the way to us they do not repeat",
			"clients", c.silent, "messages", c.since, "for example", strings.Join(names, ", "))
	}
	c.since, c.next = 0, now.Add(tellPeriod)
}

// clientClass tells what kind of client has a resource, by the mark that the shipped clients put into it.
func clientClass(resource string) string {
	for _, class := range [...]string{"web", "android", "ios"} {
		if strings.Contains(resource, "["+class+"]") {
			return class
		}
	}
	return "other"
}
