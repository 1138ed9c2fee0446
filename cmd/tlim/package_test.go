package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"tlim/cmd/tlim/config"
)

// The configuration of the packages has no fault but what an administrator has to fill in, and puts data where the unit lets it be written.
func TestPackagedConfiguration(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "tlim.yaml", readText(t, "../../deploy/package/tlim.yaml"))
	write(t, dir, "xmpp.secret", "")
	var problems config.Problems
	if _, _, err := config.Load(config.Sources{File: file}); !errors.As(err, &problems) || len(problems) != 3 ||
		!slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, "xmpp.domain") }) ||
		!slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, "xmpp.secret_file") }) {
		t.Errorf("as it is: got %q, want the domain, the secret and its empty file named", problems)
	}
	write(t, dir, "xmpp.secret", "hush\n")
	cfg, _, err := config.Load(config.Sources{File: file, Set: []string{"xmpp.domain=im.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	for key, path := range map[string]string{"store.dsn": cfg.Store.DSN.Reveal(), "http.key_file": string(cfg.HTTP.KeyFile), "files.dir": string(cfg.Files.Dir)} {
		if !strings.HasPrefix(path, "/var/lib/tlim/") {
			t.Errorf("%s is %s, want a place below /var/lib/tlim", key, path)
		}
	}
}

// Each variable of the compose file is a key of the configuration, and tlim starts with them.
func TestComposeConfiguration(t *testing.T) {
	dir := t.TempDir()
	var file struct {
		Services map[string]struct {
			Environment map[string]string `yaml:"environment"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal([]byte(readText(t, "../../deploy/package/compose.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	env := file.Services["tlim"].Environment
	if env["TLIM_XMPP_SECRET_FILE"] == "" {
		t.Fatal("got no secret file in the environment, want one")
	}
	env["TLIM_XMPP_SECRET_FILE"] = write(t, dir, "xmpp.secret", "hush\n") // where it is in the container there is nothing here
	for key, value := range env {
		t.Setenv(key, value)
	}
	cfg, _, err := config.Load(config.Sources{File: write(t, dir, "tlim.yaml", "")})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(cfg.XMPP.Server) != fmt.Sprint(config.Servers{env["TLIM_XMPP_SERVER"]}) || cfg.HTTP.Listen != env["TLIM_HTTP_LISTEN"] || cfg.Metrics.Listen != env["TLIM_METRICS_LISTEN"] {
		t.Errorf("got %v, %s, %s, want what the file says: %v", cfg.XMPP.Server, cfg.HTTP.Listen, cfg.Metrics.Listen, env)
	}
}

// youngerThan219 are options of units that tlim would need, were they used, and that systemd 219 does not have.
var youngerThan219 = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^(Load|Set)Credential`),
	regexp.MustCompile(`%[dVTCLSE]`),                 // specifiers
	regexp.MustCompile(`(?m)^SystemCallFilter=[^~]`), // of unknown groups nothing but execve and exit is allowed
	regexp.MustCompile(`(?m)^(DynamicUser|PrivateUsers|Type=(exec|notify-reload))`),
	regexp.MustCompile(`(?m)^(StandardOutput|StandardError)=(file|append|truncate):`),
	regexp.MustCompile(`(?m)^Exec\w+=[+!:]`),
}

func TestUnitWorksWithOldSystemd(t *testing.T) {
	unit := readText(t, "../../deploy/tlim.service")
	for _, option := range youngerThan219 {
		if found := option.FindString(unit); found != "" {
			t.Errorf("got %q in the unit, which systemd 219 does not know, want nothing that tlim needs and it lacks", found)
		}
	}
	if !strings.Contains(unit, "\nProtectSystem=full\nProtectSystem=strict\n") {
		t.Error("ProtectSystem: want full, which old versions know, before strict")
	}
	old := "LoadCredential=a:b\nEnvironment=A=%d/b\nSystemCallFilter=@system-service\n"
	for i, option := range youngerThan219[:3] {
		if !option.MatchString(old) {
			t.Errorf("option %d is not found in the unit of before, want it found", i)
		}
	}
}
