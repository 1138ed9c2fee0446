package component

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
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

// documented are the types in a row's first cell: "MTS-001, 002, 003".
func documented(cell string) (types []string) {
	for name := range strings.SplitSeq(strings.TrimPrefix(cell, "other "), ", ") {
		name = strings.TrimSuffix(name, "*")
		if len(types) > 0 {
			name = types[0][:len("MTT-")] + name
		}
		types = append(types, name)
	}
	return types
}

// The tables of PROTOCOL.md, "Message types", and the table of kinds say the same, and none lacks a row of the other.
func TestProtocolDocumentsEveryKind(t *testing.T) {
	text, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## 3. Message types\n")
	section, _, _ = strings.Cut(section, "\n## ")
	kinds := newKinds()
	found := map[*Kind]bool{}
	for row := range strings.SplitSeq(section, "\n") {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if !strings.HasPrefix(row, "| ") || !strings.Contains(cells[0], "MT") {
			continue
		}
		for _, name := range documented(cells[0]) {
			k := kinds.named[name]
			switch {
			case k != nil:
			case strings.HasPrefix(name, "MTB-"):
				k = kinds.notice
			default:
				k = kinds.family[strings.TrimSuffix(name[:len("MTT-")], "-")]
			}
			if k == nil {
				t.Errorf("%s is in the document, want it in the table too", name)
				continue
			}
			found[k] = true
			if len(cells) < 6 { // commands leave no trace
				if k.Stored || k.Queued || k.Pushed {
					t.Errorf("%s leaves a trace, want the document to say so", name)
				}
				continue
			}
			for i, is := range []bool{k.Stored, k.Queued, k.Pushed} {
				if says := cells[3+i] != "no"; says != is {
					t.Errorf("%s: the document says %s in column %d, want what the table says, %v", name, cells[3+i], 4+i, is)
				}
			}
		}
	}
	for name, k := range kinds.named {
		if !found[k] {
			t.Errorf("the document has no row on %s, want one", name)
		}
	}
	for name, k := range kinds.family {
		if !found[k] && k.scope != scopeBusiness {
			t.Errorf("the document has no row on the others of %s, want one", name)
		}
	}
}
