package system

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// world is a tlim of a test's own on a shared server.
type world struct {
	t         *testing.T
	server    *lab.Server
	tlim      *lab.Tlim
	component string
	clocks    bool // its processes have clocks of their own
}

var components atomic.Int64

// newComponent is a component name that no other test uses.
func newComponent(s *lab.Server) string {
	if s.Kind == "prosody" { // it knows this one only
		return "tlim." + s.Domain
	}
	return fmt.Sprintf("tlim%d.%s", components.Add(1), s.Domain)
}

// adminKey is given instead of being made, so that it is known before a process is ready that never will be.
const adminKey = "the-key-of-the-system-tests"

// settings are a configuration for a server, without limits that a load would run into.
func settings(s *lab.Server, component string, more map[string]any) map[string]any {
	config := lab.ServerConfig(s)
	config["xmpp.component"] = component
	config["limits.per_user_rate"], config["limits.per_user_inflight"] = 0, 1000
	config["http.keys"] = []map[string]any{{"name": "test", "key": adminKey, "scopes": []string{"admin"}}}
	maps.Copy(config, more)
	return config
}

// onMariaDB are the settings for a database of the test's own.
func onMariaDB(t *testing.T) map[string]any {
	t.Helper()
	return map[string]any{"store.driver": "mysql", "store.dsn": newDatabase(t, must[*lab.Server](t)(mariadb()))}
}

// newWorld starts a tlim with SQLite unless config says otherwise. It is stopped in order with the test, which must succeed.
func newWorld(t *testing.T, server func() (*lab.Server, error), config map[string]any) *world {
	t.Helper()
	s := must[*lab.Server](t)(server())
	w := &world{t: t, server: s, component: newComponent(s)}
	w.tlim = startTlim(t, lab.TlimOptions{Config: settings(s, w.component, config)})
	return w
}

func startTlim(t *testing.T, o lab.TlimOptions) *lab.Tlim {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	must[string](t)(lab.Build(within(t, patience))) // the first time on a machine it compiles a database engine
	tl := must[*lab.Tlim](t)(lab.StartTlim(within(t, time.Minute), o))
	tl.Key = adminKey
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of tlim's log:\n%s", logTail(tl.Log))
		}
		if err := tl.Stop(); err != nil {
			t.Error(err)
		}
	})
	return tl
}

// in is the same for a subtest.
func (w *world) in(t *testing.T) *world {
	c := *w
	c.t = t
	return &c
}

// login dials as user, and closes with the test.
func (w *world) login(user, resource string, opts ...lab.Option) *lab.Client {
	w.t.Helper()
	c := must[*lab.Client](w.t)(w.dial(within(w.t, soon), user, resource, opts...))
	w.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return c
}

func (w *world) dial(ctx context.Context, user, resource string, opts ...lab.Option) (*lab.Client, error) {
	return lab.Dial(ctx, w.server.C2S, w.server.Domain, user, password(user), resource, opts...)
}

// online is a login that tlim knows of when it returns: the client sent its presence there as well, and tlim has read it.
func (w *world) online(user, resource string, opts ...lab.Option) *lab.Client {
	w.t.Helper()
	c := w.login(user, resource, append([]lab.Option{lab.WithPresence("", 0), lab.WithDirected(w.component), lab.WithAck()}, opts...)...)
	check(w.t, c.Ping(within(w.t, soon), w.component))
	return c
}

// group makes the users known and a session of them; the first is its owner.
func (w *world) group(users ...string) string {
	w.t.Helper()
	w.known(users...)
	return must[string](w.t)(w.tlim.AddSession(within(w.t, soon), users[0], users...))
}

func (w *world) known(users ...string) {
	w.t.Helper()
	names := map[string]string{}
	for _, user := range users {
		names[user] = "Name of " + user
	}
	check(w.t, w.tlim.AddUsers(within(w.t, soon), names))
}

// send sends an envelope to the component and waits for its acknowledgement, whose time it returns.
func (w *world) send(c *lab.Client, id, body string) string {
	w.t.Helper()
	check(w.t, c.SendMessage(w.component, id, body))
	return w.acknowledged(c, id)
}

func (w *world) acknowledged(c *lab.Client, id string) (msgTime string) {
	w.t.Helper()
	var code string
	_, err := c.WaitFor(within(w.t, soon), func(m lab.Message) bool {
		if m.Type == "error" && m.ID == id {
			_, _, code = m.Failure()
			return true
		}
		var yes bool
		msgTime, yes = m.Acknowledges(id)
		return yes
	})
	if err != nil || code != "" {
		w.t.Fatalf("%s: got %s %v, want an acknowledgement", id, code, err)
	}
	return msgTime
}

// receive waits for the message of that id.
func (w *world) receive(c *lab.Client, id string) lab.Message {
	w.t.Helper()
	m, err := c.WaitFor(within(w.t, soon), func(m lab.Message) bool { return m.ID == id && m.Type != "error" })
	if err != nil {
		w.t.Fatalf("%s: got %v, want %s", c.JID, err, id)
	}
	return m
}

// refused waits for the error of the message of that id and returns its code, condition and type.
func (w *world) refused(c *lab.Client, id string) (code, condition, errorType string) {
	w.t.Helper()
	m, err := c.WaitFor(within(w.t, soon), func(m lab.Message) bool { return m.ID == id && m.Type == "error" })
	if err != nil {
		w.t.Fatalf("%s: got %v, want an error for %s", c.JID, err, id)
	}
	if m.Body != "" {
		w.t.Errorf("got %s, want an error without a body", m.Raw)
	}
	condition, errorType, code = m.Failure()
	return code, condition, errorType
}

// get calls an endpoint that must answer ok.
func (w *world) get(path string, values ...string) map[string]any {
	w.t.Helper()
	answer := must[map[string]any](w.t)(w.tlim.Get(within(w.t, soon), path, pairs(values...)))
	if answer["result"] != "ok" {
		w.t.Fatalf("%s %v: got %v, want ok", path, values, answer)
	}
	return answer
}

func pairs(values ...string) url.Values {
	form := url.Values{}
	for i := 0; i+1 < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	return form
}

// row is a row of message_list.
type row struct {
	ID     string `json:"msg_id"`
	Type   string `json:"msg_type"`
	From   string `json:"msg_from"`
	To     string `json:"msg_to"`
	Time   string `json:"msg_time"`
	Body   string `json:"body"`
	Group  string `json:"session_id"`
	Status int    `json:"msg_status"`
	Owner  string `json:"delete_user"`
}

type rows struct {
	Result string `json:"result"`
	Total  int    `json:"total"`
	List   []row  `json:"message_list"`
}

func (r rows) ids() []string {
	list := make([]string, 0, len(r.List))
	for _, m := range r.List {
		list = append(list, m.ID)
	}
	return list
}

func (w *world) rows(path string, values ...string) rows {
	w.t.Helper()
	var list rows
	check(w.t, w.tlim.Call(within(w.t, time.Minute), "GET", path, pairs(values...), &list))
	if list.Result != "ok" {
		w.t.Fatalf("%s %v: got %s, want ok", path, values, list.Result)
	}
	return list
}

func (w *world) groupHistory(session string) rows {
	w.t.Helper()
	return w.rows("findSessionHistory", "session_id", session, "start", "0", "length", "max")
}

func (w *world) chatHistory(user, partner string) rows {
	w.t.Helper()
	return w.rows("findChatHistory", "session_id", partner, "user_id", user, "start", "0", "length", "max")
}

// queue reads a user's offline queue and keeps it.
func (w *world) queue(user string) rows {
	w.t.Helper()
	return w.rows("getOffline", "user_id", user, "getThenClear", "1")
}

// takeQueue reads it and clears it.
func (w *world) takeQueue(user string) rows {
	w.t.Helper()
	return w.rows("getOffline", "user_id", user, "getThenClear", "0")
}

func (w *world) unread(user string) bool {
	w.t.Helper()
	data, ok := w.get("hasUnread", "user_id", user)["data"].(bool)
	if !ok {
		w.t.Fatal("hasUnread: got no data, want true or false")
	}
	return data
}

func (w *world) metric(name string) float64 {
	w.t.Helper()
	return lab.Sum(must[map[string]float64](w.t)(w.tlim.Metrics(within(w.t, soon))), name)
}

// seen waits until tlim knows the devices of an unchanged client, which it learns from presence snapshots: a chat state goes to the
// known devices of its receiver, so they have it when they are known. from may be any client.
func (w *world) seen(from *lab.Client, devices ...*lab.Client) {
	w.t.Helper()
	ctx := within(w.t, soon)
	for _, device := range devices {
		user, _, _ := strings.Cut(device.JID, "@")
		await(w.t, ctx, "tlim to know "+device.JID, func() (bool, error) {
			if err := from.Send(`<message type="chat" id="seen" to="` + user + "@" + w.component + `"><composing xmlns="http://jabber.org/protocol/chatstates"/></message>`); err != nil {
				return false, err
			}
			for _, m := range device.Drain() {
				if m.ID == "seen" {
					return true, nil
				}
				if m.Body != "" {
					w.t.Fatalf("%s: got %s before tlim could know it, want nothing", device.JID, m.Raw)
				}
			}
			return false, nil
		})
	}
	// What is still on its way to them.
	id, told := lab.NewID(), map[string]bool{}
	for _, device := range devices {
		user, _, _ := strings.Cut(device.JID, "@")
		if told[user] {
			continue
		}
		told[user] = true
		check(w.t, from.Send(`<message type="chat" id="`+id+`" to="`+user+"@"+w.component+`"><paused xmlns="http://jabber.org/protocol/chatstates"/></message>`))
	}
	for _, device := range devices {
		w.receive(device, id)
		device.Drain()
	}
}

// objects decodes a body that HTTP answers.
func objects(t *testing.T, body string) []map[string]any {
	t.Helper()
	var list []map[string]any
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("got the body %q, %v, want a list of objects", body, err)
	}
	return list
}

// logTail is the end of a log, for the report of a failure.
func logTail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-6000):])
}
