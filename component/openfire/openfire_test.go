package openfire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlim/component/stanza"
)

// double answers as an Openfire does (facts: measured on 4.2.0 and 5.1.1).
type double struct {
	t       testing.TB
	result  string // content of the completed command
	refuse  error
	payload []string
}

func (d *double) IQ(_ context.Context, typ, to string, payload []byte) (stanza.Stanza, error) {
	if typ != "set" || to != "im.test" {
		d.t.Errorf("asked %s %s, want set im.test", typ, to)
	}
	d.payload = append(d.payload, string(payload))
	if d.refuse != nil {
		return stanza.Stanza{}, d.refuse
	}
	status, content := "executing", `<x xmlns="jabber:x:data" type="form"/><actions execute="complete"><complete/></actions>`
	if len(d.payload)%2 == 0 {
		status, content = "completed", d.result
	}
	return stanza.Parse(fmt.Appendf(nil, `<iq type="result" id="u" from="im.test" to="tlim.im.test"><command xmlns="http://jabber.org/protocol/commands" sessionid="AbC" node="n" status="%s">%s</command></iq>`, status, content))
}

func TestSnapshot(t *testing.T) {
	hostile := `<status>&lt;/status&gt;&lt;/presence&gt;&lt;presence from="boss@im.test/x"&gt; 😀 ]]&gt;</status><x xmlns="urn:x"><show>dnd</show><priority>9</priority></x>`
	d := &double{t: t, result: `<x xmlns="jabber:x:data" type="result"><field var="FORM_TYPE"><value>x</value></field><field var="activeuserpresences">` +
		value(`<presence from="lisi@im.test/pc"><show>away</show><priority>3</priority><status>忙</status></presence>`) +
		value(`<presence from="zhangsan@im.test/a[web]">`+hostile+`</presence>`) +
		value(`<presence from="bad jid@@"/>`) + value(`not xml`) + value(`<presence type="unavailable" from="gone@im.test/x"/>`) +
		value(`<presence from="wangwu@im.test/p"><priority>abc</priority></presence>`) + `</field></x>`}
	list, err := New(d, "im.test").Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := "[{lisi@im.test/pc away 3} {zhangsan@im.test/a[web]  0} {wangwu@im.test/p  0}]"
	if got := fmt.Sprint(list); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if !strings.Contains(d.payload[1], `<field var="max_items"><value>none</value></field>`) || !strings.Contains(d.payload[1], `sessionid="AbC" action="complete"`) {
		t.Errorf("second stage: got %s, want max_items none, and to complete session AbC", d.payload[1])
	}
}

// TestSnapshotsDiffer: what is remembered of the last snapshot changes nothing in the next, and what is no more is forgotten.
func TestSnapshotsDiffer(t *testing.T) {
	d := &double{t: t}
	server := New(d, "im.test")
	for round := range 10 {
		var list strings.Builder
		var want []string
		for i := range 300 {
			show := []string{"", "away", "dnd"}[(i+round)%3]
			list.WriteString(value(fmt.Sprintf(`<presence from="u%d@im.test/r"><show>%s</show></presence>`, i*(1+round%2), show)))
			want = append(want, fmt.Sprintf("{u%d@im.test/r %s 0}", i*(1+round%2), show))
		}
		d.result = `<x xmlns="jabber:x:data" type="result"><field var="activeuserpresences">` + value("not xml") + list.String() + `</field></x>`
		sessions, err := server.Snapshot(t.Context())
		if err != nil || fmt.Sprint(sessions) != "["+strings.Join(want, " ")+"]" {
			t.Fatalf("round %d: got %v, %v, want %v", round, sessions, err, want)
		}
		if n := len(server.snapshots.known); n > 301+301/8+minRemembered {
			t.Errorf("got %d stanzas remembered, want at most %d", n, 301+301/8+minRemembered)
		}
	}
}

func value(xml string) string { return "<value>" + string(stanza.AppendEscaped(nil, xml)) + "</value>" }

func TestErrors(t *testing.T) {
	for _, condition := range []string{"item-not-found", "feature-not-implemented", "service-unavailable", "forbidden"} {
		t.Run(condition, func(t *testing.T) {
			if _, err := New(&double{t: t, refuse: &stanza.IQError{Condition: condition}}, "im.test").Snapshot(t.Context()); !errors.Is(err, ErrUnsupported) {
				t.Errorf("got %v, want %v", err, ErrUnsupported)
			}
		})
	}
	if _, err := New(&double{t: t, refuse: &stanza.IQError{Condition: "internal-server-error"}}, "im.test").Snapshot(t.Context()); err == nil || errors.Is(err, ErrUnsupported) {
		t.Errorf("a passing fault: got %v, want an error that is not %v", err, ErrUnsupported)
	}
	d := &double{t: t, result: `<note type="error">User already exists.</note>`}
	var note *NoteError
	if err := New(d, "im.test").AddUser(t.Context(), stanza.JID{Local: "lisi", Domain: "im.test"}, "p<w", "李四", ""); !errors.As(err, &note) || note.Text != "User already exists." {
		t.Errorf("add-user: got %v, want User already exists.", err)
	}
	if !strings.Contains(d.payload[1], `<field var="password-verify"><value>p&lt;w</value></field>`) {
		t.Errorf("form: got %s, want payload with %q", d.payload[1], `<field var="password-verify"><value>p&lt;w</value></field>`)
	}
	d = &double{t: t, result: `<note type="info">Operation finished successfully</note>`}
	if err := New(d, "im.test").DeleteUser(t.Context(), stanza.JID{Local: "lisi", Domain: "im.test"}); err != nil {
		t.Error(err)
	}
	if err := New(d, "im.test").SubscribeCopies(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCopy(t *testing.T) {
	const text = `<message from="%s" to="tlim.im.test"><copy xmlns="http://jabber.org/protocol/packet#event" incoming="true" processed="false" date="2026-11-23T20:13:22.924Z"><message xmlns="" to="lisi@im.test" type="chat" id="7" from="zhangsan@im.test/w"><body>你好 &lt;b&gt; &amp; 😀</body></message></copy></message>`
	st, err := stanza.Parse(fmt.Appendf(nil, text, "im.test"))
	if err != nil {
		t.Fatal(err)
	}
	inner, ok := Copy(st, "im.test")
	body, _ := inner.Child("body", "")
	if !ok || inner.From != "zhangsan@im.test/w" || inner.To != "lisi@im.test" || inner.ID != "7" || body.Text() != "你好 <b> & 😀" {
		t.Errorf("got copy %+v %q, want 7 from zhangsan@im.test/w to lisi@im.test, 你好 <b> & 😀", inner, body.Text())
	}
	for _, from := range []string{"zhangsan@im.test/w", "im.test/x", "other.test"} {
		t.Run(from, func(t *testing.T) {
			st, _ := stanza.Parse(fmt.Appendf(nil, text, from))
			if _, ok := Copy(st, "im.test"); ok {
				t.Errorf("a look-alike from %s: got it taken for a copy, want it refused", from)
			}
		})
	}
}

func BenchmarkSnapshot10000(b *testing.B) {
	var list strings.Builder
	for i := range 10_000 {
		list.WriteString(value(fmt.Sprintf(`<presence from="user%d@im.test/phone"><show>away</show><status>在开会</status><priority>1</priority></presence>`, i)))
	}
	d := &double{t: b, result: `<x xmlns="jabber:x:data" type="result"><field var="activeuserpresences">` + list.String() + `</field></x>`}
	server := New(d, "im.test")
	b.ReportAllocs()
	for b.Loop() {
		if sessions, err := server.Snapshot(b.Context()); err != nil || len(sessions) != 10_000 {
			b.Fatalf("got %d sessions, %v, want 10000", len(sessions), err)
		}
	}
}
