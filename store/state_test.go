package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"tlim/store"
)

func TestDeposedProcessWritesNothing(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		first, old := owned(t, cfg)
		apply(t, first, old, say(1, "z", "g", "[]"))
		second, epoch := owned(t, cfg)
		if epoch != old+1 {
			t.Errorf("epoch %d after %d, want %d", epoch, old, old+1)
		}
		for _, call := range []struct{ epoch int64 }{{old}, {0}, {epoch + 1}} {
			t.Run(fmt.Sprintf("epoch %d", call.epoch), func(t *testing.T) {
				err := first.Apply(ctx, call.epoch, store.Positions{Clock: 9}, []store.Change{say(2, "z", "g", "[]")})
				if !errors.Is(err, store.ErrFenced) {
					t.Errorf("epoch %d: got %v, want %v", call.epoch, err, store.ErrFenced)
				}
			})
		}
		apply(t, second, epoch, say(3, "z", "g", "[]"))
		st := must[store.State](t)(second.State(ctx))
		equal(t, "state", st, store.State{Epoch: epoch, Batch: 4}) // two epochs, two batches
		equal(t, "ids", len(must[map[store.IDKey]store.ID](t)(second.IDs(ctx, []string{"m1", "m2", "m3"}))), 2)
		if _, err := first.Committed(ctx, &store.UnknownError{Epoch: old, Batch: 2}); !errors.Is(err, store.ErrFenced) {
			t.Errorf("the batch of a deposed process: got %v, want %v", err, store.ErrFenced)
		}
	})
}

func TestPositionsGrow(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		for _, step := range []struct{ give, want store.Positions }{
			{store.Positions{Clock: 10, Delivered: 5, Settled: 1}, store.Positions{Clock: 10, Delivered: 5, Settled: 1}},
			{store.Positions{}, store.Positions{Clock: 10, Delivered: 5, Settled: 1}},
			{store.Positions{Clock: 9, Delivered: 6}, store.Positions{Clock: 10, Delivered: 6, Settled: 1}},
		} {
			if err := s.Apply(ctx, epoch, step.give, nil); err != nil {
				t.Fatal(err)
			}
			st := must[store.State](t)(s.State(ctx))
			equal(t, fmt.Sprint(step.give), store.Positions{Clock: st.Clock, Delivered: st.Delivered, Settled: st.Settled}, step.want)
		}
	})
}

func TestCancelledWriteIsNotWritten(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		gone, cancel := context.WithCancel(ctx)
		cancel()
		err := s.Apply(gone, epoch, store.Positions{}, []store.Change{say(1, "z", "g", "[]")})
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("cancelled: got %v, want %v", err, store.ErrUnavailable)
		}
		apply(t, s, epoch, say(1, "z", "g", "[]"))
	})
}

func TestLockedDatabaseIsUnavailable(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		cfg.MaxWait = 2 * time.Second // the last write has no more either
		s, epoch := owned(t, cfg)
		raw, err := e.raw(t, cfg).Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		for _, q := range []string{e.lock, "UPDATE tlim_state SET batch = batch + 1 WHERE id = 1"} {
			if _, err := raw.ExecContext(ctx, q); err != nil {
				t.Fatal(err)
			}
		}
		err = s.Apply(ctx, epoch, store.Positions{}, []store.Change{say(1, "z", "g", "[]")})
		var unknown *store.UnknownError
		if !errors.Is(err, store.ErrUnavailable) || errors.As(err, &unknown) {
			t.Errorf("locked: got %v, want %v", err, store.ErrUnavailable)
		}
		// Somebody moved the number of the batch meanwhile: that is noticed, not mistaken for a fence.
		if _, err := raw.ExecContext(ctx, "COMMIT"); err != nil {
			t.Fatal(err)
		}
		apply(t, s, epoch, say(1, "z", "g", "[]"))
	})
}

func TestReadersSeeWholeBatches(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		const batch, batches, readers = 16, 20, 3
		s, epoch := owned(t, e.fresh(t))
		stop := make(chan struct{})
		var wg sync.WaitGroup
		reads := make([]int, readers)
		for r := range readers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for last := int64(0); ; reads[r]++ {
					select {
					case <-stop:
						return
					default:
					}
					_, total, err := s.GroupHistory(ctx, "g", store.Page{Length: 10})
					if err != nil || total%batch != 0 || total < last {
						t.Errorf("%d messages after %d, %v, want whole batches of %d, not fewer than before, and no error", total, last, err, batch)
						return
					}
					last = total
				}
			}()
		}
		for b := range batches {
			var changes []store.Change
			for i := range batch {
				changes = append(changes, say(b*batch+i, "z", "g", "[]"))
			}
			apply(t, s, epoch, changes...)
		}
		close(stop)
		wg.Wait()
		for r, n := range reads {
			if n == 0 {
				t.Errorf("reader %d never read, want it to", r)
			}
		}
	})
}

// cutter is a TCP proxy to a MySQL server that does something to the next COMMIT on its way up.
type cutter struct {
	net.Listener
	server string
	mu     sync.Mutex
	next   func(client, server net.Conn, packet []byte) // for the next COMMIT; nil: pass
}

func newCutter(t *testing.T, server string) *cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l, server: server}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(client)
		}
	}()
	return c
}

func (c *cutter) onCommit(do func(client, server net.Conn, packet []byte)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = do
}

func (c *cutter) carry(client net.Conn) {
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		client.Close()
		return
	}
	go func() { // down
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil {
				client.Close()
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return // the client side was cut; the server side is the cutter's
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			server.Close()
			return
		}
		// A COMMIT is the last packet of what was sent (the end of a statement, which has no answer, may come before it): 3
		// bytes of length, a number, COM_QUERY, the text.
		if bytes.HasSuffix(buf[:n], []byte("\x03COMMIT")) {
			c.mu.Lock()
			do := c.next
			c.next = nil
			c.mu.Unlock()
			if do != nil {
				do(client, server, buf[:n])
				return
			}
		}
		if _, err := server.Write(buf[:n]); err != nil {
			client.Close()
			return
		}
	}
}

// asking finds Committed at its UPDATE. (innodb_trx shows a copy that is renewed only when nobody has looked for 100 ms.)
const asking = `SELECT COUNT(*) FROM information_schema.processlist
	WHERE db = DATABASE() AND command IN ('Execute', 'Query') AND info LIKE 'UPDATE tlim_state SET batch = batch WHERE%'`

func TestLostAnswerToCommit(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t)
	raw := e.raw(t, cfg)
	dsn, err := mysql.ParseDSN(cfg.DSN)
	if err != nil {
		t.Fatal(err)
	}
	proxy := newCutter(t, dsn.Addr)
	dsn.Addr = proxy.Addr().String()
	cfg.DSN = dsn.FormatDSN()
	s, epoch := owned(t, cfg)

	release := make(chan struct{})
	for n, test := range []struct {
		name      string
		do        func(client, server net.Conn, packet []byte)
		meanwhile func(t *testing.T) // while Committed asks
		want      bool
	}{
		{"it went up", func(client, server net.Conn, packet []byte) { client.Close(); server.Write(packet) }, nil, true},
		{"it went up, the answer was lost", func(client, server net.Conn, packet []byte) { server.Write(packet); client.Close() }, nil, true},
		{"it never went up", func(client, server net.Conn, packet []byte) { client.Close(); server.Close() }, nil, false},
		{"it goes up while we ask", func(client, server net.Conn, packet []byte) {
			client.Close()
			<-release
			server.Write(packet)
		}, func(t *testing.T) {
			limit, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			for waiting := 0; waiting == 0; { // until Committed stands before the row
				if err := raw.QueryRowContext(limit, asking).Scan(&waiting); err != nil {
					t.Error(err)
					break
				}
			}
			close(release)
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			id := fmt.Sprintf("m%d", n)
			proxy.onCommit(test.do)
			err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{say(n, "z", "g", "[]")})
			var unknown *store.UnknownError
			if !errors.As(err, &unknown) || errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("apply: got %v, want an unknown outcome", err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				if test.meanwhile != nil {
					test.meanwhile(t)
				}
			}()
			got, err := s.Committed(ctx, unknown)
			<-done
			if err != nil || got != test.want {
				t.Errorf("committed: %v %v, want %v", got, err, test.want)
			}
			there := must[map[store.IDKey]store.ID](t)(s.IDs(ctx, []string{id}))
			if (len(there) == 1) != test.want {
				t.Errorf("the row is there: %v, want %v", there, test.want)
			}
			// And on.
			apply(t, s, epoch, say(100+n, "z", "g", "[]"))
		})
	}
}

func TestServerThatClosesIdleConnections(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t)
	s, epoch := owned(t, cfg)
	apply(t, s, epoch, say(1, "z", "g", "[]"))
	raw := e.raw(t, cfg)
	rows, err := raw.Query("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
	if err != nil {
		t.Fatal(err)
	}
	var ids []int
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Close(); err != nil || len(ids) == 0 {
		t.Fatalf("no connections of the store: got %v, want no error, some ids", err)
	}
	for _, id := range ids {
		run(t, raw, fmt.Sprint("KILL ", id))
	}
	// Nothing was under way, so nobody notices.
	apply(t, s, epoch, say(2, "z", "g", "[]"))
	equal(t, "ids", len(must[map[store.IDKey]store.ID](t)(s.IDs(ctx, []string{"m1", "m2"}))), 2)
}
