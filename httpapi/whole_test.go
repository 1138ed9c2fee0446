package httpapi

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component"
	"tlim/component/doubles"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
	"tlim/store/blob"
)

// knownFile is a file of every whole: a picture.
const knownFile = "0123456789abcdef0123456789abcdef"

// newWhole is an API over the real component and a real store with a little of everything, files included. Only the link
// to the server is none: it takes what is sent and says so.
func newWhole(t testing.TB, change ...func(*Config)) *lab {
	t.Helper()
	// 1. The tables, and what seeded leaves out.
	s, file := seededFile(t)
	queued := func(id string) store.OfflineMessage {
		found, err := s.MessagesByID(t.Context(), []string{id})
		if err != nil || len(found[id]) != 1 {
			t.Fatalf("message %s: %v, %v, want 1 found, no error", id, found, err)
		}
		return store.OfflineMessage{Message: found[id][0], Owner: "lisi"}
	}
	apply(t, s, []store.Change{{
		Users:   []store.User{{ID: "zhangsan", JID: "zhangsan", Name: "张三"}, {ID: "wangwu", JID: "wangwu", Name: "王五", Email: "wangwu@d.example"}},
		SetPush: []store.User{{ID: "wangwu", PushCode: "1a0018970aaf27", PushOS: "android"}},
		Offline: []store.OfflineMessage{queued("c1"), queued("n2")},
	}})
	notice := &store.Message{ID: "row-t", MsgID: testCall[:30] + "000001", Type: "MTB-000", From: "admin", To: "wangwu", Time: "1544602393041", Body: `[{"bizId":"1024","docTitle":"请假单"}]`, SessionID: "admin"}
	waiting := *notice
	waiting.ID = "0167a17a-19d1-7000-8000-000000000001" // made with it
	apply(t, s, []store.Change{{                        // what became of a call to wangwu
		IDs:      []store.ID{{MsgID: notice.MsgID, Class: store.ClassMessage, From: "admin", Conversation: "admin wangwu", Time: notice.Time, State: store.Live}},
		Message:  notice,
		Calls:    []store.Call{{ID: testCall, Caller: "oa", Type: notice.Type, Receivers: 1, Made: 1544602393040, Done: true}},
		Offline:  []store.OfflineMessage{{Message: waiting, Owner: "wangwu"}},
		Receipts: []store.Receipt{{ID: "r-t", MsgID: notice.MsgID, Sender: "admin", Reader: "wangwu", Status: 1}},
		Pushes: []store.Push{{ID: "p-t", Channel: "jpush", MsgID: notice.MsgID, Type: notice.Type, To: []store.PushTo{{User: "wangwu", Code: "c"}}, Made: 1544602393041, Done: true, Outcome: "sent"},
			{ID: "p-u", Channel: "webhook", MsgID: notice.MsgID, Type: "MTB-000", Platforms: "android,ios", Title: "OA", Alert: "收到了一条审批消息", To: []store.PushTo{{User: "wangwu", Code: "c"}}, Made: 1544602393041, Due: 1544602403041, Tries: 2}},
	}})
	seedRobot(t, s)
	// The server has routed all of it: otherwise the component says so at some moment of the test.
	state, err := s.TakeOver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := testTime.UnixMilli() - 1
	if err := s.Apply(t.Context(), state.Epoch, store.Positions{Clock: before, Delivered: before, Settled: before}, nil); err != nil {
		t.Fatal(err)
	}
	fresh(t, s)
	folder, err := blob.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	const content = "GIF89a"
	if _, err := folder.Put(t.Context(), knownFile, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	f := store.File{ID: knownFile, Name: "team.gif", Size: int64(len(content)), Type: "image/gif", Owner: "zhangsan", Digest: "d", Time: "1600000000000"}
	if err := s.AddFile(t.Context(), f); err != nil {
		t.Fatal(err)
	}

	// 2. The component.
	svc, err := component.New(component.Config{Server: "d.example", Component: "tlim.d.example", Delivery: "auto", Acknowledgements: "requested", GroupReceipts: "author",
		Confirm: "auto", Grace: 5 * time.Second, SnapshotPeriod: time.Hour, Limits: protocol.Limits{Body: 64 << 10}, UserBurst: 1, Inflight: 1000,
		InflightBytes: 64 << 20, UnconfirmedPerUser: 1000, ShutdownTimeout: 10 * time.Second},
		component.Deps{Store: s, Sender: nowhere{}, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return testTime }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var runs []func(context.Context) error
	for _, p := range svc.Parts() {
		runs = append(runs, p.Run)
	}
	go func() { ended <- doubles.Together(ctx, runs...) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	svc.Up()
	l := newLabOf(t, s, svc, append([]func(*Config){func(c *Config) {
		c.Language = English
		c.Cleanup = svc.Cleaner()
		c.Files = Files{Blobs: folder, Rows: s, Prefixes: []string{"/cap-aco"}, FallbackURL: "http://old.example"}
	}}, change...)...)
	l.file = file
	return l
}

// fresh says that no group shows an old name of a user, and empties the dissolved ones: else the component would do that while
// a test reads.
func fresh(t testing.TB, s *store.Store) {
	t.Helper()
	state, err := s.TakeOver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stale, err := s.StaleUsers(t.Context(), "", 100)
	if err == nil {
		err = s.Fresh(t.Context(), state.Epoch, stale)
	}
	if err != nil {
		t.Fatal(err)
	}
	purges, err := s.Purges(t.Context())
	for _, p := range purges {
		for done := false; err == nil && !done; {
			done, err = s.PurgeSome(t.Context(), state.Epoch, p, 100)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// nowhere is a link of which nothing comes.
type nowhere struct{}

func (nowhere) Deliver(context.Context, []stanza.Delivery, ...stanza.Run) error { return nil }
func (nowhere) Post([]byte) bool                                                { return true }
func (nowhere) Answer(string, []byte) bool                                      { return true }
func (nowhere) Barrier(done func(error))                                        { done(nil) }
