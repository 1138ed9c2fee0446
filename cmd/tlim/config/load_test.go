package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"tlim/store"
)

// write makes a file in a folder of the test and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load reads a configuration whose only other part is a secret.
func load(t *testing.T, text string, set ...string) (Config, []string) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "secret", "s3cret\n")
	path := write(t, dir, "tlim.yaml", text)
	if !slices.ContainsFunc(strings.Fields(text), func(word string) bool { return strings.HasSuffix(word, "domain:") }) {
		set = append(set, "xmpp.domain=im.test")
	}
	cfg, _, err := Load(Sources{File: path, Set: append(set, "xmpp.secret_file=secret")})
	return cfg, problemsOf(t, err, dir)
}

func problemsOf(t *testing.T, err error, dir string) []string {
	t.Helper()
	var problems Problems
	if err != nil && !errors.As(err, &problems) {
		t.Fatal(err)
	}
	lines := []string(problems)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], dir+"/", "")
	}
	return lines
}

func TestDefaultsOfAnEmptyFile(t *testing.T) {
	cfg, problems := load(t, "# nothing\n")
	if len(problems) > 0 {
		t.Fatalf("got %v, want none", problems)
	}
	if cfg.XMPP.Component != "tlim.im.test" || cfg.XMPP.Secret.Reveal() != "s3cret" || cfg.Limits.Body != 64<<10 {
		t.Errorf("got %+v, want the component tlim.im.test, its secret, a body of %v", cfg, 64<<10)
	}
}

func TestExampleFileIsTheDefaults(t *testing.T) {
	const example = "../../../deploy/tlim.yaml"
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg, problems := parse(data, example, dir, nil, nil)
	want, _ := parse(nil, example, dir, nil, nil)
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got from the example\n%+v\nwant the defaults\n%+v", cfg, want)
	}
	if len(problems) != 2 || problems[0] != noDomain || problems[1] != noSecret {
		t.Errorf("the example has the problems %q, want these alone: %q, %q", problems, noDomain, noSecret)
	}
	r := reader{lines: map[string]int{}}
	r.readFile(data)
	for _, k := range keys {
		if r.lines[k.name] == 0 {
			t.Errorf("the example lacks %s, want it", k.name)
		}
	}
}

func TestSourcesOverrideEachOther(t *testing.T) {
	t.Setenv("TLIM_XMPP_PING", "9s")
	t.Setenv("TLIM_LOG_LEVEL", "warn")
	t.Setenv("TLIM_LOG_FORMAT", "") // empty: as if not there
	cfg, problems := load(t, "xmpp: {ping: 7s, connections: 2}\nlog: {level: error, format: json}\n", "log.level=debug")
	if len(problems) > 0 {
		t.Fatalf("got %v, want none", problems)
	}
	if cfg.XMPP.Ping != Duration(9*time.Second) || cfg.XMPP.Connections != 2 || cfg.Log.Level != "debug" || cfg.Log.Format != "json" {
		t.Errorf("got %+v %+v, want ping 9s, 2 connections, debug in JSON", cfg.XMPP, cfg.Log)
	}
}

func TestValuesAreReadAsWritten(t *testing.T) {
	t.Setenv("TLIM_HTTP_TRUSTED_PROXIES", "10.0.0.0/8, 192.168.1.7")
	dir := t.TempDir()
	write(t, dir, "crm.key", "0123456789abcdef0123\r\n")
	path := write(t, dir, "tlim.yaml", `
xmpp: {domain: im.test, secret: 0123, tls: off, multicast: true, copies: on}
limits: {body: 32KiB, inflight_bytes: 1048576, per_user_rate: 2.5, strict: yes}
http:
  keys:
    - {name: crm, key_file: crm.key, scopes: [business], rate: 10}
    - {name: ops, key: 00112233445566778899, scopes: [admin, business]}
  cors_origins: https://a.example.com
`)
	cfg, _, err := Load(Sources{File: path})
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.XMPP.Secret.Reveal(); got != "0123" {
		t.Errorf("the secret 0123 became %s, want 0123", got)
	}
	if cfg.XMPP.TLS || !cfg.XMPP.Multicast || !cfg.XMPP.Copies || Switch(!cfg.Limits.Strict) {
		t.Errorf("got switches %+v, want no TLS, multicast, copies, strict limits", cfg.XMPP)
	}
	if cfg.Limits.Body != 32<<10 || cfg.Limits.InflightBytes != 1<<20 || cfg.Limits.PerUserRate != 2.5 {
		t.Errorf("limits: got %+v, want body %v, inflight %v, rate 2.5", cfg.Limits, 32<<10, 1<<20)
	}
	if p := cfg.HTTP.TrustedProxies; len(p) != 2 || p[0].String() != "10.0.0.0/8" || p[1].String() != "192.168.1.7/32" {
		t.Errorf("trusted_proxies: got %v, want 10.0.0.0/8, 192.168.1.7/32", p)
	}
	want := []Key{
		{Name: "crm", Key: Secret{"0123456789abcdef0123"}, Scopes: []string{"business"}, Rate: 10},
		{Name: "ops", Key: Secret{"00112233445566778899"}, Scopes: []string{"admin", "business"}},
	}
	if !reflect.DeepEqual(cfg.HTTP.Keys, want) {
		t.Errorf("keys: got %#v, want %#v", cfg.HTTP.Keys, want)
	}
	if len(cfg.HTTP.CORSOrigins) != 1 || cfg.HTTP.CORSOrigins[0] != "https://a.example.com" {
		t.Errorf(`cors_origins: got %v, want 1 CORSOrigin, CORSOrigins "https://a.example.com"`, cfg.HTTP.CORSOrigins)
	}
}

func TestKeysFromTheEnvironment(t *testing.T) {
	t.Setenv("TLIM_HTTP_KEYS", `[{name: crm, key: "0123456789abcdef", scopes: [business]}]`)
	cfg, problems := load(t, "")
	if len(problems) > 0 || len(cfg.HTTP.Keys) != 1 || cfg.HTTP.Keys[0].Key.Reveal() != "0123456789abcdef" {
		t.Errorf("got %v %+v, want no problems, 1 Key, secret 0123456789abcdef", problems, cfg.HTTP.Keys)
	}
}

func TestRelativePaths(t *testing.T) {
	for _, c := range []struct{ dsn, want string }{
		{"tlim.db", "DIR/tlim.db"},
		{"/var/lib/tlim.db", "/var/lib/tlim.db"},
		{"file:data/tlim.db?mode=rw", "file:DIR/data/tlim.db?mode=rw"},
		{"file:///var/tlim.db", "file:///var/tlim.db"},
	} {
		t.Run(c.dsn, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "secret", "x")
			path := write(t, dir, "tlim.yaml", "xmpp: {domain: im.test, secret_file: secret}\nstore: {dsn: '"+c.dsn+"'}\nhttp: {key_file: keys/admin}\n")
			cfg, _, err := Load(Sources{File: path})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.ReplaceAll(cfg.Store.DSN.Reveal(), dir, "DIR"); got != c.want {
				t.Errorf("store.dsn %s: got %s, want %s", c.dsn, got, c.want)
			}
			if cfg.HTTP.KeyFile != Path(dir+"/keys/admin") {
				t.Errorf("http.key_file: got %s, want keys/admin beside the file", cfg.HTTP.KeyFile)
			}
		})
	}
}

// directory.dsn is a file, or a server's address whatever the store is.
func TestDirectoryAddress(t *testing.T) {
	for _, c := range []struct{ driver, dsn, want string }{
		{"sqlite, dsn: tlim.db", "users.db", "DIR/users.db"},
		{"sqlite, dsn: tlim.db", "u:p@tcp(db:3306)/openfire", "u:p@tcp(db:3306)/openfire"},
		{"mysql, dsn: 'u:p@tcp(db)/im'", "u:p@tcp(db)/openfire", "u:p@tcp(db)/openfire"},
		{"mysql, dsn: 'u:p@tcp(db)/im'", "", ""},
	} {
		t.Run(c.driver+" "+c.dsn, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "secret", "x")
			path := write(t, dir, "tlim.yaml", "xmpp: {domain: im.test, secret_file: secret}\nstore: {driver: "+c.driver+"}\ndirectory: {source: openfire, dsn: '"+c.dsn+"'}\n")
			cfg, _, err := Load(Sources{File: path})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.ReplaceAll(cfg.Directory.DSN.Reveal(), dir, "DIR"); got != c.want {
				t.Errorf("directory.dsn %s: got %s, want %s", c.dsn, got, c.want)
			}
		})
	}
}

func TestSecretSources(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "from-file\n")
	path := write(t, dir, "tlim.yaml", "xmpp: {domain: im.test, secret_file: a}\n")
	t.Setenv("TLIM_XMPP_SECRET", "from-environment")
	cfg, _, err := Load(Sources{File: path})
	if err != nil || cfg.XMPP.Secret.Reveal() != "from-environment" {
		t.Errorf("the environment stands above the file's secret_file: got %q, %v, want secret from-environment, no error", cfg.XMPP.Secret.Reveal(), err)
	}
	t.Setenv("TLIM_XMPP_SECRET_FILE", dir+"/a")
	_, _, err = Load(Sources{File: path})
	if got := problemsOf(t, err, dir); !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "which one counts?") }) {
		t.Errorf("both in one source: got %q, want \"which one counts?\" in it", got)
	}
}

// Every problem is one line, all of them are there at once, and each says where.
func TestProblems(t *testing.T) {
	var engineNames []string
	for _, e := range store.Engines() {
		engineNames = append(engineNames, e.Name)
	}
	for _, c := range []struct {
		name, text string
		set        []string
		want       []string
	}{
		{"misspelt key", "xmpp: {sercet: x}", nil, []string{"tlim.yaml:1: unknown key xmpp.sercet; the nearest known one is xmpp.secret"}},
		{"misspelt section", "htpp: {listen: x}", nil, []string{"tlim.yaml:1: unknown key htpp; the nearest known one is http"}},
		{"wrong section", "store: {listen: ':1'}", nil, []string{"tlim.yaml:1: unknown key store.listen; the nearest known one is http.listen"}},
		{"misspelt empty section", "foo: {}", nil, []string{"tlim.yaml:1: unknown key foo; the nearest known one is log"}},
		{"dotted key", "log.level: debug", nil, []string{"tlim.yaml:1: log.level must be written as a section with its key below it, without the dot"}},
		{"misspelt key of a key", "http: {keys: [{nmae: x}]}", nil, []string{
			"tlim.yaml:1: unknown key http.keys[0].nmae; http.keys has name, key, key_file, scopes, rate and robot",
			"http.keys[0]: has no name", "http.keys[0]: has no key; give key or key_file", "http.keys[0]: has no scopes; business or admin"}},
		{"given twice", "log: {level: info}\nlog: {level: warn}", nil, []string{"tlim.yaml:2: log is given twice, first in line 1"}},
		{"two documents", "log: {level: info}\n---\nlog: {level: warn}", nil, []string{"tlim.yaml: holds more than one document"}},
		{"a list", "[1, 2]", nil, []string{`tlim.yaml:1: the file must hold keys and values, like "log: {level: info}"`}},
		{"section as value", "log: debug", nil, []string{"tlim.yaml:1: log is a section: its keys stand below it"}},
		{"value as section", "shutdown_timeout: {a: b}", nil, []string{"tlim.yaml:1: shutdown_timeout: a single value is expected here"}},
		{"units", "xmpp: {ping: 8}\nlimits: {body: 64KB}\npresence:\n  interval: soon", nil, []string{
			`tlim.yaml:1: xmpp.ping: "8" is no time span: write a number with a unit, like 500ms, 8s, 10m or 24h`,
			`tlim.yaml:4: presence.interval: "soon" is no time span: write a number with a unit, like 500ms, 8s, 10m or 24h`,
			`tlim.yaml:2: limits.body: "64KB" is no size: write bytes, or a whole number with KiB, MiB or GiB, like 64KiB`}},
		{"numbers", "store: {max_open: many}\nlimits: {strict: perhaps, per_user_rate: NaN}", nil, []string{
			`tlim.yaml:1: store.max_open: "many" is no whole number`,
			`tlim.yaml:2: limits.strict: "perhaps" is neither true nor false`,
			`tlim.yaml:2: limits.per_user_rate: "NaN" is no number`}},
		{"an access log that nobody sees", "http: {access_log: on}\nlog: {level: warn}", nil, []string{
			`http.access_log: its lines have the level info, and log.level is warn: set that to info, or http.access_log to off`}},
		{"ranges", "http: {allow_anonymous: clients, allow_from: [10.0.0.1/8]}", nil, []string{
			`tlim.yaml:1: http.allow_from: element 1: "10.0.0.1/8" has bits beyond its mask: is 10.0.0.0/8 meant?`}},
		{"choices", "store: {driver: postgres}\nlog: {level: loud}", nil, []string{
			`store.driver: "postgres" is none of ` + strings.Join(engineNames, ", "), `log.level: "loud" is none of debug, info, warn, error`}},
		{"oracle without an address", "store: {driver: oracle, dsn: x}", nil, []string{
			"store.dsn: is no address of an Oracle server: write it as oracle://user:password@host:1521/service"}},
		{"idempotency", "idempotency: {window: 30s}", nil, []string{"idempotency.window: must be between 1m and 720h; a repeated call is known for so long"}},
		{"a standby on a file", "standby: {enabled: true}\nstore: {max_open: 2, max_idle: 1}", nil, []string{
			"standby.enabled: sqlite is a file of one machine, which no second one can take over; a standby needs a database server (store.driver, store.dsn)",
			"store.max_open: with standby.enabled 2 is too few, one connection is the heartbeat's; 4 or more"}},
		{"a standby", "standby: {enabled: true}\nstore: {driver: mysql, dsn: 'u:p@tcp(db:3306)/openfire'}", nil, nil},
		{"idempotency beyond ids", "idempotency: {window: 49h, by_business_id: true}\ncleanup: {enabled: true, ids: 2}", nil, []string{
			"idempotency.window: is longer than cleanup.ids, 2 days, after which nobody knows who has a message"}},
		{"idempotency as long as ids", "idempotency: {window: 48h}\ncleanup: {enabled: true, ids: 2}", nil, nil},
		{"directory", "directory: {source: ldap, interval: 100ms, max_remove: 5, initial_password: ' x'}", nil, []string{
			`tlim.yaml:1: directory.max_remove: "5" is no percentage: write 0% to 100%`, `directory.source: "ldap" is none of auto, api, isc, openfire`,
			"directory.interval: must be between 1s and 24h", "directory.initial_password: does nothing without directory.create_accounts",
			"directory.initial_password: must be 128 characters at most, without control characters, and without blanks at its ends"}},
		{"directory of its own", "directory: {dsn: 'tlim:x@tcp(db:3306)/openfire'}", nil, []string{"directory.dsn: does nothing with directory.source auto, which looks into the database of store.dsn; say what it is: openfire or isc"}},
		{"a directory for nothing", "directory: {source: api, dsn: 'tlim:x@tcp(db:3306)/openfire'}", nil, []string{"directory.dsn: does nothing with directory.source api"}},
		{"clean-up", "cleanup: {enabled: true, interval: 10m, days: -1, offline_days: 40000, files_days: -2, ids: -3}", nil, []string{
			"cleanup.interval: must be between 1h and 8760h", "cleanup.days: -1 is not between 0 and 36500; days, 0 for never",
			"cleanup.offline_days: 40000 is not between 0 and 36500; days, 0 for never", "cleanup.files_days: -2 is not between 0 and 36500; days, 0 for never",
			"cleanup.ids: -3 is not between 0 and 36500; days, 0 for never"}},
		{"clean-up of everything", "cleanup: {enabled: true, interval: 1h, days: 36500, offline_days: 1, files_days: 1, ids: 1}", nil, nil},
		{"line breaks in secrets", "push: {jpush: {enabled: true, app_key: \"a\\tb\", master_secret: \"a\\nb\"}}", nil, []string{
			"push.jpush.app_key: holds a line break or another control character", "push.jpush.master_secret: holds a line break or another control character"}},
		{"events", "events: {content: some, max_waiting: 5, keep: 1m, webhook: {url: 'http://oa.test', secret: short, kinds: [message.sent]}}", nil, []string{
			`events.content: "some" is none of none, full`,
			"events.webhook.url: must begin with https: plain HTTP shows every text on the way, and is for this host only",
			"events.webhook.secret: must be 16 or more characters: whoever guesses it can forge events",
			`events.webhook.kinds: "message.sent" is no kind of event: they are message.stored, message.read, message.revoked, group.changed, user.came, user.left`,
			"events.max_waiting: must be between 1000 and 10000000", "events.keep: must be between 1h and 8760h"}},
		{"a secret for no events", "events: {webhook: {secret: '0123456789abcdef'}}", nil, []string{"events.webhook.secret: does nothing without events.webhook.url"}},
		{"push", "push: {content: some, jpush: {enabled: true, app_key: 'a:b', base_url: 'http://push.test'}, webhook: {url: push.test, secret: short, kinds: [MTB-, MTC-000]}}", nil, []string{
			`push.content: "some" is none of shown, hidden`,
			"push.jpush.master_secret: is missing while push.jpush.enabled is true",
			"push.jpush.app_key: holds a colon; the secret belongs into push.jpush.master_secret",
			"push.jpush.base_url: must begin with https: plain HTTP shows every text on the way, and is for this host only",
			"push.webhook.url: is no address: write it like https://push.example.com/path",
			"push.webhook.secret: must be 16 or more characters: whoever guesses it can forge pushes",
			`push.webhook.kinds: "MTC-000" is neither a message type like MTB-000 nor the beginning of several like MTB-`}},
		{"push without keys", "push: {jpush: {enabled: true}, webhook: {secret: 0123456789abcdef}}", nil, []string{
			"push.jpush.app_key: is missing while push.jpush.enabled is true",
			"push.jpush.master_secret: is missing while push.jpush.enabled is true",
			"push.webhook.secret: does nothing without push.webhook.url"}},
		{"domains", "xmpp: {domain: Im.Test, component: other.example}", nil, []string{
			`xmpp.domain: "Im.Test" is no domain in lower-case letters, digits, - and dots (names in other scripts in their xn-- form)`,
			`xmpp.component: "other.example" is no subdomain of xmpp.domain, "Im.Test"`}},
		{"domain with a port", "xmpp: {domain: 'im.test:5222'}", nil, []string{
			`xmpp.domain: "im.test:5222" is no domain in lower-case letters, digits, - and dots (names in other scripts in their xn-- form)`}},
		{"addresses", "xmpp: {server: im.test}\nhttp: {listen: '9595'}\nmetrics: {listen: '127.0.0.1:99999'}", nil, []string{
			`xmpp.server: "im.test" is no address: write host:port`, `http.listen: "9595" is no address: write host:port`,
			`metrics.listen: "127.0.0.1:99999" is no address: write host:port`}},
		{"files", "http: {base_url: im.test}\nfiles: {access: open, prefixes: [cap-aco], max_size: 1, s3: {endpoint: s3.test}}", nil, []string{
			`files.access: "open" is none of link, strict`, "http.base_url: is no address like https://im.example.com/app, without a query", `files.prefixes: "cap-aco" is no path like /cap-aco`,
			"files.max_size: must be between 1KiB and 48GiB",
			"files.s3: needs endpoint, bucket, access_key and secret_key; leave all of it away to store files in files.dir"}},
		{"what the API would refuse", "files: {prefixes: ['/cap aco', /应用]}\nhttp: {keys: [{name: user, key: 0123456789abcdef, scopes: [admin]}]}", nil, []string{
			`http.keys[0]: the name "user" stands for callers without a key; choose another`,
			`files.prefixes: "/cap aco" is no path like /cap-aco`, `files.prefixes: "/应用" is no path like /cap-aco`}},
		{"hosts", "http: {hosts: ['im.example.com', 'im-server', '*', 'im.example.com:9595', 'https://im.example.com', '*.example.com', '']}", nil, []string{
			`http.hosts: "im.example.com:9595" is neither * nor a host name like im.example.com, without a port`,
			`http.hosts: "https://im.example.com" is neither * nor a host name like im.example.com, without a port`,
			`http.hosts: "*.example.com" is neither * nor a host name like im.example.com, without a port`,
			`http.hosts: "" is neither * nor a host name like im.example.com, without a port`}},
		{"mysql without an address", "store: {driver: mysql}", nil, []string{"store.dsn: mysql needs user:password@tcp(host:3306)/database"}},
		{"JDBC's address", "store: {driver: MariaDB, dsn: 'jdbc:mysql://root:geheim@db:3306/openfire'}", nil, nil},
		{"an address without its driver", "store: {dsn: 'root:geheim@tcp(db:3306)/openfire'}", nil, []string{
			"store.dsn: is the address of a MySQL or MariaDB server, and store.driver is sqlite: set store.driver: mysql"}},
		{"a source of another engine", "directory: {source: openfire, dsn: 'jdbc:oracle:thin:@db:1521:openfire'}", nil, []string{
			"directory.dsn: names no user; openfire.xml has username and password beside serverURL: write it as oracle://user:password@host:1521/service"}},
		{"no domain", "xmpp: {domain: ''}", nil, []string{noDomain}},
		{"in memory", "store: {dsn: ':memory:'}", nil, []string{"store.dsn: is a database in memory, which has one connection and dies with it: give a file name"}},
		{"no database", "directory: {source: isc, dsn: 'root@tcp(db)/'}", nil, []string{
			"directory.dsn: names no database (expected user:password@tcp(host:3306)/database)"}},
		{"no YAML", "log: {level: info}\n  xmpp: x", nil, []string{"tlim.yaml:1: is no YAML here or in the next line: a line is indented otherwise than its neighbours, or text stands behind a quotation mark"}},
		{"a section for a list", "http: {keys: {name: a}}", nil, []string{"tlim.yaml:1: http.keys: a list is expected here, like [a, b]"}},
		{"command line", "", []string{"log.levle=debug", "nonsense", "http.keys=[{name: a, kee: b}]"}, []string{
			"--set: unknown key log.levle; the nearest known one is log.level", "--set: element 2 is no KEY=VALUE",
			"--set http.keys:1: unknown key [0].kee; a key has name, key, key_file, scopes, rate and robot",
			"http.keys[0]: has no key; give key or key_file", "http.keys[0]: has no scopes; business or admin"}},
		{"secret on the command line", "", []string{"xmpp.secret=x"}, []string{
			"--set xmpp.secret: every user of this machine can read a command line; use xmpp.secret_file or TLIM_XMPP_SECRET"}},
		{"password on the command line", "store: {driver: mysql, dsn: 'u@tcp(db)/im'}", []string{"store.dsn=u:p@tcp(db)/im"}, []string{
			"--set store.dsn: every user of this machine can read a command line; use store.dsn_file or TLIM_STORE_DSN"}},
		{"a JDBC URL on the command line", "", []string{"store.dsn=jdbc:mysql://db/im?user=u&password=p"}, []string{
			"--set store.dsn: every user of this machine can read a command line; use store.dsn_file or TLIM_STORE_DSN"}},
		{"a webhook on the command line", "push: {webhook: {secret: 0123456789abcdef}}", []string{"push.webhook.url=https://push.test/?token=x"}, []string{
			"--set push.webhook.url: every user of this machine can read a command line; use TLIM_PUSH_WEBHOOK_URL", "push.webhook.secret: does nothing without push.webhook.url"}},
		{"a file on the command line", "", []string{"store.dsn=data"}, nil},
		{"address on the command line", "store: {driver: mysql}", []string{"store.dsn=u@tcp(db)/im"}, nil},
		{"TLS without TLS", "xmpp: {ca_file: x}", nil, []string{"xmpp.tls: is off, so ca_file, server_name and insecure_skip_verify would do nothing; switch it on or leave them away"}},
		{"keys", "http: {keys: [{name: a, key: short, scopes: [root]}, {name: a, key: 0123456789abcdef, key_file: x, scopes: []}]}", nil, []string{
			"tlim.yaml:1: http.keys: element 2: key and key_file are both given: which one counts?",
			"http.keys[0]: the key must be 16 or more ASCII characters without blanks",
			`http.keys[0]: scope "root" is neither business nor admin`,
			`http.keys[1]: the name "a" is given twice`, "http.keys[1]: has no key; give key or key_file", "http.keys[1]: has no scopes; business or admin"}},
		{"a robot's key", "http: {keys: [{name: a, key: 0123456789abcdea, scopes: [admin], robot: {id: bot, nmae: x}}]}", nil, []string{
			"tlim.yaml:1: unknown key http.keys[0].robot.nmae; a robot has id and name"}},
		{"one robot of two keys", "http: {keys: [{name: a, key: 0123456789abcdea, scopes: [admin], robot: {id: bot}}, {name: b, key: 0123456789abcdeb, scopes: [admin], robot: {id: bot, name: bot}}]}", nil, nil},
		{"robots", "http: {keys: [{name: a, key: 0123456789abcdea, scopes: [admin], robot: {id: bot, name: x}}, {name: b, key: 0123456789abcdeb, scopes: [admin], robot: {id: Bot}}, " +
			"{name: c, key: 0123456789abcdec, scopes: [admin], robot: {name: x}}, {name: d, key: 0123456789abcded, scopes: [admin], robot: {id: admin}}]}", nil, []string{
			`http.keys[1]: robot: another key declares "Bot" otherwise; two keys may share a robot if both have the same id and name`,
			"http.keys[2]: robot: a robot needs an id",
			"http.keys[3]: robot: the user id admin is reserved, no robot can have it"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got := load(t, c.text, c.set...)
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestUnknownVariable(t *testing.T) {
	t.Setenv("TLIM_XMPP_SECRTE", "x")
	t.Setenv("TLIM_TEST_MYSQL_DSN", "belongs to the tests")
	for _, name := range []string{"TLIM_SERVICE_HOST", "TLIM_SERVICE_PORT_HTTP", "TLIM_PORT", "TLIM_PORT_9595_TCP_ADDR", "TLIM_HTTP_SERVICE_HOST"} {
		t.Setenv(name, "belongs to Kubernetes")
	}
	_, problems := load(t, "")
	want := []string{"environment: TLIM_XMPP_SECRTE is no variable of tlim; the nearest one is TLIM_XMPP_SECRET"}
	if !slices.Equal(problems, want) {
		t.Errorf("got %q, want %q", problems, want)
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, k := range keys {
		if serviceVariable.MatchString(k.env) {
			t.Errorf("%s looks like a variable of Kubernetes, want not", k.env)
		}
		names := []string{k.env}
		if k.secret() {
			names = append(names, k.env+"_FILE")
		}
		for _, n := range names {
			if other, twice := seen[n]; twice {
				t.Errorf("%s and %s are both %s, want different ones", k.name, other, n)
			}
			seen[n] = k.name
		}
	}
	if len(keys) < 80 {
		t.Errorf("got %d keys, want at least 80", len(keys))
	}
}

// FuzzConfig feeds arbitrary files: never a panic, every problem is one line, and what is shown of a good configuration
// means the same when it is read again.
func FuzzConfig(f *testing.F) {
	example, err := os.ReadFile("../../../deploy/tlim.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	for _, seed := range []string{
		"", "a: b", "xmpp: {secret: x}", "http: {keys: [{name: a, key: 0123456789abcdef, scopes: [admin]}]}", "a: &a [*a]\n",
		"http: {keys: &k [*k]}", "xmpp: &x {secret: *x}", "limits: {body: 9223372036854775807GiB}", "<<: {xmpp: {}}", "? [a]\n: b", "\xff\xfe", "%YAML 9\n---\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, problems := parse(data, "tlim.yaml", "/etc", nil, nil)
		for _, p := range problems {
			if strings.TrimSpace(p) == "" {
				t.Errorf("got the problem %q in %q, want a text in each", p, problems)
			}
		}
		if slices.ContainsFunc(problems, func(p string) bool { return p != noSecret && p != noDomain }) {
			return
		}
		shown, err := yaml.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		again, problems := parse(shown, "shown.yaml", "/etc", nil, nil)
		hide := func(c Config) Config {
			c.XMPP.Secret, c.Store.DSN, c.HTTP.Keys = Secret{}, DSN{}, nil
			for _, u := range []*URL{&c.HTTP.BaseURL, &c.Files.FallbackURL, &c.Files.S3.Endpoint, &c.Push.JPush.BaseURL, &c.Push.Webhook.URL} {
				*u = URL{u.String()}
			}
			return c
		}
		if !reflect.DeepEqual(hide(cfg), hide(again)) {
			t.Errorf("shown as\n%s\nwhich reads as\n%+v, want\n%+v\n%v", shown, again, cfg, problems)
		}
	})
}

func TestOnlyOneFileReadsViper(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var users []string
	for _, name := range files {
		if strings.Contains(readText(t, name), `"github.com/spf13/viper"`) && !strings.HasSuffix(name, "_test.go") {
			users = append(users, name)
		}
	}
	if !slices.Equal(users, []string{"load.go"}) {
		t.Errorf(`viper is used by %q, not by load.go alone, want ["load.go"]`, users)
	}
}
