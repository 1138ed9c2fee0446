package lenient

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/dop251/goja"
)

func TestJSON(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"a":1, "b":[]}`, `{"a":1, "b":[]}`},
		{`[{user_id:"015748a9"}]`, `[{"user_id":"015748a9"}]`},
		{`{'a':'it"s', b:1,}`, `{"a":"it\"s","b":1}`},
		{`{a:'it\'s', c:[1,2,], // note
		  d /* x */ : .5, e:+1, f:0xFF, g:5., h:-.5e3}`, `{"a":"it's","c":[1,2],"d":0.5,"e":1,"f":255,"g":5.0,"h":-0.5e3}`},
		{`{msg_time:1599218283837,msg_time:2}`, `{"msg_time":1599218283837,"msg_time":2}`},
		{`{"a":"\u4f60\/ // no comment", b:'你好😀'}`, `{"a":"\u4f60\/ // no comment","b":"你好😀"}`},
		{"{a:'two \\\nlines'}", `{"a":"two lines"}`},
	} {
		got, err := JSON(c.in)
		if err != nil || got != c.want {
			t.Errorf("JSON(%s) = %s, %v; want %s", c.in, got, err, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, in := range []string{
		"", "{", `{"a" "b"}`, `{a:}`, `[1,,2]`, "hello world", `{a:Infinity}`, `{a:NaN}`, "0/*", "[1]/*/", "[//\r1\n]", "[1]//\u2028", "\xff", `{"a":"\xff"}` + "\xfe",
		strings.Repeat("[", 100000), strings.Repeat(`{a:`, 100) + "1" + strings.Repeat("}", 100),
	} {
		if got, err := JSON(in); err == nil {
			t.Errorf("JSON(%.40q) = %.40q, want an error", in, got)
		}
	}
}

// TestDepth: whatever stands before and between, nothing deeper than the limit passes: those behind us recurse.
func TestDepth(t *testing.T) {
	for _, before := range []string{"", "/*'*/", "//'\n", `/*"*/`, "/* // */", "['/*',", `["//",`, `['\'',`} {
		deep := before + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
		if out, err := JSON(deep); err != ErrDepth {
			t.Errorf("%s and 100,000 brackets: %.20q, %v", before, out, err)
		}
		flat := before + strings.Repeat("[", 10) + strings.Repeat("]", 10+strings.Count(before, "["))
		if _, err := JSON(flat); err != nil {
			t.Errorf("%s and 10 brackets: %v", before, err)
		}
	}
}

// TestCost: no text takes long for its length; each of these would where a reader looks back or ahead once too often: four times
// the text some sixteen times as long. What else the machine does may spoil a comparison or two.
func TestCost(t *testing.T) {
	const size = 1 << 18
	for _, piece := range []string{"1,", "a:1,", "/**/", "1/**/ ,", "'',", "//\n", " ", "a:/*", "/*", "'\\", "{a:1},", "[],", "\u2028", "0x1,", "a/**/:1,"} {
		for _, open := range []string{"[", "{"} {
			cost := func(size int) time.Duration {
				text := open + strings.Repeat(piece, size/len(piece)) + map[string]string{"[": "]", "{": "}"}[open]
				begin := time.Now()
				out, _ := JSON(text)
				took := time.Since(begin)
				if len(out) > 6*len(text) {
					t.Errorf("%d bytes of %q became %d", len(text), piece, len(out))
				}
				return took
			}
			part, whole := cost(size/4), cost(size)
			slow := func() bool { return whole > time.Second/2 && whole > 10*part }
			for tries := 1; slow() && tries < 5; tries++ {
				part, whole = cost(size/4), cost(size)
			}
			if slow() {
				t.Fatalf("%d bytes of %q took %v, a quarter of them %v", size, piece, whole, part)
			}
		}
	}
}

// FuzzJSON: what comes out is strict JSON, means what JavaScript reads in the input, and is its own strict form.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{a:'b',}`, `[.5,+1,0x1F]`, `{a/**/:1}`, `{'\u0041':"\\"}`, "{a:'\\\n'}", `[1,]`, `{a:{b:[{c:''}]}}`, "[//\r1\n]", "[//\u20281\n]",
		"/*'*/[1]", `['\x41\v\0\a']`, `[010,1e5,5.,-.5e3,-0x10,- 1]`, "{\u00a0\ufeffa:1}", `{if:1,$_:2,\u4f60:3,你:4,"":5}`, `{a:1,a:{},b:2,2:3,1:4}`, "['\u2028\t']", `["\ud800"]`} {
		f.Add(s)
	}
	machine := goja.New()
	same, err := machine.RunString(`(function(loose, strict) { return JSON.stringify(eval("(" + loose + "\n)")) === JSON.stringify(JSON.parse(strict)) })`)
	if err != nil {
		f.Fatal(err)
	}
	compare, ok := goja.AssertFunction(same)
	if !ok {
		f.Fatal("no function")
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := JSON(in)
		if err != nil {
			return
		}
		if !json.Valid([]byte(out)) {
			t.Fatalf("%q gave %q", in, out)
		}
		if again, err := JSON(out); err != nil || again != out {
			t.Fatalf("%q gave %q, and that %q, %v", in, out, again, err)
		}
		if len(out) > 6*len(in)+2 { // a character becomes at most an escape; two quotes come with a name
			t.Fatalf("%d bytes became %d", len(in), len(out))
		}
		if in == out || strings.Contains(out, "__proto__") || strings.Contains(out, `\u`) && strings.Contains(out, "proto") {
			return // JSON is no JavaScript in this one name: there it sets what an object inherits from
		}
		equal, err := compare(goja.Undefined(), machine.ToValue(in), machine.ToValue(out))
		if err != nil || !equal.ToBoolean() {
			t.Fatalf("%q is not what its strict form %q is: %v", in, out, err)
		}
	})
}
