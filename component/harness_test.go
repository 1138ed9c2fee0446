package component

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"tlim/component/directory"
	"tlim/component/doubles"
	"tlim/component/events"
	"tlim/component/outbox"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

const (
	testServer    = "im.test"
	testComponent = "tlim.im.test"
)

// harness runs a Service over a real SQLite store; only the server is a double.
type harness struct {
	*Service
	t       *testing.T
	db      *store.Store
	rec     *recordingStore
	sender  *recordingSender
	clock   *doubles.Clock
	server  *fakeServer
	looks   bool // calls may ask it for snapshots; they come when they come, so else only the first does, and what a test takes itself
	dir     string
	stop    context.CancelFunc
	stopped chan error
	push    []outbox.Channel
	told    events.Config
	origin  directory.Source   // of users
	login   directory.Accounts // on the server
	asked   directory.Finder   // nil: nobody can tell, but of nobody
	logged  io.Writer
	metered *prometheus.Registry
	after   func(time.Duration) <-chan time.Time // of the outbox
	link    Sender                               // nil: sender
	tune    func(*Service)                       // before it runs
}

// fakeServer answers presence snapshots.
type fakeServer struct {
	mu       sync.Mutex
	sessions map[string]presence.Session
	err      error
	asked    chan<- struct{} // told of each question
}

func (f *fakeServer) Snapshot(context.Context) ([]presence.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked != nil {
		f.asked <- struct{}{}
	}
	var list []presence.Session
	for _, s := range f.sessions {
		list = append(list, s)
	}
	return list, f.err
}

func testConfig() Config {
	return Config{Server: testServer, Component: testComponent, Delivery: "auto", Acknowledgements: "requested", GroupReceipts: "author",
		Confirm: "auto", Grace: 5 * time.Second, SnapshotPeriod: time.Hour, Limits: protocol.Limits{Body: 64 << 10},
		UserBurst: 1, Inflight: 2000, InflightBytes: 64 << 20, UnconfirmedPerUser: 1000, ShutdownTimeout: 10 * time.Second}
}

// start runs a Service on a fresh database with the users zhangsan, lisi, wangwu and zhaoliu in its directory.
func start(t *testing.T, change func(*Config)) *harness {
	t.Helper()
	return startOn(t, change, nil)
}

// startOn does so on a database of which prepare has written the tables before the first start.
func startOn(t *testing.T, change func(*Config), prepare func(file string)) *harness {
	t.Helper()
	h := newHarness(t)
	if prepare != nil {
		prepare(h.file())
	}
	return h.begin(change)
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{t: t, dir: t.TempDir(), clock: doubles.NewClock(time.UnixMilli(1_600_000_000_000)), sender: &recordingSender{},
		server: &fakeServer{sessions: map[string]presence.Session{}}}
	h.sender.posted = sync.NewCond(&h.sender.mu)
	return h
}

// begin is the first start of a harness.
func (h *harness) begin(change func(*Config)) *harness {
	h.t.Helper()
	t := h.t
	h.run(change)
	t.Cleanup(func() {
		if h.stop != nil {
			h.halt()
		}
	})
	var users []store.User
	for _, id := range []string{"zhangsan", "lisi", "wangwu", "zhaoliu"} {
		users = append(users, store.User{ID: id, Name: strings.ToUpper(id[:1]) + id[1:]})
	}
	if err := h.AddUsers(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	h.Up()
	h.sync()
	h.rec.take()
	h.sender.take()
	return h
}

// run starts the Service on the harness's directory, as a process start would.
func (h *harness) run(change func(*Config)) {
	h.t.Helper()
	cfg := testConfig()
	if change != nil {
		change(&cfg)
	}
	db, err := store.Open(h.t.Context(), store.Config{Driver: "sqlite", DSN: h.file(), Migrate: store.MigrateAuto, MaxOpen: 4,
		MaxIdle: 4, MaxWait: time.Minute, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		h.t.Fatal(err)
	}
	h.db, h.rec = db, &recordingStore{Store: db}
	h.metered = prometheus.NewRegistry()
	link := h.link
	if link == nil {
		link = h.sender
	}
	h.Service, err = New(cfg, Deps{Store: h.rec, Sender: link, Snapshots: h.server, Source: h.origin, Accounts: h.login, Finder: h.find(), Push: h.push, Events: h.told, Registry: h.metered, Log: h.logger(), Now: h.clock.Now, After: h.after})
	if err != nil {
		h.t.Fatal(err)
	}
	if h.tune != nil {
		h.tune(h.Service)
	}
	if !h.looks {
		h.watcher = quiet{h.watcher}
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.stop, h.stopped = cancel, make(chan error, 1)
	go func() { h.stopped <- runParts(ctx, h.Service) }()
}

// runParts runs the parts of a Service, as the program does, but for those of these names.
func runParts(ctx context.Context, s *Service, without ...string) error {
	var runs []func(context.Context) error
	parts := slices.DeleteFunc(s.Parts(), func(p Part) bool { return slices.Contains(without, p.Name) })
	if len(parts)+len(without) != len(s.Parts()) {
		return fmt.Errorf("of the parts %v: got %d left out, want each", without, len(s.Parts())-len(parts))
	}
	for _, p := range parts {
		runs = append(runs, p.Run)
	}
	return doubles.Together(ctx, runs...)
}

// untold is a server that tells of no account, but that there is none of nobody.
type untold struct{}

func (untold) HasAccount(_ context.Context, local string) (bool, error) {
	if strings.HasPrefix(local, "nobody") {
		return false, nil
	}
	return false, directory.ErrUntold
}

func (h *harness) find() directory.Finder {
	if h.asked == nil {
		return untold{}
	}
	return h.asked
}

func (h *harness) logger() *slog.Logger {
	if h.logged == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(h.logged, nil))
}

func (h *harness) file() string { return filepath.Join(h.dir, "tlim.db") }

// kill ends the process as kill -9 does: nothing more reaches the database or the server.
func (h *harness) kill() {
	h.t.Helper()
	h.rec.breakWith(store.ErrUnavailable)
	h.sender.set(func(r *recordingSender) { r.down = true })
	h.halt()
	h.sender.set(func(r *recordingSender) { r.down, r.barriers = false, nil })
}

// state reads the positions.
func (h *harness) state() store.State {
	h.t.Helper()
	st, err := h.db.State(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return st
}

// halt ends the process in order.
func (h *harness) halt() {
	h.t.Helper()
	h.stop()
	if err := <-h.stopped; err != nil {
		h.t.Errorf("Run: got %v, want no error", err)
	}
	h.stop = nil
	if err := h.db.Close(); err != nil {
		h.t.Error(err)
	}
}

// sync returns when everything that was queued before has been delivered.
func (h *harness) sync() {
	h.t.Helper()
	for n := 0; n < 2 || h.intake.items.Load() > 0 || h.intake.passedBytes.Load() > 0; n++ { // calls pass messages that wait; the first is answered at its commit, the second after the deliveries of the first
		if err := h.do(h.t.Context(), &task{plan: func(context.Context, *batch) error { return nil }}); err != nil && !errors.Is(err, protocol.ErrUnavailable) { // tests break the database
			h.t.Fatal(err)
		}
	}
}

// turns lets the conveyor come round n times, whatever waits. What was posted before is sorted by then.
func (h *harness) turns(n int) {
	h.t.Helper()
	for range n {
		if err := h.do(h.t.Context(), &task{plan: func(context.Context, *batch) error { return nil }}); err != nil {
			h.t.Fatal(err)
		}
	}
}

// arrive lets devices connect without a word to us: the next snapshot has them.
func (h *harness) arrive(devices ...string) {
	h.server.mu.Lock()
	defer h.server.mu.Unlock()
	for _, d := range devices {
		local, resource, _ := strings.Cut(d, "/")
		h.server.sessions[local+"@"+testServer+"/"+resource] = presence.Session{JID: stanza.JID{Local: local, Domain: testServer, Resource: resource}}
	}
}

// online makes devices known: "lisi/phone", "lisi/x[web]" or "lisi/phone:away".
func (h *harness) online(devices ...string) {
	h.t.Helper()
	for _, d := range devices {
		name, show, _ := strings.Cut(d, ":")
		local, resource, _ := strings.Cut(name, "/")
		inner := ""
		if show != "" {
			inner = "<show>" + show + "</show>"
		}
		jid := local + "@" + testServer + "/" + resource
		h.server.mu.Lock()
		h.server.sessions[jid] = presence.Session{JID: stanza.JID{Local: local, Domain: testServer, Resource: resource}, Show: show}
		h.server.mu.Unlock()
		h.Stanza(stanza.Stanza{Name: "presence", From: jid, To: testComponent, Inner: []byte(inner)})
	}
	h.sync()
}

// offline takes a device away.
func (h *harness) offline(device string) {
	h.t.Helper()
	local, resource, _ := strings.Cut(device, "/")
	jid := local + "@" + testServer + "/" + resource
	h.server.mu.Lock()
	delete(h.server.sessions, jid)
	h.server.mu.Unlock()
	h.Stanza(stanza.Stanza{Name: "presence", Type: "unavailable", From: jid, To: testComponent})
	h.sync()
}

// blind makes the last snapshot an old one: nobody can tell who is absent, and copies for those of whom nothing is known go to their
// bare JIDs.
func (h *harness) blind() {
	h.t.Helper()
	sessions, _ := h.server.Snapshot(h.t.Context())
	h.presence.Merge(sessions, h.clock.Now().Add(-24*time.Hour))
}

// forgetRecent drops what was sent in the last moments, as if it had taken too much memory: devices that come get rows.
func (h *harness) forgetRecent() {
	h.t.Helper()
	if err := h.do(h.t.Context(), &task{plan: func(context.Context, *batch) error {
		h.conveyor.recent.clear()
		h.conveyor.recent.cut = h.clock.Now()
		return nil
	}}); err != nil {
		h.t.Fatal(err)
	}
}

// quiet asks in its own time only.
type quiet struct{ watcher }

func (quiet) Refresh() {}

func (quiet) Look(context.Context) {}

// snapshot lets the server answer what it has, now.
func (h *harness) snapshot() {
	h.t.Helper()
	sessions, _ := h.server.Snapshot(h.t.Context())
	h.presence.Merge(sessions, h.clock.Now())
	h.sync()
}

// send lets a device send an envelope that asks for an acknowledgement.
func (h *harness) send(device, envelope string) {
	h.t.Helper()
	h.sendRaw(device, testComponent, "<tlim xmlns=\"im.itonglian.com\" ack=\"1\"/><body>"+string(stanza.AppendEscaped(nil, envelope))+"</body>")
}

// post puts an envelope into the queue without waiting.
func (h *harness) post(device, envelope string) {
	local, resource, _ := strings.Cut(device, "/")
	h.Stanza(stanza.Stanza{Name: "message", Type: "chat", ID: "s1", From: local + "@" + testServer + "/" + resource, To: testComponent,
		Inner: append(stanza.AppendEscaped([]byte(`<tlim xmlns="im.itonglian.com" ack="1"/><body>`), envelope), "</body>"...)})
}

// together makes one batch of all that do posts.
func (h *harness) together(do func()) {
	h.t.Helper()
	busy, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	begun := sync.OnceFunc(func() { close(busy) }) // its batch may be decided again
	go func() {
		done <- h.do(h.t.Context(), &task{alone: true, plan: func(context.Context, *batch) error {
			begun()
			<-release
			return nil
		}})
	}()
	<-busy
	do()
	close(release)
	if err := <-done; err != nil {
		h.t.Fatal(err)
	}
	h.sync()
}

func (h *harness) sendRaw(device, to, inner string) {
	h.t.Helper()
	local, resource, _ := strings.Cut(device, "/")
	h.Stanza(stanza.Stanza{Name: "message", Type: "chat", ID: "s1", From: local + "@" + testServer + "/" + resource, To: to, Inner: []byte(inner)})
	h.sync()
}

// text is the envelope of a 1:1 text.
func text(id, from, to, body string) string {
	return fmt.Sprintf(`{"msg_id":%q,"msg_type":"MTT-000","msg_from":%q,"msg_to":%q,"msg_time":"1","body":[{"text":%q}]}`, id, from, to, body)
}

// groupText is the envelope of a group text.
func groupText(id, from, group, body string) string {
	return fmt.Sprintf(`{"msg_id":%q,"msg_type":"MTS-000","msg_from":%q,"msg_to":%q,"body":[{"session_id":%q,"text":%q}]}`, id, from, group, group, body)
}

func (h *harness) makeGroup(owner string, members ...string) string {
	h.t.Helper()
	g, _, err := h.CreateGroup(h.t.Context(), GroupSpec{Owner: owner, Members: members})
	if err != nil {
		h.t.Fatal(err)
	}
	return g.ID
}

// waits reads a user's queue whole, by pages.
func (h *harness) waits(user, since string, limit int) (list []store.OfflineMessage, err error) {
	err = h.Offline(h.t.Context(), user, since, limit, func(page []store.OfflineMessage) error {
		list = append(list, page...)
		return nil
	})
	return list, err
}

// queue lists the ids of a user's rows.
func (h *harness) queue(user string) string {
	h.t.Helper()
	var ids []string
	for _, row := range h.queueRows(user) {
		ids = append(ids, fmt.Sprintf("%s/%d", row.MsgID, row.Status))
	}
	return strings.Join(ids, " ")
}

// queueRows is what waits for a user.
func (h *harness) queueRows(user string) []store.OfflineMessage {
	h.t.Helper()
	rows, err := h.db.Offline(h.t.Context(), user, "", "", "", 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	return rows
}

// addresses lists where copies with this id went.
func addresses(list []stanza.Delivery, id string) string {
	var to []string
	for _, d := range list {
		if d.ID == id {
			for _, target := range d.To {
				to = append(to, target.JID)
			}
		}
	}
	return strings.Join(to, " ")
}

// refusals lists the codes of the errors posted.
func refusals(posts []string) string {
	var codes []string
	for _, p := range posts {
		if _, rest, ok := strings.Cut(p, `<code xmlns="urn:tlim:errors">`); ok {
			code, _, _ := strings.Cut(rest, "<")
			codes = append(codes, code)
		} else {
			codes = append(codes, "acknowledgement")
		}
	}
	return strings.Join(codes, " ")
}

// gathered reads a metric of a registry: the series with these values of its labels, in the order of the labels' names.
func gathered(t *testing.T, from prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if f.GetName() == name && slices.Equal(values, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() // it is one of them
			}
		}
	}
	t.Fatalf("got no series %s%q, want one", name, labels)
	return 0
}

// counter reads a metric.
func counter(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
