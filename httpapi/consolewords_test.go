package httpapi

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every sentence that admin/state can have among its warnings is there in Chinese, with the same verbs: those that the store makes of what it found at
// its start, and that of a clock.
func TestWarningsHaveChinese(t *testing.T) {
	formats := append(warningsOf(t, "../store", []string{"conversions", "refusals", "advise", "prepare", "closeOff", "adopt", "compare"}), warningsOf(t, "../cmd/tlim", []string{"clockAhead"})...)
	if len(formats) < 30 {
		t.Errorf("%d sentences were read, want those of all engines", len(formats))
	}
	verb := regexp.MustCompile(`%[#.0-9]*[a-z]`)
	for _, format := range formats {
		zh, ok := chineseWarnings[format]
		if !ok {
			t.Errorf("%q has no sentence in Chinese, want one in consolewords.go", format)
		} else if got, want := len(verb.FindAllString(zh, -1)), len(verb.FindAllString(format, -1)); got != want && !strings.Contains(zh, "%[") {
			t.Errorf("%q has %d verbs in Chinese, want %d", format, got, want)
		}
	}
	for format := range chineseWarnings {
		if !slices.Contains(formats, format) {
			t.Errorf("nothing says %q, want only sentences that are said", format)
		}
	}
}

// sayers are the functions of the store that add to Report.Warnings, Report.Degraded and what becomes one, with what those above give them.
var sayers = []string{"adopt", "advise", "compare", "made", "shapes", "start", "warn"}

// warningsOf reads the formats of the sentences that functions say, with whatever they call in their package that gives texts.
func warningsOf(t *testing.T, folder string, named []string) (formats []string) {
	t.Helper()
	packages, err := parser.ParseDir(token.NewFileSet(), folder, nil, 0) //nolint:staticcheck // files of all systems are wanted, not those of a build
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string][]*ast.FuncDecl{} // one name can be several: of systems, or methods
	fields := map[string][]string{}           // what the dialects have in a field: functions, by name or as literals
	literals := map[string][]ast.Node{}
	var files []*ast.File
	for _, p := range packages {
		for name, file := range p.Files {
			if !strings.HasSuffix(name, "_test.go") {
				files = append(files, file)
			}
		}
	}
	for _, file := range files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
				functions[f.Name.Name] = append(functions[f.Name.Name], f)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			pair, ok := n.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			key, ok := pair.Key.(*ast.Ident)
			if !ok {
				return true
			}
			switch v := pair.Value.(type) {
			case *ast.Ident:
				fields[key.Name] = append(fields[key.Name], v.Name)
			case *ast.FuncLit:
				literals[key.Name] = append(literals[key.Name], v.Body)
			}
			return true
		})
	}
	reached := map[string]bool{}
	var reach func(name string)
	var look func(n ast.Node)
	reach = func(name string) {
		if reached[name] {
			return
		}
		reached[name] = true
		for _, other := range fields[name] {
			reach(other)
		}
		for _, body := range literals[name] {
			look(body)
		}
		for _, f := range functions[name] {
			look(f.Body)
		}
	}
	look = func(body ast.Node) {
		formats = append(formats, sentencesIn(body)...)
		ast.Inspect(body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := ""
			switch f := call.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				name = f.Sel.Name
			}
			if slices.Contains(errorMakers, name) {
				return false
			}
			if given := functions[name]; len(given) > 0 && slices.ContainsFunc(given, givesTexts) || givenByField[name] {
				reach(name)
			}
			return true
		})
	}
	for _, name := range named {
		if reach(name); len(functions[name])+len(fields[name]) == 0 {
			t.Errorf("got no %s in %s, want it, or take it from this list", name, folder)
		}
	}
	for name, all := range functions {
		if folder == "../store" && slices.ContainsFunc(all, writesReport) && !slices.Contains(sayers, name) {
			t.Errorf("%s adds to a report: got it not looked at here, want it among the sayers", name)
		}
	}
	slices.Sort(formats)
	return slices.Compact(formats)
}

// givenByField are the fields of a dialect that give sentences or the statements in them.
var givenByField = map[string]bool{"advise": true, "convert": true, "widenBody": true, "widenKey": true, "prepare": true}

// errorMakers are functions of which errors are made, not warnings.
var errorMakers = []string{"fail", "late", "Late", "Error", "remedy", "Remedy"}

// writesReport says whether a function adds to the warnings, or to what becomes one.
func writesReport(f *ast.FuncDecl) (writes bool) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if assign, ok := n.(*ast.AssignStmt); ok {
			for _, to := range assign.Lhs {
				if s, ok := to.(*ast.SelectorExpr); ok && slices.Contains([]string{"Warnings", "Degraded", "wrong"}, s.Sel.Name) {
					writes = true
				}
			}
		}
		return !writes
	})
	return writes
}

// givesTexts says whether a function answers texts or advice.
func givesTexts(f *ast.FuncDecl) bool {
	if f.Type.Results == nil {
		return false
	}
	for _, r := range f.Type.Results.List {
		kind := r.Type
		if list, ok := kind.(*ast.ArrayType); ok {
			kind = list.Elt
		}
		if name, ok := kind.(*ast.Ident); ok && (name.Name == "string" || name.Name == "Advice") {
			return true
		}
	}
	return false
}

// statement begins what is for the database, and no sentence.
var statement = regexp.MustCompile(`^(SELECT|INSERT|UPDATE|SET|SHOW|DO|DROP|BEGIN|COMMIT|ROLLBACK|CREATE|PRAGMA|ALTER TABLE|ALTER SESSION) `)

// sentencesIn are the texts of a body that hold words of a sentence, those that are put together by + as one; errors and logs are none.
func sentencesIn(body ast.Node) (found []string) {
	var text func(e ast.Expr) (string, bool)
	text = func(e ast.Expr) (string, bool) {
		switch e := e.(type) {
		case *ast.BasicLit:
			if e.Kind == token.STRING {
				s, err := strconv.Unquote(e.Value)
				return s, err == nil
			}
		case *ast.BinaryExpr:
			if e.Op != token.ADD {
				return "", false
			}
			a, ok1 := text(e.X)
			b, ok2 := text(e.Y)
			if !ok1 && !ok2 {
				return "", false
			}
			for _, part := range []*string{&a, &b} {
				if part == &a && !ok1 || part == &b && !ok2 {
					*part = "%s"
				}
			}
			return a + b, true
		}
		return "", false
	}
	words := regexp.MustCompile(`[a-z]{2,} [a-z%]|[a-z%] [a-z]{2,}`)
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt: // of an error
			if to, ok := n.Lhs[0].(*ast.Ident); ok && to.Name == "remedy" {
				return false
			}
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Errorf", "New", "Info", "Debug", "Warn", "Error", "slow", "QueryRowContext", "ExecContext", "Contains", "HasPrefix"}, s.Sel.Name) {
				return false
			}
		case ast.Expr:
			if s, ok := text(n); ok {
				if words.MatchString(s) && (!statement.MatchString(s) || strings.Contains(s, ", which ")) {
					found = append(found, s)
				}
				return false
			}
		}
		return true
	})
	return found
}

// TestWarningsInChinese: what a site is told stands in Chinese as a whole, with the names and statements that it needs.
func TestWarningsInChinese(t *testing.T) {
	for english, want := range map[string]string{
		"ofmessage has the character set utf8: messages with emoji and rare Chinese characters (beyond U+FFFF) are refused (ALTER TABLE ofmessage CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, which locks the table)":                         "ofmessage 字符集为 utf8：含表情或生僻字（U+FFFF 以上）的消息会被拒绝（ALTER TABLE ofmessage CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin，执行时锁表）",
		"sync_binlog is 0: after a power cut a replica can lack messages that were acknowledged (set it to 1: SET GLOBAL sync_binlog = 1, and in the server's configuration file)":                                                                      "sync_binlog 为 0：断电后从库可能缺少已确认的消息（请设为 1：SET GLOBAL sync_binlog = 1，并写入服务器的配置文件）",
		"ofchat has the character set latin1: names lose Chinese and emoji, and has the collation latin1_swedish_ci, which takes lísi for lisi: ids that differ in no more cannot both be in it, and other programs find one by the other (convert it)": "ofchat 字符集为 latin1：名称会丢失中文或表情；排序规则为 latin1_swedish_ci，会把 lísi 当作 lisi：只有这种差别的标识不能并存，其他程序会把两者混淆（convert it）",
		"somebody said so (and more)": "somebody said so (and more)",
	} {
		t.Run(fmt.Sprintf("%.40s", english), func(t *testing.T) {
			s := ProcessState{Warnings: []string{english}}
			s.inChinese()
			if s.Warnings[0] != want {
				t.Errorf("%q: got\n%q, want\n%q", english, s.Warnings[0], want)
			}
		})
	}
	for _, zh := range slices.Collect(maps.Values(chineseWarnings)) {
		if strings.Contains(zh, "%!") || zh == "" {
			t.Errorf("got %q, want a sentence", zh)
		}
	}
}
