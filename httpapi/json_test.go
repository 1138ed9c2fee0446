package httpapi

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// TestParamsAsTheyCome: what integrators built against the old server send is taken, and delivered as strict JSON; what programs
// would read differently is refused with the place.
func TestParamsAsTheyCome(t *testing.T) {
	l := newLab(t)
	send := func(path, parameter, value, rest string) answer {
		return l.do(t, "POST", path, "", url.Values{parameter: {value}}.Encode()+rest, "Authorization", "Bearer "+businessKey)
	}
	for given, want := range map[string]string{
		"[{title:'请假',content:'第一行\n第二行'}]":                 `[{"title":"请假","content":"第一行\u000a第二行"}]`,
		"\ufeff[{\"title\":\"a\tb\",\r\n\"type\":015,,}]":   `[{"title":"a\u0009b","type":15}]`,
		`{标题:1,title:undefined,ts:new Date(1600000000000)}`: `[{"标题":1,"title":null,"ts":1600000000000}]`,
		"[{title:'a'}\n{title:'b'}]":                        `[{"title":"a"},{"title":"b"}]`,
		"[ {\"title\" : \"as it is\"} ]":                    `[ {"title" : "as it is"} ]`,
	} {
		t.Run(given, func(t *testing.T) {
			a := send("systemMessage", "params", given, "&msgTo=lisi")
			var call struct{ Body string }
			calls := l.svc.taken()
			if len(calls) != 1 {
				t.Errorf("got %d %s, want 1 call", a.status, a.body)
				return
			}
			if err := json.Unmarshal([]byte(strings.TrimPrefix(calls[0], "Notify ")), &call); err != nil || call.Body != want {
				t.Errorf("%q is made %s, want %s, %v", given, call.Body, want, err)
			}
		})
	}
	for given, want := range map[string]string{
		`[{title:“x”}]`:                  "第 9 个字符",
		`[{title:'x'};]`:                 "第 13 个字符",
		`[{title:.5}]`:                   "第 9 个字符",
		`[{title:"x","t\u0069tle":"y"}]`: "title",
	} {
		t.Run(given, func(t *testing.T) {
			if a := send("systemMessage", "params", given, "&msgTo=lisi"); a.object(t)["result"] != "error-005" || !strings.Contains(a.body, want) {
				t.Errorf("got %s, want error-005, body with %q", a.body, want)
			}
		})
	}
	for given, want := range map[string]string{
		`[{user_id:15748.0}]`:          "15748.0",
		`[{user_id:9007199254740993}]`: "9007199254740993",
		`[{user_id:"a",user_id:"b"}]`:  "user_id",
	} {
		t.Run(given, func(t *testing.T) {
			if a := send("addUser", "userList", given, ""); a.object(t)["result"] != "error-005" || !strings.Contains(a.body, want) {
				t.Errorf("got %s, want error-005, body with %q", a.body, want)
			}
		})
	}
	if a := send("systemMessage", "msgTo", `[1e3]`, "&params=[{title:1}]"); a.object(t)["result"] != "error-005" || !strings.Contains(a.body, "1e3") {
		t.Errorf("msgTo: got %s, want error-005, body with 1e3", a.body)
	}
	if calls := l.svc.taken(); len(calls) != 0 {
		t.Errorf("what was refused did %v, want none", calls)
	}
}
