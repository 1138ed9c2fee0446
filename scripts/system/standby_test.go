package system

import (
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"tlim/scripts/lab"
)

// processes are two tlim with one configuration, of which one leads.
type processes struct {
	*world
	standby *lab.Tlim // and world.tlim leads
}

// newTwins starts them on a MariaDB of their own.
func newTwins(t *testing.T) *processes {
	t.Helper()
	return newTwinsOf(t, "", "")
}

// newTwinsOf starts them of two binaries; "" is this checkout's.
func newTwinsOf(t *testing.T, leader, standby string) *processes {
	t.Helper()
	s := must[*lab.Server](t)(openfire())
	config := onMariaDB(t)
	config["standby.enabled"], config["files.dir"] = true, filepath.Join(t.TempDir(), "files")
	w := &world{t: t, server: s, component: newComponent(s)}
	of := func(binary string) lab.TlimOptions {
		return lab.TlimOptions{Unready: true, Binary: binary, Config: settings(s, w.component, config)}
	}
	w.tlim = startTlim(t, of(leader))
	check(t, w.tlim.AwaitReady(within(t, time.Minute)))
	p := &processes{world: w, standby: startTlim(t, of(standby))}
	p.stands()
	return p
}

type roles struct {
	Role  string
	Ready bool
	Other struct {
		Role  string
		PID   int
		Alive bool
	}
}

// stands waits until one leads, the other one stands by, and both see each other. On a busy machine a leader can miss its heartbeats: then they have
// changed by themselves, and the one that was deposed has ended.
func (p *processes) stands() {
	t := p.t
	t.Helper()
	sees := func(one, other *lab.Tlim, role, others string) (bool, error) {
		_, text, err := one.Ready(within(t, soon))
		if err != nil {
			return false, err
		}
		var r roles
		err = json.Unmarshal([]byte(text), &r)
		return r.Role == role && r.Other.Role == others && r.Other.PID == other.PID() && r.Other.Alive, errors.Join(err, errors.New(text))
	}
	pair := func(leader, standby *lab.Tlim) (bool, error) {
		leads, err := sees(leader, standby, "leader", "standby")
		stands, errStands := sees(standby, leader, "standby", "leader")
		return leads && stands, errors.Join(err, errStands)
	}
	await(t, within(t, 2*time.Minute), "one that leads and one that stands by", func() (bool, error) {
		for _, one := range []*lab.Tlim{p.tlim, p.standby} {
			select {
			case <-one.Exited():
				if code, err := one.Ended(within(t, soon)); code != 5 || err != nil {
					t.Fatalf("a tlim ended with %d, %v, want it to run or to have been deposed (5); the end of its log:\n%s", code, err, logTail(one.Log))
				}
				check(t, one.Start(within(t, time.Minute)))
			default:
			}
		}
		ok, err := pair(p.tlim, p.standby)
		if ok {
			return true, nil
		}
		changed, errChanged := pair(p.standby, p.tlim)
		if changed {
			t.Log("the two have changed by themselves: the machine is busy")
			p.turn()
		}
		return changed, errors.Join(err, errChanged)
	})
}

// turn says that the other one leads from now on.
func (p *processes) turn() { p.tlim, p.standby = p.standby, p.tlim }

// standbyAll is for what takes a dozen seconds more.
var standbyAll = flag.Bool("standby.all", false, "TestStandby: the leader is paused as well, instead of only killed and stopped")

// Clients send and receive under load while the leader is killed, paused and ended in order. Nothing that was acknowledged is lost or stored twice,
// and users' tokens and keys of repeated calls hold.
func TestStandby(t *testing.T) {
	p := newTwins(t)
	c := newCast(t, p.world, 10*time.Millisecond)
	c.more(100)
	p.refuses()
	p.leaderWorks()
	p.statusOfBoth(t)
	front := p.behindNginx()

	// What was given by one leader holds at the next.
	own := people(t, 2)
	client := p.login(own[0], "token", lab.WithPresence("", 0), lab.WithDirected(p.component))
	token := p.token(client)
	notice := func() string {
		t.Helper()
		return must[string](t)(p.post(p.tlim.URL, "approval", "k-1", "params", `[{"bizId":"1","docTitle":"请假单","taskId":"9"}]`, "msgTo", own[1]))
	}
	p.known(own...)
	first := notice()
	front.passes(own[1], "at first")

	for _, change := range []struct {
		name string
		long bool
		end  func() (recovered func())
	}{
		{"killed", false, func() func() {
			check(t, p.tlim.Kill())
			return func() {}
		}},
		{"paused for 8 s", true, func() func() {
			check(t, p.tlim.Signal(lab.Freeze))
			paused := time.NewTimer(8 * time.Second) // the pause is what is tested
			old := p.tlim
			<-paused.C
			check(t, old.Signal(lab.Thaw))
			return func() {
				if code, err := old.Ended(within(t, time.Minute)); code != 5 || err != nil {
					t.Errorf("a leader that was paused ended with %d, %v, want exit code 5", code, err)
				}
			}
		}},
		{"ended in order", false, func() func() {
			check(t, p.tlim.Stop())
			return func() {}
		}},
	} {
		if change.long && !*standbyAll {
			continue
		}
		p.stands()
		acked, _ := c.ledger.receipts()
		began := time.Now()
		recovered := change.end()
		p.turn()
		check(t, p.tlim.AwaitReady(within(t, time.Minute)))
		c.more(1)
		_, last := c.ledger.receipts()
		t.Logf("%s: %d acknowledged before, the next one after %s", change.name, acked, last.Sub(began).Round(time.Millisecond))
		recovered()
		if text := p.as(token, "findSessions", "user_id", own[0]); !strings.Contains(text, `"result":"ok"`) {
			t.Errorf("%s: the user's token gets %s, want ok", change.name, text)
		}
		if again := notice(); again != first {
			t.Errorf("%s: the call is repeated with its key: got %s, want what it was answered first, %s", change.name, again, first)
		}
		check(t, p.standby.Start(within(t, time.Minute)))
		p.stands()
		front.passes(own[1], change.name)
		c.more(100)
	}
	if rows := p.queue(own[1]).ids(); len(rows) != 1+front.notices {
		t.Errorf("got %d notices, want the one of the call that was repeated after each change, and %d more", len(rows), front.notices)
	}
	c.verdict(true)
}

// refuses looks at what the standby answers.
func (p *processes) refuses() {
	t := p.t
	t.Helper()
	for _, c := range []struct{ method, path, accept, want string }{
		{http.MethodGet, "/plugins/tlim/findSessions?user_id=zhangsan", "", `"result":"standby"`},
		{http.MethodPost, "/plugins/tlim/approval", "", `"result":"standby"`},
		{http.MethodGet, "/", "text/html", "stands by"},
		{http.MethodGet, "/admin/", "text/html", "备用机"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			request := must[*http.Request](t)(http.NewRequestWithContext(within(t, soon), c.method, p.standby.URL+c.path, http.NoBody))
			request.Header.Set("Accept", c.accept)
			response := must[*http.Response](t)(http.DefaultClient.Do(request))
			body := must[[]byte](t)(io.ReadAll(response.Body))
			check(t, response.Body.Close())
			if h := response.Header; response.StatusCode != http.StatusServiceUnavailable || h.Get("Retry-After") == "" || h.Get("X-Tlim-Standby") != "1" || !strings.Contains(string(body), c.want) {
				t.Errorf("%s %s: got %s %v %s, want 503 with Retry-After, X-Tlim-Standby and %s", c.method, c.path, response.Status, h, body, c.want)
			}
		})
	}
	if n := must[map[string]float64](t)(p.standby.Metrics(within(t, soon)))["tlim_leader"]; n != 0 {
		t.Errorf("tlim_leader of the standby is %v, want 0", n)
	}
	if n := p.metric("tlim_leader"); n != 1 {
		t.Errorf("tlim_leader of the leader is %v, want 1", n)
	}
}

// jobs are what works for and beside messages, by the functions that run it. Those of Parts are begun with all others of the component: pushes and calls
// to business systems, which have nothing to do here and so are not seen.
var jobs = []string{"component.(*Service).Run", "stream.(*Links).Run", "component.(*Service).Parts", "retention.(*Purger).Run", "retention.(*Cleaner).Run",
	"directory.(*Directory).Run", "calls.(*Table).Run", "component.(*Service).trimRobotQueues", "blob.(*Sweeper).Run"}

// leaderWorks sees that jobs run on the leader alone.
func (p *processes) leaderWorks() {
	t := p.t
	t.Helper()
	running := func(one *lab.Tlim) string {
		request := must[*http.Request](t)(http.NewRequestWithContext(within(t, soon), http.MethodGet, one.MetricsURL+"/debug/pprof/goroutine?debug=2", http.NoBody))
		response := must[*http.Response](t)(http.DefaultClient.Do(request))
		body := must[[]byte](t)(io.ReadAll(response.Body))
		check(t, response.Body.Close())
		return string(body)
	}
	leader, standby := running(p.tlim), running(p.standby)
	for _, job := range jobs {
		if !strings.Contains(leader, job) {
			t.Errorf("%s does not run on the leader, want it to:\n%s", job, leader)
		}
		if strings.Contains(standby, job) {
			t.Errorf("%s runs on the standby, want it to run on the leader alone", job)
		}
	}
}

// statusOfBoth asks by the command on each of the two machines who leads and who stands by.
func (p *processes) statusOfBoth(t *testing.T) {
	for _, c := range []struct {
		one, other       *lab.Tlim
		word, role, line string
	}{{p.tlim, p.standby, "ready", "leader", "standby"}, {p.standby, p.tlim, "standing by", "standby", "leader"}} {
		t.Run("status of the "+c.role, func(t *testing.T) {
			out, err := exec.CommandContext(within(t, soon), must[string](t)(lab.Build(t.Context())), "status", "--config", filepath.Join(c.one.Dir, "tlim.yaml")).CombinedOutput()
			fields := map[string]string{}
			for line := range strings.Lines(string(out)) {
				name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
				fields[name] = strings.TrimSpace(text)
			}
			if other := fields[c.line]; err != nil || !strings.HasPrefix(fields["status"], c.word) || fields["role"] != c.role || !strings.Contains(other, fmt.Sprintf("process %d,", c.other.PID())) || !strings.HasSuffix(other, ": alive") {
				t.Errorf("got %v\n%s\nwant %q, and the %s by its process, %d, alive", err, out, c.word, c.line, c.other.PID())
			}
			if d := diagnose(t, c.one.Dir); d.Failures > 0 {
				t.Errorf("the doctor finds %d failures, want none:\n%s", d.Failures, d.lines(""))
			}
		})
	}
}

// front is an nginx with the example's configuration in front of both.
type front struct {
	*processes
	url, log string // log has the status that each upstream answered a call with
	notices  int    // calls that wrote one
}

// behindNginx starts it. Encryption is left out, and a call's size and time in the log are what each upstream answered.
func (p *processes) behindNginx() *front {
	t := p.t
	t.Helper()
	f := &front{processes: p}
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx" // not everybody has that folder in PATH
	}
	dir := t.TempDir()
	f.log = filepath.Join(dir, "access.log")
	address := fmt.Sprint("127.0.0.1:", must[int](t)(lab.FreePort()))
	f.url = "http://" + address
	example := string(must[[]byte](t)(os.ReadFile("../../deploy/package/nginx.conf")))
	for _, change := range [][2]string{
		{"server 127.0.0.1:9595 ", "server " + strings.TrimPrefix(p.tlim.URL, "http://") + " "},
		{"# server 192.0.2.2:9595 ", "server " + strings.TrimPrefix(p.standby.URL, "http://") + " "}, // as the text above it says
		{"proxy_request_buffering off;", ""},                                                         // as the text beside it says
		{"listen 443 ssl;", "listen " + address + ";"},
		{"listen [::]:443 ssl;", ""},
		{"ssl_certificate     /etc/nginx/tlim.crt;", ""},
		{"ssl_certificate_key /etc/nginx/tlim.key;", ""},
		{"ssl_protocols       TLSv1.2 TLSv1.3;", ""},
		{"/var/log/nginx/tlim.log", f.log},
		{"$status $body_bytes_sent $request_time", "$upstream_status"},
	} {
		if strings.Count(example, change[0]) != 1 {
			t.Fatalf("got %q %d times in the example, want it once", change[0], strings.Count(example, change[0]))
		}
		example = strings.Replace(example, change[0], change[1], 1)
	}
	temporary := ""
	for _, of := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temporary += of + "_temp_path " + filepath.Join(dir, of) + ";\n"
	}
	file := filepath.Join(dir, "nginx.conf")
	check(t, os.WriteFile(file, []byte("daemon off; master_process off; pid "+filepath.Join(dir, "pid")+"; error_log "+filepath.Join(dir, "error.log")+";\nevents {}\nhttp {\n"+temporary+example+"}\n"), 0o600))
	var said strings.Builder
	nginx := exec.Command(program, "-c", file, "-p", dir)
	nginx.Stdout, nginx.Stderr = &said, &said
	check(t, nginx.Start())
	ended := make(chan error, 1)
	go func() { ended <- nginx.Wait() }()
	t.Cleanup(func() {
		check(t, nginx.Process.Kill())
		<-ended
		if t.Failed() {
			t.Logf("the end of the log of nginx:\n%s", logTail(filepath.Join(dir, "error.log")))
		}
	})
	await(t, within(t, soon), "nginx to answer", func() (bool, error) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx ended with %v: %s", err, said.String())
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false, err
		}
		return true, conn.Close()
	})
	return f
}

// passes calls through nginx, which takes the two in turn: those calls that the standby refuses are done by the leader, once.
func (f *front) passes(user, when string) {
	t := f.t
	t.Helper()
	before := strings.Count(string(must[[]byte](t)(os.ReadFile(f.log))), "503, 200")
	for range 4 {
		f.notices++
		text, err := f.post(f.url, "approval", fmt.Sprint("n-", f.notices), "params", fmt.Sprintf(`[{"bizId":"n%d","docTitle":"请假单","taskId":"9"}]`, f.notices), "msgTo", user)
		if err != nil || !strings.Contains(text, `"result":"ok"`) {
			t.Errorf("%s: a call through nginx: got %s, %v, want ok", when, text, err)
		}
	}
	await(t, within(t, soon), "a line of nginx that tells of a call which came to the standby first", func() (bool, error) { // it is written after the answer
		log, err := os.ReadFile(f.log)
		return strings.Count(string(log), "503, 200") > before, errors.Join(err, fmt.Errorf("%s: %s", when, log))
	})
}

// post calls one of them, or who stands in front, with a key by which a repeated call is known.
func (p *processes) post(base, endpoint, key string, values ...string) (string, error) {
	request, err := http.NewRequestWithContext(within(p.t, soon), http.MethodPost, base+"/plugins/tlim/"+endpoint, strings.NewReader(pairs(values...).Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", "Bearer "+adminKey)
	request.Header.Set("Idempotency-Key", key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", endpoint, response.Status, body)
	}
	return string(body), err
}

// A standby that does not fit its leader says so and ends; one that differs in what does not part them names the keys. The leader does not mind. All start
// at once: each waits for most of its time.
func TestStandbyRefused(t *testing.T) {
	t.Parallel()
	s := must[*lab.Server](t)(openfire())
	config := onMariaDB(t)
	config["standby.enabled"], config["files.dir"], config["http.language"] = true, filepath.Join(t.TempDir(), "files"), "en"
	component := newComponent(s)
	leader := startTlim(t, lab.TlimOptions{Config: settings(s, component, config)})
	begin := func(t *testing.T, change map[string]any, env ...string) *lab.Tlim {
		other := settings(s, component, config)
		maps.Copy(other, change)
		return startTlim(t, lab.TlimOptions{Unready: true, Config: other, Env: env})
	}
	elsewhere := onMariaDB(t)
	elsewhere["files.dir"] = "own"
	copied := map[string]any{"store.dsn": copyOf(t, config["store.dsn"].(string))}
	readOnly := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
	}))
	defer readOnly.Close()
	t.Run("side by side", func(t *testing.T) {
		for _, c := range []struct {
			name, key, want string
			change          map[string]any
		}{
			{"another component", "xmpp.component", "needs the same configuration", map[string]any{"xmpp.component": newComponent(s)}},
			{"another domain", "xmpp.domain", "needs the same configuration", map[string]any{"xmpp.domain": "other.test", "xmpp.component": "tlim.other.test"}},
			{"a folder of its own", "files.dir", "has other files than this one", map[string]any{"files.dir": "own"}},
			{"a bucket that takes nothing from it", "files.s3", "cannot write to the files that", map[string]any{"files.s3.endpoint": readOnly.URL, "files.s3.bucket": "tlim-test", "files.s3.access_key": "a", "files.s3.secret_key": "s"}},
			{"another database", "files.dir", "a tlim on another database has these files", onMariaDB(t)},
			{"another database, and other files", "store.dsn", "at the server: a tlim on another database", elsewhere},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				tl := begin(t, c.change)
				code, err := tl.Ended(within(t, time.Minute))
				if log := logTail(tl.Log); code != 2 || err != nil || !strings.Contains(log, c.want) || !strings.Contains(log, c.key) {
					t.Errorf("got exit code %d, %v, the log\n%s\nwant 2, with %s and %q", code, err, log, c.key, c.want)
				}
			})
		}
		t.Run("a copy of the database", func(t *testing.T) {
			t.Parallel()
			tl := begin(t, copied)
			await(t, within(t, time.Minute), "a tlim on a copy of the database to say what it is", func() (bool, error) {
				_, text, err := tl.Ready(within(t, soon))
				var r struct{ Role, Taken string }
				return err == nil && json.Unmarshal([]byte(text), &r) == nil && r.Role == "standby" && strings.Contains(r.Taken, "of which this one may be a copy"), errors.Join(err, errors.New(text))
			})
			diagnose(t, tl.Dir).finds(t, "process", "failure", "does not lead: store.dsn: ", "the same store.dsn")
			if text, err := exec.CommandContext(within(t, soon), must[string](t)(lab.Build(t.Context())), "status", "--config", filepath.Join(tl.Dir, "tlim.yaml")).CombinedOutput(); err == nil || !strings.Contains(string(text), "another connection has "+component) {
				t.Errorf("its status: got %v\n%s\nwant a failure that says that another connection has the name", err, text)
			}
		})
		differs(t, begin)
	})
	if status, text, err := leader.Ready(within(t, soon)); status != http.StatusOK || err != nil {
		t.Errorf("the leader: got %d %s %v, want it ready", status, text, err)
	}
}

// copyOf is a database with the tables and rows of another one.
func copyOf(t *testing.T, dsn string) string {
	t.Helper()
	from := must[*mysql.Config](t)(mysql.ParseDSN(dsn)).DBName
	copied := newDatabase(t, must[*lab.Server](t)(mariadb()))
	to := must[*mysql.Config](t)(mysql.ParseDSN(copied)).DBName
	db := must[*sql.DB](t)(sql.Open("mysql", copied))
	defer db.Close()
	rows := must[*sql.Rows](t)(db.QueryContext(within(t, soon), "SELECT table_name FROM information_schema.tables WHERE table_schema = ?", from))
	var tables []string
	for rows.Next() {
		var table string
		check(t, rows.Scan(&table))
		tables = append(tables, table)
	}
	check(t, errors.Join(rows.Err(), rows.Close()))
	for _, table := range tables {
		for _, statement := range []string{"CREATE TABLE %[2]s.`%[3]s` LIKE %[1]s.`%[3]s`", "INSERT INTO %[2]s.`%[3]s` SELECT * FROM %[1]s.`%[3]s`"} {
			_, err := db.ExecContext(within(t, soon), fmt.Sprintf(statement, from, to, table))
			check(t, err)
		}
	}
	return copied
}
