package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	ora "github.com/sijms/go-ora/v2"
	"github.com/sijms/go-ora/v2/configurations"
	"github.com/sijms/go-ora/v2/network"
)

// go-ora keeps a connection in its pool after a time-out, with an answer in it that is still to come and that the next statement would
// take for its own; it waits for ever where a context has no end, leaves a socket open when a login fails, and calls a COMMIT that it has
// sent driver.ErrBadConn. Where an answer ends too soon it can panic. So each connection has this one around it: every call has an end, and
// after what is not an answer of the server the connection is closed.

// errUnsent says of a COMMIT that it never left: the connection was closed before.
var errUnsent = errors.New("the connection was lost before")

// errNoAnswer stands where the driver has neither an answer nor an error.
var errNoAnswer = errors.New("the server's answer was lost")

// unbroken makes an error of a panic of the driver: it reads on in an answer that was cut off.
func unbroken[T any](do func() (T, error)) (v T, err error) {
	defer func() {
		if what := recover(); what != nil {
			err = fmt.Errorf("%w: the driver panicked: %v", errNoAnswer, what)
		}
	}()
	return do()
}

// unbrokenError is unbroken for what answers nothing else.
func unbrokenError(do func() error) error {
	_, err := unbroken(func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// oracleConnector makes connections. wait bounds each call; 0 bounds none, for changes of tables.
type oracleConnector struct {
	config  configurations.ConnectionConfig
	session []string // statements that each begins with
	wait    time.Duration
}

// Driver is here for the interface.
func (o *oracleConnector) Driver() driver.Driver { return ora.GetDefaultDriver() }

// Connect logs in and prepares the session.
func (o *oracleConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c := &oracleConn{connector: o}
	config := o.config
	config.Timeout = 0
	if o.wait > 0 { // behind the contexts, which say what was waited for
		config.Timeout = o.wait + 5*time.Second
	}
	config.Dialer = &oracleDialer{c: c}
	ctx, cancel := c.bounded(ctx, 10*time.Second)
	defer cancel()
	raw, err := ora.NewConnection("", &config)
	if err == nil {
		c.raw = raw
		err = unbrokenError(func() error { return raw.OpenWithContext(ctx) })
	}
	for _, statement := range o.session {
		if err == nil {
			_, err = unbroken(func() (driver.Result, error) { return raw.ExecContext(ctx, statement, nil) })
		}
	}
	if err != nil {
		c.broken = true
		err = c.ended(ctx, err)
		c.cut()
		return nil, err
	}
	return c, nil
}

// oracleDialer remembers the socket: the driver does not close that of a login that failed.
type oracleDialer struct{ c *oracleConn }

// DialContext implements the driver's interface.
func (o *oracleDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	o.c.cut() // the address before, which refused
	socket, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	o.c.socket = &oracleSocket{Conn: socket}
	return o.c.socket, nil
}

// oracleSocket knows whether it was lost: to the driver a server that hangs up looks like the end of the rows.
type oracleSocket struct {
	net.Conn
	lost atomic.Bool
}

// Read notes an error.
func (o *oracleSocket) Read(b []byte) (int, error) {
	n, err := o.Conn.Read(b)
	if err != nil {
		o.lost.Store(true)
	}
	return n, err
}

// Write notes an error.
func (o *oracleSocket) Write(b []byte) (int, error) {
	n, err := o.Conn.Write(b)
	if err != nil {
		o.lost.Store(true)
	}
	return n, err
}

// oracleConn is a connection that answers within its time, or is closed.
type oracleConn struct {
	connector *oracleConnector
	raw       *ora.Connection
	socket    *oracleSocket // nil where it was closed
	broken    bool
}

// beside is another session of the same kind.
func (o *oracleConn) beside() *sql.DB { return sql.OpenDB(o.connector) }

// cut closes the socket, so that nothing waits for the server again.
func (o *oracleConn) cut() {
	if o.socket != nil {
		o.socket.Close()
		o.socket = nil
	}
}

// bounded gives a call an end.
func (o *oracleConn) bounded(ctx context.Context, otherwise time.Duration) (context.Context, context.CancelFunc) {
	wait := o.connector.wait
	if wait == 0 {
		wait = otherwise
	}
	if _, has := ctx.Deadline(); has || wait == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, wait)
}

// ended judges what a call ended with. Only an error that the server itself has said leaves the connection as it was, and only in time:
// the request to break off, which the driver sends at the context's end, may still be under way.
func (o *oracleConn) ended(ctx context.Context, err error) error {
	var said *network.OracleError
	late, lost := ctx.Err(), o.socket != nil && o.socket.lost.Load()
	if late != nil || lost || err != nil && (!errors.As(err, &said) || said.Bad()) {
		o.broken = true
		o.cut()
	}
	if err != nil && late != nil {
		return fmt.Errorf("%w: %w", late, err)
	}
	return err
}

// ExecContext runs a statement.
func (o *oracleConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return o.exec(ctx, func(ctx context.Context) (driver.Result, error) { return o.raw.ExecContext(ctx, query, args) })
}

func (o *oracleConn) exec(ctx context.Context, do func(context.Context) (driver.Result, error)) (driver.Result, error) {
	if o.broken {
		return nil, driver.ErrBadConn
	}
	ctx, cancel := o.bounded(ctx, 0)
	defer cancel()
	result, err := unbroken(func() (driver.Result, error) { return do(ctx) })
	if none, is := result.(*ora.QueryResult); err == nil && (result == nil || is && none == nil) {
		err = errNoAnswer // it was broken off, and the server has nothing to say of that
	}
	if err = o.ended(ctx, err); err != nil {
		return nil, err
	}
	return result, nil
}

// QueryContext runs a query.
func (o *oracleConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return o.query(ctx, func(ctx context.Context) (driver.Rows, error) { return o.raw.QueryContext(ctx, query, args) })
}

func (o *oracleConn) query(ctx context.Context, do func(context.Context) (driver.Rows, error)) (driver.Rows, error) {
	if o.broken {
		return nil, driver.ErrBadConn
	}
	ctx, cancel := o.bounded(ctx, 0)
	defer cancel()
	rows, err := unbroken(func() (driver.Rows, error) { return do(ctx) })
	if none, is := rows.(*ora.DataSet); err == nil && (rows == nil || is && none == nil) {
		err = errNoAnswer
	}
	if err = o.ended(ctx, err); err != nil {
		return nil, err
	}
	return &oracleRows{rows, o}, nil
}

// PrepareContext keeps a statement; the server hears of it when it runs.
func (o *oracleConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if o.broken {
		return nil, driver.ErrBadConn
	}
	stmt, err := o.raw.PrepareContext(ctx, query)
	if err = o.ended(ctx, err); err != nil {
		return nil, err
	}
	own, is := stmt.(*ora.Stmt)
	if !is {
		return nil, fmt.Errorf("the driver prepares a %T", stmt)
	}
	return &oracleStmt{own, o}, nil
}

// Prepare is here for the interface.
func (o *oracleConn) Prepare(query string) (driver.Stmt, error) {
	return o.PrepareContext(context.Background(), query)
}

// Begin is here for the interface.
func (o *oracleConn) Begin() (driver.Tx, error) {
	return o.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx begins a transaction; the server hears of it with the first statement.
func (o *oracleConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if o.broken {
		return nil, driver.ErrBadConn
	}
	tx, err := o.raw.BeginTx(context.WithoutCancel(ctx), opts)
	if err = o.ended(ctx, err); err != nil {
		return nil, err
	}
	return &oracleTx{tx, o}, nil
}

// CheckNamedValue lets LOBs and arrays through.
func (o *oracleConn) CheckNamedValue(v *driver.NamedValue) error { return checkOracleValue(v) }

func checkOracleValue(v *driver.NamedValue) error {
	switch v.Value.(type) {
	case ora.Clob, []any:
		return nil
	}
	value, err := driver.DefaultParameterConverter.ConvertValue(v.Value)
	v.Value = value
	return err
}

// Ping asks the server.
func (o *oracleConn) Ping(ctx context.Context) error {
	if o.broken {
		return driver.ErrBadConn
	}
	ctx, cancel := o.bounded(ctx, 10*time.Second)
	defer cancel()
	return o.ended(ctx, unbrokenError(func() error { return o.raw.Ping(ctx) }))
}

// ResetSession and IsValid keep what is broken out of the pool.
func (o *oracleConn) ResetSession(ctx context.Context) error {
	if o.broken {
		return driver.ErrBadConn
	}
	return o.raw.ResetSession(ctx)
}

// IsValid says whether the connection can be used again.
func (o *oracleConn) IsValid() bool { return !o.broken }

// Close logs off, if there is somebody to hear it.
func (o *oracleConn) Close() error {
	err := unbrokenError(o.raw.Close)
	o.cut()
	if o.broken {
		return nil
	}
	return err
}

type oracleStmt struct {
	raw *ora.Stmt
	c   *oracleConn
}

func (o *oracleStmt) NumInput() int { return -1 }

func (o *oracleStmt) Close() error {
	if o.c.broken {
		return nil
	}
	return o.c.ended(context.Background(), unbrokenError(o.raw.Close))
}

func (o *oracleStmt) Exec([]driver.Value) (driver.Result, error) { return nil, driver.ErrSkip }
func (o *oracleStmt) Query([]driver.Value) (driver.Rows, error)  { return nil, driver.ErrSkip }
func (o *oracleStmt) CheckNamedValue(v *driver.NamedValue) error { return checkOracleValue(v) }

func (o *oracleStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return o.c.exec(ctx, func(ctx context.Context) (driver.Result, error) { return o.raw.ExecContext(ctx, args) })
}

func (o *oracleStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return o.c.query(ctx, func(ctx context.Context) (driver.Rows, error) { return o.raw.QueryContext(ctx, args) })
}

type oracleRows struct {
	raw driver.Rows
	c   *oracleConn
}

func (o *oracleRows) Columns() []string { return o.raw.Columns() }

func (o *oracleRows) Close() error {
	if o.c.broken {
		return nil
	}
	return o.c.ended(context.Background(), unbrokenError(o.raw.Close))
}

func (o *oracleRows) Next(dest []driver.Value) error {
	if o.c.broken {
		return errNoAnswer
	}
	err := unbrokenError(func() error { return o.raw.Next(dest) })
	if err == nil || errors.Is(err, io.EOF) && !o.c.socket.lost.Load() {
		return err
	}
	if err = o.c.ended(context.Background(), err); o.c.broken {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return err
}

type oracleTx struct {
	raw driver.Tx
	c   *oracleConn
}

// Commit has no context: the driver's own time-out ends it, and then nobody knows what became of it.
func (o *oracleTx) Commit() error {
	if o.c.broken {
		return errUnsent
	}
	return o.c.ended(context.Background(), unbrokenError(o.raw.Commit))
}

func (o *oracleTx) Rollback() error {
	if o.c.broken {
		return nil // the server rolls back what a lost connection held
	}
	return o.c.ended(context.Background(), unbrokenError(o.raw.Rollback))
}
