package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"
)

// TlimOptions say how a tlim is to be.
type TlimOptions struct {
	// Dir is its working folder and holds tlim.yaml, database, key and log; a second start on it finds the first one's. Empty: a new one below .run/lab.
	Dir string
	// YAML is the configuration's text. Listen addresses that it does not give are free ports.
	YAML string
	// Config lies over YAML: values by dotted keys ("xmpp.server") or nested maps.
	Config map[string]any
	// Env is added to the environment, as KEY=VALUE.
	Env []string
	// Unready makes the start return when the process answers /healthz: for tests in which server or database are away.
	Unready bool
	// Within is a command that executes the one behind it somewhere else, such as nsenter.
	Within []string
	// Binary is a tlim to run instead of this checkout's: that of an earlier version.
	Binary string
}

// Tlim is a running `tlim serve`. Its addresses do not change over Restart.
type Tlim struct {
	URL        string // of the API, without path: http://127.0.0.1:port
	MetricsURL string // of /metrics, /healthz, /readyz, without path
	Key        string // for "Authorization: Bearer"; the content of the key file, "" when the configuration names keys itself
	Dir        string
	Log        string // path of the file that gets standard output and error, of all starts

	options TlimOptions
	binary  string
	mu      sync.Mutex
	cmd     *exec.Cmd
	exited  chan struct{} // closed when cmd is gone
	exit    error         // how, then
}

const (
	pollEvery = 20 * time.Millisecond
	// tlim's own bound is shutdown_timeout, 20 s by default.
	tlimStopTimeout = 60 * time.Second
)

// ServerConfig returns the keys that connect tlim with s, as a component tlim.<domain>.
func ServerConfig(s *Server) map[string]any {
	return map[string]any{"xmpp.server": s.Component, "xmpp.domain": s.Domain, "xmpp.component": "tlim." + s.Domain, "xmpp.secret": s.Secret}
}

// StartTlim builds cmd/tlim once per process, starts it and returns when /readyz answers 200. The caller stops it. It dies with this process.
func StartTlim(ctx context.Context, o TlimOptions) (*Tlim, error) {
	var err error
	if o.Binary == "" {
		if o.Binary, err = Build(ctx); err != nil {
			return nil, err
		}
	}
	t := &Tlim{Dir: o.Dir, options: o, binary: o.Binary}
	if t.Dir == "" {
		if t.Dir, err = newDir("tlim"); err != nil {
			return nil, err
		}
	}
	if err := t.configure(); err != nil {
		return nil, err
	}
	if err := t.Start(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

var built struct {
	sync.Mutex
	binary string
}

// Build compiles cmd/tlim into .run/bin, once per process, and returns the binary's path.
func Build(ctx context.Context) (string, error) {
	built.Lock()
	defer built.Unlock()
	if built.binary != "" {
		return built.binary, nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(root, ".run", "bin", "tlim")
	// Put there at once: another process may be running the one before, or building as well.
	fresh := fmt.Sprintf("%s.%d", binary, os.Getpid())
	cmd := exec.CommandContext(ctx, "go", "build", "-o", fresh, "./cmd/tlim")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build cmd/tlim: %w\n%s", err, out)
	}
	if err := os.Rename(fresh, binary); err != nil {
		return "", fmt.Errorf("build cmd/tlim: %w", err)
	}
	built.binary = binary
	return binary, nil
}

// configure writes tlim.yaml.
func (t *Tlim) configure() error {
	config := map[string]any{}
	if err := yaml.Unmarshal([]byte(t.options.YAML), &config); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	for key, value := range t.options.Config {
		set(config, strings.Split(key, "."), value)
	}
	for _, part := range []struct {
		name string
		url  *string
	}{{"http", &t.URL}, {"metrics", &t.MetricsURL}} {
		addr, err := FreeAddr()
		if err != nil {
			return err
		}
		if given, ok := get(config, part.name, "listen").(string); ok {
			addr = given
		}
		set(config, []string{part.name, "listen"}, addr)
		*part.url = "http://" + addr
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := os.MkdirAll(t.Dir, 0o755); err != nil {
		return fmt.Errorf("make tlim's folder: %w", err)
	}
	if t.Dir, err = filepath.Abs(t.Dir); err != nil {
		return fmt.Errorf("tlim's folder: %w", err)
	}
	t.Log = filepath.Join(t.Dir, "log")
	if err := os.WriteFile(filepath.Join(t.Dir, "tlim.yaml"), text, 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	t.options.Config = config
	return nil
}

// set puts value at the path; maps are merged.
func set(config map[string]any, path []string, value any) {
	for _, name := range path[:len(path)-1] {
		next, ok := config[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			config[name] = next
		}
		config = next
	}
	last := path[len(path)-1]
	old, isMap := config[last].(map[string]any)
	if add, ok := value.(map[string]any); ok && isMap {
		maps.Copy(old, add)
		return
	}
	config[last] = value
}

func get(config map[string]any, section, name string) any {
	inside, _ := config[section].(map[string]any)
	return inside[name]
}

// Start starts a stopped or killed tlim again, on its old addresses and data, and returns when it is ready.
func (t *Tlim) Start(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.exited != nil {
		select {
		case <-t.exited:
		default:
			return errors.New("start tlim: it runs")
		}
	}
	log, err := os.OpenFile(t.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start tlim: %w", err)
	}
	defer log.Close()
	begin, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("start tlim: %w", err)
	}
	line := slices.Concat(t.options.Within, []string{t.binary, "serve", "--config", filepath.Join(t.Dir, "tlim.yaml")})
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir = t.Dir
	cmd.Env = append(os.Environ(), t.options.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	// Not left behind when a test panics or is killed.
	endsWithUsAlone(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start tlim: %w", err)
	}
	exited := make(chan struct{})
	t.cmd, t.exited = cmd, exited
	go func() { // ends with the process, for which Stop and Kill wait
		t.exit = cmd.Wait()
		close(exited)
	}()

	path := "/readyz"
	if t.options.Unready {
		path = "/healthz"
	}
	if err := t.await(ctx, path, exited); err != nil {
		_ = cmd.Process.Kill() // an error means that it has ended already
		<-exited
		return fmt.Errorf("start tlim: %w (%v); the end of %s:\n%s", err, cmd.ProcessState, t.Log, tail(t.Log, begin))
	}
	return t.readKey()
}

// await returns when path answers 200, an error when the process ends or ctx does.
func (t *Tlim) await(ctx context.Context, path string, exited <-chan struct{}) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	last := "nothing"
	for {
		status, body, err := t.probe(ctx, path)
		if err == nil && status == http.StatusOK {
			return nil
		}
		if err == nil {
			last = fmt.Sprintf("%d %q", status, body)
		}
		select {
		case <-exited:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("%s answers %s: %w", path, last, ctx.Err())
		case <-ticker.C:
		}
	}
}

func (t *Tlim) probe(ctx context.Context, path string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.MetricsURL+path, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// Ready returns the status and text of /readyz, in English.
func (t *Tlim) Ready(ctx context.Context) (int, string, error) {
	return t.probe(ctx, "/readyz?language=en")
}

// AwaitReady returns when /readyz answers 200 again; an error when the process ends before.
func (t *Tlim) AwaitReady(ctx context.Context) error { return t.await(ctx, "/readyz", t.Exited()) }

// AwaitUnready returns when /readyz answers anything but 200, with what it says.
func (t *Tlim) AwaitUnready(ctx context.Context) (string, error) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		status, body, err := t.Ready(ctx)
		if err != nil {
			return "", fmt.Errorf("/readyz: %w", err)
		}
		if status != http.StatusOK {
			return body, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("/readyz still answers 200: %w", ctx.Err())
		case <-ticker.C:
		}
	}
}

func (t *Tlim) readKey() error {
	file, ok := get(t.options.Config, "http", "key_file").(string)
	if !ok {
		file = "tlim.key"
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(t.Dir, file)
	}
	key, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && get(t.options.Config, "http", "keys") != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read tlim's key: %w", err)
	}
	t.Key = strings.TrimSpace(string(key))
	return nil
}

// PID returns the process id of the running or last process.
func (t *Tlim) PID() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cmd.Process.Pid
}

// Exited returns a channel that is closed when the present process is gone. After a Start it is another one.
func (t *Tlim) Exited() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.exited
}

// Signal sends a signal.
func (t *Tlim) Signal(sig syscall.Signal) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cmd.Process.Signal(sig)
}

// Ended waits for the end of the present process, and returns its exit code.
func (t *Tlim) Ended(ctx context.Context) (int, error) {
	select {
	case <-t.Exited():
		return t.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("it has not ended: %w", ctx.Err())
	}
}

// Kill ends the process by SIGKILL and returns when it is gone. Killing twice is no error.
func (t *Tlim) Kill() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill tlim: %w", err)
	}
	<-t.exited
	return nil
}

// Stop sends SIGTERM and returns when the process is gone. It is an error when it exits with another code than 0, or has to be killed after 60 s. Stopping twice is none.
func (t *Tlim) Stop() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.exited:
		return nil
	default:
	}
	if err := t.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop tlim: %w", err)
	}
	timer := time.NewTimer(tlimStopTimeout)
	defer timer.Stop()
	select {
	case <-t.exited:
	case <-timer.C:
		_ = t.cmd.Process.Kill() // an error means that it has ended in the meantime
		<-t.exited
		return fmt.Errorf("stop tlim: killed, it did not end within %s of SIGTERM", tlimStopTimeout)
	}
	if t.exit != nil {
		return fmt.Errorf("stop tlim: %w; the end of %s:\n%s", t.exit, t.Log, tail(t.Log, 0))
	}
	return nil
}

// Restart stops tlim, if it runs, and starts it again.
func (t *Tlim) Restart(ctx context.Context) error {
	if err := t.Stop(); err != nil {
		return err
	}
	return t.Start(ctx)
}

// tail returns the last 4 KiB of a file, from begin at the earliest.
func tail(path string, begin int64) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	b = b[min(begin, int64(len(b))):]
	return string(bytes.TrimSpace(b[max(0, len(b)-4096):]))
}

// marshal is JSON as parameters of the API carry it.
func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("lab: a parameter that is no JSON: %v", err)) // a mistake in the test itself
	}
	return string(b)
}
