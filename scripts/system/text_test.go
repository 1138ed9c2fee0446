package system

import (
	"encoding/json"
	"strings"
	"testing"

	"tlim/scripts/lab"
)

// Emoji and 3,000 Chinese characters come through the server to the receiver byte for byte, and back from history and queue, on
// both engines. Bodies that are no strict JSON are copied as they are and stored as strict JSON.
func TestTexts(t *testing.T) {
	for name, config := range map[string]func(*testing.T) map[string]any{
		"sqlite":  func(*testing.T) map[string]any { return nil },
		"mariadb": onMariaDB,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, openfire, config(t))
			users := people(t, 3)
			me, friend, absent := users[0], users[1], users[2]
			session := w.group(me, friend, absent)
			sender, receiver := w.online(me, "1"), w.online(friend, "1")
			envelope := func(id, body string) string {
				return ` {  "msg_id": "` + id + `", "msg_type" : "MTS-000", "msg_from":"` + me + `", "x_unknown":{"b":[1.50,null],"a":"\u4f60"},` +
					"\n\t" + `"msg_to":"` + session + `","msg_time":"1","body":` + body + `,"version":"2.1.0", "compress":"0" } `
			}
			long := strings.Repeat("汉字测试文本", 500)
			for _, c := range []struct{ name, body, stored string }{
				{name: "3,000 Chinese characters", body: `[{"text":"` + long + `","session_id":"%"}]`},
				{name: "emoji", body: `[{"text":"😀👩‍👩‍👧‍👦🇨🇳𠮷","session_id":"%"}]`},
				{name: "escapes stay escapes", body: `[{"text":"\u4f60\ud83d\ude00\/\n","session_id":"%"}]`},
				{name: "blanks and order stay", body: `[ { "z" : 1 , "text" : "<a href='x'>&amp;</a>" , "session_id" : "%" , "a" : [ ] } ]`},
				{name: "numbers as written", body: `[{"text":"x","n":1.10e+02,"session_id":"%"}]`},
				{name: "a body in a string", body: `"[{\"text\":\"😀 \\\"x\\\"\",\"session_id\":\"%\"}]"`, stored: `[{"text":"😀 \"x\"","session_id":"%"}]`},
				{name: "right to left and combining", body: `[{"text":"שלום é ﷺ \u202e","session_id":"%"}]`},
			} {
				t.Run(c.name, func(t *testing.T) {
					w := w.in(t)
					id := lab.NewID()
					body := envelope(id, strings.ReplaceAll(c.body, "%", session))
					stored := c.stored
					if stored == "" {
						stored = c.body
					}
					stored = strings.ReplaceAll(stored, "%", session)
					w.send(sender, id, body)
					if got := w.receive(receiver, id); got.Body != body {
						t.Errorf("got the body\n%s\nwant it as it was sent\n%s", got.Body, body)
					}
					row := w.rows("findSessionHistory", "session_id", session, "start", "0", "length", "1")
					if len(row.List) != 1 || row.List[0].ID != id || row.List[0].Body != stored {
						t.Errorf("history: %+v\nwant %s", row.List, stored)
					}
					queue := w.takeQueue(absent)
					if len(queue.List) != 1 || queue.List[0].ID != id || queue.List[0].Body != stored {
						t.Errorf("queue: %+v\nwant %s", queue.List, stored)
					}
				})
			}
			t.Run("lenient", func(t *testing.T) {
				w := w.in(t)
				id := lab.NewID()
				body := `{msg_id:'` + id + `',msg_type:'MTS-000',msg_from:'` + me + `',msg_to:'` + session + `',msg_time:1599218283837,body:[{text:'it\'s 😀` + "\n" + `',,session_id:'` + session + `',},],}`
				strict := `{"msg_id":"` + id + `","msg_type":"MTS-000","msg_from":"` + me + `","msg_to":"` + session + `","msg_time":1599218283837,"body":[{"text":"it's 😀\u000a","session_id":"` + session + `"}]}`
				w.send(sender, id, body)
				if got := w.receive(receiver, id); got.Body != strict {
					t.Errorf("sent\n%s\ngot\n%s\nwant\n%s", body, got.Body, strict)
				}
				row := w.rows("findSessionHistory", "session_id", session, "start", "0", "length", "1")
				if len(row.List) != 1 || row.List[0].ID != id || !json.Valid([]byte(row.List[0].Body)) || objects(t, row.List[0].Body)[0]["text"] != "it's 😀\n" {
					t.Errorf(`history: got %+v, want %q alone, in strict JSON, with the text "it's 😀" and a newline`, row.List, id)
				}
			})
			t.Run("opaque", func(t *testing.T) {
				w := w.in(t)
				id := lab.NewID()
				body := `{"compress":"1","encrypt":"1","version":"2.1.0","msg_id":"` + id + `","msg_type":"MTS-000","msg_from":"` + me + `","msg_to":"` + session + `","msg_time":"1","body":"H4sIAAA=😀"}`
				w.send(sender, id, body)
				if got := w.receive(receiver, id); got.Body != body {
					t.Errorf("got the body\n%s\nwant it as it was sent\n%s", got.Body, body)
				}
				var answer struct {
					List []map[string]any `json:"message_list"`
				}
				check(t, w.tlim.Call(within(t, soon), "GET", "findSessionHistory", pairs("session_id", session, "start", "0", "length", "1"), &answer))
				if len(answer.List) != 1 || answer.List[0]["body"] != "H4sIAAA=😀" || answer.List[0]["compress"] != "1" || answer.List[0]["encrypt"] != "1" {
					t.Errorf(`history: got %v, want one row with the body "H4sIAAA=😀", compressed and encrypted`, answer.List)
				}
			})
		})
	}
}
