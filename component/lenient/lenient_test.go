package lenient

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dop251/goja"
	"github.com/tidwall/gjson"
)

// taken is what the old parser took, with its strict form; each was run through fastjson 1.2.47.
var taken = []struct{ in, want string }{
	// strict text stays as it is
	{`{"a":1, "b":[]}`, `{"a":1, "b":[]}`},
	{"{\"a\":\"\\u4f60\\/ // no comment\",\n\"a\":-0}", "{\"a\":\"\\u4f60\\/ // no comment\",\n\"a\":-0}"},
	// a byte order mark
	{"\ufeff[1]", `[1]`},
	{"\ufeff{a:1}", `{"a":1}`},
	// single quotes
	{`{'a':'it"s', "b":'it\'s'}`, `{"a":"it\"s","b":"it's"}`},
	{`{'a' :1}`, `{"a":1}`},
	{`['你好😀']`, `["你好😀"]`},
	// control characters in strings of either quote, and in keys
	{"[\"a\nb\tc\r\nd\x01\x7f\"]", `["a\u000ab\u0009c\u000d\u000ad\u0001` + "\x7f" + `"]`},
	{"['a\nb\x00']", `["a\u000ab\u0000"]`},
	{"{\"a\nb\":1,'c\td':2}", `{"a\u000ab":1,"c\u0009d":2}`},
	// escapes
	{`["\x41\xe9\xFF\v\0\7\F\'"]`, `["Aéÿ\u000b\u0000\u0007\f'"]`},
	{`['\x41\v\0\'\"\u4f60\/\b\f\n\r\t\\']`, `["A\u000b\u0000'\"\u4f60\/\b\f\n\r\t\\"]`},
	{`["\0001",'\ud83d']`, `["\u0000001","\ud83d"]`},
	// no value
	{`[undefined,NULL,Null,NaN,null]`, `[null,null,null,null,null]`},
	{`{a:undefined,b:NULL,"c":NaN}`, `{"a":null,"b":null,"c":null}`},
	{`{"undefined":undefined,true:true,false:false}`, `{"undefined":null,"true":true,"false":false}`},
	// commas
	{`[1,,2]`, `[1,2]`},
	{`[,1]`, `[1]`},
	{`[,,1,,,]`, `[1]`},
	{`[,]`, `[]`},
	{`{,a:1,,b:2,,}`, `{"a":1,"b":2}`},
	{`{,}`, `{}`},
	{"[{a:1}{b:2}\n{c:3}]", `[{"a":1},{"b":2},{"c":3}]`},
	{`[1 2 "a" 'b'[][]true null 1. 5]`, `[1,2,"a","b",[],[],true,null,1,5]`},
	// keys
	{`[{user_id:"015748a9"}]`, `[{"user_id":"015748a9"}]`},
	{`{标题:1,a1:2,$_x:3,_:4,a你好2:5}`, `{"标题":1,"a1":2,"$_x":3,"_":4,"a你好2":5}`},
	{"{a\u0301:1}", "{\"a\u0301\":1}"},
	{`{1:1,01:2,-5:3}`, `{"1":1,"1":2,"-5":3}`},
	{`{"":1,'':2}`, `{"":1,"":2}`},
	{"{a :1,b\n\t:2,\"c\"\f:3}", `{"a":1,"b":2,"c":3}`},
	{`{null:1,new:2,NaN:3}`, `{"null":1,"new":2,"NaN":3}`},
	{`{msg_time:1599218283837,msg_time:2}`, `{"msg_time":1599218283837,"msg_time":2}`},
	// numbers
	{`[015,00,-015,01e2,015.5]`, `[15,0,-15,1e2,15.5]`},
	{`[+1,+015,+1.5,+-1]`, `[1,15,1.5,-1]`},
	{`[5.,-5.,5.e3,1.e+3,-0.50,-0]`, `[5,-5,5e3,1e+3,-0.50,0]`},
	{`{a:12345678901234567890123,b:1E-5}`, `{"a":12345678901234567890123,"b":1e-5}`},
	{`[new Date(1600000000000),new  Date( -5 ),new
Date (+015),new Date(/*x*/5)]`, `[1600000000000,-5,15,5]`},
	// comments, control characters between tokens
	{"//x\n/*y*/[1,/*x*/2//x\n,3]//x", `[1,2,3]`},
	{`{/*x*/a/*y*/:/*z*/1/*w*/,/**/}`, `{"a":1}`},
	{"[//\r1\n/***/2//\u2028\n]", `[2]`},
	{"\x01[\x0b1\x00,\x7f2]\x1a", `[1,2]`},
	{"{a:\x0b1}", `{"a":1}`},
}

func TestJSON(t *testing.T) {
	for _, c := range taken {
		t.Run(c.in, func(t *testing.T) {
			if got, err := JSON(c.in); err != nil || got != c.want {
				t.Errorf("JSON(%q) = %s, %v; want %s", c.in, got, err, c.want)
			}
		})
	}
}

// TestRefusals: what the old parser refused, and the few things that it took in ways of its own (behind the blank line). Each
// error says where.
func TestRefusals(t *testing.T) {
	for _, in := range []string{
		"", " ", "{", "[1", `{a:1`, `{"a"`, `["a`, `['a"]`, `{"a" "b"}`, `{a:}`, `{a}`, `{a:1 b:2}`, `{"a":1;"b":2}`, `[1;2]`, `(1)`, `{a=1}`, `{a:,1}`, `{:1}`,
		`[1];`, `[1]x`, `[1][2]`, `{a:1}{b:2}`, `[1]]`, `{}}`, `[1],`, `,[1]`, "[1]\ufeff", "\ufeff\ufeff[1]", "[\ufeff1]",
		"hello world", `[hello]`, `{a:b}`, `[TRUE]`, `[True]`, `[Infinity]`, `[-Infinity]`, `[trueX]`, `[true"a"]`, `[null[]]`, "[true\x01]", `[nullnull]`, `[true1]`,
		`["\d"]`, `["\a"]`, `["\8"]`, `["\U0041"]`, `["\x4g"]`, `["\x4"]`, `["\u12"]`, `["\u004g"]`, "[\"\\\nx\"]", "['\\\r\n']", `["\`,
		`[.5]`, `[0x1F]`, `[1e]`, `[1e+]`, `[-]`, `[--1]`, `[1.2.3]`, `[1a]`, "[-\n1]", `[1 .5]`,
		"[\u00a01]", "[\u20281]", "[\u30001]", "{a\u00a0:1}", `[“a”]`, `{a：1}`, `[1，2]`, `{a-b:1}`, `{a.b:1}`, `{1a:1}`, `{+1:2}`, `{1 :1}`, "{a\x0b:1}", "{\x01a:1}", `{é:1}`, `{a b:1}`, `{a\u0062:1}`, `{@type:1}`,
		`[/*]`, `[/]`, `[1/2]`, `[#x]`, `[new Date("x")]`, `[new Date()]`, `[newDate(1)]`, `[new/**/Date(1)]`, `[new Date(5,)]`,

		`'a'`, `[+]`, `[1L]`, `[1.5F]`, `[1-2]`, `[1true]`, `{“a”:1}`, "{\u3000a:1}", `{1.5:1}`, `{1e3:1}`, `[x'41']`, `Set[1]`, `[TreeSet[1]]`, `[1]/*`, `[new Date(99999999999999999999)]`, `[new Array(5)]`, `{😀:1}`,
		"\xff", `{"a":"\xff"}` + "\xfe",
	} {
		t.Run(fmt.Sprintf("%q", in), func(t *testing.T) {
			got, err := JSON(in)
			if err == nil {
				t.Errorf("JSON(%q) = %.40q, want an error", in, got)
			}
			var where *SyntaxError
			if !errors.Is(err, errNotUTF8) && (!errors.As(err, &where) || where.Character < 1 || where.Character > len(in)+1) {
				t.Errorf("JSON(%q): got %v, want an error that says where, or %v", in, err, errNotUTF8)
			}
		})
	}
	for in, want := range map[string]string{
		`{"标题":“x”}`: `'“' instead of a value at character 7`, `[{a:1},{b:2]`: `']' instead of , or } at character 12`, `{a:true`: ", or } is missing at character 8", `[abc]`: `the word "abc" without quotes at character 2`,
	} {
		t.Run("says where: "+in, func(t *testing.T) {
			if _, err := JSON(in); err == nil || err.Error() != want {
				t.Errorf("JSON(%q): got %v, want %s", in, err, want)
			}
		})
	}
}

// TestDepth: whatever stands before and between, nothing deeper than the limit passes: those behind us recurse.
func TestDepth(t *testing.T) {
	for _, before := range []string{"", "/*'*/", "//'\n", `/*"*/`, "/* // */", "['/*',", `["//",`, `['\'',`, `["\"",`} {
		t.Run(fmt.Sprintf("%q", before), func(t *testing.T) {
			deep := before + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
			if out, err := JSON(deep); !errors.Is(err, ErrDepth) {
				t.Errorf("%s and 100,000 brackets: got %.20q, %v, want %v", before, out, err, ErrDepth)
			}
			objects := before + strings.Repeat("{a:", 100_000)
			if out, err := JSON(objects); !errors.Is(err, ErrDepth) {
				t.Errorf("%s and 100,000 braces: got %.20q, %v, want %v", before, out, err, ErrDepth)
			}
			inner := maxDepth - strings.Count(before, "[")
			flat := before + strings.Repeat("[", inner) + strings.Repeat("]", maxDepth)
			if out, err := JSON(flat); err != nil || strings.Count(out, "[") != maxDepth {
				t.Errorf("%s and %d brackets: got %.40q, %v, want %d brackets, no error", before, inner, out, err, maxDepth)
			}
		})
	}
	if out, err := JSON(`['` + strings.Repeat("[", 100) + `',"` + strings.Repeat("{", 100) + `"]`); err != nil {
		t.Errorf("brackets in strings: got %s, %v, want no error", out, err)
	}
}

// TestCost: no text takes long for its length; each of these would where a reader looks back or ahead once too often: four times
// the text some sixteen times as long. What else the machine does may spoil a comparison or two.
func TestCost(t *testing.T) {
	const size = 1 << 18
	for _, piece := range []string{"1,", "a:1,", "/**/", "1/**/ ,", "'',", "//\n", " ", "a:/*", "/*", "'\\", "{a:1},", "[],", "\u2028", "0x1,", "a/**/:1,", ",", "1 ", "a", "标", "0", "1.", "'\x01',", "new ", "new Date(", "\x00", "NaN ", "\"", "\\"} {
		t.Run(fmt.Sprintf("%q", piece), func(t *testing.T) {
			for _, open := range []string{"[", "{", "['", "{'"} {
				t.Run("in "+open, func(t *testing.T) {
					cost := func(size int) time.Duration {
						text := open + strings.Repeat(piece, size/len(piece)) + map[string]string{"[": "]", "{": "}"}[open]
						begin := time.Now()
						out, _ := JSON(text)
						took := time.Since(begin)
						if len(out) > 6*len(text) {
							t.Errorf("%d bytes of %q became %d, want at most %d", len(text), piece, len(out), 6*len(text))
						}
						return took
					}
					part, whole := cost(size/4), cost(size)
					slow := func() bool { return whole > time.Second/2 && whole > 10*part }
					for tries := 1; slow() && tries < 5; tries++ {
						part, whole = cost(size/4), cost(size)
					}
					if slow() {
						t.Fatalf("%d bytes of %q took %v, a quarter of them %v; want at most ten times as long", size, piece, whole, part)
					}
				})
			}
		})
	}
}

// TestText holds numbers in the place of texts against a JavaScript engine.
func TestText(t *testing.T) {
	machine := goja.New()
	for _, number := range []string{
		"0", "-0", "1", "-1", "15748", "15748.0", "15748.5", "1e3", "1E3", "1599218283837", "9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740993", "123456789012345678",
		"0.1", "0.10", "0.000001", "0.0000001", "1e-7", "1e400", "-1e400", "100000000000000000000", "999999999999999900000", "1000000000000000000000", "1e21", "0.30000000000000004", "0.300000000000000040", "5e-324",
	} {
		t.Run(number, func(t *testing.T) {
			value, err := machine.RunString("String(" + number + ")")
			if err != nil {
				t.Fatal(err)
			}
			text, ok := Text(gjson.Parse(number))
			if exponent := strings.ContainsAny(number, "eE"); text != number || ok != (value.String() == number && !exponent) {
				t.Errorf("%s: got %q, %v, want what JavaScript reads, %s, unless it has an exponent", number, text, ok, value)
			}
		})
	}
	for in, want := range map[string]string{`"a\u0062"`: "ab", `null`: "", `"1e3"`: "1e3"} {
		t.Run(in, func(t *testing.T) {
			if text, ok := Text(gjson.Parse(in)); !ok || text != want {
				t.Errorf("%s: got %q, %v, want %q", in, text, ok, want)
			}
		})
	}
	for _, in := range []string{"true", "{}", "[]", "false"} {
		t.Run(in, func(t *testing.T) {
			if text, ok := Text(gjson.Parse(in)); ok {
				t.Errorf("%s: got %q, want it to be no text", in, text)
			}
		})
	}
}

// FuzzJSON: what comes out is strict JSON, is its own strict form, and encoding/json and JavaScript read the same in it.
func FuzzJSON(f *testing.F) {
	for _, c := range taken {
		f.Add(c.in)
	}
	for _, s := range []string{`{"a":1}`, `{a:'b',}`, `{a/**/:1}`, `{'\u0041':"\\"}`, `[1,]`, `{a:{b:[{c:''}]}}`, "/*'*/[1]", `['\x41\v\0\a']`, `{if:1,$_:2,你:4,"":5}`, `{a:1,a:{},b:2,2:3,1:4}`,
		"['\u2028\t']", `["\ud800"]`, `{"__proto__":1}`, `[1e400,-0]`} {
		f.Add(s)
	}
	machine := goja.New()
	parse, err := machine.RunString(`JSON.parse`)
	if err != nil {
		f.Fatal(err)
	}
	javaScript, ok := goja.AssertFunction(parse)
	if !ok {
		f.Fatal("got no function of the script, want one")
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := JSON(in)
		if err != nil {
			return
		}
		if gjson.Valid(in) && out != in {
			t.Fatalf("%q was strict and became %q, want it unchanged", in, out)
		}
		if again, err := JSON(out); err != nil || again != out {
			t.Fatalf("%q gave %q, and that %q, %v, want it unchanged the second time", in, out, again, err)
		}
		if len(out) > 6*len(in) {
			t.Fatalf("%d bytes became %d, want at most %d", len(in), len(out), 6*len(in))
		}
		var want any
		d := json.NewDecoder(strings.NewReader(out))
		d.UseNumber()
		if err := d.Decode(&want); err != nil || d.More() {
			t.Fatalf("%q gave %q, want one JSON value: %v", in, out, err)
		}
		if overflows(want) { // an infinity to JavaScript, an error to the engine that plays it here
			return
		}
		got, err := javaScript(goja.Undefined(), machine.ToValue(out))
		if err != nil {
			t.Fatalf("%q gave %q, want JavaScript to read it: %v", in, out, err)
		}
		if !alike(want, got.Export()) {
			t.Fatalf("%q gave %q, which Go reads as %v and JavaScript as %v; want the same", in, out, want, got)
		}
	})
}

func overflows(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for _, v := range value {
			if overflows(v) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, overflows)
	case json.Number:
		_, err := value.Float64()
		return err != nil
	}
	return false
}

// alike compares a value of encoding/json with one of JavaScript. Half a surrogate is no character of a Go string.
func alike(want, got any) bool {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return false
		}
		keys := map[string]bool{}
		for key, value := range want {
			keys[key] = true
			if !alike(value, object[key]) && !strings.ContainsRune(key, 0xFFFD) && key != "__proto__" {
				return false
			}
		}
		for key := range object {
			if !keys[key] && !strings.ContainsRune(key, 0xFFFD) {
				return false
			}
		}
		return true
	case []any:
		array, ok := got.([]any)
		if !ok || len(array) != len(want) {
			return false
		}
		for i := range want {
			if !alike(want[i], array[i]) {
				return false
			}
		}
		return true
	case json.Number:
		f, err := want.Float64()
		if err != nil {
			return false
		}
		switch n := got.(type) {
		case int64:
			return float64(n) == f
		case float64:
			return n == f
		}
		return false
	case string:
		text, ok := got.(string)
		return ok && (text == want || strings.ContainsRune(want, 0xFFFD))
	}
	return want == got
}

func BenchmarkJSON(b *testing.B) {
	strict := `{"compress":"0","encode":"1","encrypt":"0","msg_id":"5f0c8a52-8a53-4e2f-b8ab-3c1f7a2b9c11","msg_type":"MTT-000","msg_from":"zhangsan","msg_to":"lisi","msg_time":"1599218283837","version":"2.0.0","body":[{"text":"` + strings.Repeat("你好 ok ", 8) + `"}]}`
	for name, text := range map[string]string{"strict": strict, "lenient": strings.Replace(strings.TrimSuffix(strict, "}"), `"compress"`, "compress", 1) + ",}"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := JSON(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
