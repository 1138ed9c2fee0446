package store

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
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
		})
	}
}

// TestAnEngineRegistersItself: what people are told of engines follows from their dialects alone.
func TestAnEngineRegistersItself(t *testing.T) {
	before := Engines()
	register(&dialect{name: "zebra", title: "zebra (stripes too)", server: "a zebra", address: regexp.MustCompile(`^zebra://|;Stripes=`),
		form: "zebra://user:password@host", mask: func(string) (string, bool) { return "", false }})
	t.Cleanup(func() { delete(dialects, "zebra") })

	var names []string
	for _, e := range append(before, Engine{Name: "zebra", Title: "zebra (stripes too)"}) {
		names = append(names, e.Name)
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
	if got := DriverOf("zebra://h", "sqlite"); got != "zebra" {
		t.Errorf("the driver of a zebra address is %s, want zebra", got)
	}
}

// What an engine has of its own stands in its files: its driver, and all that has its name.
func TestNamesOfEnginesStayInTheirFiles(t *testing.T) {
	drivers := map[string]string{"mysql": "go-sql-driver/mysql", "sqlite": "modernc.org/sqlite", "sqlserver": "microsoft/go-mssqldb", "oracle": "sijms/go-ora"}
	shared := map[string]bool{"defaultEngine": true} // the one that needs no server
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for engine := range dialects {
		if drivers[engine] == "" {
			t.Errorf("%s has no driver here, want it named", engine)
		}
		own := 0
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range file.Imports {
				if strings.Contains(i.Path.Value, drivers[engine]) {
					whose := func(other string) bool { return drivers[other] == drivers[engine] && strings.Contains(name, other) } // engines may share one
					if own++; !slices.ContainsFunc(slices.Collect(maps.Keys(drivers)), whose) {
						t.Errorf("%s imports the driver of %s, want its own files alone to do so", name, engine)
					}
				}
			}
			ofAnEngine := slices.ContainsFunc(slices.Collect(maps.Keys(dialects)), func(engine string) bool { return strings.Contains(name, engine) })
			ast.Inspect(file, func(n ast.Node) bool {
				id, ok := n.(*ast.Ident)
				if ok && !ofAnEngine && strings.Contains(strings.ToLower(id.Name), engine) && !shared[id.Name] {
					t.Errorf("%s: %s has the name of %s, want it in a file of that engine", name, id.Name, engine)
				}
				return true
			})
		}
		if own == 0 {
			t.Errorf("no file imports the driver of %s, want one", engine)
		}
	}
}
