package main

import (
	"bytes"
	"context"
	"encoding"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"tlim/cmd/tlim/config"
	"tlim/component/doubles"
)

// hush is a part of every secret of these tests, and of no output. It is like no key of tlim.
const hush = "q7VXK2wz9marker"

// wrongForms are what a secret, the address of a database and one of the web become by mistakes; YAML as it stands in the file.
var wrongForms = map[reflect.Type][]string{
	reflect.TypeFor[config.Secret](): {
		hush, "'" + hush + "'", hush + ": " + hush, "[" + hush + "]", "{" + hush + ": " + hush + "}", "{" + hush + "}", "[[" + hush + "]]", "*" + hush, "&" + hush, "&" + hush + " " + hush,
		"!" + hush, "!a!" + hush, "!!int " + hush, "@" + hush, "%" + hush, "`" + hush, "|" + hush, ">" + hush, "'" + hush, `"` + hush, `"` + hush + `\q"`, "a, " + hush, "a " + hush + " #" + hush,
		`"a\n` + hush + `"`, `"` + hush + `\a"`, "“" + hush + "”", hush + "，" + hush, hush + "\xcd\xc6", "汉" + hush, "|\n    " + hush + "\n    " + hush, "- " + hush, "? " + hush,
	},
	reflect.TypeFor[config.DSN](): {
		"u:" + hush + "@tcp(127.0.0.1:1)/im", "u:" + hush + "@tcp(127.0.0.1:99999)/im", "u:" + hush + "@tcp(127.0.0.1:" + hush + ")/im", "u:" + hush + "@127.0.0.1:1/im", "u:" + hush + "@tcp(127.0.0.1:1)",
		"u:" + hush + "@tcp(127.0.0.1:1/im", "'u:a " + hush + "@tcp(127.0.0.1:1)/im'", "'u:a/" + hush + "?" + hush + "@tcp(127.0.0.1:1)/im?x=%zz" + hush + "'", `"u:a\n` + hush + `@tcp(127.0.0.1:1)/im"`, `"u:a\r` + hush + `@x"`,
		`'"u:` + hush + `@tcp(127.0.0.1:1)/im"'`, "tcp(u:" + hush + "@127.0.0.1:1)/im", "[u:" + hush + "@tcp(127.0.0.1:1)/im]", "{u:" + hush + "@tcp(127.0.0.1:1)/im}", "{a: u:" + hush + "}", "*" + hush, "u: " + hush + "@x",
		"mysql://u:" + hush + "@127.0.0.1:1/im", "mysql://u:a/" + hush + "@127.0.0.1:1/im", "mysql://u:%zz" + hush + "@127.0.0.1:1/im", "'mysql://u:" + hush + "@127.0.0.1:x/im'", "postgres://u:" + hush + "@127.0.0.1/im",
		"jdbc:mysql://127.0.0.1:1/im?user=u&password=" + hush, "jdbc:mysql://127.0.0.1:1/im?password=" + hush, "jdbc:mysql://127.0.0.1:1/im?user=u&password=%zz" + hush, "jdbc:jtds:sqlserver://127.0.0.1/im;user=sa;password=" + hush,
		"jdbc:sqlserver://127.0.0.1;password={" + hush + "}", "jdbc:oracle:thin:u/" + hush + "@127.0.0.1:1521:im", "Server=127.0.0.1;Uid=u;Pwd=" + hush, "'server=127.0.0.1;password={a;" + hush + "}'", "host=a user=u password=" + hush,
		"“u:" + hush + "@tcp(127.0.0.1:1)/im”", "u:" + hush + "\xcd\xc6@tcp(127.0.0.1:1)/im", "u@tcp(127.0.0.1:1)/im?password=" + hush, "u@tcp(127.0.0.1:1)/im?tls=" + hush, "'u@tcp(127.0.0.1:1)/im?x='';" + hush + "'",
		"u：" + hush + "@tcp(127.0.0.1:1)/im", "u:" + hush + "＠tcp(127.0.0.1:1)/im", "u/" + hush + "@127.0.0.1:1521/im", "u/" + hush + "@//127.0.0.1:1521/im", "u/" + hush + "@im", "u/" + hush + "@(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT=1))(CONNECT_DATA=(SID=im)))",
		"oracle://u:" + hush + "@127.0.0.1:1/im", "sqlserver://sa:" + hush + "@127.0.0.1:1?database=im", "data source=127.0.0.1；password=" + hush, "u=" + hush + "@tcp(127.0.0.1:1)/im", "tlim.db?key=" + hush,
	},
	reflect.TypeFor[config.URL](): {
		"https://u:" + hush + "@127.0.0.1:1/a", "https://127.0.0.1:1/a?token=" + hush, "https://" + hush + "@127.0.0.1:1/?" + hush + "#" + hush, "https://u:%zz" + hush + "@127.0.0.1", "https://u:a/" + hush + "@127.0.0.1",
		"https://u:a?" + hush + "@127.0.0.1/", "'https://u:a " + hush + "@127.0.0.1/'", `"https://u:a\n` + hush + `@127.0.0.1/"`, `'"https://u:` + hush + `@127.0.0.1/"'`, "ftp://u:" + hush + "@127.0.0.1", "u:" + hush + "@127.0.0.1",
		"127.0.0.1?" + hush, "[https://u:" + hush + "@127.0.0.1]", "{a: https://u:" + hush + "@127.0.0.1}", "https://u:" + hush + "@127.0.0.1:99999/", "https：//u:" + hush + "@127.0.0.1", "https://u:\xcd\xc6" + hush + "@127.0.0.1", "*" + hush,
		"https:/u:" + hush + "@127.0.0.1", "//u:" + hush + "@127.0.0.1", "https://u:" + hush + "@[::1/",
	},
}

// neighbours make the mistake the only one, so that it is looked at as far as a command goes.
var neighbours = map[string]map[string]any{
	"files.s3.endpoint":   {"bucket": "b", "access_key": "a", "secret_key": "s"},
	"files.s3.access_key": {"bucket": "b", "endpoint": "http://127.0.0.1:1", "secret_key": "s"},
	"files.s3.secret_key": {"bucket": "b", "endpoint": "http://127.0.0.1:1", "access_key": "s"},
	"directory.dsn":       {"source": "openfire", "store.driver": "mysql", "store.dsn": "u:p@tcp(127.0.0.1:1)/im"}, "directory.initial_password": {"create_accounts": true},
	"push.jpush.app_key": {"enabled": true, "master_secret": "m"}, "push.jpush.master_secret": {"enabled": true, "app_key": "m"}, "push.jpush.base_url": {"enabled": true, "app_key": "m", "master_secret": "m"},
	"push.webhook.url": {"secret": "0123456789abcdef"}, "push.webhook.secret": {"url": "http://127.0.0.1:1/"},
	"store.dsn": {"driver": "mysql"},
}

// key is a leaf of the configuration, as CONFIG.md has it.
type key struct {
	name, env string
	kind      reflect.Type
}

// fromFile says whether the value may stand in a file of its own.
func (k key) fromFile() bool {
	return k.kind == reflect.TypeFor[config.Secret]() || k.kind == reflect.TypeFor[config.DSN]()
}

// keysOf are the leaves of a section and of those in it: what does not write itself as a text is a section.
func keysOf(section reflect.Type, prefix string) (keys []key) {
	for f := range section.Fields() {
		name := prefix + f.Tag.Get("yaml")
		if f.Type.Kind() == reflect.Struct && !f.Type.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
			keys = append(keys, keysOf(f.Type, name+".")...)
			continue
		}
		keys = append(keys, key{name, "TLIM_" + strings.ToUpper(strings.ReplaceAll(name, ".", "_")), f.Type})
	}
	return keys
}

// document is a configuration with one text as it stands in the file.
func document(t *testing.T, key, value string, base map[string]any) string {
	t.Helper()
	const mark = "PLACE"
	root := map[string]any{}
	put := func(name string, v any) {
		at := root
		parts := strings.Split(name, ".")
		for _, p := range parts[:len(parts)-1] {
			if at[p] == nil {
				at[p] = map[string]any{}
			}
			at = at[p].(map[string]any)
		}
		at[parts[len(parts)-1]] = v
	}
	for name, v := range base {
		put(name, v)
	}
	section := key[:max(0, strings.LastIndexByte(key, '.'))]
	for name, v := range neighbours[strings.TrimSuffix(key, "_file")] {
		if !strings.Contains(name, ".") {
			name = section + "." + name
		}
		put(name, v)
	}
	put(key, mark)
	text, err := yaml.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(text), mark, value, 1)
}

// TestNoSecretInAnyOutput: whatever the mistake, no command shows a part of a secret.
func TestNoSecretInAnyOutput(t *testing.T) {
	base := map[string]any{"xmpp.domain": "im.test", "xmpp.secret": "s3cret", "xmpp.server": "127.0.0.1:1", "store.dsn": "tlim.db", "store.max_wait": "100ms", "http.listen": "127.0.0.1:0",
		"metrics.listen": "127.0.0.1:0", "shutdown_timeout": "1s"}
	commands := [][]string{{"config", "check"}, {"config", "show"}}
	whole := append(slices.Clone(commands), []string{"serve"}, []string{"trace", "m1"}, []string{"token", "revoke", "lisi"}, []string{"cleanup", "dry-run"}, []string{"keys", "usage"})
	tried := 0
	all := func(t *testing.T, what, file string, commands [][]string, env ...string) {
		t.Helper()
		for _, command := range commands {
			tried++
			if out := outputOf(t, file, command); strings.Contains(out, hush) {
				t.Errorf("%s: tlim %s says\n%s\nwant no %q in it", what, strings.Join(command, " "), out, hush)
			}
		}
	}
	keys := keysOf(reflect.TypeFor[config.Config](), "")
	if len(keys) < 80 {
		t.Fatalf("got %d keys, want at least 80", len(keys))
	}
	for _, k := range keys {
		forms := slices.Clone(wrongForms[k.kind])
		if k.name == "store.dsn" { // where the driver is mysql, so that a single word is no file
			forms = append(forms, wrongForms[reflect.TypeFor[config.Secret]()]...)
		}
		for i, form := range forms {
			file := write(t, t.TempDir(), "tlim.yaml", document(t, k.name, form, base))
			some := commands
			if i < 4 || k.kind == reflect.TypeFor[config.DSN]() && i < len(wrongForms[k.kind]) { // what depends on the form is found by these two
				some = whole
			}
			all(t, k.name+": "+form, file, some)
			if k.name == "store.dsn" && i < len(wrongForms[k.kind]) { // the driver is forgotten; a single word is the name of a file then
				text := strings.Replace(document(t, k.name, form, base), "driver: mysql\n", "", 1)
				all(t, k.name+" without driver: "+form, write(t, filepath.Dir(file), "tlim.yaml", text), some)
			}
			plain := strings.Trim(form, "'\"")
			if strings.ContainsAny(plain, "\x00") {
				continue
			}
			file = write(t, filepath.Dir(file), "tlim.yaml", document(t, k.name, "", base))
			t.Setenv(k.env, plain)
			all(t, k.env+"="+form, file, commands)
			t.Setenv(k.env, "")
			out := outputOf(t, file, []string{"config", "check", "--set", k.name + "=" + plain})
			if strings.Contains(out, hush) {
				t.Errorf("--set %s=%s: got %s, want it hidden", k.name, plain, out)
			}
			if !k.fromFile() {
				continue
			}
			for _, content := range []string{plain, plain + "\n" + plain, "\ufeff" + plain + "\r\n", plain + "\xcd", "\xff\xfe" + plain, plain + "\a"} {
				secret := write(t, filepath.Dir(file), "secret", content)
				all(t, k.name+"_file with "+content, write(t, filepath.Dir(file), "tlim.yaml", document(t, k.name+"_file", secret, base)), commands[:1])
			}
			all(t, k.name+"_file: "+form, write(t, filepath.Dir(file), "tlim.yaml", document(t, k.name+"_file", form, base)), commands)
		}
	}
	// an address that stands in the wrong key
	for _, k := range keys {
		if wrongForms[k.kind] != nil {
			continue
		}
		for _, form := range []string{"u:" + hush + "@tcp(127.0.0.1:1)/im", "https://u:" + hush + "@127.0.0.1:1/?a=" + hush, "jdbc:mysql://127.0.0.1/im?password=" + hush,
			"server=127.0.0.1;user id=sa;password=" + hush, "u/" + hush + "@127.0.0.1:1521/im", "u：" + hush + "@127.0.0.1/im"} {
			if k.kind.Kind() == reflect.Slice {
				form = "['" + form + "']"
			}
			all(t, k.name+": "+form, write(t, t.TempDir(), "tlim.yaml", document(t, k.name, form, base)), commands)
		}
	}
	// the same text in the places around a key
	section := []string{"  secret:" + hush, "  secret：" + hush, "  secret=" + hush, "  secret = " + hush, "  secret " + hush, "\tsecret: " + hush, "  secret:" + hush + "\n  tls: off", "  server: a:1\n  secret:" + hush,
		"  sercet: " + hush, "  secrets: [" + hush + "]", "  " + hush + ": secret", "  " + hush, "  ? " + hush, "  - " + hush, "  <<: " + hush, "  <<: *" + hush, "  'secret: " + hush, "  tls: '" + hush + "@x'"}
	for _, text := range section {
		file := write(t, t.TempDir(), "tlim.yaml", "xmpp:\n"+text+"\n")
		all(t, text, file, whole)
	}
	for _, text := range []string{"{secret:" + hush + "}", "{secret: a," + hush + "}", "{secret: a, " + hush + ": b}", "{secret：" + hush + "}", "[" + hush + "]", hush, "'" + hush} {
		all(t, text, write(t, t.TempDir(), "tlim.yaml", "xmpp: "+text+"\n"), whole)
	}
	for _, text := range []string{"[" + hush + "]", "[{key: " + hush + "}]", "[{name: a, key: " + hush + " x, scopes: [business]}]", "[{name: a, kee: " + hush + "}]", "[{name: a, key: [" + hush + "]}]", "[{name: a, key: {" + hush + ": b}}]",
		"[{name: a, " + hush + "}]", "[{name: a, key: 汉" + hush + "}]", "[{name: a, key: a, key_file: " + hush + "}]", "[{name: a, key_file: " + hush + "}]", "{a: " + hush + "}", hush, "[[" + hush + "]]",
		"[{name: a, key: " + hush + ", scopes: [business]}, {name: b, key: " + hush + ", scopes: [business]}]"} {
		all(t, "http.keys: "+text, write(t, t.TempDir(), "tlim.yaml", document(t, "http.keys", text, base)), commands)
		file := write(t, t.TempDir(), "tlim.yaml", document(t, "http.language", "zh", base))
		t.Setenv("TLIM_HTTP_KEYS", text)
		all(t, "TLIM_HTTP_KEYS="+text, file, commands)
		t.Setenv("TLIM_HTTP_KEYS", "")
		all(t, "--set http.keys="+text, file, [][]string{{"config", "check", "--set", "http.keys=" + text}})
	}
	good := write(t, t.TempDir(), "tlim.yaml", document(t, "http.language", "zh", base))
	for _, args := range [][]string{{"config", "show", "--set", "xmpp.secret:" + hush}, {"config", "show", "--set", hush}, {"config", "check", hush}, {"config", hush}, {"serve", hush}, {hush}, {"serve", "--" + hush}, {"config", "check", "--secret=" + hush},
		{"config", "check", "--set", "xmpp.sercet=" + hush}, {"config", "check", "--set", hush + "=x"}, {"token", "revoke", "a", hush}} {
		all(t, strings.Join(args, " "), good, [][]string{args})
	}
	if tried < 1000 {
		t.Errorf("got %d outputs, want at least 1000", tried)
	}
}

// refusedAddresses are addresses that are right in form, at a port where nobody listens; PW is the password. Its form in a URL differs.
var refusedAddresses = []struct{ driver, dsn string }{
	{"mysql", "u:PW@tcp(127.0.0.1:1)/im"}, {"mysql", "u:PW@tcp(127.0.0.1:1,127.0.0.1:2)/im"}, {"mysql", "u@tcp(127.0.0.1:1)/im?password=PW"}, {"mariadb", "u:PW@tcp(127.0.0.1:1)/im"},
	{"mysql", "jdbc:mysql://127.0.0.1:1/im?user=u&password=PW"}, {"mysql", "jdbc:mariadb://127.0.0.1:1/im?user=u&password=PW"},
	{"sqlserver", "sqlserver://sa:PW@127.0.0.1:1?database=im"}, {"sqlserver", "sqlserver://127.0.0.1:1?database=im&user id=sa&password=PW"},
	{"sqlserver", "server=127.0.0.1,1;user id=sa;password={PW};database=im"}, {"sqlserver", "Data Source=127.0.0.1,1;Initial Catalog=im;Uid=sa;Pwd=PW"},
	{"sqlserver", "jdbc:sqlserver://127.0.0.1:1;databaseName=im;user=sa;password={PW}"}, {"sqlserver", "jdbc:jtds:sqlserver://127.0.0.1:1/im;user=sa;password=PW"},
	{"oracle", "oracle://u:PW@127.0.0.1:1/ORCL"}, {"oracle", "oracle://u:PW@127.0.0.1:1/?SID=ORCL"}, {"oracle", "u/PW@127.0.0.1:1/ORCL"}, {"oracle", "u/PW@//127.0.0.1:1/ORCL"},
	{"oracle", "jdbc:oracle:thin:u/PW@127.0.0.1:1:ORCL"}, {"oracle", "jdbc:oracle:thin:u/PW@//127.0.0.1:1/ORCL"}, {"oracle", "u/PW@(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT=1))(CONNECT_DATA=(SERVICE_NAME=im)))"},
	{"", "u:PW@tcp(127.0.0.1:1)/im"}, {"", "jdbc:mysql://127.0.0.1:1/im?user=u&password=PW"}, {"sqlserver", "u:PW@tcp(127.0.0.1:1)/im"}, {"oracle", "sqlserver://sa:PW@127.0.0.1:1?database=im"}, {"mysql", "u/PW@127.0.0.1:1/ORCL"},
}

// hushed are the passwords in refusedAddresses: of letters, with signs, and with each letter encoded, which drivers turn back.
func hushed() []string {
	var encoded strings.Builder
	for _, b := range []byte(hush) {
		fmt.Fprintf(&encoded, "%%%02X", b)
	}
	return []string{hush, "a b#" + hush + "%21!", encoded.String()}
}

// commandLines are all commands of the program that read its configuration, with what they ask for.
func commandLines(t *testing.T) (lines [][]string) {
	t.Helper()
	var walk func(cmd *cobra.Command, above []string)
	walk = func(cmd *cobra.Command, above []string) {
		use := strings.Fields(cmd.Use)
		line := append(slices.Clone(above), use[0])
		for _, sub := range cmd.Commands() {
			walk(sub, line)
		}
		if cmd.HasSubCommands() {
			return
		}
		switch strings.Join(line, " ") {
		case "completion", "version", "config import", "service install", "service remove": // the import has its own test
			return
		}
		for range use[1:] {
			line = append(line, "some")
		}
		lines = append(lines, line)
		for _, flag := range []string{"json", "yes", "shadow"} {
			if cmd.Flags().Lookup(flag) != nil {
				lines = append(lines, append(slices.Clone(line), "--"+flag))
			}
		}
	}
	for _, cmd := range rootCommand().Commands() {
		walk(cmd, nil)
	}
	if len(lines) < 25 {
		t.Fatalf("got %d command lines, want at least 25: %v", len(lines), lines)
	}
	return lines
}

// TestNoCommandShowsThePassword: whatever the engine and the form of its address, where the database does not answer no command shows the password,
// as it was written or as the driver understands it.
func TestNoCommandShowsThePassword(t *testing.T) {
	lines := commandLines(t)
	failed := map[string]bool{} // the commands that had to do with the database
	for i, address := range refusedAddresses {
		for j, password := range hushed() {
			if j > 0 && i%2 != j%2 { // the signs in one half of the forms, the encoded letters in the other
				continue
			}
			t.Run(fmt.Sprintf("%s %d, password %d", address.driver, i, j), func(t *testing.T) {
				dsn := strings.ReplaceAll(address.dsn, "PW", password)
				dir := t.TempDir()
				text, err := yaml.Marshal(map[string]any{"xmpp": map[string]any{"domain": "im.test", "secret": "s3cret", "server": "127.0.0.1:1"}, "shutdown_timeout": "1s", "http": map[string]any{"listen": "127.0.0.1:0"},
					"metrics": map[string]any{"listen": "127.0.0.1:0"}, "store": map[string]any{"driver": address.driver, "dsn": dsn, "max_wait": "100ms"}})
				if err != nil {
					t.Fatal(err)
				}
				file := write(t, dir, "tlim.yaml", string(text))
				for _, line := range lines {
					if j > 0 && slices.Contains(line, "--json") {
						continue
					}
					out := outputOf(t, file, line)
					if strings.Contains(out, hush) || strings.Contains(strings.ToUpper(out), strings.ToUpper(hushed()[2])) {
						t.Errorf("tlim %s with %s says\n%s\nwant no password in it", strings.Join(line, " "), dsn, out)
					}
					if strings.Contains(out, "refused") {
						failed[line[0]] = true
					}
				}
			})
		}
	}
	for _, command := range []string{"serve", "doctor", "selftest", "migrate", "cleanup", "users", "groups", "trace", "token", "keys"} {
		if !failed[command] {
			t.Errorf("tlim %s: got no refused connection in any output, want it to ask the database", command)
		}
	}
}

// outputOf runs a command with the configuration; serve is ended at once when it does start.
func outputOf(t *testing.T, file string, args []string) string {
	t.Helper()
	var out bytes.Buffer
	if args[0] != "serve" || len(args) > 1 {
		run(append(slices.Clone(args), "--config", file), &out, &out)
		return out.String()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	signals := make(chan os.Signal, 2)
	stop := time.AfterFunc(50*time.Millisecond, func() { signals <- syscall.SIGTERM })
	defer stop.Stop()
	done := make(chan error, 1) // serve's one result
	locked := &doubles.Log{}
	go func() { done <- serve(config.Sources{File: file}, locked, signals) }()
	select {
	case err := <-done:
		return fmt.Sprint(locked.String(), err)
	case <-ctx.Done():
		t.Fatalf("got no end of serve, want one within a minute:\n%s", locked.String())
		return ""
	}
}
