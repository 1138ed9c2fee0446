package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"tlim/component/openfire"
	"tlim/component/stream"
)

// serverChecks are what only the server itself can answer, over a link.
func (s *Site) serverChecks() []Check {
	asking := []string{"openfire.asking"}
	return []Check{
		{ID: "openfire.asking", Name: "questions to the server", Needs: []string{"openfire.port"}, Run: s.checkAsking},
		{ID: "openfire.links", Name: "names of further links", Needs: []string{"openfire.domain"}, Run: s.checkLinks},
		{ID: "openfire.version", Name: "the server's version", Needs: asking, Run: s.checkVersion},
		{ID: "openfire.snapshots", Name: "presence snapshots", Needs: asking, Run: s.checkSnapshots},
		{ID: "openfire.accounts", Name: "keeping accounts", Needs: asking, Run: s.checkAccounts},
		{ID: "openfire.copies", Name: "packet copies", Needs: asking, Run: s.checkCopies},
		{ID: "openfire.federation", Name: "server-to-server", Needs: []string{"openfire.version"}, After: []string{"openfire.settings"}, Run: s.checkFederation},
		{ID: "openfire.leaving", Name: "the moment of our own link", Needs: asking, After: []string{"openfire.version", "openfire.snapshots", "openfire.accounts", "openfire.copies", "openfire.federation"}, Run: s.checkLeaving},
		{ID: "openfire.dns", Name: "no DNS record of the component", Run: s.checkDNS},
		{ID: "openfire.plugin", Name: "the old plugin", After: []string{"process"}, Run: s.checkPlugin},
	}
}

// checkAsking uses our link, or one in another name where a process has the component's.
func (s *Site) checkAsking(ctx context.Context) []Finding {
	link := kept(s, &s.own)
	status := kept(s, &s.attempt)
	switch {
	case link != nil && !link.closed():
	case s.Config.XMPP.Secret.Reveal() == "":
		return skipped("this command has no xmpp.secret, so it cannot link: give it as the process gets it (TLIM_XMPP_SECRET_FILE)")
	case status.Up, status.Reason == stream.ReasonConflict: // another has the name, or is to get it
		cfg, err := s.Link()
		if err != nil {
			return skipped("%v", err)
		}
		cfg.Domain = named(cfg.Domain, "doctor")
		if link, status = connect(ctx, cfg); link == nil {
			return skipped("beside the link of %s, the server takes none of %s: %s", s.Config.XMPP.Component, cfg.Domain, status.Text)
		}
		keep(s, &s.beside, link)
	default:
		return skipped("there is no link: %s", status.Text)
	}
	keep(s, &s.asker, openfire.New(link, s.Config.XMPP.Domain))
	if kept(s, &s.beside) != nil {
		return ok("asked as %s, beside the link of %s", named(s.Config.XMPP.Component, "doctor"), s.Config.XMPP.Component)
	}
	return ok("asked as %s", s.Config.XMPP.Component)
}

// named is the name of another link of a component: tlim-x.im.test of tlim.im.test.
func named(domain, suffix string) string {
	label, rest, _ := strings.Cut(domain, ".")
	return label + "-" + suffix + "." + rest
}

// checkLinks tries the names of sending links and of packet copies, which the server has to allow each for itself.
func (s *Site) checkLinks(ctx context.Context) []Finding {
	var names []string
	for i := 2; i <= s.Config.XMPP.Connections; i++ {
		names = append(names, named(s.Config.XMPP.Component, strconv.Itoa(i)))
	}
	if s.Config.XMPP.Copies {
		names = append(names, named(s.Config.XMPP.Component, "copies"))
	}
	if len(names) == 0 {
		return ok("none is needed: xmpp.connections is 1 and xmpp.copies is off")
	}
	if s.linkedProcess() {
		return ok("the process that serves has its links: %s", strings.Join(names, ", "))
	}
	var found []Finding
	for _, name := range names {
		cfg, err := s.Link()
		if err != nil {
			return skipped("%v", err)
		}
		cfg.Domain = name
		link, status := connect(ctx, cfg)
		if link == nil {
			label, _, _ := strings.Cut(name, ".")
			found = append(found, Finding{Failure, fmt.Sprintf("the server takes no link of %s: %s", name, status.Text), "allow the subdomain " + label + " with the same secret; " + externalComponents})
			continue
		}
		link.close()
	}
	if found == nil {
		return ok("the server takes %s", strings.Join(names, ", "))
	}
	return found
}

// version is that of an Openfire; zero where it is not known or another server.
type version struct{ major, minor, patch int }

func (v version) known() bool { return v != version{} }

func (v version) before(major, minor, patch int) bool {
	if v.major != major {
		return v.major < major
	}
	if v.minor != minor {
		return v.minor < minor
	}
	return v.patch < patch
}

// readVersion reads numbers like 4.2.0 and 4.8.0-beta.
func readVersion(text string) (v version) {
	_, _ = fmt.Sscanf(text, "%d.%d.%d", &v.major, &v.minor, &v.patch) // what is no number stays 0
	return v
}

// fault is what is known of versions of Openfire.
type fault struct {
	from, before version
	status       Status
	seen, remedy string
}

var faults = []fault{
	{version{0, 0, 1}, version{4, 2, 0}, Warning, "is older than what tlim was tried with", "Openfire 4.2 or later"},
	{version{4, 8, 0}, version{4, 8, 2}, Failure, "corrupts or cuts streams where a Chinese character is split across two TCP reads (OF-2814)", "Openfire 4.9.0 or later"},
	{version{4, 8, 2}, version{4, 9, 0}, Warning, "can still corrupt what is split across two TCP reads (OF-2872)", "Openfire 4.9.0 or later"},
	{version{4, 0, 0}, version{4, 8, 0}, Warning, "does not escape namespaces: its users can write stanzas in other users' names into each other's streams", "Openfire 4.9.0 or later; tlim reads on, and its log names nobody's text"},
	{version{4, 0, 0}, version{4, 4, 0}, Warning, "loses components in a cluster when one of its nodes leaves (OF-1700, OF-1701, OF-1707)", "in a cluster, Openfire 4.9.0 or later"},
}

// faultsOf are those of one version.
func faultsOf(v version) (found []Finding) {
	for _, f := range faults {
		if !v.before(f.from.major, f.from.minor, f.from.patch) && v.before(f.before.major, f.before.minor, f.before.patch) {
			found = append(found, Finding{f.status, fmt.Sprintf("Openfire %d.%d.%d %s", v.major, v.minor, v.patch, f.seen), f.remedy})
		}
	}
	return found
}

func (s *Site) checkVersion(ctx context.Context) []Finding {
	name, text, err := kept(s, &s.asker).Version(ctx)
	if err != nil {
		return warning("look at the first page of its console", "the server does not say its version: %v", err)
	}
	if !strings.Contains(strings.ToLower(name), "openfire") {
		return warning("nothing, if that is meant: groups, queue and receipts work; presence snapshots, packet copies and accounts are Openfire's own", "the server is %s %s, not Openfire", name, text)
	}
	v := readVersion(text)
	keep(s, &s.version, v)
	if found := faultsOf(v); found != nil {
		return found
	}
	return ok("%s %s: no fault of it is known that concerns tlim", name, text)
}

func (s *Site) checkSnapshots(ctx context.Context) []Finding {
	sessions, err := kept(s, &s.asker).Snapshot(ctx)
	switch {
	case errors.Is(err, openfire.ErrUnsupported):
		return warning("nothing on a server that is not Openfire: tlim then knows those who send; on Openfire see its log", "the server gives no presence snapshots: %v", err)
	case err != nil:
		return failure("see the server's log; a snapshot of many sessions wants a larger session.stalled.cap (4.2 to 4.7)", "no presence snapshot came: %v", err)
	}
	return ok("the server gives them; %d sessions are there now", len(sessions))
}

func (s *Site) checkAccounts(ctx context.Context) []Finding {
	d := s.Config.Directory
	if password := d.InitialPassword.Reveal(); d.CreateAccounts && password == "123" {
		return warning("set directory.initial_password to one that nobody guesses, and let the users change it", "directory.initial_password is the old plugin's, which everybody knows")
	}
	err := kept(s, &s.asker).MayKeepAccounts(ctx)
	wanted := d.CreateAccounts || d.RemoveAccounts
	switch {
	case err == nil:
		return ok("the server lets components keep accounts")
	case !wanted:
		return ok("the server lets components keep no accounts, and none are to be kept")
	case errors.Is(err, openfire.ErrUnsupported):
		return failure("switch directory.create_accounts and remove_accounts off, or give the server a user provider that can be written (provider.user.className)", "the server lets us keep no accounts: %v", err)
	}
	return failure("see the server's log", "whether accounts can be kept was not answered: %v", err)
}

func (s *Site) checkCopies(ctx context.Context) []Finding {
	if !s.Config.XMPP.Copies {
		return ok("xmpp.copies is off")
	}
	switch err := kept(s, &s.asker).MayCopy(ctx); {
	case errors.Is(err, openfire.ErrUnsupported):
		return failure("set xmpp.copies: off: only Openfire has them, and only for a component's bare domain", "the server gives no packet copies: %v", err)
	case err != nil:
		return failure("see the server's log", "whether there are packet copies was not answered: %v", err)
	}
	return warning("let clients send to "+s.Config.XMPP.Component+", then set xmpp.copies: off", "packet copies are on: they come up to 5 s late, load the server, and are lost above about 300 a second")
}

const serverToServer = "Openfire's console: Server > Server Settings > Server to Server"

// checkFederation asks for a domain that nobody has: what becomes of messages to us while we are away hangs on the answer.
func (s *Site) checkFederation(ctx context.Context) []Finding {
	v := kept(s, &s.version)
	if !v.known() {
		return skipped("that is a matter of Openfire")
	}
	nobody := "nobody-" + strings.ToLower(rand.Text()[:8]) + "." + s.Config.XMPP.Domain
	state, err := kept(s, &s.asker).Federates(ctx, nobody)
	return s.judgeFederation(v, state, err)
}

func (s *Site) judgeFederation(v version, state openfire.Federation, err error) []Finding {
	old := v.before(4, 5, 0)
	switch {
	case err != nil:
		return warning(serverToServer, "whether server-to-server is on was not answered: %v", err)
	case state == openfire.Alone && old:
		return failure("switch it on; "+serverToServer+" (property xmpp.server.socket.active = true)",
			"server-to-server is off, with Openfire before 4.5: messages to an absent tlim vanish, and one to <username>@%s makes that client's connection stand still for 60 s", s.Config.XMPP.Component)
	case state == openfire.Federated && old:
		return ok("it is on, so senders get an error at once while tlim is away")
	case state == openfire.Federated:
		if console := kept(s, &s.console); console != nil {
			if allowed, listed := console.Servers[s.Config.XMPP.Component]; listed && !allowed {
				return ok("it is on, and %s is blocked there", s.Config.XMPP.Component)
			}
		}
		return warning("block "+s.Config.XMPP.Component+"; "+serverToServer, "server-to-server is on: while tlim is away the server looks for another server of its name, and senders wait for their error")
	case state == openfire.Alone:
		return ok("it is off, so senders get an error at once while tlim is away")
	}
	return skipped("the server's answer does not tell")
}

// checkDNS looks for what would send the server elsewhere while tlim is away.
func (s *Site) checkDNS(ctx context.Context) []Finding {
	name := s.Config.XMPP.Component
	if name == "" {
		return skipped("xmpp.domain is not set")
	}
	var resolver net.Resolver
	addresses, err := resolver.LookupHost(ctx, name)
	if missing := (*net.DNSError)(nil); errors.As(err, &missing) && missing.IsNotFound {
		return ok("%s has no address", name)
	}
	if err != nil {
		return skipped("the name service does not answer: %v", err)
	}
	return warning("remove the record, or the wildcard that covers it; or block the name ("+serverToServer+")",
		"%s has an address (%s): while tlim is away Openfire takes it for a foreign server and dials that", name, strings.Join(addresses, ", "))
}

// checkLeaving gives the component's name back as soon as nothing more is asked.
func (s *Site) checkLeaving(context.Context) []Finding {
	own := kept(s, &s.own)
	if own == nil {
		return ok("%s was left to the process that has it", s.Config.XMPP.Component)
	}
	own.close()
	held := own.held.Round(time.Millisecond)
	if n := own.bounced.Load(); n > 0 {
		return warning("start tlim", "clients sent %d messages within the %v in which this command had the name %s; they were given back with an error", n, held, s.Config.XMPP.Component)
	}
	return ok("this command had the name %s for %v; no message came meanwhile", s.Config.XMPP.Component, held)
}
