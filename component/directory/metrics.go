package directory

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics tell how the directory follows its source, and accounts and lists the directory.
type metrics struct {
	polls, changes, accounts     *prometheus.CounterVec
	users, held, invalid, synced prometheus.Gauge
	refreshed, unrefreshed       prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	f := promauto.With(reg)
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: "tlim_directory_" + name, Help: help})
	}
	m := &metrics{
		polls: f.NewCounterVec(prometheus.CounterOpts{Name: "tlim_directory_polls_total",
			Help: "Looks at the source of users, by result."}, []string{"result"}),
		changes: f.NewCounterVec(prometheus.CounterOpts{Name: "tlim_directory_changes_total",
			Help: "Users that polls have changed, by what: added, changed, left, push."}, []string{"what"}),
		accounts: f.NewCounterVec(prometheus.CounterOpts{Name: "tlim_accounts_total",
			Help: "Accounts on the server, by what was done: made, found, removed, failed."}, []string{"what"}),
		users:   gauge("users", "Users of the source at the last poll."),
		held:    gauge("removals_held", "Users missing in the source whom directory.max_remove kept from being removed."),
		invalid: gauge("invalid_users", "Users of the source that cannot be users here: their id is no address, or a field is too long."),
		synced:  gauge("synced_timestamp_seconds", "When the directory was last in step with its source."),
		refreshed: f.NewCounter(prometheus.CounterOpts{Name: "tlim_refreshed_rows_total",
			Help: "Rows in groups and 1:1 lists that got a user's new name, login or picture."}),
		unrefreshed: f.NewCounter(prometheus.CounterOpts{Name: "tlim_unrefreshed_users_total",
			Help: "Users whose new name old tables cannot hold."}),
	}
	for _, what := range []string{"made", "found", "removed", "failed"} {
		m.accounts.WithLabelValues(what) // alarms watch them from the start
	}
	return m
}
