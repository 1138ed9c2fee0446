package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tlim/store"
)

// unfits are databases in which something has the name of a table of ours and cannot be one. Statements of "sqlite" take the place of MySQL's.
var unfits = map[string]struct {
	mysql, sqlite []string
	want          string // in the refusal
	remedy        string
}{
	"a view":     {[]string{"RENAME TABLE ofmessage TO of2019", "CREATE VIEW ofmessage AS SELECT * FROM of2019"}, []string{"ALTER TABLE ofmessage RENAME TO of2019", "CREATE VIEW ofmessage AS SELECT * FROM of2019"}, "ofmessage is a view", "DROP VIEW ofmessage"},
	"a sequence": {[]string{"CREATE SEQUENCE tlim_user"}, nil, "tlim_user is a sequence", "RENAME TABLE tlim_user TO"},
	"a history":  {[]string{"ALTER TABLE ofmessage ADD SYSTEM VERSIONING"}, nil, "ofmessage keeps the history of its rows", "DROP SYSTEM VERSIONING"},
	"a column of others": {[]string{"ALTER TABLE ofmessage ADD COLUMN site varchar(10) NOT NULL"}, []string{"DROP TABLE ofstyle", "CREATE TABLE ofstyle (style_id varchar(64) NOT NULL PRIMARY KEY, style_name varchar(64), style_value int, user_id varchar(64), site varchar(10) NOT NULL)"},
		".site is not the plugin's, must not be NULL and has no default", ""},
	"a computed column": {[]string{"ALTER TABLE ofmessage DROP COLUMN session_id, ADD COLUMN session_id varchar(64) AS (msg_from) STORED"}, []string{"DROP TABLE ofstyle", "CREATE TABLE ofstyle (style_id varchar(64) NOT NULL PRIMARY KEY, style_name varchar(64), style_value int AS (1), user_id varchar(64))"},
		"is computed by the database", "plain column"},
	"upper case": {[]string{"RENAME TABLE ofmessage TO ofMessage"}, nil, "the table ofmessage is ofMessage here", "RENAME TABLE `ofMessage` TO `ofmessage`"},
}

// What cannot be a table of ours is refused in one line that names it and its remedy, before anything is changed.
func TestUnfitTables(t *testing.T) {
	onShared(t, func(t *testing.T, e engine) {
		for name, c := range unfits {
			plant := c.mysql
			if e.name == "sqlite" {
				plant = c.sqlite
			}
			if plant == nil {
				continue
			}
			t.Run(name, func(t *testing.T) {
				cfg := e.fresh(t, slices.Concat(oldTables(e, varchar64, " CHARACTER SET utf8"), plant)...)
				raw := e.raw(t, cfg)
				raw.SetMaxIdleConns(0) // SQLite's file is one's alone
				before := made(t, e, raw)
				for _, mode := range []store.MigrateMode{store.MigrateAuto, store.MigrateCheck} {
					t.Run(string(mode), func(t *testing.T) {
						cfg := cfg
						cfg.Migrate = mode
						s, err := store.Open(ctx, cfg)
						if err == nil {
							must[any](t)(nil, s.Close())
						}
						if !errors.Is(err, store.ErrSchema) || errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.remedy) || strings.Contains(err.Error(), "\n") {
							t.Errorf("a start: got %v, want %v in one line with %q and %q", err, store.ErrSchema, c.want, c.remedy)
						}
					})
				}
				x := must[*store.Examination](t)(store.Examine(ctx, cfg))
				advice := must[[]store.Advice](t)(x.Schema(ctx, store.MigrateAuto))
				must[any](t)(nil, x.Close())
				if !slices.ContainsFunc(advice, func(a store.Advice) bool {
					return a.Severe && strings.Contains(a.Seen, c.want) && strings.Contains(a.Remedy, c.remedy)
				}) {
					t.Errorf("an examination: got %+v, want %q, severe", advice, c.want)
				}
				works := map[string]func(*store.Migrator) error{"up": func(m *store.Migrator) error { _, err := m.Up(ctx); return err }}
				if e.name == "mysql" {
					works["utf8mb4"] = func(m *store.Migrator) error { _, err := m.Convert(ctx); return err }
				}
				for work, do := range works {
					t.Run(work, func(t *testing.T) {
						m := migrator(t, cfg, nil)
						defer m.Close()
						var refused *store.RefusedError
						if err := do(m); !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
							t.Errorf("got %v, want a refusal with %q", err, c.want)
						}
					})
				}
				equal(t, "what stands there", made(t, e, raw), before)
			})
		}
	})
}

// Triggers, foreign keys and indexes of others are told, and keep from what they would break half-way; nothing else.
func TestForeignParts(t *testing.T) {
	onShared(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), "CREATE INDEX tlim_message_time ON ofmessage (msg_from)", "INSERT INTO ofmessage (id_, msg_id) VALUES ('1', 'm1')")...)
		raw := e.raw(t, cfg)
		raw.SetMaxIdleConns(0) // SQLite's file is one's alone
		if e.name == "mysql" {
			run(t, raw, "CREATE TRIGGER theirs AFTER INSERT ON ofstatus FOR EACH ROW SET @a = 1",
				"ALTER TABLE ofcustomoffline CONVERT TO CHARACTER SET utf8", "CREATE INDEX theirs ON ofmessage (msg_id)",
				"ALTER TABLE ofcustomoffline ADD CONSTRAINT bound FOREIGN KEY (msg_id) REFERENCES ofmessage (msg_id)")
		} else {
			run(t, raw, "CREATE TRIGGER theirs AFTER INSERT ON ofstatus BEGIN SELECT 1; END")
		}
		s := must[*store.Store](t)(store.Open(ctx, cfg))
		warned := fmt.Sprint(s.Report().Warnings)
		must[any](t)(nil, s.Close())
		wants := []string{"the trigger theirs runs"}
		if e.name == "mysql" {
			wants = append(wants, "the foreign key bound binds ofcustomoffline to ofmessage")
		}
		for _, want := range wants {
			if !strings.Contains(warned, want) {
				t.Errorf("a start: got the warnings %s, want %q", warned, want)
			}
		}
		refusal := func(do func(m *store.Migrator) error) string {
			m := migrator(t, cfg, nil)
			defer m.Close()
			return fmt.Sprint(do(m))
		}
		doUp := func(m *store.Migrator) error { _, err := m.Up(ctx); return err }
		if got, want := refusal(doUp), "ofmessage has an index tlim_message_time already, but of (msg_from)"; !strings.Contains(got, want) || !strings.HasPrefix(got, "nothing was changed: ") {
			t.Errorf("up: got %s, want %q", got, want)
		}
		run(t, raw, "DROP INDEX tlim_message_time"+e.indexOf("ofmessage"))
		up(t, cfg)
		if e.name != "mysql" {
			return
		}
		before := made(t, e, raw)
		for _, do := range []func(m *store.Migrator) error{
			func(m *store.Migrator) error { _, err := m.Convert(ctx); return err },
			func(m *store.Migrator) error { _, err := m.Down(ctx); return err }, // InnoDB took its own index for one of ours
		} {
			if got := refusal(do); !strings.HasPrefix(got, "nothing was changed: the foreign key bound") || !strings.Contains(got, "ALTER TABLE ofcustomoffline DROP FOREIGN KEY `bound`") {
				t.Errorf("got %s, want a refusal that names the key", got)
			}
		}
		equal(t, "what stands there", made(t, e, raw), before)
		run(t, raw, "ALTER TABLE ofcustomoffline DROP FOREIGN KEY `bound`")
		equal(t, "down", refusal(func(m *store.Migrator) error { _, err := m.Down(ctx); return err }), "<nil>")
	})
}
