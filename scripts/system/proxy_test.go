package system

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// proxy is a TCP connection's way between tlim or a client and a server, with faults at will.
type proxy struct {
	addr   string
	target string
	listen net.Listener
	work   sync.WaitGroup

	mu     sync.Mutex
	change *sync.Cond
	closed bool
	up     gate // to the server
	down   gate // from the server
	pairs  map[*pair]bool
	left   []net.Conn // ends of the server whose client is gone unheard
	commit *commitCut
	late   time.Duration // how much later what the server says arrives; set before the first connection
}

// gate is what happens to bytes of one direction.
type gate int

const (
	pass    gate = iota
	hold         // not read, so that they pile up
	swallow      // read, and dropped
)

type pair struct {
	client, server net.Conn
	stranded       bool // the server is not to hear that the client is gone
	doomed         bool // the next bytes of the server are the answer to a COMMIT, which gets lost
}

func (p *pair) close() {
	_ = p.client.Close() // closing twice is harmless
	_ = p.server.Close()
}

// newProxy listens for connections to target, and ends with the test.
func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l := must[net.Listener](t)(lab.Listen())
	p := &proxy{addr: l.Addr().String(), listen: l, target: target, pairs: map[*pair]bool{}}
	p.change = sync.NewCond(&p.mu)
	p.work.Go(p.accept)
	t.Cleanup(func() {
		_ = p.listen.Close()
		p.mu.Lock()
		p.closed, p.commit = true, nil
		for _, server := range p.left {
			_ = server.Close()
		}
		p.mu.Unlock()
		p.set(pass, pass)
		p.cut()
		p.work.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		c := &pair{client: client, server: server}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			c.close()
			return
		}
		p.pairs[c] = true
		p.mu.Unlock()
		p.work.Go(func() { p.copy(c, server, client, &p.up, true) })
		p.work.Go(func() { p.copy(c, client, server, &p.down, false) })
	}
}

// copy moves bytes of one direction until either end is closed.
func (p *proxy) copy(c *pair, to, from net.Conn, g *gate, upwards bool) {
	defer func() {
		p.mu.Lock()
		if !c.stranded {
			c.close()
		}
		delete(p.pairs, c)
		p.mu.Unlock()
		p.change.Broadcast()
	}()
	buffer := make([]byte, 64<<10)
	for {
		if p.way(c, g) == hold {
			return // closed meanwhile
		}
		n, err := from.Read(buffer)
		if n > 0 {
			switch p.way(c, g) { // it may have changed while we waited for bytes
			case hold:
				return
			case pass:
				if p.late > 0 && !upwards {
					time.Sleep(p.late) // the delay is what is tested
				}
				if p.cutsCommit(c, buffer[:n], upwards) {
					return
				}
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// way waits while the gate holds. It returns hold when the pair is closed.
func (p *proxy) way(c *pair, g *gate) gate {
	p.mu.Lock()
	defer p.mu.Unlock()
	for *g == hold && p.pairs[c] {
		p.change.Wait()
	}
	return *g
}

// set changes both directions.
func (p *proxy) set(up, down gate) {
	p.mu.Lock()
	p.up, p.down = up, down
	p.mu.Unlock()
	p.change.Broadcast()
}

// cut breaks all connections; new ones are taken.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		c.close()
		delete(p.pairs, c)
	}
	p.change.Broadcast()
}

// strand breaks all connections for their clients only, as a phone loses its network: the server goes on sending into them.
func (p *proxy) strand() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		c.stranded = true
		_ = c.client.Close()
		p.left = append(p.left, c.server)
		delete(p.pairs, c)
	}
	p.change.Broadcast()
}

// commitCut says what happens to the COMMITs of the MySQL protocol: the connection is cut before the server gets it, or before
// its answer comes back.
type commitCut struct {
	before bool
	left   int           // how many are cut
	done   chan struct{} // closed when none is left
}

// cutCommits makes the next n COMMITs fail. done is closed when they have.
func (p *proxy) cutCommits(n int, before bool) (done <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commit = &commitCut{before: before, left: n, done: make(chan struct{})}
	return p.commit.done
}

// commitPacket is COM_QUERY "COMMIT" with its header: three bytes of length, the sequence number 0, the command 3.
var commitPacket = []byte("\x07\x00\x00\x00\x03COMMIT")

// cutsCommit is true when these bytes are a COMMIT that is to fail, or the answer to one, and the connection is to end.
func (p *proxy) cutsCommit(c *pair, b []byte, upwards bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	cut := p.commit
	switch {
	case cut == nil || cut.left == 0:
		return false
	case upwards && !bytes.Contains(b, commitPacket), !upwards && !c.doomed:
		return false
	case upwards && !cut.before:
		c.doomed = true
		return false
	}
	if cut.left--; cut.left == 0 {
		close(cut.done)
	}
	return true
}
