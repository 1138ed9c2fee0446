package system

import (
	"flag"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tlim/scripts/lab"
)

var (
	clusterNodes  = flag.String("openfire.nodes", "", "TestOpenfireClusterRolled: the nodes of a real Openfire cluster, each as C2S/COMPONENT, parted by commas; they have the accounts u000 to u003 with the passwords secret-u000 to secret-u003, and no TLS for clients")
	clusterSecret = flag.String("openfire.secret", "", "TestOpenfireClusterRolled: the secret of its components")
	clusterDomain = flag.String("openfire.domain", "im.test", "TestOpenfireClusterRolled: its domain")
	clusterRoll   = flag.String("openfire.roll", "", "TestOpenfireClusterRolled: a command that restarts the node whose number, from 0, is its argument, and returns when that takes clients and components again")
)

// Each node of a real cluster is restarted in turn under load, those included to which the link goes. Nothing that was acknowledged is lost or doubled.
func TestOpenfireClusterRolled(t *testing.T) {
	if *clusterNodes == "" {
		t.Log("NOT TESTED: it needs a cluster with Openfire's clustering plugin; by hand: -args -openfire.nodes ... (deploy/README.md, Several Openfire nodes)")
		return
	}
	var clients, components []string
	for _, node := range strings.Split(*clusterNodes, ",") {
		c2s, component, _ := strings.Cut(node, "/")
		clients, components = append(clients, c2s), append(components, component)
	}
	s := &lab.Server{Kind: "openfire", Domain: *clusterDomain, C2S: balancer(t, clients), Component: components[0], Secret: *clusterSecret}
	config := onMariaDB(t)
	config["xmpp.server"] = components
	w := newWorld(t, func() (*lab.Server, error) { return s, nil }, config)
	c := newCast(t, w, 10*time.Millisecond)
	c.more(200)
	for i := range 2 * len(clients) {
		before, at := linkOf(t, w), i%len(clients)
		_, last := c.ledger.receipts()
		var mu sync.Mutex
		longest, done := time.Duration(0), make(chan struct{})
		var watching sync.WaitGroup
		watching.Go(func() { // the longest time without a receipt
			ticker := time.NewTicker(20 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-done:
					return
				case <-ticker.C:
				}
				_, now := c.ledger.receipts()
				mu.Lock()
				longest, last = max(longest, now.Sub(last), time.Since(now)), now
				mu.Unlock()
			}
		})
		out, err := exec.CommandContext(within(t, 5*time.Minute), *clusterRoll, strconv.Itoa(at)).CombinedOutput()
		if err != nil {
			t.Fatalf("restart node %d: %v\n%s", at, err, out)
		}
		c.more(200)
		close(done)
		watching.Wait()
		after := linkOf(t, w)
		t.Logf("node %d restarted: no receipt for %s at most; the link went to %s before, and to %s after", at, longest.Round(time.Millisecond), before.Server, after.Server)
		if after.State != "up" { // where the others refuse the name until the node is back, it goes there again
			t.Errorf("got the link %+v after the restart of %s, want it up", after, components[at])
		}
	}
	c.verdict(false)
}

// balancer gives each connection to the next node that takes it, as a site's name service or load balancer does.
func balancer(t *testing.T, nodes []string) string {
	t.Helper()
	listener := must[net.Listener](t)(lab.Listen())
	var work sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	work.Go(func() {
		for turn := 0; ; turn++ {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			var server net.Conn
			for i := range nodes {
				if server, err = net.DialTimeout("tcp", nodes[(turn+i)%len(nodes)], time.Second); err == nil {
					break
				}
			}
			if err != nil {
				_ = client.Close()
				continue
			}
			mu.Lock()
			open = append(open, client, server)
			mu.Unlock()
			for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
				work.Go(func() {
					_, _ = io.Copy(way[0], way[1]) // an end of either is the end of both
					_ = way[0].Close()
					_ = way[1].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	return listener.Addr().String()
}
