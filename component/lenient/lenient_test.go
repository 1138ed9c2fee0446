package lenient

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/titanous/json5"
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
		"", "{", `{"a" "b"}`, `{a:}`, `[1,,2]`, "hello world", `{a:Infinity}`, `{a:NaN}`, "\xff", `{"a":"\xff"}` + "\xfe",
		strings.Repeat("[", 100000), strings.Repeat(`{a:`, 100) + "1" + strings.Repeat("}", 100),
	} {
		if got, err := JSON(in); err == nil {
			t.Errorf("JSON(%.40q) = %.40q, want an error", in, got)
		}
	}
}

// FuzzJSON: what comes out is strict JSON and means what the library reads in the input.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{a:'b',}`, `[.5,+1,0x1F]`, `{a/**/:1}`, `{'\u0041':"\\"}`, "{a:'\\\n'}", `[1,]`, `{a:{b:[{c:''}]}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := JSON(in)
		if err != nil {
			return
		}
		var strict any
		if err := json.Unmarshal([]byte(out), &strict); err != nil {
			if strings.Contains(err.Error(), "exceeds") || strings.Contains(err.Error(), "out of range") || strings.Contains(err.Error(), "cannot unmarshal number") {
				return // a legal number that float64 cannot hold
			}
			t.Fatalf("%q gave %q: %v", in, out, err)
		}
		var loose any
		if json5.Unmarshal([]byte(in), &loose) == nil && !reflect.DeepEqual(strict, loose) {
			t.Fatalf("%q reads %v, its strict form %q reads %v", in, loose, out, strict)
		}
	})
}
