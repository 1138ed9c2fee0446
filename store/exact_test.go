package store

import (
	"context"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
)

func TestCommands(t *testing.T) {
	mssql := dialect{name: "sqlserver", quote: func(n string) string { return "[" + n + "]" }, bind: sqlx.AT, loose: true,
		exact: func(column string) string { return "CAST(" + column + " AS varbinary(512))" }}
	const bytes = "CAST(CONVERT(%s USING utf8mb4) AS BINARY)"
	msg, user := fmt.Sprintf(bytes, "msg_id"), fmt.Sprintf(bytes, "user_id")
	for _, test := range []struct {
		d        *dialect
		query    string
		text     string
		args     []int
		compared []string
	}{
		{&sqliteDialect, `SELECT exact(a) FROM t WHERE msg_id == ? AND user_id !== ? AND a == b`, `SELECT a FROM t WHERE msg_id = ? AND user_id <> ? AND a = b`, nil, []string{"msg_id", "user_id"}},
		{sqliteDialect.assumingLoose(), `SELECT exact(a) FROM t WHERE msg_id == ?`, `SELECT a COLLATE BINARY FROM t WHERE (msg_id = ? AND msg_id COLLATE BINARY = ?)`, []int{0, 0}, []string{"msg_id"}},
		{&mysqlDialect, `UPDATE t SET x = ?, y = ? WHERE msg_id == ? AND user_id !== ? AND done = ?`,
			`UPDATE t SET x = ?, y = ? WHERE (msg_id = ? AND ` + msg + ` = ?) AND ` + user + ` <> ? AND done = ?`, []int{0, 1, 2, 2, 3, 4}, []string{"", "", "msg_id", "user_id", "done"}},
		{&mysqlDialect, `DELETE FROM t WHERE done = ? AND msg_id == (?,?) AND x > ?`,
			`DELETE FROM t WHERE done = ? AND (msg_id IN (?,?) AND ` + msg + ` IN (?,?)) AND x > ?`, []int{0, 1, 2, 1, 2, 3}, []string{"done", "msg_id", "msg_id", "x"}},
		{&mysqlDialect, `SELECT session_user FROM t JOIN u ON t.msg_id == u.user_id WHERE session_user == ?`,
			"SELECT `session_user` FROM t JOIN u ON (t.msg_id = u.user_id AND CAST(CONVERT(t.msg_id USING utf8mb4) AS BINARY) = CAST(CONVERT(u.user_id USING utf8mb4) AS BINARY)) WHERE (`session_user` = ? AND CAST(CONVERT(`session_user` USING utf8mb4) AS BINARY) = ?)",
			[]int{0, 0}, []string{"session_user"}},
		{&mysqlDialect, `SELECT a FROM t WHERE LOWER(body) LIKE ? ESCAPE '!' AND exact(msg_id) = ?`, `SELECT a FROM t WHERE LOWER(body) LIKE ? ESCAPE '!' AND ` + msg + ` = ?`, nil, []string{"body", ""}},
		{&mssql, `SELECT a FROM t WHERE (msg_id == ? AND x >= ?)`, `SELECT a FROM t WHERE ((msg_id = @p1 AND CAST(msg_id AS varbinary(512)) = @p2) AND x >= @p3)`, []int{0, 0, 1}, []string{"msg_id", "x"}},
	} {
		t.Run(test.d.name+" "+test.query, func(t *testing.T) {
			c := test.d.command(test.query)
			if c.text != test.text {
				t.Errorf("got %s\nwant %s", c.text, test.text)
			}
			if !slices.Equal(c.args, test.args) {
				t.Errorf("the arguments are %v, want %v", c.args, test.args)
			}
			if !slices.Equal(c.compared, test.compared) {
				t.Errorf("compared with %q, want %q", c.compared, test.compared)
			}
			if got, want := len(c.arrange(make([]any, len(test.compared)))), strings.Count(test.text, "?")+strings.Count(test.text, "@p"); got != want {
				t.Errorf("got %d arguments, want %d, one for each placeholder", got, want)
			}
		})
	}
	if c := mysqlDialect.command(`SELECT a FROM ofMessage x JOIN u y ON x.a == y.b`); !slices.Equal(c.tables, []string{"ofmessage", "u"}) {
		t.Errorf(`tables: got %q, want ["ofmessage" "u"]`, c.tables)
	}
}

// meansNobody are the columns of text that say neither who nor what: kinds, times, and names of our own.
var meansNobody = []string{"msg_type", "msg_time", "ts", "due", "made", "ended", "rate", "what", "class", "channel", "dr", "flags"}

// walked are the columns by whose order pages continue.
var walked = []string{"id_", "event_id", "msg_id", "user_id", "session_id", "chat_other", "chat_id", "call_id", "audit_id", "push_id", "username"}

// comparison finds a column, an operator of SQL and what it is compared with, but for what SET writes.
var comparison = regexp.MustCompile(`(?i)(,\s*|\bSET\s+)?(?:\b\w+\.)?\b(\w+)\)?\s*(==|!==|<=|>=|<>|!=|<|>|=|\bNOT IN\b|\bIN\b|\bLIKE\b|\bGLOB\b|\bBETWEEN\b|\bIS\b)\s*(\?|\(|'|[a-z_]+\b|$)`)

var exactForm = regexp.MustCompile(`exact\([\w.]+\)`)

// folds finds what merges rows by the engine's own equality.
var folds = regexp.MustCompile(`(?i)\b(?:DISTINCT|GROUP BY)\s+((?:(?:exact\(\w+\)|\w+)(?:,\s*)?)+)`)

// unequal says what of a piece of SQL compares an id by the equality of a collation.
func unequal(text string, ids map[string]bool) (wrong []string) {
	for _, m := range comparison.FindAllStringSubmatch(exactForm.ReplaceAllString(text, "()"), -1) {
		written, column, operator := m[1] != "", strings.ToLower(m[2]), strings.ToUpper(m[3])
		switch {
		case !ids[column], written && operator == "=", operator == "==", operator == "!==", operator == "IS":
		case strings.Trim(operator, "<>=") == "" && operator != "<>" && operator != "=" && slices.Contains(walked, column):
		default:
			wrong = append(wrong, m[0])
		}
	}
	for _, m := range folds.FindAllStringSubmatch(text, -1) {
		for _, column := range strings.Split(m[1], ",") {
			if ids[strings.ToLower(strings.TrimSpace(column))] {
				wrong = append(wrong, m[0])
			}
		}
	}
	return wrong
}

// TestEveryComparisonOfAnIDIsExact looks at every constant text of the package, which is what all its statements are made of: one
// that compares an id, or any text that says who or what is meant, uses the operators of command.go.
func TestEveryComparisonOfAnIDIsExact(t *testing.T) {
	ids := map[string]bool{"username": true, "app_push_code": true}
	for _, table := range allTables() {
		for _, c := range table.columns {
			if c.limit > 0 && !slices.Contains(meansNobody, c.name) {
				ids[c.name] = true
			}
		}
	}
	for wrong, text := range map[string]string{
		"equal": `msg_id = ?`, "alias": `WHERE u.user_id = ?`, "list": `msg_id IN (?*)`, "inner": `session_id IN (SELECT`, "not": `reader <> ?`, "like": `msg_from LIKE ?`,
		"column": `a.msg_from = b.msg_to`, "literal": `msg_to = 'x'`, "range": `sender > ?`, "cut off": `WHERE jid =`, "distinct": `SELECT DISTINCT reader`,
		"counted": `COUNT(DISTINCT exact(x), reader)`, "grouped": `GROUP BY msg_type, msg_id`, "lower": `LOWER(user_id) = ?`, "between": `user_id BETWEEN ? AND ?`,
	} {
		t.Run(wrong, func(t *testing.T) {
			if len(unequal(text, ids)) == 0 {
				t.Errorf("%q is taken, want it refused", text)
			}
		})
	}

	files := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*ast.File
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			file, err := parser.ParseFile(files, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, file)
		}
	}
	info := types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	// What other packages hold is not resolved, and not needed for constants.
	conf := types.Config{Error: func(error) {}}
	conf.Check("store", files, parsed, &info)
	statements := 0
	for expr, value := range info.Types {
		if value.Value == nil || value.Value.Kind() != constant.String {
			continue
		}
		text := constant.StringVal(value.Value)
		if !regexp.MustCompile(`\b(SELECT|UPDATE|DELETE|WHERE|AND|OR|WHEN|ON)\b|\?`).MatchString(text) || strings.Contains(text, "information_schema") || strings.Contains(text, "pragma_") {
			continue
		}
		if regexp.MustCompile(`^\s*(SELECT|UPDATE|DELETE) `).MatchString(text) {
			statements++
		}
		for _, wrong := range unequal(text, ids) {
			t.Errorf("%s: %q compares by the column's collation, want it exact, in: %s", files.Position(expr.Pos()), wrong, text)
		}
	}
	if statements < 150 {
		t.Errorf("got %d statements, want at least 150", statements)
	}
}

// MySQLPlans are the queries that run while people wait, as MySQL gets them and as it would without exactness, with values.
func MySQLPlans() (exact, loose []string) {
	plain := mysqlDialect
	plain.loose = false
	for _, q := range everyQuery() {
		if strings.Contains(q, "?*") {
			q = list(q, 3)
		}
		if strings.Contains(q, ")*") {
			q = alternatives(q, 3)
		}
		exact = append(exact, Literal(&mysqlDialect, q, nil))
		loose = append(loose, Literal(&plain, q, nil))
	}
	return exact, loose
}

// MySQLText is a query as MySQL gets it, with values by column.
func MySQLText(query string, values map[string]string) string {
	return Literal(&mysqlDialect, query, values)
}

// Literal is a query in the form of an engine with values for placeholders.
func Literal(d *dialect, query string, values map[string]string) string {
	c := d.command(query)
	if c.args == nil {
		for i := range c.compared {
			c.args = append(c.args, i)
		}
	}
	at := 0
	return regexp.MustCompile(`\?`).ReplaceAllStringFunc(c.text, func(string) string {
		n := c.args[at]
		at++
		if v, ok := values[c.compared[n]]; ok {
			return "'" + v + "'"
		}
		return fmt.Sprintf("'%d'", n)
	})
}

// Read runs a query of ours and counts its rows.
func Read(ctx context.Context, s *Store, query string, args ...any) (n int, err error) {
	err = s.all(ctx, query, args, func(scanner) error { n++; return nil })
	return n, err
}

// Write runs a statement of ours in a transaction and says how many rows it found.
func Write(ctx context.Context, s *Store, query string, args ...any) (n int64, err error) {
	err = s.unfenced(ctx, func(ctx context.Context, t *tx) error {
		n, err = t.do(ctx, query, args...)
		return err
	})
	return n, err
}
