package stream

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are counted over all links.
type metrics struct {
	in         *prometheus.CounterVec
	out        prometheus.Counter
	bytesIn    prometheus.Counter
	bytesOut   prometheus.Counter
	attempts   *prometheus.CounterVec
	server     *prometheus.GaugeVec
	moves      *prometheus.CounterVec
	unknown    prometheus.Counter
	broken     prometheus.Counter
	oversize   prometheus.Counter
	stray      prometheus.Counter
	unanswered prometheus.Counter
	overBudget prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, l *Links) *metrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Namespace: "tlim", Subsystem: "link", Name: name, Help: help})
	}
	m := &metrics{
		in: f.NewCounterVec(prometheus.CounterOpts{Namespace: "tlim", Subsystem: "link", Name: "stanzas_in_total",
			Help: "Stanzas from the server."}, []string{"name"}),
		out:      counter("stanzas_out_total", "Stanzas queued for the server."),
		bytesIn:  counter("bytes_in_total", "Bytes read from the server."),
		bytesOut: counter("bytes_out_total", "Bytes written to the server."),
		attempts: f.NewCounterVec(prometheus.CounterOpts{Namespace: "tlim", Subsystem: "link", Name: "losses_total",
			Help: "Links lost and attempts that failed, by reason; each is followed by another attempt."}, []string{"reason"}),
		server: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: "tlim", Subsystem: "link", Name: "server",
			Help: "1 for the server of xmpp.server that the links go to, or went to last; 0 for the others."}, []string{"server"}),
		moves: f.NewCounterVec(prometheus.CounterOpts{Namespace: "tlim", Subsystem: "link", Name: "moves_total",
			Help: "How often the links went to another server of xmpp.server, by the reason why they left the one before."}, []string{"reason"}),
		unknown:    counter("unknown_elements_total", "Elements from the server that are no stanzas; they were skipped."),
		broken:     counter("broken_total", "Times that the server sent what is no XMPP and was not its own, as clients can make Openfire 4.2 do; the stream went on."),
		oversize:   counter("oversize_total", "Stanzas over the size limit; their content was skipped."),
		stray:      counter("stray_answers_total", "IQ answers that nobody waited for, or that came from another address than was asked."),
		unanswered: counter("unanswered_total", "Questions that were not answered because the link took nothing more."),
		overBudget: counter("answers_over_budget_total", "Errors and answers that were dropped because their sender provoked more than one may have; the log names some."),
	}
	for _, address := range l.cfg.Addresses {
		m.server.WithLabelValues(address).Set(0)
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "tlim", Subsystem: "link", Name: "queued_bytes",
		Help: "Bytes that wait to be written."}, func() float64 {
		s := l.current.Load()
		if s == nil {
			return 0
		}
		n := 0
		for _, k := range s.links {
			n += k.out.waiting()
		}
		return float64(n)
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "tlim", Subsystem: "link", Name: "up", Help: "1 while all links are up."}, func() float64 {
		if l.Status().Up {
			return 1
		}
		return 0
	})
	return m
}
