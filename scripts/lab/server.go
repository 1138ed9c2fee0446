package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Options say how a server is to be.
type Options struct {
	// Dir holds all that the server writes; a second start on it finds ports, accounts and data of the first. Empty: a new one below .run/lab,
	// which is removed when this process is gone and the package is used again.
	Dir string
	// Users are the accounts to make: name to password. Openfire and Prosody only.
	Users map[string]string
	// Properties are Openfire's system properties, beyond and over those that scripts/openfire sets.
	Properties map[string]string
	// DB is what Openfire stores in: hsqldb (also when empty) or mariadb (an own one, its address is Server.DSN).
	DB string
	// Heap is Openfire's, as Java's -Xmx has it. Empty: 512m.
	Heap string
	// Address is where Openfire listens. Empty: 127.0.0.1.
	Address string
	// LogBin makes MariaDB write a binary log, as a primary does.
	LogBin bool
}

// Server is a server that a script of ours started. Its addresses do not change over Restart.
type Server struct {
	Kind      string // openfire, prosody, mariadb: the script's name
	Dir       string
	Domain    string // of users; tlim's component is tlim.<Domain>
	C2S       string // host:port for clients
	Component string // host:port for components
	HTTPBind  string // BOSH URL (Openfire, Prosody)
	WebSocket string // URL (Openfire, Prosody)
	Secret    string // of components
	DSN       string // for go-sql-driver: MariaDB's, or that of Openfire's own database with DB mariadb
	PID       int

	options Options
}

// How long a script may take when its caller gave it no shorter time: a start downloads 25 MB the first time.
const (
	stopTimeout = time.Minute
	termTimeout = time.Minute // for a cancelled start to take down what it had begun
)

// StartOpenfire starts an Openfire 4.2.0 and returns when clients and components can connect (about 4 s; the first time on a machine longer).
// The caller stops it.
func StartOpenfire(ctx context.Context, o Options) (*Server, error) { return start(ctx, "openfire", o) }

// StartProsody starts a Prosody that has the component tlim.im.test and returns when clients and components can connect (about 0.5 s).
// The caller stops it.
func StartProsody(ctx context.Context, o Options) (*Server, error) { return start(ctx, "prosody", o) }

// StartMariaDB starts a MariaDB with an empty utf8mb4 database tlim and returns when it accepts (about 2 s). The user in
// its DSN may do everything, so that tests can make databases of their own. The caller stops it.
func StartMariaDB(ctx context.Context, o Options) (*Server, error) { return start(ctx, "mariadb", o) }

func start(ctx context.Context, kind string, o Options) (*Server, error) {
	s := &Server{Kind: kind, Dir: o.Dir, options: o}
	if s.Dir == "" {
		dir, err := newDir(kind)
		if err != nil {
			return nil, err
		}
		s.Dir = dir
	}
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Start starts a stopped or killed server again, on its old ports and data.
func (s *Server) Start(ctx context.Context) error {
	args := []string{"start", "--dir", s.Dir, "--owner", strconv.Itoa(os.Getpid())}
	for _, name := range slices.Sorted(maps.Keys(s.options.Users)) {
		args = append(args, "--user", name+":"+s.options.Users[name])
	}
	for _, key := range slices.Sorted(maps.Keys(s.options.Properties)) {
		args = append(args, "--property", key+"="+s.options.Properties[key])
	}
	if s.options.DB != "" {
		args = append(args, "--db", s.options.DB)
	}
	if s.options.Heap != "" {
		args = append(args, "--heap", s.options.Heap)
	}
	if s.options.Address != "" {
		args = append(args, "--address", s.options.Address)
	}
	if s.options.LogBin {
		args = append(args, "--log-bin", "yes")
	}
	values, err := script(ctx, s.Kind, args...)
	if err != nil {
		return err
	}
	prefix := strings.ToUpper(s.Kind) + "_"
	s.Dir = values[prefix+"DIR"]
	s.Domain = values[prefix+"DOMAIN"]
	s.C2S = values[prefix+"C2S"]
	s.Component = values[prefix+"COMPONENT"]
	s.HTTPBind = values[prefix+"HTTPBIND"]
	s.WebSocket = values[prefix+"WEBSOCKET"]
	s.Secret = values[prefix+"SECRET"]
	s.DSN = values[prefix+"DSN"]
	if s.PID, err = strconv.Atoi(values[prefix+"PID"]); err != nil {
		return fmt.Errorf("scripts/%s start: pid: %w", s.Kind, err)
	}
	return nil
}

// Stop stops the server in order and returns when it is gone. Its folder stays, so that Start can bring it back. Stopping twice is no error.
func (s *Server) Stop() error { return s.end("stop") }

// Kill ends the server by SIGKILL, as a crash would, and returns when it is gone. Openfire's MariaDB lives on, until Stop.
func (s *Server) Kill() error { return s.end("kill") }

func (s *Server) end(verb string) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	_, err := script(ctx, s.Kind, verb, "--dir", s.Dir)
	return err
}

// Restart stops the server, if it runs, and starts it again: same ports, accounts and data.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Log returns the path of the file that holds what the server printed since its last start.
func (s *Server) Log() string { return filepath.Join(s.Dir, "log") }

// script runs one of scripts/ and returns the shell assignments that it prints. When ctx ends it takes down what it had
// started. Its error carries what it said.
func script(ctx context.Context, name string, args ...string) (map[string]string, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts", name), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = termTimeout
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("scripts/%s %s: %w: %s", name, args[0], errors.Join(err, ctx.Err()), strings.TrimSpace(stderr.String()))
	}
	return assignments(stdout.String()), nil
}

// assignments reads lines NAME='value' as the scripts' assign prints them.
func assignments(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !found {
			continue
		}
		value = strings.TrimSuffix(strings.TrimPrefix(value, "'"), "'")
		values[name] = strings.ReplaceAll(value, `'\''`, "'")
	}
	return values
}

var dirs atomic.Int64

// newDir makes .run/lab/<kind>-<our pid>-<n>, and removes those of processes that are gone.
func newDir(kind string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	base := filepath.Join(root, ".run", "lab")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(base, kind+"-*-*"))
	if err != nil {
		return "", fmt.Errorf("list old folders: %w", err)
	}
	for _, dir := range old {
		parts := strings.Split(filepath.Base(dir), "-")
		pid, err := strconv.Atoi(parts[1])
		if err != nil || exists(pid) {
			continue
		}
		if kind != "tlim" {
			// Its watcher may be at it still: wait for that.
			if err := (&Server{Kind: kind, Dir: dir}).Stop(); err != nil {
				return "", err
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			return "", fmt.Errorf("remove an old folder: %w", err)
		}
	}
	dir := filepath.Join(base, fmt.Sprintf("%s-%d-%d", kind, os.Getpid(), dirs.Add(1)))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	return dir, nil
}
