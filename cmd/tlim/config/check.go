package config

import (
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"tlim/component"
	"tlim/component/openfire"
	"tlim/httpapi"
	"tlim/store"
)

// problems lists what makes a configuration unfit to run, one line each.
func (c *Config) problems() (p Problems) {
	c.checkSecrets(&p)
	c.checkDriver(&p)
	c.checkChoices(&p)
	c.checkXMPP(&p)
	c.checkStore(&p)
	c.checkHTTP(&p)
	c.checkWeb(&p)
	c.checkFiles(&p)
	c.checkDirectory(&p)
	c.checkPush(&p)
	c.checkEvents(&p)
	c.checkCleanup(&p)
	c.checkIdempotency(&p)
	c.checkStandby(&p)
	c.checkNumbers(&p)
	return p
}

// checkSecrets finds line breaks, which headers and logins cannot carry. xmpp.secret has a rule of its own.
func (c *Config) checkSecrets(p *Problems) {
	root := reflect.ValueOf(c).Elem()
	for _, k := range keys {
		if k.kind != reflect.TypeFor[Secret]() || k.name == "xmpp.secret" {
			continue
		}
		if secret := root.FieldByIndex(k.field).Interface().(Secret); strings.ContainsFunc(secret.Reveal(), unicode.IsControl) {
			p.add("%s: holds a line break or another control character", k.name)
		}
	}
}

// checkDriver takes the engines of this release.
func (c *Config) checkDriver(p *Problems) {
	if _, known := store.EngineNamed(c.Store.Driver); !known {
		var drivers []string
		for _, e := range store.Engines() {
			drivers = append(drivers, e.Name)
		}
		p.addChoice("store.driver", c.Store.Driver, drivers)
	}
}

func (c *Config) checkChoices(p *Problems) {
	for _, choice := range []struct {
		key, value string
		allowed    []string
	}{
		{"xmpp.delivery", string(c.XMPP.Delivery), texts(component.DeliverAuto, component.DeliverToBare, component.DeliverToResources)},
		{"xmpp.sender", string(c.XMPP.Sender), texts(SenderComponent, SenderUser)},
		{"store.migrate", string(c.Store.Migrate), texts(store.MigrateAuto, store.MigrateCheck, store.MigrateOff)},
		{"http.allow_anonymous", string(c.HTTP.AllowAnonymous), texts(httpapi.AnonymousNone, httpapi.AnonymousClients, httpapi.AnonymousAll)},
		{"http.find_users", string(c.HTTP.FindUsers), texts(httpapi.FindAll, httpapi.FindGroups, httpapi.FindOff)},
		{"http.language", string(c.HTTP.Language), texts(httpapi.Chinese, httpapi.English)},
		{"files.access", string(c.Files.Access), texts(FileAccessLink, FileAccessStrict)},
		{"directory.source", string(c.Directory.Source), texts(UsersAuto, UsersAPI, UsersISC, UsersOpenfire)},
		{"receipts.server", string(c.Receipts.Server), texts(component.AcknowledgementsRequested, component.AcknowledgementsAlways, component.AcknowledgementsNever)},
		{"receipts.group_fanout", string(c.Receipts.GroupFanout), texts(component.GroupReceiptsToAuthor, component.GroupReceiptsToAll)},
		{"envelope.body", string(c.Envelope.Body), texts(BodyString, BodyArray)},
		{"offline.confirm", string(c.Offline.Confirm), texts(component.ConfirmAuto, component.ConfirmByPresence, component.ConfirmByReceipt)},
		{"push.content", string(c.Push.Content), texts(PushShown, PushHidden)},
		{"events.content", string(c.Events.Content), texts(EventsWithoutContent, EventsWithContent)},
		{"log.level", string(c.Log.Level), texts(LogDebug, LogInfo, LogWarn, LogError)},
		{"log.format", string(c.Log.Format), texts(LogText, LogJSON)},
	} {
		if !slices.Contains(choice.allowed, choice.value) {
			p.addChoice(choice.key, choice.value, choice.allowed)
		}
	}
}

func texts[T ~string](values ...T) (list []string) {
	for _, v := range values {
		list = append(list, string(v))
	}
	return list
}

// addChoice is a value that is none of those that there are.
func (p *Problems) addChoice(key, value string, allowed []string) {
	p.add("%s: %s is none of %s", key, quoted(value), strings.Join(allowed, ", "))
}

// noSecret is the problem that LoadForOperator overlooks.
const noSecret = "xmpp.secret: is missing; give the server's component secret by xmpp.secret, xmpp.secret_file or TLIM_XMPP_SECRET"

// noDomain: there is no default, because messages for a foreign domain would be sent to whoever has it.
const noDomain = "xmpp.domain: is missing; give the server's own XMPP domain: Openfire's console shows it as XMPP Domain Name on its first page"

func (c *Config) checkXMPP(p *Problems) {
	x := &c.XMPP
	checkServers(p, x.Server)
	if x.Domain == "" {
		p.add(noDomain)
	} else {
		valid := checkDomain(p, "xmpp.domain", x.Domain)
		// A component that is made of a faulty domain has that fault too, which is said already. Openfire appends its own domain to
		// a foreign one and then routes nothing to it (measured); the server's own name ends the stream without an answer.
		if (valid || x.Component != "tlim."+x.Domain) && checkDomain(p, "xmpp.component", x.Component) && !strings.HasSuffix(x.Component, "."+x.Domain) {
			p.add("xmpp.component: %s is no subdomain of xmpp.domain, %s", quoted(x.Component), quoted(x.Domain))
		}
	}
	switch secret := x.Secret.Reveal(); {
	case secret == "":
		p.add(noSecret)
	case strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }):
		p.add("xmpp.secret: must be ASCII without blanks: Openfire hashes it in its Java machine's own character set")
	}
	if !bool(x.TLS) && (x.CAFile != "" || x.ServerName != "" || x.InsecureSkipVerify) {
		p.add("xmpp.tls: is off, so ca_file, server_name and insecure_skip_verify would do nothing; switch it on or leave them away")
	}
	if x.InsecureSkipVerify && x.CAFile != "" {
		p.add("xmpp.insecure_skip_verify: makes ca_file meaningless; leave one of them away")
	}
	if c.Presence.Interval < Duration(100*time.Millisecond) {
		p.add("presence.interval: must be 100ms or more")
	}
	// Openfire closes a silent component after xmpp.component.idle, at the least 20 s in any sensible set-up.
	if x.Ping < Duration(100*time.Millisecond) || x.Ping > Duration(time.Minute) {
		p.add("xmpp.ping: must be between 100ms and 1m")
	}
}

// checkDomain takes host names as JIDs have them once prepared: Openfire registers Tlim.im.test as tlim.im.test.im.test.
func checkDomain(p *Problems, key, value string) bool {
	valid := value != "" && len(value) <= 253
	for label := range strings.SplitSeq(value, ".") {
		valid = valid && label != "" && len(label) <= 63 && !strings.HasPrefix(label, "-") && !strings.HasSuffix(label, "-") &&
			!strings.ContainsFunc(label, func(r rune) bool {
				return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_')
			})
	}
	if !valid {
		p.add("%s: %s is no domain in lower-case letters, digits, - and dots (names in other scripts in their xn-- form)", key, quoted(value))
	}
	return valid
}

// checkAddress wants host:port; the host may be empty where one listens.
func checkAddress(p *Problems, key, value string) {
	host, port, err := net.SplitHostPort(value)
	n, bad := strconv.Atoi(port)
	switch {
	case err != nil || bad != nil || n < 0 || n > 65535:
		p.add("%s: %s is no address: write host:port", key, quoted(value))
	case key == "xmpp.server" && (host == "" || n == 0):
		p.add("%s: %s names no host or no port", key, quoted(value))
	}
}

// maxServers bounds the list: each has its line in the metrics, and a round of them takes its time.
const maxServers = 16

// checkServers wants each server once.
func checkServers(p *Problems, servers Servers) {
	switch {
	case len(servers) == 0:
		p.add("xmpp.server: names no server: write host:port, or a list of them")
	case len(servers) > maxServers:
		p.add("xmpp.server: %d servers are more than %d", len(servers), maxServers)
	}
	seen := map[string]bool{}
	for i, address := range servers {
		if address == "" && len(servers) > 1 {
			p.add("xmpp.server: element %d of %d is empty", i+1, len(servers))
			continue
		}
		checkAddress(p, "xmpp.server", address)
		if same := strings.ToLower(address); seen[same] {
			p.add("xmpp.server: %s is given twice", quoted(address))
		} else {
			seen[same] = true
		}
	}
}

func (c *Config) checkStore(p *Problems) {
	s := &c.Store
	engine, _ := store.EngineNamed(s.Driver)
	switch {
	case s.DSN.Reveal() == "":
		var forms []string
		for _, e := range store.Engines() {
			forms = append(forms, e.Form+" for "+e.Name)
		}
		p.add("store.dsn: is missing; %s", strings.Join(forms, ", "))
	case engine.Form != "" && !engine.Local && s.DSN == Default().Store.DSN:
		p.add("store.dsn: %s needs %s", engine.Name, engine.Form)
	default:
		checkDSN(p, "store.dsn", s.Driver, s.DSN.Reveal())
	}
	if s.MaxOpen < 1 || s.MaxOpen > 10_000 {
		p.add("store.max_open: %d is not between 1 and 10000", s.MaxOpen)
	}
	if s.MaxIdle < 1 || s.MaxIdle > s.MaxOpen {
		p.add("store.max_idle: %d is not between 1 and store.max_open, %d", s.MaxIdle, s.MaxOpen)
	}
	if s.MaxLifetime < Duration(time.Second) {
		p.add("store.max_lifetime: must be 1s or more")
	}
	if s.MaxWait < Duration(100*time.Millisecond) {
		p.add("store.max_wait: must be 100ms or more")
	}
}

// checkDSN wants the form of an engine's address; that store.driver is one of ours is checked elsewhere.
func checkDSN(p *Problems, key, driver, dsn string) {
	if _, known := store.EngineNamed(driver); key == "store.dsn" && !known {
		return
	}
	if err := store.CheckDSN(driver, dsn); err != nil {
		p.add("%s: %v", key, err)
	}
}

// maxStanza keeps stanzas well below the 1 MiB at which Openfire's parser closes the stream (measured), with room for what
// escaping and the elements around the body add.
const maxStanza = 512 << 10

func (c *Config) checkNumbers(p *Problems) {
	l := &c.Limits
	for _, n := range []struct {
		key       string
		value     int
		low, high int
	}{
		{"xmpp.connections", c.XMPP.Connections, 1, 16},
		{"xmpp.copies_max", c.XMPP.CopiesMax, 1, openfire.MaxCopyRate},
		{"limits.stanza", int(l.Stanza), 4 << 10, maxStanza},
		{"limits.body", int(l.Body), 1 << 10, int(l.Stanza)},
		{"limits.per_user_burst", l.PerUserBurst, 1, 1_000_000},
		{"limits.per_user_inflight", l.PerUserInflight, 1, l.Inflight},
		{"limits.inflight", l.Inflight, 1, 1_000_000},
		{"limits.inflight_bytes", int(l.InflightBytes), int(l.Stanza), 8 << 30},
		{"limits.pending_per_user", l.PendingPerUser, 1, 1_000_000},
		{"limits.group_members", l.GroupMembers, 0, 1_000_000},
		{"limits.announcements_per_group", l.GroupPosts, 0, 1_000_000},
		{"limits.styles_per_user", l.UserStyles, 0, 1_000_000},
		{"limits.groups_per_user", l.GroupsPerUser, 0, 1_000_000},
	} {
		if n.value < n.low || n.value > n.high {
			p.add("%s: %d is not between %d and %d", n.key, n.value, n.low, n.high)
		}
	}
	if l.PerUserRate < 0 {
		p.add("limits.per_user_rate: is negative; messages a second, 0 for no limit")
	}
	if l.PerUserHTTP < 0 || l.PerUserHTTP > 0 && l.PerUserHTTP < 0.5 {
		p.add("limits.per_user_http: must be 0.5 or more calls a second, or 0 for no limit")
	}
	if c.Offline.Grace < Duration(100*time.Millisecond) || c.Offline.Grace > Duration(time.Hour) {
		p.add("offline.grace: must be between 100ms and 1h")
	}
	if c.HTTP.TokenLife < Duration(time.Minute) || c.HTTP.TokenLife > Duration(30*24*time.Hour) {
		p.add("http.token_life: must be between 1m and 720h; a token is good for so long after it was asked for")
	}
	if c.ShutdownTimeout < Duration(time.Second) || c.ShutdownTimeout > Duration(10*time.Minute) {
		p.add("shutdown_timeout: must be between 1s and 10m")
	}
}
