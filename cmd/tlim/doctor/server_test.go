package doctor

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tlim/cmd/tlim/config"
	"tlim/component/openfire"
	"tlim/store"
)

// The versions that cannot be had for a test: what is known of each is said of it, and of no other.
func TestVersions(t *testing.T) {
	for text, want := range map[string]struct {
		status Status
		seen   string
	}{
		"4.1.6": {Warning, "older than what tlim was tried with"}, "4.2.0": {Warning, "does not escape namespaces"}, "4.7.5": {Warning, "does not escape namespaces"},
		"4.8.0": {Failure, "OF-2814"}, "4.8.1": {Failure, "OF-2814"}, "4.8.2": {Warning, "OF-2872"}, "4.8.3": {Warning, "OF-2872"},
		"4.9.0": {}, "4.9.2": {}, "5.0.5": {}, "5.1.1 Release": {}, "5.2.0-SNAPSHOT": {},
	} {
		t.Run(text, func(t *testing.T) {
			found := faultsOf(readVersion(text))
			if want.status == "" {
				if len(found) > 0 {
					t.Errorf("got %+v, want nothing", found)
				}
				return
			}
			for _, f := range found {
				if f.Status == want.status && strings.Contains(f.Seen, want.seen) && f.Remedy != "" {
					return
				}
			}
			t.Errorf("got %+v, want %s with %q", found, want.status, want.seen)
		})
	}
}

// What server-to-server means depends on the version.
func TestFederation(t *testing.T) {
	for name, c := range map[string]struct {
		version version
		state   openfire.Federation
		err     error
		blocked bool
		want    Status
	}{
		"off with 4.2":           {version{4, 2, 3}, openfire.Alone, nil, false, Failure},
		"on with 4.2":            {version{4, 2, 3}, openfire.Federated, nil, false, OK},
		"off with 4.9":           {version{4, 9, 2}, openfire.Alone, nil, false, OK},
		"on with 4.9":            {version{4, 9, 2}, openfire.Federated, nil, false, Warning},
		"on with 4.9, blocked":   {version{4, 9, 2}, openfire.Federated, nil, true, OK},
		"an answer of no use":    {version{4, 9, 2}, openfire.Untold, nil, false, Skipped},
		"no answer":              {version{4, 9, 2}, openfire.Untold, errors.New("late"), false, Warning},
		"no answer, not for 4.2": {version{4, 2, 3}, openfire.Untold, errors.New("late"), false, Warning},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Site{Config: config.Config{XMPP: config.XMPP{Component: "tlim.im.test"}}}
			if c.blocked {
				s.console = &store.OpenfireSettings{Servers: map[string]bool{"tlim.im.test": false}}
			}
			if got := s.judgeFederation(c.version, c.state, c.err); got[0].Status != c.want {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
}

// A component's name that the name service knows is named, with what is there.
func TestRecord(t *testing.T) {
	s := &Site{Config: config.Config{XMPP: config.XMPP{Component: "localhost"}}}
	if got := s.checkDNS(t.Context()); got[0].Status != Warning || !strings.Contains(got[0].Seen, "127.0.0.1") || !strings.Contains(got[0].Remedy, "remove the record") {
		t.Errorf("got %+v, want a warning with the address and its remedy", got)
	}
}

// The old plugin is told from a tlim and from a console that has none of it.
func TestPlugin(t *testing.T) {
	for name, c := range map[string]struct {
		answers map[string]string // by path; all else is not found
		want    Status
	}{
		"the plugin":           {map[string]string{"/plugins/tlim/findSessions": `{"result":"0","result_detail":"","list":[]}`}, Failure},
		"a tlim":               {map[string]string{"/plugins/tlim/findSessions": `{"result":"1","result_detail":"no key"}`, "/plugins/tlim/openapi.json": `{"openapi":"3.1.0"}`}, OK},
		"a console alone":      {nil, OK},
		"a console's own page": {map[string]string{"/plugins/tlim/findSessions": `<html>log in</html>`}, OK},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if text, there := c.answers[r.URL.Path]; there {
					_, _ = w.Write([]byte(text)) // the caller fails then
					return
				}
				http.NotFound(w, r)
			}))
			defer server.Close()
			s := &Site{Consoles: []string{"127.0.0.1:1", strings.TrimPrefix(server.URL, "http://")}}
			got := s.checkPlugin(t.Context())
			if got[0].Status != c.want || c.want == Failure && !strings.Contains(got[0].Remedy, "Plugins") {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
}
