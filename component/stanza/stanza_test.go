package stanza

import (
	"fmt"
	"strings"
	"testing"
)

func parse(t testing.TB, s string) Stanza {
	t.Helper()
	st, err := Parse([]byte(s))
	if err != nil {
		t.Fatalf("%s: got %v, want it parsed", s, err)
	}
	return st
}

func TestChildren(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"plain":                              {`<message><body>a</body><subject>b</subject></message>`, "body{}a subject{}b"},
		"depth":                              {`<message><x xmlns="urn:x"><body>EVIL</body>t</x><body>real</body></message>`, "x{urn:x}t body{}real"},
		"empty":                              {`<message/>`, ""},
		"text only":                          {`<message> text &lt;body&gt; </message>`, ""},
		"default namespace of the stanza":    {`<message xmlns="jabber:client"><body>a</body><x xmlns=""/></message>`, "body{jabber:client}a x{}"},
		"prefixes":                           {`<message xmlns:r="urn:r"><r:received id="1"/><q:x xmlns:q="urn:q"/><y:z/><r:a xmlns:r="urn:inner"/></message>`, "received{urn:r} x{urn:q} z{unbound prefix y} a{urn:inner}"},
		"prefix that begins like another":    {`<message xmlns:ab="urn:ab" xmlns:a="urn:a"><a:x/><ab:x/></message>`, "x{urn:a} x{urn:ab}"},
		"an attribute that looks like one":   {`<message><x a="xmlns='urn:x'" b='xmlns="urn:y"'/></message>`, "x{}"},
		"comments, PIs and CDATA":            {`<message><!-- <body>no</body> --><?p <body/> ?><![CDATA[<body>no</body>]]><body>a</body></message>`, "body{}a"},
		"CDATA, references, line ends":       {"<message><body>a&#10;&#x4F60;&quot;&apos;&lt;<![CDATA[&lt;]]]]><![CDATA[>\r\n]]>\r\n\rb<i>no</i><!-- no -->c</body></message>", "body{}a\n你\"'<&lt;]]>\n\n\nbc"},
		"references that are none":           {`<message><body>&; & &amp &nbsp; &#; &#x; &#12a; &#xyz; &amp;amp;</body></message>`, "body{}&; & &amp &nbsp; &#; &#x; &#12a; &#xyz; &amp;"},
		"references that XML does not allow": {`<message><body>&#0;&#1;&#xD83D;&#xFFFE;&#x110000;&#x1F600;</body></message>`, "body{}\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD😀"},
		"namespace with a reference":         {`<message><x xmlns="urn:a&amp;b"/></message>`, "x{urn:a&b}"},
	} {
		t.Run(name, func(t *testing.T) {
			st := parse(t, c.in)
			var got []string
			for c := range st.Children() {
				got = append(got, c.Name+"{"+c.Space+"}"+c.Text())
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("children %q\nwant     %q", strings.Join(got, " "), c.want)
			}
		})
	}
}

// The start tag is read once, not once for each child: with 100 KiB and 30,000 of them a client could stop the reader for a minute.
func TestChildrenOfWideTag(t *testing.T) {
	st := parse(t, `<message xmlns="`+strings.Repeat("y", 100<<10)+`">`+strings.Repeat("<body/>", 1000)+`</message>`)
	n := 0
	allocs := testing.AllocsPerRun(1, func() {
		n = 0
		for c := range st.Children() {
			if n++; len(c.Space) != 100<<10 {
				t.Fatalf("namespace of %d bytes, want %d", len(c.Space), 100<<10)
			}
		}
	})
	if n != 1000 || allocs > 100 {
		t.Errorf("%d children cost %v allocations, want 1000 at the cost of at most 100", n, allocs)
	}
}

// What is malformed inside ends the sequence, and what came before it stands.
func TestChildrenMalformed(t *testing.T) {
	for _, inner := range []string{
		"<", "</", "</x>", "<x", "<x>", "<x></y>", "<x><y></x>", "<x a='>", "<!", "<!-", "<!--", "<!-->", "<!-- -- ", "<![CDATA[", "<![CDATA[]>",
		"<?", "<?x", "<!DOCTYPE x>", "<>", "< x/>", "<x <y/>/>", "<1/>", "\x00<x", "<x/", "</>",
	} {
		t.Run(inner, func(t *testing.T) {
			st := Stanza{Name: "message", Inner: []byte("<body>1</body>" + inner)}
			n := 0
			for c := range st.Children() {
				if n++; c.Name != "body" || c.Text() != "1" {
					t.Errorf("child %q %q, want a body of 1", c.Name, c.Text())
				}
			}
			if n != 1 {
				t.Errorf("got %d children, want the one before it", n)
			}
		})
	}
}

func TestAttr(t *testing.T) {
	st := parse(t, "<message><x a = 'A&amp;\"' b=\"1>2/\"\n\txml:lang='zh' empty='' a='second' tab='1\t2\r\n3&#9;4'/><y a b='1'/></message>")
	var x, y Child
	for c := range st.Children() {
		if c.Name == "x" {
			x = c
		} else {
			y = c
		}
	}
	for name, want := range map[string]string{"a": `A&"`, "b": "1>2/", "xml:lang": "zh", "lang": "", "empty": "", "none": "", "tab": "1 2 3\t4"} {
		t.Run(name, func(t *testing.T) {
			if got := x.Attr(name); got != want {
				t.Errorf("attribute %s is %q, want %q", name, got, want)
			}
		})
	}
	if got := y.Attr("b"); got != "" {
		t.Errorf(`an attribute behind a malformed one is %q, want ""`, got)
	}
}

func TestNestedChildren(t *testing.T) {
	st := parse(t, `<iq><p:command xmlns:p="urn:cmd" xmlns="urn:data"><x type="form"><field var="a"><value>1</value><value>2</value></field></x></p:command></iq>`)
	command, ok := st.Child("command", "urn:cmd")
	if !ok {
		t.Fatalf("no command of urn:cmd in %s, want one", st.Inner)
	}
	x, ok := command.Child("x", "urn:data")
	if !ok || x.Attr("type") != "form" {
		t.Fatalf("in %s: found %v, type %q, want a form", command.Inner, ok, x.Attr("type"))
	}
	field, _ := x.Child("field", "urn:data")
	var values string
	for v := range field.Children() {
		values += v.Text() + v.Space
	}
	if values != "1urn:data2urn:data" {
		t.Errorf(`values %q, want "1urn:data2urn:data"`, values)
	}
	if _, ok := x.Child("field", ""); ok {
		t.Error("a field without a namespace was found, want none: it is of urn:data")
	}
}

// A forwarded stanza keeps the namespaces that were declared around it.
func TestChildStanza(t *testing.T) {
	st := parse(t, `<message from="im.test" xmlns:x="urn:x"><copy xmlns="urn:copy"><message xmlns="" from="a@im.test/r" to="b@im.test" id="1&amp;2" type="chat"><body>hi</body><x:y/></message></copy></message>`)
	copied, _ := st.Child("copy", "urn:copy")
	inner, ok := copied.Child("message", "")
	if !ok {
		t.Fatalf("no message in %s, want one", copied.Inner)
	}
	got := inner.Stanza()
	if got.Name != "message" || got.From != "a@im.test/r" || got.To != "b@im.test" || got.ID != "1&2" || got.Type != "chat" {
		t.Errorf(`stanza %+v, want a chat message "1&2" from a@im.test/r to b@im.test`, got)
	}
	if body, ok := got.Child("body", ""); !ok || body.Text() != "hi" {
		t.Errorf(`body %q, found %v, want "hi"`, body.Text(), ok)
	}
	if _, ok := got.Child("y", "urn:x"); !ok {
		t.Errorf("no y of urn:x in %s, want the prefix that was declared outside kept", got.Inner)
	}
}

func TestParse(t *testing.T) {
	st := parse(t, " \n<presence from='a@im.test/r'><show>away</show></presence>\n")
	if st.Name != "presence" || st.From != "a@im.test/r" || string(st.Inner) != "<show>away</show>" {
		t.Errorf(`stanza %+v, want a presence from a@im.test/r with "<show>away</show>" inside`, st)
	}
	for _, s := range []string{"", "x", "<a>", "<a/><b/>", "<a/>x", "</a>", "<!-- c -->", "<a></b>"} {
		t.Run(fmt.Sprintf("%q", s), func(t *testing.T) {
			if st, err := Parse([]byte(s)); err == nil {
				t.Errorf("%q was read as %+v, want an error", s, st)
			}
		})
	}
}

func TestErrorOf(t *testing.T) {
	st := parse(t, `<iq type="error"><command xmlns="http://jabber.org/protocol/commands"/><error code="403" type="auth"><forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas">no &amp; no</text><forged xmlns="urn:x"/></error></iq>`)
	if e := ErrorOf(&st); *e != (IQError{Condition: "forbidden", Type: "auth", Text: "no & no"}) {
		t.Errorf(`error %+v, want forbidden, type auth, "no & no"`, *e)
	}
	st = parse(t, `<iq type="error"/>`)
	if e := ErrorOf(&st); *e != (IQError{}) || e.Error() == "" {
		t.Errorf("error %+v with the text %q, want empty fields and some text", *e, e.Error())
	}
}

func TestDelivery(t *testing.T) {
	d := Delivery{ID: `1"2`, From: "a&b@tlim.im.test", Payload: []byte(`<body>x</body>`)}
	got := string(d.AppendCopy(d.AppendHead([]byte("before ")), nil, Target{JID: "c@im.test/we<b\n]"}))
	if want := `before <message type="chat" id="1&quot;2" from="a&amp;b@tlim.im.test" to="c@im.test/we&lt;b&#10;]"><body>x</body></message>`; got != want {
		t.Errorf("copy %s\nwant %s", got, want)
	}
	got = string(d.AppendCopy(d.AppendHead(nil), nil, Target{JID: "c@im.test/web", Private: true}))
	if want := `<message type="chat" id="1&quot;2" from="a&amp;b@tlim.im.test" to="c@im.test/web"><body>x</body><private xmlns="urn:xmpp:carbons:2"/></message>`; got != want {
		t.Errorf("copy %s\nwant %s", got, want)
	}
}
