package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// Started as `serve`, the test binary plays tlim's outside, so that StartTlim can be tried without the product.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Exit(double())
	}
	os.Exit(m.Run())
}

func double() int {
	var config struct {
		HTTP    struct{ Listen string }
		Metrics struct{ Listen string }
		XMPP    struct{ Secret, Domain string }
	}
	text, err := os.ReadFile(os.Args[3])
	if err == nil {
		err = yaml.Unmarshal(text, &config)
	}
	if err != nil || config.XMPP.Secret == "" {
		fmt.Println("no xmpp.secret", err)
		return 1
	}
	if err := os.WriteFile("tlim.key", []byte("the key\n"), 0o600); err != nil {
		return 1
	}
	var asked atomic.Int64
	http.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		n := asked.Add(1)
		if n == 2 { // whoever asks again has the first answer
			_ = os.WriteFile("answered", nil, 0o600) // a test that needs it waits for it
		}
		if n < 3 || os.Getenv("DOUBLE") == "never ready" {
			http.Error(w, "link down", http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3\npid %d\n", os.Getpid())
	})
	http.HandleFunc("/plugins/tlim/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer the key" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"result":"ok","path":%q,"method":%q,"user_id":%q}`, r.URL.Path, r.Method, r.FormValue("user_id"))
	})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM) // before anybody can see that it is there
	defer stop()
	for _, addr := range []string{config.HTTP.Listen, config.Metrics.Listen} {
		go func() { fmt.Println(http.ListenAndServe(addr, nil)) }()
	}
	<-ctx.Done()
	if os.Getenv("DOUBLE") == "bad end" {
		fmt.Println("cannot end")
		return 3
	}
	return 0
}

func startDouble(t *testing.T, ctx context.Context, o TlimOptions) (*Tlim, error) {
	t.Helper()
	built.Lock()
	built.binary = os.Args[0]
	built.Unlock()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	tl, err := StartTlim(ctx, o)
	if err == nil {
		t.Cleanup(func() {
			if err := tl.Kill(); err != nil {
				t.Error(err)
			}
		})
	}
	return tl, err
}

func TestStartTlim(t *testing.T) {
	ctx := within(t, time.Minute)
	tl := must[*Tlim](t)(startDouble(t, ctx, TlimOptions{YAML: "xmpp: {domain: im.test}", Config: map[string]any{"xmpp.secret": "s"}}))
	if tl.Key != "the key" {
		t.Errorf(`key %q, want "the key"`, tl.Key)
	}
	for method, call := range map[string]func(context.Context, string, url.Values) (map[string]any, error){"GET": tl.Get, "POST": tl.Post} {
		t.Run(method, func(t *testing.T) {
			answer := must[map[string]any](t)(call(ctx, "findSessions", url.Values{"user_id": {"\u4f60&=;"}}))
			if answer["method"] != method || answer["path"] != "/plugins/tlim/findSessions" || answer["user_id"] != "\u4f60&=;" {
				t.Errorf(`got %v, want path "/plugins/tlim/findSessions", user_id "你&=;"`, answer)
			}
		})
	}
	key := tl.Key
	tl.Key = "wrong"
	var refused *HTTPError
	if _, err := tl.Get(ctx, "findSessions", nil); !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
		t.Errorf("a wrong key: got %v, want status 401", err)
	}
	tl.Key = key
	before := must[map[string]float64](t)(tl.Metrics(ctx))
	if Sum(before, "a") != 5 || int(before["pid"]) != tl.PID() {
		t.Errorf("got the metrics %v, want a 5 in all, pid %d", before, tl.PID())
	}

	address := tl.URL
	if err := tl.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := tl.Start(ctx); err == nil {
		t.Error("it started twice, want an error")
	}
	if err := tl.Kill(); err != nil {
		t.Fatal(err)
	}
	if alive(int(before["pid"])) || alive(tl.PID()) {
		t.Errorf("the process %v or %d is left behind, want both gone", before["pid"], tl.PID())
	}
	if err := tl.Stop(); err != nil {
		t.Errorf("stopping what was killed: got %v, want no error", err)
	}
	if err := tl.Start(ctx); err != nil || tl.URL != address {
		t.Fatalf("started again: got %v, the address %s, want no error, %s as before", err, tl.URL, address)
	}
	if err := tl.AwaitReady(ctx); err != nil {
		t.Error(err)
	}
}

func TestStartTlimFails(t *testing.T) {
	ctx := within(t, time.Minute)
	t.Run("it ends", func(t *testing.T) {
		_, err := startDouble(t, ctx, TlimOptions{})
		if err == nil || !strings.Contains(err.Error(), "no xmpp.secret") || !strings.Contains(err.Error(), "exit status 1") {
			t.Errorf(`without its log: got %v, want an error, error with "no xmpp.secret", with "exit status 1"`, err)
		}
	})
	o := TlimOptions{Config: map[string]any{"xmpp": map[string]any{"secret": "s"}}}
	t.Run("never ready", func(t *testing.T) {
		o := o
		o.Env = []string{"DOUBLE=never ready"}
		o.Dir = t.TempDir()
		patient, giveUp := context.WithCancel(ctx)
		var watch sync.WaitGroup
		defer watch.Wait()
		defer giveUp()
		watch.Go(func() {
			ticker := time.NewTicker(pollEvery)
			defer ticker.Stop()
			for patient.Err() == nil {
				if _, err := os.Stat(filepath.Join(o.Dir, "answered")); err == nil {
					giveUp()
				}
				<-ticker.C
			}
		})
		if _, err := startDouble(t, patient, o); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "link down") {
			t.Errorf(`without the reason: got %v, want %v, error with "link down"`, err, context.Canceled)
		}
		o.Unready = true
		tl := must[*Tlim](t)(startDouble(t, ctx, o))
		if text, err := tl.AwaitUnready(ctx); err != nil || !strings.Contains(text, "link down") {
			t.Errorf(`got %q, %v, want "link down" in it`, text, err)
		}
	})
	t.Run("bad end", func(t *testing.T) {
		o := o
		o.Env = []string{"DOUBLE=bad end"}
		tl := must[*Tlim](t)(startDouble(t, ctx, o))
		if err := tl.Stop(); err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "cannot end") {
			t.Errorf(`stop: got %v, want an error, error with "exit status 3", with "cannot end"`, err)
		}
	})
}

func TestFreePort(t *testing.T) {
	given := map[int]bool{}
	for range 50 {
		port := must[int](t)(FreePort())
		if given[port] || port < minPort || port >= maxPort {
			t.Errorf("got the port %d, want a new one from %d to %d", port, minPort, maxPort-1)
		}
		given[port] = true
	}
}

func TestRoot(t *testing.T) {
	root := must[string](t)(Root())
	if _, err := os.Stat(filepath.Join(root, "scripts", "lab", "tlim_test.go")); err != nil {
		t.Error(err)
	}
}
