package main

import (
	"go/ast"
	gobuild "go/build"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// nothing imports packages without content: what they lack is not asked here.
type nothing struct{}

func (nothing) Import(name string) (*types.Package, error) {
	base := path.Base(name)
	if regexp.MustCompile(`^v[0-9]+$`).MatchString(base) {
		base = path.Base(path.Dir(name))
	}
	p := types.NewPackage(name, base)
	p.MarkComplete()
	return p, nil
}

// declaredTwice lists the names that a package declares twice on a system. The compiler finds them, but the package is not compiled for others
// than this system until packages are made, because all below it would have to be.
func declaredTwice(t *testing.T, goos, dir string) (names []string) {
	t.Helper()
	system := gobuild.Default
	system.GOOS, system.CgoEnabled = goos, false
	set := token.NewFileSet()
	var files []*ast.File
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range paths {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		if is, err := system.MatchFile(dir, filepath.Base(file)); err != nil || !is {
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		parsed, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, parsed)
	}
	check := types.Config{Importer: nothing{}, IgnoreFuncBodies: true, Error: func(err error) {
		if text := err.Error(); strings.Contains(text, "redeclared") || strings.Contains(text, "already declared") {
			names = append(names, text)
		}
	}}
	_, _ = check.Check(dir, set, files, nil) // what packages without content lack
	return names
}

// A name that only another system's file has cannot be one of the rest: on Windows nothing would be built.
func TestNoSystemDeclaresANameTwice(t *testing.T) {
	folders := map[string]bool{}
	err := filepath.WalkDir("../..", func(file string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == ".run" || entry.Name() == ".git" || entry.Name() == "node_modules" || entry.Name() == "scripts") {
			return fs.SkipDir
		}
		if regexp.MustCompile(`_(windows|other|unix|linux)\.go$`).MatchString(file) {
			folders[filepath.Dir(file)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) < 4 {
		t.Errorf("%d packages have files for one system, want those of the whole product", len(folders))
	}
	for dir := range folders {
		for _, goos := range []string{"linux", "windows"} {
			for _, text := range declaredTwice(t, goos, dir) {
				t.Errorf("%s: got %s, want each name declared once", goos, text)
			}
		}
	}
}
