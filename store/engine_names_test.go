package store

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestEnginesByName(t *testing.T) {
	for name, want := range map[string]string{"sqlite": "sqlite", "SQLite3": "sqlite", "MariaDB": "mysql", "mssql": "sqlserver, later", "oracle": "oracle, later", "postgres": ""} {
		t.Run(name, func(t *testing.T) {
			e, known := EngineNamed(name)
			got := e.Name
			if e.Later {
				got += ", later"
			}
			if got != want || known != (want != "") {
				t.Errorf("got %q, known %v; want %q", got, known, want)
			}
		})
	}
}

// TestAnEngineRegistersItself: what people are told of engines follows from their dialects alone.
func TestAnEngineRegistersItself(t *testing.T) {
	register(&dialect{name: "sqlserver", title: "sqlserver", server: "a SQL Server", address: regexp.MustCompile(`^sqlserver://|;Database=`),
		form: "sqlserver://user:password@host", mask: func(string) (string, bool) { return "", false }})
	t.Cleanup(func() { delete(dialects, "sqlserver") })

	var names []string
	for _, e := range Engines() {
		names = append(names, e.Name)
	}
	if got, want := fmt.Sprint(names), "[sqlite mysql sqlserver]"; got != want {
		t.Errorf("the engines are %s, want %s", got, want)
	}
	if e, _ := EngineNamed("sqlserver"); e.Later {
		t.Error("sqlserver is not in this release, want it in")
	}
	_, unknown := dialectOf("db2")
	for what, c := range map[string]struct {
		err  error
		want string
	}{
		"its own":   {checkForm("sqlserver", "Server=x;Database=y"), "<nil>"},
		"of mysql":  {checkForm("sqlserver", "mysql://u:p@h/d"), "store.driver is sqlserver: set store.driver: mysql"},
		"elsewhere": {checkForm("sqlite", "sqlserver://h"), "set store.driver: sqlserver"},
		"of nobody": {checkForm("sqlserver", "postgres://h"), "write it as sqlserver://user:password@host"},
		"no file":   {sqliteName("x@y:z@h"), "for sqlite it is a file name such as tlim.db, and mysql needs store.driver: mysql and " + mysqlForm + ", and sqlserver needs"},
		"later":     {checkForm("sqlite", "oracle://h"), "sqlite, mysql (MariaDB too) and sqlserver are"},
		"not known": {unknown, "use sqlite, mysql or sqlserver"},
	} {
		t.Run(what, func(t *testing.T) {
			if got := fmt.Sprint(c.err); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want it to hold %q", got, c.want)
			}
		})
	}
	if got := DriverOf("sqlserver://h", "sqlite"); got != "sqlserver" {
		t.Errorf("the driver of a sqlserver address is %s", got)
	}
}
