package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlim/cmd/tlim/config"
	"tlim/component/directory"
	"tlim/component/openfire"
	"tlim/component/stanza"
	"tlim/store"
)

func TestOpenUsers(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "tlim.db"), MaxWait: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct {
		name            string
		directory       string // the section of the configuration
		source          bool
		failure, logged string
	}{
		{"the API", "{source: api}", false, "", ""},
		{"no tables", "{source: isc}", false, "directory.source isc: the tables do not fit: missing are table isc_user, table isc_user_info", ""},
		{"no file", "{source: openfire, dsn: nosuch.db}", false, "directory.source openfire: ", ""},
		{"no database", "{source: openfire, dsn: 'u:p@tcp(127.0.0.1:3306)/'}", false, "directory.dsn: names no database", ""},
		{"a server that is away", "{source: openfire, dsn: 'u:hush@tcp(127.0.0.1:1)/openfire'}", true, "", "the source of users cannot be read now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, _, err := config.Load(config.Sources{File: write(t, dir, "tlim.yaml", "xmpp: {domain: im.test, secret: x}\ndirectory: "+c.directory+"\n")})
			if err != nil && !errors.As(err, new(config.Problems)) { // an address that is wrong is read all the same
				t.Fatal(err)
			}
			var log bytes.Buffer
			u, err := openUsers(t.Context(), cfg.Directory, sourcesOf(db), slog.New(slog.NewTextHandler(&log, nil)))
			if (u.source != nil) != c.source || u.imports != nil || (err == nil) != (c.failure == "") || err != nil && !strings.Contains(err.Error(), c.failure) {
				t.Errorf("got source %v, %v, want a source %v, error %q", u.source, err, c.source, c.failure)
			}
			if !strings.Contains(log.String(), c.logged) || c.logged == "" && log.Len() > 0 || strings.Contains(log.String(), "hush") {
				t.Errorf("got log %s, want %q in it, without the password", log.String(), c.logged)
			}
			if err == nil {
				if err := u.close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// auto takes users from ofUser where the store's database has it with users in it, and else says why not.
func TestUsersByThemselves(t *testing.T) {
	const table = "CREATE TABLE %s (username varchar(64), name varchar(100), email varchar(100))"
	for name, c := range map[string]struct {
		tables     []string
		from, said string
	}{
		"no table":       {nil, "api", "has no table ofUser"},
		"another table":  {[]string{"CREATE TABLE ofUser (id int)"}, "api", "has no table ofUser"},
		"empty":          {[]string{fmt.Sprintf(table, "ofUser")}, "api", "holds nobody but admin"},
		"administrator":  {[]string{fmt.Sprintf(table, "ofUser"), "INSERT INTO ofUser VALUES ('Admin', 'A', 'a')"}, "api", "holds nobody but admin"},
		"users":          {[]string{fmt.Sprintf(table, "ofUser"), "INSERT INTO ofUser VALUES ('admin', 'A', 'a'), ('lisi', NULL, NULL)"}, "ofUser", "has Openfire's accounts"},
		"in lower case":  {[]string{fmt.Sprintf(table, "ofuser"), "INSERT INTO ofuser VALUES ('lisi', NULL, NULL)"}, "ofUser", "has Openfire's accounts"},
		"cannot be read": {nil, "api", "directory.source openfire: "},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "tlim.db")
			raw, err := sql.Open("sqlite", file)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range c.tables {
				if _, err := raw.Exec(text); err != nil {
					t.Fatal(err)
				}
			}
			if err := raw.Close(); err != nil {
				t.Fatal(err)
			}
			db, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: file, MaxWait: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if name == "cannot be read" {
				db.Close()
			}
			var log bytes.Buffer
			u, err := openUsers(t.Context(), config.Default().Directory, sourcesOf(db), slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil || u.source != nil || (u.imports != nil) != (c.from == "ofUser") || u.from != c.from {
				t.Errorf("got %+v, %v, want users of %q", u, err, c.from)
			}
			if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "from="+c.from) || !strings.Contains(log.String(), c.said) {
				t.Errorf("log: got %s, want once %q, log with %q, with %q", log.String(), "\n", "from="+c.from, c.said)
			}
			if err := u.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// commander is a server that ends each command with a note, and knows the accounts that it is given.
type commander struct {
	note    string // <note/> of the completed command
	refuse  error  // instead of a command's answer
	account error  // the answer to a look for an account; nil: it is there
}

func (c *commander) IQ(_ context.Context, typ, _ string, payload []byte) (stanza.Stanza, error) {
	switch {
	case typ == "get" && c.account != nil:
		return stanza.Stanza{}, c.account
	case typ == "get":
		return stanza.Parse([]byte(`<iq type="result"><query xmlns="http://jabber.org/protocol/disco#info"><identity category="account" type="registered"/></query></iq>`))
	case c.refuse != nil:
		return stanza.Stanza{}, c.refuse
	case bytes.Contains(payload, []byte("sessionid")):
		return stanza.Parse(fmt.Appendf(nil, `<iq type="result"><command xmlns="http://jabber.org/protocol/commands" sessionid="1" status="completed">%s</command></iq>`, c.note))
	}
	return stanza.Parse([]byte(`<iq type="result"><command xmlns="http://jabber.org/protocol/commands" sessionid="1" status="executing"/></iq>`))
}

// What a server refuses in words of its own language is understood by looking whether the account is there.
func TestAccountsOfAServer(t *testing.T) {
	const refused, done = `<note type="error">Benutzer gibt es schon.</note>`, `<note type="info">ok</note>`
	none, timeout := error(&stanza.IQError{Condition: "item-not-found"}), context.DeadlineExceeded
	var note *openfire.NoteError
	for _, c := range []struct {
		name        string
		server      commander
		add, remove func(error) bool
	}{
		{"it does", commander{note: done}, func(err error) bool { return err == nil }, func(err error) bool { return err == nil }},
		{"there is one", commander{note: refused}, func(err error) bool { return errors.Is(err, directory.ErrAccountExists) }, func(err error) bool { return errors.As(err, &note) }},
		{"there is none", commander{note: refused, account: none}, func(err error) bool { return errors.As(err, &note) }, func(err error) bool { return err == nil }},
		{"nobody knows", commander{note: refused, account: timeout}, func(err error) bool { return errors.Is(err, timeout) && errors.As(err, &note) },
			func(err error) bool { return errors.Is(err, timeout) && errors.As(err, &note) }},
		{"it has no such command", commander{refuse: &stanza.IQError{Condition: "item-not-found"}}, func(err error) bool { return errors.Is(err, directory.ErrNoAccounts) },
			func(err error) bool { return errors.Is(err, directory.ErrNoAccounts) }},
		{"it does not answer", commander{refuse: timeout}, func(err error) bool { return errors.Is(err, timeout) && !errors.Is(err, directory.ErrNoAccounts) },
			func(err error) bool { return errors.Is(err, timeout) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := accounts{openfire.New(&c.server, "im.test"), "im.test"}
			if err := a.AddAccount(t.Context(), "lisi", "p", "L", ""); !c.add(err) {
				t.Errorf("add: got %v, want another end", err)
			}
			if err := a.RemoveAccount(t.Context(), "lisi"); !c.remove(err) {
				t.Errorf("remove: got %v, want another end", err)
			}
		})
	}
	if accountsOf(config.Default(), nil) != nil {
		t.Error("accounts are kept without being told, want them not")
	}
}
