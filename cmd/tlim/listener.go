package main

import (
	"container/list"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"tlim/cmd/tlim/config"
	"tlim/component/trigger"
	"tlim/httpapi"
	"tlim/store"
)

// limited is a listener that has at most so many connections open, so that callers never take the descriptors of the database,
// the link and the files. When one more comes, the connection that has been idle longest is closed for it; when none is idle, it
// waits, and the others wait in the kernel's queue. One address (of IPv6 a /64) has at most a part: when it has more, an idle one of
// its own is closed, else the new one. Its server has to have ConnState set to [limited.state].
type limited struct {
	net.Listener
	maxOpen, maxEach int
	shared           func(netip.Addr) bool // whether many callers come from an address, which has no part then; nil: none is
	refused          func()                // hears of a connection that was closed at once; nil: nobody

	mu   sync.Mutex
	open int
	of   map[netip.Addr]int
	idle *list.List      // of *limitedConn, the longest idle first
	room trigger.Trigger // a connection was closed, or is idle
	over chan struct{}   // the listener is closed
	once sync.Once
}

func limit(l net.Listener, maxOpen, maxEach int) *limited {
	return &limited{Listener: l, maxOpen: maxOpen, maxEach: maxEach, of: map[netip.Addr]int{}, idle: list.New(),
		room: trigger.New(), over: make(chan struct{})}
}

// limitedConn is one of its connections.
type limitedConn struct {
	net.Conn
	l    *limited
	addr netip.Addr    // whence it comes
	of   netip.Addr    // on whose account it is, see [payerOf]
	at   *list.Element // in idle; nil when it is not
	once sync.Once
}

// Accept waits for a connection for which there is room.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &limitedConn{Conn: conn, l: l, addr: addrOf(conn)}
		if !l.enter(c) {
			c.Close()
			if l.refused != nil {
				l.refused()
			}
			continue
		}
		for !l.fits() {
			select {
			case <-l.room:
			case <-l.over:
				c.Close()
				return nil, net.ErrClosed
			}
		}
		return c, nil
	}
}

func addrOf(conn net.Conn) netip.Addr {
	addr, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return addr.Addr().Unmap().WithZone("")
}

// payerOf is on whose account connections from an address are: of IPv6 it is the network, as a connection to IPv6 has 2^64
// addresses to call from.
func payerOf(addr netip.Addr) netip.Addr {
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return addr
}

// enter counts a connection, and says whether its address may have it.
func (l *limited) enter(c *limitedConn) bool {
	shared := l.shared != nil && l.shared(c.addr)
	c.of = payerOf(c.addr)
	if shared { // a proxy takes nothing of its neighbours' part
		c.of = c.addr
	}
	l.mu.Lock()
	l.open++
	l.of[c.of]++
	over := l.of[c.of] > l.maxEach && !shared
	l.mu.Unlock()
	return !over || l.closeIdle(func(other *limitedConn) bool { return other.of == c.of })
}

// fits says whether no more connections are open than may be, which it sees to where one is idle.
func (l *limited) fits() bool {
	l.mu.Lock()
	over := l.open > l.maxOpen
	l.mu.Unlock()
	return !over || l.closeIdle(func(*limitedConn) bool { return true })
}

// closeIdle closes the longest idle connection of those that match, if there is one.
func (l *limited) closeIdle(match func(*limitedConn) bool) bool {
	l.mu.Lock()
	var found *limitedConn
	for e := l.idle.Front(); e != nil && found == nil; e = e.Next() {
		if c := e.Value.(*limitedConn); match(c) {
			found = c
		}
	}
	l.mu.Unlock()
	if found == nil {
		return false
	}
	_ = found.Close() // nobody uses it
	return true
}

// state follows the connections of the listener's server.
func (l *limited) state(conn net.Conn, s http.ConnState) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, ok := conn.(*limitedConn)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.at != nil {
		l.idle.Remove(c.at)
		c.at = nil
	}
	if s == http.StateIdle {
		c.at = l.idle.PushBack(c)
		l.room.Fire()
	}
}

// Close gives the connection's place back.
func (l *limitedConn) Close() error {
	err := l.Conn.Close()
	l.once.Do(func() {
		listener := l.l
		listener.mu.Lock()
		defer listener.mu.Unlock()
		listener.open--
		if listener.of[l.of]--; listener.of[l.of] == 0 {
			delete(listener.of, l.of)
		}
		if l.at != nil {
			listener.idle.Remove(l.at)
			l.at = nil
		}
		listener.room.Fire()
	})
	return err
}

// ReadFrom lets the kernel send files.
func (l *limitedConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(l.Conn, r) }

// Close ends Accept.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.over) })
	return l.Listener.Close()
}

const (
	// maxAdminConnections are for operators: a scraper, a probe, a browser.
	maxAdminConnections = 32
	// otherDescriptors are for what is not counted one by one: links, logs, listeners, pushes, sources of users.
	otherDescriptors = 192
	// minConnections is what the API needs to be of use; maxConnections is enough for any process.
	minConnections = 64
	maxConnections = 16 << 10
)

// spareDescriptors are those that callers can have where a process may have so many.
func spareDescriptors(cfg config.Config, descriptors int) int {
	database := cfg.Store.MaxOpen + 2
	if engine, _ := store.EngineNamed(cfg.Store.Driver); engine.Local {
		database *= 3 // the file, its log and its index
	}
	return descriptors - database - fileTransfers - maxAdminConnections - otherDescriptors
}

// passedConnections is how many requests of pages can be passed on to the XMPP server at once: each is a connection of the API, and
// takes one to the server.
func passedConnections(cfg config.Config, descriptors int) int {
	if !cfg.Web.Chat {
		return 0
	}
	return max(minPassed, min(cfg.Web.XMPPConnections, spareDescriptors(cfg, descriptors)/3))
}

// minPassed is what a few pages need.
const minPassed = 16

// httpConnections is how many connections the API may have open where a process may have so many descriptors; enough is false
// when that leaves it too few.
func httpConnections(cfg config.Config, descriptors int) (n int, enough bool) {
	n = spareDescriptors(cfg, descriptors) - passedConnections(cfg, descriptors)
	return max(minConnections, min(n, maxConnections)), n >= minConnections
}

// fileTransfers is how many files are open at once: those of the API's transfers.
const fileTransfers = httpapi.DefaultTransfers
