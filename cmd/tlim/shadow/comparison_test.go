package shadow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component"
	"tlim/component/doubles"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// site is a database of the old plugin.
type site struct {
	rows  map[string][]store.Message
	queue map[string][]store.OfflineMessage
	fail  error
	lacks bool // its columns cannot hold what is asked
}

func (s *site) StoredMessages(context.Context, []string) (map[string][]store.Message, error) {
	return s.rows, s.fail
}

func (s *site) QueueRows(context.Context, []string) (map[string][]store.OfflineMessage, error) {
	return s.queue, s.fail
}

func (s *site) StoredSince(_ context.Context, _, _ int64, _ int, visit func(store.Message)) (bool, error) {
	for _, list := range s.rows {
		for _, row := range list {
			visit(row)
		}
	}
	return false, s.fail
}

func (s *site) Groups(context.Context, []string) (map[string]store.Group, error)     { return nil, nil }
func (s *site) Members(context.Context, []string) (map[string][]store.Member, error) { return nil, nil }
func (s *site) HoldsMessage(context.Context, string) (bool, error)                   { return !s.lacks, nil }
func (s *site) HoldsQueued(context.Context, string) (bool, error)                    { return !s.lacks, nil }

// sessions are who is there.
type sessions struct{ list []presence.Session }

func (s *sessions) Snapshot(context.Context) ([]presence.Session, error) { return s.list, nil }

func on(user, resource, show string) presence.Session {
	return presence.Session{JID: stanza.JID{Local: user, Domain: "im.test", Resource: resource}, Show: show}
}

type nobody struct{}

func (nobody) Up()        {}
func (nobody) Down(error) {}

// bench is a Comparison with a clock, a site and a list of who is there.
type bench struct {
	*Comparison
	t     *testing.T
	clock *doubles.Clock
	site  *site
	there *sessions
	n     int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, clock: doubles.NewClock(time.UnixMilli(1_600_000_000_000)), site: &site{rows: map[string][]store.Message{}, queue: map[string][]store.OfflineMessage{}}, there: &sessions{}}
	b.Comparison = New(b.site, NewPresence(b.there, b.clock.Now), NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler), b.clock.Now)
	b.Follow(nobody{})
	b.LinkUp()
	b.look(0)
	b.Subscribed()
	return b
}

// look lets time pass with a snapshot and a look each second.
func (b *bench) look(seconds int) {
	b.t.Helper()
	for range seconds {
		b.clock.Move(time.Second)
		b.snapshot()
		b.scanFirst(b.t.Context())
		b.Comparison.look(b.t.Context())
	}
	if seconds == 0 {
		b.snapshot()
	}
}

func (b *bench) snapshot() {
	b.t.Helper()
	if _, err := b.presence.Snapshot(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// copy is a message of zhangsan's page to lisi that was sent so long ago. tlim stores it, with offline messages of owners, unless it refuses it.
func (b *bench) copy(id, msgType string, ago time.Duration, refused error, owners ...string) {
	b.n++
	st := stanza.Stanza{Name: "message", From: "zhangsan@im.test/x[web]", To: "lisi@im.test", Inner: fmt.Appendf(nil, "<body>%d</body>", b.n)}
	b.Copied(st, b.clock.Now().Add(-ago))
	if refused == nil {
		change := store.Change{Message: &store.Message{ID: "ours" + id, MsgID: id, Type: msgType, From: "zhangsan", To: "lisi", Body: `[{"text":"x"}]`, SessionID: "g"}}
		for _, o := range owners {
			change.Offline = append(change.Offline, store.OfflineMessage{Message: store.Message{MsgID: id}, Owner: o})
		}
		b.applied([]store.Change{change})
	}
	b.Judged(component.Verdict{Stanza: st, Envelope: &protocol.Envelope{MsgID: id, Type: msgType, From: "zhangsan", To: "lisi"}, Err: refused})
}

// plugin stores the message and offline messages.
func (b *bench) plugin(id, msgType string, owners ...string) {
	b.n++
	b.site.rows[id] = append(b.site.rows[id], store.Message{ID: fmt.Sprint("row", b.n), MsgID: id, Type: msgType, From: "zhangsan", To: "lisi", Body: `[{"text":"x"}]`})
	for _, o := range owners {
		b.n++
		b.site.queue[id] = append(b.site.queue[id], store.OfflineMessage{Message: store.Message{ID: fmt.Sprint("q", b.n), MsgID: id}, Owner: o})
	}
}

// found is what the report says, in a line.
func (b *bench) found() string {
	r := b.Report(true)
	var list []string
	for _, d := range r.Differences {
		list = append(list, fmt.Sprintf("%dx %s (%s)", d.Count, d.What, d.Rule))
	}
	for _, reason := range r.Reasons {
		list = append(list, fmt.Sprintf("%dx not: %s", reason.Count, reason.Reason))
	}
	return fmt.Sprintf("%d/%d %d/%d %s", r.Messages.Same, r.Messages.Compared, r.OfflineMessages.Same, r.OfflineMessages.Compared, strings.Join(list, ", "))
}

func TestComparison(t *testing.T) {
	forbidden := protocol.Refuse(protocol.NotAllowed, "no")
	for name, c := range map[string]struct {
		do   func(b *bench)
		want string
	}{
		"the same": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			b.plugin("m", "MTT-000", "lisi")
			b.look(4)
		}, "1/1 1/1 "},
		"rows that come late": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			b.look(10)
			b.plugin("m", "MTT-000", "lisi")
			b.look(4)
		}, "1/1 1/1 "},
		"rows of a plugin that is far behind": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			b.look(100)
			b.plugin("m", "MTT-000", "lisi")
			b.look(39)
		}, "1/1 1/1 "},
		"a row that was fetched before the last look": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			b.plugin("m", "MTT-000", "lisi")
			b.look(1)
			delete(b.site.queue, "m")
			b.look(3)
		}, "1/1 1/1 "},
		"one too many that comes with the second look": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			b.plugin("m", "MTT-000", "lisi")
			b.look(2)
			b.plugin("m", "MTT-000", "lisi")
			b.look(140)
		}, "0/1 0/1 1x message: twice in the table (), 1x offline message: twice in the table ()"},
		"nothing": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			b.look(140)
		}, "0/1 0/1 1x message: missing in the table (), 1x offline message: missing in the table ()"},
		"what the columns cannot hold": {func(b *bench) {
			b.site.lacks = true
			b.copy("m", "MTT-000", 0, nil, "lisi")
			b.look(140)
		}, "0/1 0/1 1x message: missing in the table (8. Errors to the sender), 1x offline message: missing in the table (8. Errors to the sender)"},
		"the receiver's phone has come since": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			b.plugin("m", "MTT-000")
			b.look(7)
			b.there.list = []presence.Session{on("lisi", "phone", "away")}
			b.look(140)
		}, "1/1 0/0 1x not: " + NotFetched},
		"the receiver left before the copy came": {func(b *bench) {
			b.there.list = []presence.Session{on("lisi", "phone", "")}
			b.look(3)
			b.there.list = nil
			b.look(2)
			b.copy("m", "MTT-000", 4*time.Second, nil, "lisi")
			b.plugin("m", "MTT-000")
			b.look(140)
		}, "1/1 0/0 1x not: " + NotPresence},
		"the receiver came before the copy did": {func(b *bench) {
			b.look(4)
			b.there.list = []presence.Session{on("lisi", "phone", "")}
			b.look(2)
			b.copy("m", "MTT-000", 4*time.Second, nil)
			b.plugin("m", "MTT-000", "lisi")
			b.look(140)
		}, "1/1 0/0 1x not: " + NotPresence},
		"nobody knows who is there": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			b.plugin("m", "MTT-000")
			b.LinkDown()
			b.look(140)
		}, "1/1 0/0 1x not: " + NotBlind},
		"refused": {func(b *bench) {
			b.copy("m", "MTS-000", 0, forbidden)
			b.plugin("m", "MTS-000", "lisi")
			b.look(140)
		}, "0/1 0/1 1x message: in the table, refused by tlim (Groups), 1x offline message: in the table, and tlim makes none (Groups)"},
		"refused, and not there either": {func(b *bench) {
			b.copy("m", "MTS-000", 0, forbidden)
			b.look(140)
		}, "1/1 0/0 "},
		"a late notice": {func(b *bench) {
			b.copy("m", "MTS-104", 0, forbidden)
			b.plugin("m", "MTS-104")
			b.look(140)
		}, "0/0 0/0 1x not: " + NotFormer},
		"revoked before it was compared": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			b.applied([]store.Change{{DropMessages: []store.Drop{{MsgID: "m"}}}})
			b.site.queue["m"] = []store.OfflineMessage{{Message: store.Message{ID: "q", MsgID: "m"}, Owner: "lisi"}}
			b.look(140)
		}, "1/1 0/1 1x offline message: in the table, and tlim makes none (6. Revocation)"},
		"revoked by who may not": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil)
			st := stanza.Stanza{From: "evil@im.test/x", To: "lisi@im.test", Inner: []byte("<body/>")}
			b.Judged(component.Verdict{Stanza: st, Err: forbidden, Envelope: &protocol.Envelope{MsgID: "r", Type: "MTT-101", From: "evil", Objects: []protocol.Object{{MsgID: "m"}}}})
			b.plugin("r", "MTT-101")
			b.look(140)
		}, "0/2 0/0 1x message: in the table, refused by tlim (6. Revocation), 1x message: missing in the table (6. Revocation)"},
		"sent again at once": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			st := stanza.Stanza{From: "zhangsan@im.test/x[web]", To: "lisi@im.test", Inner: []byte("<body>again</body>")}
			b.Judged(component.Verdict{Stanza: st, Envelope: &protocol.Envelope{MsgID: "m"}})
			b.plugin("m", "MTT-000", "lisi", "lisi")
			b.look(140)
		}, "1/1 0/1 1x offline message: twice in the table (Exactly once)"},
		"passed on to the administrators": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			st := stanza.Stanza{From: "zhangsan@im.test/x[web]", To: "admin@im.test", Inner: []byte("<body>again</body>")}
			b.Judged(component.Verdict{Stanza: st, Envelope: &protocol.Envelope{MsgID: "m"}})
			b.plugin("m", "MTT-000", "lisi", "lisi")
			b.look(140)
		}, "1/1 0/1 1x offline message: twice in the table ()"},
		"sent again later": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil)
			b.plugin("m", "MTT-000")
			b.look(5)
			b.copy("m", "MTT-000", 0, nil)
			b.look(5)
		}, "1/1 0/0 1x not: " + NotAgain},
		"not taken just then": {func(b *bench) {
			b.copy("m", "MTT-000", 0, protocol.ErrUnavailable)
			b.plugin("m", "MTT-000", "lisi")
			b.look(140)
		}, "0/0 0/0 1x not: " + NotTaken},
		"made by tlim": {func(b *bench) {
			b.applied([]store.Change{{Message: &store.Message{MsgID: "m", Type: "MTS-107"}}})
			b.look(140)
		}, "0/0 0/0 1x message: made by tlim alone (7. Dissolving)"},
		"the database is away for a while": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			b.plugin("m", "MTT-000", "lisi")
			b.look(1)
			b.site.fail = errors.New("away")
			b.look(30)
			b.site.fail = nil
			b.look(4)
		}, "1/1 1/1 "},
		"the database is away longer than changes are remembered": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			b.copy("lost", "MTT-000", 0, nil)
			b.site.fail = errors.New("away")
			b.look(60)
			b.there.list = []presence.Session{on("lisi", "phone", "away")} // it has fetched what the plugin queued
			b.look(300)
			b.plugin("m", "MTT-000")
			b.site.fail = nil
			b.look(20)
			b.copy("n", "MTT-000", 0, nil, "wangwu")
			b.look(140)
		}, "1/2 0/1 1x message: missing in the table (), 1x offline message: missing in the table (), 6x not: " + NotScanned + ", 2x not: " + NotRead},
		"more than can wait while the database is away": {func(b *bench) {
			b.site.fail = errors.New("away")
			for i := range maxOpen + 2 {
				b.copy(fmt.Sprint("m", i), "MTT-000", 0, nil)
			}
			if n := len(b.open); n != maxOpen {
				b.t.Errorf("%d messages wait, want at most %d", n, maxOpen)
			}
		}, "0/0 0/0 2x not: " + NotRead},
		"the server's clock is an hour behind": {func(b *bench) {
			b.copy("m", "MTT-000", time.Hour, nil, "lisi")
			b.plugin("m", "MTT-000")
			b.look(140)
		}, "1/1 0/1 1x offline message: missing in the table ()"},
		"the server's clock is an hour ahead, and the receiver came before the copy did": {func(b *bench) {
			b.copy("first", "MTT-000", -time.Hour, nil)
			b.plugin("first", "MTT-000")
			b.look(4)
			b.there.list = []presence.Session{on("lisi", "phone", "")}
			b.look(2)
			b.copy("m", "MTT-000", -time.Hour+4*time.Second, nil)
			b.plugin("m", "MTT-000", "lisi")
			b.look(140)
		}, "2/2 0/0 1x not: " + NotPresence},
		"a member who was removed": {func(b *bench) {
			b.members(map[string][]store.Member{"g": {{UserID: "lisi"}, {UserID: "wangwu"}}})
			b.copy("m", "MTS-000", 0, nil, "wangwu")
			b.clock.Move(time.Second)
			b.members(map[string][]store.Member{"g": {{UserID: "lisi"}}})
			b.plugin("m", "MTS-000")
			b.look(140)
		}, "1/1 0/0 1x not: " + NotMember},
		"members in another spelling": {func(b *bench) {
			b.copy("m", "MTT-000", 0, nil, "lisi")
			b.plugin("m", "MTT-000", "LiSi")
			b.look(140)
		}, "1/1 1/1 "},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			c.do(b)
			if got := b.found(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
