package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"tlim/cmd/tlim/config"
	"tlim/component/directory"
	"tlim/component/openfire"
	"tlim/component/stanza"
	"tlim/store"
)

func directoryConfig(d config.Directory) directory.Config {
	return directory.Config{
		Interval: time.Duration(d.Interval), DryRun: d.DryRun, MaxRemove: float64(d.MaxRemove),
		CreateAccounts: d.CreateAccounts, RemoveAccounts: d.RemoveAccounts, Password: d.InitialPassword.Reveal(),
	}
}

// users are where users come from.
type users struct {
	source  directory.Source // who has the last word; nil: nobody
	imports directory.Source // of whom users are learned, beside what is seen and told; nil: of nobody
	from    string           // a word for /readyz: ofUser, api or isc; openfire with the last word
	close   func() error
}

// opener opens a source, with the connections of the store where it names no database of its own.
type opener func(store.SourceConfig) (*store.Source, error)

// sourcesOf opens them with a store's.
func sourcesOf(db *store.Store) opener {
	return func(cfg store.SourceConfig) (*store.Source, error) { return store.NewSource(db, cfg) }
}

// openUsers opens where users come from, as directory.source says. Tables that are not there end the start, unless the source is
// auto; a database server of its own that is away does not, because messages do not need it.
func openUsers(ctx context.Context, cfg config.Directory, open opener, log *slog.Logger) (users, error) {
	u := users{from: string(cfg.Source), close: func() error { return nil }}
	switch cfg.Source {
	case config.UsersAPI:
		return u, nil
	case config.UsersAuto:
		return automatic(ctx, open, log)
	}
	source, err := open(store.SourceConfig{Kind: string(cfg.Source), DSN: cfg.DSN.Reveal()})
	if err != nil {
		return u, err
	}
	var network *net.OpError
	switch err := source.Check(ctx); {
	case err == nil:
	case errors.Is(err, store.ErrUnavailable) && errors.As(err, &network):
		log.Error("the source of users cannot be read now; it is tried again", "directory.source", cfg.Source, "error", err)
	default:
		return u, errors.Join(err, source.Close())
	}
	u.source, u.close = source, source.Close
	return u, nil
}

// automatic looks whether the store's database is Openfire's own, and has its users: one that reads them elsewhere (LDAP) leaves
// ofUser empty, or with the administrator alone. It is decided once, at the start.
func automatic(ctx context.Context, open opener, log *slog.Logger) (users, error) {
	u := users{from: "api", close: func() error { return nil }}
	source, err := open(store.SourceConfig{Kind: "openfire"})
	if err != nil {
		return u, err
	}
	u.close = source.Close
	why := ""
	switch err := source.Check(ctx); {
	case errors.Is(err, store.ErrSchema):
		why = "the database of the store has no table ofUser with the columns of Openfire's"
	case err != nil:
		why = err.Error()
	default:
		some, err := source.HasUsers(ctx, "admin")
		switch {
		case err != nil:
			why = err.Error()
		case !some:
			why = "ofUser holds nobody but admin"
		default:
			u.imports, u.from, why = source, "ofUser", "the database of the store has Openfire's accounts"
		}
	}
	log.Info("directory.source auto: where users come from", "from", u.from, "because", why)
	return u, nil
}

// accounts are Openfire's, in the component's own words.
type accounts struct {
	server *openfire.Server
	domain string
}

// accountsOf is nil where the configuration keeps none.
func accountsOf(cfg config.Config, server *openfire.Server) directory.Accounts {
	if !cfg.Directory.CreateAccounts && !cfg.Directory.RemoveAccounts {
		return nil
	}
	return accounts{server, cfg.XMPP.Domain}
}

func (a accounts) AddAccount(ctx context.Context, local, password, name, email string) error {
	jid := stanza.JID{Local: local, Domain: a.domain}
	return a.judge(ctx, jid, a.server.AddUser(ctx, jid, password, name, email), true, directory.ErrAccountExists)
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
		return fmt.Errorf("%w: %w", directory.ErrNoAccounts, err)
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
		err = fmt.Errorf("%w: %w", directory.ErrUntold, err)
	}
	return there, err
}
