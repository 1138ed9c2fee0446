package store

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// engineWords are what not all engines understand: words of SQL, types, tables of the catalogue, settings, character sets. One with a capital is
// looked for as it stands, the others in any case.
var engineWords = map[string]string{
	"mysql": `AUTO_INCREMENT MODIFY CONVERT CHARACTER USING COLLATE VARIABLES GLOBAL LIMIT OFFSET INPLACE KILL EXPLAIN SIGNED information_schema processlist get_lock
		release_lock connection_id unix_timestamp auto_increment innodb myisam binlog_format sql_mode lock_wait_timeout mediumtext mediumint tinyint bigint
		utf8mb4 utf8mb3 utf8mb4_bin utf8 utf16 utf16le utf32 ucs2 latin1 gbk gb2312 gb18030 big5 sjis ujis cp932 eucjpms euckr`,
	"sqlite": `COLLATE IMMEDIATE NOCASE BINARY LIMIT OFFSET pragma sqlite_master pragma_table_info pragma_index_list journal_mode synchronous busy_timeout
		wal_autocheckpoint txlock`,
	"sqlserver": `TOP OFFSET FETCH COLLATE CLUSTERED EXEC nvarchar varbinary datediff serverproperty sp_getapplock schema_id object_id is_identity sysutcdatetime
		collationproperty xact_abort lock_timeout read_committed_snapshot delayed_durability Latin1_General_100_BIN2 latin1 cp932 euckr gbk big5`,
	"oracle": `ROWNUM NULLS RENAME UNUSABLE varchar2 clob user_tab_columns user_tables user_indexes nls_database_parameters systimestamp sys_extract_utc
		nls_sort commit_logging recyclebin zhs16gbk al32utf8 we8mswin1252 utf8mb3 ascii`,
}

// ofDialects says whether a file of this package is an engine's, or holds what dialects share.
func ofDialects(path string) bool {
	name := filepath.Base(path)
	return strings.HasPrefix(name, "dialect") || slices.ContainsFunc(slices.Collect(maps.Keys(dialects)), func(engine string) bool { return strings.Contains(name, engine) })
}

var (
	aWord      = regexp.MustCompile(`\w+`)
	fourDigits = regexp.MustCompile(`^[0-9]{4,}$`) // smaller ones mean other things as well
)

// foreignWords lists the words of engines in the texts of a file, and the numbers of their errors in its code.
func foreignWords(file *ast.File, words, numbers map[string]bool) (list []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if n.Kind == token.INT && numbers[n.Value] {
				list = append(list, n.Value)
			}
			if text, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil {
				for _, word := range aWord.FindAllString(text, -1) {
					if words[word] || words[strings.ToLower(word)] {
						list = append(list, word)
					}
				}
			}
		}
		return true
	})
	return list
}

// errorNumbers are the numbers that an engine's file tells errors apart by: those that its function of numbers is compared with.
func errorNumbers(file *ast.File, numbers map[string]bool) {
	note := func(list ...ast.Expr) {
		for _, e := range list {
			if l, ok := e.(*ast.BasicLit); ok && fourDigits.MatchString(l.Value) {
				numbers[l.Value] = true
			}
		}
	}
	asks := func(n ast.Node) (does bool) {
		ast.Inspect(n, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			does = does || ok && (strings.HasSuffix(id.Name, "Number") || strings.HasSuffix(id.Name, "Code"))
			return true
		})
		return does
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SwitchStmt:
			if n.Init != nil && asks(n.Init) || n.Tag != nil && asks(n.Tag) {
				for _, c := range n.Body.List {
					note(c.(*ast.CaseClause).List...)
				}
			}
		case *ast.BinaryExpr:
			if asks(n.X) {
				note(n.Y)
			}
		}
		return true
	})
}

// TestWordsOfEnginesStayInTheirFiles: what is written elsewhere every engine understands.
func TestWordsOfEnginesStayInTheirFiles(t *testing.T) {
	parse := func(path string, text any) *ast.File {
		file, err := parser.ParseFile(token.NewFileSet(), path, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	words, numbers := map[string]bool{}, map[string]bool{}
	for engine := range dialects {
		// A word that its engine does not use is none of its own.
		own := ""
		for _, pattern := range []string{"*" + engine + "*.go", "dialect.go", "dialect_charsets.go", "schema/" + engine + "/*.sql"} {
			names, err := filepath.Glob(pattern)
			if err != nil || len(names) == 0 {
				t.Fatalf("got %v and %v for %s, want files of %s", names, err, pattern, engine)
			}
			for _, name := range names {
				if strings.HasSuffix(name, "_test.go") {
					continue
				}
				text, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				own += string(text)
				if strings.HasSuffix(name, ".go") {
					errorNumbers(parse(name, text), numbers)
				}
			}
		}
		used := map[string]bool{}
		for _, word := range aWord.FindAllString(own, -1) {
			used[word], used[strings.ToLower(word)] = true, true
		}
		for word := range strings.FieldsSeq(engineWords[engine]) {
			if words[word] = true; !used[word] {
				t.Errorf("got no %q in the files of %s, want it there, or not in its list", word, engine)
			}
		}
		if engineWords[engine] == "" {
			t.Errorf("%s has no words here, want those of its own", engine)
		}
	}
	if len(numbers) < 50 {
		t.Errorf("got %d numbers of errors, want those of all engines", len(numbers))
	}
	outside := maps.Clone(words)
	for word := range strings.FieldsSeq(charsetWords) {
		delete(outside, word)
	}
	files := 0
	for _, folder := range []string{".", "conformance", "../component", "../httpapi", "../cmd/tlim"} {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && folder == "." && path != ".", entry.Name() == "node_modules":
				return filepath.SkipDir
			case entry.IsDir(), !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"), folder == "." && ofDialects(path), translation(path):
				return nil
			}
			files++
			ours, theirs := outside, map[string]bool{}
			if folder == "." {
				ours, theirs = words, numbers
			}
			for _, word := range foreignWords(parse(path, nil), ours, theirs) {
				t.Errorf("%s: %s is an engine's own, want it in a file of that engine", path, word)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 300 {
		t.Errorf("got %d files, want all of them read", files)
	}
	planted := parse("planted.go", foreignPlanted)
	if got, want := strings.Join(foreignWords(planted, words, numbers), " "), "InnoDB 1213 MODIFY AUTO_INCREMENT Latin1 sys_extract_utc"; got != want {
		t.Errorf("got %q in the planted file, want %q", got, want)
	}
}

// charsetWords are no engine's alone where they are not of columns: files and requests have such names too.
const charsetWords = `utf8 utf8mb4 utf16 utf16le utf32 ucs2 latin1 gbk gb2312 gb18030 big5 ascii utf8mb4_bin`

// translation says whether a file has in another language what the store says.
func translation(path string) bool {
	name := filepath.Base(path)
	return strings.HasPrefix(name, "chinese") || name == "consolewords.go"
}

const foreignPlanted = `package p
import _ "oracle/dual"
// SHOW VARIABLES is a comment.
const engine = "InnoDB"
func deadlock(n int) bool { return n == 1213 || n == 213 }
func widen(table string) string { return "ALTER TABLE " + table + ` + "` MODIFY id bigints AUTO_INCREMENT`" + ` }
var lacking = []string{"Latin1", "modify the tables", "limit"}
func now() string { return "SELECT sys_extract_utc(now)" }
`

// What to do about Openfire's own table is said in the words of the engine that it is on.
func TestRemedyOffline(t *testing.T) {
	for engine, want := range map[string]string{
		"mysql": "in a quiet hour, with Openfire stopped, ALTER TABLE ofOffline CONVERT TO CHARACTER SET utf8mb4; best all of Openfire's tables", "oracle": "move the database to AL32UTF8",
		"sqlserver": "ALTER TABLE ofOffline ALTER COLUMN stanza nvarchar(max)", "sqlite": "make the table anew",
	} {
		t.Run(engine, func(t *testing.T) {
			got := dialects[engine].remedyOffline("ofOffline", "stanza")
			if !strings.Contains(got, want) || engine != "mysql" && strings.Contains(got, "utf8mb4") {
				t.Errorf("got %q, want it to hold %q, and of MySQL's words none elsewhere", got, want)
			}
		})
	}
}
