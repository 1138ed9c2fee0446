package takeover

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tlim/store"
)

// Login is a database's user as an administrator gives them, where openfire.xml has them encrypted.
type Login struct{ User, Password string }

// Database is Openfire's own, as tlim opens it.
type Database struct {
	Driver, DSN string
	Complete    bool     // the DSN has user and password
	Embedded    bool     // it is Openfire's embedded one, and Driver and DSN are of a file instead
	notes       []string // which stand in the file
	said        []string // those that are printed besides
	todo        []string
}

// warn is a note that is printed too.
func (d *Database) warn(text string) {
	d.notes, d.said = append(d.notes, text), append(d.said, text)
}

const provider = "database.defaultProvider."

// Database reads where Openfire's database is. The text of an error stands behind the file's name.
func (d *Document) Database(login Login) (*Database, error) {
	class, address := d.value("connectionProvider.className"), d.value(provider+"serverURL")
	switch {
	case strings.HasSuffix(class.Text, ".EmbeddedConnectionProvider"), strings.HasPrefix(d.value(provider+"driver").Text, "org.hsqldb.") && address.Text == "":
		return embeddedDatabase(), nil
	case strings.HasSuffix(class.Text, ".JNDIDataSourceProvider"):
		return nil, errors.New("names a JNDI data source, whose address the application server has: write driver, serverURL, username and password of it " +
			"into <database><defaultProvider> of a copy of the file")
	case address.Text == "":
		return nil, errors.New("names no database: <database><defaultProvider><serverURL> is missing. Is the set-up of this Openfire finished?")
	case address.Encrypted:
		return nil, errors.New("has serverURL encrypted, by a key that is Openfire's: write it in plain, without the attribute encrypted, in a copy of the file")
	}
	p, err := placeOf(address.Text)
	if err != nil {
		return nil, fmt.Errorf("serverURL %w", err)
	}
	if p.address == nil {
		return embeddedDatabase(), nil
	}
	db := &Database{Driver: p.engine, notes: append(p.notes, p.todo...), todo: p.todo}
	user, password := d.value(provider+"username"), d.value(provider+"password")
	// The Java drivers let what is given beside the URL count.
	differ := func(inURL string, beside Value) bool {
		return inURL != "" && beside.Text != "" && (beside.Encrypted || inURL != beside.Text)
	}
	if differ(p.user, user) || differ(p.password, password) {
		db.warn("serverURL names another user or password than <username> and <password>, which count, as in the Java drivers: where those of serverURL are meant, give --user and --password-file")
	}
	if user.Text == "" {
		user = Value{p.user, false}
	}
	if password.Text == "" {
		password = Value{p.password, false}
	}
	hidden, from := user.Encrypted || password.Encrypted, "has a user or a password, in serverURL or in <username> and <password>, that"
	if login.User != "" {
		user, password, hidden, from = Value{login.User, false}, Value{login.Password, false}, false, "is fine, but --user or --password-file"
		db.notes = append(db.notes, "user and password are those of --user and --password-file")
	}
	if strings.ContainsFunc(user.Text+password.Text, unicode.IsControl) {
		return nil, errors.New(from + " holds a line break or another control character")
	}
	if !utf8.ValidString(user.Text + password.Text) {
		return nil, errors.New(from + " holds bytes that are no UTF-8, as %xx of GBK are: give --user and --password-file in UTF-8")
	}
	foreign := p.foreign != "" && login.User == ""
	db.Complete = !hidden && !foreign && user.Text != ""
	if !db.Complete {
		why := "openfire.xml names no user of it"
		switch {
		case foreign:
			why = "serverURL logs in " + p.foreign + ", which tlim does not: make a login of the database's own"
		case hidden:
			why = "openfire.xml has user or password of it encrypted, by a key that is Openfire's (conf/security.xml)"
		}
		db.DSN = p.address("USER", "PASSWORD")
		db.notes = append(db.notes, why+": one line of the file named here is "+db.DSN)
		db.todo = append(db.todo, why+": import again with --user and --password-file, or write the file that store.dsn_file names, mode 0600, with the one line that stands in the comment there")
		return db, nil
	}
	db.DSN = p.address(user.Text, password.Text)
	if err := store.CheckDSN(p.engine, db.DSN); err != nil {
		return nil, fmt.Errorf("has a database whose address %w", err)
	}
	return db, nil
}

func embeddedDatabase() *Database {
	return &Database{Driver: "sqlite", DSN: "tlim.db", Complete: true, Embedded: true, notes: []string{embedded}}
}

// Readable says whether --db can read the database, and if not, why.
func (d *Database) Readable() error {
	switch {
	case d.Embedded:
		return errors.New("the embedded database of Openfire cannot be read by another process")
	case !d.Complete:
		return errors.New("user and password of the database are not known: give --user and --password-file")
	}
	return nil
}

// source is where settings are looked up, by their names in Openfire.
type source struct {
	file *Document
	rows *store.OpenfireSettings // nil: the database was not read
}

// openfire is a setting of Openfire's, which keeps them in its database; very old ones stand in the file.
func (s source) openfire(name string) (Value, string) {
	if s.rows != nil {
		if p, ok := s.rows.Properties[name]; ok && p.Value != "" {
			return Value{p.Value, p.Encrypted}, name + " of ofProperty"
		}
	}
	return s.file.value(name), name + " of openfire.xml"
}

// plugin is a setting of the plugin's, which read the file alone.
func (s source) plugin(name string) (Value, string) {
	if v := s.file.value(name); v.Text != "" {
		return v, name + " of openfire.xml"
	}
	if s.rows != nil {
		if p, ok := s.rows.Properties[name]; ok && p.Value != "" {
			return Value{p.Value, p.Encrypted}, name + " of ofProperty, where the plugin did not look"
		}
	}
	return Value{}, name
}

// Convert gives each setting its key. rows are nil where the database was not read; why says the reason then.
func Convert(file *Document, db *Database, rows *store.OpenfireSettings, why string) *File {
	f, s := &File{}, source{file, rows}
	from := "openfire.xml"
	if rows != nil {
		from += " and ofProperty of its database"
	}
	f.head = []string{"Made by tlim config import of " + from + ". It can hold passwords: let nobody but tlim read it.",
		"Keys that are not here have their defaults: deploy/tlim.yaml has all, cmd/tlim/CONFIG.md says what they mean."}
	if why != "" {
		f.head = append(f.head, "The database was not read: "+why+".")
	}
	f.link(s)
	f.store(s, db)
	f.users(s, db)
	f.push(s)
	f.cleanup(s)
	f.rest(s)
	f.ToDo = append(f.ToDo, db.todo...)
	f.Notes = append(f.Notes, db.said...)
	return f
}

func (f *File) link(s source) {
	host, port := "127.0.0.1", "5275"
	notes := []string{}
	if v := s.file.value("network.interface"); v.Text != "" && !v.Encrypted {
		if ip := net.ParseIP(v.Text); ip != nil && !ip.IsUnspecified() || ip == nil && hostForm.MatchString(v.Text) {
			host = v.Text
			notes = append(notes, "the host is network.interface of openfire.xml")
		}
	} else {
		notes = append(notes, "Openfire on this host; on another one write its name")
	}
	switch v, at := s.openfire("xmpp.component.socket.port"); {
	case v.Text == "":
		notes = append(notes, "the port is Openfire's default")
	case portNumber(v.Text):
		port = v.Text
		notes = append(notes, "the port is "+at)
	default:
		f.todo("xmpp.server: %s is no port; 5275, the default, is written", at)
	}
	f.set("xmpp.server", net.JoinHostPort(host, port), notes...)
	if v, at := s.openfire("xmpp.component.socket.active"); strings.EqualFold(v.Text, "false") {
		f.todo("%s is false: enable the service, Server > Server Settings > External Components", at)
	}

	const console = "Openfire's console shows it as XMPP Domain Name on its first page"
	switch v, at := s.openfire("xmpp.domain"); {
	case v.Text == "":
		f.leave("xmpp.domain", "im.example.com", console+"; --db reads it")
		f.todo("write xmpp.domain: %s", console)
	case v.Encrypted:
		f.leave("xmpp.domain", "im.example.com", at+" is encrypted, by a key that is Openfire's")
		f.todo("write xmpp.domain: %s is encrypted, by a key that is Openfire's; %s", at, console)
	case domainForm(strings.ToLower(v.Text)):
		f.set("xmpp.domain", strings.ToLower(v.Text), at)
	case strings.ContainsFunc(v.Text, func(r rune) bool { return r > '~' }):
		const form = "write its xn-- form, as name service has it"
		f.leave("xmpp.domain", "xn--….example.com", at+" has letters of another script: "+form)
		f.todo("write xmpp.domain: %s was found and has letters of another script; %s", at, form)
	default:
		f.leave("xmpp.domain", "im.example.com", at+" is no domain")
		f.todo("write xmpp.domain: %s was found and is no domain; %s", at, console)
	}
	f.secret(s)
	if v, at := s.openfire("route.all-resources"); v.Text != "" {
		f.drop(at, "either value works, because tlim addresses each known device. Where it is true, xmpp.delivery: bare is possible")
	}
}

// secret is the entry of the component tlim, which overrides the one for all.
func (f *File) secret(s source) {
	const page = "Server > Server Settings > External Components"
	v, at := s.openfire("xmpp.component.defaultSecret")
	if s.rows != nil {
		if c, ok := s.rows.Components["tlim"]; ok {
			if !c.Allowed {
				f.todo("the component tlim is blocked in Openfire: allow it, %s", page)
			} else if c.Secret != "" {
				v, at = Value{Text: c.Secret}, "the entry tlim of ofExtComponentConf"
			}
		} else if p, from := s.openfire("xmpp.component.permission"); strings.EqualFold(p.Text, "whitelist") {
			f.todo("%s is whitelist, and there is no entry for the subdomain tlim: make one with a secret, %s", from, page)
		}
	}
	what := ""
	switch {
	case v.Text == "" && s.rows == nil:
		what = "it stands in Openfire's database, which --db reads"
	case v.Text == "":
		what = "Openfire has no secret for components"
	case v.Encrypted:
		what = at + " is encrypted, by a key that is Openfire's: look it up on its page"
	case strings.ContainsFunc(v.Text, func(r rune) bool { return r <= ' ' || r > '~' }):
		what = at + " is not ASCII without blanks, and Openfire hashes others in its Java machine's own character set: set another one"
	default:
		f.set("xmpp.secret", v.Text, at)
		return
	}
	f.leave("xmpp.secret", "", what+" ("+page+")")
	f.todo("write xmpp.secret: %s (%s)", what, page)
}

func (f *File) store(s source, db *Database) {
	f.set("store.driver", db.Driver, append([]string{provider + "driver and serverURL of openfire.xml"}, db.notes...)...)
	if db.Complete {
		f.set("store.dsn", db.DSN)
	} else {
		f.set("store.dsn_file", "store.dsn")
	}
	f.drop(provider+"minConnections, maxConnections, connectionTimeout, testSQL", "Openfire's own pool stays as it is")
	// max_idle is no more than max_open, whatever Druid took.
	open := 32
	if n, at, ok := f.number(s, "tlim.druid.maxActive", 1, 10_000); ok {
		open = n
		f.set("store.max_open", n, at)
	}
	if n, at, ok := f.number(s, "tlim.druid.minIdle", 1, 10_000); ok {
		if n > open {
			n, at = open, at+", which is more than max_open"
		}
		f.set("store.max_idle", n, at)
	} else if open < 8 {
		f.set("store.max_idle", open, "no more than max_open")
	}
	if n, at, ok := f.number(s, "tlim.druid.maxWait", 100, 600_000); ok {
		f.set("store.max_wait", fmt.Sprintf("%dms", n), at+", in milliseconds")
	}
	if n, at, ok := f.number(s, "tlim.druid.maxEvictableIdleTimeMillis", 1000, 86_400_000); ok {
		f.set("store.max_lifetime", fmt.Sprintf("%dms", n), at)
	}
}

func (f *File) users(s source, db *Database) {
	v, at := s.plugin("tlim.userAsync")
	suite := v.Text == "" || strings.EqualFold(v.Text, "true")
	from := "tlim.userAsync, whose default is true: users come from isc_user"
	if v.Text != "" {
		from = at
	}
	const dry = "the log says what it would change, and nothing is changed: false, when that is right (deploy/README.md, Users)"
	switch {
	case db.Embedded:
		f.drop("tlim.userAsync", "the tables of users stand in Openfire's database, which is the embedded one; directory.source stays auto, and whoever is seen is a user")
	case suite && s.rows != nil && !s.rows.Suite:
		f.drop("tlim.userAsync", "the database has no tables isc_user and isc_user_info; directory.source stays auto, and Openfire's accounts are users. directory.dsn says where such tables are elsewhere")
	case suite:
		f.set("directory.source", "isc", from, "without tables isc_user and isc_user_info in the database of store.dsn tlim does not start: auto then, or directory.dsn")
		f.set("directory.dry_run", true, dry)
		if s.rows == nil {
			f.todo("directory.source is isc, unseen: see that the database has tables isc_user and isc_user_info, or import again with --db, which looks. Where it has none write auto")
		}
	default:
		f.set("directory.source", "openfire", from, "Openfire's accounts alone are users")
		f.set("directory.dry_run", true, dry)
	}
	if n, at, ok := f.number(s, "tlim.userAsyncInterval", 1, 1440); ok {
		f.set("directory.interval", fmt.Sprintf("%dm", n), at+", in minutes")
	}
	f.leave("directory.initial_password", "", "the plugin made accounts with the password 123, which everybody knows; tlim has no built-in one. It goes with create_accounts: true")
}

func (f *File) push(s source) {
	on, at := s.plugin("tlim.jpush")
	app, appAt := s.plugin("tlim.appKey")
	master, masterAt := s.plugin("tlim.masterSecret")
	off := func(why string) {
		f.leave("push.jpush.enabled", true, "push is off: "+why)
		f.leave("push.jpush.app_key", "")
		f.leave("push.jpush.master_secret", "")
	}
	switch {
	case on.Text != "" && !strings.EqualFold(on.Text, "true"):
		off(at + " says so")
	case app.Text == "" || master.Text == "":
		off("the keys that were built into the plugin are its maker's. With keys of your own set enabled to true")
		f.note("push is off, because openfire.xml has no tlim.appKey and tlim.masterSecret: write push.jpush with keys of your own")
	case app.Encrypted || master.Encrypted:
		off("tlim.appKey or tlim.masterSecret is encrypted, by a key that is Openfire's: write them here")
		f.note("push is off, because openfire.xml has its keys encrypted: write push.jpush.enabled, app_key and master_secret")
	default:
		f.set("push.jpush.enabled", true, "tlim.jpush, whose default is true")
		f.set("push.jpush.app_key", app.Text, appAt)
		f.set("push.jpush.master_secret", master.Text, masterAt)
	}
}

func (f *File) cleanup(s source) {
	if v, at := s.plugin("tlim.cleanUp"); v.Text != "" {
		f.set("cleanup.enabled", strings.EqualFold(v.Text, "true"), at, "`tlim cleanup dry-run` counts first what would be removed")
	}
	if n, at, ok := f.number(s, "tlim.cleanUpInterval", 1, 8760); ok {
		f.set("cleanup.interval", fmt.Sprintf("%dh", n), at+", in hours")
	}
	if n, at, ok := f.number(s, "tlim.cleanUpHowmanydays", 1, 36_500); ok {
		f.set("cleanup.days", n, at)
	}
}

// number reads a setting of the plugin's that is a number; one that tlim does not take is dropped.
func (f *File) number(s source, name string, low, high int) (n int, at string, ok bool) {
	v, at := s.plugin(name)
	if v.Text == "" {
		return 0, at, false
	}
	n, err := strconv.Atoi(v.Text)
	if err != nil || n < low || n > high {
		f.drop(at, fmt.Sprintf("is no number from %d to %d, so the default holds", low, high))
		return 0, at, false
	}
	return n, at, true
}

// taken are the settings of the plugin that have a key.
var taken = []string{"tlim.userAsync", "tlim.userAsyncInterval", "tlim.jpush", "tlim.appKey", "tlim.masterSecret", "tlim.cleanUp", "tlim.cleanUpInterval",
	"tlim.cleanUpHowmanydays", "tlim.druid.maxActive", "tlim.druid.minIdle", "tlim.druid.maxWait", "tlim.druid.maxEvictableIdleTimeMillis"}

// known are those of Openfire's that are read.
var known = []string{"connectionProvider.className", provider + "driver", provider + "serverURL", provider + "username", provider + "password", "xmpp.domain",
	"xmpp.component.socket.port", "xmpp.component.socket.active", "xmpp.component.defaultSecret", "xmpp.component.permission"}

// without are those that have none, by the beginnings of their names.
var without = []struct{ name, why string }{
	{"tlim.druid.removeAbandoned", "tlim gives every connection back, and ends a statement after store.max_wait"},
	{"tlim.druid.initialSize", "tlim opens connections when it needs them"},
	{"tlim.druid.asyncInit", "tlim opens connections when it needs them"},
	{"tlim.druid.", "tlim's pool finds broken connections, and prepares statements, by itself"},
	{"tlim.netty", "tlim is one process; a second one on the same database takes over from the first"},
	{"tlim.threadPoolSize", "tlim has no pool of threads: limits.inflight bounds what waits"},
	{"tlim.channelCode", "tlim's paths begin with /plugins/tlim; files.prefixes has the paths that clients put before those of files"},
	{"tlim.httpObjectAggregatorValue", "files.max_size and limits.body bound what is taken"},
	{"tlim.optionSoBacklog", "the system's own is used"},
	{"tlim", "it is no setting of the plugin that tlim knows"},
}

var settingName = regexp.MustCompile(`^[\w.-]{1,100}$`)

// rest names what was dropped of the plugin, and what may be in tlim's way.
func (f *File) rest(s source) {
	names := slices.Clone(s.file.names)
	if s.rows != nil {
		for name := range s.rows.Properties {
			if s.file.value(name).Text == "" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !strings.HasPrefix(name+".", "tlim.") || slices.Contains(taken, name) {
			continue
		}
		at := slices.IndexFunc(without, func(w struct{ name, why string }) bool { return strings.HasPrefix(name, w.name) })
		if !settingName.MatchString(name) {
			name = "a setting below tlim whose name is no plain one"
		}
		f.drop(name, without[at].why)
	}
	for _, name := range slices.Sorted(maps.Keys(s.file.twice)) {
		if s.file.twice[name] && (slices.Contains(taken, name) || slices.Contains(known, name)) {
			f.note("openfire.xml has %s more than once, or in an element that it has more than once: the first counts, as in Openfire", name)
		}
	}
	f.drop("all else of openfire.xml", "it is Openfire's own, and stays there")
	for _, name := range []string{"adminConsole.port", "adminConsole.securePort"} {
		if s.file.value(name).Text == "9595" {
			f.note("%s of openfire.xml is 9595, which is http.listen of tlim: on one host one of the two has to move", name)
		}
	}
}

func portNumber(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n > 0 && n < 65536
}

// domainForm is that of xmpp.domain. A name in another script has to be written in its xn-- form.
func domainForm(text string) bool {
	return text != "" && len(text) <= 253 && !strings.ContainsFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	})
}
