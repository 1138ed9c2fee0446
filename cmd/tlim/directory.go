package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"tlim/component"
	"tlim/component/openfire"
	"tlim/component/stanza"
	"tlim/store"
)

func directoryConfig(d Directory) component.DirectoryConfig {
	return component.DirectoryConfig{
		Interval: time.Duration(d.Interval), DryRun: d.DryRun, MaxRemove: float64(d.MaxRemove),
		CreateAccounts: d.CreateAccounts, RemoveAccounts: d.RemoveAccounts, Password: d.InitialPassword.Reveal(),
	}
}

// openSource opens where users come from, and what closes it again; a nil source for directory.source api. Tables that are not
// there end the start; a database server of its own that is away does not, because messages do not need it.
func openSource(ctx context.Context, cfg Directory, db *store.Store, log *slog.Logger) (component.Source, func() error, error) {
	if cfg.Source == "api" {
		return nil, func() error { return nil }, nil
	}
	source, err := store.NewSource(db, store.SourceConfig{Kind: cfg.Source, DSN: cfg.DSN.Reveal()})
	if err != nil {
		return nil, nil, err
	}
	var network *net.OpError
	switch err := source.Check(ctx); {
	case err == nil:
	case errors.Is(err, store.ErrUnavailable) && errors.As(err, &network):
		log.Error("the source of users cannot be read now; it is tried again", "directory.source", cfg.Source, "error", err)
	default:
		return nil, nil, errors.Join(err, source.Close())
	}
	return source, source.Close, nil
}

// accounts are Openfire's, in the component's own words.
type accounts struct {
	server *openfire.Server
	domain string
}

// accountsOf is nil where the configuration keeps none.
func accountsOf(cfg Config, server *openfire.Server) component.Accounts {
	if !cfg.Directory.CreateAccounts && !cfg.Directory.RemoveAccounts {
		return nil
	}
	return accounts{server, cfg.XMPP.Domain}
}

func (a accounts) AddAccount(ctx context.Context, local, password, name, email string) error {
	jid := stanza.JID{Local: local, Domain: a.domain}
	return a.judge(ctx, jid, a.server.AddUser(ctx, jid, password, name, email), true, component.ErrAccountExists)
}

func (a accounts) RemoveAccount(ctx context.Context, local string) error {
	jid := stanza.JID{Local: local, Domain: a.domain}
	return a.judge(ctx, jid, a.server.DeleteUser(ctx, jid), false, nil)
}

// judge says what a failure means: when there is an account (or is none) as settled says, then whatever the server's
// refusal, whose text is in its own language, the answer is instead.
func (a accounts) judge(ctx context.Context, jid stanza.JID, err error, settled bool, instead error) error {
	var refused *openfire.NoteError
	switch {
	case errors.Is(err, openfire.ErrUnsupported):
		return fmt.Errorf("%w: %w", component.ErrNoAccounts, err)
	case errors.As(err, &refused):
		switch there, look := a.server.HasUser(ctx, jid); {
		case look != nil:
			return errors.Join(err, look)
		case there == settled:
			return instead
		}
	}
	return err
}

// finder asks Openfire who has an account, in the component's own words.
type finder struct {
	server *openfire.Server
	domain string
}

func (f finder) HasAccount(ctx context.Context, local string) (bool, error) {
	there, err := f.server.HasUser(ctx, stanza.JID{Local: local, Domain: f.domain})
	if errors.Is(err, openfire.ErrUntold) {
		err = fmt.Errorf("%w: %w", component.ErrUntold, err)
	}
	return there, err
}

const (
	minDirectoryInterval = time.Second
	maxDirectoryInterval = 24 * time.Hour
	maxPassword          = 128 // characters; Openfire's column holds 255 of the encrypted form
)

func (c *Config) checkDirectory(p *Problems) {
	d := &c.Directory
	if interval := time.Duration(d.Interval); interval < minDirectoryInterval || interval > maxDirectoryInterval {
		p.add("directory.interval: must be between 1s and 24h")
	}
	switch dsn := d.DSN.Reveal(); {
	case dsn == "":
	case d.Source == "api":
		p.add("directory.dsn: does nothing with directory.source api")
	default:
		checkDSN(p, "directory.dsn", store.DriverOf(dsn, c.Store.Driver), dsn)
	}
	password := d.InitialPassword.Reveal()
	if password != "" && !d.CreateAccounts {
		p.add("directory.initial_password: does nothing without directory.create_accounts")
	}
	if strings.TrimSpace(password) != password || utf8.RuneCountInString(password) > maxPassword || !stanza.ValidXML(password) || strings.ContainsFunc(password, func(r rune) bool { return r < ' ' }) {
		p.add("directory.initial_password: must be %d characters at most, without control characters, and without blanks at its ends", maxPassword)
	}
}
