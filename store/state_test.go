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

func TestLockedDatabaseIsUnavailable(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		cfg.MaxWait = 2 * time.Second // the last write has no more either
		s, epoch := owned(t, cfg)
		commit := e.locked(t, cfg, "UPDATE tlim_state SET batch = batch + 1 WHERE id = 1")
		err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{say(1, "z", "g", "[]")})
		var unknown *store.UnknownError
		if !errors.Is(err, store.ErrUnavailable) || errors.As(err, &unknown) {
			t.Errorf("locked: got %v, want %v", err, store.ErrUnavailable)
		}
		// Somebody moved the number of the batch meanwhile: that is noticed, not mistaken for a fence.
		commit()
		apply(t, s, epoch, say(1, "z", "g", "[]"))
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
	t.Helper()
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
