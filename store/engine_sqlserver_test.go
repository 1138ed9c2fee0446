package store_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/microsoft/go-mssqldb"

	"tlim/store"
)

func init() { engines = append(engines, sqlserverEngine) }

// sqlserverEngine is a real server where TLIM_TEST_SQLSERVER_DSN names one, as sqlserver://sa:password@127.0.0.1:1433, with a login that
// may create databases; else H2 in its mode, where TLIM_TEST_H2 has its address (scripts/h2).
var sqlserverEngine = engine{
	name:  "sqlserver",
	later: true,
	lock:  "BEGIN TRANSACTION",
	own:   func(s string) string { return strings.ReplaceAll(s, "session_user", "[session_user]") },
	fresh: func(t testing.TB, statements ...string) store.Config {
		name := "tlim_test_" + freshName()
		server := os.Getenv("TLIM_TEST_SQLSERVER_DSN")
		if server == "" {
			return freshH2(t, "sqlserver", name, statements)
		}
		admin := opened(t, "sqlserver", server)
		run(t, admin, "CREATE DATABASE "+name+" COLLATE Chinese_PRC_CI_AS")
		t.Cleanup(func() {
			run(t, admin, "ALTER DATABASE "+name+" SET SINGLE_USER WITH ROLLBACK IMMEDIATE", "DROP DATABASE "+name)
		})
		at, err := url.Parse(server)
		if err != nil {
			t.Fatal("TLIM_TEST_SQLSERVER_DSN is not a URL, want one")
		}
		query := at.Query()
		query.Set("database", name)
		at.RawQuery = query.Encode()
		cfg := store.Config{Driver: "sqlserver", DSN: at.String()}
		run(t, opened(t, "sqlserver", cfg.DSN), statements...)
		return cfg
	},
	stands: func() string {
		if os.Getenv("TLIM_TEST_SQLSERVER_DSN") == "" {
			return standsH2
		}
		return `SELECT t.name, CONCAT(c.name, ' ', y.name, ' ', c.max_length, ' ', c.collation_name, ' ', c.is_nullable, ' ', c.is_identity, ' ', c.column_id)
			FROM sys.tables t JOIN sys.columns c ON c.object_id = t.object_id JOIN sys.types y ON y.user_type_id = c.user_type_id WHERE t.schema_id = SCHEMA_ID()
			UNION ALL SELECT t.name, CONCAT(CASE WHEN i.is_primary_key = 1 THEN 'key' ELSE i.name END, ' ', i.type_desc, ' ', i.is_unique, ' ', k.key_ordinal, ' ', c.name)
			FROM sys.tables t JOIN sys.indexes i ON i.object_id = t.object_id JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id
			JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id WHERE t.schema_id = SCHEMA_ID() ORDER BY 1, 2`
	},
	raw: func(t testing.TB, cfg store.Config) *sql.DB {
		if store.IsH2(cfg.DSN) {
			return rawH2(t, cfg)
		}
		return opened(t, "sqlserver", cfg.DSN)
	},
}

// A page of no rows is no error, although the clause takes no 0.
func TestEmptyPageOfSQLServer(t *testing.T) {
	s, epoch := owned(t, sqlserverEngine.fresh(t))
	apply(t, s, epoch, store.Change{Learn: []store.User{{ID: "a", JID: "a"}}})
	equal(t, "none", len(must[[]store.User](t)(s.ListUsers(ctx, "", 0))), 0)
	equal(t, "one", len(must[[]store.User](t)(s.ListUsers(ctx, "", 1))), 1)
}

// The old tables number their rows by numeric(6): tlim works with that, and does not start when the numbers come to their end.
func TestNumbersOfSQLServer(t *testing.T) {
	e := sqlserverEngine
	cfg := e.fresh(t, oldTables(e, "numeric(6) identity", "")...)
	s, epoch := owned(t, cfg)
	c := say(1, "z", "g", "[]")
	c.Offline = []store.OfflineMessage{waiting(c.Message, "l")}
	c.Receipts = []store.Receipt{{ID: "r", MsgID: "m1", Sender: "z", Reader: "l", Status: 1}}
	c.Styles = []store.Style{{ID: "uuid", Name: "size", Value: 5, UserID: "z"}}
	apply(t, s, epoch, c)
	got := must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", "", "", 10))
	if len(got) != 1 || got[0].ID != "1" {
		t.Fatalf("offline: got %+v, want 1, ID 1", got)
	}
	equal(t, "by its number", len(must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", got[0].Time, got[0].ID, 10))), 0)
	apply(t, s, epoch, store.Change{DropOffline: []store.OfflineKey{{RowID: "1"}}, DropMessages: []store.Drop{{MsgID: "m1", SessionID: "g"}}})
	equal(t, "queue", len(must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", "", "", 10))), 0)
	equal(t, "messages", len(must[map[string][]store.Message](t)(s.MessagesByID(ctx, []string{"m1"}))), 0)
	if w := fmt.Sprint(s.Report().Warnings); strings.Contains(w, "numbers") {
		t.Errorf("got %s, want no warning of numbers", w)
	}

	raw := e.raw(t, cfg)
	for _, step := range []struct {
		at      int
		refused bool
		want    string
	}{
		{600_000, false, "ofmessage.id_ has used 60 % of its numbers; above 90 tlim does not start"},
		{900_001, true, "ofmessage.id_ has used 90 % of its numbers, and at their end every insert fails"},
	} {
		t.Run(fmt.Sprint(step.at), func(t *testing.T) {
			if store.IsH2(cfg.DSN) {
				run(t, raw, fmt.Sprintf("ALTER TABLE ofmessage ALTER COLUMN id_ RESTART WITH %d", step.at+1))
			} else {
				run(t, raw, fmt.Sprintf("DBCC CHECKIDENT ('ofmessage', RESEED, %d)", step.at))
			}
			x := must[*store.Examination](t)(store.Examine(ctx, cfg))
			t.Cleanup(func() { x.Close() })
			if now, told, err := x.Now(ctx); err != nil || !told || time.Since(now).Abs() > time.Minute {
				t.Errorf("the server's clock: got %v, %v, %v, want this machine's", now, told, err)
			}
			if a := must[[]store.Advice](t)(x.Headroom(ctx)); len(a) != 1 || a[0].Severe != step.refused || !strings.Contains(a[0].Seen, "of its numbers") || !strings.Contains(a[0].Remedy, "COMMIT TRANSACTION") {
				t.Errorf("headroom: got %+v, want the numbers, severe: %v, and the remedy", a, step.refused)
			}
			if a := slices.Concat(must[[]store.Advice](t)(x.Logging(ctx)), must[[]store.Advice](t)(x.Durability(ctx))); strings.Contains(fmt.Sprint(a), "numbers") {
				t.Errorf("elsewhere: got %+v, want nothing of numbers", a)
			}
			for _, mode := range []store.MigrateMode{"auto", "check", "off"} {
				t.Run(string(mode), func(t *testing.T) {
					again := cfg
					again.Migrate = mode
					s, err := store.Open(ctx, again)
					said := fmt.Sprint(err)
					if err == nil {
						said = fmt.Sprint(s.Report().Warnings)
						s.Close()
					}
					if (err != nil) != step.refused || !strings.Contains(said, step.want) || !strings.Contains(said, "ALTER TABLE ofmessage ALTER COLUMN id_ numeric(18) NOT NULL") {
						t.Errorf("%s: got %s, want %q and the remedy, refused: %v", mode, said, step.want, step.refused)
					}
				})
			}
		})
	}
}
