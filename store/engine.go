package store

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Engine is a database engine as administrators know it.
type Engine struct {
	Name    string // of store.driver
	Title   string // with what else it stands for
	Form    string // how an address of it is written
	Local   bool   // the database is a file of this machine
	aliases []string
}

// defaultEngine is the one that needs no server.
const defaultEngine = "sqlite"

// dialects are the engines of this release by name. Each registers itself in the file of its dialect.
var dialects = map[string]*dialect{}

func register(d *dialect) { dialects[d.name] = d }

// engines are the dialects in the order in which people are told of them: the default first.
func engines() []*dialect {
	return slices.SortedFunc(maps.Values(dialects), func(a, b *dialect) int {
		return cmp.Or(-cmp.Compare(isDefault(a), isDefault(b)), cmp.Compare(a.name, b.name))
	})
}

func isDefault(d *dialect) int64 { return bit(d.name == defaultEngine) }

// dialectOf is the dialect of an engine; "" is the default's.
func dialectOf(driver string) (*dialect, error) {
	d := dialects[cmp.Or(driver, defaultEngine)]
	if d == nil {
		var names []string
		for _, d := range engines() {
			names = append(names, d.name)
		}
		return nil, fmt.Errorf("store.driver is not known, use %s", enumerate(names, "or"))
	}
	return d, nil
}

// Engines lists those of this release, the default first.
func Engines() []Engine {
	var list []Engine
	for _, d := range engines() {
		list = append(list, Engine{Name: d.name, Title: d.title, Form: d.form, Local: d.local, aliases: d.aliases})
	}
	return list
}

// EngineNamed finds an engine by any of its names, in any letter case.
func EngineNamed(name string) (e Engine, known bool) {
	name = strings.ToLower(name)
	for _, e := range Engines() {
		if e.Name == name || slices.Contains(e.aliases, name) {
			return e, true
		}
	}
	return Engine{}, false
}

// enumerate is "a, b and c".
func enumerate(list []string, last string) string {
	n := len(list) - 1
	if n < 1 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:n], ", ") + " " + last + " " + list[n]
}
