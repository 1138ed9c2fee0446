package component

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dop251/goja"

	"tlim/component/protocol"
	"tlim/component/stanza"
)

// FuzzEnvelope: the parser never panics, its errors are refusals, and what it accepts goes on as strict JSON in which Go and a
// JavaScript client read the same as the server did: no second reading of a sender, a kind or a body.
func FuzzEnvelope(f *testing.F) {
	for _, seed := range []string{
		text("m1", "zhangsan", "lisi", "你好 😀"),
		groupText("m1", "zhangsan", "G", "x"),
		`{"msg_id":"m","msg_type":"MTT-000","msg_from":"a","MSG_FROM":"b","msg_to":"c","body":[]}`,
		`{"msg_id":"m","msg_type":"MTT-000","msg_from":"a","msg\u005ffrom":"b","msg_to":"c","body":"[]"}`,
		`{msg_id:'m',msg_type:'MTS-103',msg_from:'a',msg_to:1,body:[{session_id:'G',subscribers:[{user_id:'x'},{user_id:'y'}],},],}`,
		`{"compress":1,"encrypt":"0","version":null,"msg_id":"\ud83d","msg_type":"MTB-9","msg_from":"\u0000","msg_to":"c","body":"b3BhcXVl"}`,
		`{"msg_type":"MTC-1","msg_from":"a"}`, `[`, `{"body":[{"text":` + strings.Repeat("[", 100),
		`{"msg_type":"MTS-100","body":[{"ſession_id":"x","session_id":"y","msg_id":1e3}]}`,
		`{msg_id:1,msg_type:'MTT-000',msg_from:15748.0,msg_to:9007199254740993,msg_time:-0,body:"[{text:'a\nb',}]"}`,
		"\ufeff{msg_id:015,msg_type:'MTS-000',,msg_from:+5,msg_to:5.,encrypt:'1',body:'[{session_id:new Date(5)}]'}",
		`{"msg_id":"m","msg_type":"MTT-000","msg_from":"a","msg_to":"b","body":[{"text":"x","te\u0078t":"y"}]}`,
		`{"msg_id":"m","msg_type":"MTT-102","msg_from":"a","msg_to":"b","body":""}`,
	} {
		f.Add(seed)
	}
	kinds := newKinds()
	machine := goja.New()
	parse, err := machine.RunString(`(function(text) {
		var e = JSON.parse(text), read = {}
		for (var name of ["msg_id", "msg_type", "msg_from", "msg_to"]) { read[name] = e[name] == null ? "" : String(e[name]) }
		read.body = typeof e.body === "string" ? e.body : JSON.stringify(e.body)
		var ids = []
		try { ids = JSON.parse(read.body).map(function(o) { return o == null || o.session_id == null ? "" : String(o.session_id) }) } catch (_) {}
		read.groups = ids.join("\n")
		return read
	})`)
	if err != nil {
		f.Fatal(err)
	}
	javaScript, ok := goja.AssertFunction(parse)
	if !ok {
		f.Fatal("got no function of the script, want one")
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) { // XML is
			return
		}
		env, _, err := protocol.ParseEnvelope(text, kinds.rules, protocol.Limits{Body: 4096, Strict: len(text)%2 == 0})
		if err != nil {
			if refusal := (*protocol.Error)(nil); !errors.As(err, &refusal) || protocol.Conditions[refusal.Code][0] == "" {
				t.Fatalf("got %v, want a refusal", err)
			}
			return
		}
		// 1. What leaves is strict, and what was strict leaves as it came.
		var fields map[string]any
		decoder := json.NewDecoder(strings.NewReader(env.Text))
		decoder.UseNumber()
		if err := decoder.Decode(&fields); err != nil || decoder.More() {
			t.Fatalf("%q leaves as %q, want one JSON object: %v", text, env.Text, err)
		}
		if again, _, err := protocol.ParseEnvelope(env.Text, kinds.rules, protocol.Limits{Body: 4096}); err != nil || again.Text != env.Text || again.Body != env.Body {
			t.Fatalf("%q leaves as %q, and that as %+v, %v; want the same text, and the body %q", text, env.Text, again, err, env.Body)
		}
		body, isString := fields["body"].(string)
		if json.Valid([]byte(text)) && (!isString || env.Opaque || json.Valid([]byte(body))) && env.Text != text {
			t.Errorf("%q was strict and leaves as %q, want it unchanged", text, env.Text)
		}
		if !env.Opaque && !kinds.of(env.Type).bodyless && !json.Valid([]byte(env.Body)) {
			t.Errorf("got the body %q stored, want JSON", env.Body)
		}

		// 2. Go and JavaScript read in it what the server does.
		for name, got := range map[string]string{"msg_id": env.MsgID, "msg_type": env.Type, "msg_from": env.From, "msg_to": env.To} {
			want := ""
			if fields[name] != nil {
				want = fmt.Sprint(fields[name])
			}
			if got != want {
				t.Errorf("%s: got %q, want %q as encoding/json reads it", name, got, want)
			}
		}
		if read, err := javaScript(goja.Undefined(), machine.ToValue(env.Text)); err == nil { // else numbers beyond all bounds
			read := read.Export().(map[string]any)
			for name, got := range map[string]string{"msg_id": env.MsgID, "msg_type": env.Type, "msg_from": env.From, "msg_to": env.To} {
				if read[name] != got {
					t.Errorf("%s: got %q, want %q as JavaScript reads it in %s", name, got, read[name], env.Text)
				}
			}
			if !env.Opaque && kinds.of(env.Type).reads {
				var groups []string
				for _, o := range env.Objects {
					groups = append(groups, o.GroupID)
				}
				if got := strings.Join(groups, "\n"); read["groups"] != got {
					t.Errorf("groups: got %q, want %q as JavaScript reads them in %s", got, read["groups"], env.Text)
				}
			}
		}
		if isString && env.Body != body && (env.Body != "[]" || body != "") {
			t.Errorf("body: got %q, want %q as encoding/json reads it", env.Body, body)
		}
		if kinds.of(env.Type) == nil || len(env.Body) > 4096 {
			t.Errorf("got %+v, want a known kind and at most 4096 bytes of body", env)
		}
		if env.Opaque {
			return
		}
		var array []any
		decoder = json.NewDecoder(strings.NewReader(env.Body))
		decoder.UseNumber()
		if decoder.Decode(&array) != nil || len(array) != len(env.Objects) && len(env.Objects) > 0 {
			t.Fatalf("body %q: got %d objects, want one for each of the array", env.Body, len(env.Objects))
		}
		for i, o := range env.Objects {
			object, _ := array[i].(map[string]any)
			if want, ok := object["session_id"].(string); kinds.of(env.Type).reads && ok && o.GroupID != want {
				t.Errorf("session_id: got %q, want %q as encoding/json reads it", o.GroupID, want)
			}
			if want, ok := object["msg_id"].(string); kinds.of(env.Type).reads && ok && o.MsgID != want {
				t.Errorf("msg_id: got %q, want %q as encoding/json reads it", o.MsgID, want)
			}
		}
	})
}

// wellFormed says whether any parser takes an element. The decoder knows, but for attributes that are there twice.
func wellFormed(element []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(element))
	for {
		token, err := d.Token()
		if err != nil {
			return err == io.EOF
		}
		tag, _ := token.(xml.StartElement)
		for i, a := range tag.Attr {
			if slices.ContainsFunc(tag.Attr[:i], func(b xml.Attr) bool { return a.Name == b.Name }) {
				return false
			}
		}
	}
}

// FuzzStanza: whatever content a stanza has, decoding does not panic, and what is written to the link for it is well-formed and
// carries the same body. Openfire 4.2 sends what is not well-formed, where a client has put it into a namespace.
func FuzzStanza(f *testing.F) {
	for _, seed := range []string{
		`<tlim xmlns="im.itonglian.com" ack="1" location="web"/><body>` + text("m1", "zhangsan", "lisi", "x") + `</body>`,
		`<body>{"msg_id":"&lt;&amp;&quot;","msg_type":"MTT-000","msg_from":"zhangsan","msg_to":"lisi","body":[]}</body><subject>a</subject>`,
		`<body><![CDATA[{"msg_type":"MTC-000","msg_from":"zhangsan","msg_to":"lisi","body":[{"msg_id":"a"}]}]]></body>`,
		`<tlim xmlns="im.itonglian.com" a="1" a="2"/><body>` + text("m1", "zhangsan", "lisi", "x") + `</body>`,
		`<tlim xmlns="im.itonglian.com" a="&"/><body>` + text("m1", "zhangsan", "lisi", "x") + `</body>`,
		`<tlim xmlns="im.itonglian.com" ack="1"><x xmlns="u"></b><c d=""/></tlim><body>` + text("m1", "zhangsan", "lisi", "x") + `</body>`,
		`<tlim xmlns="im.itonglian.com"><x xmlns="u" a="1" a="2"/></tlim><body>` + text("m1", "zhangsan", "lisi", "x") + `</body>`,
		`<tlim xmlns="im.itonglian.com"><x a="&nbsp;"/></tlim><body>` + text("m1", "zhangsan", "lisi", "x") + `</body>`,
		`<t:tlim xmlns:t='im.itonglian.com' location='&quot;&#39;'/><body/>`,
		`<received xmlns="urn:xmpp:receipts" id="m&gt;1"/>`, `<displayed xmlns="urn:xmpp:chat-markers:0" id="&quot;"/>`,
		`<composing xmlns="http://jabber.org/protocol/chatstates"/><x xmlns="jabber:x:oob"><body>no</body></x>`,
	} {
		f.Add(seed, "zhangsan@im.test/p", "id\"'<")
	}
	s, err := New(testConfig(), Deps{Sender: &recordingSender{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, inner, from, id string) {
		if !utf8.ValidString(inner+from+id) || !stanza.ValidXML(inner+from+id) {
			return // what is no text the server has refused
		}
		jid, err := stanza.ParseJID(from)
		if err != nil {
			return
		}
		it := &arrival{st: stanza.Stanza{Name: "message", From: from, To: "x@" + testComponent, ID: id, Inner: []byte(inner)}, from: jid}
		if err := s.decode(it); err != nil {
			if answer := protocol.ErrorStanza(&it.st, protocol.AsError(err), protocol.Chinese); !wellFormed(answer) || bytes.Contains(answer, []byte("<body")) {
				t.Errorf("the error: got %s, want well-formed XML without a body", answer)
			}
			return
		}
		if it.signal != nil && !wellFormed(it.signal) {
			t.Errorf("the signal: got %s, want well-formed XML", it.signal)
		}
		if it.env == nil {
			return
		}
		d := stanza.Delivery{ID: id, From: "a@" + testComponent, Payload: protocol.Payload(it.env.Text, it.ext, true)}
		sent := d.AppendCopy(d.AppendHead(nil), nil, stanza.Target{JID: "lisi@im.test/" + id, Private: true})
		var read struct {
			ID   string `xml:"id,attr"`
			To   string `xml:"to,attr"`
			Body string `xml:"body"`
		}
		if err := xml.Unmarshal(sent, &read); err != nil || !wellFormed(sent) || read.ID != id || read.To != "lisi@im.test/"+id || read.Body != it.env.Text {
			t.Errorf("sent %s: got %v, read as %+v, want what was given", sent, err, read)
		}
	})
}
