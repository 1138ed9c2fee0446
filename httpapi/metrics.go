package httpapi

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	inflight  prometheus.Gauge
	passing   prometheus.Gauge
	fileBytes *prometheus.CounterVec
	unroomed  *prometheus.CounterVec
}

// Why an upload was refused for want of room, as a metric has it.
const (
	unroomedByQuota = "quota"
	unroomedBySpace = "space"
)

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tlim_http_requests_total",
			Help: "HTTP calls by endpoint, status and caller: the name of its key, anonymous, or none when refused before."},
			[]string{"endpoint", "status", "caller"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tlim_http_seconds",
			Help: "Time from the head of an HTTP call to the end of its answer.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)},
			[]string{"endpoint"}),
		inflight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tlim_http_inflight", Help: "HTTP calls in handlers."}),
		passing: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tlim_web_xmpp_connections",
			Help: "WebSockets and BOSH requests of web pages that are passed on to the XMPP server."}),
		fileBytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tlim_file_bytes_total",
			Help: "Bytes of files by direction: up (stored or not) and down."}, []string{"direction"}),
		unroomed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tlim_uploads_refused_total",
			Help: "Uploads refused for want of room: quota (files.quota of their owner) or space (files.min_free)."}, []string{"reason"}),
	}
	for _, reason := range []string{unroomedByQuota, unroomedBySpace} { // an alarm on an increase does not see a series that begins with 1
		m.unroomed.WithLabelValues(reason)
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.requests), reg.Register(m.seconds), reg.Register(m.inflight), reg.Register(m.passing), reg.Register(m.fileBytes), reg.Register(m.unroomed))
}

// seen counts one finished call. All label values come from the route table and the configuration, so they are bounded.
func (m *metrics) seen(endpoint string, status int, caller string, took time.Duration) {
	if caller == "" {
		caller = "none"
	}
	m.requests.WithLabelValues(endpoint, strconv.Itoa(status), caller).Inc()
	m.seconds.WithLabelValues(endpoint).Observe(took.Seconds())
}
