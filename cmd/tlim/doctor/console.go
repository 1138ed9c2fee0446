package doctor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tlim/store"
)

// Properties of Openfire that matter to a component. Where they are set: Openfire's console, Server > Server Manager > System Properties.
const (
	propDomain   = "xmpp.domain"
	propIdle     = "xmpp.component.idle"
	propStalled  = "session.stalled.cap"
	propRouting  = "route.all-resources"
	propActive   = "xmpp.component.socket.active"
	propPolicy   = "xmpp.component.permission"
	propFederate = "xmpp.server.socket.active"

	properties = "Openfire's console: Server > Server Manager > System Properties"
)

// consoleChecks are about settings that nobody tells a component: they are read where the store's database is Openfire's own.
func (s *Site) consoleChecks() []Check {
	needs := []string{"openfire.settings"}
	return []Check{
		{ID: "openfire.settings", Name: "Openfire's settings", Needs: []string{"database"}, Run: s.checkSettings},
		{ID: "openfire.service", Name: "the component service", Needs: needs, Run: s.checkService},
		{ID: "openfire.subdomains", Name: "allowed subdomains", Needs: needs, Run: s.checkSubdomains},
		{ID: "openfire.idle", Name: "idle time-out of components", Needs: needs, Run: s.checkIdle},
		{ID: "openfire.stalled", Name: "what may wait for a component", Needs: needs, After: []string{"openfire.version"}, Run: s.checkStalled},
		{ID: "openfire.routing", Name: "copies to all devices", Needs: needs, Run: s.checkRouting},
		{ID: "openfire.s2s", Name: "server-to-server as configured", Needs: needs, Run: s.checkS2S},
		{ID: "openfire.offline", Name: "Openfire's own offline store", Needs: needs, Run: s.checkOffline},
		{ID: "openfire.writers", Name: "who else stores messages", Needs: []string{"database"}, Run: s.checkStrange},
	}
}

func (s *Site) checkSettings(ctx context.Context) []Finding {
	began := time.Now()
	found, err := kept(s, &s.db).Openfire(ctx)
	switch {
	case errors.Is(err, store.ErrSchema):
		return skipped("store.dsn is not Openfire's own database: %s, %s, %s and the allowed subdomains cannot be seen from here; %s", propIdle, propStalled, propRouting, properties)
	case err != nil:
		return s.unanswered(err, began)
	}
	if domain := found.Properties[propDomain]; !domain.Encrypted && domain.Value != "" && s.Config.XMPP.Domain != "" && !strings.EqualFold(domain.Value, s.Config.XMPP.Domain) {
		return failure("set xmpp.domain to "+domain.Value+", or store.dsn to the database of the right Openfire",
			"the database is that of another Openfire: its xmpp.domain is %s, and tlim's is %s", domain.Value, s.Config.XMPP.Domain)
	}
	keep(s, &s.console, found)
	var unread []string
	for _, name := range []string{propIdle, propStalled, propRouting, propActive, propPolicy, propFederate} {
		if found.Properties[name].Encrypted {
			unread = append(unread, name)
		}
	}
	if unread != nil {
		return warning("look at them yourself; "+properties, "these are encrypted and are taken for their defaults below: %s", strings.Join(unread, ", "))
	}
	return ok("read from the database, which is Openfire's own")
}

// property is a setting, or its default.
func (s *Site) property(name, unset string) (value string, set bool) {
	if p, there := kept(s, &s.console).Properties[name]; there && !p.Encrypted {
		return strings.TrimSpace(p.Value), true
	}
	return unset, false
}

// said tells people whether a value is a default.
func said(value string, set bool) string {
	if set {
		return value
	}
	return value + " (the default)"
}

func (s *Site) checkService(context.Context) []Finding {
	if value, set := s.property(propActive, "true"); value != "true" {
		return failure("enable the service; "+externalComponents+" (property "+propActive+" = true)", "the component service is off (%s is %s)", propActive, said(value, set))
	}
	return ok("it is on")
}

// checkSubdomains looks at the names that the server has to allow, and at the usual slip: the whole domain for the subdomain.
func (s *Site) checkSubdomains(context.Context) []Finding {
	console := kept(s, &s.console)
	policy, set := s.property(propPolicy, "blacklist")
	names := []string{s.Config.XMPP.Component}
	for i := 2; i <= s.Config.XMPP.Connections; i++ {
		names = append(names, named(s.Config.XMPP.Component, strconv.Itoa(i)))
	}
	if s.Config.XMPP.Copies {
		names = append(names, named(s.Config.XMPP.Component, "copies"))
	}
	var found []Finding
	for _, name := range names {
		label := strings.TrimSuffix(name, "."+s.Config.XMPP.Domain)
		entry, listed := console.Components[label]
		_, whole := console.Components[name]
		switch {
		case listed && !entry.Allowed:
			found = append(found, Finding{Failure, "the subdomain " + label + " is blocked", "remove it from the blocked ones; " + externalComponents})
		case whole && !listed:
			found = append(found, Finding{Failure, fmt.Sprintf("the entry is for %s, and Openfire compares the subdomain alone", name), "enter " + label + " instead; " + externalComponents})
		case policy == "whitelist" && !listed:
			found = append(found, Finding{Failure, fmt.Sprintf("only listed components may connect (%s is %s), and %s is not listed", propPolicy, policy, label), "allow the subdomain " + label + " with the secret; " + externalComponents})
		}
	}
	if found == nil {
		return ok("%s may connect; %s is %s", strings.Join(names, ", "), propPolicy, said(policy, set))
	}
	return found
}

const (
	idleBest    = time.Minute
	idleDefault = "360000"
	stalledBest = 50 << 20
	stalledUsed = "5242880"
)

func (s *Site) checkIdle(context.Context) []Finding {
	value, set := s.property(propIdle, idleDefault)
	ms, err := strconv.ParseInt(value, 10, 64)
	idle, ping := time.Duration(ms)*time.Millisecond, time.Duration(s.Config.XMPP.Ping)
	remedy := fmt.Sprintf("set %s = %d; %s. It holds for new connections", propIdle, idleBest.Milliseconds(), properties)
	switch {
	case err != nil:
		return warning(remedy, "%s is %q, which is no number of milliseconds", propIdle, value)
	case ms <= 0:
		return warning(remedy, "%s is %s: a connection that died on the way blocks tlim's name for ever", propIdle, said(value, set))
	case idle < 2*ping:
		return failure(remedy, "%s is %s ms: Openfire closes the link between two of tlim's pings (xmpp.ping is %v)", propIdle, said(value, set), ping)
	case idle > idleBest:
		return warning(remedy, "%s is %s ms: a connection that died on the way blocks tlim's name for so long (\"conflict\")", propIdle, said(value, set))
	}
	return ok("%s is %s ms", propIdle, value)
}

func (s *Site) checkStalled(context.Context) []Finding {
	value, set := s.property(propStalled, stalledUsed)
	n, err := strconv.ParseInt(value, 10, 64)
	remedy := fmt.Sprintf("set %s = %d; %s; it takes a restart of Openfire", propStalled, stalledBest, properties)
	switch v := kept(s, &s.version); {
	case v.known() && !v.before(4, 8, 0):
		return ok("Openfire from 4.8 on has no such bound")
	case err != nil:
		return warning(remedy, "%s is %q, which is no number of bytes", propStalled, value)
	case n < stalledBest:
		return warning(remedy, "%s is %s bytes: Openfire (4.2 to 4.7) drops the link, and all that waits for it, when a burst or a presence snapshot is larger", propStalled, said(value, set))
	}
	return ok("%s is %s bytes", propStalled, value)
}

func (s *Site) checkRouting(context.Context) []Finding {
	value, set := s.property(propRouting, "false")
	if s.Config.XMPP.Delivery == "bare" && value != "true" {
		return failure(fmt.Sprintf("set %s = true; %s; or xmpp.delivery: auto", propRouting, properties),
			"%s is %s and xmpp.delivery is bare: only one of a user's devices gets a message", propRouting, said(value, set))
	}
	return ok("%s is %s, which works with xmpp.delivery %s", propRouting, said(value, set), s.Config.XMPP.Delivery)
}

func (s *Site) checkS2S(context.Context) []Finding {
	value, set := s.property(propFederate, "true")
	if value != "true" {
		return warning("with Openfire 4.2 to 4.4 set it to true; "+serverToServer, "%s is %s: openfire.federation says what that means for this version", propFederate, said(value, set))
	}
	return ok("%s is %s", propFederate, said(value, set))
}

func (s *Site) checkOffline(context.Context) []Finding {
	if console := kept(s, &s.console); console.OfflineCharset != "" {
		return warning(console.OfflineRemedy,
			"ofOffline has the character set %s: what Openfire itself keeps for absent users is lost where it has an emoji", console.OfflineCharset)
	}
	return ok("it holds every character")
}
