package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// receivers lists the methods of a file whose receiver is not the initial of its type.
func receivers(file *ast.File) (list []string) {
	for _, d := range file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv == nil || len(fn.Recv.List[0].Names) == 0 {
			continue
		}
		kind := fn.Recv.List[0].Type
		if star, ok := kind.(*ast.StarExpr); ok {
			kind = star.X
		}
		switch generic := kind.(type) {
		case *ast.IndexExpr:
			kind = generic.X
		case *ast.IndexListExpr: // with several parameters
			kind = generic.X
		}
		of := kind.(*ast.Ident).Name
		if name := fn.Recv.List[0].Names[0].Name; name != "_" && name != strings.ToLower(of[:1]) {
			list = append(list, "("+name+" "+of+") "+fn.Name.Name)
		}
	}
	return list
}

// TestReceivers: receivers are the initial of their type, everywhere.
func TestReceivers(t *testing.T) {
	files := 0
	goFiles(t, func(path string) {
		files++
		for _, method := range receivers(parsed(t, path)) {
			t.Errorf("%s: got %s, want the initial of its type as receiver", path, method)
		}
	})
	if files < 100 {
		t.Fatalf("got %d files, want all of them read", files)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "one.go", `package p
type some[T any] struct{}
func (x *some[T]) wrong() {}
func (s some[T]) right() {}
func (some[T]) none() {}
type pairs[K comparable, V any] map[K]V
func (m pairs[K, V]) two() {}
func (p *pairs[_, _]) right() {}
`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(receivers(file), ", "), "(x some) wrong, (m pairs) two"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
