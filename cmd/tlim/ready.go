package main

import (
	"context"
	"fmt"
	"time"

	"tlim/cmd/tlim/doctor"
	"tlim/httpapi"
	"tlim/store"
)

// health says which parts are ready. It asks the database, within the time of ctx.
func (a *App) health(ctx context.Context) (h health) {
	defer h.conclude()
	h.Component = a.cfg.XMPP.Component
	h.roleState = a.roleNow()
	if !a.parts.Load() {
		text := "starting"
		if wait := a.storeWait.Load(); wait != nil {
			text = "database: " + *wait
		}
		h.Database = partState{State: "starting", Text: text}
		h.Link = partState{State: "starting"}
		h.Users = partState{State: "starting"}
		h.Messages = partState{State: "starting"}
		return h
	}
	// 1. the link
	status := a.links.Status()
	since := status.Since
	h.Link = partState{OK: status.Up, State: string(status.Reason), Since: &since, Server: status.Server, Moved: string(status.Moved)}
	if status.Server != "" {
		h.Link.ServerSince = &status.ServerSince
	}
	if h.Role == "standby" {
		h.Link = partState{State: "standby"}
	} else if !status.Up {
		h.Link.Text = "link: " + status.Text
	}
	// 2. the database, asked now: one that went away while nothing was written is known to nobody yet
	stored, err := a.askState(ctx)
	if err != nil {
		h.Database = partState{State: "away", Text: fmt.Sprintf("database: %v", err)}
	} else {
		h.Database = partState{OK: true, State: "up", Server: a.store.Node()}
	}
	report := a.store.Report()
	h.Warnings = degraded(report, stored, time.Now())
	h.Degraded = len(h.Warnings) > 0
	h.Warnings = append(h.Warnings, report.Warnings...)
	if text := loadString(&a.differs); text != "" && h.Role == "standby" {
		h.Warnings = append(h.Warnings, text)
	}
	// 3. users: decided at the start
	h.Users = partState{OK: true, State: a.users}
	// 4. messages
	switch err := a.service.Ready(); {
	case h.Role == "standby":
		h.Messages = partState{State: "standby", Text: h.sentence()}
	case a.stopping.Load():
		h.Messages = partState{State: "stopping", Text: "messages: shutting down, senders get error-013"}
	case err != nil:
		h.Messages = partState{State: "waiting", Text: "messages: " + err.Error()}
	default:
		h.Messages = partState{OK: true, State: "up"}
	}
	return h
}

// inChinese puts what is for people into Chinese; the words for programs stay.
func (h health) inChinese() health {
	for part, p := range map[string]*partState{"link": &h.Link, "database": &h.Database, "messages": &h.Messages} {
		if p.Text != "" {
			p.Text = httpapi.StateInChinese(part, p.State, p.Text)
		}
	}
	h.conclude()
	warnings := make([]string, len(h.Warnings))
	for i, w := range h.Warnings {
		warnings[i] = doctor.InChinese(w)
	}
	h.Warnings = warnings
	return h
}

// askState asks the database, within the time of ctx: a driver that gives a statement up can wait for the server to say so.
func (a *App) askState(ctx context.Context) (store.State, error) {
	type answer struct {
		state store.State
		err   error
	}
	began := time.Now()
	came := make(chan answer, 1) // nobody takes it after the time
	go func() {
		state, err := a.store.State(ctx)
		came <- answer{state, err}
	}()
	select {
	case got := <-came:
		return got.state, got.err
	case <-ctx.Done():
	}
	select {
	case got := <-came: // it gave up itself
		return got.state, got.err
	case <-time.After(readyTime / 20):
		return store.State{}, fmt.Errorf("%w: %w", store.ErrUnavailable, store.Late(storeConfig(a.cfg, a.log), ctx.Err(), began))
	}
}

// alive takes the locks of the links and the service and returns a line for `systemctl status`.
func (a *App) alive() string {
	if !a.parts.Load() {
		if a.storeWait.Load() != nil {
			return "waiting for the database"
		}
		return "starting"
	}
	status, err := a.links.Status(), a.service.Ready()
	role := a.roleNow()
	switch {
	case role.Role == "standby":
		return role.sentence()
	case !status.Up:
		return "link: " + status.Text
	case err != nil:
		return err.Error()
	}
	text := "linked to " + status.Server + " as " + a.cfg.XMPP.Component
	if refused := a.store.Report().Degraded; len(refused) > 0 {
		text += "; degraded: " + refused[0]
	}
	return text
}
