package system

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"tlim/scripts/lab"
)

// encryptedList is what Openfire's own installation has in conf/security.xml.
const encryptedList = `<security><encrypt><algorithm>Blowfish</algorithm><key><current/></key><property>
	<name>database.defaultProvider.username</name><name>database.defaultProvider.password</name></property></encrypt></security>`

// TestImport makes a configuration of what a started Openfire has written, in plain and then encrypted by itself, and serves with it.
func TestImport(t *testing.T) {
	t.Parallel() // it waits for most of its time
	server := must[*lab.Server](t)(lab.StartOpenfire(within(t, patience), lab.Options{Dir: t.TempDir(), DB: "mariadb",
		Users: map[string]string{"zhangsan": password("zhangsan")}, Properties: map[string]string{"tlim.cleanUp": "true", "tlim.druid.maxActive": "40", "tlim.nettyServer": "false"}}))
	t.Cleanup(func() { check(t, server.Stop()) })
	login := must[*mysql.Config](t)(mysql.ParseDSN(server.DSN))
	binary, dir := must[string](t)(lab.Build(within(t, time.Minute))), t.TempDir()
	tlim := func(args ...string) (string, error) {
		t.Helper()
		out, err := exec.CommandContext(within(t, time.Minute), binary, args...).CombinedOutput()
		for _, secret := range []string{server.Secret, login.Passwd} {
			if strings.Contains(string(out), secret) {
				t.Errorf("tlim %s shows a secret, want none:\n%s", args[1], out)
			}
		}
		return string(out), err
	}
	from, to := filepath.Join(server.Dir, "conf", "openfire.xml"), filepath.Join(dir, "tlim.yaml")
	imported := func(what string, more ...string) string {
		t.Helper()
		out, err := tlim(append([]string{"config", "import", from, "--output", to, "--force"}, more...)...)
		if err != nil {
			t.Fatalf("%s: config import says %v, want no error\n%s", what, err, out)
		}
		return out
	}
	fit := func(what string) string {
		t.Helper()
		if out, err := tlim("config", "check", "--config", to); err != nil {
			t.Errorf("%s: config check says %v, want no error\n%s", what, err, out)
		}
		return string(must[[]byte](t)(os.ReadFile(to)))
	}

	if out := imported("in plain", "--db"); strings.Contains(out, "to do:") {
		t.Errorf("in plain: %s\nwant nothing to do", out)
	}
	made := fit("in plain")
	for _, want := range []string{"server: " + server.Component + "\n", "domain: " + server.Domain + "\n", "secret: " + server.Secret + "\n", "enabled: true\n", "max_open: 40\n", "# - tlim.nettyServer: ", "driver: mysql\n"} {
		if !strings.Contains(made, want) {
			t.Errorf("got\n%s\nwant %q in it", made, want)
		}
	}
	// It is one that serves.
	running := must[*lab.Tlim](t)(lab.StartTlim(within(t, patience), lab.TlimOptions{Dir: t.TempDir(), YAML: made}))
	check(t, running.Stop())

	check(t, os.WriteFile(filepath.Join(server.Dir, "conf", "security.xml"), []byte(encryptedList), 0o600))
	check(t, server.Restart(within(t, patience)))
	if text := string(must[[]byte](t)(os.ReadFile(from))); strings.Contains(text, login.Passwd) {
		t.Fatalf("Openfire has left the password in plain, want it encrypted:\n%s", text)
	}
	out := imported("encrypted", "--db")
	if _, err := tlim("config", "check", "--config", to); err == nil || !strings.Contains(out, "to do: openfire.xml has user or password of it encrypted") {
		t.Errorf("encrypted: %s\nconfig check says %v; want that the login is missing", out, err)
	}
	secret := filepath.Join(dir, "password")
	check(t, os.WriteFile(secret, []byte(login.Passwd+"\n"), 0o600))
	imported("with a login", "--db", "--user", login.User, "--password-file", secret)
	if again := fit("with a login"); !strings.Contains(again, login.Passwd+"@tcp("+login.Addr+")/"+login.DBName) || !strings.Contains(again, "domain: "+server.Domain+"\n") {
		t.Errorf("with a login: got\n%s\nwant the database and the domain", again)
	}
}
