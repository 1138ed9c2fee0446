// Package lab gives tests, the demo and the benchmarks real parts to work with: an Openfire, a Prosody and a MariaDB
// of their own (StartOpenfire, StartProsody, StartMariaDB: the scripts beside it), XMPP clients on raw sockets (Dial)
// and a running tlim (StartTlim).
//
// All of it is on 127.0.0.1 and on ports that stay the same over a restart. Whatever a process started here ends with that
// process at the latest, also when it panics or is killed. Nothing is simulated, so an error means that a test could not be made: fail, do not skip.
//
// The client has its own framer and parser, and shares no code with the product that it is used to judge.
package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Root returns the top folder of the checkout: the nearest folder upwards from the current one whose go.mod is tlim's.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for {
		if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && strings.HasPrefix(string(text), "module tlim\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("find the checkout: no go.mod of module tlim above the current folder")
		}
		dir = up
	}
}

// Ports below the kernel's usual range for outgoing connections (32768 and up): a port from that range could be
// taken by somebody's connection while its server is being restarted.
const lowestPort, highestPort = 10000, 32000

var givenPorts sync.Map // what FreePort answered, for this process

// FreePort returns a port of 127.0.0.1 on which nothing listens and which it has not returned before. It stays free of outgoing connections, so
// it can be listened on, left and listened on again.
func FreePort() (int, error) {
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		if _, given := givenPorts.LoadOrStore(port, true); given {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("no free port between %d and %d", lowestPort, highestPort)
}

// FreeAddr returns 127.0.0.1 with a port of FreePort.
func FreeAddr() (string, error) {
	port, err := FreePort()
	return "127.0.0.1:" + strconv.Itoa(port), err
}
