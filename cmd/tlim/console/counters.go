package console

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"

	"tlim/httpapi"
)

// counters are what the metrics said at one time.
type counters struct {
	at                                              time.Time
	messages, deliveries, commits, refused, dropped int64 // dropped: links that were up
	waiting, inFlight, backlog                      int
	unconfirmed, rowsDue, devices                   int
	pushes                                          []httpapi.ChannelState
	buckets                                         []*dto.Bucket // of the commits' time
}

// upLosses are the reasons of links that were lost; all others are of attempts to get one.
var upLosses = []string{"lost", "deaf", "stalled", "stream-end", "stream-error", "syntax"}

// families reads the metrics by name.
func (c *Console) families() map[string]*dto.MetricFamily {
	list, _ := c.cfg.Metrics.Gather() // what could be read is there; /metrics tells of the rest
	found := make(map[string]*dto.MetricFamily, len(list))
	for _, f := range list {
		found[f.GetName()] = f
	}
	return found
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// count is a counter, or a gauge, over all of its series that are wanted.
func count(f *dto.MetricFamily, wanted func(*dto.Metric) bool) (n int64) {
	for _, m := range f.GetMetric() {
		if wanted == nil || wanted(m) {
			n += int64(m.GetCounter().GetValue() + m.GetGauge().GetValue())
		}
	}
	return n
}

// sample reads the counters, and adds a point to the plots.
func (c *Console) sample() {
	f := c.families()
	n := counters{
		at: c.cfg.Now(), messages: count(f["tlim_messages_total"], nil), deliveries: count(f["tlim_copies_total"], nil), refused: count(f["tlim_refused_total"], nil),
		dropped: count(f["tlim_link_losses_total"], func(m *dto.Metric) bool { return slices.Contains(upLosses, label(m, "reason")) }),
		waiting: int(count(f["tlim_queue_items"], nil)), inFlight: int(count(f["tlim_in_flight_copies"], nil)), backlog: int(count(f["tlim_backlog_copies"], nil)),
		unconfirmed: int(count(f["tlim_owed_copies"], nil)), rowsDue: int(count(f["tlim_owed_rows"], nil)), devices: int(count(f["tlim_devices"], nil)),
	}
	for _, m := range f["tlim_commit_seconds"].GetMetric() {
		n.commits, n.buckets = int64(m.GetHistogram().GetSampleCount()), m.GetHistogram().GetBucket()
	}
	failing := map[string]bool{}
	for _, m := range f["tlim_pushes_failing"].GetMetric() {
		failing[label(m, "channel")] = m.GetGauge().GetValue() > 0
	}
	for _, m := range f["tlim_pushes_waiting"].GetMetric() {
		channel := label(m, "channel")
		n.pushes = append(n.pushes, httpapi.ChannelState{Channel: channel, Failing: failing[channel], Waiting: int(m.GetGauge().GetValue())})
	}
	slices.SortFunc(n.pushes, func(a, b httpapi.ChannelState) int { return cmp.Compare(a.Channel, b.Channel) })

	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.counters
	c.counters = n
	if n.commits > before.commits {
		c.commit = n.at.UnixMilli()
	}
	seconds := n.at.Sub(before.at).Seconds()
	if before.at.IsZero() || seconds <= 0 {
		return
	}
	// A link that was lost and is back between two looks is known by its metric alone.
	if n.dropped > before.dropped && c.health.Link.OK && !c.lostSince(before.at) {
		c.lost++
		c.note(httpapi.Loss{At: n.at.UnixMilli(), Back: true, Text: c.health.Link.Text, What: "link"})
	}
	rate := func(now, then int64) float64 { return math.Round(10*float64(now-then)/seconds) / 10 }
	point := httpapi.Sample{At: n.at.UnixMilli(), Messages: rate(n.messages, before.messages), Deliveries: rate(n.deliveries, before.deliveries),
		Commits: rate(n.commits, before.commits), CommitMsP99: quantile(0.99, n.buckets, before.buckets), Queue: n.waiting, Sessions: n.devices}
	if c.samples = append(c.samples, point); len(c.samples) > maxSamples {
		c.samples = slices.Clone(c.samples[1:])
	}
}

// lostSince says whether a loss of the link was noted since then; the caller holds mu.
func (c *Console) lostSince(then time.Time) bool {
	return slices.ContainsFunc(c.losses, func(l httpapi.Loss) bool { return l.What == "link" && l.At >= then.UnixMilli() })
}

// quantile is that of what came between two states of a histogram of seconds, in milliseconds: between the bounds of its bucket in proportion.
// Beyond the last bound it is that one.
func quantile(q float64, now, then []*dto.Bucket) float64 {
	came := make([]float64, len(now))
	for i, b := range now {
		came[i] = float64(b.GetCumulativeCount())
		if i < len(then) {
			came[i] -= float64(then[i].GetCumulativeCount())
		}
	}
	if len(came) == 0 || came[len(came)-1] <= 0 {
		return 0
	}
	rank := q * came[len(came)-1]
	low, below := 0.0, 0.0
	for i, b := range now {
		if high := b.GetUpperBound(); came[i] >= rank {
			if !math.IsInf(high, 1) && came[i] > below {
				low += (high - low) * (rank - below) / (came[i] - below)
			}
			break
		}
		if !math.IsInf(b.GetUpperBound(), 1) {
			low = b.GetUpperBound()
		}
		below = came[i]
	}
	return math.Round(10*1000*low) / 10
}

// Callers implements [httpapi.Console].
func (c *Console) Callers(ctx context.Context) (httpapi.Callers, error) {
	if err := ctx.Err(); err != nil {
		return httpapi.Callers{}, err
	}
	f := c.families()
	v := httpapi.Callers{Since: c.started.UnixMilli()}
	for _, m := range f["tlim_http_requests_total"].GetMetric() {
		v.Calls = append(v.Calls, httpapi.CallerCount{Caller: label(m, "caller"), Endpoint: label(m, "endpoint"), Status: label(m, "status"), Calls: int64(m.GetCounter().GetValue())})
	}
	slices.SortFunc(v.Calls, func(a, b httpapi.CallerCount) int {
		return cmp.Or(cmp.Compare(a.Caller, b.Caller), cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Status, b.Status))
	})
	for _, m := range f["tlim_http_keyless_total"].GetMetric() {
		v.Keyless = append(v.Keyless, httpapi.KeylessCount{Address: label(m, "address"), Endpoint: label(m, "endpoint"), Allowed: label(m, "allowed") == "yes", Calls: int64(m.GetCounter().GetValue())})
	}
	slices.SortFunc(v.Keyless, func(a, b httpapi.KeylessCount) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Endpoint, b.Endpoint))
	})
	clients := map[string]int64{}
	for _, m := range f["tlim_unasking_clients"].GetMetric() {
		clients[label(m, "client")] = int64(m.GetGauge().GetValue())
	}
	for _, m := range f["tlim_unasked_total"].GetMetric() {
		class := label(m, "client")
		v.Unasked = append(v.Unasked, httpapi.UnaskedCount{Class: class, Clients: clients[class], Messages: int64(m.GetCounter().GetValue())})
	}
	slices.SortFunc(v.Unasked, func(a, b httpapi.UnaskedCount) int { return cmp.Compare(a.Class, b.Class) })
	return v, nil
}
