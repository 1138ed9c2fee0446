package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tlim/component"
	"tlim/component/protocol"
	"tlim/component/retention"
	"tlim/component/tracking"
	"tlim/store"
)

// stillConsole is the Console of the tests: a process in which everything has happened once.
type stillConsole struct{}

func (stillConsole) State(ctx context.Context) (ProcessState, error) {
	at := testTime.UnixMilli()
	return ProcessState{
		Version: "v2.9.0", Component: "tlim.d.example", Domain: "d.example", Server: "127.0.0.1:5275", Started: at - 3_600_000, Devices: 2,
		Degraded: true, Reasons: []string{"link: the connection to 127.0.0.1:5275 broke; reconnecting"}, Warnings: []string{"indexes are missing"},
		Link:     PartState{State: "lost", Since: at - 3000, Text: "link: the connection to 127.0.0.1:5275 broke; reconnecting", Server: "127.0.0.1:5275", ServerSince: at - 9000, Moved: "refused"},
		Database: DatabaseState{Engine: "sqlite", Version: "3.50.4", OK: true, State: "up", Text: "up", LastCommit: at - 1000},
		Users:    PartState{OK: true, State: "api", Text: "api"},
		Messages: PartState{State: "waiting", Text: "messages: not delivering"},
		Queue:    QueueState{Backlog: 1, InFlight: 12, RowsDue: 2, Unconfirmed: 7, Waiting: 3},
		Pushes:   []ChannelState{{Channel: "jpush", Waiting: 4, Failing: true}},
		Totals:   Totals{Messages: 1200, Deliveries: 6400, Commits: 800, Losses: 1, Refused: 3},
		Samples:  []Sample{{At: at - 5000, Messages: 12.4, Deliveries: 60.2, Commits: 8, CommitMsP99: 2.4, Queue: 3, Sessions: 2}},
		Losses:   []Loss{{At: at - 3000, What: "link", State: "lost", Text: "link: the connection to 127.0.0.1:5275 broke; reconnecting"}},
	}, ctx.Err()
}

func (stillConsole) Callers(ctx context.Context) (Callers, error) {
	return Callers{Since: testTime.UnixMilli(), Calls: []CallerCount{{Caller: "oa", Endpoint: "approval", Status: "200", Calls: 1200}},
		Keyless: []KeylessCount{{Address: "192.168.1.7", Endpoint: "getOffline", Allowed: true, Calls: 400}},
		Unasked: []UnaskedCount{{Class: "web", Clients: 1, Messages: 40}}}, ctx.Err()
}

func (stillConsole) Settings(ctx context.Context) (Settings, error) {
	return Settings{File: "/etc/tlim/tlim.yaml", Keys: []Setting{{Key: "xmpp.server", Source: "file", Value: "127.0.0.1:5275"}, {Key: "xmpp.server_name", Source: "default"}}}, ctx.Err()
}

func (stillConsole) Checks(ctx context.Context, run bool) (Checks, error) {
	at := testTime.UnixMilli()
	return Checks{Started: at - 3000, Ended: at, Warnings: 1, Running: run,
		Lines: []CheckLine{{ID: "server-idle", State: "warning", Text: "idle connections are kept for 6 minutes", Remedy: "set xmpp.component.idle to 60000",
			Chinese: struct{ Text, Remedy string }{"空闲连接保留 6 分钟", "把 xmpp.component.idle 设为 60000"}}, {ID: "other", State: "ok", Text: "words of a driver"}}}, ctx.Err()
}

// What memory holds in the tests: c1 went to lisi, m1 is confirmed by lisi and unconfirmed of zhangsan.
func (r *recorder) Look(msgID string, users []string) (list []tracking.Sight, delivered int64) {
	for _, u := range users {
		s := tracking.Sight{User: u}
		switch msgID + " " + u {
		case "m1 zhangsan":
			s.Where, s.Sent = tracking.CopyAsked, testTime
		case "m1 lisi":
			s.Proof, s.At = tracking.ProofPings, testTime
		case "m2 zhangsan":
			s.Where = tracking.CopyFollows
		}
		list = append(list, s)
	}
	return list, 1544602500000
}

func (r *recorder) Devices(users []string) (list [][]tracking.Device, known bool) {
	for _, u := range users {
		devices := []tracking.Device{}
		if u == "lisi" {
			devices = append(devices, tracking.Device{Resource: "[android]8f3a", Class: "android", Since: testTime}, tracking.Device{Resource: "[web]c1", Class: "web", Show: "away", Since: testTime})
		}
		list = append(list, devices)
	}
	return list, true
}

func (r *recorder) Waiting(user string) []store.OfflineMessage {
	if user != "lisi" {
		return nil
	}
	return goldenOffline[2:]
}

func (r *recorder) CountWaiting(users []string) (counts []int) {
	for _, u := range users {
		counts = append(counts, len(r.Waiting(u)))
	}
	return counts
}

func (r *recorder) Unasking(int) []component.Client {
	return []component.Client{{User: "lisi", Class: "web"}}
}

func (r *recorder) Treatment(msgType string) (stored, queued, pushed bool) {
	return true, !strings.HasSuffix(msgType, "-999"), true
}

func (r *recorder) Refusals(msgID, user string) []component.Refusal {
	list := []component.Refusal{}
	for _, one := range []component.Refusal{
		{At: testTime, MsgID: "r1", Type: "MTT-000", From: "zhangsan", To: "lisi", Why: protocol.AsError(protocol.Refuse(protocol.TooLarge, "text is longer than %d characters", 3000))},
		{At: testTime, MsgID: "r2", From: "wangwu", Why: protocol.AsError(protocol.Refuse(protocol.NotJSON, "the body is not a JSON object"))},
	} {
		if msgID == one.MsgID || msgID == "" && (user == one.From || user == one.To) {
			list = append(list, one)
		}
	}
	return list
}

func (r *recorder) PushTrouble(channel string) string {
	if channel == "jpush" {
		return "jpush: status 500"
	}
	return ""
}

// TestQueueInPages: memory and rows together, in the order of time, each once however small the pages are.
func TestQueueInPages(t *testing.T) {
	s := seeded(t)
	var rows []store.OfflineMessage
	for _, id := range []string{"c1", "c2", "n2"} {
		found, err := s.MessagesByID(t.Context(), []string{id})
		if err != nil || len(found[id]) != 1 {
			t.Fatalf("got %v, %v, want message %s", found, err, id)
		}
		rows = append(rows, store.OfflineMessage{Message: found[id][0], Owner: "lisi"})
	}
	owed := rows[1] // it is in memory, too: a row that was written in between
	rows[1].ID, rows[1].MsgID = "row-twin", "twin"
	apply(t, s, []store.Change{{Offline: rows}})
	memory := []store.OfflineMessage{{Message: owed.Message, Owner: "lisi"}, {Message: store.Message{MsgID: "c1", Time: rows[0].Time}, Owner: "lisi"},
		{Message: store.Message{MsgID: "late", Time: "1544602393099"}, Owner: "lisi"}, {Message: store.Message{MsgID: "early", Time: "1544602393001"}, Owner: "lisi"}}
	l := newLabOf(t, s, &remembering{recorder: &recorder{}, memory: memory})
	for _, limit := range []string{"1", "2", "3", "200"} {
		t.Run("limit="+limit, func(t *testing.T) {
			var got []string
			after := ""
			for range 10 {
				v := l.get(t, "admin/queue", "user_id=lisi&limit="+limit+"&after="+url.QueryEscape(after)).object(t)
				for _, row := range v["queue"].([]any) {
					q := row.(map[string]any)
					got = append(got, q["msg_id"].(string)+"/"+q["state"].(string))
				}
				after, _ = v["next"].(string)
				if after == "" {
					break
				}
			}
			if want := "early/unconfirmed c1/row twin/row c2/unconfirmed n2/row late/unconfirmed"; strings.Join(got, " ") != want {
				t.Errorf("pages of %s: got %s\nwant %s", limit, strings.Join(got, " "), want)
			}
		})
	}
}

// The queue can be read from a time on, in memory and in rows.
func TestQueueFromATime(t *testing.T) {
	s := seeded(t)
	l := newLabOf(t, s, &remembering{recorder: &recorder{}, memory: []store.OfflineMessage{
		{Message: store.Message{MsgID: "early", Time: "1544602393001"}, Owner: "lisi"}, {Message: store.Message{MsgID: "late", Time: "1544602393099"}, Owner: "lisi"}}})
	whole := l.get(t, "admin/queue", "user_id=lisi").object(t)["queue"].([]any)
	for _, at := range []string{"", "1", "1544602393001", "1544602393002", "1544602393021", "1544602393022", "1544602393099", "1544602393100", "9999999999999"} {
		t.Run("at="+at, func(t *testing.T) {
			var want, got []string
			for _, row := range whole {
				q := row.(map[string]any)
				if from, _ := strconv.ParseInt(at, 10, 64); int64(q["msg_time"].(float64)) >= from {
					want = append(want, q["msg_id"].(string))
				}
			}
			after := ""
			for range 10 {
				v := l.get(t, "admin/queue", "user_id=lisi&limit=1&at="+at+"&after="+url.QueryEscape(after)).object(t)
				for _, row := range v["queue"].([]any) {
					got = append(got, row.(map[string]any)["msg_id"].(string))
				}
				if after, _ = v["next"].(string); after == "" {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("from %q: got %v, want %v", at, got, want)
			}
		})
	}
}

// remembering is a recorder with something in memory.
type remembering struct {
	*recorder
	memory []store.OfflineMessage
}

func (r *remembering) Waiting(string) []store.OfflineMessage {
	return append([]store.OfflineMessage{}, r.memory...)
}

// TestListsInPages: each user, group and push once, in pages of any size, also when most rows are not wanted.
func TestListsInPages(t *testing.T) {
	s := seeded(t)
	var pushes []store.Push
	for i, outcome := range []string{"", "sent", "refused", "expired", "dead", "withdrawn", "refused"} {
		for _, channel := range []string{"jpush", "webhook"} {
			id := string(rune('a'+i)) + channel
			pushes = append(pushes, store.Push{ID: id, Channel: channel, MsgID: id, Due: 1600000000000 + int64(i/3), Made: 1600000000000, Tries: i, Done: outcome != "", Outcome: outcome,
				To: []store.PushTo{{User: "lisi", Code: "c"}, {User: "wangwu", Code: "d", Outcome: "sent"}}})
		}
	}
	pushes = append(pushes, store.Push{ID: "z", Channel: "jpush", MsgID: "z", Due: 1600000000009, Made: 1600000000000, Tries: 2, To: []store.PushTo{{User: "lisi", Code: "c"}}})
	apply(t, s, []store.Change{{Message: &store.Message{ID: "row-x", MsgID: "x1", Type: "MTT-000", From: "zhangsan", To: "lisi", SessionID: "zhangsan", Body: "[]", Time: "1544602393077"}, Pushes: pushes}})
	l := newLabOver(t, s)
	for _, c := range []struct{ path, query, list, id, want string }{
		{"admin/users", "", "users", "user_id", "lisi sunqi wangwu"},
		{"admin/users", "text=ls&", "users", "user_id", "lisi"},
		{"admin/users", "text=nobody&", "users", "user_id", ""},
		{"admin/groups", "", "groups", "session_id", "closed g1 g2 one"},
		{"admin/groups", "text=zhangsan&", "groups", "session_id", "closed g1 one"},
		{"admin/group", "session_id=g1&", "members", "user_id", "lisi zhangsan"},
		{"admin/pushes", "state=waiting&", "pushes", "push_id", "ajpush z awebhook"},
		{"admin/pushes", "state=failing&", "pushes", "push_id", "z"},
		{"admin/pushes", "state=failed&", "pushes", "push_id", "gjpush ejpush djpush cjpush gwebhook ewebhook dwebhook cwebhook"},
	} {
		t.Run(c.path+"?"+c.query, func(t *testing.T) {
			for _, limit := range []string{"1", "2", "3", "50"} {
				var got []string
				after := ""
				for range 20 {
					a := l.get(t, c.path, c.query+"limit="+limit+"&after="+url.QueryEscape(after))
					if a.status != http.StatusOK {
						t.Fatalf("%s: got %d %s, want 200", c.path, a.status, a.body)
					}
					v := a.object(t)
					for _, row := range v[c.list].([]any) {
						got = append(got, row.(map[string]any)[c.id].(string))
					}
					if after, _ = v["next"].(string); after == "" {
						break
					}
				}
				if strings.Join(got, " ") != c.want || after != "" {
					t.Errorf("%s?%s in pages of %s: got %q, next %q, want %q, none", c.path, c.query, limit, strings.Join(got, " "), after, c.want)
				}
			}
		})
	}
}

// TestBadCursors: what is no place of a page is refused by name.
func TestBadCursors(t *testing.T) {
	l := newLab(t)
	for _, v := range []string{"x", "e30", "W10", "%00", strings.Repeat("A", 5000)} {
		t.Run(fmt.Sprintf("%.20s", v), func(t *testing.T) {
			for _, path := range []string{"admin/queue", "admin/pushes"} {
				a := l.get(t, path, "user_id=lisi&after="+v)
				if a.status == http.StatusOK && v != "e30" && !strings.Contains(a.body, "error-012") || a.status >= 500 {
					t.Errorf("%s after=%.20s: got %d %s, want it refused", path, v, a.status, a.body)
				}
			}
		})
	}
}

// TestNoConsole: the endpoints about the process say later, not never, while there is nothing to ask.
func TestNoConsole(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Console = nil })
	for _, path := range []string{"admin/state", "admin/callers", "admin/config", "admin/doctor"} {
		t.Run(path, func(t *testing.T) {
			if a := l.get(t, path, ""); a.status != http.StatusServiceUnavailable {
				t.Errorf("%s: got %d %s, want 503", path, a.status, a.body)
			}
		})
	}
}

// brokenCleanup is a Cleanup that can do nothing now.
type brokenCleanup struct{ err error }

func (brokenCleanup) State() retention.State        { return retention.State{} }
func (b brokenCleanup) Count(context.Context) error { return b.err }
func (b brokenCleanup) Start(context.Context, store.AuditEvent) (retention.Progress, error) {
	return retention.Progress{}, b.err
}
func (b brokenCleanup) Stop(context.Context, store.AuditEvent) error { return b.err }

// TestNoCleanup: calls about a clean-up that cannot be made now, whatever keeps it, or that nobody makes, may be repeated later.
func TestNoCleanup(t *testing.T) {
	for name, cleanup := range map[string]Cleanup{"nobody": nil, "not serving": brokenCleanup{retention.ErrAway}, "the audit log takes nothing": brokenCleanup{errors.New("disk full")}} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, func(c *Config) { c.Cleanup = cleanup })
			for _, a := range []answer{l.get(t, "admin/cleanup", "count=1"), l.post(t, "admin/cleanup/run", ""), l.post(t, "admin/cleanup/stop", "")} {
				if a.status != http.StatusServiceUnavailable {
					t.Errorf("got %d %s, want 503", a.status, a.body)
				}
			}
		})
	}
}

// TestMadeAt: ids of version 7 tell when they were made, others do not.
func TestMadeAt(t *testing.T) {
	for id, want := range map[string]int64{"01753ab9-4400-7000-8000-00000c000000": 1603008021504, "01753ab9-4400-4000-8000-00000c000000": 0, "": 0, "42": 0,
		"zz753ab9-4400-7000-8000-00000c000000": 0, "-1753ab9-44007000-8000-000000c0000000": 0} {
		t.Run(fmt.Sprintf("%q", id), func(t *testing.T) {
			if got := madeAt(id); got != want {
				t.Errorf("%q: got %d, want %d", id, got, want)
			}
		})
	}
}

// TestMasked: of a registration enough is shown to tell two apart, of a short one nothing.
func TestMasked(t *testing.T) {
	for code, want := range map[string]string{"": "", "short": "*****", "1a0018970aaf27": "1a00…af27"} {
		t.Run(fmt.Sprintf("%q", code), func(t *testing.T) {
			if got := masked(code); got != want {
				t.Errorf("%q: got %q, want %q", code, got, want)
			}
		})
	}
}
