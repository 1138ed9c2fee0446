package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tlim/store"
)

// sourceTables are the tables of others, without keys as some sites have them; charset is their MySQL clause.
func sourceTables(e engine, charset string) []string {
	if e.name != "mysql" {
		charset = ""
	}
	return []string{
		"CREATE TABLE isc_user (user_id varchar(64), user_name varchar(256), acct_login varchar(64), app_push_code varchar(64), dr char(1))" + charset,
		"CREATE TABLE isc_user_info (user_id varchar(64), user_email varchar(256), pic_url varchar(256), dr char(1))" + charset,
		"CREATE TABLE ofUser (username varchar(64) NOT NULL PRIMARY KEY, plainPassword varchar(255), name varchar(100), email varchar(100))" + charset,
	}
}

var sourceRows = []string{
	`INSERT INTO isc_user VALUES ('Zhang-San', '张三', 'zhangsan', 'code-1', 'N'), ('b', NULL, NULL, NULL, 'N'), ('c', '王五 😀', 'c', 'code-1', 'N'),
		('gone', 'x', 'x', 'code-2', 'Y'), ('infoless', 'x', 'x', NULL, 'N'), ('half', 'x', 'x', NULL, 'N'), ('unsure', 'x', 'x', NULL, NULL),
		(NULL, 'nobody', 'x', NULL, 'N'), ('', 'empty', 'x', NULL, 'N'), ('e1', 'E', 'e', NULL, 'N'), ('é1', 'É', 'é', NULL, 'N'), ('z', 'Z', 'z', NULL, 'N')`,
	`INSERT INTO isc_user_info VALUES ('Zhang-San', 'z@x.cn', '/pic/z.png', 'N'), ('b', NULL, NULL, 'N'), ('c', 'c1@x.cn', NULL, 'N'), ('c', 'c2@x.cn', NULL, 'N'),
		('gone', 'x', 'x', 'N'), ('half', 'x', 'x', 'Y'), ('unsure', 'x', 'x', 'N'), (NULL, 'x', 'x', 'N'), ('', 'x', 'x', 'N'), ('e1', NULL, NULL, 'N'), ('é1', NULL, NULL, 'N'), ('z', NULL, NULL, 'N')`,
	`INSERT INTO ofUser VALUES ('admin', 'secret', 'Administrator', 'admin@x.cn'), ('lisi', 'secret', '李四', 'l@x.cn'), ('wangwu', 'secret', NULL, NULL)`,
}

func newSource(t *testing.T, s *store.Store, kind, dsn string) *store.Source {
	t.Helper()
	source := must[*store.Source](t)(store.NewSource(s, store.SourceConfig{Kind: kind, DSN: dsn}))
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	return source
}

// walkSource reads all pages of that length, each user once.
func walkSource(t *testing.T, source *store.Source, limit int) (list []string) {
	t.Helper()
	seen := map[string]bool{}
	for after := ""; ; {
		page, done, err := source.Users(ctx, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page {
			if text := fmt.Sprintf("%s|%s|%s|%s|%s|%s", u.ID, u.Name, u.Login, u.Email, u.Pic, u.PushCode); !seen[text] {
				seen[text] = true
				list = append(list, text)
			}
		}
		if done {
			slices.Sort(list)
			return list
		}
		after = page[len(page)-1].ID
	}
}

func TestSources(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		// Equal under this collation: e1 and é1, and every two emoji.
		tables := sourceTables(e, " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
		cfg := e.fresh(t, append(tables, sourceRows...)...)
		s := open(t, cfg)

		t.Run("isc", func(t *testing.T) {
			source := newSource(t, s, "isc", "")
			must[any](t)(nil, source.Check(ctx))
			want := []string{"Zhang-San|张三|zhangsan|z@x.cn|/pic/z.png|code-1", "b|||||", "c|王五 😀|c|c1@x.cn||code-1", "c|王五 😀|c|c2@x.cn||code-1", "e1|E|e|||", "z|Z|z|||", "é1|É|é|||"}
			for _, limit := range []int{2, 3, 5, 7, 100} {
				t.Run(fmt.Sprintf("pages of %d", limit), func(t *testing.T) {
					equal(t, fmt.Sprint("pages of ", limit), walkSource(t, source, limit), want)
				})
			}
			equal(t, "it keeps push codes, not accounts", fmt.Sprint(source.KeepsPush(), source.OwnsAccounts()), "true false")
		})
		t.Run("openfire", func(t *testing.T) {
			source := newSource(t, s, "openfire", "")
			must[any](t)(nil, source.Check(ctx))
			want := []string{"admin|Administrator|admin|admin@x.cn||", "lisi|李四|lisi|l@x.cn||", "wangwu||wangwu|||"}
			for _, limit := range []int{1, 2, 3, 100} {
				t.Run(fmt.Sprintf("pages of %d", limit), func(t *testing.T) {
					equal(t, fmt.Sprint("pages of ", limit), walkSource(t, source, limit), want)
				})
			}
			equal(t, "it keeps accounts, not push codes", fmt.Sprint(source.KeepsPush(), source.OwnsAccounts()), "false true")
			must[any](t)(nil, source.SetPush(ctx, "lisi", "code"))
			must[any](t)(nil, source.DeletePushCodes(ctx, []string{"code"}))
		})
	})
}

// What is written into a source is the push code, and nothing else of it changes.
func TestSourcePushCodes(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, append(sourceTables(e, " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"), sourceRows...)...)
		source, raw := newSource(t, open(t, cfg), "isc", ""), e.raw(t, cfg)
		dump := func() string {
			rows, err := raw.Query(`SELECT COALESCE(user_id, 'NULL'), user_name, COALESCE(app_push_code, 'NULL') FROM isc_user ORDER BY user_id, user_name`)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			var list []string
			for rows.Next() {
				var id, code string
				var name sql.NullString
				must[any](t)(nil, rows.Scan(&id, &name, &code))
				if code != "NULL" {
					list = append(list, id+"/"+name.String+"="+code)
				}
			}
			must[any](t)(nil, rows.Err())
			slices.Sort(list)
			return strings.Join(list, " ")
		}
		equal(t, "before", dump(), "Zhang-San/张三=code-1 c/王五 😀=code-1 gone/x=code-2")
		must[any](t)(nil, source.SetPush(ctx, "b", "code-1"))
		equal(t, "a device has one user", dump(), "b/=code-1 gone/x=code-2")
		must[any](t)(nil, source.SetPush(ctx, "gone", "code-3"))
		must[any](t)(nil, source.SetPush(ctx, "nobody", "code-4"))
		equal(t, "whatever dr says", dump(), "b/=code-1 gone/x=code-3")
		must[any](t)(nil, source.SetPush(ctx, "b", ""))
		equal(t, "unregistered", dump(), "gone/x=code-3")
		must[any](t)(nil, source.SetPush(ctx, "c", "code-5"))
		must[any](t)(nil, source.DeletePushCodes(ctx, []string{"code-3", "code-9"}))
		equal(t, "dead", dump(), "c/王五 😀=code-5")

		// Nobody's phone is taken by one whose name, or whose code, the collation takes for another's.
		for _, twin := range []string{"C", "c ", "ç", "ｃ"} {
			must[any](t)(nil, source.SetPush(ctx, twin, "code-6"))
			must[any](t)(nil, source.SetPush(ctx, twin, ""))
		}
		must[any](t)(nil, source.SetPush(ctx, "b", "CODE-5"))
		must[any](t)(nil, source.DeletePushCodes(ctx, []string{"códe-5", "code-5 "}))
		equal(t, "strangers", dump(), "b/=CODE-5 c/王五 😀=code-5")
		must[any](t)(nil, source.SetPush(ctx, "é1", "code-7"))
		equal(t, "one of two whom the collation takes for one", dump(), "b/=CODE-5 c/王五 😀=code-5 é1/É=code-7")
	})
}

// TestSourceOfTwoCollations: the tables are another product's, and each may have its own.
func TestSourceOfTwoCollations(t *testing.T) {
	cfg := mysqlEngine.fresh(t, append(append(sourceTables(mysqlEngine, " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"), sourceRows...),
		"ALTER TABLE isc_user_info CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")...)
	if list := walkSource(t, newSource(t, open(t, cfg), "isc", ""), 3); len(list) != 7 {
		t.Errorf("got %d users, want 7: %v", len(list), list)
	}
}

func TestSourceSaysWhatIsMissing(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, "CREATE TABLE isc_user (user_id varchar(64), user_name varchar(256), dr char(1))")
		s := open(t, cfg)
		err := newSource(t, s, "isc", "").Check(ctx)
		if want := "missing are column isc_user.acct_login, column isc_user.app_push_code, table isc_user_info; directory.dsn says where"; !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if err := newSource(t, s, "openfire", "").Check(ctx); !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), "missing are table ofUser") {
			t.Errorf("got %v, want %v that names the missing ofUser", err, store.ErrSchema)
		}
		if _, err := store.NewSource(s, store.SourceConfig{Kind: "ldap"}); err == nil {
			t.Error("a source of no known kind: got no error, want one")
		}
	})
}

// A source may lie in a database of its own, also on a server while the store is a file.
func TestSourceOfItsOwn(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		there := e.fresh(t, append(sourceTables(e, ""), sourceRows...)...)
		s := open(t, sqliteEngine.fresh(t))
		source := newSource(t, s, "isc", there.DSN)
		must[any](t)(nil, source.Check(ctx))
		must[any](t)(nil, source.SetPush(ctx, "z", "code-z"))
		if list := walkSource(t, source, 3); len(list) != 7 || !slices.Contains(list, "z|Z|z|||code-z") {
			t.Errorf(`got %v, want 7 with "z|Z|z|||code-z"`, list)
		}
		must[any](t)(nil, source.Close())
		if _, _, err := source.Users(ctx, "", 1); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("after Close: got %v, want %v", err, store.ErrUnavailable)
		}
		must[any](t)(nil, s.Ping(ctx)) // the store lives on
	})
}

func TestSourceAddresses(t *testing.T) {
	s := open(t, sqliteEngine.fresh(t))
	for dsn, want := range map[string]string{
		"u:p@tcp(db:3306)/openfire": "mysql", "tcp(db)/x": "mysql", "u@unix(/run/mysql.sock)/x": "mysql",
		"openfire.db": "sqlite", "file:/var/tcp (1).db": "sqlite", "": "sqlite",
	} {
		t.Run(fmt.Sprintf("%.40q", dsn), func(t *testing.T) {
			equal(t, dsn, store.DriverOf(dsn, "sqlite"), want)
		})
	}
	// A misspelt file is not made, and a bad address is named by its own key.
	missing := filepath.Join(t.TempDir(), "nosuch.db")
	if err := newSource(t, s, "openfire", missing).Check(ctx); err == nil {
		t.Error("a file that is not there: got no error, want one")
	}
	if found, err := filepath.Glob(missing + "*"); err != nil || found != nil {
		t.Errorf("a misspelt name made a file: got %v, %v, want no file and no error", found, err)
	}
	for _, dsn := range []string{"u:p@tcp(db:3306)/", "u:p@tcp(db:3306", ":memory:"} {
		t.Run(fmt.Sprintf("%.40q", dsn), func(t *testing.T) {
			if _, err := store.NewSource(s, store.SourceConfig{Kind: "openfire", DSN: dsn}); err == nil || !strings.Contains(err.Error(), "directory.dsn") || strings.Contains(err.Error(), "store.dsn") {
				t.Errorf("got %v, want an error, error with directory.dsn, without store.dsn", err)
			}
		})
	}
}

// Tables of a server that does not tell letter case apart have names in lower case, also where they were taken to one that does.
func TestSourceInOtherLetterCase(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		other := func(statements []string) (list []string) {
			for _, text := range statements {
				list = append(list, strings.NewReplacer("ofUser", "ofuser", "isc_user_info", "ISC_User_Info", "isc_user ", "ISC_USER ").Replace(text))
			}
			return list
		}
		s := open(t, e.fresh(t, append(other(sourceTables(e, "")), other(sourceRows)...)...))
		accounts, suite := newSource(t, s, "openfire", ""), newSource(t, s, "isc", "")
		equal(t, "ofuser", len(walkSource(t, accounts, 2)), 3)
		must[any](t)(nil, accounts.Check(ctx))
		must[any](t)(nil, suite.SetPush(ctx, "z", "code-z")) // nobody has looked before
		if list := walkSource(t, suite, 3); !slices.Contains(list, "z|Z|z|||code-z") {
			t.Errorf(`got %v, want "z|Z|z|||code-z" in it`, list)
		}
		must[any](t)(nil, suite.DeletePushCodes(ctx, []string{"code-z"}))
		if list := walkSource(t, suite, 3); !slices.Contains(list, "z|Z|z|||") {
			t.Errorf(`got %v, want "z|Z|z|||" in it`, list)
		}
	})
}

func TestSourceHasUsers(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, sourceTables(e, "")...)
		s, raw := open(t, cfg), e.raw(t, cfg)
		source := newSource(t, s, "openfire", "")
		for _, c := range []struct {
			name string
			has  bool
		}{{"", false}, {"admin", false}, {"aaa", true}, {"zzz", true}} {
			t.Run(c.name, func(t *testing.T) {
				if c.name != "" {
					if _, err := raw.Exec(`INSERT INTO ofUser (username) VALUES ('` + c.name + `')`); err != nil {
						t.Fatal(err)
					}
				}
				equal(t, "with "+c.name, must[bool](t)(source.HasUsers(ctx, "Admin")), c.has)
				if c.name == "aaa" {
					must[any](t)(raw.Exec(`DELETE FROM ofUser WHERE username = 'aaa'`))
				}
			})
		}
		over, end := context.WithCancel(ctx)
		end()
		if has, err := newSource(t, s, "openfire", "").HasUsers(over, "admin"); err == nil {
			t.Errorf("nobody could look: got %v, want an error", has)
		}
	})
}
