package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"

	"tlim/cmd/tlim/config"
	"tlim/scripts/lab"
	"tlim/store"
	"tlim/store/conformance"
)

// seenSite is a database that a process serves, seen without tlim.
type seenSite struct {
	*sql.DB
	config string
}

func siteOf(t *testing.T, file string) seenSite {
	t.Helper()
	cfg, _, err := config.LoadForOperator(config.Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open(cfg.Store.Driver, cfg.Store.DSN.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return seenSite{db, file}
}

// tables are the names of all tables in the database.
func (s seenSite) tables(t *testing.T) (names []string) {
	t.Helper()
	rows, err := s.Query("SELECT name FROM sqlite_master WHERE type = 'table'")
	if err != nil {
		rows, err = s.Query("SHOW TABLES")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// content is every value of every table.
func (s seenSite) content(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, table := range s.tables(t) {
		rows, err := s.Query("SELECT * FROM " + table + " ORDER BY 1")
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&all, table, columns)
		for rows.Next() {
			values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&all, values)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// message is one that a site has.
func message(n int) store.Change {
	id := fmt.Sprint("m", n)
	m := &store.Message{ID: "row" + id, MsgID: id, Type: "MTT-000", From: "z", To: "l", Time: fmt.Sprint(traceTime), Body: "[]", SessionID: "z"}
	return store.Change{Message: m, IDs: []store.ID{{MsgID: id, Class: store.ClassMessage, From: "z", Time: m.Time, State: store.Live}},
		Offline: []store.OfflineMessage{{Message: *m, Owner: "l"}}, Groups: []store.Group{{ID: "g" + id, Owner: "z"}},
		Learn: []store.User{{ID: "u" + id, JID: "u" + id}}, Receipts: []store.Receipt{{ID: "r" + id, MsgID: id, Sender: "z", Reader: "l", Status: 1}}}
}

// TestSelftest: all passes, what the site has is as it was, its process goes on, and no table is left.
func TestSelftest(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *store.Store, epoch int64, file string) {
		if err := db.Apply(t.Context(), epoch, store.Positions{Clock: traceTime}, []store.Change{message(1)}); err != nil {
			t.Fatal(err)
		}
		s := siteOf(t, file)
		tables, before := s.tables(t), s.content(t)
		var out, errs strings.Builder
		if code := run([]string{"selftest", "--config", file, "--prefix", "TLIMTEST_"}, &out, &errs); code != 0 || errs.Len() > 0 {
			t.Fatalf("got the exit code %d, %s, want 0\n%s", code, &errs, &out)
		}
		for _, b := range conformance.Behaviours() {
			if !strings.Contains(out.String(), " s  "+b.Name) {
				t.Errorf("no line says %q, want one", b.Name)
			}
		}
		if strings.Contains(out.String(), "\nskipped ") && db.File() == "" {
			t.Errorf("something was skipped, want nothing:\n%s", &out)
		}
		if got := s.tables(t); !slices.Equal(got, tables) {
			t.Errorf("got the tables %v, want %v", got, tables)
		}
		if got := s.content(t); got != before {
			t.Errorf("the site's rows have changed:\n%s\nwant\n%s", got, before)
		}
		if err := db.Apply(t.Context(), epoch, store.Positions{}, []store.Change{message(2)}); err != nil {
			t.Errorf("the site's process: got %v, want it to write on", err)
		}

		t.Run("taken prefixes", func(t *testing.T) { takenPrefixes(t, s) })
		t.Run("signals", func(t *testing.T) { signals(t, s, tables) })
		if db.File() == "" {
			t.Run("no right to make tables", func(t *testing.T) { fewRights(t, s, tables) })
		}
	})
}

func takenPrefixes(t *testing.T, s seenSite) {
	if _, err := s.Exec("CREATE TABLE mine_ofmessage (a int)"); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.LoadForOperator(config.Sources{File: s.config})
	if err != nil {
		t.Fatal(err)
	}
	running, err := store.OpenScratch(t.Context(), storeConfig(cfg, nil), "runs_")
	if err != nil {
		t.Fatal(err)
	}
	tables := s.tables(t)
	for prefix, c := range map[string]struct {
		code int
		want string
	}{
		"mine_":           {exitFailed, "behind mine_ are tables that are not the self-test's (mine_ofmessage); choose another prefix"},
		"runs_":           {exitFailed, "another self-test works behind runs_"},
		"":                {exitUsage, "--prefix: a prefix is a letter"},
		"x; DROP TABLE y": {exitUsage, "--prefix: a prefix is a letter"},
		"waytoolongone_":  {exitUsage, "--prefix: a prefix is a letter"},
	} {
		t.Run(prefix, func(t *testing.T) {
			var out, errs strings.Builder
			if code := run([]string{"selftest", "--config", s.config, "--prefix", prefix}, &out, &errs); code != c.code || !strings.Contains(errs.String(), c.want) {
				t.Errorf("got %d %s, want %d %s", code, &errs, c.code, c.want)
			}
		})
	}
	if got := s.tables(t); !slices.Equal(got, tables) {
		t.Errorf("got the tables %v, want %v", got, tables)
	}
	if err := running.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Exec("DROP TABLE mine_ofmessage"); err != nil {
		t.Fatal(err)
	}
}

// fewRights: who may make no table is told in one line which rights are wanted, and nothing is made.
func fewRights(t *testing.T, s seenSite, tables []string) {
	cfg, _, err := config.LoadForOperator(config.Sources{File: s.config})
	if err != nil {
		t.Fatal(err)
	}
	server, err := mysql.ParseDSN(cfg.Store.DSN.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"CREATE USER few@'%' IDENTIFIED BY 's3cret-few'", "GRANT SELECT, INSERT, UPDATE, DELETE ON `" + server.DBName + "`.* TO few@'%'"} {
		if _, err := s.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	server.User, server.Passwd = "few", "s3cret-few"
	file := write(t, t.TempDir(), "tlim.yaml", "store: {driver: mysql, dsn: '"+server.FormatDSN()+"'}\n")
	code, out, errs := runCommand(t, "selftest", "--config", file)
	if code != exitFailed || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "the user of store.dsn needs CREATE, INDEX and DROP for the self-test") || strings.Contains(errs, "s3cret") {
		t.Errorf("got %d, %s, %s, want one line that says which rights are wanted", code, out, errs)
	}
	if got := s.tables(t); !slices.Equal(got, tables) {
		t.Errorf("got the tables %v, want %v", got, tables)
	}
}

// signals: whatever ends it in the middle, no table stays; after a SIGKILL the next run sees to it.
func signals(t *testing.T, s seenSite, tables []string) {
	ctx := testContext(t)
	binary, err := lab.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			cmd := exec.CommandContext(ctx, binary, "selftest", "--config", s.config, "--prefix", "sig_")
			var errs bytes.Buffer
			cmd.Stderr = &errs
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for lines.Scan() && !strings.HasPrefix(lines.Text(), "ok ") {
				continue
			}
			for range 2 { // as timeout(1) does
				if err := cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Fatal(err)
				}
			}
			for lines.Scan() {
				if strings.Contains(lines.Text(), "behaviours on") {
					t.Fatal("it came to its end, want it interrupted")
				}
			}
			if err := cmd.Wait(); err == nil {
				t.Error("got the exit code 0, want another")
			}
			if signal != syscall.SIGKILL {
				if got, want := errs.String(), "tlim: interrupted; its tables are removed\n"; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				if got := s.tables(t); !slices.Equal(got, tables) {
					t.Errorf("got the tables %v, want %v", got, tables)
				}
				return
			}
			if got := s.tables(t); !slices.Contains(got, "sig_ofmessage") {
				t.Fatalf("got the tables %v, want some of the killed run", got)
			}
			var got selfTested
			again, err := exec.CommandContext(ctx, binary, "selftest", "--json", "--config", s.config, "--prefix", "sig_").Output()
			if err = errors.Join(err, json.Unmarshal(again, &got)); err != nil || !slices.Contains(got.Removed, "sig_ofmessage") {
				t.Errorf("got %v, want it to pass, and to name what it removed\n%s", err, again)
			}
			if len(got.Tested) != len(conformance.Behaviours()) || got.Failed != 0 || got.Passed+got.Skipped != len(got.Tested) || got.Database == "" || got.Prefix != "sig_" {
				t.Errorf("got %s, want all behaviours and none failed", again)
			}
			if got := s.tables(t); !slices.Equal(got, tables) {
				t.Errorf("got the tables %v, want %v", got, tables)
			}
		})
	}
}

// TestSelftestFails: what a database does otherwise, for want of room here, is named by what was wanted and what came.
func TestSelftestFails(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "tlim.yaml", "store: {dsn: 'file:tlim.db?_pragma=max_page_count(3000)'}\n")
	if err := os.WriteFile(filepath.Join(dir, "tlim.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	code := run([]string{"selftest", "--config", file}, &out, &errs)
	if code != exitFailed || !strings.Contains(errs.String(), fmt.Sprintf("1 of %d behaviours failed", len(conformance.Behaviours()))) {
		t.Errorf("got %d %s, want %d and how many failed", code, &errs, exitFailed)
	}
	for _, want := range []string{"\nfailure ", " s  500 receivers of 64 KiB in one transaction\n         a write: wanted no error, came ", "database or disk is full", ", 1 failed, "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant it to hold %q", &out, want)
		}
	}
}

// TestSelftestBeforeTheFirstStart: where there is no SQLite file yet, none is made under its name, and no other stays.
func TestSelftestBeforeTheFirstStart(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "tlim.yaml", "")
	ctx := t.Context()
	left := func() (names []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	// A process that was killed has left its file.
	cfg, _, err := config.LoadForOperator(config.Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(dir, store.ScratchPrefix+"tlim.db")
	x, err := store.OpenScratch(ctx, storeConfig(cfg, nil), store.ScratchPrefix)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Open(ctx, 0); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", killed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Exec("VACUUM INTO '" + killed + ".copy'"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(raw.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(killed + ".copy")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(killed + ".copy"); err != nil {
		t.Fatal(err)
	}
	for _, began := range []bool{false, true} { // there is a database meanwhile
		if err := os.WriteFile(killed, kept, 0o600); err != nil {
			t.Fatal(err)
		}
		want := []string{"tlim.yaml"}
		if began {
			want = []string{"tlim.db", "tlim.yaml"}
			if err := os.WriteFile(filepath.Join(dir, "tlim.db"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			x, err := store.OpenScratch(ctx, storeConfig(cfg, nil), store.ScratchPrefix)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(x.Removed(), killed) || x.File() != "" {
				t.Errorf("got removed %v, the tables in %q, want %s removed and the tables in the database", x.Removed(), x.File(), killed)
			}
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		} else {
			var out, errs strings.Builder
			if code := run([]string{"selftest", "--config", file}, &out, &errs); code != 0 {
				t.Errorf("got %d %s\n%s, want 0", code, &errs, &out)
			}
			for _, want := range []string{"\nremoved what a run that was killed had left: " + store.ScratchPrefix, " which is removed with them\n"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("got\n%s\nwant it to hold %q", &out, want)
				}
			}
		}
		if got := left(); !slices.Equal(got, want) {
			t.Errorf("got the files %v, want %v", got, want)
		}
	}
}
