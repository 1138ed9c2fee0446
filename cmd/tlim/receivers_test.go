package main

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
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
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." && path != "../.." || entry.Name() == "node_modules") {
			return cmp.Or(err, filepath.SkipDir)
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		files++
		for _, method := range receivers(file) {
			t.Errorf("%s: got %s, want the initial of its type as receiver", path, method)
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Fatalf("got %d files and %v, want all of them read", files, err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "one.go", "package p\ntype some[T any] struct{}\nfunc (x *some[T]) wrong() {}\nfunc (s some[T]) right() {}\nfunc (some[T]) none() {}", 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(receivers(file), ", "); got != "(x some) wrong" {
		t.Errorf(`got %q, want "(x some) wrong"`, got)
	}
}
