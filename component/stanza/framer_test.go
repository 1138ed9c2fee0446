package stanza

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const header = `<stream:stream xmlns:stream="http://etherx.jabber.org/streams" xmlns="jabber:component:accept" from="tlim.im.test" id="7n9">`

// frames reads a stream to its end and renders what came, one line per frame.
func frames(t *testing.T, r io.Reader, limits Limits) ([]string, error) {
	t.Helper()
	f := NewFramer(r, limits)
	var got []string
	for {
		frame, err := f.Next()
		if err != nil {
			return got, err
		}
		st := frame.Stanza
		line := fmt.Sprintf("%s %s|%s|%s|%s|%s|%s", [...]string{"?", "stanza", "header", "handshake", "error", "unknown", "end", "broken"}[frame.Kind],
			st.Name, st.From, st.To, st.ID, st.Type, st.Inner)
		if st.Oversize {
			line += " oversize"
		}
		got = append(got, line)
		if frame.Kind == KindEnd {
			return got, nil
		}
	}
}

func TestFramer(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []string
		err  error
	}{
		"session": {
			in: "<?xml version='1.0' encoding='UTF-8'?>\n" + header + `<handshake></handshake><handshake/>` +
				`<iq type="get" id="1-2" from="component.im.test" to="tlim.im.test"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>` +
				"\n <presence from='a@im.test/[web]' to='tlim.im.test'/></stream:stream>",
			want: []string{
				"header stream|tlim.im.test||7n9||",
				"handshake handshake|||||", "handshake handshake|||||",
				`stanza iq|component.im.test|tlim.im.test|1-2|get|<query xmlns="http://jabber.org/protocol/disco#info"/>`,
				"stanza presence|a@im.test/[web]|tlim.im.test|||",
				"end |||||",
			},
		},
		"attributes": {
			in: header + `<message to = 'x&amp;y@im.test' id="a&quot;&gt;/>b" type='ch"at'  from="&#x4F60;好/😀" ><body>1</body></message >`,
			want: []string{"header stream|tlim.im.test||7n9||",
				`stanza message|你好/😀|x&y@im.test|a">/>b|ch"at|<body>1</body>`},
			err: io.EOF,
		},
		"markup inside": {
			in: header + `<message><!-- </message> > ' --><body a="/message>" b='"/>'><![CDATA[</message>]]]]><![CDATA[>]]></body><?x </message>?></message><!-- between --><?pi?><iq/>`,
			want: []string{"header stream|tlim.im.test||7n9||",
				`stanza message|||||<!-- </message> > ' --><body a="/message>" b='"/>'><![CDATA[</message>]]]]><![CDATA[>]]></body><?x </message>?>`,
				"stanza iq|||||"},
			err: io.EOF,
		},
		"nested": {
			in: header + `<message><message/><message><message>x</message></message></message><presence/>`,
			want: []string{"header stream|tlim.im.test||7n9||",
				`stanza message|||||<message/><message><message>x</message></message>`, "stanza presence|||||"},
			err: io.EOF,
		},
		"unknown": {
			in: header + `<foo><bar>` + strings.Repeat("x", 100) + `</bar></foo><m:message xmlns:m="jabber:client"/><message xmlns="urn:other"/><message xmlns="jabber:client" id="1"/>`,
			want: []string{"header stream|tlim.im.test||7n9||", "unknown foo|||||", "unknown message|||||", "unknown message|||||",
				"stanza message|||1||"},
			err: io.EOF,
		},
		"stream error": {
			in: header + `<stream:error><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream>`,
			want: []string{"header stream|tlim.im.test||7n9||",
				`error error|||||<conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>`, "end |||||"},
		},
		"bare end": {in: `</stream:stream>`, want: []string{"end |||||"}},
		"oversize": {
			in: header + `<message id="big" from="a@im.test/r"><body>` + strings.Repeat("<b>'\"&gt;</b>", 20) + `</body></message><iq id="2" type="result">` +
				strings.Repeat("y", 200) + `</iq><iq id="3" type="set">` + strings.Repeat("y", 200) + `</iq><iq id="4" type="error">` +
				strings.Repeat("z/", 300) + `</iq><message id="after"><x/></message>`,
			want: []string{"header stream|tlim.im.test||7n9||", "stanza message|a@im.test/r||big|| oversize",
				"stanza iq|||2|result|" + strings.Repeat("y", 200), "stanza iq|||3|set| oversize", "stanza iq|||4|error| oversize",
				"stanza message|||after||<x/>"},
			err: io.EOF,
		},
		"oversize start tag": {
			in:   header + `<message id="` + strings.Repeat("1", 200) + `"><body/></message><message id="` + strings.Repeat("/", 200) + `"/><message id="after"/>`,
			want: []string{"header stream|tlim.im.test||7n9||", "", "", "stanza message|||after||"},
			err:  io.EOF,
		},
		"oversize by an end tag": {
			in:   header + `<message id="1"><` + strings.Repeat("n", 70) + `></` + strings.Repeat("n", 70) + `></message><message id="after"/>`,
			want: []string{"header stream|tlim.im.test||7n9||", "stanza message|||1|| oversize", "stanza message|||after||"},
			err:  io.EOF,
		},
		"long comment": {
			in:   header + `<!--` + strings.Repeat("- ", 300) + `--><message id="after"/>`,
			want: []string{"header stream|tlim.im.test||7n9||", "stanza message|||after||"},
			err:  io.EOF,
		},
		"cut":                 {in: header + `<message><body>`, want: []string{"header stream|tlim.im.test||7n9||"}, err: io.ErrUnexpectedEOF},
		"cut in a tag":        {in: header + `<mess`, want: []string{"header stream|tlim.im.test||7n9||"}, err: io.ErrUnexpectedEOF},
		"text":                {in: header + `<message/>x`, want: []string{"header stream|tlim.im.test||7n9||", "stanza message|||||"}, err: ErrSyntax},
		"doctype":             {in: `<!DOCTYPE x [<!ENTITY a "b">]>` + header, err: ErrSyntax},
		"no header":           {in: `<message/>`, err: ErrSyntax},
		"http":                {in: "HTTP/1.1 400 Bad Request\r\n", err: ErrSyntax},
		"second header":       {in: header + header, want: []string{"header stream|tlim.im.test||7n9||"}, err: ErrSyntax},
		"empty stream":        {in: `<stream:stream/>`, err: ErrSyntax},
		"wrong end":           {in: header + `<message></presence>`, want: []string{"header stream|tlim.im.test||7n9||"}, err: ErrSyntax},
		"markup in a tag":     {in: header + `<message <a/>>`, want: []string{"header stream|tlim.im.test||7n9||"}, err: ErrSyntax},
		"markup in a value":   {in: header + `<message a="<b/>"/>`, want: []string{"header stream|tlim.im.test||7n9||"}, err: ErrSyntax},
		"another end":         {in: header + `<message/></message>`, want: []string{"header stream|tlim.im.test||7n9||", "stanza message|||||"}, err: ErrSyntax},
		"no name":             {in: header + `< message/>`, want: []string{"header stream|tlim.im.test||7n9||"}, err: ErrSyntax},
		"CDATA at the top":    {in: header + `<![CDATA[x]]>`, want: []string{"header stream|tlim.im.test||7n9||"}, err: ErrSyntax},
		"element declaration": {in: header + `<message><!ELEMENT a ANY></message>`, want: []string{"header stream|tlim.im.test||7n9||"}, err: ErrSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			limits := Limits{}
			if strings.HasPrefix(name, "oversize") || strings.HasPrefix(name, "long") {
				limits = Limits{Stanza: 160, Answer: 400}
			}
			for way, r := range map[string]io.Reader{
				"at once":      strings.NewReader(c.in),
				"byte by byte": iotest.OneByteReader(strings.NewReader(c.in)),
				"halves":       iotest.HalfReader(strings.NewReader(c.in)),
				"error early":  iotest.DataErrReader(strings.NewReader(c.in)),
			} {
				t.Run(way, func(t *testing.T) {
					got, err := frames(t, r, limits)
					if !errors.Is(err, c.err) {
						t.Errorf("error %v, want %v", err, c.err)
					}
					if len(got) != len(c.want) {
						t.Fatalf("frames %q, want %q", got, c.want)
					}
					for i := range got {
						if c.want[i] == "" { // how much of an oversize tag is known depends on the reads
							if !strings.HasPrefix(got[i], "stanza message|") || !strings.HasSuffix(got[i], "| oversize") {
								t.Errorf("frame %d %q, want an oversize message", i, got[i])
							}
						} else if got[i] != c.want[i] {
							t.Errorf("frame %d\n got %s\nwant %s", i, got[i], c.want[i])
						}
					}
				})
			}
		})
	}
}

// An element over its limit must not be held in memory, however long it is.
func TestFramerSkipsWithoutBuffering(t *testing.T) {
	const piece = "<b a='>'>text &amp; </b><e/><!-- c --><![CDATA[ ] ]]>"
	body := io.LimitReader(&repeater{piece: piece}, int64(len(piece))<<17)
	f := NewFramer(io.MultiReader(strings.NewReader(header+`<message id="big"><body>`), body,
		strings.NewReader(strings.Repeat("x", 100)+`</body></message><message id="next">1</message>`)), Limits{})
	largest := 0
	for _, want := range []string{"7n9", "big", "next"} {
		frame, err := f.Next()
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, len(f.buf))
		if frame.Stanza.ID != want || frame.Stanza.Oversize != (want == "big") {
			t.Fatalf("frame %q (oversize %v), want %q", frame.Stanza.ID, frame.Stanza.Oversize, want)
		}
	}
	if largest > 4*DefaultStanza {
		t.Errorf("the buffer grew to %d bytes, want at most %d", largest, 4*DefaultStanza)
	}
}

// While content is dropped the buffer is cut anywhere, also between the two ends of an empty tag.
func TestFramerSkipsEmptyTags(t *testing.T) {
	for shift := range 4 {
		f := NewFramer(strings.NewReader(header+`<message id="big">`+strings.Repeat(" ", shift)+strings.Repeat("<e/>", DefaultStanza)+`</message><message id="next"/>`), Limits{})
		for _, want := range []string{"7n9", "big", "next"} {
			if frame, err := f.Next(); err != nil || frame.Stanza.ID != want {
				t.Fatalf("shift %d: frame %q, %v, want %q", shift, frame.Stanza.ID, err, want)
			}
		}
	}
}

// repeater reads one piece again and again.
type repeater struct {
	piece string
	at    int
}

func (r *repeater) Read(b []byte) (n int, err error) {
	for n < len(b) {
		c := copy(b[n:], r.piece[r.at:])
		n += c
		r.at = (r.at + c) % len(r.piece)
	}
	return n, nil
}

// Content must not change when the framer reads on into its buffer.
func TestFramerGivesContentAway(t *testing.T) {
	var in strings.Builder
	in.WriteString(header)
	want := make([]string, 0, 60)
	for i := range 60 {
		inner := strings.Repeat(fmt.Sprintf("<x>%d</x>", i), 1+i*i*4)
		want = append(want, inner)
		fmt.Fprintf(&in, `<message xmlns:p%d="urn:p" id="%d">%s</message>`, i, i, inner)
	}
	f := NewFramer(strings.NewReader(in.String()), Limits{})
	if frame, err := f.Next(); err != nil || frame.Kind != KindHeader {
		t.Fatalf("got %+v, %v, want the header and no error", frame, err)
	}
	var all []Stanza
	for range want {
		frame, err := f.Next()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, frame.Stanza)
	}
	for i, st := range all {
		if string(st.Inner) != want[i] || st.ID != fmt.Sprint(i) {
			t.Errorf("stanza %d changed after it was handed out, want Inner %v, ID %v", i, want[i], fmt.Sprint(i))
		}
	}
}

func TestFramerReaderWithoutProgress(t *testing.T) {
	if _, err := NewFramer(stuck{}, Limits{}).Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v, want ErrNoProgress", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// TestFramerTellsTheEnds: of an element that is too large the beginning and the end are told, however it came in.
func TestFramerTellsTheEnds(t *testing.T) {
	begun := `<message id="big"><body>{"msg_type":"` + strings.Repeat("a", maxKeptWhileSkipping)
	for name, size := range map[string]int{"just over": 3 * maxKeptWhileSkipping, "much": 1 << 20} {
		message := begun + strings.Repeat("x", size) + strings.Repeat("b", maxKeptWhileSkipping) + `"}</body></message>`
		for how, r := range map[string]io.Reader{"at once": strings.NewReader(header + message + "<presence/>"), "in halves": iotest.HalfReader(strings.NewReader(header + message + "<presence/>"))} {
			t.Run(name+" "+how, func(t *testing.T) {
				f := NewFramer(r, Limits{Stanza: 3 * maxKeptWhileSkipping})
				for _, name := range []string{"stream", "message", "presence"} {
					frame, err := f.Next()
					st := frame.Stanza
					switch {
					case err != nil || st.Name != name:
						t.Fatalf("got %q, %v, want %q", st.Name, err, name)
					case name != "message":
						if st.Ends != nil {
							t.Errorf("%s: got ends %q, want none", name, st.Ends)
						}
					default:
						if want := message[:maxKeptWhileSkipping] + message[len(message)-maxKeptWhileSkipping:]; string(st.Ends) != want {
							t.Errorf("ends: got %q, want %q", st.Ends, want)
						}
					}
				}
			})
		}
	}
}
