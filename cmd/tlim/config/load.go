package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/viper"

	"tlim/store"
)

// boshPort is where Openfire listens for BOSH, since 3.x and unless its administrator moved it.
const boshPort = "7070"

// Sources is where a configuration comes from. The environment of the process is read besides: TLIM_ and the key with _
// for every dot.
type Sources struct {
	File string   // path of the file; "" looks for ./tlim.yaml and /etc/tlim/tlim.yaml (on Windows %ProgramData%\tlim\tlim.yaml), which need not exist
	Set  []string // KEY=VALUE, above file and environment
}

// configFiles are looked for, in this order, when no file is named.
var configFiles = []string{"tlim.yaml", SystemFile()}

// SystemFile is where the configuration of the machine's tlim is.
func SystemFile() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(cmp.Or(os.Getenv("ProgramData"), `C:\ProgramData`), "tlim", "tlim.yaml")
	}
	return "/etc/tlim/tlim.yaml"
}

// Problems is everything that is wrong with a configuration, one line each.
type Problems []string

// Error joins the lines.
func (p Problems) Error() string { return strings.Join(p, "\n") }

func (p *Problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

// Load reads the configuration: defaults, overridden by the file, by the environment, by Set. It returns the path of the
// file that was read ("" = none). When the error is of type [Problems], the configuration could be read and is returned as
// far as it goes: it is not to be run, but can be shown.
//
// Secrets come from KEY or KEY_file; relative paths are relative to the file's folder.
func Load(from Sources) (Config, string, error) {
	path, data, err := readConfigFile(from.File)
	if err != nil {
		return Config{}, "", err
	}
	dir := filepath.Dir(path) // "." without a file: the working directory
	if dir, err = filepath.Abs(dir); err != nil {
		return Config{}, "", fmt.Errorf("folder of the configuration: %w", err)
	}
	cfg, problems := parse(data, path, dir, os.Environ(), from.Set)
	if len(problems) > 0 {
		return cfg, path, problems
	}
	return cfg, path, nil
}

// LoadForOperator is Load for a command that works beside the process that serves: the component's secret, which a unit may
// hand to that process alone, may be missing, and so may the server's domain.
func LoadForOperator(from Sources) (Config, string, error) {
	cfg, path, err := Load(from)
	var problems Problems
	if !errors.As(err, &problems) {
		return cfg, path, err
	}
	if problems = slices.DeleteFunc(problems, func(p string) bool { return p == noSecret || p == noDomain }); len(problems) > 0 {
		return cfg, path, problems
	}
	return cfg, path, nil
}

// Places are where a configuration file is looked for when none is named, from the working directory.
func Places() []string {
	places := slices.Clone(configFiles)
	for i, name := range places {
		if whole, err := filepath.Abs(name); err == nil { // else there is no working directory, and the short name says enough
			places[i] = whole
		}
	}
	return places
}

// maxConfigFile bounds what is read; the whole example with its comments has 10 KiB.
const maxConfigFile = 1 << 20

func readConfigFile(path string) (string, []byte, error) {
	candidates := configFiles
	if path != "" {
		candidates = []string{path}
	}
	for _, name := range candidates {
		data, err := readLimited(name, maxConfigFile)
		if errors.Is(err, os.ErrNotExist) && path == "" {
			continue
		}
		if err != nil {
			return "", nil, fmt.Errorf("read the configuration: %s: %w", name, err)
		}
		return name, data, nil
	}
	return "", nil, nil
}

// unnamed leaves the name of the file to who says where it was given: it may be a secret that stands in the wrong key.
func unnamed(err error) error {
	var why *fs.PathError
	if errors.As(err, &why) {
		return why.Err
	}
	return err
}

// readLimited reads a file; the error does not name it.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unnamed(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, unnamed(err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
	}
	return data, nil
}

// parse makes a Config of the file's text, the environment and KEY=VALUE pairs, and lists all that is wrong with them.
func parse(data []byte, file, dir string, environ, set []string) (Config, Problems) {
	r := newReader(file, dir)
	// 1. what there is, by source; unknown names are found here
	tree := r.readFile(data)
	if r.unread {
		r.explain()
		return Default(), r.Problems
	}
	r.readAll(tree, environ, set)
	// 2. each key from its highest source
	cfg := Default()
	root := reflect.ValueOf(&cfg).Elem()
	for _, k := range keys {
		r.readKey(root.FieldByIndex(k.field), k)
	}
	// 3. does it make sense
	if engine, known := store.EngineNamed(cfg.Store.Driver); known {
		cfg.Store.Driver = engine.Name
	}
	if cfg.XMPP.Component == "" && cfg.XMPP.Domain != "" {
		cfg.XMPP.Component = "tlim." + cfg.XMPP.Domain
	}
	if hosts := cfg.XMPP.Server.Hosts(); len(hosts) > 0 && cfg.Web.XMPPURL.text == "" {
		cfg.Web.XMPPURL.text = "http://" + net.JoinHostPort(hosts[0], boshPort) + "/http-bind/"
	}
	r.Problems = append(r.Problems, cfg.problems()...)
	r.explain()
	// 4. paths
	for _, k := range keys {
		if p, ok := root.FieldByIndex(k.field).Addr().Interface().(*Path); ok {
			*p = r.path(*p, k)
		}
	}
	if cfg.Store.DSN.text != "" {
		cfg.Store.DSN = DSN{store.InFolder(cfg.Store.Driver, cfg.Store.DSN.text, dir)}
	}
	if engine := store.DriverOf(cfg.Directory.DSN.text, cfg.Store.Driver); cfg.Directory.DSN.text != "" {
		cfg.Directory.DSN = DSN{store.InFolder(engine, cfg.Directory.DSN.text, dir)}
	}
	return cfg, r.Problems
}

// path is a path made absolute. What looks like the address of a database, which stands in the wrong key, is not: paths are shown.
func (r *reader) path(p Path, k key) Path {
	if !filepath.IsAbs(string(p)) && (DSN{string(p)}).private() {
		r.add("%s: is no path, it looks like an address with a password; where it is one, write ./ before it", r.origin(k.name, k.env))
		return ""
	}
	return Path(absolute(r.dir, string(p)))
}

func absolute(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// reader gathers values and problems.
type reader struct {
	Problems
	v      *viper.Viper
	file   string
	dir    string
	unread bool            // the file is no YAML: nothing is known of its keys
	slips  []slip          // what an editor is likely to have done to the file
	lines  map[string]int  // of keys in the file
	set    map[string]bool // names that the command line gives
}

// newReader makes a reader of a file in a folder; nothing is read yet.
func newReader(file, dir string) *reader {
	return &reader{file: file, dir: dir, lines: map[string]int{}, set: map[string]bool{}, v: viper.New()}
}

// readAll takes what the file says, the environment and KEY=VALUE pairs.
func (r *reader) readAll(tree map[string]any, environ, set []string) {
	if err := r.v.MergeConfigMap(tree); err != nil {
		r.add("%s: %v", r.file, err)
	}
	r.readEnvironment(environ)
	r.readSet(set)
}

func (r *reader) add(format string, args ...any) { r.Problems.add(format, args...) }

// testPrefix is what the product's tests call their variables; they may stand in the environment of a tlim under test.
const testPrefix = envPrefix + "TEST_"

// serviceVariable is what Kubernetes puts into every container beside a service called tlim or tlim-something.
var serviceVariable = regexp.MustCompile(`^TLIM_(\w+_)?(SERVICE_HOST|SERVICE_PORT|PORT)(_\w+)?$`)

// readEnvironment binds the variables of the known keys and finds those of none.
func (r *reader) readEnvironment(environ []string) {
	known := map[string]bool{}
	for _, k := range keys {
		known[k.env] = true
		_ = r.v.BindEnv(k.name, k.env) // fails only without a name
		if k.secret() {
			known[k.env+"_FILE"] = true
			_ = r.v.BindEnv(k.name+"_file", k.env+"_FILE")
		}
	}
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, envPrefix) && !strings.HasPrefix(name, testPrefix) && !serviceVariable.MatchString(name) && !known[name] {
			r.add("environment: %s is no variable of tlim; the nearest one is %s", name, nearest(name, slices.Collect(maps.Keys(known))))
		}
	}
}

// inlineKey is a key itself in a list of keys.
var inlineKey = regexp.MustCompile(`(?i)(^|[{,\s"'])key["']?\s*:`)

// readSet takes the KEY=VALUE pairs of the command line.
func (r *reader) readSet(set []string) {
	for n, pair := range set {
		name, value, ok := strings.Cut(pair, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name || k.secret() && k.name+"_file" == name })
		switch {
		case !ok:
			r.add("--set: element %d is no KEY=VALUE", n+1)
		case i < 0:
			dot := strings.LastIndexByte(name, '.')
			r.add("--set: %s", unknownKey(name[:max(dot, 0)], name[dot+1:]))
		case keys[i].name == name && (keys[i].kind == reflect.TypeFor[Secret]() || keys[i].kind == reflect.TypeFor[DSN]() && DSN{value}.private() || keys[i].kind == reflect.TypeFor[URL]() && maskURL(value) != value):
			r.add("--set %s: every user of this machine can read a command line; use %s", name, keys[i].elsewhere())
		case keys[i].name == "http.keys" && inlineKey.MatchString(value):
			r.add("--set %s: every user of this machine can read a command line; use key_file or %s", name, keys[i].env)
		default:
			r.v.Set(name, value)
			r.set[name] = true
		}
	}
}

// readKey gives a field the value of its highest source, if any.
func (r *reader) readKey(field reflect.Value, k key) {
	if k.secret() {
		fromFile, text := k.name+"_file", ""
		direct, indirect := r.rank(k.name, k.env), r.rank(fromFile, k.env+"_FILE")
		switch {
		case direct != 0 && direct == indirect:
			r.add("%s and %s are both given: which one counts?", r.origin(k.name, k.env), fromFile)
		case direct > indirect:
			if text = r.v.GetString(k.name); direct == 2 {
				text = unwrapped(text)
			}
			if !utf8.ValidString(text) {
				r.add("%s: %s", r.origin(k.name, k.env), notUTF8)
				return
			}
		case indirect > 0:
			text = r.secretFile(r.origin(fromFile, k.env+"_FILE"), unwrapped(r.v.GetString(fromFile)))
		default:
			return
		}
		field.Addr().Interface().(secretValue).reveal(text)
		return
	}
	raw := r.v.Get(k.name)
	if raw == nil {
		return
	}
	if text, ok := raw.(string); ok && r.rank(k.name, k.env) == 2 {
		raw = unwrapped(text)
	}
	r.assign(field, raw, r.origin(k.name, k.env))
}

// rank orders the sources of a key: 0 none, 1 file, 2 environment, 3 command line. An empty variable counts as none, as
// Viper has it: compose files and units set variables to nothing when they mean nothing.
func (r *reader) rank(name, env string) int {
	switch {
	case r.set[name]:
		return 3
	case os.Getenv(env) != "":
		return 2
	case r.v.InConfig(name):
		return 1
	}
	return 0
}

// origin names a key so that an administrator finds it.
func (r *reader) origin(name, env string) string {
	switch r.rank(name, env) {
	case 1:
		return fmt.Sprintf("%s:%d: %s", r.file, r.lines[name], name)
	case 2:
		return "environment: " + env
	case 3:
		return "--set " + name
	}
	return name
}
