package component

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tlim/store"
)

// typeInSQL matches message types wherever they stand in a string.
var typeInSQL = regexp.MustCompile(`MT[TSBC]-[0-9]{1,3}`)

// typesNamed lists the message types in the string literals of a Go file.
func typesNamed(t *testing.T, path string) (list []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil {
				list = append(list, typeInSQL.FindAllString(text, -1)...)
			}
		}
		return true
	})
	return list
}

// ofStatements is the one other file that names types: those by which SQL selects. TestStatementsAgreeWithKinds holds it against the table.
const ofStatements = "../store/msgtype.go"

// TestStatementsAgreeWithKinds: the database counts as unread what the table counts, and no statement asks for a type that the table does not know.
func TestStatementsAgreeWithKinds(t *testing.T) {
	var uncounted []string
	for name, k := range newKinds().named {
		if !k.counted() {
			uncounted = append(uncounted, name)
		}
	}
	slices.Sort(uncounted)
	if want := []string{store.TypeReadGroup, store.TypeReadChat}; !slices.Equal(uncounted, want) {
		t.Errorf("not counted as unread by the table: got %v, want %v, as by the statements of store", uncounted, want)
	}
	for name, k := range newKinds().family {
		if !k.counted() {
			t.Errorf("the table does not count %s- as unread, want a condition in %s", name, ofStatements)
		}
	}
	if store.TypeSystemNotice != NoticeSystem {
		t.Errorf("got %s as the system notice of store, want %s", store.TypeSystemNotice, NoticeSystem)
	}
	got := typesNamed(t, ofStatements)
	slices.Sort(got)
	if want := []string{store.TypeSystemNotice, store.TypeReadGroup, store.TypeReadChat}; !slices.Equal(got, want) {
		t.Errorf("%s names %v, want %v, which this test compares", ofStatements, got, want)
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
