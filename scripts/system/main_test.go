package system

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"tlim/scripts/lab"
)

const (
	// The first Openfire on a machine is downloaded.
	patience = 4 * time.Minute
	// For one answer on a machine that does other things at the same time.
	soon = 20 * time.Second
	// Accounts of the shared servers; each test takes its own from them.
	accounts = 788
)

// The shared servers, started by the first test that needs them.
var (
	openfire = sync.OnceValues(func() (*lab.Server, error) { return shared(lab.StartOpenfire, lab.Options{Users: users()}) })
	// What sites have that ran the old MySQL script.
	openfireToAll = sync.OnceValues(func() (*lab.Server, error) {
		return shared(lab.StartOpenfire, lab.Options{Users: users(), Properties: map[string]string{"route.all-resources": "true"}})
	})
	prosody = sync.OnceValues(func() (*lab.Server, error) { return shared(lab.StartProsody, lab.Options{Users: users()}) })
	mariadb = sync.OnceValues(func() (*lab.Server, error) { return shared(lab.StartMariaDB, lab.Options{}) })
)

// What the tests share and TestMain ends.
var started struct {
	sync.Mutex
	stops []func() error
}

func endLater(stop func() error) {
	started.Lock()
	started.stops = append(started.stops, stop)
	started.Unlock()
}

func users() map[string]string {
	names := map[string]string{}
	for i := range accounts {
		names[account(i)] = password(account(i))
	}
	return names
}

func shared(start func(context.Context, lab.Options) (*lab.Server, error), o lab.Options) (*lab.Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := start(ctx, o)
	if err == nil {
		endLater(s.Stop)
	}
	return s, err
}

func TestMain(m *testing.M) {
	// Those that run side by side (the phones of smack_test.go) wait more than they compute.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	code := m.Run()
	for _, stop := range started.stops {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func account(i int) string        { return fmt.Sprintf("u%03d", i) }
func password(user string) string { return "secret-" + user }

var accountsTaken atomic.Int64

// people are n accounts that no other test uses.
func people(t *testing.T, n int) []string {
	t.Helper()
	last := int(accountsTaken.Add(int64(n)))
	if last > accounts {
		t.Fatalf("got %d accounts, want at least %d: raise the constant", accounts, last)
	}
	list := make([]string, n)
	for i := range list {
		list[i] = account(last - n + i)
	}
	return list
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await polls until ready says true: for what can be seen only by asking (an HTTP answer, a metric). what is for the failure.
func await(t *testing.T, ctx context.Context, what string, ready func() (bool, error)) {
	t.Helper()
	ticker := time.NewTicker(30 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, err := ready()
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("got %v, want %s", err, what)
		case <-ticker.C:
		}
	}
}

var databases atomic.Int64

// newDatabase makes an empty database on the server s and returns its DSN.
func newDatabase(t *testing.T, s *lab.Server) string {
	t.Helper()
	dsn := must[*mysql.Config](t)(mysql.ParseDSN(s.DSN))
	db := must[*sql.DB](t)(sql.Open("mysql", s.DSN))
	defer db.Close()
	dsn.DBName = fmt.Sprintf("system%d", databases.Add(1))
	_, err := db.ExecContext(within(t, soon), "CREATE DATABASE "+dsn.DBName+" CHARACTER SET utf8mb4")
	check(t, err)
	return dsn.FormatDSN()
}
