package component

import (
	"strings"
	"testing"

	"tlim/component/stanza"
)

// TestOneReading: what a JavaScript client would read otherwise than the server did is refused, and what is no strict JSON goes on
// as strict JSON.
func TestOneReading(t *testing.T) {
	h := start(t, nil)
	g1, g2 := h.makeGroup("15748", "15748", "lisi"), h.makeGroup("lisi", "lisi")
	chat := func(fields string) string { return `{"msg_type":"MTT-000",` + fields + `}` }
	for name, c := range map[string]struct{ env, want string }{
		"a number":          {chat(`"msg_id":1,"msg_from":15748,"msg_to":5,"body":[]`), "acknowledgement"},
		"with a fraction":   {chat(`"msg_id":"a","msg_from":15748.0,"msg_to":"lisi","body":[]`), "error-005"},
		"with an exponent":  {chat(`"msg_id":"a","msg_from":"15748","msg_to":1e3,"body":[]`), "error-005"},
		"too long to count": {chat(`"msg_id":9007199254740993,"msg_from":"15748","msg_to":"lisi","body":[]`), "error-005"},
		"minus zero":        {chat(`"msg_id":"a","msg_from":"15748","msg_to":-0,"body":[]`), "error-005"},
		"a message number":  {`{"msg_id":"a","msg_type":"MTT-100","msg_from":"15748","msg_to":"lisi","body":[{"msg_id":1.0}]}`, "error-005"},
		"a session number":  {`{"msg_id":"a","msg_type":"MTS-000","msg_from":"15748","msg_to":"lisi","body":[{"session_id":1e0}]}`, "error-005"},
		"a user number":     {`{"msg_id":"a","msg_type":"MTS-103","msg_from":"15748","msg_to":"x","body":[{"session_id":"x","subscribers":[{"user_id":5.0}]}]}`, "error-005"},
		"a text twice":      {chat(`"msg_id":"a","msg_from":"15748","msg_to":"lisi","body":[{"text":"x","text":"y"}]`), "error-005"},
		"by an escape":      {chat(`"msg_id":"a","msg_from":"15748","msg_to":"lisi","body":"[{\"text\":\"x\",\"te\\u0078t\":\"y\"}]"`), "error-005"},
		"a field twice":     {chat(`"x":1,"msg_id":"a","msg_from":"15748","msg_to":"lisi","body":[],"x":2`), "error-005"},
		"a control":         {chat(`"msg_id":"a\nb","msg_from":"15748","msg_to":"lisi","body":[]`), "error-005"},
		"a control inside":  {`{"msg_id":"a","msg_type":"MTT-100","msg_from":"15748","msg_to":"lisi","body":[{"msg_id":"a\u0000"}]}`, "error-005"},
		"two groups":        {`{"msg_id":"a","msg_type":"MTS-000","msg_from":"15748","msg_to":"` + g2 + `","body":[{"session_id":"` + g1 + `","text":"x"}]}`, "error-006"},
		"their own id":      {`{"msg_id":"b","msg_type":"MTS-000","msg_from":"15748","msg_to":"15748","body":[{"session_id":"` + g1 + `","text":"x"}]}`, "acknowledgement"},
		"no group's id":     {`{"msg_id":"c","msg_type":"MTS-000","msg_from":"15748","msg_to":"undefined","body":[{"session_id":"` + g1 + `","text":"x"}]}`, "acknowledgement"},
		"a receipt's":       {`{"msg_id":"d","msg_type":"MTS-100","msg_from":"15748","msg_to":"lisi","body":[{"session_id":"` + g1 + `","msg_id":"m"}]}`, "acknowledgement"},
	} {
		t.Run(name, func(t *testing.T) {
			h.send("15748/p", c.env)
			if _, posts := h.sender.take(); refusals(posts) != c.want {
				t.Errorf("got %s, want %s", refusals(posts), c.want)
			}
		})
	}

	// An opaque group message is routed by its address: what it says otherwise must say the same.
	opaque := func(id, to, body string) string {
		return `{"msg_id":"` + id + `","encrypt":"1","msg_type":"MTS-000","msg_from":"15748","msg_to":"` + to + `","body":` + body + `}`
	}
	for name, c := range map[string]struct{ env, want string }{
		"as it should":       {opaque("o1", g1, `"H4sIAAA="`), "acknowledgement"},
		"their own id":       {opaque("o2", "15748", `"H4sIAAA="`), "acknowledgement"},
		"another in msg_to":  {opaque("o3", g2, `"H4sIAAA="`), "error-006"},
		"another in a body":  {opaque("o4", g1, `[{"session_id":"`+g2+`"}]`), "error-006"},
		"in a body's string": {opaque("o5", g1, `"[{session_id:'`+g2+`'}]"`), "error-006"},
		"in an object":       {opaque("o6", g1, `{"session_id":"`+g2+`"}`), "error-006"},
		"in the second":      {opaque("o7", g1, `[{"session_id":"`+g1+`"},{"session_id":"`+g2+`"}]`), "error-006"},
		"twice":              {opaque("o8", g1, `[{"session_id":"`+g1+`","session_id":"`+g2+`"}]`), "error-005"},
		"the same":           {opaque("o9", g1, `[{"session_id":"`+g1+`"}]`), "acknowledgement"},
	} {
		t.Run("opaque, "+name, func(t *testing.T) {
			h.sendRaw("15748/p", g1+"@"+testComponent, `<tlim xmlns="im.itonglian.com" ack="1"/><body>`+string(stanza.AppendEscaped(nil, c.env))+"</body>")
			if _, posts := h.sender.take(); refusals(posts) != c.want {
				t.Errorf("got %s, want %s", refusals(posts), c.want)
			}
		})
	}
}

// TestStrictForm: pages JSON.parse what they get, so what is written leniently goes on, and is stored, in its strict form.
func TestStrictForm(t *testing.T) {
	h := start(t, nil)
	h.blind()
	for id, c := range map[string]struct{ env, text, body string }{
		"s1": {"\ufeff{msg_id:'s1',msg_type:'MTT-000',,msg_from:'zhangsan',msg_to:'lisi',body:[{text:'two\nlines',n:undefined,}]}",
			`{"msg_id":"s1","msg_type":"MTT-000","msg_from":"zhangsan","msg_to":"lisi","body":[{"text":"two\u000alines","n":null}]}`, `[{"text":"two\u000alines","n":null}]`},
		"s2": {`{ "msg_id":"s2","msg_type":"MTT-000","msg_from":"zhangsan","msg_to":"lisi","body":"[{text:'a\nb'}]", "z":1.50 }`,
			`{ "msg_id":"s2","msg_type":"MTT-000","msg_from":"zhangsan","msg_to":"lisi","body":"[{\"text\":\"a\\u000ab\"}]", "z":1.50 }`, `[{"text":"a\u000ab"}]`},
		"s3": {`{ "msg_id":"s3","msg_type":"MTT-000","msg_from":"zhangsan","msg_to":"lisi","body":"[ {\"text\":\"a\"} ]" }`,
			`{ "msg_id":"s3","msg_type":"MTT-000","msg_from":"zhangsan","msg_to":"lisi","body":"[ {\"text\":\"a\"} ]" }`, `[ {"text":"a"} ]`},
		"s4": {`{msg_id:"s4","encrypt":1,"msg_type":"MTT-000","msg_from":"zhangsan","msg_to":"lisi","body":'[{opaque:"'}`,
			`{"msg_id":"s4","encrypt":1,"msg_type":"MTT-000","msg_from":"zhangsan","msg_to":"lisi","body":"[{opaque:\""}`, `[{opaque:"`},
	} {
		t.Run(id, func(t *testing.T) {
			h.rec.take()
			h.send("zhangsan/p", c.env)
			d, posts := h.sender.take()
			if refusals(posts) != "acknowledgement" || len(d) == 0 {
				t.Fatalf("got %v, want an acknowledgement, a delivery", posts)
			}
			if want := "<body>" + string(stanza.AppendEscaped(nil, c.text)) + "</body>"; !strings.HasPrefix(string(d[0].Payload), want) {
				t.Errorf("it goes on as %s\nwant %s", d[0].Payload, want)
			}
			for _, change := range h.rec.take() {
				if change.Message != nil && change.Message.Body != c.body {
					t.Errorf("got %s stored, want %s", change.Message.Body, c.body)
				}
			}
			h.send("zhangsan/p", c.env) // again, as a client without an acknowledgement does
			if d, posts := h.sender.take(); refusals(posts) != "acknowledgement" || addresses(d, id) != "" {
				t.Errorf(`again: got %v, %v, want an acknowledgement, no delivery`, posts, d)
			}
		})
	}
	h.send("zhangsan/p", `{msg_id:'large',msg_type:'MTT-001',msg_from:'zhangsan',msg_to:'lisi',body:"['`+strings.Repeat(`\u0001`, 20_000)+`']"}`) // 20 kB, which strict is 120
	if _, posts := h.sender.take(); refusals(posts) != "error-012" {
		t.Errorf("a body that grows: got %v, want error-012", posts)
	}
}

// TestExtensionAnew: nothing of the sender's tlim element travels but its two attributes.
func TestExtensionAnew(t *testing.T) {
	h := start(t, nil)
	h.blind()
	body := "<body>" + string(stanza.AppendEscaped(nil, text("m%", "zhangsan", "lisi", "x"))) + "</body>"
	n := 0
	for inner, want := range map[string]string{
		`<tlim xmlns="im.itonglian.com" location="web"/>`:                                                                  `<tlim xmlns="im.itonglian.com" location="web"/>`,
		`<tlim xmlns="im.itonglian.com" ack="1" location="a&amp;b"/>`:                                                      `<tlim xmlns="im.itonglian.com" location="a&amp;b" ack="1"/>`,
		`<tlim xmlns="im.itonglian.com" location="web"><body>forged</body><subject>ASYNC</subject>text</tlim>`:             `<tlim xmlns="im.itonglian.com" location="web"/>`,
		`<tlim xmlns="im.itonglian.com"><received xmlns="urn:xmpp:receipts" id="m1"/></tlim>`:                              `<tlim xmlns="im.itonglian.com"/>`,
		`<tlim xmlns="im.itonglian.com" from="admin" onclick="x()" xmlns:a="urn:a" a:ack="1" location='web'><a:x/></tlim>`: `<tlim xmlns="im.itonglian.com" location="web"/>`,
	} {
		t.Run(inner, func(t *testing.T) {
			n++
			id := "m" + string(rune('0'+n))
			h.sendRaw("zhangsan/p", testComponent, inner+strings.Replace(body, "m%", id, 1))
			d, posts := h.sender.take()
			if addresses(d, id) == "" {
				t.Fatalf("got no delivery of %s but %v, want one", id, posts)
			}
			_, after, _ := strings.Cut(string(d[0].Payload), "</body>")
			if got, _, _ := strings.Cut(after, "<no-store"); got != want {
				t.Errorf("it goes on as %s, want %s", got, want)
			}
		})
	}
	h.sendRaw("zhangsan/p", testComponent, `<tlim xmlns="im.itonglian.com" location="`+strings.Repeat("x", 257)+`"/>`+body)
	if _, posts := h.sender.take(); refusals(posts) != "error-012" {
		t.Errorf("a long attribute: got %v, want error-012", posts)
	}
}
