package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// fakeNode is a node of a cluster as its status tells of it.
type fakeNode struct {
	off    error             // of connecting
	shows  map[string]string // of SHOW
	waits  error             // of a read with wsrep_sync_wait
	did    []string          // the statements of all its connections
	dialed int
}

func (f *fakeNode) Connect(context.Context) (driver.Conn, error) {
	f.dialed++
	if f.off != nil {
		return nil, f.off
	}
	return &fakeConn{node: f}, nil
}

func (f *fakeNode) Driver() driver.Driver { return mysql.MySQLDriver{} }

type fakeConn struct {
	driver.Conn
	node   *fakeNode
	closed bool
}

func (f *fakeConn) Close() error { f.closed = true; return nil }

func (f *fakeConn) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	f.node.did = append(f.node.did, query)
	return driver.RowsAffected(0), nil
}

func (f *fakeConn) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	f.node.did = append(f.node.did, query)
	if query == "SELECT 1, 1" && f.node.waits != nil {
		return nil, f.node.waits
	}
	rows := &fakeRows{}
	for name, value := range f.node.shows {
		if strings.Contains(query, name) {
			rows.left = append(rows.left, [2]string{name, value})
		}
	}
	return rows, nil
}

type fakeRows struct{ left [][2]string }

func (*fakeRows) Columns() []string { return []string{"Variable_name", "Value"} }
func (*fakeRows) Close() error      { return nil }
func (f *fakeRows) Next(into []driver.Value) error {
	if len(f.left) == 0 {
		return io.EOF
	}
	into[0], into[1] = []byte(f.left[0][0]), []byte(f.left[0][1])
	f.left = f.left[1:]
	return nil
}

// synced is a node that takes writes; more are pairs that lie over its status.
func synced(more ...string) *fakeNode {
	n := &fakeNode{shows: map[string]string{"read_only": "OFF", "wsrep_on": "ON", "wsrep_ready": "ON", "wsrep_local_state_comment": "Synced",
		"wsrep_cluster_status": "Primary", "wsrep_sync_wait": "0"}}
	for i := 0; i < len(more); i += 2 {
		n.shows[more[i]] = more[i+1]
	}
	return n
}

var errRefused = errors.New("dial tcp: connection refused")

// All work goes to the first node that is in the cluster and takes writes, whatever its port says, and stays there.
func TestNodeOfTheWork(t *testing.T) {
	replica := &fakeNode{shows: map[string]string{"read_only": "ON"}} // of MySQL, without a Galera cluster
	for _, c := range []struct {
		name  string
		nodes []*fakeNode
		want  int    // the node of the work; -1: none
		text  string // in the log of the move, or in the error
	}{
		{"the first", []*fakeNode{synced(), synced()}, 0, ""},
		{"it is off", []*fakeNode{{off: errRefused}, synced()}, 1, "connection refused"},
		{"it has lost the quorum", []*fakeNode{synced("wsrep_cluster_status", "non-Primary", "wsrep_ready", "OFF"), synced()}, 1, "no part of the cluster"},
		{"it answers 1047", []*fakeNode{{off: &mysql.MySQLError{Number: noQuorum, Message: "WSREP has not yet prepared node"}}, synced()}, 1, "1047"},
		{"it takes its state", []*fakeNode{synced("wsrep_local_state_comment", "Joining"), synced()}, 1, "not synced"},
		{"it is read-only", []*fakeNode{synced("read_only", "ON"), synced()}, 1, "read-only"},
		{"it is a replica", []*fakeNode{replica, {shows: map[string]string{"read_only": "OFF"}}}, 1, "read-only"},
		{"it lags and does not catch up", []*fakeNode{{shows: synced().shows, waits: &mysql.MySQLError{Number: 1205}}, synced()}, 1, "1205"},
		{"a donor, and another", []*fakeNode{synced("wsrep_local_state_comment", "Donor/Desynced"), synced()}, 1, "hands its data"},
		{"a donor alone", []*fakeNode{{off: errRefused}, synced("wsrep_local_state_comment", "Donor/Desynced"), {off: errRefused}}, 1, "connection refused"},
		{"a wrong password, which is wrong on all", []*fakeNode{{off: &mysql.MySQLError{Number: 1045}}, synced()}, -1, "1045"},
		{"none", []*fakeNode{{off: errRefused}, synced("read_only", "ON"), synced("wsrep_cluster_status", "non-Primary")}, -1,
			"no node of store.dsn takes writes: node0: dial tcp: connection refused; node1: it is read-only (read_only is on); node2: it is no part"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log strings.Builder
			n := &mysqlNodes{log: slog.New(slog.NewTextHandler(&log, nil)), turn: make(chan struct{}, 1), conns: map[*nodeConn]struct{}{}}
			connector := nodeConnector{nodes: n}
			for i, node := range c.nodes {
				n.addresses = append(n.addresses, fmt.Sprint("node", i))
				connector.each = append(connector.each, sessionConnector{Connector: node})
			}
			conn, err := connector.Connect(t.Context())
			if c.want < 0 {
				if err == nil || !strings.Contains(err.Error(), c.text) {
					t.Errorf("got %v, want an error with %q", err, c.text)
				}
				if several := len(c.nodes) > 2; several != errors.Is(err, ErrNoNode) {
					t.Errorf("got %v, want it to be %v: %v", err, ErrNoNode, several)
				}
				return
			}
			if err != nil {
				t.Fatalf("got %v, want node %d", err, c.want)
			}
			if got := conn.(*fakeConn).node; got != c.nodes[c.want] || n.node() != fmt.Sprint("node", c.want) {
				t.Errorf("got a connection to node %d, and the work on %s, want node %d", slices.Index(c.nodes, got), n.node(), c.want)
			}
			if moved := c.want > 0; moved != (log.Len() > 0) || !strings.Contains(log.String(), c.text) {
				t.Errorf("got the log %q, want a move told: %v, with %q", &log, moved, c.text)
			}
			// The next one goes there alone.
			before := c.nodes[0].dialed
			if again, err := connector.Connect(t.Context()); err != nil || again.(*fakeConn).node != c.nodes[c.want] {
				t.Errorf("the next connection: got %v, want node %d", err, c.want)
			}
			if c.want > 0 && c.nodes[0].dialed != before && c.name != "a donor alone" {
				t.Error("the next connection tried the first node again, want the work to stay")
			}
		})
	}
}

// Whoever reads on a node of a cluster, as one that looks up a COMMIT whose answer was lost on another, does so after the node has all that was committed.
func TestANodeCatchesUp(t *testing.T) {
	last := func(n *fakeNode) []string {
		i := slices.IndexFunc(n.did, func(s string) bool { return strings.Contains(s, "wsrep_sync_wait") })
		if i < 0 {
			return nil
		}
		return n.did[i:]
	}
	want := []string{"SHOW SESSION VARIABLES LIKE 'wsrep_sync_wait'", "SET SESSION wsrep_sync_wait = 1", "SELECT 1, 1", "SET SESSION wsrep_sync_wait = 7"}
	for name, c := range map[string]struct {
		node *fakeNode
		want []string
	}{
		"of a cluster":      {synced("wsrep_sync_wait", "7"), want},
		"of no cluster":     {&fakeNode{shows: map[string]string{"read_only": "OFF"}}, nil},
		"with Galera off":   {&fakeNode{shows: map[string]string{"read_only": "OFF", "wsrep_on": "OFF"}}, nil},
		"without the value": {&fakeNode{shows: map[string]string{"wsrep_on": "ON", "wsrep_ready": "ON", "wsrep_local_state_comment": "Synced", "wsrep_cluster_status": "Primary"}}, append(slices.Clone(want[:3]), "SET SESSION wsrep_sync_wait = DEFAULT")},
	} {
		t.Run(name, func(t *testing.T) {
			n := &mysqlNodes{addresses: []string{"a", "b"}, log: slog.New(slog.DiscardHandler), turn: make(chan struct{}, 1), conns: map[*nodeConn]struct{}{}}
			if _, err := (nodeConnector{nodes: n, each: []sessionConnector{{Connector: c.node}, {Connector: synced()}}}).Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := last(c.node); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
