package system

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// told is an event as a business system gets it.
type told struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	MsgID   string `json:"msg_id"`
	From    string `json:"msg_from"`
	To      string `json:"msg_to"`
	Session string `json:"session_id"`
}

// office is a business system that keeps each event that it gets, in the order in which it comes, and refuses what is not signed.
type office struct {
	url, secret string

	mu  sync.Mutex
	got []told
}

func newOffice(t *testing.T) *office {
	o := &office{secret: "the-secret-of-the-office"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil { // the caller was killed in the middle of it
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mac := hmac.New(sha256.New, []byte(o.secret))
		fmt.Fprintf(mac, "%s.%s", r.Header.Get("X-Tlim-Timestamp"), body)
		var call struct{ Events []told }
		if err := json.Unmarshal(body, &call); err != nil || !hmac.Equal([]byte("sha256="+hex.EncodeToString(mac.Sum(nil))), []byte(r.Header.Get("X-Tlim-Signature"))) {
			t.Errorf("got a call with %v, %s, want it signed as documented", r.Header, body)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.got = append(o.got, call.Events...)
	}))
	t.Cleanup(server.Close)
	o.url = server.URL
	return o
}

// stored are the ids of the messages of which it was told that they are stored, in the order of the first time, and how often it was told again.
func (o *office) stored(t *testing.T, mine func(told) bool) (ids []string, again int) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	event := map[string]string{} // of a message
	for _, e := range o.got {
		if e.Kind != "message.stored" || !mine(e) {
			continue
		}
		switch before, known := event[e.MsgID]; {
		case !known:
			event[e.MsgID] = e.ID
			ids = append(ids, e.MsgID)
		case before != e.ID:
			t.Errorf("message %s: got the events %s and %s, want one id", e.MsgID, before, e.ID)
		default:
			again++
		}
	}
	return ids, again
}

// A robot speaks, and a business system is told, while the process is killed again and again: its callers repeat what was not answered, and
// each message is there once and in order; each event comes at least once under one id, in the order of its conversation.
func TestRobotOverKills(t *testing.T) {
	const kills, many = 3, 25 // messages in each conversation between two kills
	o := newOffice(t)
	w := newWorld(t, openfire, map[string]any{"events.webhook.url": o.url, "events.webhook.secret": o.secret, "limits.per_user_rate": 0,
		"http.keys": []map[string]any{{"name": "test", "key": adminKey, "scopes": []string{"admin"}, "robot": map[string]any{"id": "alarm-bot"}}}})
	users := people(t, 3)
	here, absent := users[0], users[1]
	group := w.group(users...)
	await(t, within(t, soon), "the robot to be a member", func() (bool, error) {
		answer, err := w.tlim.Get(within(t, soon), "modifySession", pairs("session_id", group, "subscribers", `[{user_id:"alarm-bot",type:"add"}]`))
		return err == nil && answer["result"] == "ok" && len(answer["skipped"].([]any)) == 0, fmt.Errorf("%v, %w", answer, err)
	})
	phone := w.online(here, "1[android]", lab.WithConfirm())

	type line struct {
		name, parameter, to string
		answered            []string // ids, in the order in which they were sent
		turns               chan struct{}
		done                chan struct{}
	}
	lines := []*line{{name: "one who is there", parameter: "to", to: here}, {name: "one who is absent", parameter: "to", to: absent}, {name: "a group", parameter: "session_id", to: group}}
	var callers sync.WaitGroup
	for _, l := range lines {
		l.turns, l.done = make(chan struct{}), make(chan struct{}, kills*many)
		callers.Go(func() {
			send := func(i int) (id string, ok bool) {
				form := pairs(l.parameter, l.to, "content", fmt.Sprint("line ", i), "idempotency_key", fmt.Sprintf("%s %d", l.name, i))
				for {
					answer, err := w.tlim.Post(t.Context(), "sendMessage", form)
					switch {
					case t.Context().Err() != nil:
						return "", false
					case err == nil && answer["result"] == "ok":
						return answer["msg_id"].(string), true
					case err == nil:
						t.Errorf("%s, message %d: got %v, want ok or no answer", l.name, i, answer)
						return "", false
					}
					<-time.After(20 * time.Millisecond) // as a caller would before it asks again
				}
			}
			for i := range (kills + 1) * many {
				if i%many == 0 {
					<-l.turns // the next kill has been survived
					if i > 0 {
						if id, ok := send(i - 1); ok && id != l.answered[i-1] {
							t.Errorf("%s, message %d: got %s when it was sent again after the kill, want %s as before", l.name, i-1, id, l.answered[i-1])
						}
					}
				}
				id, ok := send(i)
				if !ok {
					return
				}
				l.answered = append(l.answered, id)
				if i%many == many/2 {
					l.done <- struct{}{}
				}
			}
		})
	}
	for range kills {
		for _, l := range lines {
			l.turns <- struct{}{}
		}
		for _, l := range lines {
			select {
			case <-l.done: // half of its messages are stored: the others are under way
			case <-within(t, time.Minute).Done():
				t.Fatalf("%s: got no answers, want %d", l.name, many/2)
			}
		}
		check(t, w.tlim.Kill())
		check(t, w.tlim.Start(within(t, time.Minute)))
	}
	for _, l := range lines {
		l.turns <- struct{}{}
	}
	callers.Wait()

	text := func(i int) string { return fmt.Sprint("line ", i) }
	for _, l := range lines {
		t.Run(l.name, func(t *testing.T) {
			w := w.in(t)
			list := w.rows("findSessionHistory", "session_id", group, "start", "0", "length", "max")
			mine := func(e told) bool { return e.To == group || e.Session == group }
			if l.parameter == "to" {
				list = w.chatHistory(l.to, "alarm-bot")
				mine = func(e told) bool { return e.To == l.to }
			}
			ids := list.ids()
			slices.Reverse(ids) // the oldest first
			if !slices.Equal(ids, l.answered) || len(ids) != (kills+1)*many {
				t.Fatalf("got %d messages in the history and %d answers, want the same %d in the same order", len(ids), len(l.answered), (kills+1)*many)
			}
			for i, row := range slices.Backward(list.List) {
				if n := len(ids) - 1 - i; !strings.Contains(row.Body, `"`+text(n)+`"`) {
					t.Errorf("message %d: got %s, want %q", n, row.Body, text(n))
				}
			}
			var got []string
			var again int
			await(t, within(t, time.Minute), "all events", func() (bool, error) {
				got, again = o.stored(t, mine)
				return len(got) >= len(ids), fmt.Errorf("%d events of %d messages", len(got), len(ids))
			})
			if !slices.Equal(got, ids) {
				t.Errorf("events: got %v, want each message once, in the order of the history %v", got, ids)
			}
			t.Logf("%d messages, %d events came again", len(ids), again)
			if l.to == absent {
				once(t, "the queue of the absent", w.queue(absent), append(slices.Clone(lines[1].answered), lines[2].answered...))
			}
		})
	}
	for _, id := range slices.Concat(lines[0].answered, lines[2].answered) {
		w.receive(phone, id)
	}
}
