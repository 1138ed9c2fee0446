package lab

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	_ "github.com/go-sql-driver/mysql" // the way to a node
)

// Galera is a MariaDB cluster of three nodes that scripts/galera started.
type Galera struct {
	Dir       string
	DSN       string   // of all nodes, for store.dsn
	Addresses []string // host:port by node, 1 is the first

	pids []string
}

// StartGalera starts a cluster and returns when all nodes are synced (about 12 s). The caller stops it. machines are none, or three: NETNS=IP, the
// network namespace of a node and its address there.
func StartGalera(ctx context.Context, machines ...string) (*Galera, error) {
	dir, err := newDir("galera")
	if err != nil {
		return nil, err
	}
	g := &Galera{Dir: dir}
	args := []string{"--owner", strconv.Itoa(os.Getpid())}
	for _, machine := range machines {
		args = append(args, "--machine", machine)
	}
	return g, g.run(ctx, "start", args...)
}

// One is the address of one node alone.
func (g *Galera) One(n int) string {
	before, rest, _ := strings.Cut(g.DSN, "(")
	_, after, _ := strings.Cut(rest, ")")
	return before + "(" + g.Addresses[n-1] + ")" + after
}

// Stop ends all nodes and removes what they hold.
func (g *Galera) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	_, err := script(ctx, "galera", "stop", "--dir", g.Dir)
	return err
}

// Kill ends a node by SIGKILL, as a crash would.
func (g *Galera) Kill(ctx context.Context, n int) error {
	_, err := script(ctx, "galera", "kill", strconv.Itoa(n), "--dir", g.Dir)
	return err
}

// Heal starts a node again and returns when it has what it missed.
func (g *Galera) Heal(ctx context.Context, n int) error { return g.run(ctx, "heal", strconv.Itoa(n)) }

// Lives says whether a node was not killed, or is healed.
func (g *Galera) Lives(n int) bool {
	pid, err := strconv.Atoi(g.pids[n-1])
	return err == nil && exists(pid)
}

// Count is the number of rows of a table on a node, after all that the cluster had committed before.
func (g *Galera) Count(ctx context.Context, n int, table string) (int, error) {
	db, err := sql.Open("mysql", g.One(n)+"?wsrep_sync_wait=1")
	if err != nil {
		return 0, fmt.Errorf("open node %d: %w", n, err)
	}
	defer db.Close()
	var rows int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM `"+table+"`").Scan(&rows); err != nil {
		return 0, fmt.Errorf("count the rows of %s on node %d: %w", table, n, err)
	}
	return rows, nil
}

// Signal sends a signal to a node, SIGSTOP and SIGCONT for example.
func (g *Galera) Signal(n int, sig syscall.Signal) error {
	pid, err := strconv.Atoi(g.pids[n-1])
	if err != nil {
		return fmt.Errorf("node %d is gone", n)
	}
	return Signal(pid, sig)
}

func (g *Galera) run(ctx context.Context, verb string, args ...string) error {
	values, err := script(ctx, "galera", append(append([]string{verb}, args...), "--dir", g.Dir)...)
	if err != nil {
		return err
	}
	g.DSN, g.Addresses, g.pids = values["GALERA_DSN"], strings.Fields(values["GALERA_ADDRESSES"]), strings.Fields(values["GALERA_PIDS"])
	if len(g.Addresses) != 3 || len(g.pids) != 3 {
		return fmt.Errorf("scripts/galera %s: it prints addresses %q and pids %q, want three of each", verb, g.Addresses, g.pids)
	}
	return nil
}
