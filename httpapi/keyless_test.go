package httpapi

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// value is what the counter of these labels says.
func value(t *testing.T, l *lab, labels ...string) float64 {
	t.Helper()
	var m dto.Metric
	if err := l.keyless.calls.WithLabelValues(labels...).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// series counts the series that there are.
func series(l *lab) (n int) {
	found := make(chan prometheus.Metric)
	go func() {
		defer close(found)
		l.keyless.calls.Collect(found)
	}()
	for range found {
		n++
	}
	return n
}

// TestKeyless: who calls without a key is counted by address, where a key belongs, whether let in or not.
func TestKeyless(t *testing.T) {
	l := newLab(t, func(c *Config) {
		c.AllowAnonymous, c.TrustedProxies = AnonymousClients, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	l.do(t, "GET", "findSessions", "user_id=x", "", "X-Forwarded-For", "192.0.2.1")
	l.do(t, "GET", "findSessions", "user_id=x", "")
	l.do(t, "GET", "approval", "", "", "X-Forwarded-For", "192.0.2.1")
	l.do(t, "GET", "findReadMsg", "", "") // wants no key
	l.get(t, "findSessions", "user_id=x")
	l.by(t, l.token(t, "x"), "findSessions", "user_id=x")
	for labels, want := range map[[3]string]float64{
		{"192.0.2.1", "findSessions", "yes"}: 1, {"127.0.0.1", "findSessions", "yes"}: 1, {"192.0.2.1", "approval", "no"}: 1,
	} {
		t.Run(fmt.Sprint(labels), func(t *testing.T) {
			if got := value(t, l, labels[:]...); got != want {
				t.Errorf("%v: got %v, want %v", labels, got, want)
			}
		})
	}
	if n := series(l); n != 3 {
		t.Errorf("%d series, want 3", n)
	}
	// Strangers cannot grow it without bound.
	rt := &l.routes()[0]
	for i := range 2 * maxKeyless {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", i/250, i%250)
		if err := l.admit(r, rt, l.anonymous(r)); err != nil {
			t.Fatal(err)
		}
	}
	if n := series(l); n > maxKeyless+3 {
		t.Errorf("%d series, want at most %d", n, maxKeyless+3)
	}
	if got := value(t, l, "other", rt.path, "yes"); got != maxKeyless+2 {
		t.Errorf("others: got %v, want %v", got, maxKeyless+2)
	}
}
