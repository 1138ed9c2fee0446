package config

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tlim/component/events"
	"tlim/component/push"
	"tlim/component/stanza"
	"tlim/store"
)

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
	case d.Source == UsersAPI:
		p.add("directory.dsn: does nothing with directory.source api")
	case d.Source == UsersAuto:
		p.add("directory.dsn: does nothing with directory.source auto, which looks into the database of store.dsn; say what it is: openfire or isc")
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

// pushedKind says what push.webhook.kinds may hold: a message type, or the beginning of several, up to the dash. Commands are
// never pushed.
func pushedKind(kind string) bool {
	family, all := strings.CutSuffix(kind, "-")
	return (store.ValidType(kind) || all && store.FamilyOf(kind) == family) && store.FamilyOf(kind) != store.FamilyCommand
}

func (c *Config) checkPush(p *Problems) {
	j, w := &c.Push.JPush, &c.Push.Webhook
	if j.Enabled && j.AppKey.Reveal() == "" {
		p.add("push.jpush.app_key: is missing while push.jpush.enabled is true")
	}
	if j.Enabled && j.MasterSecret.Reveal() == "" {
		p.add("push.jpush.master_secret: is missing while push.jpush.enabled is true")
	}
	if strings.Contains(j.AppKey.Reveal(), ":") {
		p.add("push.jpush.app_key: holds a colon; the secret belongs into push.jpush.master_secret")
	}
	if wrong := push.CheckURL(j.BaseURL.Reveal()); j.BaseURL.Reveal() != "" && wrong != "" {
		p.add("push.jpush.base_url: %s", wrong)
	}
	if wrong := push.CheckURL(w.URL.Reveal()); w.URL.Reveal() != "" && wrong != "" {
		p.add("push.webhook.url: %s", wrong)
	}
	switch secret := w.Secret.Reveal(); {
	case w.URL.Reveal() == "" && secret != "":
		p.add("push.webhook.secret: does nothing without push.webhook.url")
	case w.URL.Reveal() != "" && len(secret) < minKey:
		p.add("push.webhook.secret: must be %d or more characters: whoever guesses it can forge pushes", minKey)
	}
	for _, kind := range w.Kinds {
		if !pushedKind(kind) {
			p.add("push.webhook.kinds: %s is neither a message type like MTB-000 nor the beginning of several like MTB-", quoted(kind))
		}
	}
}

// The bounds of events.max_waiting, and the longest events.keep.
const (
	minWaitingEvents = 1000
	maxWaitingEvents = 10_000_000
	maxEventKeep     = 365 * 24 * time.Hour
)

func (c *Config) checkEvents(p *Problems) {
	w := &c.Events.Webhook
	if wrong := push.CheckURL(w.URL.Reveal()); w.URL.Reveal() != "" && wrong != "" {
		p.add("events.webhook.url: %s", wrong)
	}
	switch secret := w.Secret.Reveal(); {
	case w.URL.Reveal() == "" && secret != "":
		p.add("events.webhook.secret: does nothing without events.webhook.url")
	case w.URL.Reveal() != "" && len(secret) < minKey:
		p.add("events.webhook.secret: must be %d or more characters: whoever guesses it can forge events", minKey)
	}
	for _, kind := range w.Kinds {
		if !slices.Contains(events.Kinds, kind) {
			p.add("events.webhook.kinds: %s is no kind of event: they are %s", quoted(kind), strings.Join(events.Kinds, ", "))
		}
	}
	if n := c.Events.MaxWaiting; n < minWaitingEvents || n > maxWaitingEvents {
		p.add("events.max_waiting: must be between %d and %d", minWaitingEvents, maxWaitingEvents)
	}
	if keep := time.Duration(c.Events.Keep); keep < time.Hour || keep > maxEventKeep {
		p.add("events.keep: must be between 1h and 8760h")
	}
}

// maxDays is a century, of which dates are sure.
const maxDays = 36500

func (c *Config) checkCleanup(p *Problems) {
	if i := time.Duration(c.Cleanup.Interval); i < time.Hour || i > 365*24*time.Hour {
		p.add("cleanup.interval: must be between 1h and 8760h")
	}
	for _, n := range []struct {
		key  string
		days int
	}{
		{"cleanup.days", c.Cleanup.Days}, {"cleanup.offline_days", c.Cleanup.OfflineDays}, {"cleanup.files_days", c.Cleanup.FilesDays}, {"cleanup.ids", c.Cleanup.IDs},
	} {
		if n.days < 0 || n.days > maxDays {
			p.add("%s: %d is not between 0 and %d; days, 0 for never", n.key, n.days, maxDays)
		}
	}
}

func (c *Config) checkIdempotency(p *Problems) {
	const day = Duration(24 * time.Hour)
	window := c.Idempotency.Window
	switch {
	case window < Duration(time.Minute) || window > 30*day:
		p.add("idempotency.window: must be between 1m and 720h; a repeated call is known for so long")
	case c.Cleanup.Enabled && c.Cleanup.IDs > 0 && window > Duration(c.Cleanup.IDs)*day:
		p.add("idempotency.window: is longer than cleanup.ids, %d days, after which nobody knows who has a message", c.Cleanup.IDs)
	}
}

// minStandbyReads are the reading connections that a process needs beside the one that its heartbeats hold.
const minStandbyReads = 4

// checkStandby wants a database that two machines can open.
func (c *Config) checkStandby(p *Problems) {
	if !c.Standby.Enabled {
		return
	}
	if engine, known := store.EngineNamed(c.Store.Driver); known && engine.Local {
		p.add("standby.enabled: %s is a file of one machine, which no second one can take over; a standby needs a database server (store.driver, store.dsn)", engine.Name)
	}
	if c.Store.MaxOpen < minStandbyReads {
		p.add("store.max_open: with standby.enabled %d is too few, one connection is the heartbeat's; %d or more", c.Store.MaxOpen, minStandbyReads)
	}
}
