package system

import (
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"tlim/scripts/lab"
)

// The database is a cluster of three nodes. Under load the node that does the work is killed, and after it the second, which leaves one without a
// quorum: it takes no write. Then the nodes come back. What was acknowledged is stored once, on every node.
func TestDatabaseCluster(t *testing.T) {
	t.Parallel() // it waits for most of its time
	began := time.Now()
	step := func(what string) {
		t.Logf("%s: %s", what, time.Since(began).Round(100*time.Millisecond))
		began = time.Now()
	}
	g, err := lab.StartGalera(within(t, patience))
	if g != nil {
		t.Cleanup(func() {
			if t.Failed() {
				for n := range 3 {
					t.Logf("the end of the log of node %d:\n%s", n+1, logTail(filepath.Join(g.Dir, fmt.Sprint("log", n+1))))
				}
			}
			if err := g.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	check(t, err)
	step("three nodes")
	w := newWorld(t, openfire, map[string]any{"store.driver": "mysql", "store.dsn": g.DSN})
	c := newCast(t, w, 10*time.Millisecond)
	c.more(100)
	first := nodeOf(t, w, g)
	if first != 1 {
		t.Errorf("got the work on node %d, want the first of the list", first)
	}

	step("the load")
	// 0. another program writes the same row on another node: the cluster lets one of the two commit
	pushedAside(t, c, g, first)

	step("pushed aside")
	// 1. the node of the work
	check(t, g.Kill(within(t, soon), first))
	killed := time.Now()
	c.more(100)
	_, last := c.ledger.receipts()
	second := nodeOf(t, w, g)
	t.Logf("node %d killed: 100 receipts after %s, from node %d", first, last.Sub(killed).Round(time.Millisecond), second)
	if second == first {
		t.Errorf("got the work on node %d, which is dead, want another", second)
	}
	if moves := w.metric("tlim_database_moves_total"); moves < 1 {
		t.Errorf("got tlim_database_moves_total %v after a node died, want it counted", moves)
	}

	step("a node killed")

	// 2. one of two: what is left is no cluster
	check(t, g.Kill(within(t, soon), second))
	if text, err := w.tlim.AwaitUnready(within(t, time.Minute)); err != nil || !strings.Contains(text, `"database: `) {
		t.Errorf("/readyz: got %s, %v, want %q in it", text, err, `"database: `)
	}
	c.told(20)

	step("no quorum")

	// 3. it is one again
	check(t, g.Heal(within(t, patience), second))
	step("healed")
	back := time.Now()
	check(t, w.tlim.AwaitReady(within(t, time.Minute)))
	c.more(100)
	_, last = c.ledger.receipts()
	t.Logf("with a quorum again: 100 receipts after %s", last.Sub(back).Round(time.Millisecond))
	step("ready")
	c.verdict(true)
	step("judged")

	// 4. all nodes that are there have the same
	there := []int{second, 6 - first - second}
	if *clusterLong {
		check(t, g.Heal(within(t, patience), first))
		there = []int{1, 2, 3}
	}
	same(t, g, there)
	if !*clusterLong {
		return
	}

	// 5. again and again, also by a node that only stands still
	c = newCast(t, w, 10*time.Millisecond)
	for round := range 10 {
		c.more(100)
		n := nodeOf(t, w, g)
		what := "killed"
		if round%2 == 0 {
			check(t, g.Kill(within(t, soon), n))
		} else {
			what = "frozen"
			check(t, g.Signal(n, lab.Freeze))
		}
		at := time.Now()
		c.more(100)
		_, last := c.ledger.receipts()
		t.Logf("round %d: node %d %s: 100 receipts after %s, from node %d", round, n, what, last.Sub(at).Round(time.Millisecond), nodeOf(t, w, g))
		if what == "killed" {
			check(t, g.Heal(within(t, patience), n))
		} else {
			check(t, g.Signal(n, lab.Thaw))
			work := nodeOf(t, w, g)
			await(t, within(t, time.Minute), "the node to be back in the cluster", func() (bool, error) {
				// It believes for a while that it never left: those that went on without it have to count it.
				size, err := shown(t, g.One(work), "wsrep_cluster_size")
				if err != nil || size != "3" {
					return false, err
				}
				state, err := shown(t, g.One(n), "wsrep_local_state_comment")
				return state == "Synced", err
			})
		}
	}
	c.verdict(true)
	same(t, g, there)
}

var clusterLong = flag.Bool("cluster.long", false, "TestDatabaseCluster: ten more rounds of killed and frozen nodes")

// pushedAside writes a row that tlim writes with each message of the group, on a node that is not the one of tlim's work, until the cluster has refused
// transactions of the latter for it (error 1213, at a statement or at COMMIT). tlim writes them again: senders get their receipts, and nobody is told to
// wait for it. What became of the messages is judged with all others.
func pushedAside(t *testing.T, c *cast, g *lab.Galera, work int) {
	t.Helper()
	other := must[*sql.DB](t)(sql.Open("mysql", g.One(work%3+1)))
	defer other.Close()
	ctx := within(t, time.Minute)
	status := must[*sql.DB](t)(sql.Open("mysql", g.One(work)))
	defer status.Close()
	refused := func() (n int) {
		check(t, status.QueryRowContext(ctx, `SELECT SUM(VARIABLE_VALUE) FROM information_schema.GLOBAL_STATUS
			WHERE VARIABLE_NAME IN ('WSREP_LOCAL_CERT_FAILURES', 'WSREP_LOCAL_BF_ABORTS')`).Scan(&n))
		return n
	}
	before, writes, began := refused(), 0, time.Now()
	_, waits := c.ledger.tries()
	// It writes until tlim has lost once, and goes on when all that was under way then is stored: no batch meets it at each of its tries.
	for range 3 {
		for lost := refused(); refused() == lost; writes++ {
			_, err := other.ExecContext(ctx, `UPDATE ofsession SET session_name = ? WHERE session_id = ?`, fmt.Sprint("name ", writes), c.session)
			if mysqlError := new(mysql.MySQLError); !errors.As(err, &mysqlError) || mysqlError.Number != 1213 { // 1213: this time tlim was first
				check(t, err)
			}
		}
		c.more(100)
	}
	_, waited := c.ledger.tries()
	t.Logf("%d transactions of node %d refused for %d writes of another, in %s; %d messages told to wait", refused()-before, work, writes, time.Since(began).Round(time.Millisecond), waited-waits)
	if waited > waits {
		t.Errorf("%d messages were told to wait, want all written again at once", waited-waits)
	}
}

// same fails the test unless the nodes have as many rows of messages, and each once.
func same(t *testing.T, g *lab.Galera, nodes []int) {
	t.Helper()
	counts := map[string][]int{}
	for _, n := range nodes {
		rows := rowsOf(t, g.One(n))
		counts[rows] = append(counts[rows], n)
	}
	if len(counts) != 1 {
		t.Errorf("got rows by nodes %v, want the same on all of %v", counts, nodes)
	}
}

// shown is a word of a node's status.
func shown(t *testing.T, dsn, name string) (string, error) {
	t.Helper()
	db := must[*sql.DB](t)(sql.Open("mysql", dsn+"?timeout=2s&readTimeout=2s"))
	defer db.Close()
	var value string
	err := db.QueryRow("SHOW GLOBAL STATUS LIKE '"+name+"'").Scan(&name, &value)
	return value, err
}

// nodeOf is the number of the node that does the work, by the word of /readyz.
func nodeOf(t *testing.T, w *world, g *lab.Galera) int {
	t.Helper()
	_, body, err := w.tlim.Ready(within(t, soon))
	check(t, err)
	var ready struct {
		Database struct{ Server string }
	}
	check(t, json.Unmarshal([]byte(body), &ready))
	n := slices.Index(g.Addresses, ready.Database.Server) + 1
	if n == 0 {
		t.Fatalf("got the database on %q, want one of the nodes %q", ready.Database.Server, g.Addresses)
	}
	return n
}

// rowsOf counts rows, after all that the cluster had committed before.
func rowsOf(t *testing.T, dsn string) string {
	t.Helper()
	db := must[*sql.DB](t)(sql.Open("mysql", dsn+"?wsrep_sync_wait=1"))
	defer db.Close()
	var text string
	check(t, db.QueryRowContext(within(t, soon), `SELECT CONCAT_WS(' ', (SELECT COUNT(*) FROM ofmessage), (SELECT COUNT(*) FROM tlim_id), (SELECT COUNT(DISTINCT msg_id) FROM ofmessage))`).Scan(&text))
	return text
}
