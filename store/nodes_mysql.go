package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Of a cluster of MySQL or MariaDB (Galera) all connections of a store go to one node that takes writes: two of them would refuse each
// other's write-sets, and a read could miss what was just written. Each new connection looks whether its node is in the cluster and writable.
// When it is not, or does not answer, the next one of the list that is gets all, and what was connected to the old one is closed.

const (
	// nodeTime bounds connecting to a node and judging it: a machine that is off does not answer at all, and another waits.
	nodeTime = 3 * time.Second
	// catchUpTime bounds the wait for what a cluster has committed. While nodes agree on who is left of them nothing is.
	catchUpTime = 20 * time.Second
	// leaveAgain is within what time a second wish to leave a node is the first one.
	leaveAgain = time.Second
	// noQuorum is what a node answers that is no part of the cluster (ER_UNKNOWN_COM_ERROR, "WSREP has not yet prepared node").
	noQuorum = 1047
)

// mysqlNodes are the nodes of one store. One address is no choice: nothing is looked at there.
type mysqlNodes struct {
	addresses []string
	log       *slog.Logger
	turn      chan struct{} // the right to choose another node

	mu    sync.Mutex
	at    int                    // where all connections go
	moves int                    // how often that changed
	left  time.Time              // when the connections were last given up
	conns map[*nodeConn]struct{} // that are open
}

func newMySQLNodes(base *mysqlTarget, cfg Config) *mysqlNodes {
	return &mysqlNodes{addresses: base.nodes, log: cfg.Log, turn: make(chan struct{}, 1), conns: map[*nodeConn]struct{}{}}
}

// connector makes the connections of one pool.
func (m *mysqlNodes) connector(base *mysqlTarget, cfg Config, patience, idle time.Duration) (driver.Connector, error) {
	if len(m.addresses) < 2 {
		return mysqlConnector(base.Config, cfg, patience, idle)
	}
	c := nodeConnector{nodes: m}
	for at, address := range m.addresses {
		one := base.Clone()
		one.Addr = address
		one.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			return m.dial(ctx, network, address, at)
		}
		each, err := mysqlConnector(one, cfg, patience, idle)
		if err != nil {
			return nil, err
		}
		c.each = append(c.each, each)
	}
	return c, nil
}

// node is where the connections go.
func (m *mysqlNodes) node() string {
	if len(m.addresses) < 2 {
		return ""
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.addresses[m.at]
}

// moved is how often the node changed.
func (m *mysqlNodes) moved() int {
	_, moves := m.now()
	return moves
}

func (m *mysqlNodes) now() (at, moves int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at, m.moves
}

// leave closes all connections, because their node said that it is no part of the cluster. The next one judges it again.
func (m *mysqlNodes) leave() {
	m.mu.Lock()
	again := time.Since(m.left) < leaveAgain
	if !again {
		m.left = time.Now()
	}
	m.mu.Unlock()
	if !again {
		m.closeAll(-1)
	}
}

// closeAll closes the connections but those of one node.
func (m *mysqlNodes) closeAll(but int) {
	m.mu.Lock()
	var list []*nodeConn
	for c := range m.conns {
		if c.at != but {
			list = append(list, c)
		}
	}
	m.mu.Unlock()
	for _, c := range list {
		_ = c.Close() // there is nothing left to do about an error
	}
}

// moveTo sends all connections to another node.
func (m *mysqlNodes) moveTo(at int, why error) {
	m.mu.Lock()
	from := m.addresses[m.at]
	m.at = at
	m.moves++
	m.mu.Unlock()
	m.closeAll(at)
	m.log.Warn("the database work goes to another node of store.dsn", "from", from, "to", m.addresses[at], "reason", why)
}

// nodeConn is a socket to a node that a change of the node closes.
type nodeConn struct {
	*net.TCPConn
	nodes *mysqlNodes
	at    int
}

// Close forgets the socket.
func (n *nodeConn) Close() error {
	n.nodes.mu.Lock()
	delete(n.nodes.conns, n)
	n.nodes.mu.Unlock()
	return n.TCPConn.Close()
}

func (m *mysqlNodes) dial(ctx context.Context, network, address string, at int) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &nodeConn{TCPConn: conn.(*net.TCPConn), nodes: m, at: at}
	m.mu.Lock()
	m.conns[c] = struct{}{}
	m.mu.Unlock()
	return c, nil
}

// nodeConnector connects to the node of the moment, and chooses another where that does not do.
type nodeConnector struct {
	nodes *mysqlNodes
	each  []sessionConnector // by node
}

// Driver implements driver.Connector.
func (n nodeConnector) Driver() driver.Driver { return mysql.MySQLDriver{} }

// errMoved says that another connection has chosen another node meanwhile.
var errMoved = errors.New("the work goes to another node")

// Connect opens a connection to the node that does the work.
func (n nodeConnector) Connect(ctx context.Context) (driver.Conn, error) {
	for {
		at, moves := n.nodes.now()
		conn, err := n.open(ctx, at, false)
		if err == nil {
			if now, _ := n.nodes.now(); now == at {
				return conn, nil
			}
			_ = conn.Close() // nothing was done on it
			continue
		}
		if ctx.Err() != nil || !leavesNode(err) {
			return nil, err
		}
		if conn, err = n.choose(ctx, moves, err); !errors.Is(err, errMoved) {
			return conn, err
		}
	}
}

// choose looks for another node, one caller at a time; why says what was wrong with the one of the moment.
func (n nodeConnector) choose(ctx context.Context, moves int, why error) (driver.Conn, error) {
	nodes := n.nodes
	select {
	case nodes.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-nodes.turn }()
	first, now := nodes.now()
	if now != moves {
		return nil, errMoved
	}
	failed := []error{why}
	for i := 1; i < len(n.each); i++ {
		at := (first + i) % len(n.each)
		conn, err := n.open(ctx, at, false)
		if err == nil {
			nodes.moveTo(at, why)
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failed = append(failed, err)
	}
	// Who hands its data to a node that comes back takes writes too, or will soon.
	for i, err := range failed {
		if !errors.Is(err, errDonor) {
			continue
		}
		at := (first + i) % len(n.each)
		if conn, err := n.open(ctx, at, true); err == nil {
			if at != first {
				nodes.moveTo(at, why)
			}
			return conn, nil
		}
	}
	return nil, &noNodeError{addresses: append(append([]string{}, nodes.addresses[first:]...), nodes.addresses[:first]...), failed: failed}
}

// open connects to one node and judges it.
func (n nodeConnector) open(ctx context.Context, at int, donor bool) (driver.Conn, error) {
	short, cancel := context.WithTimeout(ctx, nodeTime)
	defer cancel()
	session, clustered := n.each[at], false
	session.check = func(ctx context.Context, conn driver.Conn) (err error) {
		clustered, err = judgeNode(ctx, conn, donor)
		return err
	}
	conn, err := session.Connect(short)
	if err != nil {
		return nil, err
	}
	if clustered {
		long, cancel := context.WithTimeout(ctx, catchUpTime)
		defer cancel()
		if err := catchUp(long, conn); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// leavesNode says whether an error of connecting is the node's own: a wrong password is wrong on all of them, and one that has too many
// connections has ours as well.
func leavesNode(err error) bool {
	switch n := mysqlNumber(err); n {
	case 0, noQuorum, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1205: // it shuts down, or the network broke
		return true
	default:
		return false
	}
}

var errDonor = errors.New("it hands its data to another node")

// judgeNode says what keeps a node from taking writes, and whether it is one of a Galera cluster.
func judgeNode(ctx context.Context, conn driver.Conn, donor bool) (clustered bool, err error) {
	set, err := shownOf(ctx, conn, `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'wsrep_on')`)
	if err != nil {
		return false, err
	}
	if clustered = set["wsrep_on"] == "ON"; clustered {
		status, err := shownOf(ctx, conn, `SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_ready', 'wsrep_local_state_comment', 'wsrep_cluster_status')`)
		if err != nil {
			return true, err
		}
		switch state := status["wsrep_local_state_comment"]; {
		case status["wsrep_ready"] != "ON", status["wsrep_cluster_status"] != "Primary":
			return true, fmt.Errorf("it is no part of the cluster (wsrep_ready %s, wsrep_cluster_status %s, %s)", status["wsrep_ready"], status["wsrep_cluster_status"], state)
		case strings.HasPrefix(state, "Donor") && !donor:
			return true, errDonor
		case state != "Synced" && !strings.HasPrefix(state, "Donor"):
			return true, fmt.Errorf("it is not synced with the cluster (%s)", state)
		}
	}
	if readOnly := set["read_only"]; readOnly != "OFF" && readOnly != "" {
		return clustered, errors.New("it is read-only (read_only is on)")
	}
	return clustered, nil
}

// shownOf reads the two columns of a SHOW.
func shownOf(ctx context.Context, conn driver.Conn, query string) (map[string]string, error) {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	set := map[string]string{}
	for row := make([]driver.Value, len(rows.Columns())); ; {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return set, rows.Close()
		case err != nil:
			return nil, errors.Join(err, rows.Close())
		}
		set[wordOf(row[0])] = wordOf(row[1])
	}
}

func wordOf(v driver.Value) string {
	var word text
	if err := word.Scan(v); err != nil {
		return ""
	}
	return string(word)
}

// catchUp waits until the node has all that the cluster had committed when it began: reads go to it from now on, and one of them may look up
// a COMMIT whose answer was lost on another node.
func catchUp(ctx context.Context, conn driver.Conn) error {
	exec := func(statement string) error {
		_, err := conn.(driver.ExecerContext).ExecContext(ctx, statement, nil)
		return err
	}
	before, err := shownOf(ctx, conn, "SHOW SESSION VARIABLES LIKE 'wsrep_sync_wait'")
	if err != nil {
		return err
	}
	if err := exec("SET SESSION wsrep_sync_wait = 1"); err != nil {
		return err
	}
	if _, err := shownOf(ctx, conn, "SELECT 1, 1"); err != nil {
		return err
	}
	value := before["wsrep_sync_wait"]
	if _, err := strconv.Atoi(value); err != nil {
		value = "DEFAULT"
	}
	return exec("SET SESSION wsrep_sync_wait = " + value)
}

// caughtUpMySQL does so on the connection that the pool gives next, also where one address leads to any node (a proxy).
func caughtUpMySQL(ctx context.Context, writer *sql.DB) error {
	conn, err := writer.Conn(ctx)
	if err != nil {
		return err
	}
	var name, on text
	err = conn.QueryRowContext(ctx, "SHOW SESSION VARIABLES LIKE 'wsrep_on'").Scan(&name, &on)
	if errors.Is(err, sql.ErrNoRows) || err == nil && on != "ON" {
		return conn.Close()
	}
	if err == nil {
		err = conn.Raw(func(raw any) error { return catchUp(ctx, raw.(driver.Conn)) })
	}
	return errors.Join(err, conn.Close())
}

// noNodeError says what is wrong with each node.
type noNodeError struct {
	addresses []string
	failed    []error
}

func (n *noNodeError) Error() string {
	texts := make([]string, len(n.failed))
	for i, err := range n.failed {
		texts[i] = n.addresses[i] + ": " + strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return "no node of store.dsn takes writes: " + strings.Join(texts, "; ")
}

// Is makes it an ErrNoNode.
func (n *noNodeError) Is(target error) bool { return target == ErrNoNode || target == ErrUnavailable }

// Unwrap returns what was wrong with each.
func (n *noNodeError) Unwrap() []error { return n.failed }
