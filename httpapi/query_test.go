package httpapi

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"tlim/component/stanza"
)

func TestFormAdd(t *testing.T) {
	for query, want := range map[string]form{
		"":                                {},
		"&&&":                             {},
		"a=1&b=2":                         {"a": {"1"}, "b": {"2"}},
		"a=1&a=2":                         {"a": {"1", "2"}},
		"a=1;b=2":                         {"a": {"1;b=2"}},
		"a=%":                             {"a": {"%"}},
		"a=%zz%4":                         {"a": {"%zz%4"}},
		"a=100%&b=%41%2b%2B":              {"a": {"100%"}, "b": {"A++"}},
		"a=x+y":                           {"a": {"x y"}},
		"a":                               {"a": {""}},
		"=v":                              {"": {"v"}},
		"a=b=c":                           {"a": {"b=c"}},
		`p=[{bizId:"1","x":'%E5%B7%A5'}]`: {"p": {`[{bizId:"1","x":'工'}]`}},
		"p=工资条":                           {"p": {"工资条"}},
		"p=%F0%9F%98%80":                  {"p": {"😀"}},
		"a=1%0D%0Ab":                      {"a": {"1\r\nb"}},
	} {
		t.Run(fmt.Sprintf("%q", query), func(t *testing.T) {
			got := form{}
			if err := got.add(query); err != nil {
				t.Error(err)
			} else if !reflect.DeepEqual(got, want) {
				t.Errorf("%q is %q, want %q", query, got, want)
			}
		})
	}
	for _, query := range []string{"a=%FF", "a=%C3%28", "a=%ED%A0%80", "a=%00", "a=%01", "%00=a", "a=%EF%BF%BE", "a=\xff",
		strings.Repeat("a&", maxPairs+1)} {
		t.Run(fmt.Sprintf("%.60q", query), func(t *testing.T) {
			if err := (form{}).add(query); err == nil {
				t.Errorf("%.20q is taken, want it refused", query)
			}
		})
	}
}

func FuzzFormAdd(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "a=%", "a=%4", "%41=%zz;[{", "a=\xff&b=%FF", `p=[{x:"1"}]&msgTo=a,b`, "a+b=c+d", "&=&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		got := form{}
		if err := got.add(query); err != nil {
			return
		}
		pairs := 0
		for name, values := range got {
			for _, v := range append(values, name) {
				if !stanza.ValidXML(v) {
					t.Fatalf("%q lets %q pass, want it refused", query, v)
				}
			}
			pairs += len(values)
		}
		wanted := 0
		for _, pair := range strings.Split(query, "&") {
			if pair != "" {
				wanted++
			}
		}
		if pairs != wanted {
			t.Fatalf("%q: got %d pairs, want %d", query, pairs, wanted)
		}
		// What net/url reads without dropping anything, both read alike.
		if std, err := url.ParseQuery(query); err == nil && !reflect.DeepEqual(form(std), got) {
			t.Fatalf("%q: got %q, want %q as net/url says", query, got, std)
		}
	})
}

func TestFormNamesOnly(t *testing.T) {
	f := form{"access_token": {"secret"}}
	if s := f.LogValue().String(); strings.Contains(s, "secret") || !strings.Contains(s, "access_token") {
		t.Errorf("String is %s, want it without secret, with access_token", s)
	}
}
