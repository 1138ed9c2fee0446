package system

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// pageTime bounds a run of the pages.
const pageTime = 10 * time.Minute

var webAll = flag.Bool("web.all", false, "TestWebChat, TestWebAdmin: everything that the pages can do, instead of the half minute that CI runs")

// TestWebChat has people use the chat page in a real browser, over BOSH on Openfire 4.2.0 and, in short, over WebSocket on Prosody. The steps are
// httpapi/web/e2e/chat.mjs; their pictures stay below .run/web.
func TestWebChat(t *testing.T) {
	root, chromium := pageTools(t)
	users := []string{"zhangsan", "lisi", "wangwu"}
	options := lab.Options{Users: map[string]string{}}
	for _, user := range users {
		options.Users[user] = password(user)
	}
	for _, c := range []struct {
		name    string
		start   func(context.Context, lab.Options) (*lab.Server, error)
		address func(*lab.Server) string
		bosh    bool
		brief   bool
	}{
		{"openfire by BOSH", lab.StartOpenfire, func(s *lab.Server) string { return s.HTTPBind }, true, !*webAll},
		{"prosody by WebSocket", lab.StartProsody, func(s *lab.Server) string { return s.WebSocket }, false, !*webAll},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Its own, because it is killed.
			server := must[*lab.Server](t)(c.start(within(t, patience), options))
			t.Cleanup(func() { check(t, server.Stop()) })
			config := map[string]any{"web.xmpp_url": c.address(server), "files.access": "strict"}
			tl := startTlim(t, lab.TlimOptions{Config: settings(server, "tlim."+server.Domain, config)})
			check(t, tl.AddUsers(within(t, soon), map[string]string{"zhangsan": "张三", "lisi": "李四", "wangwu": "王五"}))
			p := &pages{t: t, server: server, tlim: tl}
			control := httptest.NewServer(http.HandlerFunc(p.control))
			t.Cleanup(control.Close)
			shots := shotsOf(t, root, server.Kind)
			p.run(map[string]any{
				"url": tl.URL, "key": adminKey, "users": users, "control": control.URL, "shots": shots, "chromium": chromium, "bosh": c.bosh, "brief": c.brief,
			}, filepath.Join(root, "httpapi", "web", "e2e", "chat.mjs"))
		})
	}
}

// maxPage is what a page may weigh, compressed, with all that it ever loads of its own.
const maxPage = 300 << 10

func TestWebWeight(t *testing.T) {
	for _, page := range []string{"chat", "admin"} {
		t.Run(page, func(t *testing.T) {
			root, _ := pageTools(t)
			var packed bytes.Buffer
			w := gzip.NewWriter(&packed)
			files := must[[]string](t)(filepath.Glob(filepath.Join(root, "httpapi", "web", "dist", page, "assets", "*")))
			for _, file := range append(files, filepath.Join(root, "httpapi", "web", "dist", page, "index.html")) {
				w.Reset(&packed) // each by itself, as browsers get them
				must[int](t)(w.Write(must[[]byte](t)(os.ReadFile(file))))
				check(t, w.Close())
			}
			if t.Logf("%s: %d files, %d KiB", page, len(files)+1, packed.Len()>>10); len(files) == 0 || packed.Len() > maxPage {
				t.Errorf("%s: got %d files in assets, %d bytes compressed, want some, at most %d bytes", page, len(files), packed.Len(), maxPage)
			}
		})
	}
}

// pageTools are where a page was built, and the browser.
func pageTools(t *testing.T) (root, chromium string) {
	t.Helper()
	root = must[string](t)(lab.Root())
	// Those that an earlier source made would be tried else. It does nothing when they are built.
	if out, err := exec.CommandContext(within(t, pageTime), filepath.Join(root, "scripts", "web")).CombinedOutput(); err != nil {
		t.Fatalf("scripts/web cannot build the pages: %v\n%s", err, out)
	}
	return root, must[string](t)(exec.LookPath("chromium"))
}

// shotsOf is the folder for a test's pictures.
func shotsOf(t *testing.T, root, name string) string {
	t.Helper()
	shots := filepath.Join(root, ".run", "web", name)
	check(t, os.MkdirAll(shots, 0o755))
	return shots
}

// pages are a run of browsers, which ask for what only their starter can do.
type pages struct {
	t      *testing.T
	server *lab.Server
	tlim   *lab.Tlim
}

func (p *pages) run(world map[string]any, script string) {
	p.t.Helper()
	text := must[[]byte](p.t)(json.Marshal(world))
	ctx := within(p.t, pageTime)
	cmd := exec.CommandContext(ctx, "node", script)
	// A child of it may hold the pipe longer than it lives.
	cmd.WaitDelay = soon
	cmd.Env = append(os.Environ(), "TLIM_WEB_WORLD="+string(text))
	out := must[io.ReadCloser](p.t)(cmd.StdoutPipe())
	var failures strings.Builder
	cmd.Stderr = &failures
	check(p.t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.t.Log(lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		p.t.Errorf("the pages: got %v %s, want no failure; pictures lie in %s", err, failures.String(), world["shots"])
	}
}

// control does what a page asks for.
func (p *pages) control(w http.ResponseWriter, r *http.Request) {
	verb, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	if err := p.do(ctx, verb, what); err != nil {
		http.Error(w, fmt.Sprintf("%s %s: %v", verb, what, err), http.StatusInternalServerError)
	}
}

func (p *pages) do(ctx context.Context, verb, what string) error {
	switch verb + " " + what {
	case "kill server":
		return p.server.Kill()
	case "start server":
		return p.server.Start(ctx)
	case "kill tlim":
		return p.tlim.Kill()
	case "start tlim":
		return p.tlim.Start(ctx)
	}
	switch verb {
	case "revoke":
		return exec.CommandContext(ctx, must[string](p.t)(lab.Build(ctx)), "token", "revoke", what, "--config", filepath.Join(p.tlim.Dir, "tlim.yaml")).Run()
	case "odd":
		c, err := lab.Dial(ctx, p.server.C2S, p.server.Domain, "wangwu", password("wangwu"), "odd", lab.WithAck())
		if err != nil {
			return err
		}
		defer c.Close()
		for i, m := range []map[string]any{
			{"msg_type": "MTT-000", "msg_time": "99999999999999999999", "body": []any{map[string]any{"text": "来自未来"}}},
			{"msg_type": "MTT-constructor", "body": []any{map[string]any{"nothing": 1}}},
			{"msg_type": "MTT-777", "body": []any{map[string]any{"text": "很长 http://x" + strings.Repeat(".", 2_900) + "到此为止", "more": strings.Repeat("x", 40_000)}}},
			{"msg_type": "MTT-778", "body": []any{map[string]any{"text": strings.Repeat("<script>globalThis.xss=12</script><img src=x onerror=globalThis.xss=13>\u202e ", 38)}}},
			{"msg_type": "MTT-002", "body": []any{map[string]any{"fileId": []any{}, "fileName": map[string]any{}, "fileSize": "NaN"}}},
		} {
			envelope := map[string]any{"compress": "0", "encode": "1", "encrypt": "0", "version": "2.1.0", "msg_id": fmt.Sprint("odd-", i), "msg_from": "wangwu", "msg_to": what, "msg_time": "1"}
			maps.Copy(envelope, m)
			if err := c.SendMessage("tlim."+p.server.Domain, fmt.Sprint("odd-", i), string(must[[]byte](p.t)(json.Marshal(envelope)))); err != nil {
				return err
			}
			if _, err := c.WaitFor(ctx, func(got lab.Message) bool { return strings.Contains(got.Body, fmt.Sprint("odd-", i)) }); err != nil {
				return fmt.Errorf("acknowledgement of message %d: %w", i, err)
			}
		}
		return nil
	case "ping":
		jid, err := url.PathUnescape(what)
		if err != nil {
			return err
		}
		// Available, because the server passes answers on to no others.
		c, err := lab.Dial(ctx, p.server.C2S, p.server.Domain, "wangwu", password("wangwu"), "lab", lab.WithPresence("", 0))
		if err != nil {
			return err
		}
		defer c.Close()
		return c.Ping(ctx, jid)
	}
	return fmt.Errorf("%s is not known here", verb)
}
