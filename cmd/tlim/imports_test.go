package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rule forbids imports to packages. Patterns are import paths; one that ends in /... stands for what lies below too.
type rule struct {
	name   string
	in     []string // whom it binds
	except []string
	forbid []string
	allow  []string // exceptions from forbid
}

// The layers: cmd -> httpapi -> component -> store.
var rules = []rule{
	{"component has no sockets, no HTTP and no SQL", []string{"tlim/component", "tlim/component/stanza", "tlim/component/lenient"}, nil,
		[]string{"net", "net/http", "database/sql", "crypto/tls"}, nil},
	{"component knows neither its senders nor its callers", []string{"tlim/component"}, nil,
		[]string{"tlim/..."}, []string{"tlim/component/cache", "tlim/component/calls", "tlim/component/clock", "tlim/component/directory", "tlim/component/events", "tlim/component/inflight", "tlim/component/logged", "tlim/component/stanza", "tlim/component/lenient", "tlim/component/fairqueue", "tlim/component/outbox", "tlim/component/pause", "tlim/component/protocol", "tlim/component/presence", "tlim/component/retention", "tlim/component/tracking", "tlim/component/trigger", "tlim/component/unasked", "tlim/component/unconfirmed", "tlim/store"}},
	{"protocol knows values only", []string{"tlim/component/protocol"}, nil,
		[]string{"tlim/...", "context", "github.com/prometheus/..."}, []string{"tlim/component/stanza", "tlim/component/lenient", "tlim/store"}},
	{"presence knows devices, not messages", []string{"tlim/component/presence"}, nil,
		[]string{"tlim/...", "net/..."}, []string{"tlim/component/logged", "tlim/component/pause", "tlim/component/stanza", "tlim/component/trigger"}},
	{"tokens know users, not messages", []string{"tlim/component/tokens"}, nil,
		[]string{"tlim/...", "net/..."}, []string{"tlim/component/protocol", "tlim/component/stanza", "tlim/store"}},
	{"directory knows users, not messages", []string{"tlim/component/directory"}, nil,
		[]string{"tlim/...", "net/..."}, []string{"tlim/component/logged", "tlim/component/pause", "tlim/component/protocol", "tlim/component/stanza", "tlim/component/trigger", "tlim/store"}},
	{"unconfirmed knows devices and rows, not messages' kinds", []string{"tlim/component/unconfirmed"}, nil,
		[]string{"tlim/...", "net/...", "context"}, []string{"tlim/component/presence", "tlim/component/protocol", "tlim/component/stanza", "tlim/store"}},
	{"cache knows groups, not messages", []string{"tlim/component/cache"}, nil,
		[]string{"tlim/...", "net/..."}, []string{"tlim/component/protocol", "tlim/component/stanza", "tlim/component/unconfirmed", "tlim/store"}},
	{"doubles are for tests alone", []string{"tlim/..."}, nil, []string{"tlim/component/doubles"}, nil},
	{"doubles know nobody", []string{"tlim/component/doubles"}, nil, []string{"tlim/..."}, []string{"tlim/component/pause"}},
	{"clock and unasked know nobody", []string{"tlim/component/clock", "tlim/component/unasked"}, nil, []string{"tlim/..."}, nil},
	{"inflight knows deliveries, not messages", []string{"tlim/component/inflight"}, nil,
		[]string{"tlim/...", "net/..."}, []string{"tlim/component/stanza", "tlim/component/trigger"}},
	{"stanza and lenient know nobody", []string{"tlim/component/stanza", "tlim/component/lenient"}, nil, []string{"tlim/..."}, nil},
	{"bilingual knows nobody", []string{"tlim/component/bilingual"}, nil, []string{"tlim/..."}, nil},
	{"trigger, pause, logged and fairqueue know nobody", []string{"tlim/component/trigger", "tlim/component/pause", "tlim/component/logged", "tlim/component/fairqueue"}, nil, []string{"tlim/..."}, nil},
	{"stream and openfire know stanzas, not messages", []string{"tlim/component/stream", "tlim/component/openfire"}, nil,
		[]string{"tlim/..."}, []string{"tlim/component/pause", "tlim/component/stanza", "tlim/component/stream", "tlim/component/trigger"}},
	{"push knows notes and events, not messages", []string{"tlim/component/push"}, nil, []string{"tlim/..."}, []string{"tlim/component/events", "tlim/component/outbox"}},
	{"the outbox knows neither messages nor vendors", []string{"tlim/component/outbox"}, nil,
		[]string{"tlim/...", "net/..."}, []string{"tlim/component/logged", "tlim/component/protocol", "tlim/component/trigger", "tlim/store"}},
	{"events know what changed, neither messages' kinds nor HTTP", []string{"tlim/component/events"}, nil,
		[]string{"tlim/...", "net/..."}, []string{"tlim/component/logged", "tlim/component/protocol", "tlim/component/trigger", "tlim/store"}},
	{"calls know receivers, not how they get their messages", []string{"tlim/component/calls"}, nil,
		[]string{"tlim/...", "net/..."}, []string{"tlim/component/pause", "tlim/component/protocol", "tlim/component/trigger", "tlim/store"}},
	{"tracking looks, and knows nobody who works", []string{"tlim/component/tracking"}, nil,
		[]string{"tlim/...", "net/..."}, []string{"tlim/component/calls", "tlim/component/outbox", "tlim/component/presence", "tlim/component/protocol", "tlim/component/unasked", "tlim/component/unconfirmed", "tlim/store"}},
	{"retention knows rows, not messages", []string{"tlim/component/retention"}, nil,
		[]string{"tlim/...", "net/..."}, []string{"tlim/component/pause", "tlim/component/protocol", "tlim/component/trigger", "tlim/store"}},
	{"httpapi does not know the link", []string{"tlim/httpapi"}, nil,
		[]string{"tlim/..."}, []string{"tlim/component", "tlim/component/bilingual", "tlim/component/lenient", "tlim/component/logged", "tlim/component/pause", "tlim/component/protocol", "tlim/component/retention", "tlim/component/stanza", "tlim/component/tokens", "tlim/component/tracking", "tlim/httpapi/picture", "tlim/httpapi/web", "tlim/store", "tlim/store/blob", "tlim/store/private"}},
	{"pages and pictures know neither the API nor messages", []string{"tlim/httpapi/web", "tlim/httpapi/picture"}, nil, []string{"tlim/..."}, nil},
	{"the store is the floor", []string{"tlim/store/..."}, nil, []string{"tlim/..."}, []string{"tlim/store/..."}},
	{"commands are cobra's in cmd/tlim alone", []string{"tlim/..."}, []string{"tlim/cmd/tlim"},
		[]string{"github.com/spf13/cobra", "github.com/spf13/pflag"}, nil},
	{"viper is the configuration's", []string{"tlim/..."}, []string{"tlim/cmd/tlim/config"},
		[]string{"github.com/spf13/viper/..."}, nil},
	{"the configuration asks parts what they accept, and runs none", []string{"tlim/cmd/tlim/config"}, nil,
		[]string{"tlim/...", "net/http", "database/sql"}, []string{"tlim/component", "tlim/component/events", "tlim/component/openfire", "tlim/component/push", "tlim/component/stanza", "tlim/httpapi", "tlim/httpapi/web", "tlim/store", "tlim/store/blob"}},
	{"the doctor looks at the world from outside, and runs no part of the product", []string{"tlim/cmd/tlim/doctor"}, nil,
		[]string{"tlim/...", "database/sql"}, []string{"tlim/cmd/tlim/config", "tlim/component/openfire", "tlim/component/stanza", "tlim/component/stream", "tlim/store", "tlim/store/blob", "tlim/store/private"}},
	{"a shadow run knows what the service decides, and neither the link nor the commands", []string{"tlim/cmd/tlim/shadow"}, nil,
		[]string{"tlim/...", "database/sql", "net", "net/http"}, []string{"tlim/component", "tlim/component/directory", "tlim/component/lenient", "tlim/component/presence", "tlim/component/protocol", "tlim/component/stanza", "tlim/store"}},
	{"the console is told of the process, and holds no part of it", []string{"tlim/cmd/tlim/console"}, nil,
		[]string{"tlim/...", "database/sql", "net/http"}, []string{"tlim/cmd/tlim/doctor", "tlim/component/trigger", "tlim/httpapi"}},
	{"who stands by knows rows, and neither messages nor files", []string{"tlim/cmd/tlim/standby"}, nil,
		[]string{"tlim/...", "database/sql", "net/..."}, []string{"tlim/component/logged", "tlim/component/pause", "tlim/store"}},
	{"takeover reads and writes texts", []string{"tlim/cmd/tlim/takeover"}, nil,
		[]string{"tlim/...", "database/sql", "net/http", "os"}, []string{"tlim/store"}},
	{"SQL is the store's", []string{"tlim/..."}, []string{"tlim/store/...", "tlim/scripts/..."},
		[]string{"database/sql/...", "github.com/jmoiron/sqlx/...", "github.com/go-sql-driver/mysql/...", "github.com/microsoft/go-mssqldb/...", "github.com/sijms/go-ora/...", "modernc.org/sqlite/..."}, nil},
	{"gosrc's types stay in the packages that speak XMPP", []string{"tlim/..."}, []string{"tlim/component/stream", "tlim/component/openfire", "tlim/component/stanza", "tlim/scripts/..."},
		[]string{"gosrc.io/xmpp/..."}, nil},
}

func matches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		below, all := strings.CutSuffix(p, "/...")
		return path == p || all && (path == below || strings.HasPrefix(path, below+"/"))
	})
}

// broken lists what a package imports against the rules.
func broken(rules []rule, path string, imports []string) (list []string) {
	for _, r := range rules {
		if !matches(r.in, path) || matches(r.except, path) {
			continue
		}
		for _, i := range imports {
			if matches(r.forbid, i) && !matches(r.allow, i) {
				list = append(list, path+" imports "+i+": "+r.name)
			}
		}
	}
	return list
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestImportsPointOneWay(t *testing.T) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", "tlim/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen[p.ImportPath] = true
		for _, line := range broken(rules, p.ImportPath, p.Imports) {
			t.Errorf("got %s, want imports that point down", line)
		}
	}
	for path := range seen {
		if strings.HasPrefix(path, "tlim/component/") && !slices.ContainsFunc(rules, func(r rule) bool { return slices.Contains(r.in, path) }) {
			t.Errorf("no rule says what %s may import, want one", path)
		}
	}
	for _, must := range []string{"tlim/cmd/tlim", "tlim/cmd/tlim/config", "tlim/component", "tlim/component/stanza", "tlim/component/stream", "tlim/component/openfire", "tlim/component/push", "tlim/httpapi", "tlim/store"} {
		if !seen[must] {
			t.Errorf("%s was not looked at, want it looked at", must)
		}
	}
}

// breaking are imports of which each is against a rule, each rule among them.
var breaking = []struct{ path, imports string }{
	{"tlim/component", "net"}, {"tlim/component", "net/http"}, {"tlim/component", "database/sql"}, {"tlim/component", "tlim/component/stream"},
	{"tlim/component/cache", "tlim/component/presence"}, {"tlim/component/inflight", "tlim/store"}, {"tlim/component/clock", "tlim/component/stanza"}, {"tlim/component/unasked", "tlim/store"},
	{"tlim/component/lenient", "tlim/component/protocol"}, {"tlim/component/doubles", "tlim/component"}, {"tlim/component", "tlim/component/doubles"}, {"tlim/cmd/tlim", "tlim/component/doubles"},
	{"tlim/component/stanza", "net"}, {"tlim/component/stream", "tlim/component"}, {"tlim/component/openfire", "tlim/store"},
	{"tlim/component/push", "tlim/store"}, {"tlim/component/events", "tlim/component"}, {"tlim/component/events", "net/http"}, {"tlim/component/protocol", "tlim/component"}, {"tlim/component/protocol", "context"},
	{"tlim/component/presence", "tlim/component"}, {"tlim/component/presence", "tlim/store"}, {"tlim/component/trigger", "tlim/component/stanza"},
	{"tlim/component", "tlim/component/push"}, {"tlim/component", "tlim/component/tokens"}, {"tlim/component/push", "tlim/component"}, {"tlim/component/outbox", "tlim/component"}, {"tlim/component/outbox", "net/http"}, {"tlim/component/retention", "tlim/component"}, {"tlim/component/retention", "tlim/httpapi"}, {"tlim/component/tracking", "tlim/component"}, {"tlim/component/calls", "tlim/component"}, {"tlim/component/fairqueue", "tlim/store"}, {"tlim/component/logged", "tlim/store"}, {"tlim/component/bilingual", "tlim/store"},
	{"tlim/component/outbox", "tlim/component/push"}, {"tlim/component/tokens", "tlim/component"},
	{"tlim/component/unconfirmed", "tlim/component"}, {"tlim/component/directory", "tlim/component"}, {"tlim/component/directory", "tlim/component/presence"},
	{"tlim/httpapi", "tlim/component/stream"}, {"tlim/httpapi/web", "tlim/httpapi"}, {"tlim/httpapi/picture", "tlim/store"}, {"tlim/httpapi/web", "tlim/store"}, {"tlim/store", "tlim/component"}, {"tlim/store/blob", "tlim/httpapi"},
	{"tlim/httpapi", "github.com/spf13/viper"}, {"tlim/component", "github.com/jmoiron/sqlx"}, {"tlim/cmd/tlim", "modernc.org/sqlite"},
	{"tlim/cmd/tlim", "database/sql/driver"}, {"tlim/cmd/tlim", "gosrc.io/xmpp/stanza"},
	{"tlim/cmd/tlim", "github.com/spf13/viper"}, {"tlim/cmd/tlim/config", "github.com/spf13/cobra"}, {"tlim/cmd/tlim/config", "tlim/component/stream"}, {"tlim/cmd/tlim/config", "net/http"},
	{"tlim/cmd/tlim/standby", "tlim/component"}, {"tlim/cmd/tlim/takeover", "tlim/cmd/tlim/config"}, {"tlim/cmd/tlim/takeover", "os"},
	{"tlim/cmd/tlim/shadow", "tlim/component/stream"}, {"tlim/cmd/tlim/shadow", "tlim/cmd/tlim/config"}, {"tlim/cmd/tlim/shadow", "net"},
	{"tlim/cmd/tlim/console", "tlim/component"}, {"tlim/cmd/tlim/console", "tlim/cmd/tlim/config"}, {"tlim/cmd/tlim/doctor", "tlim/component"}, {"tlim/cmd/tlim/doctor", "tlim/httpapi"}, {"tlim/cmd/tlim/doctor", "github.com/spf13/cobra"},
}

// A rule that nothing can break proves nothing.
func TestRulesCanBreak(t *testing.T) {
	can := map[string]bool{}
	for _, c := range breaking {
		for _, r := range rules {
			if len(broken([]rule{r}, c.path, []string{c.imports})) > 0 {
				can[r.name] = true
			}
		}
	}
	for _, r := range rules {
		if !can[r.name] {
			t.Errorf("no import is known to break the rule %q, want one among those that break rules", r.name)
		}
	}
	for _, c := range breaking {
		t.Run(c.path+" imports "+c.imports, func(t *testing.T) {
			if len(broken(rules, c.path, []string{c.imports})) == 0 {
				t.Errorf("no rule forbids %s to import %s, want one", c.path, c.imports)
			}
		})
	}
	for _, c := range []struct{ path, imports string }{
		{"tlim/component", "tlim/store"}, {"tlim/component/stream", "net"}, {"tlim/store", "database/sql"}, {"tlim/cmd/tlim/config", "github.com/spf13/viper"},
		{"tlim/cmd/tlim/config", "tlim/store"}, {"tlim/cmd/tlim", "github.com/spf13/cobra"}, {"tlim/httpapi", "net/http"}, {"tlim/component/stream", "gosrc.io/xmpp/stanza"},
	} {
		t.Run(c.path+" imports "+c.imports, func(t *testing.T) {
			if lines := broken(rules, c.path, []string{c.imports}); len(lines) > 0 {
				t.Errorf("got %v, want none", lines)
			}
		})
	}
}

// foreignModules lists what stands in the wrong block of go.mod: a direct requirement that does not ship among those that do, or one
// that ships among those that only tests use. ships are the modules of the binary.
func foreignModules(mod string, ships map[string]bool) (list []string) {
	tests := false
	for line := range strings.Lines(mod) {
		switch fields := strings.Fields(line); {
		case strings.HasPrefix(line, "// Only tests use these"):
			tests = true
		case strings.HasPrefix(line, ")"):
			tests = false
		case strings.HasPrefix(line, "\t"):
			if tests && ships[fields[0]] || !tests && !strings.Contains(line, "// indirect") && !ships[fields[0]] {
				list = append(list, fields[0])
			}
		}
	}
	return list
}

// What ships is what is checked for licences and advisories: go.mod says which modules that are.
func TestModulesThatShip(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "tlim/cmd/tlim").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	ships := map[string]bool{}
	for path := range strings.FieldsSeq(string(out)) {
		ships[path] = true
	}
	mod := readText(t, "../../go.mod")
	if list := foreignModules(mod, ships); len(list) > 0 {
		t.Errorf("in the wrong block of go.mod: got %q, want none", list)
	}
	// It can fail: a test's module that ships, and one that ships no more.
	ships["github.com/dop251/goja"] = true
	delete(ships, "github.com/spf13/viper")
	if list := foreignModules(mod, ships); !slices.Equal(list, []string{"github.com/spf13/viper", "github.com/dop251/goja"}) {
		t.Errorf(`two wrong ones: got %q, want ["github.com/spf13/viper" "github.com/dop251/goja"]`, list)
	}
}
