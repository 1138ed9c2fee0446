package system

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"tlim/scripts/lab"
)

// The database goes away under load: senders are told to come later, nothing that is not stored is forwarded, and all goes
// on when it is back.
func TestDatabaseAway(t *testing.T) {
	t.Parallel() // it waits for most of its time
	own := must[*lab.Server](t)(lab.StartMariaDB(within(t, patience), lab.Options{Dir: t.TempDir()}))
	t.Cleanup(func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, fault := range []struct {
		name       string
		begin, end func() error
	}{
		{"stopped", own.Stop, func() error { return own.Start(within(t, patience)) }},
		{"killed", own.Kill, func() error { return own.Start(within(t, patience)) }},
		{"frozen", func() error { return lab.Signal(own.PID, lab.Freeze) }, func() error { return lab.Signal(own.PID, lab.Thaw) }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			w := newWorld(t, openfire, map[string]any{"store.driver": "mysql", "store.dsn": newDatabase(t, own)})
			c := newCast(t, w, 10*time.Millisecond)
			c.more(200)
			check(t, fault.begin())
			text, err := w.tlim.AwaitUnready(within(t, soon))
			if err != nil || !strings.Contains(text, `"database: `) {
				t.Errorf("/readyz: got %s, %v, want %q in it", text, err, `"database: `)
			}
			c.told(100)
			check(t, fault.end())
			back := time.Now()
			check(t, w.tlim.AwaitReady(within(t, time.Minute)))
			ready := time.Since(back)
			c.more(100)
			c.verdict(true)
			t.Logf("ready %s after the database's return", ready.Round(time.Millisecond))
		})
	}
}

// The answer to a COMMIT is lost, or the COMMIT itself: nobody is told a falsehood, and nothing is stored twice.
func TestCommitAnswerLost(t *testing.T) {
	s := must[*lab.Server](t)(mariadb())
	dsn := must[*mysql.Config](t)(mysql.ParseDSN(newDatabase(t, s)))
	p := newProxy(t, dsn.Addr)
	dsn.Addr = p.addr
	w := newWorld(t, openfire, map[string]any{"store.driver": "mysql", "store.dsn": dsn.FormatDSN()})
	c := newCast(t, w, 10*time.Millisecond)
	for _, cut := range []struct {
		name   string
		before bool
		times  int
	}{{"answer", false, 1}, {"commit", true, 1}, {"five answers", false, 5}, {"five commits", true, 5}} {
		t.Run(cut.name, func(t *testing.T) {
			c.more(50)
			_, waits := c.ledger.tries()
			select {
			case <-p.cutCommits(cut.times, cut.before):
			case <-within(t, soon).Done():
				t.Fatal("no COMMIT came by, want one to cut")
			}
			c.more(50)
			// A COMMIT that happened is no error to anybody, however long it takes to find out.
			if _, now := c.ledger.tries(); !cut.before && cut.times == 1 && now != waits {
				t.Errorf("%d senders were told to wait, want none: the COMMIT had happened", now-waits)
			}
		})
	}
	c.t = t
	c.verdict(true)
	log := string(must[[]byte](t)(os.ReadFile(w.tlim.Log)))
	for _, line := range []string{"the lost COMMIT had happened", "the lost COMMIT had not happened"} {
		if !strings.Contains(log, line) {
			t.Errorf("the log does not say %q, want it said", line)
		}
	}
}
