package component

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"tlim/component/outbox"
	"tlim/component/pause"
	"tlim/component/presence"
	"tlim/component/retention"
	"tlim/component/stanza"
	"tlim/scripts/lab"
	"tlim/store"
)

// renderingSender does what a link does before its socket: it renders, and nothing more.
type renderingSender struct {
	buf, head []byte
	copies    int
	bytes     int
	posted    atomic.Int64
	done      chan struct{} // a token per message
}

func (r *renderingSender) Deliver(_ context.Context, list []stanza.Delivery, runs ...stanza.Run) error {
	for _, run := range runs {
		for _, c := range run.Of {
			r.buf = list[c.Delivery].AppendCopy(r.buf[:0], nil, c.Target)
			r.copies++
			r.bytes += len(r.buf)
		}
	}
	for i := range list {
		d := &list[i]
		r.buf = r.buf[:0]
		r.head = d.AppendHead(r.head[:0])
		for _, to := range d.To {
			r.buf = d.AppendCopy(r.buf, r.head, to)
		}
		r.copies += len(d.To)
		r.bytes += len(r.buf)
		select {
		case <-r.done:
		default:
		}
	}
	return nil
}

func (r *renderingSender) Post([]byte) bool { r.posted.Add(1); return true }

func (r *renderingSender) Answer(string, []byte) bool { r.posted.Add(1); return true }

func (r *renderingSender) Barrier(done func(error)) { done(nil) }

// benchService runs a Service over SQLite whose sender only renders.
func benchService(b *testing.B, channels ...outbox.Channel) (*Service, *renderingSender) {
	b.Helper()
	db, err := store.Open(b.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(b.TempDir(), "tlim.db"), Migrate: store.MigrateAuto, MaxOpen: 4,
		MaxIdle: 4, MaxWait: time.Minute, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	sender := &renderingSender{done: make(chan struct{}, 4*maxBatchItems)} // so many messages wait at most: batches are full
	cfg := testConfig()
	cfg.Inflight = 8 * maxBatchItems
	cfg.UnconfirmedPerUser = 1 << 20
	s, err := New(cfg, Deps{Store: db, Sender: sender, Push: channels, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	s.conveyor.inFlight.Bound, s.conveyor.inFlight.Max = 100_000, 100_000 // it is no server that can be busy
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- runParts(ctx, s) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		db.Close()
	})
	s.Up()
	return s, sender
}

// benchMessage is a stanza as the link's reader makes it.
func benchMessage(from, envelope string) stanza.Stanza {
	return stanza.Stanza{Name: "message", Type: "chat", ID: "s1", From: from, To: testComponent,
		Inner: append(stanza.AppendEscaped([]byte(`<tlim xmlns="im.itonglian.com" ack="1"/><body>`), envelope), "</body>"...)}
}

// finish waits for all that was queued.
func finish(b *testing.B, s *Service) {
	b.Helper()
	for n := 0; n < 2 || s.intake.items.Load() > 0; n++ {
		if err := s.do(b.Context(), &task{plan: func(context.Context, *batch) error { return nil }}); err != nil {
			b.Fatal(err)
		}
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	used, err := lab.CPUTime()
	if err != nil {
		b.Fatal(err)
	}
	return used
}

// BenchmarkChat is a 1:1 message with an acknowledgement, stored, among 100 users who are all online on their phones.
func BenchmarkChat(b *testing.B) { benchChat(b, false) }

// BenchmarkChatPush is BenchmarkChat beside a vendor that takes every push at once: for users without a registration, for users
// with one, and while the vendor is away, so that rows are written and wait. Their cost is the ratio to none, in CPU time of the
// whole process.
func BenchmarkChatPush(b *testing.B) {
	away := func(outbox.Note) (bool, error) { return true, &outbox.Error{Err: errVendor, Wait: time.Hour} }
	b.Run("none", func(b *testing.B) { benchChat(b, false) })
	b.Run("unregistered", func(b *testing.B) { benchChat(b, false, outbox.Channel{Name: "test", Pusher: &countingVendor{}}) })
	b.Run("registered", func(b *testing.B) { benchChat(b, true, outbox.Channel{Name: "test", Pusher: &countingVendor{}}) })
	b.Run("away", func(b *testing.B) {
		benchChat(b, true, outbox.Channel{Name: "test", Pusher: &testVendor{answer: away}})
	})
}

// countingVendor takes every push, and keeps nothing.
type countingVendor struct{ ids, receivers atomic.Int64 }

func (c *countingVendor) NewID(context.Context) (string, error) {
	return strconv.FormatInt(c.ids.Add(1), 10), nil
}

func (c *countingVendor) Push(_ context.Context, n outbox.Note) (bool, error) {
	c.receivers.Add(int64(len(n.To)))
	return false, nil
}

func benchChat(b *testing.B, registered bool, channels ...outbox.Channel) {
	s, sender := benchService(b, channels...)
	jids := make([]string, 100)
	for i := range jids {
		jids[i] = fmt.Sprintf("user%d@%s/phone", i, testServer)
		s.Stanza(stanza.Stanza{Name: "presence", From: jids[i], To: testComponent})
		if registered {
			if err := s.RegisterPush(b.Context(), "user"+strconv.Itoa(i), "code"+strconv.Itoa(i)); err != nil {
				b.Fatal(err)
			}
		}
	}
	finish(b, s)
	b.ReportAllocs()
	cpu := cpuTime(b)
	for i := 0; b.Loop(); i++ {
		from, to := i%100, (i*7+1)%100
		if from == to {
			to = (to + 1) % 100
		}
		st := benchMessage(jids[from], text("m"+strconv.Itoa(i), "user"+strconv.Itoa(from), "user"+strconv.Itoa(to), "hello, this is a text of a usual length"))
		sender.done <- struct{}{}
		s.Stanza(st)
	}
	finish(b, s)
	b.ReportMetric((cpuTime(b)-cpu).Seconds()*1e6/float64(b.N), "cpu-us/message")
	if sender.copies < b.N {
		b.Errorf("got %d copies, want at least %d", sender.copies, b.N)
	}
}

// BenchmarkGroup is a message to a group of 50 who are all online on their phones; "push" wakes them too.
func BenchmarkGroup(b *testing.B) {
	for _, how := range []string{"presence", "auto", "push"} {
		b.Run(how, func(b *testing.B) {
			var channels []outbox.Channel
			if how == "push" {
				channels = []outbox.Channel{{Name: "test", Pusher: &countingVendor{}}}
			}
			s, sender := benchService(b, channels...)
			if how == "presence" {
				s.cfg.Confirm = ConfirmByPresence
			}
			var ids, jids []string
			var users []store.User
			for i := range 50 {
				id := fmt.Sprintf("user%d", i)
				ids, jids, users = append(ids, id), append(jids, id+"@"+testServer+"/phone"), append(users, store.User{ID: id})
				s.Stanza(stanza.Stanza{Name: "presence", From: jids[i], To: testComponent})
			}
			if err := s.AddUsers(b.Context(), users); err != nil {
				b.Fatal(err)
			}
			for i := 0; how == "push" && i < len(ids); i++ {
				if err := s.RegisterPush(b.Context(), ids[i], "code of "+ids[i]); err != nil {
					b.Fatal(err)
				}
			}
			g, _, err := s.CreateGroup(b.Context(), GroupSpec{Owner: ids[0], Members: ids})
			if err != nil {
				b.Fatal(err)
			}
			finish(b, s)
			before := sender.copies
			b.ReportAllocs()
			cpu := cpuTime(b)
			for i := 0; b.Loop(); i++ {
				st := benchMessage(jids[i%50], groupText("m"+strconv.Itoa(i), ids[i%50], g.ID, "hello, this is a text of a usual length"))
				sender.done <- struct{}{}
				s.Stanza(st)
			}
			finish(b, s)
			copies := sender.copies - before
			if copies != 50*b.N {
				b.Errorf("got %d copies, want %d", copies, 50*b.N)
			}
			b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/float64(copies), "cpu-ns/delivery")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(copies), "ns/delivery")
		})
	}
}

// BenchmarkChatDuringCleanup is the time from a message's arrival to its acknowledgement, with and without a clean-up of 20,000
// messages with their receipts, queue rows and ids beside it.
func BenchmarkChatDuringCleanup(b *testing.B) {
	for _, cleaning := range []bool{false, true} {
		b.Run(fmt.Sprintf("cleaning=%t", cleaning), func(b *testing.B) {
			s, sender := benchService(b)
			fillOld(b, s, 20_000)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			database := s.store.(Database)
			c := retention.New(retention.Config{Days: 30, OfflineDays: 30, IDs: 30}, retention.Deps{Store: database, Epoch: func() int64 { return s.epoch },
				Forgetting: s.lookUpIDs, Log: slog.New(slog.DiscardHandler), Now: s.now})
			done := make(chan retention.Removed, 1) // the one result
			times := make([]time.Duration, 0, 1<<16)
			send := func(i int) {
				before, began := sender.posted.Load(), time.Now()
				id := fmt.Sprint("b", i)
				s.Stanza(benchMessage(fmt.Sprintf("zhangsan@%s/p", testServer), text(id, "zhangsan", "lisi", "hello")))
				for sender.posted.Load() == before {
					runtime.Gosched()
				}
				times = append(times, time.Since(began))
			}
			for i := -1; ; i-- { // nothing is removed before the positions are there
				send(i)
				if st, err := database.State(ctx); err != nil {
					b.Fatal(err)
				} else if st.Settled > 0 {
					break
				}
				_ = pause.For(ctx, minBarrierSpacing)
			}
			times = times[:0]
			if cleaning {
				go func() {
					removed, err := c.Clean(ctx)
					if err != nil && ctx.Err() == nil {
						b.Error(err)
					}
					done <- removed
				}()
			}
			b.ResetTimer()
			for i := range b.N {
				send(i)
			}
			b.StopTimer()
			cancel()
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(times[len(times)-1].Microseconds()), "max-µs")
			if cleaning {
				removed := <-done
				b.ReportMetric(float64(removed.Total()), "rows-removed")
			}
		})
	}
}

// BenchmarkNotice is an approval for one receiver who is not there, by 64 callers at once: without a key, with one, and with
// business ids to be known.
func BenchmarkNotice(b *testing.B) {
	for _, how := range []string{"bare", "key", "business"} {
		b.Run(how, func(b *testing.B) {
			s, _ := benchService(b)
			s.cfg.Calls.ByBusinessID = how == "business"
			finish(b, s)
			var n atomic.Int64
			b.SetParallelism(64)
			b.ReportAllocs()
			cpu := cpuTime(b)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					i := strconv.FormatInt(n.Add(1), 10)
					call := Notice{Type: "MTB-000", Caller: "oa", Receivers: []string{"user" + i[max(0, len(i)-2):]},
						Body: `[{"bizId":"` + i + `","docTitle":"travel expenses of November","solId":"2400000001","taskId":"2400000042"}]`}
					if how == "key" {
						call.Key = "order " + i
					}
					if _, err := s.Notify(b.Context(), call); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
			b.ReportMetric((cpuTime(b)-cpu).Seconds()*1e6/float64(b.N), "cpu-us/call")
		})
	}
}

// BenchmarkGroupAbsent is a message to a group of 1,000 of whom 50 are there, against one to those 50 alone. Its queue rows follow the
// message; "rows" says how many have, so that what is left can be judged.
func BenchmarkGroupAbsent(b *testing.B) {
	for _, members := range []int{50, 1000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			s, sender := benchService(b)
			var ids []string
			var users []store.User
			var there []presence.Session
			for i := range members {
				id := fmt.Sprintf("user%03d", i*7919%1000)
				ids, users = append(ids, id), append(users, store.User{ID: id})
				if i < 50 {
					there = append(there, presence.Session{JID: stanza.JID{Local: id, Domain: testServer, Resource: "phone"}})
				}
			}
			if err := s.AddUsers(b.Context(), users); err != nil {
				b.Fatal(err)
			}
			g, _, err := s.CreateGroup(b.Context(), GroupSpec{Owner: ids[0], Members: ids})
			if err != nil {
				b.Fatal(err)
			}
			s.presence.SetPeriod(time.Hour)
			s.presence.Merge(there, time.Now())
			finish(b, s)
			before := sender.copies
			b.ReportAllocs()
			cpu := cpuTime(b)
			for i := 0; b.Loop(); i++ {
				st := benchMessage(there[i%50].JID.String(), groupText(fmt.Sprintf("m%d", i), there[i%50].JID.Local, g.ID, "hello, this is a text of a usual length"))
				sender.done <- struct{}{}
				s.Stanza(st)
			}
			finish(b, s)
			if copies := sender.copies - before; copies != 50*b.N {
				b.Errorf("got %d copies, want %d", copies, 50*b.N)
			}
			n := s.unconfirmed.Count()
			left, bytes := n.Deferred, n.DeferredBytes
			b.ReportMetric((cpuTime(b)-cpu).Seconds()*1e6/float64(b.N), "cpu-us/message")
			b.ReportMetric(float64((members-50)*b.N-left), "rows")
			b.ReportMetric(float64(bytes)/float64(b.N), "kept-B/message")
		})
	}
}
