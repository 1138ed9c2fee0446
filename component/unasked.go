package component

import (
	"log/slog"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// unasked counts clients that send without asking for an acknowledgement (receipts.server: requested): what is lost before it
// is stored they cannot know of, nor repeat. Metrics name classes of clients, the log names some users. It belongs to the
// conveyor.
type unasked struct {
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
	// knownClients bounds the memory, of about 5 MB. One forgotten early counts as new.
	knownClients = 50_000
	// unaskedFirst lets several clients come together before the first line is logged.
	unaskedFirst = 10 * time.Minute
	// unaskedPeriod lies between two lines.
	unaskedPeriod = 24 * time.Hour
	// unaskedNames is how many clients a line names.
	unaskedNames = 20
)

func newUnasked(reg prometheus.Registerer, log *slog.Logger) *unasked {
	f := promauto.With(reg)
	u := &unasked{log: log,
		messages: f.NewCounterVec(prometheus.CounterOpts{Name: "tlim_unasked_total",
			Help: "Stored messages whose senders did not ask for a server receipt, by class of client: web, android, ios, other."}, []string{"client"}),
		clients: f.NewGaugeVec(prometheus.GaugeOpts{Name: "tlim_unasking_clients",
			Help: "Users whose client of this class has sent since the start and never asked for a server receipt."}, []string{"client"})}
	u.known, _ = lru.NewWithEvict(knownClients, func(c client, asked bool) { // fails for a size below 1 only
		if !asked {
			u.count(c, -1)
		}
	})
	return u
}

// note takes one stored message of a client.
func (u *unasked) note(local, resource string, asks bool, now time.Time) {
	c := client{local, clientClass(resource)}
	asked, known := u.known.Get(c)
	switch {
	case asks && !asked:
		if known {
			u.count(c, -1)
		}
		u.known.Add(c, true)
	case !asks && !known:
		u.known.Add(c, false)
		u.count(c, 1)
	}
	if !asks {
		u.messages.WithLabelValues(c.class).Inc()
		u.since++
		if u.next.IsZero() {
			u.next = now.Add(unaskedFirst)
		}
	}
}

func (u *unasked) count(c client, n int) {
	u.silent += n
	u.clients.WithLabelValues(c.class).Add(float64(n))
}

// tell logs, once a day, who never asks.
func (u *unasked) tell(now time.Time) {
	if u.since == 0 || now.Before(u.next) {
		return
	}
	if u.silent > 0 {
		var names []string
		keys := u.known.Keys() // who sent last stands last
		for i := len(keys) - 1; i >= 0 && len(names) < unaskedNames; i-- {
			if asked, _ := u.known.Peek(keys[i]); !asked {
				names = append(names, keys[i].String())
			}
		}
		u.log.Warn("clients never ask for receipts: what is lost on the way to us they do not repeat",
			"clients", u.silent, "messages", u.since, "for example", strings.Join(names, ", "))
	}
	u.since, u.next = 0, now.Add(unaskedPeriod)
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
