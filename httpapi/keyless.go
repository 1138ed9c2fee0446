package httpapi

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// keyless counts who calls without a key where one belongs, so that a site can close the door in steps (`tlim keys usage`).
type keyless struct {
	calls *prometheus.CounterVec

	mu    sync.Mutex
	known map[string]bool // addresses with a series of their own
}

// maxKeyless bounds the series: addresses beyond are counted together, as "other".
const maxKeyless = 200

func newKeyless(reg prometheus.Registerer) (*keyless, error) {
	k := &keyless{known: map[string]bool{}, calls: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tlim_http_keyless_total",
		Help: "HTTP calls without a key of endpoints that want one, by address (the first 200; then other), endpoint and whether allow_anonymous let them in."},
		[]string{"address", "endpoint", "allowed"})}
	if reg == nil {
		return k, nil
	}
	return k, reg.Register(k.calls)
}

func (k *keyless) seen(address, endpoint string, allowed bool) {
	k.mu.Lock()
	if !k.known[address] {
		if len(k.known) < maxKeyless {
			k.known[address] = true
		} else {
			address = "other"
		}
	}
	k.mu.Unlock()
	said := "no"
	if allowed {
		said = "yes"
	}
	k.calls.WithLabelValues(address, endpoint, said).Inc()
}
