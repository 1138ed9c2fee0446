package system

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"tlim/scripts/lab"
)

// party is a leader and two that stand by: one more than there are rows for, and the third reaches the database by a way of its own.
type party struct {
	*world
	all []*lab.Tlim
}

// newParty starts them. Their clocks say something else, and jump, where there is a binary, which heeds [jumping].
func newParty(t *testing.T, binary string, late time.Duration) *party {
	t.Helper()
	s := must[*lab.Server](t)(openfire())
	config := onMariaDB(t)
	config["standby.enabled"], config["files.dir"] = true, filepath.Join(t.TempDir(), "files")
	w := &world{t: t, server: s, component: newComponent(s), clocks: binary != ""}
	dsn := must[*mysql.Config](t)(mysql.ParseDSN(config["store.dsn"].(string)))
	slow := newProxy(t, dsn.Addr)
	slow.late = late
	p := &party{world: w}
	for i, clock := range []string{fmt.Sprint("15:", jumpOfLeader), "10:-7200", "20:-86400"} {
		if i == 2 {
			dsn.Addr = slow.addr
			config["store.dsn"] = dsn.FormatDSN()
		}
		p.all = append(p.all, startTlim(t, lab.TlimOptions{Unready: true, Binary: binary, Env: []string{jumping + "=" + clock}, Config: settings(s, w.component, config)}))
		if i == 0 { // it leads at first
			check(t, p.all[0].AwaitReady(within(t, time.Minute)))
		}
	}
	p.leads()
	return p
}

// leads waits until one leads, and it alone, and starts those that have ended: in order, killed, or deposed.
func (p *party) leads() {
	t := p.t
	t.Helper()
	await(t, within(t, 2*time.Minute), "one that leads, and it alone", func() (bool, error) {
		var leaders []*lab.Tlim
		var said []error
		for _, one := range p.all {
			select {
			case <-one.Exited():
				if code, err := one.Ended(within(t, soon)); code != 5 && code != -1 && code != 0 || err != nil {
					t.Fatalf("a tlim ended with %d, %v, want it ended in order (0), killed (-1) or deposed (5); the end of its log:\n%s", code, err, logTail(one.Log))
				}
				check(t, one.Start(within(t, time.Minute)))
			default:
			}
			_, text, err := one.Ready(within(t, soon))
			var r roles
			if err == nil && json.Unmarshal([]byte(text), &r) == nil && r.Role == "leader" && r.Ready {
				leaders = append(leaders, one)
			}
			said = append(said, fmt.Errorf("%s %w", text, err))
		}
		if len(leaders) == 1 {
			p.tlim = leaders[0]
		}
		return len(leaders) == 1, errors.Join(said...)
	})
}

// others are those that do not lead.
func (p *party) others() (list []*lab.Tlim) {
	for _, one := range p.all {
		if one != p.tlim {
			list = append(list, one)
		}
	}
	return list
}

func (p *party) each(t *testing.T, do func(*lab.Tlim) error) {
	t.Helper()
	errs := make([]error, len(p.all))
	var all sync.WaitGroup
	for i, one := range p.all {
		all.Go(func() { errs[i] = do(one) })
	}
	all.Wait()
	check(t, errors.Join(errs...))
}

func sleep(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

// Three processes under load, of which one has a slow way to the database: the leader is paused for as long as makes a standby take over, a little less
// and much more, killed again and again, and all are ended at once. Nothing that was acknowledged is lost or stored twice, and one leads in the end.
func TestStandbyStrained(t *testing.T) {
	if !*standbyAll {
		t.Log("NOT TESTED: it takes some minutes; by hand: -args -standby.all")
		return
	}
	t.Run("strained", func(t *testing.T) { strain(t, newParty(t, "", 100*time.Millisecond), 20) })
	t.Run("with clocks that differ by hours, and jump", func(t *testing.T) { strain(t, newParty(t, buildJumping(t), 0), 5) })
}

// strain does all of it.
func strain(t *testing.T, p *party, flaps int) {
	c := newCast(t, p.world, 10*time.Millisecond)
	c.more(100)
	if p.clocks {
		p.jumps(c)
	}
	paused := func(d time.Duration) func(*testing.T) {
		return func(t *testing.T) {
			old := p.tlim
			check(t, old.Signal(lab.Freeze))
			sleep(d) // the pause is what is tested
			check(t, old.Signal(lab.Thaw))
		}
	}
	for _, s := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"paused for 3.9 s", paused(3900 * time.Millisecond)},
		{"paused for 4.1 s", paused(4100 * time.Millisecond)},
		{"paused for 10 s", paused(10 * time.Second)},
		{"the leader killed", func(t *testing.T) { check(t, p.tlim.Kill()) }},
		{"the leader and one more killed", func(t *testing.T) {
			check(t, p.others()[0].Kill())
			check(t, p.tlim.Kill())
		}},
		{"all ended in order at once", func(t *testing.T) { p.each(t, (*lab.Tlim).Stop) }},
		{"all killed at once", func(t *testing.T) { p.each(t, (*lab.Tlim).Kill) }},
		{"the one with the slow database alone", func(t *testing.T) {
			slow := p.all[2]
			for _, one := range p.all[:2] {
				check(t, one.Kill())
			}
			check(t, slow.AwaitReady(within(t, time.Minute)))
			p.tlim = slow
			c.more(50)
		}},
		{"killed every six seconds, and started again", func(t *testing.T) {
			for range flaps {
				for _, one := range p.all {
					if status, _, err := one.Ready(within(t, soon)); err == nil && status == 200 {
						check(t, one.Kill())
					}
				}
				for _, one := range p.all {
					select {
					case <-one.Exited():
						check(t, one.Start(within(t, time.Minute)))
					default:
					}
				}
				sleep(6 * time.Second)
			}
		}},
		{"tables altered while two start", func(t *testing.T) { p.alters(t) }},
	} {
		ok := t.Run(s.name, func(t *testing.T) {
			p.t = t
			p.leads() // one that was deposed, and had not noticed, has ended by now
			before, _ := c.ledger.receipts()
			began := time.Now()
			s.do(t)
			done := time.Now()
			p.leads()
			c.more(100)
			acked, _ := c.ledger.receipts()
			t.Logf("%d acknowledged in %s, of which %s after it", acked-before, time.Since(began).Round(time.Millisecond), time.Since(done).Round(time.Millisecond))
		})
		p.t = t
		if !ok {
			t.FailNow()
		}
	}
	c.verdict(true)
}

// jumps waits until the clock of each has jumped, that of the leader in the middle of its work. It leads on: no clock decides who does.
func (p *party) jumps(c *cast) {
	t := p.t
	t.Helper()
	leader := p.tlim
	behind := func() (hours bool, said error) { // the last times that were told, as the test's clock has them
		c.ledger.mu.Lock()
		defer c.ledger.mu.Unlock()
		var first, last int64
		for _, e := range c.ledger.order {
			if at, err := strconv.ParseInt(e.msgTime, 10, 64); err == nil {
				if first == 0 {
					first = at
				}
				last = max(last, at)
			}
		}
		return last-first > int64(jumpOfLeader*1000/2), fmt.Errorf("times of messages from %d to %d", first, last)
	}
	await(t, within(t, time.Minute), "the leader's clock to jump", behind)
	sleep(20 * time.Second) // the others' do meanwhile, and a leader that is taken for silent is for 4 s
	p.leads()
	if p.tlim != leader {
		t.Errorf("got another leader after the clocks jumped, want them to change nothing; the end of the log of the one that led:\n%s", logTail(leader.Log))
	}
	c.more(100)
}

// alters ends those that stand by, takes from the tables what an earlier version lacks, and starts them beside `tlim migrate up`.
func (p *party) alters(t *testing.T) {
	for _, one := range p.others() {
		check(t, one.Stop())
	}
	config := p.tlim
	db := must[*sql.DB](t)(sql.Open("mysql", p.dsn(t)))
	defer db.Close()
	for _, statement := range []string{"ALTER TABLE tlim_key DROP COLUMN robot_name", "ALTER TABLE tlim_leader DROP COLUMN settings", "ALTER TABLE tlim_user DROP COLUMN stale"} {
		if _, err := db.ExecContext(within(t, time.Minute), statement); err != nil {
			t.Fatal(err)
		}
	}
	var work sync.WaitGroup
	var out []byte
	var failed error
	work.Go(func() {
		out, failed = exec.CommandContext(within(t, time.Minute), must[string](t)(lab.Build(t.Context())), "migrate", "up", "--config", filepath.Join(config.Dir, "tlim.yaml")).CombinedOutput()
	})
	errs := make([]error, 2)
	for i, one := range p.others() {
		work.Go(func() { errs[i] = one.Start(within(t, time.Minute)) })
	}
	work.Wait()
	if err := errors.Join(append(errs, failed)...); err != nil {
		t.Fatalf("got %v\n%s\nwant all three to come to an end", err, out)
	}
}

// dsn is that of the database, from the configuration of the first.
func (p *party) dsn(t *testing.T) string {
	t.Helper()
	text := string(must[[]byte](t)(os.ReadFile(filepath.Join(p.all[0].Dir, "tlim.yaml"))))
	_, after, _ := strings.Cut(text, "dsn: ")
	dsn, _, _ := strings.Cut(after, "\n")
	return dsn
}

// jumping is "seconds:by" in the environment of a binary of buildJumping: so long after its start its clock jumps by so many seconds, and the clock is wrong
// by half of that from the beginning. Its monotonic clock goes on.
const jumping = "TLIM_TEST_CLOCK"

// jumpOfLeader is by how many seconds the clock of the first one jumps.
const jumpOfLeader = 7200

// buildJumping compiles tlim with a package time of which Now heeds jumping: there is no other way to give a process of Go a clock of its own.
func buildJumping(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root := must[[]byte](t)(exec.CommandContext(within(t, soon), "go", "env", "GOROOT").Output())
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text := string(must[[]byte](t)(os.ReadFile(source)))
	const call = "sec, nsec, mono := runtimeNow()\n\tif mono == 0 {"
	const jump = "sec, nsec, mono := runtimeNow()\n\tif mono-startNano > jumpAt {\n\t\tsec += jumpBy\n\t} else {\n\t\tsec += jumpBy / 2\n\t}\n\tif mono == 0 {"
	const read = `
var jumpAt, jumpBy int64

func init() {
	text, _ := syscall.Getenv("` + jumping + `")
	for i := range text {
		if text[i] == ':' {
			at, _ := atoi(text[:i])
			by, _ := atoi(text[i+1:])
			jumpAt, jumpBy = int64(at)*1e9, int64(by)
		}
	}
}
`
	if strings.Count(text, call) != 1 {
		t.Fatalf("got %q %d times in %s, want it once", call, strings.Count(text, call), source)
	}
	text = strings.Replace(text, call, jump, 1) + read
	text = strings.Replace(text, "import (\n", "import (\n\t\"syscall\"\n", 1)
	patched := filepath.Join(dir, "time.go")
	check(t, os.WriteFile(patched, []byte(text), 0o600))
	overlay := filepath.Join(dir, "overlay.json")
	check(t, os.WriteFile(overlay, must[[]byte](t)(json.Marshal(map[string]any{"Replace": map[string]string{source: patched}})), 0o600))
	binary := filepath.Join(dir, "tlim")
	build := exec.CommandContext(within(t, 20*time.Minute), "go", "build", "-overlay", overlay, "-o", binary, "./cmd/tlim")
	build.Dir = must[string](t)(lab.Root())
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build tlim with another clock: %v\n%s", err, out)
	}
	return binary
}
