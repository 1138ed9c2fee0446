package component

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// singleType matches a string that is one message type, and what begins several of them.
var singleType = regexp.MustCompile(`^MT[TSBC]-[0-9]{1,3}$`)

// typesNamed lists the string literals of a Go file that are message types.
func typesNamed(t *testing.T, path string, source any) (list []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil && singleType.MatchString(text) {
				list = append(list, text)
			}
		}
		return true
	})
	return list
}

// TestTypesAreTheTables: what is special about a message type says its row of the table, and nobody else asks for the type.
func TestTypesAreTheTables(t *testing.T) {
	files := 0
	for _, folder := range []string{".", "../httpapi", "../cmd"} {
		err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || path == "kinds.go" {
				return err
			}
			files++
			for _, name := range typesNamed(t, path, nil) {
				t.Errorf("%s asks for %s: say in the row of component/kinds.go what is special about it", path, name)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("got %d files, want all of component, httpapi and cmd", files)
	}
	if got := typesNamed(t, "kinds.go", nil); len(got) < 10 {
		t.Errorf("got %d types in the table, want all", len(got))
	}
}
