package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlim/cmd/tlim/config"
	"tlim/scripts/lab"
)

// The binary as it is run: a real Openfire, the database in a file, signals. What messages do is tested elsewhere.

// The first Openfire on a machine is downloaded, and the binary compiled.
const testTime = 5 * time.Minute

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTime)
	t.Cleanup(cancel)
	return ctx
}

func startOpenfire(t *testing.T, ctx context.Context) *lab.Server {
	t.Helper()
	server, err := lab.StartOpenfire(ctx, lab.Options{Users: map[string]string{"zhangsan": "z", "lisi": "l"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func startTlim(t *testing.T, ctx context.Context, o lab.TlimOptions) *lab.Tlim {
	t.Helper()
	tlim, err := lab.StartTlim(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tlim.Kill(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log of tlim:\n%s", readText(t, tlim.Log))
		}
	})
	return tlim
}

func TestServeOnOpenfire(t *testing.T) {
	ctx := testContext(t)
	server := startOpenfire(t, ctx)
	tlim := startTlim(t, ctx, lab.TlimOptions{Config: lab.ServerConfig(server)})
	dial := func(user, password string) *lab.Client {
		c, err := lab.Dial(ctx, server.C2S, server.Domain, user, password, "phone", lab.WithPresence("", 0), lab.WithAck())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	zhangsan, lisi := dial("zhangsan", "z"), dial("lisi", "l")
	send := func(text string) (id string) {
		id = lab.NewID()
		if err := zhangsan.SendMessage("tlim."+server.Domain, id, lab.Text("zhangsan", "lisi", id, text)); err != nil {
			t.Fatal(err)
		}
		if _, err := zhangsan.WaitFor(ctx, func(m lab.Message) bool { _, yes := m.Acknowledges(id); return yes }); err != nil {
			t.Fatalf("%s: got %v, want the acknowledgement of %s", text, err, id)
		}
		if _, err := lisi.WaitFor(ctx, func(m lab.Message) bool { return m.Is("MTT-000", id) }); err != nil {
			t.Fatalf("%s: got %v, want %s delivered to lisi", text, err, id)
		}
		return id
	}

	t.Run("a message goes through, and is traced", func(t *testing.T) {
		id := send("你好 😀")
		code, out, errs := runCommand(t, "trace", id, "--config", filepath.Join(tlim.Dir, "tlim.yaml"))
		if code != 0 || !strings.Contains(out, "MTT-000 from zhangsan to lisi") || strings.Contains(out, "你好") || errs != "" {
			t.Errorf("got %d\n%s\n%s\nwant 0, \"MTT-000 from zhangsan to lisi\" in the output, 你好 not in it, and no errors", code, out, errs)
		}
	})

	t.Run("metrics name the version and the link", func(t *testing.T) {
		samples, err := tlim.Metrics(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if lab.Sum(samples, "tlim_build_info") != 1 || lab.Sum(samples, "tlim_receipts_total") < 1 || lab.Sum(samples, "process_cpu_seconds_total") == 0 {
			t.Errorf("got tlim_build_info %v, tlim_receipts_total %v, process_cpu_seconds_total %v, want 1, at least 1, above 0", lab.Sum(samples, "tlim_build_info"), lab.Sum(samples, "tlim_receipts_total"), lab.Sum(samples, "process_cpu_seconds_total"))
		}
	})

	t.Run("SIGHUP takes new keys", func(t *testing.T) {
		keyed := startKeyed(t, ctx, server)
		if code := keyed.status(t, "old-key-0123456789"); code != http.StatusOK {
			t.Fatalf("the first key is answered with %d, want 200", code)
		}
		write(t, keyed.dir, "key", "new-key-0123456789\n")
		if err := lab.Signal(keyed.tlim.PID(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		poll(t, ctx, func() bool { return keyed.status(t, "new-key-0123456789") == http.StatusOK })
		if code := keyed.status(t, "old-key-0123456789"); code != http.StatusUnauthorized {
			t.Errorf("the old key is answered with %d, want 401", code)
		}
		// a configuration with a fault changes nothing
		write(t, keyed.dir, "key", "short\n")
		if err := lab.Signal(keyed.tlim.PID(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		poll(t, ctx, func() bool { return strings.Contains(readText(t, keyed.tlim.Log), "the keys were not read again") })
		if code := keyed.status(t, "new-key-0123456789"); code != http.StatusOK {
			t.Errorf("after a refused reload the key is answered with %d, want 200", code)
		}
		if err := keyed.tlim.Stop(); err != nil {
			t.Error(err)
		}
	})

	t.Run("a client gets a token and loses it", func(t *testing.T) { tokenLives(t, ctx, tlim, zhangsan) })

	t.Run("readiness follows the server", func(t *testing.T) {
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		text, err := tlim.AwaitUnready(ctx)
		if err != nil || !strings.Contains(text, `"link: `) {
			t.Fatalf("got %v, %s, want no error, %q in it", err, text, `"link: `)
		}
		if err := server.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if err := tlim.AwaitReady(ctx); err != nil {
			t.Fatal(err)
		}
		zhangsan, lisi = dial("zhangsan", "z"), dial("lisi", "l")
		send("again")
	})

	t.Run("SIGTERM ends it in order", func(t *testing.T) {
		id := send("the last one")
		if err := tlim.Stop(); err != nil {
			t.Fatal(err)
		}
		log := readText(t, tlim.Log)
		for _, want := range []string{"msg=started", "msg=stopping signal=terminated", "msg=stopped"} {
			if !strings.Contains(log, want) {
				t.Errorf("got no %q in the log, want it:\n%s", want, log)
			}
		}
		for _, never := range []string{server.Secret, "你好", "did not end well"} {
			if strings.Contains(log, never) {
				t.Errorf("got %q in the log, want it not", never)
			}
		}
		if err := tlim.Start(ctx); err != nil {
			t.Fatal(err)
		}
		answer, err := tlim.Get(ctx, "findChatHistory", map[string][]string{"session_id": {"lisi"}, "user_id": {"zhangsan"}, "start": {"0"}, "length": {"max"}})
		if err != nil || answer["total"] != 3.0 || !strings.Contains(asText(answer), id) {
			t.Errorf("after the restart: %v %v, want 3 messages with %q among them and no error", answer, err, id)
		}
	})

	t.Run("a process whose database is taken over stops at once", func(t *testing.T) {
		dsn, component := filepath.Join(t.TempDir(), "shared.db"), "tlim-first."+server.Domain
		yaml := fmt.Sprintf("xmpp: {server: '%s', domain: %s, component: %s, secret: %s}\nstore: {dsn: '%s'}\nhttp: {listen: '127.0.0.1:0'}\nmetrics: {listen: '127.0.0.1:0'}\n",
			server.Component, server.Domain, component, server.Secret, dsn)
		code, said := runServe(t, ctx, yaml, func(_ *os.Process, said func() string) {
			poll(t, ctx, func() bool { return strings.Contains(said(), "link is up") })
			config := lab.ServerConfig(server)
			maps.Copy(config, map[string]any{"store.dsn": dsn, "xmpp.component": "tlim-second." + server.Domain})
			startTlim(t, ctx, lab.TlimOptions{Config: config})
			id := lab.NewID() // the first one learns of it with its next write
			if err := zhangsan.SendMessage(component, id, lab.Text("zhangsan", "lisi", id, "to the deposed one")); err != nil {
				t.Fatal(err)
			}
		})
		if code != exitFenced || strings.Count(said, "another process has taken the database over") != 2 { // the log, and the last word
			t.Errorf("exit code %d\n%s\nwant %d, 2 times \"another process has taken the database over\"", code, said, exitFenced)
		}
	})
}

// keyed is a tlim whose one key comes from a file.
type keyed struct {
	tlim *lab.Tlim
	dir  string
}

func startKeyed(t *testing.T, ctx context.Context, server *lab.Server) keyed {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "key", "old-key-0123456789\n")
	config := lab.ServerConfig(server)
	maps.Copy(config, map[string]any{
		"xmpp.component": "tlim-keyed." + server.Domain,
		"http.keys":      []any{map[string]any{"name": "crm", "key_file": filepath.Join(dir, "key"), "scopes": []any{"admin"}}},
	})
	return keyed{startTlim(t, ctx, lab.TlimOptions{Config: config}), dir}
}

// status calls an endpoint with a key.
func (k keyed) status(t *testing.T, key string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, k.tlim.URL+"/plugins/tlim/findSessions?user_id=zhangsan", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// poll asks until it is so: what a signal does has no answer to wait for.
func poll(t *testing.T, ctx context.Context, so func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !so() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal("what the test waits for did not come to be so, want it in time")
		}
	}
}

func asText(answer map[string]any) string {
	var b strings.Builder
	list, _ := answer["message_list"].([]any)
	for _, m := range list {
		row, _ := m.(map[string]any)
		id, _ := row["msg_id"].(string)
		b.WriteString(id + "\n")
	}
	return b.String()
}

// runServe runs the binary until it ends or stop is called, and returns its exit code and what it said.
func runServe(t *testing.T, ctx context.Context, yaml string, during func(p *os.Process, said func() string)) (int, string) {
	t.Helper()
	binary, err := lab.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	out, err := os.Create(said)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, binary, "serve", "--config", write(t, dir, "tlim.yaml", yaml))
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if during != nil {
		during(cmd.Process, func() string { return readText(t, said) })
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), readText(t, said)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := lab.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// A second signal ends a stop that hangs.
func TestSecondSignalAborts(t *testing.T) {
	app := New(config.Default(), slog.New(slog.DiscardHandler))
	hanging, release := make(chan struct{}), make(chan struct{})
	app.onStop("hanging", func(context.Context) error { close(hanging); <-release; return nil })
	signals := make(chan os.Signal, 1)
	ended := make(chan error, 1)
	go func() { ended <- stopping(app, app.log, signals, testTime) }()
	<-hanging
	signals <- syscall.SIGHUP // is no reason to abort
	signals <- syscall.SIGTERM
	err := <-ended
	close(release)
	var exit exitError
	if !errors.As(err, &exit) || exit.code != exitAbort {
		t.Errorf("got the end %v, want exit code %d", err, exitAbort)
	}
}

// Without a server everything else runs, and /readyz says what is missing.
func TestServeWithoutServer(t *testing.T) {
	ctx := testContext(t)
	metrics, nowhere := freeAddr(t), freeAddr(t)
	code, said := runServe(t, ctx, "xmpp: {server: '"+nowhere+"', domain: im.test, secret: x}\nhttp: {listen: '127.0.0.1:0'}\nmetrics: {listen: '"+metrics+"'}\n",
		func(p *os.Process, said func() string) {
			poll(t, ctx, func() bool { return strings.Contains(said(), "msg=started") })
			var body bytes.Buffer
			poll(t, ctx, func() bool {
				body.Reset()
				resp, err := http.Get("http://" + metrics + "/readyz")
				if err != nil {
					t.Fatal(err)
				}
				_, _ = body.ReadFrom(resp.Body)
				_ = resp.Body.Close()
				return resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(body.String(), nowhere)
			})
			if err := p.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		})
	if code != 0 || !strings.Contains(said, "msg=stopped") {
		t.Errorf("exit code %d\n%s\nwant 0, said with \"msg=stopped\"", code, said)
	}
}

// A start that waits for the database answers operators meanwhile, and ends by a signal; also for one that takes connections and says nothing.
func TestServeWaitsForDatabase(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	for name, c := range map[string]struct{ driver, dsn, address, want string }{
		"not there":         {"mysql", "tlim:hush@tcp(%s)/tlim", freeAddr(t), "refused"},
		"silent":            {"mysql", "tlim:hush@tcp(%s)/tlim", silent.Addr().String(), "gave no answer within"},
		"silent SQL Server": {"sqlserver", "sqlserver://tlim:hush@%s?database=tlim", silent.Addr().String(), "gave no answer within"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := testContext(t)
			metrics := freeAddr(t)
			dsn := fmt.Sprintf(c.dsn, c.address)
			code, said := runServe(t, ctx, "xmpp: {domain: im.test, secret: x}\nstore: {driver: "+c.driver+", dsn: '"+dsn+"', max_wait: 1s}\nhttp: {listen: '127.0.0.1:0'}\nmetrics: {listen: '"+metrics+"'}\n",
				func(p *os.Process, said func() string) {
					poll(t, ctx, func() bool { return strings.Contains(said(), "waiting for the database") })
					resp, err := http.Get("http://" + metrics + "/readyz")
					if err != nil {
						t.Fatal(err)
					}
					var body bytes.Buffer
					_, _ = body.ReadFrom(resp.Body)
					_ = resp.Body.Close()
					for _, want := range []string{c.address, c.want, `"component": "tlim.im.test"`} {
						if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body.String(), want) {
							t.Errorf("/readyz: got %d %s, want 503, body with %q and whose it is", resp.StatusCode, &body, want)
						}
					}
					if err := p.Signal(syscall.SIGTERM); err != nil {
						t.Fatal(err)
					}
				})
			if code != 0 || strings.Contains(said, "hush") || strings.Count(said, "waiting for the database") != 1 {
				t.Errorf("exit code %d\n%s\nwant 0, said without hush, once \"waiting for the database\"", code, said)
			}
		})
	}
}

func TestServeFailsFast(t *testing.T) {
	ctx := testContext(t)
	taken := freeAddr(t)
	busy := &http.Server{Addr: taken}
	listener, err := net.Listen("tcp", taken)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = busy.Serve(listener) }()
	t.Cleanup(func() { _ = busy.Close(); <-done })
	for _, c := range []struct{ name, yaml, want string }{
		{"API's address taken", "http: {listen: '" + taken + "'}\nmetrics: {listen: '127.0.0.1:0'}", "http.listen: another process listens on " + taken + " already: "},
		{"API's address taken while the database is away", "store: {driver: mysql, dsn: 'u:p@tcp(" + freeAddr(t) + ")/im'}\nhttp: {listen: '" + taken + "'}\nmetrics: {listen: '127.0.0.1:0'}", "http.listen: another process listens on " + taken + " already: "},
		{"no such address", "http: {listen: '192.0.2.1:9595'}\nmetrics: {listen: '127.0.0.1:0'}", "http.listen: this machine has no address 192.0.2.1:9595"},
		{"metrics' address taken", "http: {listen: '127.0.0.1:0'}\nmetrics: {listen: '" + taken + "'}", "metrics.listen: another process listens on " + taken + " already: "},
		{"database in no folder", "store: {dsn: none/tlim.db}\nhttp: {listen: '127.0.0.1:0'}\nmetrics: {listen: '127.0.0.1:0'}", "open the sqlite database"},
		{"no certificate", "http: {listen: '127.0.0.1:0', tls: {cert_file: a, key_file: b}}\nmetrics: {listen: '127.0.0.1:0'}", "http.tls: open "},
		{"no authority", "xmpp: {domain: im.test, tls: on, ca_file: none.pem, secret: x}\nhttp: {listen: '127.0.0.1:0'}\nmetrics: {listen: '127.0.0.1:0'}", "xmpp.ca_file: open "},
	} {
		t.Run(c.name, func(t *testing.T) {
			yaml := c.yaml
			if !strings.Contains(yaml, "secret:") {
				yaml = "xmpp: {domain: im.test, secret: x}\n" + yaml
			}
			code, said := runServe(t, ctx, yaml, nil)
			if code != exitFailed || !strings.Contains(said, "tlim: "+c.want) {
				t.Errorf("exit code %d\n%s\nwant %d, said with %q", code, said, exitFailed, "tlim: "+c.want)
			}
			if strings.Contains(said, "the database is away") || strings.Contains(said, "waiting for the database") {
				t.Errorf("the database is blamed:\n%s\nwant said without \"the database is away\", without \"waiting for the database\"", said)
			}
		})
	}
}

// The port of Openfire's old console is named as such.
func TestPortOfTheOldConsole(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:"+consolePort)
	if err == nil { // else somebody else has it, which is as good
		defer listener.Close()
	}
	err = checkListen("http.listen", "127.0.0.1:"+consolePort)
	if err == nil || !strings.Contains(err.Error(), "Openfire's console had this port") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line that tells of Openfire's console", err)
	}
}
