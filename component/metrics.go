package component

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"tlim/component/protocol"
	"tlim/component/unconfirmed"
)

// metrics are what an administrator watches; README and deploy/ say what to alarm on.
type metrics struct {
	messages                                                                                                   *prometheus.CounterVec
	refused                                                                                                    *prometheus.CounterVec
	busy                                                                                                       *prometheus.CounterVec
	ignored                                                                                                    *prometheus.CounterVec
	copies, acknowledged, replayed, unanswered, unstorable, unqueued, longFields, misaddressed, caughtUpByRows prometheus.Counter
	commit, snapshots                                                                                          prometheus.Histogram
	calls                                                                                                      *prometheus.CounterVec
	skipped                                                                                                    *prometheus.CounterVec
	pings                                                                                                      *prometheus.CounterVec
	ignoredConfirmations                                                                                       *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, s *Service) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "tlim_" + name, Help: help})
	}
	vec := func(name, label, help string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: "tlim_" + name, Help: help}, []string{label})
	}
	gauge := func(name, help string, value func() float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: "tlim_" + name, Help: help}, value)
	}
	m := &metrics{
		messages:       vec("messages_total", "kind", "Messages taken in, by kind."),
		refused:        vec("refused_total", "code", "Messages refused, by error code."),
		busy:           vec("busy_total", "what", "Messages refused with error-013 because too much waited: of their conversation, of their user, or in all (server)."),
		ignored:        vec("ignored_total", "reason", "Stanzas that are not ours to answer, by reason."),
		copies:         counter("copies_total", "Copies handed to the server."),
		acknowledged:   counter("receipts_total", "Messages acknowledged."),
		replayed:       counter("replayed_total", "Messages delivered again after a start or reconnect."),
		unanswered:     counter("unanswered_total", "Answers to senders that the link had no room for; the senders repeat."),
		unstorable:     counter("unstorable_total", "Messages that the database cannot hold."),
		unqueued:       counter("unqueued_total", "Queue rows that an old table cannot hold; the messages are in the history."),
		longFields:     counter("long_fields_total", "Inner fields longer than documented that were let pass."),
		misaddressed:   counter("misaddressed_total", "Stanzas whose address contradicts their envelope."),
		caughtUpByRows: counter("catchup_reads_total", "Devices that were sent what they had missed from the queue, because what was sent in the last moments took too much memory."),
		commit: f.NewHistogram(prometheus.HistogramOpts{Name: "tlim_commit_seconds", Help: "Time of one write transaction.",
			Buckets: []float64{.0003, .001, .003, .01, .03, .1, .3, 1, 3}}),
		snapshots: f.NewHistogram(prometheus.HistogramOpts{Name: "tlim_snapshot_seconds", Help: "Time of one presence snapshot, until the server has answered.",
			Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 3}}),
	}
	m.calls = vec("notice_calls_total", "what", "Calls that push notices: new; repeated, answered as before; overlapping, of which some receivers had theirs; conflicting, refused because their key was used for another request.")
	m.skipped = f.NewCounterVec(prometheus.CounterOpts{Name: "tlim_users_skipped_total", Help: "Users whom a call of the API named and who were left out, of groups and notices, by reason."}, []string{"of", "reason"})
	m.pings = vec("device_pings_total", "outcome", "Pairs of pings around copies to phones, of which two that follow at once share one: answered, which confirms the copies when offline.grace is over; gone, where the server says that the session is; unanswered within offline.grace; late, answered after that.")
	m.ignoredConfirmations = vec("confirmations_ignored_total", "what", "What phones confirmed and was left at that. Too much waited to be written: a row to be deleted (the phone may get the message once more), or the mark of a user whose phones confirm. untrue: more than a user may confirm of what nobody waits for. passing: it settled, and could not be passed on to whom it names. unread: more bytes of one user than are read. malformed: it was none, or larger than any can be.")
	for code := range protocol.Conditions {
		begin(m.refused, string(code))
	}
	begin(m.busy, busyConversation, busyUser, busyServer)
	begin(m.pings, unconfirmed.PingAnswered, unconfirmed.PingGone, unconfirmed.PingUnanswered, unconfirmed.PingLate)
	begin(m.ignoredConfirmations, ignoredRow, ignoredMark, ignoredUntrue, ignoredPassing, ignoredUnread, ignoredMalformed)
	begin(m.calls, callNew, callRepeated, callOverlapping, callConflicting)
	for _, of := range []string{"group", "notice"} {
		m.skipped.WithLabelValues(of, string(protocol.SkipUnknown)) // is there from the start: see the guide's alarms
	}
	gauge("queue_items", "Messages that wait to be stored, or are being stored.", func() float64 { return float64(s.intake.items.Load()) })
	gauge("queue_bytes", "Bytes of messages that wait.", func() float64 { return float64(s.intake.bytes.Load()) })
	gauge("in_flight_copies", "Copies handed to the server that it is not known to have routed.", func() float64 { l, _ := s.conveyor.inFlight.Now(); return float64(l.Copies) })
	gauge("in_flight_bytes", "Bytes of them.", func() float64 { l, _ := s.conveyor.inFlight.Now(); return float64(l.Bytes) })
	gauge("in_flight_bound", "Copies that may be in flight; it follows the server's speed.", func() float64 { _, bound := s.conveyor.inFlight.Now(); return float64(bound) })
	gauge("backlog_copies", "Copies of stored messages that wait for the server to route others.", func() float64 { return float64(s.conveyor.backlog.copies.Load()) })
	// What is unconfirmed was once called owed; sites graph these two names, so they stay.
	gauge("owed_copies", "Copies sent to phones and not settled.", func() float64 { return float64(s.unconfirmed.Count().Copies) })
	gauge("owed_rows", "Copies that are about to become queue rows.", func() float64 {
		n := s.unconfirmed.Count()
		return float64(n.Rows + n.Deferred)
	})
	gauge("deferred_bytes", "Memory for the queue rows of absent members of large groups that follow their messages; they are among tlim_owed_rows.", func() float64 { return float64(s.unconfirmed.Count().DeferredBytes) })
	gauge("notice_calls_open", "Calls that push notices to many, begun and not finished.", func() float64 { return float64(s.calls.Count()) })
	gauge("devices", "Devices known to be available.", func() float64 { return float64(s.presence.Count()) })
	return m
}

// What was too busy, as a metric has it.
const (
	busyConversation = "conversation"
	busyUser         = "user"
	busyServer       = "server"
)

// What was ignored of confirmations, as a metric has it.
const (
	ignoredRow       = "row"
	ignoredMark      = "mark"
	ignoredUntrue    = "untrue"
	ignoredPassing   = "passing"
	ignoredUnread    = "unread"
	ignoredMalformed = "malformed"
)

// begin makes the series of these values, at 0: an alarm on an increase does not see one that begins with 1.
func begin(counts *prometheus.CounterVec, values ...string) {
	for _, v := range values {
		counts.WithLabelValues(v)
	}
}
