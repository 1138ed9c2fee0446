package system

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// differs starts those whose other keys are not the leader's. They are named, and nothing of the values is told; where a machine may differ, nothing is said.
func differs(t *testing.T, begin func(*testing.T, map[string]any, ...string) *lab.Tlim) {
	t.Helper()
	for _, c := range []struct {
		name   string
		change map[string]any
		want   string // keys; "": nothing is said
	}{
		{"a machine of its own", map[string]any{"log.level": "debug", "shutdown_timeout": "9s", "http.key_file": "other.key", "store.max_open": 8}, ""},
		{"much", map[string]any{
			"xmpp.secret": "not-the-same", "http.language": "zh", "presence.interval": "3s", "limits.body": "32KiB", "receipts.server": "always",
			"push.content": "hidden", "http.keys": []map[string]any{{"name": "test", "key": adminKey + "2", "scopes": []string{"admin"}}},
		}, "http.keys, http.language, limits.body, presence.interval, push.content, receipts.server, xmpp.secret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			standby := begin(t, c.change, "TZ=Asia/Shanghai")
			var said []string
			await(t, within(t, time.Minute), "the standby to have been compared", func() (bool, error) {
				_, text, err := standby.Ready(within(t, soon))
				var r struct {
					Role     string
					Other    struct{ Alive bool }
					Warnings []string
				}
				err = errors.Join(err, json.Unmarshal([]byte(text), &r))
				said = slices.DeleteFunc(r.Warnings, func(w string) bool { return !strings.HasPrefix(w, "standby.enabled: ") })
				return strings.Contains(logTail(standby.Log), `msg="standing by" leader=`) && r.Other.Alive, errors.Join(err, errors.New(text))
			})
			if c.want == "" {
				if len(said) > 0 {
					t.Errorf("got %q, want nothing said", said)
				}
				return
			}
			if len(said) != 1 || !strings.Contains(said[0], " differ in "+c.want+"; ") {
				t.Errorf("got %q, want the keys %s", said, c.want)
			}
			diagnose(t, standby.Dir).finds(t, "process", "warning", c.want, "tlim.yaml")
			if log := logTail(standby.Log); !strings.Contains(log, "differ in "+c.want) || strings.Contains(log, "not-the-same") {
				t.Errorf("got the log\n%s\nwant the keys in it, and no secret", log)
			}
		})
	}
}
