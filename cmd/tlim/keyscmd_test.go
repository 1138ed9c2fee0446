package main

import (
	"encoding/json"
	"os/user"
	"strings"
	"testing"

	"tlim/store"
)

// TestKeysCommands: keys are made, listed and ended on the database of a process that serves, under names of their own, and the audit
// log says by whom.
func TestKeysCommands(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "tlim.yaml", "http: {keys: [{name: root, key: admin-key-0123456789, scopes: [admin]}]}\n")
	keys := func(args ...string) (int, string, string) {
		t.Helper()
		return runCommand(t, append(append([]string{"keys"}, args...), "--config", config)...)
	}
	if code, _, errs := keys("new", "oa"); code != exitFailed || !strings.Contains(errs, "tlim.db: no such file") {
		t.Errorf(`without a database: got %d %s, want %d and "tlim.db: no such file"`, code, errs, exitFailed)
	}
	db := openStore(t, dir)

	code, secret, errs := keys("new", "oa")
	if code != 0 || len(strings.TrimSpace(secret)) < 26 || errs != "" {
		t.Fatalf("got %d %q %s, want 0 and a secret alone", code, secret, errs)
	}
	code, out, errs := keys("new", "OA-系统", "--scopes", "admin,business", "--rate", "2.5", "--json")
	var made struct {
		Name, Secret string
		Scopes       []string
		Rate         float64
	}
	if err := json.Unmarshal([]byte(out), &made); code != 0 || err != nil || made.Name != "OA-系统" || len(made.Secret) < 26 || len(made.Scopes) != 2 || made.Rate != 2.5 {
		t.Errorf("got %d %s %s, %v, want the key as JSON", code, out, errs, err)
	}
	for what, c := range map[string]struct {
		args []string
		code int
		errs string
	}{
		"a name twice":         {[]string{"new", "oa"}, exitFailed, "there is, or was, a key named oa"},
		"the configuration's":  {[]string{"new", "root"}, exitFailed, "the configuration has a key named root (http.keys[0])"},
		"a reserved name":      {[]string{"new", "anonymous"}, exitUsage, "none of anonymous and user"},
		"a blank":              {[]string{"new", "a b"}, exitUsage, "no blanks"},
		"too long":             {[]string{"new", strings.Repeat("长", 65)}, exitUsage, "up to 64 characters"},
		"no scope":             {[]string{"new", "x", "--scopes", "root"}, exitUsage, "--scopes is"},
		"a rate below nothing": {[]string{"new", "x", "--rate", "-1"}, exitUsage, "--rate is"},
		"no rate":              {[]string{"new", "x", "--rate", "NaN"}, exitUsage, "--rate is"},
		"no name":              {[]string{"new"}, exitUsage, "wrong arguments"},
		"end of nothing":       {[]string{"end", "nobody"}, exitFailed, "there is no key named nobody"},
		"end, configuration's": {[]string{"end", "root"}, exitFailed, "is the configuration's (http.keys[0])"},
	} {
		t.Run(what, func(t *testing.T) {
			if code, out, errs := keys(c.args...); code != c.code || out != "" || !strings.Contains(errs, c.errs) {
				t.Errorf("got %d %q %s, want %d, nothing, %q", code, out, errs, c.code, c.errs)
			}
		})
	}
	if code, out, errs := keys("end", "oa"); code != 0 || out != "the key oa has ended\n" {
		t.Errorf("got %d %s %s, want it ended", code, out, errs)
	}
	if code, out, _ := keys("end", "oa"); code != 0 || !strings.HasPrefix(out, "the key oa had ended already, ") {
		t.Errorf("again: got %d %s, want it to say so", code, out)
	}
	code, out, errs = keys("list")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 4 || !strings.HasPrefix(lines[1], "root ") || !strings.Contains(lines[2], "ended ") || !strings.Contains(lines[3], "admin,business  2.5") {
		t.Errorf("got %d\n%s%s, want the configuration's, the one that ended and the other", code, out, errs)
	}
	var list []struct {
		Name, Source string
		InUse        bool `json:"in_use"`
	}
	code, out, _ = keys("list", "--json")
	if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil || len(list) != 3 || list[0].Source != "config" || list[1].InUse || !list[2].InUse {
		t.Errorf("got %d %s, %v, want the three", code, out, err)
	}
	for _, secret := range []string{"admin-key-0123456789", strings.TrimSpace(secret), made.Secret} {
		if strings.Contains(out, secret) {
			t.Error("got a secret in the list, want none")
		}
	}

	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	events, err := db.AuditEvents(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, e := range events {
		what = append(what, e.What+" "+e.Target+" "+e.Outcome)
		if e.Who != who.Username || e.Address != store.CommandLine {
			t.Errorf("got %+v, want it by %s of the command line", e, who.Username)
		}
	}
	if got, want := strings.Join(what, ", "), "keys/end oa done, keys/new OA-系统 done, keys/new oa done"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestKeysOfRobots: a key that is made on the command line can have a robot, which is no person and of which all keys say the same.
func TestKeysOfRobots(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "tlim.yaml", "http: {keys: [{name: root, key: admin-key-0123456789, scopes: [admin], robot: {id: alarm-bot, name: 告警}}]}\n")
	keys := func(args ...string) (int, string, string) {
		t.Helper()
		return runCommand(t, append(append([]string{"keys"}, args...), "--config", config)...)
	}
	db, epoch := ledStore(t, dir)
	if err := db.Apply(t.Context(), epoch, store.Positions{}, []store.Change{{Users: []store.User{{ID: "LiSi", JID: "lisi", Name: "李四"}}}}); err != nil {
		t.Fatal(err)
	}

	code, out, errs := keys("new", "oa", "--robot-id", "oa-bot", "--robot-name", "办公", "--json")
	var made struct {
		Robot string `json:"robot_id"`
	}
	if err := json.Unmarshal([]byte(out), &made); code != 0 || err != nil || made.Robot != "oa-bot" {
		t.Errorf("got %d %s %s, %v, want a key with its robot", code, out, errs, err)
	}
	if code, _, errs := keys("new", "oa-2", "--robot-id", "oa-bot", "--robot-name", "办公"); code != 0 {
		t.Errorf("the same robot: got %d %s, want another key", code, errs)
	}
	for what, c := range map[string]struct {
		args []string
		code int
		errs string
	}{
		"a person's id":             {[]string{"--robot-id", "lisi"}, exitFailed, "the directory has a user LiSi"},
		"another name":              {[]string{"--robot-id", "oa-bot", "--robot-name", "x"}, exitFailed, "declares the robot oa-bot otherwise (办公)"},
		"another spelling":          {[]string{"--robot-id", "OA-Bot", "--robot-name", "办公"}, exitFailed, "declares the robot oa-bot otherwise"},
		"the configuration's":       {[]string{"--robot-id", "alarm-bot"}, exitFailed, "the key root declares the robot alarm-bot otherwise (告警)"},
		"a name alone":              {[]string{"--robot-name", "x"}, exitUsage, "a robot needs an id"},
		"admin":                     {[]string{"--robot-id", "admin"}, exitUsage, "no robot can have it"},
		"no address":                {[]string{"--robot-id", " x"}, exitUsage, "cannot be part of an address"},
		"longer than what is shown": {[]string{"--robot-id", "b", "--robot-name", strings.Repeat("长", 65)}, exitUsage, "longer than 64 characters"},
	} {
		t.Run(what, func(t *testing.T) {
			if code, out, errs := keys(append([]string{"new", "refused"}, c.args...)...); code != c.code || out != "" || !strings.Contains(errs, c.errs) {
				t.Errorf("got %d %q %s, want %d, nothing, %q", code, out, errs, c.code, c.errs)
			}
		})
	}
	kept, err := db.Keys(t.Context())
	if err != nil || len(kept) != 2 || kept[0].RobotID != "oa-bot" || kept[0].RobotName != "办公" || kept[1].RobotID != "oa-bot" {
		t.Errorf("got %+v, %v, want the two keys with their robot", kept, err)
	}
	if code, out, errs := keys("list"); code != 0 || strings.Count(out, " oa-bot ") != 2 || strings.Count(out, " alarm-bot ") != 1 {
		t.Errorf("got %d %s%s, want each key's robot", code, out, errs)
	}
}
