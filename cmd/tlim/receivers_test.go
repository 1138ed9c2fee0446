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
		if of, ok := kind.(*ast.IndexExpr); ok { // of a generic type
			kind = of.X
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
	file, err := parser.ParseFile(token.NewFileSet(), "one.go", "package p\ntype some[T any] struct{}\nfunc (x *some[T]) wrong() {}\nfunc (s some[T]) right() {}\nfunc (some[T]) none() {}", 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(receivers(file), ", "); got != "(x some) wrong" {
		t.Errorf(`got %q, want "(x some) wrong"`, got)
	}
}
