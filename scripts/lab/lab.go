package lab

import (
	"errors"
	"fmt"
	"io/fs"
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
const minPort, maxPort = 10000, 32000

// FreePort returns a port of 127.0.0.1 on which nothing listens, and which neither it nor a script of ours gives to anybody else while this
// process lives: packages are tested side by side. It stays free of outgoing connections, so it can be listened on, left and listened on again.
func FreePort() (int, error) {
	l, err := Listen()
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// Listen listens on a port like those of [FreePort], which nobody else can take in between.
func Listen() (net.Listener, error) {
	claims, err := portClaims()
	if err != nil {
		return nil, err
	}
	for range 1000 {
		port := strconv.Itoa(minPort + rand.IntN(maxPort-minPort))
		claim, err := os.OpenFile(filepath.Join(claims, port), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			_, err = fmt.Fprintln(claim, os.Getpid())
			err = errors.Join(err, claim.Close())
		}
		if err != nil {
			return nil, fmt.Errorf("claim a port: %w", err)
		}
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil { // else somebody else's server is there
			return l, nil
		}
	}
	return nil, fmt.Errorf("no free port between %d and %d", minPort, maxPort)
}

// portClaims is the folder in which scripts/lab/server.sh claims ports as well: a file is a port, its content the process that has it. Claims of
// processes that are gone are dropped when this process asks for its first port.
var portClaims = sync.OnceValues(func() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, ".run", "ports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	claims, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("look for claimed ports: %w", err)
	}
	for _, claim := range claims {
		path := filepath.Join(dir, claim.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			continue // dropped meanwhile
		}
		// One that is being written has no process yet.
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || exists(pid) {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("drop a claim: %w", err)
		}
	}
	return dir, nil
})

// FreeAddr returns 127.0.0.1 with a port of FreePort.
func FreeAddr() (string, error) {
	port, err := FreePort()
	return "127.0.0.1:" + strconv.Itoa(port), err
}
