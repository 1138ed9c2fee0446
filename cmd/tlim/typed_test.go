package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"tlim/store"
)

// typed is a package as the compiler understands it, without its tests.
type typed struct {
	path  string
	files map[string]*ast.File // by name
	set   *token.FileSet
	info  *types.Info
	pkg   *types.Package
}

// typing checks packages. What they import it reads as the compiler left it.
type typing struct {
	set     *token.FileSet
	exports map[string]string // files by import path
	from    types.Importer
}

// check understands the files of a package, by their names.
func (t *typing) check(path string, files map[string]*ast.File) (*typed, error) {
	p := &typed{path: path, files: files, set: t.set, info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}}
	config := types.Config{Importer: t.from}
	var err error
	p.pkg, err = config.Check(path, t.set, slices.Collect(maps.Values(files)), p.info)
	return p, err
}

// planted is a package of one file.
func (t *typing) planted(test *testing.T, path, text string) *typed {
	test.Helper()
	file, err := parser.ParseFile(t.set, "planted.go", text, 0)
	if err != nil {
		test.Fatal(err)
	}
	p, err := t.check(path, map[string]*ast.File{"planted.go": file})
	if err != nil {
		test.Fatal(err)
	}
	return p
}

// theProduct understands all packages of the product, once for all tests.
var theProduct = sync.OnceValues(func() (*typing, map[string]*typed) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles", "tlim/cmd/...", "tlim/component/...", "tlim/httpapi/...", "tlim/store/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		panic(fmt.Errorf("go list: %w", err))
	}
	t := &typing{set: token.NewFileSet(), exports: map[string]string{}}
	t.from = importer.ForCompiler(t.set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(t.exports[path]) })
	dec := json.NewDecoder(strings.NewReader(string(out)))
	type listed struct {
		ImportPath, Export, Dir string
		GoFiles                 []string
	}
	var ours []listed
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			panic(err)
		}
		if t.exports[p.ImportPath] = p.Export; strings.HasPrefix(p.ImportPath, "tlim/") {
			ours = append(ours, p)
		}
	}
	packages := map[string]*typed{}
	for _, p := range ours {
		files := map[string]*ast.File{}
		for _, name := range p.GoFiles {
			if files[name], err = parser.ParseFile(t.set, filepath.Join(p.Dir, name), nil, 0); err != nil {
				panic(err)
			}
		}
		if packages[p.ImportPath], err = t.check(p.ImportPath, files); err != nil {
			panic(err)
		}
	}
	return t, packages
})

// oneType matches a text that is one message type. What documents say of types is free.
var oneType = regexp.MustCompile(`^MT[TSBC]-[0-9]{1,3}$`)

// typeWithin matches them wherever they stand in a statement of SQL.
var typeWithin = regexp.MustCompile(`MT[TSBC]-[0-9]{1,3}`)

// mayName says whether a constant's name may stand for a type here: those of the table of kinds, and those of this package, which are judged where
// they are declared.
func (t *typed) mayName(id *ast.Ident) bool {
	of := t.info.Uses[id]
	if of == nil || of.Pkg() == nil {
		return false
	}
	return of.Pkg() == t.pkg || of.Pkg().Path() == "tlim/component" && filepath.Base(t.set.Position(of.Pos()).Filename) == "kinds.go"
}

// typesNamed lists the message types that a file names: as a literal, put together of constants, or by the name of a constant.
func (t *typed) typesNamed(file *ast.File, form *regexp.Regexp) (list []string) {
	named := func(e ast.Expr) []string {
		if v := t.info.Types[e].Value; v != nil && v.Kind() == constant.String {
			return form.FindAllString(constant.StringVal(v), -1)
		}
		return nil
	}
	ast.Inspect(file, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		found := named(e)
		switch e := e.(type) {
		case *ast.BinaryExpr: // what its parts name is told of them
			parts := slices.Concat(named(e.X), named(e.Y))
			found = slices.DeleteFunc(found, func(name string) bool { return slices.Contains(parts, name) })
		case *ast.ParenExpr, *ast.CallExpr:
			found = nil
		case *ast.Ident:
			if t.mayName(e) {
				return true
			}
		case *ast.SelectorExpr:
			if !t.mayName(e.Sel) {
				list = append(list, found...)
			}
			return false
		}
		list = append(list, found...)
		return true
	})
	return list
}

// TestTypesAreTheTables: what is special about a message type says its row of the table of kinds, and nobody else spells the type, in one
// piece or several. The store's file has those by which SQL selects; a test of component holds it against the table. The self-test plays clients.
func TestTypesAreTheTables(t *testing.T) {
	typing, packages := theProduct()
	for path, p := range packages {
		form := oneType
		if strings.HasPrefix(path, "tlim/store") {
			form = typeWithin
		}
		for name, file := range p.files {
			if path == "tlim/component" && name == "kinds.go" || path == "tlim/store" && name == "msgtype.go" || path == "tlim/store/conformance" {
				continue
			}
			for _, named := range p.typesNamed(file, form) {
				t.Errorf("%s, %s: got %s named, want what is special about it said in its row of component/kinds.go", path, name, named)
			}
		}
	}
	if got := packages["tlim/component"].typesNamed(packages["tlim/component"].files["kinds.go"], oneType); len(got) < 10 {
		t.Errorf("got %d types in the table, want all", len(got))
	}
	p := typing.planted(t, "tlim/planted", `package planted
import ( "tlim/component"; "tlim/store" )
const ( literal = "MTT-101"; sum = "MTT-" + "102"; foreign = store.TypeReadChat; part = "MTT-10"; three = part + "3" )
func asks(msgType string) bool { return msgType == three || msgType == store.FamilyGroup+"-104" || msgType == string("MTT"+"-105") || msgType == component.NoticeSystem }
var free = []string{"MTT-1000", "answers MTC-100 and more", "MTT-"}
`)
	if got, want := strings.Join(p.typesNamed(p.files["planted.go"], oneType), " "), "MTT-101 MTT-102 MTT-100 MTT-10 MTT-103 MTS-104 MTT-105"; got != want {
		t.Errorf("of the planted file: got %q, want %q", got, want)
	}
}

// holds says whether a value of a type can have a named type in it, itself or behind pointers. Other named types answer for themselves; an interface
// is a wall.
func holds(kind types.Type, path, name string) bool {
	var look func(types.Type) bool
	look = func(kind types.Type) bool {
		switch kind := types.Unalias(kind).(type) {
		case *types.Named:
			if of := kind.Obj(); of.Pkg() != nil && of.Pkg().Path() == path && of.Name() == name {
				return true
			}
			for arg := range kind.TypeArgs().Types() {
				if look(arg) {
					return true
				}
			}
		case *types.Pointer:
			return look(kind.Elem())
		case *types.Slice:
			return look(kind.Elem())
		case *types.Array:
			return look(kind.Elem())
		case *types.Chan:
			return look(kind.Elem())
		case *types.Map:
			return look(kind.Key()) || look(kind.Elem())
		case *types.Struct:
			for field := range kind.Fields() {
				if look(field.Type()) {
					return true
				}
			}
		case *types.Signature: // a field that is a function of it
			return look(kind.Params()) || look(kind.Results())
		case *types.Tuple:
			for v := range kind.Variables() {
				if look(v.Type()) {
					return true
				}
			}
		}
		return false
	}
	return look(kind)
}

// holders are the types and the variables of a package that hold a type.
func (t *typed) holders(path, name string) (list []string) {
	for _, file := range t.files {
		for _, d := range file.Decls {
			vars, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range vars.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if holds(t.info.TypeOf(spec.Type), path, name) {
						list = append(list, spec.Name.Name)
					}
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						if of := t.info.Defs[id]; of != nil && holds(of.Type(), path, name) {
							list = append(list, id.Name)
						}
					}
				}
			}
		}
	}
	slices.Sort(list)
	return list
}

// methods counts what an interface of a package wants, with what it takes over from others.
func (t *typed) methods(name string) int {
	of, ok := t.pkg.Scope().Lookup(name).(*types.TypeName)
	if !ok {
		return 0
	}
	wall, ok := of.Type().Underlying().(*types.Interface)
	if !ok {
		return 0
	}
	return wall.NumMethods()
}

// The package component is the way of a message and nothing else: what grows beyond this is a package of its own. Nobody else holds its Service: the
// wiring makes it, and all others have interfaces.
func TestWallsOfComponent(t *testing.T) {
	typing, packages := theProduct()
	component := packages["tlim/component"]
	if n := len(component.files); n < 20 || n > 40 {
		t.Errorf("component has %d files, want at most 40", n)
	}
	if n := component.methods("Store"); n < 1 || n > 25 {
		t.Errorf("its Store has %d methods, want at most 25", n)
	}
	for path, p := range packages {
		if list := p.holders("tlim/component", "Service"); path != "tlim/component" && len(list) > 0 {
			t.Errorf("%s: %v hold component's Service, want them not to", path, list)
		}
	}
	p := typing.planted(t, "tlim/planted", `package planted
import ( "io"; "sync/atomic"; other "tlim/component" )
type ( value struct{ s other.Service }; pointer struct{ s *other.Service }; embedded struct{ *other.Service }; alias = other.Service; defined other.Service
	deep struct{ all map[string][]chan struct{ s *alias } }; generic struct{ s atomic.Pointer[other.Service] }; late struct{ get func() *other.Service }
	wall struct{ io.Closer }; config struct{ other.Config } )
var global *other.Service
func wiring(s *other.Service) any { local := s; return local }
type wide interface { io.ReadWriteCloser; interface{ Name() string }; io.Reader; Own() }
`)
	if got, want := strings.Join(p.holders("tlim/component", "Service"), " "), "alias deep defined embedded generic global late pointer value"; got != want {
		t.Errorf("of the planted types %q hold it, want %q", got, want)
	}
	if got := p.methods("wide"); got != 5 {
		t.Errorf("the planted interface has %d methods, want 5: three and one that it takes over, and its own", got)
	}
}

// engineOf is the engine whose file it is, by its name; "" for those of all.
func engineOf(file string) string {
	for _, e := range store.Engines() {
		if strings.Contains(file, e.Name) {
			return e.Name
		}
	}
	return ""
}

// foreignNames lists what an engine's file declares and a file of all uses. One engine may build upon another, as those of one protocol do.
func (t *typed) foreignNames() (list []string) {
	for name, file := range t.files {
		ast.Inspect(file, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			of := t.info.Uses[id]
			if of == nil || of.Pkg() != t.pkg || of.Parent() != t.pkg.Scope() {
				return true
			}
			if engine := engineOf(filepath.Base(t.set.Position(of.Pos()).Filename)); engine != "" && engineOf(name) == "" {
				list = append(list, name+": "+id.Name)
			}
			return true
		})
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestEnginesOwnNamesStayInTheirFiles: what all engines need does not stand in the file of one.
func TestEnginesOwnNamesStayInTheirFiles(t *testing.T) {
	typing, packages := theProduct()
	for _, use := range packages["tlim/store"].foreignNames() {
		t.Errorf("%s is declared in a file of one engine, want it in one of all", use)
	}
	files := map[string]*ast.File{}
	for name, text := range map[string]string{
		"dialect_mysql.go":  "package store\nfunc some() {}\nfunc own() { some(); all() }",
		"nodes_mysql.go":    "package store\nvar more = own",
		"dialect_oracle.go": "package store\nfunc oracles() { some(); all() }",
		"advice.go":         "package store\nfunc all() { some() }",
	} {
		var err error
		if files[name], err = parser.ParseFile(typing.set, name, text, 0); err != nil {
			t.Fatal(err)
		}
	}
	planted, err := typing.check("tlim/store", files)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(planted.foreignNames(), ", "), "advice.go: some"; got != want {
		t.Errorf("of the planted files: got %q, want %q", got, want)
	}
}
