package system

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlim/component/doubles"
	"tlim/scripts/lab"
)

// A tlim with a wrong xmpp.domain is never ready, and /readyz and the log say so: a server takes the component all the same.
func TestWrongDomain(t *testing.T) {
	t.Parallel() // it waits for most of its time
	for _, c := range []struct {
		name              string
		server            func() (*lab.Server, error)
		domain, component string // of component: %s is the server's domain
		text              string
	}{
		{"another domain, Openfire", openfire, "chat.example", "", "calls itself im.test, and xmpp.domain says chat.example: set xmpp.domain to im.test"},
		{"its parent, Openfire", openfire, "test", "tlim-parent.%s", "calls itself im.test, and xmpp.domain says test: set xmpp.domain to im.test"},
		{"a part of it, Openfire", openfire, "chat.im.test", "", "calls itself im.test, and xmpp.domain says chat.im.test: set xmpp.domain to im.test"},
		{"its parent, Prosody", prosody, "test", "tlim.%s", "does not answer for test: its domain is probably not what xmpp.domain says"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each waits for most of its time
			s := must[*lab.Server](t)(c.server())
			metrics := must[string](t)(lab.FreeAddr())
			component := c.component
			if component != "" {
				component = fmt.Sprintf(component, s.Domain)
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "tlim.yaml")
			check(t, os.WriteFile(file, fmt.Appendf(nil, "xmpp: {server: '%s', domain: %s, component: '%s', secret: %s}\nhttp: {listen: '127.0.0.1:0'}\nmetrics: {listen: '%s'}\nlog: {format: json}\n",
				s.Component, c.domain, component, s.Secret, metrics), 0o600))
			binary := must[string](t)(lab.Build(within(t, patience)))
			var log doubles.Log
			tlim := exec.Command(binary, "serve", "--config", file)
			tlim.Stderr = &log
			check(t, tlim.Start())
			defer func() {
				check(t, tlim.Process.Signal(syscall.SIGTERM))
				_ = tlim.Wait() // its code is not what is tested
			}()
			ctx := within(t, time.Minute)
			var said time.Time
			await(t, ctx, "the log to name the domain", func() (bool, error) {
				at, err := logged(log.String(), `"reason":"domain"`)
				said = at
				return err == nil, err
			})
			began := must[time.Time](t)(logged(log.String(), `"msg":"starting"`))
			t.Logf("said %v after the start", said.Sub(began))
			for range 3 { // it stays so, whatever is tried meanwhile
				ready, text := readiness(t, ctx, metrics)
				if ready || !strings.Contains(text, c.text) || !strings.Contains(text, `"state": "domain"`) {
					t.Errorf("/readyz: got %v %s, want it not ready, with %q and %q in the text", ready, text, c.text, `"state": "domain"`)
				}
				pause := time.NewTimer(2500 * time.Millisecond)
				select {
				case <-pause.C:
				case <-ctx.Done():
				}
			}
			if n := strings.Count(log.String(), `"link is down"`); n != 1 {
				t.Errorf("said %d times:\n%s\nwant 1", n, log.String())
			}
		})
	}
}

func readiness(t *testing.T, ctx context.Context, address string) (ready bool, text string) {
	t.Helper()
	request := must[*http.Request](t)(http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz?language=en", nil))
	response := must[*http.Response](t)(http.DefaultClient.Do(request))
	defer response.Body.Close()
	var answer json.RawMessage
	check(t, json.NewDecoder(response.Body).Decode(&answer))
	return response.StatusCode == http.StatusOK, string(answer)
}

// logged is the time of the first line of a log that holds a text.
func logged(log, text string) (time.Time, error) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, text) {
			var stamp struct{ Time time.Time }
			err := json.Unmarshal([]byte(line), &stamp)
			return stamp.Time, err
		}
	}
	return time.Time{}, fmt.Errorf("no line with %s", text)
}
