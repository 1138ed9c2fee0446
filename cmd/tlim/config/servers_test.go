package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// One text, a list and a text with commas are the servers; the first one's host has the server's BOSH.
func TestServers(t *testing.T) {
	for name, c := range map[string]struct {
		file, variable string
		want           Servers
	}{
		"one":             {file: "xmpp: {server: 'of.example:5275'}", want: Servers{"of.example:5275"}},
		"a list":          {file: "xmpp: {server: ['b.example:5275', 'a.example:5276']}", want: Servers{"b.example:5275", "a.example:5276"}},
		"with commas":     {file: "xmpp: {server: 'b.example:5275, a.example:5276'}", want: Servers{"b.example:5275", "a.example:5276"}},
		"the environment": {file: "xmpp: {server: 'c.example:1'}", variable: "b.example:5275,[::1]:5276", want: Servers{"b.example:5275", "[::1]:5276"}},
	} {
		t.Run(name, func(t *testing.T) {
			var environ []string
			if c.variable != "" {
				t.Setenv("TLIM_XMPP_SERVER", c.variable)
				environ = []string{"TLIM_XMPP_SERVER=" + c.variable}
			}
			cfg, problems := parse([]byte(c.file+"\n"), "tlim.yaml", t.TempDir(), environ, []string{"xmpp.domain=im.example"})
			problems = slices.DeleteFunc(problems, func(p string) bool { return p == noSecret })
			if len(problems) > 0 || !slices.Equal(cfg.XMPP.Server, c.want) {
				t.Fatalf("got %q, %v, want %q", cfg.XMPP.Server, problems, c.want)
			}
			if url := cfg.Web.XMPPURL.Reveal(); url != "http://"+c.want.Hosts()[0]+":7070/http-bind/" {
				t.Errorf("got web.xmpp_url %q, want that of the first server", url)
			}
			again, problems := parse([]byte("xmpp: {server: '"+cfg.XMPP.Server.String()+"'}\n"), "tlim.yaml", t.TempDir(), nil, []string{"xmpp.domain=im.example", "xmpp.server=" + cfg.XMPP.Server.String()})
			if !slices.Equal(again.XMPP.Server, c.want) {
				t.Errorf("what is shown reads as %q, %v, want %q", again.XMPP.Server, problems, c.want)
			}
		})
	}
}

func TestServersThatAreWrong(t *testing.T) {
	for value, want := range map[string]string{
		"[]":                         "names no server",
		"['']":                       "is no address",
		"['a:5275', '']":             "element 2 of 2 is empty",
		"'a:5275,,b:5275'":           "element 2 of 3 is empty",
		"['a:5275', 'A:5275']":       `A:5275" is given twice`,
		"['a:5275', 'b:0']":          "names no host or no port",
		"['a:5275', ':5275']":        "names no host or no port",
		"['a:5275', 'b:65536']":      "is no address",
		"['a:5275', b]":              "is no address",
		"['a:5275', {host: b}]":      "a single value is expected",
		"{a: 5275}":                  "a list is expected",
		"['a:5275', ~]":              "element 2 is empty",
		"'" + many(17) + "'":         "17 servers are more than 16",
		"'" + many(3) + ", h1:1000'": "is given twice",
	} {
		t.Run(fmt.Sprintf("%.30s", value), func(t *testing.T) {
			_, problems := parse([]byte("xmpp: {server: "+value+"}\n"), "tlim.yaml", t.TempDir(), nil, []string{"xmpp.domain=im.example"})
			problems = slices.DeleteFunc(problems, func(p string) bool { return p == noSecret })
			if len(problems) == 0 || !strings.Contains(problems.Error(), want) || !strings.Contains(problems.Error(), "xmpp.server") {
				t.Errorf("%s: got %q, want %q of xmpp.server", value, problems, want)
			}
		})
	}
}

// many are n addresses.
func many(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "h" + string(rune('a'+i)) + ":1000"
	}
	list[0] = "h1:1000"
	return strings.Join(list, ", ")
}
