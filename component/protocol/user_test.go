package protocol

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSameUser(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"lisi", "lisi", true}, {"lisi", "LISI", true}, {"lisi", "liſi", true}, {"lisi", "ｌisi", true}, {"lisi", "ˡisi", true}, {"li si", `LI\20si`, true},
		{"lisi", "lísi", false}, {"lisi", "lİsi", false}, {"lisi", "lisi ", false}, {"lisi", "ᴸisi", false}, {"lisi", "lisı", false}, {"lisi", "lisi\x00", false},
		{"lisi ", "lisi ", true}, {"lisi ", "LISI ", false}, {"lisi ", " lisi", false}, {"ᴸisi", "ᴸisi", true}, {"lisi", "", false}, {"", "", false},
	} {
		t.Run(test.a+" and "+test.b, func(t *testing.T) {
			if got := SameUser(test.a, test.b); got != test.same || SameUser(test.b, test.a) != got || test.a != "" && (UserKey(test.a) == UserKey(test.b)) != got {
				t.Errorf("%+q and %+q: got the same %v, want %v both ways, and by their keys", test.a, test.b, got, test.same)
			}
		})
	}
	if cost := testing.AllocsPerRun(10, func() { SameUser("zhangsan", "lisi") }); cost != 0 {
		t.Errorf("two plain ids cost %v allocations, want 0", cost)
	}
}

// folders are functions that take texts for equal by rules of their own.
var folders = []string{"EqualFold", "ToLower", "ToUpper", "ToTitle", "ToLowerSpecial", "ToUpperSpecial", "SimpleFold", "Fold", "Lower", "Upper", "CaseFold"}

// foldings are where they are at home, which is nowhere where an id of a person, group or message is compared.
var foldings = map[string]string{
	"component: strings.EqualFold(key.Str, name)":                                 "keys of JSON",
	"httpapi: strings.EqualFold(encoding, \"identity\")":                          "a field of the head",
	"httpapi: strings.EqualFold(scheme, \"Bearer\")":                              "a field of the head",
	"httpapi: strings.ToLower(path.Ext(name))":                                    "a file name's ending",
	"httpapi: strings.EqualFold(strings.TrimSuffix(o, \"/\"), origin)":            "origins",
	"httpapi: strings.EqualFold(from.Hostname(), hostOf(a.hosts(r)[0]))":          "names of hosts",
	"httpapi: strings.EqualFold(strings.TrimSpace(r.first(\"length\")), \"max\")": "a word",
	"httpapi: strings.ToLower(text)":                                              "what is searched for",
	"httpapi: strings.ToLower(v.String())":                                        "what is searched in",
	"httpapi: strings.ToLower(strings.TrimSpace(text))":                           "what of people is searched for",
	"httpapi: strings.ToLower(name)":                                              "a coding of an answer",
	"httpapi: strings.ToLower(weight)":                                            "a field of the head",
	"httpapi: strings.EqualFold(r.Header.Get(\"Upgrade\"), \"websocket\")":        "a field of the head",
	"httpapi: strings.ToUpper(part[:1])":                                          "the name of an endpoint",
	"httpapi: strings.ToLower(name[:1])":                                          "the name of an endpoint",
}

// peopleColumns hold people. What a row holds may be another spelling than the directory's.
var peopleColumns = []string{"Owner", "UserID", "Reader", "Sender"}

// TestPeopleAreComparedInOneWay looks at every call in the code that decides about rights: ids are compared by SameUser and
// UserKey, or byte for byte, and in the HTTP API, whose rules are about rows, by these two only.
func TestPeopleAreComparedInOneWay(t *testing.T) {
	found := map[string]bool{}
	for name, folder := range map[string]string{"component": "..", "httpapi": "../../httpapi"} { // with what is below
		var names []string
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if entry.IsDir() && (entry.Name() == "stanza" || entry.Name() == "stream") { // they prepare ids, and compare domains
				return filepath.SkipDir
			}
			if strings.HasSuffix(path, ".go") {
				names = append(names, path)
			}
			return err
		})
		if err != nil || len(names) < 20 {
			t.Fatalf("got %d files, %v, want at least 20", len(names), err)
		}
		for _, file := range names {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			files := token.NewFileSet()
			parsed, err := parser.ParseFile(files, file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			written := func(n ast.Node) string {
				var b bytes.Buffer
				if err := printer.Fprint(&b, files, n); err != nil {
					t.Fatal(err)
				}
				return b.String()
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if use := name + ": " + written(n); foldings[use] != "" {
						found[use] = true
						return false
					}
				case *ast.SelectorExpr:
					if of, ok := n.X.(*ast.Ident); ok && slices.Contains([]string{"strings", "bytes", "unicode", "cases"}, of.Name) && slices.Contains(folders, n.Sel.Name) {
						t.Errorf("%s: got %s, want ids compared by protocol.SameUser and protocol.UserKey; what is no id belongs into this test", files.Position(n.Pos()), written(n))
					}
				case *ast.BinaryExpr:
					if name != "httpapi" || n.Op != token.EQL && n.Op != token.NEQ {
						return true
					}
					_, literal := n.Y.(*ast.BasicLit)
					for _, side := range []ast.Expr{n.X, n.Y} {
						if of, ok := side.(*ast.SelectorExpr); ok && slices.Contains(peopleColumns, of.Sel.Name) && !literal {
							t.Errorf("%s: got %s, want people compared by protocol.SameUser", files.Position(n.Pos()), written(n))
						}
					}
				}
				return true
			})
		}
	}
	for use := range foldings {
		if !found[use] {
			t.Errorf("%s is no longer there, want it, or take it from this list", use)
		}
	}
}
