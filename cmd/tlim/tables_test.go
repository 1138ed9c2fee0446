package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// stories are the tests with a list of steps that build on each other: none of them can be tried alone, so they are no subtests.
var stories = []string{
	"cmd/tlim.TestEventsCommands", // what is replayed is no longer there for the next command
	"component/directory.TestImportTellsWhoStays",
	"component/logged.TestTextChanges",
	"scripts/system.TestStandby", // each time the other one leads afterwards
	"scripts/system.TestUpgradeWithoutAnOutage",
	"store.TestConfirming",
	"store.TestScratchRights", // each step grants more
}

// untitled lists the functions of a file with a table of tests whose cases are no subtests: a loop over a literal of structs, or over a variable
// that holds one, that fails a test; also over a map that has what is wanted of each key, where the test is nothing but that. In a bubble of synctest
// there are no subtests.
func untitled(file *ast.File) (list []string) {
	global := map[string]*ast.CompositeLit{}
	for _, d := range file.Decls {
		if vars, ok := d.(*ast.GenDecl); ok {
			noteLiterals(global, vars)
		}
	}
	for _, d := range file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		literals := maps.Clone(global)
		noteLiterals(literals, fn.Body)
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				return !selects(n.Fun, "synctest", "Test")
			case *ast.RangeStmt:
				table, _ := n.X.(*ast.CompositeLit)
				if name, ok := n.X.(*ast.Ident); ok {
					table = literals[name.Name]
				}
				if table != nil && (ofStructs(table) || alone(fn.Body) && ofAnswers(table, n)) && fails(n.Body) && !runs(n.Body) {
					list = append(list, fn.Name.Name)
				}
			}
			return true
		})
	}
	return list
}

// noteLiterals adds the variables in n that are declared with a literal.
func noteLiterals(literals map[string]*ast.CompositeLit, n ast.Node) {
	note := func(names, values []ast.Expr) {
		for i, value := range values {
			name, ok := names[i].(*ast.Ident)
			if literal, is := value.(*ast.CompositeLit); ok && is {
				literals[name.Name] = literal
			}
		}
	}
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			note(n.Lhs, n.Rhs)
		case *ast.ValueSpec:
			var names []ast.Expr
			for _, name := range n.Names {
				names = append(names, name)
			}
			note(names, n.Values)
		}
		return true
	})
}

// ofStructs says whether a literal is a list or a map of structs that are declared in it.
func ofStructs(literal *ast.CompositeLit) bool {
	element := literal.Type
	switch kind := literal.Type.(type) {
	case *ast.ArrayType:
		element = kind.Elt
	case *ast.MapType:
		element = kind.Value
	}
	_, ok := element.(*ast.StructType)
	return ok && len(literal.Elts) > 1
}

// ofAnswers says whether a literal is a map of which a loop takes each key and what is wanted of it.
func ofAnswers(literal *ast.CompositeLit, loop *ast.RangeStmt) bool {
	_, ok := literal.Type.(*ast.MapType)
	return ok && takes(loop.Key) && takes(loop.Value) && len(literal.Elts) > 1
}

// alone says whether a test is nothing but loops: else the rows of a map can be what one answer holds.
func alone(body *ast.BlockStmt) bool {
	for _, s := range body.List {
		switch s := s.(type) {
		case *ast.RangeStmt, *ast.DeclStmt:
		case *ast.AssignStmt:
			if literal, ok := s.Rhs[0].(*ast.CompositeLit); !ok || len(literal.Elts) == 0 { // an empty one is filled by the loop
				return false
			}
		default:
			return false
		}
	}
	return true
}

func takes(variable ast.Expr) bool {
	name, ok := variable.(*ast.Ident)
	return ok && name.Name != "_"
}

func selects(expr ast.Expr, of, name string) bool {
	s, ok := expr.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == of
}

// fails says whether something in it has to do with t.
func fails(body ast.Node) (does bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		name, ok := n.(*ast.Ident)
		does = does || ok && name.Name == "t"
		return true
	})
	return does
}

func runs(body ast.Node) (does bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		does = does || ok && selects(call.Fun, "t", "Run")
		return true
	})
	return does
}

// TestTablesHaveSubtests: the cases of a table of tests are subtests with a name, everywhere.
func TestTablesHaveSubtests(t *testing.T) {
	files := 0
	var told []string
	goFiles(t, func(path string) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		files++
		for _, name := range untitled(parsed(t, path)) {
			name = strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../../") + "." + name
			if told = append(told, name); !slices.Contains(stories, name) {
				t.Errorf("%s: got a table of tests whose cases are no subtests, want t.Run of each, or the function among the stories", name)
			}
		}
	})
	if files < 100 {
		t.Fatalf("got %d files, want all of them read", files)
	}
	for _, name := range stories {
		if !slices.Contains(told, name) {
			t.Errorf("got no such list of steps in %s, want it there, or taken from the stories", name)
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), "one.go", tablesOfAll, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(untitled(file), " "); got != "literal variable global keyed plain" {
		t.Errorf(`got %q, want "literal variable global keyed plain"`, got)
	}
}

// tablesOfAll has tables of each form: the first five lack subtests, the others have them, can have none, or are no tables of tests.
const tablesOfAll = `package p
var cases = []struct{ a int }{{1}, {2}}
func literal(t *testing.T) { for _, c := range []struct{ a int }{{1}, {2}} { t.Error(c) } }
func variable(t *testing.T) { some := []struct{ a int }{{1}, {2}}; for _, c := range some { equal(t, c.a, 1) } }
func global(t *testing.T) { for i := range cases { t.Error(i) } }
func keyed(t *testing.T) { t.Run("all", func(t *testing.T) { for name := range map[string]struct{ a int }{"x": {1}, "y": {2}} { t.Error(name) } }) }
func plain(t *testing.T) { for in, want := range map[string]bool{"x": true, "y": false} { if f(in) != want { t.Error(in) } } }
func named(t *testing.T) { for in, want := range map[string]bool{"x": true, "y": false} { t.Run(in, func(t *testing.T) { if f(in) != want { t.Error(in) } }) } }
func header(t *testing.T) { got := answer(); for in, want := range map[string]bool{"x": true, "y": false} { if got[in] != want { t.Error(in) } } }
func set(t *testing.T) { for name := range map[string]bool{"x": true, "y": false} { t.Error(name) } }
func titled(t *testing.T) { for name, c := range map[string]struct{ a int }{"x": {1}, "y": {2}} { t.Run(name, func(t *testing.T) { t.Error(c) }) } }
func bubble(t *testing.T) { synctest.Test(t, func(t *testing.T) { for _, c := range cases { t.Error(c) } }) }
func sums(t *testing.T) { for _, c := range cases { sum += c.a } }
func words(t *testing.T) { for _, want := range []string{"a", "b"} { t.Error(want) } }
`
