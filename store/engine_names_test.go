package store

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEnginesByName(t *testing.T) {
	for name, want := range map[string]string{"sqlite": "sqlite", "SQLite3": "sqlite", "MariaDB": "mysql", "mssql": "sqlserver", "oracle": "oracle", "postgres": ""} {
		t.Run(name, func(t *testing.T) {
			e, known := EngineNamed(name)
			if e.Name != want || known != (want != "") {
				t.Errorf("got %q, known %v; want %q", e.Name, known, want)
			}
			if later := known && dialects[e.Name] == nil; e.Later != later {
				t.Errorf("later: got %v, want %v", e.Later, later)
			}
		})
	}
}

// TestAnEngineRegistersItself: what people are told of engines follows from their dialects alone.
func TestAnEngineRegistersItself(t *testing.T) {
	before := Engines()
	register(&dialect{name: "zebra", title: "zebra (stripes too)", server: "a zebra", address: regexp.MustCompile(`^zebra://|;Stripes=`),
		form: "zebra://user:password@host", mask: func(string) (string, bool) { return "", false }})
	t.Cleanup(func() { delete(dialects, "zebra") })

	var names, titles []string
	for _, e := range append(before, Engine{Name: "zebra", Title: "zebra (stripes too)"}) {
		names, titles = append(names, e.Name), append(titles, e.Title)
	}
	var got []string
	for _, e := range Engines() {
		got = append(got, e.Name)
	}
	if names[0] != defaultEngine || !slices.Equal(got, names) {
		t.Errorf("the engines are %s, want %s", got, names)
	}
	_, unknown := dialectOf("db2")
	for what, c := range map[string]struct {
		err  error
		want string
	}{
		"its own":    {checkForm("zebra", "Herd=x;Stripes=y"), "<nil>"},
		"of mysql":   {checkForm("zebra", "mysql://u:p@h/d"), "store.driver is zebra: set store.driver: mysql"},
		"elsewhere":  {checkForm("sqlite", "zebra://h"), "set store.driver: zebra"},
		"of nobody":  {checkForm("zebra", "postgres://h"), "write it as zebra://user:password@host"},
		"no file":    {sqliteName("x@y:z@h"), "for sqlite it is a file name such as tlim.db, and "},
		"nor its":    {sqliteName("x@y:z@h"), ", and zebra needs store.driver: zebra and zebra://user:password@host"},
		"of mysql's": {sqliteName("x@y:z@h"), ", and mysql needs store.driver: mysql and " + mysqlForm},
		"not known":  {unknown, "use " + enumerate(names, "or")},
	} {
		t.Run(what, func(t *testing.T) {
			if got := fmt.Sprint(c.err); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want it to hold %q", got, c.want)
			}
		})
	}
	if got, want := notInThisRelease(), "not in this release; "+enumerate(titles, "and")+" are"; got != want {
		t.Errorf("of others people are told %q, want %q", got, want)
	}
	if got := DriverOf("zebra://h", "sqlite"); got != "zebra" {
		t.Errorf("the driver of a zebra address is %s, want zebra", got)
	}
}

// TestLaterEngineCounts: an engine that was refused by its name is there once it registers itself.
func TestLaterEngineCounts(t *testing.T) {
	for _, e := range laterEngines {
		if _, there := dialects[e.Name]; there {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			register(&dialect{name: e.Name, title: e.Name, aliases: e.aliases})
			t.Cleanup(func() { delete(dialects, e.Name) })
			if got, known := EngineNamed(e.Name); !known || got.Later {
				t.Errorf("got known %v, later %v; want it in this release", known, got.Later)
			}
		})
	}
}
