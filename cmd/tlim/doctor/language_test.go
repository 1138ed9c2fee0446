package doctor

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// sentence is a literal for people: three words or more, none of a program.
var sentence = regexp.MustCompile(`^[ ;]*[A-Za-z%(][^<>{}]*( [a-zA-Z%(]+[^<>{}]*){2,}`)

// literals are the sentences of a package's sources, but for the tests, in the functions that are wanted; nil: in all, and outside of them.
func literals(t *testing.T, dir string, wanted func(function string) bool) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "chinese") || name == "language.go" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if _, imports := n.(*ast.ImportSpec); imports {
				return false
			}
			if f, declares := n.(*ast.FuncDecl); declares && wanted != nil && !wanted(f.Name.Name) {
				return false
			}
			if _, declares := n.(*ast.GenDecl); declares && wanted != nil {
				return false
			}
			if field, isField := n.(*ast.Field); isField && field.Tag != nil {
				return false
			}
			literal, is := n.(*ast.BasicLit)
			if !is || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			if sentence.MatchString(text) {
				list = append(list, text)
			}
			return true
		})
	}
	return list
}

// lacking are the literals that stand in no sentence of a table, whole or in a part of it.
func lacking(list []string, table map[string]string) (names []string) {
	verbless := func(s string) string { return verb.ReplaceAllString(s, "%") }
	var all strings.Builder
	for english := range table {
		all.WriteString(verbless(english) + "\n")
	}
	for _, text := range list {
		for _, part := range regexp.MustCompile(`: |; |^; |\. | \(%`).Split(verbless(text), -1) { // a check parts what the link and the clock say at these
			if part = strings.Trim(part, " ;)`"); len(strings.Fields(part)) > 2 && !strings.Contains(all.String(), part) {
				names = append(names, text)
				break
			}
		}
	}
	return names
}

// Each sentence of the checks has its Chinese fellow, with as many places for what is taken over, and comes out of it.
func TestSentencesHaveChinese(t *testing.T) {
	list := literals(t, ".", nil)
	if len(list) < 150 {
		t.Errorf("%d sentences were read, want those of all checks", len(list))
	}
	for _, text := range lacking(list, chinese) {
		t.Errorf("%q has no sentence in Chinese, want one in chinese.go", text)
	}
	if got, want := lacking([]string{"nothing of this is there: %s", "is it there", "what is it, %s"}, map[string]string{"is it there": "x", "what is it, %q: yes": "x"}), []string{"nothing of this is there: %s"}; !slices.Equal(got, want) {
		t.Errorf("of a made-up table: got %q, want %q", got, want)
	}
	table := maps.Clone(chinese)
	for english, zh := range chineseStore {
		if table[english] != "" {
			t.Errorf("%q stands in both tables, want it in one", english)
		}
		table[english] = zh
	}
	for english, zh := range table {
		verbs := verb.FindAllString(english, -1)
		if got := len(verb.FindAllString(zh, -1)); got != len(verbs) {
			t.Errorf("%q has %d places in Chinese, want %d", english, got, len(verbs))
			continue
		}
		args := make([]string, len(verbs))
		for i, v := range verbs {
			args[i] = fmt.Sprintf("X%dY", i)
			if strings.HasSuffix(v, "d") {
				args[i] = strconv.Itoa(17 + i)
			}
		}
		if got, want := InChinese(fill(english, args)), fill(zh, args); got != want {
			t.Errorf("%q: got %q, want %q", fill(english, args), got, want)
		}
	}
}

// saying are the functions of the store whose sentences the checks pass on.
var saying = regexp.MustCompile(`^([Rr]emedy\w*|noEngine|conversions|charsetFault|collationFault|mixture|loses|refusals|rights\w+|durability\w+|Schema|Charsets|Collations|Indexes|Headroom|refuse\w+|advise\w+|headroom\w+|shape|cell|row|oddTime|twice|orphans|conclude|restrictFile|strangersSQLite|unfit\w*|taken)$`)

// What the store says of a database has its Chinese fellow.
func TestSentencesOfTheStoreHaveChinese(t *testing.T) {
	list := literals(t, "../../../store", func(name string) bool { return saying.MatchString(name) })
	if len(list) < 60 {
		t.Errorf("%d sentences were read, want those of rights, remedies and rows", len(list))
	}
	statement := regexp.MustCompile(`(?s)(^|: )SELECT .*$|(^| )(SHOW|ALTER TABLE|RENAME TABLE|SET|UPDATE %|INSERT INTO|DROP (INDEX|TABLE)|EXPLAIN|CREATE DATABASE|VALUES|bigint) .*$`)
	for i, text := range list {
		list[i] = strings.ReplaceAll(statement.ReplaceAllString(text, ""), "%%", "%")
	}
	for _, text := range lacking(list, chineseStore) {
		t.Errorf("%q has no sentence in Chinese, want one in chinese_store.go", text)
	}
	for english, want := range map[string]string{
		"ofcustomoffline has the character set latin1: every Chinese message to somebody whose phone is away is refused, with error-012. In a quiet hour, ALTER TABLE x; then restart tlim": "ofcustomoffline 的字符集是 latin1：发给离线手机的中文消息全部被拒绝（error-012）。挑空闲时间执行 ALTER TABLE x，然后重启 tlim",
		"ofmessage: 3 values of msg_time that are in the future, such as \"9\" (all 7 rows were looked at)":                                                                                 "ofmessage：3 处：msg_time 的值是未来的时间，例如 \"9\"（检查了全部 7 行）",
		"words of a driver": "words of a driver",
		"the file of store.dsn is not there yet: the first start makes it (open the sqlite database: x.db: the database is not available: no such file (14))": "store.dsn 的文件还不存在，第一次启动会创建（open the sqlite database: x.db: the database is not available: no such file (14)）",
		"10.0.0.1:5275 refuses connections (dial: connect: connection refused)":                                                                               "10.0.0.1:5275 拒绝连接（dial: connect: connection refused）",
		"the server on a:1 calls itself b, and xmpp.domain says c (handshake: it is d)":                                                                       "a:1 上的服务器的域名是 b，而 xmpp.domain 写的是 c (handshake: it is d)",
		"metrics.listen (a:1) does not answer as a tlim: words of a driver; it is nginx, process 7":                                                           "metrics.listen（a:1）没有像 tlim 那样应答：words of a driver；占用者是 nginx，进程号 7",
		"http.listen: the port is taken; it is nginx, process 7":                                                                                              "http.listen：the port is taken；占用者是 nginx，进程号 7",
	} {
		t.Run(fmt.Sprintf("%.40s", english), func(t *testing.T) {
			if got := InChinese(english); got != want {
				t.Errorf("%q: got %q, want %q", english, got, want)
			}
		})
	}
}

// A report in Chinese keeps what programs read.
func TestReportInChinese(t *testing.T) {
	english := Conclude("v1", true, []Result{conclude(Check{ID: "openfire.port", Name: "the component port"},
		failure("start the XMPP server, or enable its external component service on this port; "+externalComponents, "10.0.0.1:5275 refuses connections")),
		conclude(Check{ID: "database", Name: "the database"}, ok("sqlite answers, with 12 tables of tlim")), conclude(Check{ID: "c", Name: "n"}, skipped("words of a driver"))})
	zh := english.InChinese()
	var text strings.Builder
	if err := zh.Print(&text); err != nil {
		t.Fatal(err)
	}
	want := "失败 openfire.port: 10.0.0.1:5275 拒绝连接。处理：启动 XMPP 服务器，或在该端口启用外部组件服务；Openfire 控制台：服务器 > 服务器设置 > 外部组件（External Components）\n" +
		"正常 database: sqlite 有应答，其中有 tlim 的 12 张表\n跳过 c: words of a driver\n3 项检查：1 项失败，0 项警告，1 项跳过\n"
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	if zh.Failures != 1 || zh.Checks[0].ID != "openfire.port" || zh.Checks[0].Status != Failure || english.Checks[0].Findings[0].Seen != "10.0.0.1:5275 refuses connections" {
		t.Errorf("got %+v, and of the English one %+v, want ids and outcomes as they were, and that one untouched", zh, english)
	}
	for _, s := range []Status{OK, Warning, Failure, Skipped} {
		if !strings.ContainsFunc(chineseStatus[s], func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("%s: got %q, want a Chinese word", s, chineseStatus[s])
		}
	}
}
