package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql" // the checker's own way to the database

	"tlim/scripts/cmd/faults/checker"
	"tlim/scripts/lab"
)

const (
	password = "secret"
	adminKey = "the-key-of-the-faults-run"
	// Openfire keeps the component's name so long when a leader's machine is silent; recommended are 60 s.
	serverIdle = 20 * time.Second
	// How long the parts may take to be whole again on a busy machine.
	recoverTime = 4 * time.Minute
	startTime   = 4 * time.Minute
	askAgain    = 100 * time.Millisecond
)

// site is all that runs.
type site struct {
	server    *lab.Server
	component string
	cluster   *lab.Galera
	nodes     [3]*machine
	tlims     [2]*process
	journal   *journal
	dir       string
}

// process is a tlim on its machine, which is started again when it ends, as systemd would.
type process struct {
	*lab.Tlim
	machine *machine
	site    *site

	mu      sync.Mutex
	held    bool // ended by us, and not to be started
	ending  bool
	changed *sync.Cond
	done    chan struct{}
}

// restartPause is systemd's RestartSec of deploy/tlim.service.
const restartPause = time.Second

func start(ctx context.Context, s *site, binary string, people []string) error {
	// 1. The network.
	if err := newNetwork(s.dir); err != nil {
		return err
	}
	var machines []string
	for i := range s.nodes {
		m, err := newMachine(fmt.Sprintf("db%d", i+1), 11+i)
		if err != nil {
			return err
		}
		s.nodes[i] = m
		machines = append(machines, m.name+"="+m.ip)
	}

	// 2. The servers, side by side.
	users := map[string]string{}
	for _, name := range people {
		users[name] = password
	}
	var starting sync.WaitGroup
	var failed [2]error
	starting.Go(func() {
		s.server, failed[0] = lab.StartOpenfire(ctx, lab.Options{Users: users, Address: serverIP, Properties: map[string]string{"xmpp.component.idle": fmt.Sprint(serverIdle.Milliseconds())}})
	})
	starting.Go(func() { s.cluster, failed[1] = lab.StartGalera(ctx, machines...) })
	starting.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		return err
	}

	// 3. Two tlim.
	s.component = "tlim." + s.server.Domain
	for i, name := range []string{"a", "b"} {
		m, err := newMachine("tlim-"+name, 1+i)
		if err != nil {
			return err
		}
		p := &process{machine: m, site: s, done: make(chan struct{})}
		p.changed = sync.NewCond(&p.mu)
		config := lab.ServerConfig(s.server)
		for key, value := range map[string]any{
			"store.driver": "mysql", "store.dsn": s.cluster.DSN, "standby.enabled": true, "files.dir": filepath.Join(s.dir, "files"),
			"http.listen": m.ip + ":9595", "metrics.listen": m.ip + ":9596", "limits.per_user_rate": 0,
			"http.keys": []map[string]any{{"name": "faults", "key": adminKey, "scopes": []string{"admin"}}},
		} {
			config[key] = value
		}
		if p.Tlim, err = lab.StartTlim(ctx, lab.TlimOptions{Dir: filepath.Join(s.dir, m.name), Binary: binary, Within: m.within(), Unready: true, Config: config}); err != nil {
			return err
		}
		p.Key = adminKey
		s.tlims[i] = p
		go p.watch()
		if i == 0 {
			if err := p.AwaitReady(ctx); err != nil {
				return err
			}
		}
	}
	if _, _, _, err := s.roles(ctx); err != nil { // both have looked at the tables: one that is altered meanwhile is not seen
		return err
	}
	return s.observe(ctx)
}

// observe makes triggers that note who writes: for each transaction of a leader, and each row of messages, the address that it came from and the
// term that the same transaction sees.
func (s *site) observe(ctx context.Context) error {
	db, err := s.database(1)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, statement := range []string{
		`CREATE TABLE faults_batch (id BIGINT AUTO_INCREMENT PRIMARY KEY, batch BIGINT, epoch BIGINT, writer VARCHAR(200))`,
		`CREATE TABLE faults_wrote (id BIGINT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(64), msg_id VARCHAR(64), epoch BIGINT, writer VARCHAR(200))`,
		`CREATE TRIGGER faults_batch AFTER UPDATE ON tlim_state FOR EACH ROW INSERT INTO faults_batch (batch, epoch, writer) SELECT NEW.batch, NEW.epoch, USER() FROM DUAL WHERE NEW.batch <> OLD.batch OR NEW.epoch <> OLD.epoch`,
		`CREATE TRIGGER faults_message AFTER INSERT ON ofmessage FOR EACH ROW INSERT INTO faults_wrote (what, msg_id, epoch, writer) SELECT 'ofmessage', NEW.msg_id, epoch, USER() FROM tlim_state`,
		`CREATE TRIGGER faults_offline AFTER INSERT ON ofcustomoffline FOR EACH ROW INSERT INTO faults_wrote (what, msg_id, epoch, writer) SELECT 'ofcustomoffline', NEW.msg_id, epoch, USER() FROM tlim_state`,
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// database opens one node, 1 is the first.
func (s *site) database(n int) (*sql.DB, error) {
	return sql.Open("mysql", s.cluster.One(n)+"?timeout=5s&readTimeout=60s&wsrep_sync_wait=1")
}

// stop ends all parts.
func (s *site) stop() error {
	var errs []error
	for _, p := range s.tlims {
		if p == nil || p.Tlim == nil {
			continue
		}
		p.mu.Lock()
		p.ending = true
		p.changed.Broadcast()
		p.mu.Unlock()
		errs = append(errs, p.Kill())
		<-p.done
	}
	if s.server != nil {
		errs = append(errs, s.server.Kill(), s.server.Stop())
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Stop())
	}
	return errors.Join(errs...)
}

func (s *site) odd(format string, args ...any) {
	s.journal.add(checker.Event{Kind: checker.Odd, Text: fmt.Sprintf(format, args...)})
}

// watch starts the process again whenever it ends.
func (p *process) watch() {
	defer close(p.done)
	for {
		<-p.Exited()
		code, err := p.Ended(context.Background())
		p.mu.Lock()
		ours := p.held
		for p.held && !p.ending {
			p.changed.Wait()
		}
		ending := p.ending
		p.mu.Unlock()
		if ending {
			return
		}
		if !ours {
			if code != 5 || err != nil { // 5: another one leads, or no heartbeat reached the database
				p.site.odd("tlim on %s ended with exit code %d, %v: %s", p.machine.name, code, err, tail(p.Log))
			}
			time.Sleep(restartPause)
		}
		ctx, cancel := context.WithTimeout(context.Background(), startTime)
		if err := p.Start(ctx); err != nil {
			p.site.odd("tlim on %s does not start: %v", p.machine.name, err)
			time.Sleep(restartPause)
		}
		cancel()
		p.mu.Lock()
		ending = p.ending
		p.mu.Unlock()
		if ending { // the end came while it started, and found none that ran
			if err := p.Kill(); err != nil {
				p.site.odd("tlim on %s is not killed: %v", p.machine.name, err)
			}
			return
		}
	}
}

// hold says that the process is not to be started again for now.
func (p *process) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
}

// release starts it.
func (p *process) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
	p.changed.Broadcast()
}

func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// ready is what of /readyz is looked at.
type ready struct {
	Role  string
	Ready bool
	Other *struct {
		Alive bool
		PID   int
	}
	Link, Database struct{ Server string }
}

func (p *process) ready(ctx context.Context) (ready, error) {
	var r ready
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, text, err := p.Ready(ctx)
	if err == nil {
		err = json.Unmarshal([]byte(text), &r)
	}
	return r, err
}

// roles waits until one tlim leads and is ready, the other stands by, and both see each other; and until all nodes are in the cluster.
func (s *site) roles(ctx context.Context) (leader, standby *process, node int, err error) {
	ctx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	var a, b ready
	for {
		var errA, errB error
		a, errA = s.tlims[0].ready(ctx)
		b, errB = s.tlims[1].ready(ctx)
		leader, standby = s.tlims[0], s.tlims[1]
		if b.Role == "leader" {
			leader, standby, a, b = standby, leader, b, a
		}
		if a.Role == "leader" && a.Ready && b.Role == "standby" && a.Other != nil && a.Other.Alive && a.Other.PID == standby.PID() && b.Other != nil && b.Other.Alive {
			for i, address := range s.cluster.Addresses {
				if address == a.Database.Server {
					node = i + 1
				}
			}
			if err = s.synced(ctx); err == nil {
				return leader, standby, node, nil
			}
		} else {
			err = fmt.Errorf("the tlim say %+v, %w, and %+v, %w", a, errA, b, errB)
		}
		if pause(ctx, askAgain) != nil {
			return nil, nil, 0, fmt.Errorf("the site is not whole again: %w", err)
		}
	}
}

// synced is nil when all nodes are in the cluster and have all of it.
func (s *site) synced(ctx context.Context) error {
	for n := 1; n <= 3; n++ {
		if err := s.syncedNode(ctx, n); err != nil {
			return fmt.Errorf("node %d: %w", n, err)
		}
	}
	return nil
}

func (s *site) syncedNode(ctx context.Context, n int) error {
	db, err := sql.Open("mysql", s.cluster.One(n)+"?timeout=2s&readTimeout=2s")
	if err != nil {
		return err
	}
	defer db.Close()
	for name, want := range map[string]string{"wsrep_local_state_comment": "Synced", "wsrep_cluster_size": "3", "wsrep_cluster_status": "Primary"} {
		var got string
		if err := db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE '"+name+"'").Scan(&name, &got); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s is %s", name, got)
		}
	}
	return nil
}

// signal sends one to Openfire.
func (s *site) signal(sig syscall.Signal) error { return lab.Signal(s.server.PID, sig) }

// caller asks whoever leads: those who stand by refuse.
func (s *site) call(ctx context.Context, do func(context.Context, *process) error) error {
	var errs []error
	for _, p := range s.tlims {
		asking, cancel := context.WithTimeout(ctx, askTime)
		err := do(asking, p)
		cancel()
		var refused *lab.HTTPError
		if err == nil || ctx.Err() != nil || errors.As(err, &refused) && refused.Status != http.StatusServiceUnavailable {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
