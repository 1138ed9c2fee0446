package main

import (
	"context"
	"time"

	"tlim/cmd/tlim/config"
	"tlim/cmd/tlim/console"
	"tlim/cmd/tlim/doctor"
	"tlim/httpapi"
	"tlim/store"
)

// newConsole makes what tells administrators of this process.
func (a *App) newConsole(ctx context.Context, db *store.Store) (*console.Console, error) {
	engineVersion, err := db.Version(ctx)
	if err != nil {
		return nil, err
	}
	settings, err := settingsOf(a.cfg, a.from)
	if err != nil {
		return nil, err
	}
	return console.New(console.Config{
		Version: version(), Component: a.cfg.XMPP.Component, Domain: a.cfg.XMPP.Domain, Server: a.cfg.XMPP.Server.String(),
		Engine: db.Report().Engine, EngineVersion: engineVersion, Metrics: a.registry, Settings: settings, Now: time.Now,
		Health: func(ctx context.Context) console.Health {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTime) // a caller who leaves takes nothing away
			defer cancel()
			h := a.health(ctx)
			return console.Health{Ready: h.Ready, Degraded: h.Degraded, Reasons: h.Reasons, Warnings: h.Warnings,
				Link: h.Link.watched(), Database: h.Database.watched(), Users: h.Users.watched(), Messages: h.Messages.watched()}
		},
		Examine: func(ctx context.Context) doctor.Report {
			report, err := diagnosed(ctx, a.cfg, settings.File, nil)
			if err != nil { // what was looked at is said all the same
				a.log.Warn("the checks of the doctor left something open", "error", err)
			}
			return report
		},
	}), nil
}

// watched is the part as admin/state has it.
func (p partState) watched() httpapi.PartState {
	w := httpapi.PartState{OK: p.OK, State: p.State, Text: p.Text, Server: p.Server, Moved: p.Moved}
	if p.ServerSince != nil {
		w.ServerSince = p.ServerSince.UnixMilli()
	}
	if p.Since != nil && !p.Since.IsZero() {
		w.Since = p.Since.UnixMilli()
	}
	return w
}

// settingsOf lists a configuration that was loaded from there.
func settingsOf(cfg config.Config, from config.Sources) (httpapi.Settings, error) {
	path, list, err := cfg.List(from)
	if err != nil {
		return httpapi.Settings{}, err
	}
	s := httpapi.Settings{File: path}
	for _, k := range list {
		s.Keys = append(s.Keys, httpapi.Setting{Key: k.Key, Source: k.Source, Value: k.Value})
	}
	return s, nil
}
