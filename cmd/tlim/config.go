package main

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// Sources is where a configuration comes from. The environment of the process is read besides: TLIM_ and the key with _
// for every dot.
type Sources struct {
	File string   // path of the file; "" looks for ./tlim.yaml and /etc/tlim/tlim.yaml, which need not exist
	Set  []string // KEY=VALUE, above file and environment
}

// configFiles are looked for, in this order, when no file is named.
var configFiles = []string{"tlim.yaml", "/etc/tlim/tlim.yaml"}

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
			return "", nil, fmt.Errorf("read the configuration: %w", err)
		}
		return name, data, nil
	}
	return "", nil, nil
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return data, nil
}

// parse makes a Config of the file's text, the environment and KEY=VALUE pairs, and lists all that is wrong with them.
func parse(data []byte, file, dir string, environ, set []string) (Config, Problems) {
	r := reader{file: file, dir: dir, lines: map[string]int{}, set: map[string]bool{}, v: viper.New()}
	// 1. what there is, by source; unknown names are found here
	if err := r.v.MergeConfigMap(r.readFile(data)); err != nil {
		r.add("%s: %v", file, err)
	}
	r.readEnvironment(environ)
	r.readSet(set)
	// 2. each key from its highest source
	cfg := Default()
	root := reflect.ValueOf(&cfg).Elem()
	for _, k := range keys {
		r.readKey(root.FieldByIndex(k.field), k)
	}
	// 3. does it make sense
	if cfg.XMPP.Component == "" {
		cfg.XMPP.Component = "tlim." + cfg.XMPP.Domain
	}
	r.Problems = append(r.Problems, cfg.problems()...)
	// 4. paths
	for _, k := range keys {
		if p, ok := root.FieldByIndex(k.field).Addr().Interface().(*Path); ok {
			*p = Path(absolute(dir, string(*p)))
		}
	}
	if cfg.Store.Driver == "sqlite" {
		cfg.Store.DSN = DSN{absoluteSQLite(dir, cfg.Store.DSN.text)}
	}
	return cfg, r.Problems
}

func absolute(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// absoluteSQLite does it for tlim.db, file:tlim.db?query and leaves file:///abs, file://host/ and :memory: alone.
func absoluteSQLite(dir, dsn string) string {
	scheme, name := "", dsn
	if rest, ok := strings.CutPrefix(dsn, "file:"); ok {
		scheme, name = "file:", rest
	}
	if strings.HasPrefix(name, ":memory:") || strings.HasPrefix(name, "//") || strings.HasPrefix(name, "?") {
		return dsn
	}
	return scheme + absolute(dir, name)
}

// key is one leaf of Config.
type key struct {
	name  string // xmpp.secret
	env   string // TLIM_XMPP_SECRET
	field []int
	kind  reflect.Type
}

// secret says whether KEY_file is allowed.
func (k key) secret() bool { return isSecret(k.kind) }

func isSecret(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[secretValue]())
}

type secretValue interface{ reveal(string) }

// keys are all leaves of Config, in its order.
var keys = keysOf(reflect.TypeFor[Config](), "", nil)

const envPrefix = "TLIM_"

func envName(name string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
}

func keysOf(t reflect.Type, prefix string, field []int) (list []key) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, at := prefix+f.Tag.Get("yaml"), append(slices.Clone(field), i)
		if isSection(f.Type) {
			list = append(list, keysOf(f.Type, name+".", at)...)
		} else {
			list = append(list, key{name: name, env: envName(name), field: at, kind: f.Type})
		}
	}
	return list
}

// isSection says whether a type holds keys rather than a value.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) && !isSecret(t)
}

// reader gathers values and problems.
type reader struct {
	Problems
	v     *viper.Viper
	file  string
	dir   string
	lines map[string]int  // of keys in the file
	set   map[string]bool // names that the command line gives
}

func (r *reader) add(format string, args ...any) { r.Problems.add(format, args...) }

// readFile turns the YAML text into a tree whose leaves are texts, so that each key's own type reads it: YAML alone would
// take the secret 0123 for the number 83.
func (r *reader) readFile(data []byte) map[string]any {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil // empty, or comments only
	case err != nil:
		r.add("%s: %v", r.file, err)
		return nil
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		r.add("%s: holds more than one document", r.file)
	}
	tree, _ := r.tree(&doc, reflect.TypeFor[Config](), "").(map[string]any)
	return tree
}

// tree reads one node. Its depth is bounded by that of t: an unknown name is reported, not followed.
func (r *reader) tree(n *yaml.Node, t reflect.Type, name string) any {
	for n.Kind == yaml.DocumentNode || n.Kind == yaml.AliasNode {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		} else {
			n = n.Content[0]
		}
	}
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil // "xmpp:" with everything below commented out: the defaults hold
	case isSection(t):
		return r.mapping(n, t, name)
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			list = append(list, r.tree(item, t.Elem(), fmt.Sprintf("%s[%d]", name, i)))
		}
		return list
	case n.Kind == yaml.ScalarNode:
		return n.Value
	}
	r.add("%s: %s: a single value is expected here", r.at(n), name)
	return nil
}

func (r *reader) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", r.file, n.Line) }

// mapping reads the keys of a section or of a list element.
func (r *reader) mapping(n *yaml.Node, t reflect.Type, name string) any {
	if n.Kind != yaml.MappingNode {
		if name == "" {
			r.add("%s: the file must hold keys and values, like \"log: {level: info}\"", r.at(n))
		} else {
			r.add("%s: %s is a section: its keys stand below it", r.at(n), name)
		}
		return nil
	}
	tree := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, full := strings.ToLower(n.Content[i].Value), ""
		if full = k; name != "" {
			full = name + "." + k
		}
		kind, ok := fieldOf(t, k)
		if !ok {
			r.add("%s: %s", r.at(n.Content[i]), unknownKey(full))
			continue
		}
		if _, twice := r.lines[full]; twice {
			r.add("%s: %s is given twice, first in line %d", r.at(n.Content[i]), full, r.lines[full])
			continue
		}
		r.lines[full] = n.Content[i].Line
		if value := r.tree(n.Content[i+1], kind, full); value != nil {
			tree[k] = value
		}
	}
	return tree
}

// fieldOf finds the type of a key in a section; KEY_file of a secret is a text.
func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		if tag := f.Tag.Get("yaml"); tag == name {
			return f.Type, true
		} else if tag+"_file" == name && isSecret(f.Type) {
			return reflect.TypeFor[string](), true
		}
	}
	return nil, false
}

// testPrefix is what the product's tests call their variables; they may stand in the environment of a tlim under test.
const testPrefix = envPrefix + "TEST_"

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
		if strings.HasPrefix(name, envPrefix) && !strings.HasPrefix(name, testPrefix) && !known[name] {
			r.add("environment: %s is no variable of tlim; the nearest one is %s", name, nearest(name, slices.Collect(maps.Keys(known))))
		}
	}
}

// readSet takes the KEY=VALUE pairs of the command line.
func (r *reader) readSet(set []string) {
	for _, pair := range set {
		name, value, ok := strings.Cut(pair, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name || k.secret() && k.name+"_file" == name })
		switch {
		case !ok:
			r.add("--set %s: write KEY=VALUE", name)
		case i < 0:
			r.add("--set: %s", unknownKey(name))
		case keys[i].secret() && keys[i].kind == reflect.TypeFor[Secret]() && keys[i].name == name:
			r.add("--set %s: every user of this machine can read a command line; use %s_file or %s", name, name, keys[i].env)
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
			text = r.v.GetString(k.name)
		case indirect > 0:
			text = r.secretFile(r.origin(fromFile, k.env+"_FILE"), r.v.GetString(fromFile))
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

// maxSecret bounds a secret in a file: somebody named the wrong file otherwise.
const maxSecret = 64 << 10

func (r *reader) secretFile(origin, path string) string {
	data, err := readLimited(absolute(r.dir, path), maxSecret)
	if err != nil {
		r.add("%s: %v", origin, err)
		return ""
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		r.add("%s: %s is empty", origin, path)
	}
	return text
}

// assign reads a text, a list of texts or a list of keys into a field.
func (r *reader) assign(field reflect.Value, raw any, origin string) {
	if field.Kind() == reflect.Slice {
		r.assignList(field, raw, origin)
		return
	}
	if isSection(field.Type()) {
		r.assignSection(field, raw, origin)
		return
	}
	text, ok := raw.(string)
	if !ok {
		r.add("%s: a single value is expected here", origin)
		return
	}
	if err := assignText(field, text); err != nil {
		r.add("%s: %q %v", origin, text, err)
	}
}

// assignList reads a list, or a text as the command line and the environment have it: values with commas between them,
// or YAML when it begins with a bracket.
func (r *reader) assignList(field reflect.Value, raw any, origin string) {
	if text, ok := raw.(string); ok {
		if raw = r.listOf(text, field.Type(), origin); raw == nil {
			return
		}
	}
	items, _ := raw.([]any)
	list := reflect.MakeSlice(field.Type(), len(items), len(items))
	for i, item := range items {
		if item == nil {
			r.add("%s: element %d is empty", origin, i+1)
			continue
		}
		r.assign(list.Index(i), item, fmt.Sprintf("%s: element %d", origin, i+1))
	}
	field.Set(list)
}

func (r *reader) listOf(text string, t reflect.Type, origin string) any {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "[") && !isSection(t.Elem()) {
		list := []any{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		return list
	}
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil || len(n.Content) == 0 || n.Content[0].Kind != yaml.SequenceNode {
		r.add("%s: is no list: write it like [{name: crm, key_file: crm.key, scopes: [business]}]", origin)
		return nil
	}
	inner := reader{file: origin, dir: r.dir, lines: map[string]int{}}
	list := inner.tree(n.Content[0], t, "")
	r.Problems = append(r.Problems, inner.Problems...)
	return list
}

// assignSection reads an element of a list that has keys of its own.
func (r *reader) assignSection(field reflect.Value, raw any, origin string) {
	values, ok := raw.(map[string]any)
	if !ok {
		r.add("%s: keys and values are expected here", origin)
		return
	}
	for i := range field.NumField() {
		name := field.Type().Field(i).Tag.Get("yaml")
		target := field.Field(i)
		if isSecret(target.Type()) {
			direct, fromFile := values[name], values[name+"_file"]
			if direct != nil && fromFile != nil {
				r.add("%s: %s and %s_file are both given: which one counts?", origin, name, name)
				continue
			}
			if fromFile != nil {
				direct = r.secretFile(fmt.Sprintf("%s: %s_file", origin, name), fmt.Sprint(fromFile))
			}
			if direct != nil {
				target.Addr().Interface().(secretValue).reveal(fmt.Sprint(direct))
			}
		} else if value := values[name]; value != nil {
			r.assign(target, value, origin+": "+name)
		}
	}
}

// assignText reads one value by the rules of its type.
func assignText(field reflect.Value, text string) error {
	if u, ok := field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return errors.New("holds a control character")
	}
	switch field.Kind() {
	case reflect.String:
		field.SetString(strings.TrimSpace(text))
	case reflect.Bool:
		var s Switch
		if err := s.UnmarshalText([]byte(text)); err != nil {
			return errors.New("is neither true nor false")
		}
		field.SetBool(bool(s))
	case reflect.Int:
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return errors.New("is no whole number")
		}
		field.SetInt(int64(n))
	case reflect.Float64:
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || n != n || n > 1e12 || n < -1e12 {
			return errors.New("is no number")
		}
		field.SetFloat(n)
	default:
		return fmt.Errorf("cannot be read as %s", field.Type())
	}
	return nil
}
