package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tlim/httpapi"
	"tlim/scripts/lab"
	"tlim/store"
)

// onDatabases runs a test beside a process that serves from the same database: db is its store, config the file that both read.
func onDatabases(t *testing.T, test func(t *testing.T, db *store.Store, epoch int64, config string)) {
	begin := func(t *testing.T, cfg store.Config, yaml string) {
		db, err := store.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		state, err := db.TakeOver(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		test(t, db, state.Epoch, yaml)
	}
	t.Run("sqlite", func(t *testing.T) {
		dir := t.TempDir()
		begin(t, store.Config{DSN: filepath.Join(dir, "tlim.db")}, write(t, dir, "tlim.yaml", ""))
	})
	t.Run("mysql", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), testTime)
		defer cancel()
		server, err := lab.StartMariaDB(ctx, lab.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		})
		begin(t, store.Config{Driver: "mysql", DSN: server.DSN}, write(t, t.TempDir(), "tlim.yaml", "store: {driver: mysql, dsn: '"+server.DSN+"'}\n"))
	})
}

func TestTraceAndDryRun(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *store.Store, epoch int64, config string) {
		t.Run("trace", func(t *testing.T) { traces(t, db, epoch, config) })
		t.Run("dry run", func(t *testing.T) { dryRuns(t, db, epoch, config) })
	})
}

// TestTraceOfForeignRows: nobody is told that a row of another program will be delivered.
func TestTraceOfForeignRows(t *testing.T) {
	state := store.State{Clock: traceTime, Delivered: traceTime - 5, Settled: traceTime - 5}
	for at, want := range map[string]string{"2018-12-12 16:13:13": "not known", "": "not known", fmt.Sprint(traceTime + 1): "not known", "99999999999999999999": "not known",
		fmt.Sprint(traceTime): "not proved yet", fmt.Sprint(traceTime - 5): "yes"} {
		t.Run(fmt.Sprintf("%q", at), func(t *testing.T) {
			var out strings.Builder
			v := httpapi.NewTraced(store.Trace{MsgID: "m", State: state, Messages: []store.Message{{MsgID: "m", Time: at}}}, false)
			if err := printTrace(&out, v); err != nil || !regexp.MustCompile(`(?m)^routed +`+want).MatchString(out.String()) {
				t.Errorf("got %v\n%swant %s", err, &out, want)
			}
		})
	}
}

const traceTime = 1_700_000_000_123

func traces(t *testing.T, db *store.Store, epoch int64, config string) {
	const secret = "what people wrote"
	m := store.Message{ID: "row1", MsgID: "m1", Type: "MTT-000", From: "zhangsan", To: "lisi", Time: fmt.Sprint(traceTime), Body: `[{"text":"` + secret + `"}]`, SessionID: "zhangsan"}
	other := m
	other.ID, other.MsgID, other.Time = "row2", "late\x1b[2J", fmt.Sprint(traceTime+5000)
	receipts := []store.Receipt{{ID: "r1", MsgID: "m1", Sender: "zhangsan", Reader: "lisi", Status: 2}}
	for i := range httpapi.MaxTraceRows + 1 {
		receipts = append(receipts, store.Receipt{ID: fmt.Sprint("many", i), MsgID: other.MsgID, Sender: "zhangsan", Reader: fmt.Sprint("u", i), Status: 1})
	}
	err := db.Apply(t.Context(), epoch, store.Positions{Clock: traceTime + 9000, Delivered: traceTime + 1, Settled: traceTime - 1}, []store.Change{
		{Message: &m, IDs: []store.ID{{MsgID: "m1", Class: store.ClassMessage, From: "zhangsan", Conversation: "lisi zhangsan", Time: m.Time, State: store.Live}},
			Receipts: receipts, Offline: []store.OfflineMessage{{Message: m, Owner: "lisi", Status: 1}}, FileUses: []store.FileUse{{FileID: strings.Repeat("a", 32), MsgID: "m1"}},
			Pushes: []store.Push{{ID: "p1", Channel: "jpush", MsgID: "m1", Type: "MTT-000", Title: "T", Alert: "Zhangsan:" + secret, Made: traceTime, Due: traceTime + 10, Done: true, Outcome: "sent",
				To: []store.PushTo{{User: "lisi", Code: "registration-id"}, {User: "wangwu", Code: "x", Outcome: "dead"}}},
				{ID: "p2", Channel: "webhook", MsgID: "m1", Type: "MTT-000", Alert: secret, Made: traceTime, Due: traceTime + 2000, Tries: 3, To: []store.PushTo{{User: "lisi", Code: "x"}}}}},
		{Message: &other},
		{SetIDs: []store.ID{{MsgID: "gone", Class: store.ClassMessage, From: "lisi", Conversation: "lisi zhangsan", Time: m.Time, State: store.Revoked}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(args ...string) (string, string) {
		t.Helper()
		code, out, errs := runCommand(t, append([]string{"trace", "--config", config}, args...)...)
		if code != 0 || errs != "" {
			t.Errorf(`%q: got %d %s, want 0 and no errors`, args, code, errs)
		}
		return out, regexp.MustCompile(` +`).ReplaceAllString(regexp.MustCompile(`\d{4}-\d\d-\d\d [0-9:.]+ [-+]\d{4} `).ReplaceAllString(out, ""), " ")
	}
	_, out := ask("m1")
	want := `message m1
stored (1700000000123), MTT-000 from zhangsan to lisi, session zhangsan, 30 bytes, row row1
routed yes; some phone has not confirmed it yet
remembered message, live, (1700000000123) by zhangsan in "lisi zhangsan"
offline row for lisi, status 1, row row1
receipt read by lisi, status 2, of zhangsan
push jpush to lisi: sent, made (1700000000123), done (1700000000133), 0 failed
push jpush to wangwu: dead, made (1700000000123), done (1700000000133), 0 failed
push webhook to lisi: waits, made (1700000000123), due (1700000002123), 3 failed
file aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
`
	lines := func(text string) map[string]bool { // pushes come in no order
		set := map[string]bool{}
		for line := range strings.Lines(text) {
			set[line] = true
		}
		return set
	}
	if fmt.Sprint(lines(out)) != fmt.Sprint(lines(want)) {
		t.Errorf("\n%s\nwant\n%s", out, want)
	}
	if full, _ := ask("m1"); !strings.Contains(full, time.UnixMilli(traceTime).Format("2006-01-02 15:04:05.000")) {
		t.Errorf("got %s, want the time in it", full)
	}
	for _, args := range [][]string{{"m1"}, {"m1", "--json"}} {
		if full, _ := ask(args...); strings.Contains(full, secret) || strings.Contains(full, "registration-id") {
			t.Errorf("%q shows what was written, or a device: got %s, want full without %q, without registration-id", args, full, secret)
		}
	}
	if full, _ := ask("m1", "--body"); strings.Count(full, secret) != 3 {
		t.Errorf("--body: got %s, want 3 times %q", full, secret)
	}
	full, _ := ask("m1", "--json", "--body")
	var v httpapi.Traced
	if err := json.Unmarshal([]byte(full), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Messages) != 1 || v.Messages[0].Body != m.Body || !v.Messages[0].Routed || v.Messages[0].Settled || len(v.Pushes) != 2 || len(v.Receipts) != 1 ||
		v.Offline[0] != (httpapi.TracedOffline{User: "lisi", Status: 1, Row: "row1"}) || v.Remembered[0].State != "live" || len(v.Files) != 1 || len(v.Cut) != 0 {
		t.Errorf("got %s\nwant the message routed and not settled, 2 pushes, 1 receipt, lisi's row in the queue, 1 live id, 1 file and nothing cut", full)
	}

	out, _ = ask("late\x1b[2J")
	if !strings.Contains(out, "not proved yet") || !strings.Contains(out, "only the first 1000 of receipts") || strings.Contains(out, "\x1b") || strings.Count(out, "read by") != httpapi.MaxTraceRows {
		t.Errorf(`got %.600s, want "not proved yet" and "only the first 1000 of receipts" in it, no %q, and %v times "read by"`, out, "\x1b", httpapi.MaxTraceRows)
	}
	_, out = ask("gone")
	if !strings.Contains(out, "stored no: revoked, removed or cleaned up") || !strings.Contains(out, "remembered message, revoked, ") {
		t.Errorf(`revoked: got %s, want "stored      no: revoked, removed or cleaned up" and "remembered  message, revoked, " in it`, out)
	}
	full, _ = ask("gone", "--json")
	if !strings.Contains(full, `"messages": []`) || !strings.Contains(full, `"pushes": []`) {
		t.Errorf("revoked: got %s, want full with %q, with %q", full, `"messages": []`, `"pushes": []`)
	}

	for _, id := range []string{"never", "M1", "m1 ", "m%", "' OR 1=1 --", "😀"} {
		t.Run(fmt.Sprintf("%q", id), func(t *testing.T) {
			if code, out, errs := runCommand(t, "trace", id, "--config", config); code != exitFailed || out != "" || !strings.Contains(errs, "nothing is known of") {
				t.Errorf(`got %d, output %q, errors %q, want %d, no output, "nothing is known of"`, code, out, errs, exitFailed)
			}
		})
	}
	for _, args := range [][]string{{}, {"a", "b"}, {""}, {"m1", "--yaml"}} {
		t.Run(fmt.Sprintf("%q", args), func(t *testing.T) {
			if code, _, errs := runCommand(t, append([]string{"trace", "--config", config}, args...)...); code != exitUsage || errs == "" {
				t.Errorf("got %d, errors %q, want %d, an error", code, errs, exitUsage)
			}
		})
	}
}

func dryRuns(t *testing.T, db *store.Store, epoch int64, config string) {
	now := time.Now()
	var changes []store.Change
	for i, days := range []int{100, 50, 20, 0} {
		at := fmt.Sprint(now.AddDate(0, 0, -days).UnixMilli() - 60_000)
		m := store.Message{ID: fmt.Sprint("old", i), MsgID: fmt.Sprint("old", i), Type: "MTT-000", From: "zhangsan", To: "lisi", Time: at, SessionID: "zhangsan"}
		changes = append(changes, store.Change{Message: &m, IDs: []store.ID{{MsgID: m.MsgID, Class: store.ClassMessage, Time: at, State: store.Live}},
			Offline: []store.OfflineMessage{{Message: m, Owner: "lisi"}}, Formers: []store.Former{{SessionID: "g", UserID: m.MsgID, Time: at}}})
		if err := db.AddFile(t.Context(), store.File{ID: fmt.Sprintf("%032d", i), Time: at}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.AddAudit(t.Context(), store.AuditEvent{ID: "long ago", Time: now.AddDate(0, 0, -401).UnixMilli(), What: "keys/new", Outcome: store.AuditDone}); err != nil {
		t.Fatal(err)
	}
	odd := store.Message{ID: "odd", MsgID: "odd", Time: "gestern"}
	changes = append(changes, store.Change{Message: &odd, Offline: []store.OfflineMessage{{Message: odd, Owner: "lisi"}}})
	end := now.UnixMilli()
	if err := db.Apply(t.Context(), epoch, store.Positions{Clock: end, Delivered: end, Settled: end}, changes); err != nil {
		t.Fatal(err)
	}
	code, out, errs := runCommand(t, "cleanup", "dry-run", "--config", config)
	want := `TABLE            KEPT              WOULD GO  LEFT ALONE
ofmessage        30 days           4         1
ofstatus         with the message  1002      0
ofcustomoffline  for ever          0         0
tlim_id          30 days           4         0
tlim_former      24 hours          3         0
tlim_file        for ever          0         0
tlim_audit       400 days          1         0

left alone: msg_time is no 13-digit number, or is yet to come, so that nobody can say how old the row is

cleanup.enabled is false: nothing of this is removed, but by tlim cleanup run
`
	if code != 0 || out != want || errs != "" {
		t.Errorf("%d\n%s\n%s\nwant\n%s", code, out, errs, want)
	}
	code, out, errs = runCommand(t, "cleanup", "dry-run", "--json", "--config", config, "--set", "cleanup.enabled=true", "--set", "cleanup.days=0", "--set", "cleanup.offline_days=60", "--set", "cleanup.files_days=10", "--set", "cleanup.ids=0")
	var v struct {
		Enabled bool
		Tables  []cleanedTable
	}
	if err := json.Unmarshal([]byte(out), &v); code != 0 || err != nil || errs != "" || !v.Enabled {
		t.Fatalf(`got %d %v %s %s, want 0, no error, nothing on the error output, and the cleaning enabled`, code, err, out, errs)
	}
	if got, want := fmt.Sprint(v.Tables), "[{ofmessage for ever 0 0} {ofstatus with the message 0 0} {ofcustomoffline 60 days 2 1} {tlim_id for ever 0 0} {tlim_former 24 hours 3 0} {tlim_file 10 days 3 0} {tlim_audit 400 days 1 0}]"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	// It changed nothing.
	if left, err := db.MessagesAfter(t.Context(), "", "", 100); err != nil || len(left) != 6 {
		t.Errorf("%d messages are left: %v, want 6 left, no error", len(left), err)
	}
	// What it counted goes by the run, once; and the audit log has both.
	nobody := []string{"--config", config, "--set", "http.listen=" + freeAddr(t)}
	for i, want := range []string{"removed ofmessage 4, tlim_id 4, tlim_former 3, tlim_audit 1\n", "removed nothing\n"} {
		if code, out, errs := runCommand(t, append(nobody, "cleanup", "run")...); code != 0 || out != want || strings.Contains(errs, "level=ERROR") {
			t.Errorf("run %d: got %d %q %s, want 0 %q", i, code, out, errs, want)
		}
	}
	code, out, errs = runCommand(t, append(nobody, "cleanup", "run", "--json", "--set", "cleanup.offline_days=60", "--set", "cleanup.files_days=10", "--set", "files.dir="+t.TempDir())...)
	var done cleaned
	if err := json.Unmarshal([]byte(out), &done); err != nil || code != 0 || done.State != "done" || done.By != "this command" || done.removed() != "ofcustomoffline 2, tlim_file 3" {
		t.Errorf("got %d %+v %v %s, want 2 offline messages and 3 files removed", code, done, err, errs)
	}
	events, err := db.AuditEvents(t.Context(), "", 10)
	if err != nil || len(events) != 3 {
		t.Fatalf("got %d events, %v, want 3", len(events), err)
	}
	for i, want := range []string{"removed ofcustomoffline 2, tlim_file 3", "removed nothing", "removed ofmessage 4, tlim_id 4, tlim_former 3, tlim_audit 1"} {
		if e := events[i]; e.What != "cleanup/run" || e.Outcome != store.AuditDone || e.Detail != want || e.Address != store.CommandLine {
			t.Errorf("got %+v, want %s", e, want)
		}
	}
	for _, args := range [][]string{{"cleanup", "now"}, {"cleanup", "dry-run", "x"}, {"cleanup", "dry-run", "--set", "cleanup.days=-1"}} {
		t.Run(fmt.Sprintf("%q", args), func(t *testing.T) {
			if code, _, errs := runCommand(t, append(args, "--config", config)...); code != exitUsage || errs == "" {
				t.Errorf("got %d, errors %q, want %d, an error", code, errs, exitUsage)
			}
		})
	}
}
