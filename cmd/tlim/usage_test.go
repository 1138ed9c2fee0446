package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReachable(t *testing.T) {
	for address, want := range map[string]string{"127.0.0.1:9596": "127.0.0.1:9596", ":9596": "127.0.0.1:9596", "0.0.0.0:9596": "127.0.0.1:9596",
		"[::]:9596": "127.0.0.1:9596", "[::1]:9596": "[::1]:9596", "im.test:9596": "im.test:9596"} {
		t.Run(address, func(t *testing.T) {
			if got := reachable(address); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

const someMetrics = `# TYPE tlim_http_requests_total counter
tlim_http_requests_total{caller="oa",endpoint="approval",status="200"} 12
tlim_http_requests_total{caller="anonymous",endpoint="findSessions",status="200"} 3
tlim_http_requests_total{caller="oa",endpoint="systemMessage",status="429"} 1e+06
# TYPE tlim_http_keyless_total counter
tlim_http_keyless_total{address="192.0.2.7",endpoint="findSessions",allowed="yes"} 3
tlim_http_keyless_total{address="192.0.2.7",endpoint="approval",allowed="no"} 5
`

func TestKeysUsage(t *testing.T) {
	dir := t.TempDir()
	body := someMetrics
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, body) // the caller is gone when this fails
	}))
	defer server.Close()
	config := write(t, dir, "tlim.yaml", "metrics: {listen: '"+strings.TrimPrefix(server.URL, "http://")+"'}\n")
	code, out, errs := runCommand(t, "keys", "usage", "--config", config)
	want := `CALLER     ENDPOINT       STATUS  CALLS
anonymous  findSessions   200     3
oa         systemMessage  429     1000000
oa         approval       200     12

WITHOUT A KEY, FROM  ENDPOINT      ALLOWED  CALLS
192.0.2.7            approval      no       5
192.0.2.7            findSessions  yes      3
`
	if code != 0 || out != want || errs != "" {
		t.Errorf("%d\n%s\n%s\nwant\n%s", code, out, errs, want)
	}
	var document struct {
		Calls []struct {
			Caller, Endpoint, Status string
			Calls                    int
		}
		Without []struct {
			Address, Endpoint, Allowed string
			Calls                      int
		} `json:"without_key"`
	}
	code, out, errs = runCommand(t, "keys", "usage", "--json", "--config", config)
	if err := json.Unmarshal([]byte(out), &document); err != nil || code != 0 || errs != "" {
		t.Fatalf("got %d, %v, %s\n%s\nwant 0 and JSON", code, err, errs, out)
	}
	if c, w := document.Calls, document.Without; len(c) != 3 || c[1].Caller != "oa" || c[1].Status != "429" || c[1].Calls != 1000000 || len(w) != 2 || w[0].Address != "192.0.2.7" || w[0].Allowed != "no" || w[0].Calls != 5 {
		t.Errorf("got %+v, want the same rows", document)
	}
	body = "# TYPE tlim_http_requests_total counter\ntlim_http_requests_total{caller=\"oa\",endpoint=\"approval\",status=\"200\"} 12\n"
	if code, out, _ = runCommand(t, "keys", "usage", "--config", config); code != 0 || !strings.HasSuffix(out, "\nnobody called without a key\n") {
		t.Errorf("got %d\n%s\nwant 0, out ending in %q", code, out, "\nnobody called without a key\n")
	}
	body = "<html>"
	if code, _, errs = runCommand(t, "keys", "usage", "--config", config); code != exitFailed || !strings.Contains(errs, "are no metrics") {
		t.Errorf(`a web page: got %d %s, want %d and the error "are no metrics"`, code, errs, exitFailed)
	}
	server.Close()
	if code, _, errs = runCommand(t, "keys", "usage", "--config", config); code != exitFailed || !strings.Contains(errs, "does tlim serve run") {
		t.Errorf(`nobody: got %d %s, want %d and the error "does tlim serve run"`, code, errs, exitFailed)
	}
}
