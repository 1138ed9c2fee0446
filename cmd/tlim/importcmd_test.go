package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlim/store"
)

// site is an openfire.xml of a site that the plugin served, with a password.
const site = `<?xml version="1.0" encoding="UTF-8"?>
<jive>
  <connectionProvider><className>org.jivesoftware.database.DefaultConnectionProvider</className></connectionProvider>
  <database><defaultProvider>
    <driver>com.mysql.jdbc.Driver</driver>
    <serverURL>jdbc:mysql://127.0.0.1:1/openfire?useUnicode=true&amp;characterEncoding=UTF-8</serverURL>
    <username>openfire</username><password>` + hush + `</password>
  </defaultProvider></database>
  <xmpp><domain>im.test</domain><component><defaultSecret>` + hush + `</defaultSecret></component></xmpp>
  <tlim><userAsync>false</userAsync><appKey>` + hush + `</appKey><masterSecret>` + hush + `</masterSecret><druid><testOnBorrow>true</testOnBorrow></druid></tlim>
</jive>
`

func TestImport(t *testing.T) {
	dir := t.TempDir()
	from, to := write(t, dir, "openfire.xml", site), filepath.Join(dir, "tlim.yaml")
	code, stdout, stderr := runCommand(t, "config", "import", from, "--output", to)
	if code != 0 || stderr != "" || strings.Contains(stdout, hush) || strings.Contains(stdout, "to do") || !strings.Contains(stdout, to+" is written, mode 0600") {
		t.Errorf("exit code %d\n%s%s\nwant 0, nothing to do and no secret", code, stdout, stderr)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: got %v %v, want mode 0600", info, err)
	}
	if code, stdout, stderr := runCommand(t, "config", "check", "--config", to); code != 0 {
		t.Errorf("config check: got the exit code %d, want 0\n%s%s\n%s", code, stdout, stderr, readText(t, to))
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".tlim-import-*")); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v %v, want nothing", left, err)
	}

	// what is there stays, unless it is said
	if err := os.WriteFile(to, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, stderr = runCommand(t, "config", "import", from, "--output", to)
	if code != exitUsage || !strings.Contains(stderr, "--force writes over it") || readText(t, to) != "mine" {
		t.Errorf("over a file: exit code %d, %s, and the file is %q; want %d and it as it was", code, stderr, readText(t, to), exitUsage)
	}
	code, stdout, stderr = runCommand(t, "config", "import", from, "--output", to, "--force")
	if info, err := os.Stat(to); code != 0 || err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(readText(t, to), "im.test") {
		t.Errorf("--force: exit code %d\n%s%s%v %v, want 0 and a new file of mode 0600", code, stdout, stderr, info, err)
	}
	code, _, stderr = runCommand(t, "config", "import", from, "--output", from, "--force")
	if code != exitFailed || !strings.Contains(stderr, "it is the file that is imported") || readText(t, from) != site {
		t.Errorf("over itself: exit code %d, %s; want %d and the file as it was", code, stderr, exitFailed)
	}
}

// Where the packages have their files, only one folder can be written by tlim.
func TestImportPutsData(t *testing.T) {
	dir := t.TempDir()
	embedded := "<jive><connectionProvider><className>org.jivesoftware.database.EmbeddedConnectionProvider</className></connectionProvider></jive>"
	for name, c := range map[string]struct {
		xml  string
		want []string
	}{
		"a server's database": {site, []string{"key_file: " + dir + "/data/tlim.key", "dir: " + dir + "/data/files", "dsn: openfire:" + hush}},
		"SQLite":              {embedded, []string{"key_file: " + dir + "/data/tlim.key", "dir: " + dir + "/data/files", "dsn: " + dir + "/data/tlim.db"}},
	} {
		t.Run(name, func(t *testing.T) {
			to := filepath.Join(dir, "tlim.yaml")
			code, stdout, stderr := runCommand(t, "config", "import", write(t, dir, "openfire.xml", c.xml), "--output", to, "--force", "--data", filepath.Join(dir, "data"))
			text := readText(t, to)
			for _, want := range c.want {
				if code != 0 || !strings.Contains(text, " "+want) {
					t.Errorf("exit code %d\n%s%s\n%s\nwant 0 and %q", code, stdout, stderr, text, want)
				}
			}
		})
	}
	for to, want := range map[string]string{"/etc/tlim/tlim.yaml": packagedData, "tlim.yaml": "", "/srv/tlim.yaml": ""} {
		if got := (importing{to: to}).dataFolder(); got != want {
			t.Errorf("written to %s: got data in %q, want %q", to, got, want)
		}
	}
}

// TestImportRefuses: what is wrong is one line, without a secret, and nothing is written.
func TestImportRefuses(t *testing.T) {
	dir := t.TempDir()
	from := write(t, dir, "openfire.xml", site)
	password := write(t, dir, "password", hush+"\n")
	encrypted := write(t, dir, "encrypted.xml", strings.NewReplacer("<password>", `<password encrypted="true">`).Replace(site))
	embedded := write(t, dir, "embedded.xml", "<jive><connectionProvider><className>org.jivesoftware.database.EmbeddedConnectionProvider</className></connectionProvider></jive>")
	to := filepath.Join(dir, "tlim.yaml")
	for name, c := range map[string]struct {
		args []string
		code int
		says string // a part of it
		made bool
	}{
		"no file named":        {nil, exitUsage, "wrong arguments; write: tlim config import OPENFIRE_XML [flags]", false},
		"two files":            {[]string{from, hush}, exitUsage, "wrong arguments", false},
		"no such file":         {[]string{dir + "/none.xml"}, exitUsage, dir + "/none.xml: no such file", false},
		"a folder":             {[]string{dir}, exitUsage, "is a directory", false},
		"no XML":               {[]string{password}, exitUsage, "it is no openfire.xml", false},
		"broken":               {[]string{write(t, dir, "broken.xml", strings.Replace(site, "</password>", "&"+hush+"</password>", 1))}, exitUsage, "broken.xml: is no XML in or near line 7", false},
		"an unknown engine":    {[]string{write(t, dir, "pg.xml", strings.Replace(site, "jdbc:mysql", "jdbc:postgresql", 1))}, exitUsage, "pg.xml: serverURL is of a database called postgresql", false},
		"an unknown flag":      {[]string{from, "--output_file=" + hush}, exitUsage, "unknown flag", false},
		"a configuration":      {[]string{from, "--config", from}, exitUsage, "--output names the file", false},
		"a key":                {[]string{from, "--set", "xmpp.domain=im.test"}, exitUsage, "--output names the file", false},
		"a user alone":         {[]string{from, "--user", "u"}, exitUsage, "go together", false},
		"no password file":     {[]string{from, "--user", "u", "--password-file", hush}, exitUsage, "--password-file: there is no such file in the folder", false},
		"two passwords":        {[]string{from, "--user", "u", "--password-file", from}, exitUsage, "more than one line; a secret is one line", false},
		"no folder":            {[]string{from, "--output", dir + "/none/tlim.yaml"}, exitFailed, "write " + dir + "/none/tlim.yaml: no such file", false},
		"the database is away": {[]string{from, "--db"}, exitFailed, "nothing is written. Remedy: see that host and port of serverURL are those of a mysql database", false},
		"encrypted":            {[]string{encrypted}, 0, "to do: openfire.xml has user or password of it encrypted", true},
		"encrypted, --db":      {[]string{encrypted, "--db"}, 0, "the database was not read: user and password of the database are not known: give --user and --password-file", true},
		"a password in GBK":    {[]string{encrypted, "--user", "u", "--password-file", write(t, dir, "gbk", "\xc3\xdc\xc2\xeb"+hush)}, exitUsage, "--password-file " + dir + "/gbk: the file holds bytes that are no UTF-8", false},
		"a user in GBK":        {[]string{encrypted, "--user", "u\xff", "--password-file", password}, exitUsage, "--user holds a control character, or bytes that are no UTF-8", false},
		"a URL in GBK":         {[]string{write(t, dir, "url.xml", strings.Replace(site, "/openfire?", "/openfire?user=u&amp;password="+hush+"%C3%DC&amp;", 1))}, 0, "is written", true},
		"a URL in GBK alone":   {[]string{write(t, dir, "url2.xml", strings.NewReplacer("/openfire?", "/openfire?user=u&amp;password="+hush+"%C3%DC&amp;", "<username>openfire</username><password>"+hush+"</password>", "").Replace(site))}, exitUsage, "holds bytes that are no UTF-8", false},
		"a password's folder":  {[]string{from, "--user", "u", "--password-file", dir}, exitUsage, "--password-file " + dir + ": is a directory", false},
		"a UTF-16 password":    {[]string{encrypted, "--user", "u", "--password-file", write(t, dir, "wide", "\xff\xfep\x00w\x00\r\x00\n\x00")}, 0, "is written", true},
		"a broken key":         {[]string{write(t, dir, "colon.xml", strings.Replace(site, "<appKey>", "<appKey>aaaa: ", 1))}, 0, "to do: push.jpush.app_key: holds a colon", true},
		"no name":              {[]string{from, "--output="}, exitUsage, "--output has no name of a file", false},
		"standard output":      {[]string{from, "--output=-"}, exitUsage, "write ./- for a file of this name", false},
		"a login":              {[]string{encrypted, "--user", "u", "--password-file", password}, 0, "is written", true},
		"embedded, --db":       {[]string{embedded, "--db"}, 0, "the database was not read: the embedded database of Openfire cannot be read by another process", true},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"config", "import"}, c.args...)
			if !strings.Contains(strings.Join(args, " "), "--output") {
				args = append(args, "--output", to)
			}
			code, stdout, stderr := runCommand(t, args...)
			if said := stdout + stderr; code != c.code || !strings.Contains(said, c.says) || strings.Contains(said, hush) {
				t.Errorf("exit code %d, %s\nwant %d, %q and no secret", code, said, c.code, c.says)
			}
			if !c.made && strings.Count(stderr, "\n") != 1 {
				t.Errorf("got %q, want one line", stderr)
			}
			if err := os.Remove(to); (err == nil) != c.made {
				t.Errorf("the file: %v; written: want %v", err, c.made)
			}
		})
	}
}

// TestImportShowsNoSecret: whatever stands in openfire.xml in the place of a password, the terminal shows nothing of it.
func TestImportShowsNoSecret(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "tlim.yaml")
	tried := 0
	for _, inside := range []string{"%", "a%", "%@b", "%/b", "a:%", "a#%", "%%zz", "a;%", "'%", "&quot;%", "a&lt;%", "{%}", "密%码", "a：%", "<![CDATA[%<&]]>", "<b>%</b>", "<%>x</%>", "&%;", "<", "%\x01", "\n%\n"} {
		text := strings.ReplaceAll(inside, "%", hush)
		for _, place := range []string{"<password>", "<username>", "<defaultSecret>", "<appKey>", "<driver>", "<serverURL>", "<domain>", "jdbc:", "jdbc:mysql://", "127.0.0.1", "/openfire", "/openfire?", "Encoding=",
			"<testOnBorrow>", "<testOnBorrow", "<druid>", "<tlim>", "<jive>", "<?xml", "<"} {
			before, after, found := strings.Cut(site, place)
			if !found {
				t.Fatalf("got no %s in the file, want it there", place)
			}
			from := write(t, dir, "openfire.xml", before+place+text+after)
			for _, more := range [][]string{nil, {"--db"}} {
				if more != nil && (place == "jdbc:mysql://" || place == "127.0.0.1") {
					continue // it is the host's name then, and looked up
				}
				tried++
				_, stdout, stderr := runCommand(t, append([]string{"config", "import", from, "--output", to, "--force"}, more...)...)
				if strings.Contains(stdout+stderr, hush) {
					t.Errorf("%s behind %s %s: got, with the secret,\n%s%s\nwant no secret", inside, place, more, stdout, stderr)
				}
			}
		}
	}
	if tried < 700 {
		t.Errorf("%d files were tried, want at least 700", tried)
	}
}

// TestImportTargets: what is no plain file is left as it is, with and without --force.
func TestImportTargets(t *testing.T) {
	dir := t.TempDir()
	from := write(t, dir, "openfire.xml", site)
	other := write(t, dir, "other", "mine")
	for name, c := range map[string]struct {
		made func(path string) error
		says string
	}{
		"link":          {func(path string) error { return os.Symlink(other, path) }, "link is a symbolic link to " + other},
		"dangling link": {func(path string) error { return os.Symlink(dir+"/none", path) }, "is a symbolic link to " + dir + "/none"},
		"folder":        {func(path string) error { return os.Mkdir(path, 0o700) }, "is a folder: --output has to name a file, like " + dir + "/folder/tlim.yaml"},
		"socket": {func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err
		}, "is a device, a pipe or a socket"},
	} {
		t.Run(name, func(t *testing.T) {
			to := filepath.Join(dir, name)
			if err := c.made(to); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(to)
			if err != nil {
				t.Fatal(err)
			}
			for _, more := range [][]string{nil, {"--force"}} {
				t.Run(fmt.Sprint("with ", more), func(t *testing.T) {
					code, stdout, stderr := runCommand(t, append([]string{"config", "import", from, "--output", to}, more...)...)
					after, err := os.Lstat(to)
					if code != exitUsage || !strings.Contains(stderr, c.says) || strings.Contains(stderr, "--force writes") || err != nil || !os.SameFile(before, after) {
						t.Errorf("%s: got the exit code %d, %s%s, %v %v; want %d, %q and it as it was", more, code, stdout, stderr, after, err, exitUsage, c.says)
					}
				})
			}
		})
	}
	if got := readText(t, other); got != "mine" {
		t.Errorf("what the link names: got %q, want it as it was", got)
	}
	if code, _, stderr := runCommand(t, "config", "import", dir+"/socket"); code != exitUsage || !strings.Contains(stderr, "is a device, a pipe or a socket") {
		t.Errorf(`import of a socket: got the exit code %d, %s, want %d and "is a device, a pipe or a socket"`, code, stderr, exitUsage)
	}
	if code, stdout, _ := runCommand(t, "config", "import", "--help"); code != 0 || strings.Contains(stdout, "--set") || !strings.Contains(stdout, "--output") {
		t.Errorf("--help: exit code %d\n%s\nwant its own flags alone", code, stdout)
	}
}

// TestImportUnread: each reason why the database cannot be read has its remedy, and no text reads as if the file was written.
func TestImportUnread(t *testing.T) {
	late, cancel := context.WithTimeoutCause(t.Context(), 0, noAnswer(10*time.Second))
	defer cancel()
	<-late.Done()
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want string
	}{
		"login of mysql":     {t.Context(), errors.New("open the mysql database: Error 1045 (28000): Access denied for user 'u'@'h'"), "a user who may log in from this host and SELECT"},
		"login of sqlserver": {t.Context(), errors.New("login error: Login failed for user 'sa'"), "a user who may log in from this host and SELECT"},
		"no tables":          {t.Context(), fmt.Errorf("%w: no table", store.ErrSchema), "the database in which Openfire has its tables"},
		"another server":     {t.Context(), errors.New("invalid packet size, it is shorter than header size"), "those of a mysql database"},
		"no answer":          {late, errors.New("invalid connection"), "the mysql database: no answer within 10s; nothing is written. Remedy: see that host and port"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := unread(c.ctx, "mysql", c.err).Error(); !strings.Contains(got, c.want) || !strings.Contains(got, "nothing is written") || !strings.Contains(got, "leave --db away") {
				t.Errorf("of %v: got %q, want %q, that nothing is written and the way without --db in it", c.err, got, c.want)
			}
		})
	}
}

// TestImportWaits: what listens and says nothing ends within the time that is said.
func TestImportWaits(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	dir := t.TempDir()
	for name, url := range map[string]string{"mysql": "jdbc:mysql://" + l.Addr().String() + "/openfire", "sqlserver": "jdbc:sqlserver://" + l.Addr().String() + ";databaseName=openfire"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := write(t, dir, name+".xml", strings.Replace(site, "jdbc:mysql://127.0.0.1:1/openfire?useUnicode=true&amp;characterEncoding=UTF-8", url, 1))
			begin := time.Now()
			err := importConfig(t.Context(), io.Discard, importing{from: from, to: filepath.Join(dir, name+".yaml"), db: true, wait: 300 * time.Millisecond})
			if took := time.Since(begin); !strings.Contains(fmt.Sprint(err), "the "+name+" database: no answer within 300ms; nothing is written") || took > 30*time.Second {
				t.Errorf("after %s: got %v, want no answer of the %s database within 300ms told, at most 30 s later", took, err, name)
			}
		})
	}
}
