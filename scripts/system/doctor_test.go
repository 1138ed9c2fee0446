package system

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.yaml.in/yaml/v3"

	"tlim/scripts/lab"
	"tlim/store"
)

// diagnosis is the document of `tlim doctor --json`.
type diagnosis struct {
	Serving                     bool
	Failures, Warnings, Skipped int
	Checks                      []struct {
		ID, Name, Status string
		Findings         []struct{ Status, Seen, Remedy string }
	}
}

// doctor runs the command on a configuration and returns its document, exit code and duration. Both forms of output are free of the
// secrets that the configuration holds.
func doctor(t *testing.T, config map[string]any) (d diagnosis, code int, took time.Duration) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "tlim.yaml")
	nested := map[string]any{"http": map[string]any{"listen": "127.0.0.1:0", "language": "en"}}
	for key, value := range config {
		section, name, inside := strings.Cut(key, ".")
		if !inside {
			nested[section] = value
			continue
		}
		if nested[section] == nil {
			nested[section] = map[string]any{}
		}
		nested[section].(map[string]any)[name] = value
	}
	check(t, os.WriteFile(file, must[[]byte](t)(yaml.Marshal(nested)), 0o600))
	must[string](t)(lab.Build(within(t, patience)))
	began := time.Now()
	d, code = diagnoseWithCode(t, dir)
	took = time.Since(began)
	if left := must[[]os.DirEntry](t)(os.ReadDir(dir)); len(left) != 1 {
		t.Errorf("the folder has %v, want the configuration alone", left)
	}
	return d, code, took
}

// diagnose runs the command on the configuration in a folder.
func diagnose(t *testing.T, dir string) diagnosis {
	t.Helper()
	d, _ := diagnoseWithCode(t, dir)
	return d
}

func diagnoseWithCode(t *testing.T, dir string) (d diagnosis, code int) {
	t.Helper()
	cmd := exec.CommandContext(within(t, time.Minute), must[string](t)(lab.Build(within(t, patience))), "doctor", "--json", "--config", filepath.Join(dir, "tlim.yaml"))
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	check(t, json.Unmarshal(out.Bytes(), &d))
	return d, cmd.ProcessState.ExitCode()
}

// finds fails the test unless a check has a finding of this status that says so and, when it is bad, a remedy with that.
func (d diagnosis) finds(t *testing.T, id, status, seen, remedy string) {
	t.Helper()
	for _, c := range d.Checks {
		for _, f := range c.Findings {
			if c.ID == id && f.Status == status && strings.Contains(f.Seen, seen) && strings.Contains(f.Remedy, remedy) {
				return
			}
		}
	}
	t.Errorf("want of %s: %s with %q, remedy with %q; got\n%s", id, status, seen, remedy, d.lines(id))
}

// lines are what a check found; all of them, when there is no such check.
func (d diagnosis) lines(id string) string {
	var b strings.Builder
	for _, c := range d.Checks {
		for _, f := range c.Findings {
			if strings.HasPrefix(c.ID, id) {
				b.WriteString(c.ID + " " + f.Status + ": " + f.Seen + " | " + f.Remedy + "\n")
			}
		}
	}
	return b.String()
}

// Each fault of the link is named by its check, on the real server.
func TestDoctorLink(t *testing.T) {
	s := must[*lab.Server](t)(openfire())
	silent := listen(t)
	nobody := must[string](t)(lab.FreeAddr())
	const components = "External Components"
	for _, c := range []struct {
		name, key                string
		value                    any
		id, status, seen, remedy string
	}{
		{"nothing is wrong", "xmpp.server", s.Component, "openfire.domain", "ok", "answers for im.test", ""},
		{"server-to-server is on", "xmpp.server", s.Component, "openfire.federation", "ok", "it is on", ""},
		{"further links", "xmpp.connections", 2, "openfire.links", "ok", "takes tlim-2.im.test", ""},
		{"nobody listens", "xmpp.server", nobody, "openfire.port", "failure", "refuses connections", components},
		{"a port that swallows", "xmpp.server", silent, "openfire.port", "failure", "does not answer in time", "firewall"},
		{"no such host", "xmpp.server", "nowhere.invalid:5275", "openfire.port", "failure", "has no address", "xmpp.server"},
		{"the port of clients", "xmpp.server", s.C2S, "openfire.port", "failure", "takes no component", components},
		{"TLS on the plain port", "xmpp.tls", "on", "openfire.port", "failure", "no TLS", "the port is the TLS one"},
		{"another secret", "xmpp.secret", "wrong-" + s.Secret, "openfire.secret", "failure", "does not accept the secret", components},
		{"another domain", "xmpp.domain", "chat.example", "openfire.domain", "failure", "calls itself im.test", "set xmpp.domain to im.test"},
		{"its parent", "xmpp.domain", "test", "openfire.domain", "failure", "calls itself im.test", "set xmpp.domain to im.test"},
		{"the chat page's BOSH", "web.xmpp_url", s.HTTPBind, "web.xmpp_url", "ok", "BOSH answers", ""},
		{"its WebSocket", "web.xmpp_url", s.WebSocket, "web.xmpp_url", "ok", "WebSocket answers", ""},
		{"one of two servers is away", "xmpp.server", []string{s.Component, nobody}, "openfire.nodes", "failure", nobody + " refuses connections", components},
		{"nobody listens for pages", "web.xmpp_url", "http://" + nobody + "/http-bind/", "web.xmpp_url", "warning", "BOSH does not answer at http://" + nobody, "HTTP Binding"},
		{"no WebSocket at BOSH's path", "web.xmpp_url", "ws" + strings.TrimPrefix(s.HTTPBind, "http"), "web.xmpp_url", "warning", "is no WebSocket of an XMPP server", "web.xmpp_url"},
		{"no domain", "xmpp.domain", "", "openfire.port", "failure", "xmpp.domain is not set", "XMPP Domain Name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := doctored(t, s)
			config[c.key] = c.value
			d, code, took := doctor(t, config)
			d.finds(t, c.id, c.status, c.seen, c.remedy)
			if wrong := c.status == "failure"; wrong != (code == 1) || wrong != (d.Failures > 0) {
				t.Errorf("got exit code %d and %d failures, want neither 0: %v; found\n%s", code, d.Failures, wrong, d.lines(""))
			}
			most := 20 * time.Second
			if c.id == "openfire.domain" {
				most = 5 * time.Second // it is named within a second; the rest is for a busy machine
			}
			if took > most {
				t.Errorf("took %v, want at most %v", took, most)
			}
			t.Logf("%v", took)
		})
	}
}

// A server that is not Openfire is named, and so is each thing of Openfire's that the configuration wants of it.
func TestDoctorProsody(t *testing.T) {
	config := doctored(t, must[*lab.Server](t)(prosody()))
	config["xmpp.copies"] = "on"
	config["directory"] = map[string]any{"create_accounts": true, "initial_password": "Erstes Wort 1"}
	d, code, _ := doctor(t, config)
	d.finds(t, "openfire.domain", "ok", "answers for", "")
	d.finds(t, "openfire.version", "warning", "not Openfire", "nothing, if that is meant")
	d.finds(t, "openfire.snapshots", "warning", "gives no presence snapshots", "nothing on a server that is not Openfire")
	d.finds(t, "openfire.accounts", "failure", "lets us keep no accounts", "directory.create_accounts")
	d.finds(t, "openfire.copies", "failure", "gives no packet copies", "xmpp.copies: off")
	if code != 1 {
		t.Errorf("got exit code %d, want 1", code)
	}
}

// What clients send while the command has the component's name is given back to them, and it says so.
func TestDoctorDisturbed(t *testing.T) {
	s := must[*lab.Server](t)(openfire())
	config := doctored(t, s)
	component := newComponent(s)
	config["xmpp.component"] = component
	sender := (&world{t: t, server: s}).login(people(t, 1)[0], "phone")
	ctx, done := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if err := sender.SendMessage(component, fmt.Sprint("m", n), "[]"); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	d, _, _ := doctor(t, config)
	done()
	sending.Wait()
	d.finds(t, "openfire.leaving", "warning", "they were given back with an error", "start tlim")
}

// unplanted are the checks that no test here sets wrong on what they look at, and why.
var unplanted = map[string]string{
	"openfire.asking": "it tells how the command itself asks",
	"openfire.dns":    "it would want a record in the name service of this machine; TestRecord of cmd/tlim/doctor asks for a name that has one",
	"openfire.plugin": "the old plugin is nobody's to give away; TestPlugin of cmd/tlim/doctor answers in its place",
}

// Every check of the command finds something wrong in some test of this file, on a real server, database, disk or port, or is in unplanted with its
// reason; and there are thirty faults and more.
func TestEveryCheckIsPlanted(t *testing.T) {
	d, _, _ := doctor(t, map[string]any{"xmpp.domain": "im.test", "xmpp.secret": "x", "xmpp.server": "127.0.0.1:1", "metrics.listen": must[string](t)(lab.FreeAddr())})
	planted := map[string]int{}
	for _, c := range d.Checks {
		planted[c.ID] = 0
	}
	source := must[*ast.File](t)(parser.ParseFile(token.NewFileSet(), "doctor_test.go", nil, 0))
	ast.Inspect(source, func(n ast.Node) bool {
		var parts []ast.Expr
		switch n := n.(type) {
		case *ast.CompositeLit:
			parts = n.Elts
		case *ast.CallExpr:
			parts = n.Args
		}
		id, bad := "", false
		for _, part := range parts {
			if named, is := part.(*ast.KeyValueExpr); is {
				part = named.Value
			}
			text, is := part.(*ast.BasicLit)
			if !is || text.Kind != token.STRING {
				continue
			}
			value := must[string](t)(strconv.Unquote(text.Value))
			if _, is := planted[value]; is && id == "" {
				id = value
			}
			bad = bad || value == "failure" || value == "warning"
		}
		if bad && id != "" {
			planted[id]++
		}
		return true
	})
	faults := 0
	for id, n := range planted {
		faults += n
		if why := unplanted[id]; (n == 0) != (why != "") {
			t.Errorf("%s: got %d faults, and the reason %q for none, want either", id, n, why)
		}
	}
	for id := range unplanted {
		if _, is := planted[id]; !is {
			t.Errorf("unplanted has %s, want a check of the command", id)
		}
	}
	if faults < 30 {
		t.Errorf("got %d faults, want at least 30", faults)
	}
	t.Logf("%d faults of %d checks", faults, len(planted))
}

// ownServer is a server for one test, which sets it wrong.
func ownServer(t *testing.T, start func(context.Context, lab.Options) (*lab.Server, error), o lab.Options) *lab.Server {
	t.Helper()
	o.Dir = t.TempDir()
	s := must[*lab.Server](t)(start(within(t, patience), o))
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Each wrong setting of Openfire is named by its check: it is set wrong on a real one, whose database is tlim's too.
func TestDoctorOpenfire(t *testing.T) {
	t.Parallel() // it waits for most of its time
	s := ownServer(t, lab.StartOpenfire, lab.Options{DB: "mariadb", Properties: map[string]string{
		"xmpp.component.permission": "whitelist", "xmpp.server.socket.active": "false", "xmpp.component.idle": "10000", "session.stalled.cap": "1000000"}})
	check(t, must[*store.Store](t)(store.Open(within(t, soon), store.Config{Driver: "mysql", DSN: s.DSN})).Close())
	db := must[*sql.DB](t)(sql.Open("mysql", s.DSN))
	defer db.Close()
	exec := func(statements ...string) {
		t.Helper()
		for _, statement := range statements {
			if _, err := db.ExecContext(within(t, soon), statement); err != nil {
				t.Fatalf("%s: got %v, want no error", statement, err)
			}
		}
	}
	allow := func(subdomain, permission string) string {
		return "REPLACE INTO ofExtComponentConf (subdomain, wildcard, secret, permission) VALUES ('" + subdomain + "', 0, '" + s.Secret + "', '" + permission + "')"
	}
	property := func(name, value string) string {
		return "REPLACE INTO ofProperty (name, propValue, encrypted) VALUES ('" + name + "', '" + value + "', 0)"
	}
	now := fmt.Sprint(time.Now().UnixMilli())
	for _, c := range []struct {
		name                     string
		plant, undo              []string
		key                      string
		value                    any
		id, status, seen, remedy string
	}{
		{name: "as far as it is right", id: "openfire.domain", status: "ok", seen: "answers for im.test"},
		{name: "its settings are seen", id: "openfire.settings", status: "ok", seen: "which is Openfire's own"},
		{name: "the name is given back", id: "openfire.leaving", status: "ok", seen: "no message came meanwhile"},
		{name: "snapshots", id: "openfire.snapshots", status: "ok", seen: "0 sessions"},
		{name: "accounts", id: "openfire.accounts", status: "ok", seen: "lets components keep accounts"},
		{name: "server-to-server is off", id: "openfire.federation", status: "failure", seen: "server-to-server is off, with Openfire before 4.5", remedy: "Server to Server"},
		{name: "and so it is configured", id: "openfire.s2s", status: "warning", seen: "xmpp.server.socket.active is false", remedy: "Server to Server"},
		{name: "the version", id: "openfire.version", status: "warning", seen: "Openfire 4.2.0 does not escape namespaces", remedy: "4.9.0"},
		{name: "idles out between pings", id: "openfire.idle", status: "failure", seen: "xmpp.component.idle is 10000 ms: Openfire closes the link", remedy: "xmpp.component.idle = 60000"},
		{name: "idles out late", plant: []string{"DELETE FROM ofProperty WHERE name = 'xmpp.component.idle'"}, undo: []string{property("xmpp.component.idle", "10000")}, id: "openfire.idle", status: "warning", seen: "360000 (the default)", remedy: "System Properties"},
		{name: "idles out never", plant: []string{property("xmpp.component.idle", "-1")}, undo: []string{property("xmpp.component.idle", "10000")}, id: "openfire.idle", status: "warning", seen: "for ever", remedy: "System Properties"},
		{name: "little may wait", id: "openfire.stalled", status: "warning", seen: "session.stalled.cap is 1000000 bytes", remedy: "session.stalled.cap = 52428800"},
		{name: "one device gets it", key: "xmpp.delivery", value: "bare", id: "openfire.routing", status: "failure", seen: "route.all-resources is false (the default) and xmpp.delivery is bare", remedy: "route.all-resources = true"},
		{name: "the service is off", plant: []string{property("xmpp.component.socket.active", "false")}, undo: []string{property("xmpp.component.socket.active", "true")}, id: "openfire.service", status: "failure", seen: "the component service is off", remedy: "External Components"},
		{name: "not listed", plant: []string{"DELETE FROM ofExtComponentConf"}, id: "openfire.secret", status: "failure", seen: "the server does not know tlim.im.test", remedy: "External Components"},
		{name: "not listed, by the settings", plant: []string{"DELETE FROM ofExtComponentConf"}, id: "openfire.subdomains", status: "failure", seen: "tlim is not listed", remedy: "allow the subdomain tlim"},
		{name: "the whole domain is listed", plant: []string{"DELETE FROM ofExtComponentConf", allow("tlim.im.test", "allowed")}, id: "openfire.subdomains", status: "failure", seen: "Openfire compares the subdomain alone", remedy: "enter tlim instead"},
		{name: "blocked", plant: []string{allow("tlim", "blocked")}, id: "openfire.subdomains", status: "failure", seen: "the subdomain tlim is blocked", remedy: "External Components"},
		{name: "another secret of the subdomain", plant: []string{"UPDATE ofExtComponentConf SET secret = 'other'"}, id: "openfire.secret", status: "failure", seen: "does not accept the secret", remedy: "External Components"},
		{name: "more links", key: "xmpp.connections", value: 3, plant: []string{allow("tlim-2", "allowed")}, id: "openfire.links", status: "failure", seen: "takes no link of tlim-3.im.test", remedy: "allow the subdomain tlim-3"},
		{name: "a link for copies", key: "xmpp.copies", value: "on", id: "openfire.links", status: "failure", seen: "takes no link of tlim-copies.im.test", remedy: "allow the subdomain tlim-copies"},
		{name: "copies", key: "xmpp.copies", value: "on", id: "openfire.copies", status: "warning", seen: "packet copies are on", remedy: "xmpp.copies: off"},
		{name: "emoji in its offline store", plant: []string{"ALTER TABLE ofOffline CONVERT TO CHARACTER SET utf8"}, undo: []string{"ALTER TABLE ofOffline CONVERT TO CHARACTER SET utf8mb4"}, id: "openfire.offline", status: "warning", seen: "ofOffline has the character set utf8", remedy: "ALTER TABLE ofOffline"},
		{name: "another Openfire's database", plant: []string{property("xmpp.domain", "chat.example")}, undo: []string{property("xmpp.domain", "im.test")}, id: "openfire.settings", status: "failure", seen: "its xmpp.domain is chat.example", remedy: "store.dsn"},
		{name: "the old plugin writes", plant: []string{"INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) VALUES ('1', 'theirs', 'MTT-000', 'z', 'l', '" + now + "', '[]', 'z')"}, undo: []string{"DELETE FROM ofmessage"}, id: "openfire.writers", status: "failure", seen: `another program writes messages`, remedy: "Plugins"},
		{name: "everybody's password", key: "directory", value: map[string]any{"create_accounts": true, "initial_password": "123", "source": "openfire"}, id: "openfire.accounts", status: "warning", seen: "the old plugin's", remedy: "directory.initial_password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			exec("DELETE FROM ofExtComponentConf", allow("tlim", "allowed"))
			exec(c.plant...)
			defer exec(c.undo...)
			config := doctored(t, s)
			config["store.driver"], config["store.dsn"] = "mysql", s.DSN
			if c.key != "" {
				config[c.key] = c.value
			}
			d, _, took := doctor(t, config)
			d.finds(t, c.id, c.status, c.seen, c.remedy)
			if strings.Contains(d.lines(""), s.Secret) {
				t.Errorf("got\n%s\nwant it without the secret", d.lines(""))
			}
			t.Logf("%v", took)
		})
	}
}

// Each fault of the host is named by its check. Nothing of it needs Openfire.
func TestDoctorHost(t *testing.T) {
	t.Parallel() // it waits for most of its time
	silent := listen(t)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	defer other.Close()
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, secret, _ := r.BasicAuth(); r.Method != http.MethodGet || user != "app" || secret != "master" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":{"code":1004,"message":"Authen failed"}}`)
			return
		}
		fmt.Fprint(w, `{"cidlist":["app-1"]}`)
	}))
	defer vendor.Close()
	jpush := func(secret string) map[string]any {
		return map[string]any{"jpush": map[string]any{"enabled": true, "app_key": "app", "master_secret": secret, "base_url": vendor.URL}}
	}
	for _, c := range []struct {
		name                     string
		plant                    func(dir string) error // dir holds database, files and key
		key                      string
		value                    any
		id, status, seen, remedy string
		code                     int
	}{
		{name: "the port of the API is taken", key: "http.listen", value: silent, id: "http.listen", status: "failure", seen: "another process listens on " + silent, remedy: "ss -ltnp", code: 1},
		{name: "and by whom", key: "http.listen", value: silent, id: "http.listen", status: "failure", seen: fmt.Sprintf("process %d", os.Getpid()), remedy: "choose another port", code: 1},
		{name: "the port of operators is taken", key: "metrics.listen", value: other.Listener.Addr().String(), id: "process", status: "failure", seen: "is not a tlim", remedy: "metrics.listen", code: 1},
		{name: "and says nothing", key: "metrics.listen", value: silent, id: "process", status: "failure", seen: "does not answer as a tlim", remedy: "ss -ltnp", code: 1},
		{name: "an address that is not this machine's", key: "http.listen", value: "192.0.2.1:9595", id: "http.listen", status: "failure", seen: "has no address 192.0.2.1", remedy: "take one", code: 1},
		{name: "files.dir is a file", plant: func(dir string) error { return os.WriteFile(dir+"/files", nil, 0o600) }, id: "files", status: "failure", seen: "is no folder", remedy: "files.dir", code: 1},
		{name: "files.dir is everybody's", plant: func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/files", 0o755), os.Chmod(dir+"/files", 0o755))
		}, id: "files", status: "warning", seen: "every user of this machine can look into", remedy: "chmod o=", code: 1},
		{name: "files of another tlim", plant: func(dir string) error {
			if err := os.MkdirAll(dir+"/files/ab", 0o700); err != nil {
				return err
			}
			for i := range 20 {
				if err := os.WriteFile(fmt.Sprintf("%s/files/ab/ab%030x", dir, i), nil, 0o600); err != nil {
					return err
				}
			}
			return nil
		}, id: "files.rows", status: "failure", seen: "of 20 uploads that were looked at, 20 have no row", remedy: "store.dsn", code: 1},
		{name: "the disk is full", key: "files.min_free", value: "1000000GiB", id: "files.space", status: "failure", seen: "uploads are refused", remedy: "files.min_free", code: 1},
		{name: "a bucket that is away", key: "files.s3", value: map[string]any{"endpoint": "http://127.0.0.1:1", "bucket": "b", "access_key": "a", "secret_key": "s"}, id: "files", status: "failure", remedy: "", code: 1},
		{name: "a database that everybody reads", plant: func(dir string) error { return os.Chmod(dir+"/tlim.db", 0o644) }, id: "database.file", status: "warning", seen: "every user of this machine can read", remedy: "chmod 600", code: 1},
		{name: "a database that is broken", plant: func(dir string) error {
			return os.WriteFile(dir+"/tlim.db", []byte("this is no database, but it is long enough to look like one at first"), 0o600)
		}, id: "database", status: "failure", seen: "not a database", remedy: "another program's", code: 1},
		{name: "a folder for a database", plant: func(dir string) error {
			return inItsPlace(dir, func(file string) error { return os.Mkdir(file, 0o700) })
		}, id: "database", status: "failure", seen: "is a folder, no database", remedy: "the name of a file", code: 1},
		{name: "a pipe for a database", plant: func(dir string) error {
			return inItsPlace(dir, func(file string) error { return exec.Command("mkfifo", "-m", "600", file).Run() })
		}, id: "database", status: "failure", seen: "is a pipe, no database", remedy: "the name of a file", code: 1},
		{name: "a database that is damaged", plant: func(dir string) error {
			text, err := os.ReadFile(dir + "/tlim.db")
			if err != nil {
				return err
			}
			for i := 100; i < len(text); i++ { // the header stays
				text[i] = 0xff
			}
			return os.WriteFile(dir+"/tlim.db", text, 0o600)
		}, id: "database", status: "failure", seen: "malformed", remedy: ".recover", code: 1},
		{name: "SQL Server that says nothing", key: "store", value: map[string]any{"driver": "sqlserver", "dsn": "sqlserver://u:p@" + silent + "?database=d"}, id: "database", status: "failure", seen: "open the sqlserver database", remedy: "a firewall swallows", code: 1},
		{name: "SQL Server that is another's", key: "store", value: map[string]any{"driver": "sqlserver", "dsn": "sqlserver://u:p@" + talker(t) + "?database=d"}, id: "database", status: "failure", seen: "open the sqlserver database", remedy: "what listens there is no sqlserver", code: 1},
		{name: "a key that everybody reads", plant: func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/tlim.key", []byte("k"), 0o644), os.Chmod(dir+"/tlim.key", 0o644))
		}, id: "http.key_file", status: "warning", seen: "others than its owner can read", remedy: "chmod 600", code: 1},
		{name: "a push key that is right", key: "push", value: jpush("master"), id: "push", status: "ok", seen: "takes app_key", code: 1},
		{name: "a push key that is wrong", key: "push", value: jpush("wrong"), id: "push", status: "failure", seen: "do not belong together", remedy: "master_secret", code: 1},
		{name: "anybody may call", key: "http.allow_anonymous", value: "all", id: "http.callers", status: "warning", seen: "http.allow_anonymous is all", remedy: "tlim keys usage", code: 1},
		{name: "a key that is misspelt", key: "xmpp.sercet", value: "s", id: "configuration", status: "failure", seen: "the nearest known one is xmpp.secret", remedy: "tlim.yaml, the environment or --set; cmd/tlim/CONFIG.md", code: 2},
		{name: "nothing is wrong with the configuration", id: "configuration", status: "ok", seen: "tlim.yaml was read", code: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "tlim.db")
			check(t, must[*store.Store](t)(store.Open(within(t, soon), store.Config{DSN: file})).Close())
			if c.plant != nil {
				check(t, c.plant(dir))
			}
			config := map[string]any{"xmpp.domain": "im.test", "xmpp.secret": "x", "xmpp.server": "127.0.0.1:1", "metrics.listen": must[string](t)(lab.FreeAddr()),
				"store.dsn": file, "http.key_file": filepath.Join(dir, "tlim.key")}
			if c.key != "files.s3" {
				config["files.dir"] = filepath.Join(dir, "files")
			}
			if c.key != "" {
				config[c.key] = c.value
			}
			if c.key == "store" {
				delete(config, "store.dsn")
			}
			var before []byte
			if must[os.FileInfo](t)(os.Stat(file)).Mode().IsRegular() { // reading a pipe would wait
				before = must[[]byte](t)(os.ReadFile(file))
			}
			d, code, took := doctor(t, config)
			d.finds(t, c.id, c.status, c.seen, c.remedy)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if left := must[[]string](t)(filepath.Glob(dir + "/tlim.db-*")); len(left) > 0 && c.plant == nil {
				t.Errorf("beside the database: got %v, want nothing left there", left)
			}
			if before != nil {
				if after := must[[]byte](t)(os.ReadFile(file)); !bytes.Equal(before, after) {
					t.Errorf("the database's file: got %d other bytes, want the %d of before", len(after), len(before))
				}
			}
			if most := 30 * time.Second; took > most {
				t.Errorf("took %v, want at most %v", took, most)
			}
		})
	}
}

// inItsPlace puts something else where the database is.
func inItsPlace(dir string, put func(file string) error) error {
	return errors.Join(os.Remove(dir+"/tlim.db"), put(dir+"/tlim.db"))
}

// Beside a process that serves, the link stays that process's, and what hinders it is said by its word.
func TestDoctorBesideServe(t *testing.T) {
	s := must[*lab.Server](t)(openfire())
	w := newWorld(t, openfire, map[string]any{"http.allow_anonymous": "all"})
	config := lab.ServerConfig(s)
	config["xmpp.component"] = w.component
	config["store.dsn"] = filepath.Join(w.tlim.Dir, "tlim.db")
	config["http.listen"], config["metrics.listen"] = strings.TrimPrefix(w.tlim.URL, "http://"), strings.TrimPrefix(w.tlim.MetricsURL, "http://")
	config["http.allow_anonymous"] = "all"
	response := must[*http.Response](t)(http.Get(w.tlim.URL + "/plugins/tlim/findSessions?user_id=lisi"))
	check(t, response.Body.Close())
	d, code, took := doctor(t, config)
	if code != 0 || !d.Serving || d.Failures > 0 {
		t.Errorf("got exit code %d, serving %v, %d failures, want 0, true, none; found\n%s", code, d.Serving, d.Failures, d.lines(""))
	}
	t.Logf("%v", took)
	d.finds(t, "process", "ok", "takes and delivers messages", "")
	d.finds(t, "openfire.secret", "ok", "takes "+w.component, "")
	d.finds(t, "openfire.asking", "ok", "asked as "+strings.Replace(w.component, ".", "-doctor.", 1), "")
	d.finds(t, "openfire.federation", "ok", "it is on", "")
	d.finds(t, "http.listen", "ok", fmt.Sprintf("process %d", w.tlim.PID()), "")
	d.finds(t, "http.callers", "warning", "127.0.0.1 findSessions", "http.keys")
	if status, text, err := w.tlim.Ready(within(t, soon)); err != nil || status != http.StatusOK || strings.Contains(logTail(w.tlim.Log), "link is down") {
		t.Errorf("/readyz: got %d %s %v, want %d; the log\n%s", status, text, err, http.StatusOK, logTail(w.tlim.Log))
	}

	// 1. a second configuration of the same name cannot link
	config["metrics.listen"] = must[string](t)(lab.FreeAddr())
	d, _, _ = doctor(t, config)
	d.finds(t, "openfire.secret", "failure", "another connection has this name", "External Components")
	d.finds(t, "http.listen", "failure", "another process listens", "ss -ltnp")
	d.finds(t, "openfire.snapshots", "ok", "the server gives them", "")
	if status, text, err := w.tlim.Ready(within(t, soon)); err != nil || status != http.StatusOK || strings.Contains(logTail(w.tlim.Log), "link is down") {
		t.Errorf("/readyz: got %d %s %v, want %d", status, text, err, http.StatusOK)
	}
}

// Beside a process that has no link, the command looks itself: what keeps the process from it is named as without one, and the name is
// left to that process.
func TestDoctorBesideServeWithoutLink(t *testing.T) {
	s := must[*lab.Server](t)(openfire())
	nobody := must[string](t)(lab.FreeAddr())
	for _, c := range []struct {
		name                     string
		serve, here              map[string]any // what the process has, and what this command has besides
		id, status, seen, remedy string
		linked                   bool
	}{
		{"the server is away", map[string]any{"xmpp.server": nobody}, nil, "openfire.port", "failure", nobody + " refuses connections", "External Components", false},
		{"another secret", map[string]any{"xmpp.secret": "wrong"}, nil, "openfire.secret", "failure", "does not accept the secret", "External Components", false},
		{"by the process's word", map[string]any{"xmpp.secret": "wrong"}, map[string]any{"xmpp.secret": ""}, "openfire.secret", "failure", "does not accept the secret", "External Components", false},
		{"only the process has another secret", map[string]any{"xmpp.secret": "wrong"}, map[string]any{"xmpp.secret": s.Secret}, "process.link", "failure", "the process that serves cannot: the server does not accept the secret", "restart it", true},
		{"the process says why", map[string]any{"xmpp.secret": "wrong"}, nil, "process", "failure", "takes no messages: link: the server does not accept the secret", "the checks below", false},
		{"its ports are its own", map[string]any{"xmpp.secret": "wrong"}, nil, "metrics.listen", "ok", "is the process's that serves", "", false},
		{"further links are tried", map[string]any{"xmpp.secret": "wrong", "xmpp.connections": 2}, map[string]any{"xmpp.secret": s.Secret}, "openfire.links", "ok", "the server takes", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := settings(s, newComponent(s), c.serve)
			tl := startTlim(t, lab.TlimOptions{Unready: true, Config: config})
			for key, value := range c.here {
				config[key] = value
			}
			config["store.dsn"] = filepath.Join(tl.Dir, "tlim.db")
			config["http.listen"], config["metrics.listen"] = strings.TrimPrefix(tl.URL, "http://"), strings.TrimPrefix(tl.MetricsURL, "http://")
			for { // its first attempt has come to something
				_, text, err := tl.Ready(within(t, soon))
				check(t, err)
				if !strings.Contains(text, `"connecting"`) && !strings.Contains(text, `"starting"`) {
					break
				}
			}
			d, code, _ := doctor(t, config)
			d.finds(t, c.id, c.status, c.seen, c.remedy)
			if code != 1 || !d.Serving {
				t.Errorf("exit code %d, serving %v, want 1 beside a process", code, d.Serving)
			}
			if c.linked {
				d.finds(t, "openfire.asking", "ok", "-doctor.", "")
			}
		})
	}
}

// A tlim of another component on metrics.listen is not believed to be ours.
func TestDoctorBesideAnotherTlim(t *testing.T) {
	s := must[*lab.Server](t)(openfire())
	w := newWorld(t, openfire, nil)
	config := doctored(t, s)
	config["xmpp.component"], config["xmpp.secret"] = newComponent(s), "wrong"
	config["metrics.listen"] = strings.TrimPrefix(w.tlim.MetricsURL, "http://")
	d, code, _ := doctor(t, config)
	d.finds(t, "process", "failure", "is the tlim of "+w.component, "metrics.listen")
	d.finds(t, "openfire.secret", "failure", "does not accept the secret", "External Components")
	if code != 1 || d.Serving {
		t.Errorf("exit code %d, serving %v, want 1 and no process of this component", code, d.Serving)
	}
}

// doctored is the configuration of a tlim on s with nothing wrong, of which no process runs.
func doctored(t *testing.T, s *lab.Server) map[string]any {
	t.Helper()
	return map[string]any{"xmpp.server": s.Component, "xmpp.domain": s.Domain, "xmpp.secret": s.Secret,
		"metrics.listen": must[string](t)(lab.FreeAddr()), "store.dsn": filepath.Join(t.TempDir(), "tlim.db")}
}

// Each fault of a database is named by its check, on the real one.
func TestDoctorDatabase(t *testing.T) {
	t.Parallel()                                                        // it waits for most of its time
	server := ownServer(t, lab.StartMariaDB, lab.Options{LogBin: true}) // its settings are changed
	const row = insertMessage + "('1', 'm1', 'MTT-000', 'z', 'l', '1544602393123', '[]', 'z')"
	slots := make(chan struct{}, 4) // each case is two programs at work, and the command has to answer in its time
	for _, c := range []struct {
		name                     string
		plant, undo              []string          // of what is set for the whole server: such a case is alone
		grant                    string            // the rights of a user of its own, whom tlim is then
		address                  map[string]string // what is another in store.dsn
		key                      string            // and another key than its default
		value                    any
		id, status, seen, remedy string
	}{
		{name: "nothing is wrong", id: "database", status: "ok", seen: "mysql answers"},
		{name: "nothing is wrong with rows", plant: []string{row}, id: "rows.ofmessage", status: "ok", seen: "nothing odd; all 1 rows"},

		{name: "nobody listens", address: map[string]string{"addr": "127.0.0.1:1"}, id: "database", status: "failure", seen: "connection refused", remedy: "start the database"},
		{name: "a port that swallows", address: map[string]string{"addr": listen(t)}, id: "database", status: "failure", seen: "open the mysql database", remedy: "a firewall swallows"},
		{name: "another program's port", address: map[string]string{"addr": talker(t)}, id: "database", status: "failure", seen: "open the mysql database", remedy: "what listens there is no MySQL"},
		{name: "no such host", address: map[string]string{"addr": "nowhere.invalid:3306"}, id: "database", status: "failure", seen: "no such host", remedy: "correct the host in store.dsn"},
		{name: "another password", address: map[string]string{"password": "wrong"}, id: "database", status: "failure", seen: "Access denied", remedy: "correct user and password in store.dsn"},
		{name: "no right at all", grant: "USAGE", id: "database", status: "failure", seen: "Access denied", remedy: "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON `"},
		{name: "another database", address: map[string]string{"name": "nowhere"}, id: "database", status: "failure", seen: "Unknown database", remedy: "CREATE DATABASE `nowhere`"},
		{name: "may only read", grant: "SELECT", id: "database.rights", status: "failure", seen: "lacks INSERT on ofmessage", remedy: "GRANT SELECT, INSERT, UPDATE, DELETE ON `"},
		{name: "may not delete", grant: "SELECT, INSERT, UPDATE, CREATE, ALTER, INDEX", id: "database.rights", status: "failure", seen: "lacks DELETE on ofmessage", remedy: "GRANT SELECT"},
		{name: "may make no table", grant: "SELECT, INSERT, UPDATE, DELETE", id: "database.rights", status: "warning", seen: "lacks CREATE, ALTER, INDEX", remedy: "GRANT CREATE, ALTER, INDEX ON `"},
		{name: "may make no table, and lacks one", plant: []string{"DROP TABLE tlim_call"}, grant: "SELECT, INSERT, UPDATE, DELETE", id: "database.rights", status: "failure", seen: "lacks CREATE, ALTER, INDEX", remedy: "GRANT CREATE"},
		{name: "a replica", plant: []string{"SET GLOBAL read_only = ON"}, undo: []string{"SET GLOBAL read_only = OFF"}, id: "database.rights", status: "failure", seen: "read-only", remedy: "SET GLOBAL read_only = OFF"},

		{name: "a column is missing", plant: []string{"ALTER TABLE ofsession DROP COLUMN session_pic"}, id: "database.schema", status: "failure", seen: "column ofsession.session_pic is missing", remedy: "store.dsn"},
		{name: "a table is missing, and may not be made", plant: []string{"DROP TABLE tlim_call"}, key: "store.migrate", value: "check", id: "database.schema", status: "failure", seen: "table tlim_call is missing", remedy: "store.migrate: auto"},
		{name: "tables of a newer tlim", plant: []string{"UPDATE tlim_schema SET version = 99"}, id: "database.schema", status: "failure", seen: "made by a newer tlim", remedy: "the tlim that made them"},
		{name: "a short body", plant: []string{"ALTER TABLE ofmessage MODIFY body varchar(3920)"}, id: "database.schema", status: "warning", seen: "ofmessage.body holds 3920 characters", remedy: "ALTER TABLE ofmessage MODIFY body mediumtext"},
		{name: "a key that takes no text", plant: []string{"ALTER TABLE ofmessage MODIFY id_ int NOT NULL"}, id: "database.schema", status: "failure", seen: "ofmessage.id_ is int", remedy: "ALTER TABLE ofmessage MODIFY id_ varchar(64)"},
		{name: "a time that is a date", plant: []string{"ALTER TABLE ofmessage MODIFY msg_time datetime"}, id: "database.schema", status: "failure", seen: "ofmessage.msg_time is datetime", remedy: "make it varchar(20)"},
		{name: "a queue of latin1", plant: []string{"ALTER TABLE ofcustomoffline CONVERT TO CHARACTER SET latin1"}, id: "database.charsets", status: "failure", seen: "ofcustomoffline has the character set latin1", remedy: "ALTER TABLE ofcustomoffline CONVERT TO CHARACTER SET utf8mb4"},
		{name: "messages of utf8", plant: []string{"ALTER TABLE ofmessage CONVERT TO CHARACTER SET utf8 COLLATE utf8_bin"}, id: "database.charsets", status: "warning", seen: "ofmessage has the character set utf8", remedy: "ALTER TABLE ofmessage CONVERT TO CHARACTER SET utf8mb4"},
		{name: "a loose collation", plant: []string{"ALTER TABLE ofchat CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"}, id: "database.collations", status: "warning", seen: "ofchat has the collation utf8mb4_general_ci", remedy: "ALTER TABLE ofchat CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"},
		{name: "mixed collations", plant: []string{"ALTER TABLE ofsubscriber CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"}, id: "database.mixture", status: "warning", seen: "utf8mb4_bin, utf8mb4_unicode_ci", remedy: "ALTER TABLE ofsubscriber CONVERT"},
		{name: "power cuts", plant: []string{"SET GLOBAL innodb_flush_log_at_trx_commit = 2"}, undo: []string{"SET GLOBAL innodb_flush_log_at_trx_commit = 1"}, id: "database.durability", status: "warning", seen: "innodb_flush_log_at_trx_commit is 2", remedy: "SET GLOBAL innodb_flush_log_at_trx_commit = 1"},
		{name: "replicas lack messages", plant: []string{"SET GLOBAL sync_binlog = 0"}, undo: []string{"SET GLOBAL sync_binlog = 1"}, id: "database.durability", status: "warning", seen: "sync_binlog is 0", remedy: "SET GLOBAL sync_binlog = 1"},
		{name: "statements are logged", plant: []string{"SET GLOBAL binlog_format = 'STATEMENT'"}, undo: []string{"SET GLOBAL binlog_format = 'ROW'"}, id: "database.binlog", status: "failure", seen: "binlog_format is STATEMENT", remedy: "SET GLOBAL binlog_format = 'ROW'"},
		{name: "no transactions", plant: []string{"ALTER TABLE ofstatus ENGINE=MyISAM"}, id: "database.durability", status: "warning", seen: "ofstatus is kept by MyISAM", remedy: "ALTER TABLE ofstatus ENGINE=InnoDB"},
		{name: "numbers near their end", plant: []string{"ALTER TABLE ofstatus DROP PRIMARY KEY, DROP COLUMN id_", "ALTER TABLE ofstatus ADD COLUMN id_ int NOT NULL AUTO_INCREMENT PRIMARY KEY FIRST, AUTO_INCREMENT = 2100000000"}, id: "database.headroom", status: "failure", seen: "its next number is 2100000000 of 2147483647", remedy: "bigint"},
		{name: "numbers half used", plant: []string{"ALTER TABLE ofstatus DROP PRIMARY KEY, DROP COLUMN id_", "ALTER TABLE ofstatus ADD COLUMN id_ int NOT NULL AUTO_INCREMENT PRIMARY KEY FIRST, AUTO_INCREMENT = 1200000000"}, id: "database.headroom", status: "warning", seen: "its next number is 1200000000", remedy: "bigint"},
		{name: "an index is missing", plant: []string{row, "DROP INDEX tlim_message_id ON ofmessage"}, id: "database.indexes", status: "warning", seen: "ofmessage has no index on (msg_id)", remedy: "CREATE INDEX tlim_message_id ON ofmessage (msg_id)"},
		{name: "the database's clock", plant: []string{"SET GLOBAL init_connect = 'SET timestamp = 1600000000'"}, undo: []string{"SET GLOBAL init_connect = ''"}, grant: "ALL", id: "clock.database", status: "warning", seen: "behind this machine's", remedy: "time server"},
		{name: "the stored clock", plant: []string{"UPDATE tlim_state SET clock = 4000000000000"}, id: "clock.stored", status: "failure", seen: "ahead of this machine's", remedy: "UPDATE tlim_state SET clock"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.undo == nil {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
			}
			db, address := adopted(t, server)
			exec := executor(t, db)
			defer exec(c.undo...)
			exec(c.plant...)
			if c.grant != "" {
				address.User, address.Passwd = "doc"+address.DBName, "s3cret-of-doc"
				user := "'" + address.User + "'@'127.0.0.1'"
				exec("CREATE USER "+user+" IDENTIFIED BY '"+address.Passwd+"'", "GRANT "+c.grant+" ON "+address.DBName+".* TO "+user)
				defer exec("DROP USER " + user)
			}
			for what, value := range c.address {
				*map[string]*string{"addr": &address.Addr, "password": &address.Passwd, "name": &address.DBName}[what] = value
			}
			d := doctorOf(t, db, address, c.key, c.value)
			d.finds(t, c.id, c.status, c.seen, c.remedy)
			if strings.HasPrefix(c.name, "nothing") && strings.Contains(d.lines("database"), " failure") {
				t.Errorf("got\n%s\nwant no failure", d.lines("database"))
			}
		})
	}
}

// insertMessage and insertReceipt begin statements that plant rows.
const (
	insertMessage = "INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) VALUES "
	insertReceipt = "INSERT INTO ofstatus (id_, msg_id, sender, reader, status) VALUES "
)

// Each fault of rows is named by its check, beside all the others. Rows without one are a case of TestDoctorDatabase.
func TestDoctorRows(t *testing.T) {
	db, address := adopted(t, must[*lab.Server](t)(mariadb()))
	faults := []struct {
		name                     string
		plant                    []string
		id, status, seen, remedy string
	}{
		{name: "a message twice", plant: []string{insertMessage + "('1', 'm1', 'MTT-000', 'z', 'l', '1544602393123', '[]', 'z'), ('2', 'm1', 'MTT-000', 'z', 'l', '1544602393123', '[]', 'z')"}, id: "rows.ofmessage", status: "warning", seen: `1 values of (msg_id) that stand more than once, such as "m1"`, remedy: "GROUP BY msg_id"},
		{name: "a receipt twice", plant: []string{"ALTER TABLE ofstatus DROP INDEX tlim_receipt_reader", insertReceipt + "('1', 'm1', 'z', 'l', 1), ('2', 'm1', 'z', 'l', 2)"}, id: "rows.ofstatus", status: "warning", seen: `(msg_id, reader) that stand more than once, such as "m1 l"`, remedy: "GROUP BY msg_id, reader"},
		{name: "a chat twice", plant: []string{"ALTER TABLE ofchat DROP INDEX tlim_chat_pair", "INSERT INTO ofchat (chat_id, chat_user, chat_other) VALUES ('1', 'z', 'l'), ('2', 'z', 'l')"}, id: "rows.ofchat", status: "warning", seen: `(chat_user, chat_other) that stand more than once, such as "z l"`, remedy: "GROUP BY chat_user, chat_other"},
		{name: "an orphan receipt", plant: []string{insertReceipt + "('3', 'gone', 'z', 'l', 1)"}, id: "rows.ofstatus", status: "warning", seen: `1 values of msg_id that no row of ofmessage has, such as "gone"`, remedy: "NOT IN"},
		{name: "a member of no group", plant: []string{"INSERT INTO ofsubscriber (user_id, session_id) VALUES ('z', 'nowhere')"}, id: "rows.ofsubscriber", status: "warning", seen: `no row of ofsession has, such as "nowhere"`, remedy: "NOT IN"},
		{name: "NULLs", plant: []string{insertMessage + "('8', 'm8', 'MTT-000', 'z', NULL, NULL, '[]', 'z')"}, id: "rows.ofmessage", status: "warning", seen: `1 rows without msg_time, such as msg_id "m8"`, remedy: "IS NULL"},
		{name: "an id that is too long", plant: []string{"ALTER TABLE ofmessage MODIFY msg_to varchar(255)", insertMessage + "('9', 'm9', 'MTT-000', 'z', REPEAT('l', 70), '1544602393123', '[]', 'z')"}, id: "rows.ofmessage", status: "warning", seen: "values of msg_to with more than 64 characters", remedy: "shorten"},
		{name: "a date", plant: []string{insertMessage + "('10', 'd', 'MTT-000', 'z', 'l', '2018-12-12 16:13:13', '[]', 'z')"}, id: "rows.ofmessage", status: "warning", seen: `msg_time that are dates, or no times at all, such as "2018-12-12`, remedy: "13 digits"},
		{name: "seconds", plant: []string{insertMessage + "('11', 's', 'MTT-000', 'z', 'l', '1544602393', '[]', 'z')"}, id: "rows.ofmessage", status: "warning", seen: `msg_time that are seconds, such as "1544602393"`, remedy: "13 digits"},
		{name: "the future", plant: []string{insertMessage + "('12', 'f', 'MTT-000', 'z', 'l', '4000000000000', '[]', 'z')"}, id: "rows.ofmessage", status: "warning", seen: `msg_time that are in the future, such as "4000000000000"`, remedy: "13 digits"},
		{name: "capitals", plant: []string{"INSERT INTO ofsubscriber (user_id, session_id) VALUES ('LiSi', 'g')"}, id: "rows.ofsubscriber", status: "warning", seen: `users in user_id with capitals, such as "LiSi"`, remedy: "UPDATE ofsubscriber SET user_id = LOWER(user_id) WHERE user_id = 'LiSi'"},
		{name: "blanks at the end", plant: []string{"INSERT INTO ofchat (chat_id, chat_user, chat_other) VALUES ('3', 'z ', 'l')"}, id: "rows.ofchat", status: "warning", seen: `chat_user with blanks at an end, such as "z "`, remedy: "= LTRIM(RTRIM(chat_user)) WHERE chat_user LIKE ' %' OR chat_user LIKE '% '"},
		{name: "a queue row of nobody's", plant: []string{"INSERT INTO ofcustomoffline (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) VALUES ('1', 'm1', 'MTT-000', 'z', 'l', '1544602393123', '[]', 'z')"}, id: "rows.ofcustomoffline", status: "warning", seen: `1 rows without delete_user, such as id_ "1"`, remedy: "delete_user IS NULL"},
		{name: "a group without an owner", plant: []string{"INSERT INTO ofsession (session_id, session_type) VALUES ('g', 0)"}, id: "rows.ofsession", status: "warning", seen: `1 rows without session_user, such as session_id "g"`, remedy: "session_user IS NULL"},
		{name: "an announcement of no group", plant: []string{"INSERT INTO ofpubact (id_, user_id, session_id, ts) VALUES ('1', 'z', 'nowhere', '1544602393123')"}, id: "rows.ofpubact", status: "warning", seen: `no row of ofsession has, such as "nowhere"`, remedy: "NOT IN"},
		{name: "a body that is encoded", plant: []string{insertMessage + "('13', 'e', 'MTT-000', 'z', 'l', '1540000000000', '%5B%7B%22text%22%3A%22geheim%22%7D%5D', 'l')"}, id: "rows.ofmessage", status: "warning", seen: `body that are URL-encoded, such as msg_id "e"`, remedy: "clients"},
	}
	exec := executor(t, db)
	for _, c := range faults {
		exec(c.plant...)
	}
	d := doctorOf(t, db, address, "", nil)
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) { d.finds(t, c.id, c.status, c.seen, c.remedy) })
	}
}

// adopted is a database of the server with tlim's tables, and its address.
func adopted(t *testing.T, server *lab.Server) (*sql.DB, *mysql.Config) {
	t.Helper()
	dsn := newDatabase(t, server)
	check(t, must[*store.Store](t)(store.Open(within(t, soon), store.Config{Driver: "mysql", DSN: dsn})).Close())
	db := must[*sql.DB](t)(sql.Open("mysql", dsn))
	t.Cleanup(func() { check(t, db.Close()) })
	return db, must[*mysql.Config](t)(mysql.ParseDSN(dsn))
}

func executor(t *testing.T, db *sql.DB) func(statements ...string) {
	return func(statements ...string) {
		t.Helper()
		for _, statement := range statements {
			if _, err := db.ExecContext(within(t, soon), statement); err != nil {
				t.Fatalf("%s: got %v, want no error", statement, err)
			}
		}
	}
}

// doctorOf runs the command on a database at an address, and perhaps with another key than its default. It answers in its time, shows no
// password and no text of a message, and changes nothing.
func doctorOf(t *testing.T, db *sql.DB, address *mysql.Config, key string, value any) diagnosis {
	t.Helper()
	config := map[string]any{"xmpp.domain": "im.test", "xmpp.secret": "x", "xmpp.server": "127.0.0.1:1",
		"metrics.listen": must[string](t)(lab.FreeAddr()), "store.driver": "mysql", "store.dsn": address.FormatDSN()}
	if key != "" {
		config[key] = value
	}
	before := checksums(t, db)
	d, _, took := doctor(t, config)
	if most := 30 * time.Second; took > most {
		t.Errorf("took %v, want at most %v", took, most)
	}
	if all := d.lines(""); strings.Contains(all, address.Passwd) || strings.Contains(all, "geheim") {
		t.Errorf("got\n%s\nwant it without password and text", all)
	}
	if after := checksums(t, db); after != before {
		t.Errorf("the database: got %s, want it as before, %s", after, before)
	}
	return d
}

// checksums tell what stands in all tables of a database.
func checksums(t *testing.T, db *sql.DB) string {
	t.Helper()
	var tables []string
	rows := must[*sql.Rows](t)(db.QueryContext(within(t, soon), "SHOW TABLES"))
	defer rows.Close()
	for rows.Next() {
		var name string
		check(t, rows.Scan(&name))
		tables = append(tables, name)
	}
	check(t, rows.Err())
	var all strings.Builder
	for _, table := range tables {
		var name string
		var sum sql.NullInt64
		check(t, db.QueryRowContext(within(t, soon), "CHECKSUM TABLE "+table).Scan(&name, &sum))
		fmt.Fprintln(&all, name, sum.Int64)
	}
	return all.String()
}

// Who follows the remedies of missing rights, to the word, has a tlim that starts.
func TestDoctorRights(t *testing.T) {
	server := must[*lab.Server](t)(mariadb())
	for _, granted := range []string{"USAGE", "SELECT", "SELECT, INSERT, UPDATE, DELETE", "CREATE, ALTER, INDEX"} {
		t.Run(granted, func(t *testing.T) {
			address := must[*mysql.Config](t)(mysql.ParseDSN(newDatabase(t, server)))
			db := must[*sql.DB](t)(sql.Open("mysql", address.FormatDSN()))
			defer db.Close()
			exec := func(statement string) {
				t.Helper()
				if _, err := db.ExecContext(within(t, soon), statement); err != nil {
					t.Fatalf("%s: got %v, want no error", statement, err)
				}
			}
			address.User, address.Passwd = "rgt"+address.DBName, "s3cret"
			user := "'" + address.User + "'@'127.0.0.1'"
			exec("CREATE USER " + user + " IDENTIFIED BY '" + address.Passwd + "'")
			defer exec("DROP USER " + user)
			exec("GRANT " + granted + " ON " + address.DBName + ".* TO " + user)
			config := map[string]any{"xmpp.domain": "im.test", "xmpp.secret": "x", "xmpp.server": "127.0.0.1:1",
				"metrics.listen": must[string](t)(lab.FreeAddr()), "store.driver": "mysql", "store.dsn": address.FormatDSN()}
			d, _, _ := doctor(t, config)
			followed := 0
			for _, c := range d.Checks {
				for _, f := range c.Findings {
					if _, grant, told := strings.Cut(f.Remedy, "GRANT "); told && f.Status == "failure" {
						exec("GRANT " + grant)
						followed++
					}
				}
			}
			if followed == 0 {
				t.Errorf("got\n%s\nwant a GRANT advised", d.lines("database"))
			}
			check(t, must[*store.Store](t)(store.Open(within(t, soon), store.Config{Driver: "mysql", DSN: address.FormatDSN()})).Close())
			d, _, _ = doctor(t, config)
			d.finds(t, "database.rights", "ok", "may do all that is needed", "")
		})
	}
}

// talker is a port that says what no database says, and closes.
func talker(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	l := must[net.Listener](t)(config.Listen(context.Background(), "tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("220 mail.example ESMTP ready\r\n")) // who has hung up hears nothing
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// listen is a port that takes connections and says nothing.
func listen(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	l := must[net.Listener](t)(config.Listen(context.Background(), "tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}
