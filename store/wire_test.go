package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// wire plays a database server on the wire, as far as our statements need one. It answers each request by what answer says.
type wire struct {
	net.Listener
	wait time.Duration // how long it is waited for
	// answer makes the answer to a request: "login", "begin", "commit", "rollback", others of the protocol, or a statement. nil hangs up, and
	// silence says nothing.
	answer func(request string) []byte

	mu    sync.Mutex
	asked []string
}

var silence = []byte{}

// newWire listens, and gives each connection to serve, which closes it.
func newWire(t *testing.T, wait time.Duration, answer func(request string) []byte, serve func(net.Conn, *wire)) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	w := &wire{Listener: listener, wait: wait, answer: answer}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn, w)
		}
	}()
	return w
}

// store is one that asks the server and has asked nothing yet.
func (w *wire) store(t *testing.T, d *dialect, cfg Config) *Store {
	t.Helper()
	p, err := d.open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := unstarted(cfg, d, p)
	s.shared = newSharedReads(p.reader.Stats().MaxOpenConnections)
	t.Cleanup(func() { s.Close() })
	return s
}

// ask notes a request and has its answer.
func (w *wire) ask(request string) []byte {
	w.mu.Lock()
	w.asked = append(w.asked, request)
	w.mu.Unlock()
	return w.answer(request)
}

// requests are those of one kind that came.
func (w *wire) requests(kind string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.asked {
		if strings.HasPrefix(r, kind) {
			n++
		}
	}
	return n
}

// but answers as well does, and to a kind of requests so many times otherwise.
func but(well func(string) []byte, kind string, times int, otherwise []byte) func(string) []byte {
	var mu sync.Mutex
	return func(request string) []byte {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(request, kind) && times > 0 {
			times--
			return otherwise
		}
		return well(request)
	}
}

const always = 1 << 20

// calamity is what a server does to a transaction, and what has to be made of it.
type calamity struct {
	name       string
	answer     func(string) []byte
	want       error // nil: none
	unknown    bool  // the outcome
	said       string
	rolledBack int
	remedy     string
}

// isTold says that a transaction in trouble ends as it should, and that the next one is whole.
func (c calamity) isTold(t *testing.T, open func(t *testing.T, wait time.Duration, answer func(string) []byte) (*wire, *Store)) {
	t.Parallel()
	wait, limit := 5*time.Second, 10*time.Second
	if strings.HasPrefix(c.name, "silent") {
		wait, limit = 300*time.Millisecond, 400*time.Millisecond
	}
	w, s := open(t, wait, c.answer)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	purge := func(ctx context.Context) error {
		return s.Apply(ctx, 7, Positions{}, []Change{{Purges: []Purge{{SessionID: "g", Time: "1"}}}})
	}
	err := purge(ctx)
	var unknown *UnknownError
	switch {
	case errors.As(err, &unknown) != c.unknown:
		t.Fatalf("got %v, want an outcome that is not known: %v", err, c.unknown)
	case c.unknown && (unknown.Batch != 42 || errors.Is(err, ErrUnavailable)):
		t.Errorf("got batch %d of %v, want 42 and not %v", unknown.Batch, err, ErrUnavailable)
	case !c.unknown && !errors.Is(err, c.want), err != nil && !strings.Contains(err.Error(), c.said):
		t.Errorf("got %v, want %v with %q", err, c.want, c.said)
	case strings.Contains(fmt.Sprint(err), "geheim"):
		t.Errorf("got %v, want no password in it", err)
	}
	if n := w.requests("rollback"); n != c.rolledBack {
		t.Errorf("got %d rollbacks, want %d", n, c.rolledBack)
	}
	if c.remedy != "" {
		if remedy := Remedy(s.cfg, err); !strings.Contains(remedy, c.remedy) {
			t.Errorf("of %v got the remedy %q, want %q", err, remedy, c.remedy)
		}
		return
	}
	if strings.HasSuffix(c.name, "login") || strings.HasSuffix(c.name, "BEGIN") {
		return
	}
	// The next try is a whole transaction of its own.
	before := w.requests("commit")
	if err := purge(context.Background()); err != nil {
		t.Errorf("again: got %v, want no error", err)
	}
	if n := w.requests("commit") - before; n != 1 {
		t.Errorf("again: got %d commits, want 1", n)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := w.asked[len(w.asked)-1]; last != "commit" {
		t.Errorf("it ended with %q, want a commit", last)
	}
}

// TestSilentServer: of a server that does not answer it is said who and for how long, at the start, in an examination and in a look at
// whether it is there; whatever the driver.
func TestSilentServer(t *testing.T) {
	said := regexp.MustCompile(`the database \S+ gave no answer within (\d{3}ms|\d(\.\d)?s)`) // less than 10 s
	check := func(t *testing.T, who, driver string, err error, address string) {
		t.Helper()
		text := fmt.Sprint(err)
		if err == nil {
			t.Fatalf("%s: got no error, want one", who)
		}
		if !errors.Is(err, ErrUnavailable) || !said.MatchString(text) || !strings.Contains(text, address) || strings.Contains(text, "geheim") || strings.Contains(text, "\n") {
			t.Errorf("%s: got %v, want %v, who did not answer, and the time", who, err, ErrUnavailable)
		}
		if !strings.Contains(Remedy(Config{Driver: driver}, err), "a firewall swallows") {
			t.Errorf("%s: got %s, want the remedy of silence", who, Remedy(Config{Driver: driver}, err))
		}
	}
	for driver, c := range map[string]struct {
		at   []string
		well func(string) []byte
		open func(*testing.T, time.Duration, func(string) []byte) (*wire, *Store)
	}{
		"sqlserver": {[]string{"prelogin", "login", "SET ANSI", "SELECT"}, wellSQLServer, newTDS},
		"oracle":    {[]string{"connect", "protocol", "login", "password", "ALTER SESSION", "SELECT"}, wellOracle, newTNS},
	} {
		for _, at := range c.at {
			t.Run(driver+" "+at, func(t *testing.T) {
				t.Parallel()
				w, s := c.open(t, 300*time.Millisecond, but(c.well, at, always, silence))
				if at != "SELECT" { // a look at the tables may take its time
					_, err := Open(t.Context(), s.cfg)
					check(t, "open", driver, err, w.Addr().String())
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := Examine(ctx, s.cfg)
				check(t, "examine", driver, err, w.Addr().String())
				check(t, "ping", driver, s.Ping(t.Context()), w.Addr().String())
			})
		}
	}
	t.Run("mysql", func(t *testing.T) {
		t.Parallel()
		w, _ := newTDS(t, 300*time.Millisecond, func(string) []byte { return silence })
		cfg := Config{Driver: "mysql", DSN: "im:geheim@tcp(" + w.Addr().String() + ")/im", MaxWait: 300 * time.Millisecond}
		_, err := Open(t.Context(), cfg)
		check(t, "open", "mysql", err, w.Addr().String())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = Examine(ctx, cfg)
		check(t, "examine", "mysql", err, w.Addr().String())
	})
}
