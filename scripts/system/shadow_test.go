package system

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.yaml.in/yaml/v3"

	"tlim/scripts/lab"
)

// By hand: go test ./scripts/system -run TestShadowFindsWhatIsPlanted -v -args -shadow.messages 10000
var shadowMessages = flag.Int("shadow.messages", 300, "messages of the shadow run, beside those with faults")

const (
	shadowRate  = 110 // how many are sent in a second: the server loses copies above about 300, and two get copies here
	shadowAhead = 200 // how many are sent beyond those that the plugin's player has had: a busy machine is slower than the rate
)

// shadowReport is the document of `tlim serve --shadow --json`, as far as tests look at it.
type shadowReport struct {
	Final                  bool
	Copies                 int
	Messages               struct{ Compared, Same int }
	OfflineMessages        struct{ Compared, Same int } `json:"offline_messages"`
	Explained, Unexplained int
	Differences            []struct {
		What, Rule string
		Count      int
		Examples   []struct {
			MsgID  string `json:"msg_id"`
			Detail string
		}
	}
	MissingInTable     int `json:"missing_in_table"`
	MissingAmongCopies int `json:"missing_among_copies"`
	Uncopied           []struct {
		MsgID string `json:"msg_id"`
	}
	NotCompared int `json:"not_compared"`
	Reasons     []struct {
		Reason string
		Count  int
	}
}

// differences are the counts by what and rule.
func (s shadowReport) differences() map[string]int {
	found := map[string]int{}
	for _, d := range s.Differences {
		found[d.What+" | "+d.Rule] = d.Count
	}
	return found
}

func (s shadowReport) reasons() map[string]int {
	found := map[string]int{}
	for _, reason := range s.Reasons {
		found[reason.Reason] = reason.Count
	}
	return found
}

// shadowProcess is a running shadow run.
type shadowProcess struct {
	t       *testing.T
	cmd     *exec.Cmd
	stdout  bytes.Buffer
	logged  *lockedBuffer
	metrics string
	done    chan struct{}
}

type lockedBuffer struct {
	sync.Mutex
	b bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.Lock()
	defer l.Unlock()
	return l.b.String()
}

// startShadow runs it until copies come.
func startShadow(t *testing.T, config map[string]any) *shadowProcess {
	t.Helper()
	dir := t.TempDir()
	p := &shadowProcess{t: t, metrics: must[string](t)(lab.FreeAddr()), logged: &lockedBuffer{}, done: make(chan struct{})}
	nested := map[string]map[string]any{"metrics": {"listen": p.metrics}}
	for key, value := range config {
		section, name, _ := strings.Cut(key, ".")
		if nested[section] == nil {
			nested[section] = map[string]any{}
		}
		nested[section][name] = value
	}
	file := filepath.Join(dir, "tlim.yaml")
	check(t, os.WriteFile(file, must[[]byte](t)(yaml.Marshal(nested)), 0o600))
	binary := must[string](t)(lab.Build(within(t, patience)))
	p.cmd = exec.Command(binary, "serve", "--shadow", "--json", "--report", "2s", "--config", file)
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, p.logged
	lab.EndsWithUs(p.cmd)
	check(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // the exit code tells
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("the shadow run's log:\n%s", p.logged.String())
		}
	})
	ready := &lab.Tlim{MetricsURL: "http://" + p.metrics}
	await(t, within(t, time.Minute), "packet copies", func() (bool, error) {
		select {
		case <-p.done:
			t.Fatalf("got the shadow run ended, want it to run: %s", p.logged.String())
		default:
		}
		status, body, err := ready.Ready(within(t, soon))
		return status == 200, errors.Join(err, errors.New(body))
	})
	return p
}

// stop ends it by SIGTERM and reads its report.
func (s *shadowProcess) stop() (r shadowReport, code int) {
	s.t.Helper()
	check(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-s.done:
	case <-within(s.t, 2*time.Minute).Done():
		s.t.Fatalf("got the shadow run still running, want it ended: %s", s.logged.String())
	}
	if err := json.Unmarshal(s.stdout.Bytes(), &r); err != nil {
		s.t.Fatalf("the report: got %v of %s, want JSON; %s", err, s.stdout.String(), s.logged.String())
	}
	left := must[[]os.DirEntry](s.t)(os.ReadDir(s.cmd.Dir))
	if len(left) != 1 {
		s.t.Errorf("got %v left in its folder, want the configuration alone", left)
	}
	return r, s.cmd.ProcessState.ExitCode()
}

// oldSite is a site of the old plugin: an Openfire of the test's own, because copies bring all that goes through a server, and a database of which
// tlim may read alone.
type oldSite struct {
	t        *testing.T
	server   *lab.Server
	db       *sql.DB
	readOnly string // DSN
	group    string
	config   map[string]any
}

func newOldSite(t *testing.T, members []string) *oldSite {
	t.Helper()
	s := &oldSite{t: t, group: lab.NewID()}
	accounts := map[string]string{}
	for _, name := range []string{"anna", "boris", "clara", "dora", "emil", "fred", "gast"} {
		accounts[name] = password(name)
	}
	s.server = must[*lab.Server](t)(lab.StartOpenfire(within(t, patience), lab.Options{Users: accounts}))
	t.Cleanup(func() { check(t, s.server.Stop()) })
	dsn := must[*mysql.Config](t)(mysql.ParseDSN(newDatabase(t, must[*lab.Server](t)(mariadb()))))
	s.db = must[*sql.DB](t)(sql.Open("mysql", dsn.FormatDSN()))
	s.db.SetMaxOpenConns(16)
	t.Cleanup(func() { check(t, s.db.Close()) })
	onlooker := "of_" + dsn.DBName // each site has its own
	for _, statement := range append(slices.Clone(oldTables),
		"CREATE INDEX site_message ON ofmessage (msg_id)", "CREATE INDEX site_queue ON ofcustomoffline (msg_id)", // as sites with as much traffic have
		"CREATE OR REPLACE USER "+onlooker+" IDENTIFIED BY 'onlooker'", "GRANT SELECT ON "+dsn.DBName+".* TO "+onlooker,
		fmt.Sprintf("INSERT INTO ofsession (session_id, session_type, session_name, session_create_time, session_valid, session_user) VALUES ('%s', 0, 'group', '%s', 0, '%s')", s.group, stamp(), members[0])) {
		_, err := s.db.ExecContext(within(t, soon), statement)
		check(t, err)
	}
	for _, m := range members {
		_, err := s.db.ExecContext(within(t, soon), "INSERT INTO ofsubscriber (user_id, user_name, session_id, ts) VALUES (?, ?, ?, ?)", m, m, s.group, stamp())
		check(t, err)
	}
	dsn.User, dsn.Passwd = onlooker, "onlooker"
	s.readOnly = dsn.FormatDSN()
	s.config = lab.ServerConfig(s.server)
	s.config["store.driver"], s.config["store.dsn"] = "mysql", s.readOnly
	s.config["xmpp.copies_max"] = 330 // of which the server's administrators take a share, see oldPlugin.CopiedMessage
	return s
}

// dump is all that the database holds: tables, columns and rows.
func (o *oldSite) dump() string {
	o.t.Helper()
	var b strings.Builder
	var tables []string
	rows := must[*sql.Rows](o.t)(o.db.QueryContext(within(o.t, soon), "SHOW TABLES"))
	for rows.Next() {
		var name string
		check(o.t, rows.Scan(&name))
		tables = append(tables, name)
	}
	check(o.t, errors.Join(rows.Err(), rows.Close()))
	for _, name := range tables {
		rows := must[*sql.Rows](o.t)(o.db.QueryContext(within(o.t, soon), "SELECT * FROM "+name+" ORDER BY 1, 2"))
		columns := must[[]string](o.t)(rows.Columns())
		fmt.Fprintln(&b, name, columns)
		for rows.Next() {
			values := make([]sql.NullString, len(columns))
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			check(o.t, rows.Scan(into...))
			fmt.Fprintln(&b, values)
		}
		check(o.t, errors.Join(rows.Err(), rows.Close()))
	}
	return b.String()
}

func (o *oldSite) login(user, resource, show string) *lab.Client {
	o.t.Helper()
	c := must[*lab.Client](o.t)(lab.Dial(within(o.t, soon), o.server.C2S, o.server.Domain, user, password(user), resource, lab.WithPresence(show, 0)))
	o.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			o.t.Error(err)
		}
	})
	return c
}

func (o *oldSite) address(user string) string { return user + "@" + o.server.Domain }

// A run beside the old plugin reports what was planted in it and nothing else: differences that PROTOCOL.md makes under their rules, and the faults as
// unexplained.
func TestShadowFindsWhatIsPlanted(t *testing.T) {
	members := []string{"anna", "boris", "clara", "dora", "emil", "fred"}
	s := newOldSite(t, members)
	anna, boris, clara := s.login("anna", "x[web]", ""), s.login("boris", "phone", ""), s.login("clara", "y[web]", "")
	s.login("emil", "phone", "away")
	gast := s.login("gast", "phone", "")
	faults := map[string]fault{}
	plugin := playOldPlugin(t, s.server, s.db, map[string]presentOn{"anna": {web: true}, "boris": {mobile: true}, "clara": {web: true}, "gast": {mobile: true}}, faults)

	// The faults are known before the first stanza. All are in 1:1 messages of boris to dora, who is absent.
	planted := []fault{lostRow, otherBody, otherTo, otherFrom, otherType, doubleRow, lostQueue, extraQueue, otherOwner, doubleQueue, lateRows}
	ids := map[fault]string{}
	for _, f := range planted {
		ids[f] = lab.NewID()
		faults[ids[f]] = f
	}
	shadow := startShadow(t, s.config)
	sent, fromWeb := 0, 0
	send := func(c *lab.Client, to, body string) {
		t.Helper()
		check(t, c.SendMessage(to, lab.NewID(), body))
		sent++
	}
	revoked, read := lab.NewID(), ""
	faults[revoked] = lateRows // so that the plugin stores it after its revoke

	// 1. What has no fault.
	senders := []struct {
		name string
		c    *lab.Client
	}{{"anna", anna}, {"boris", boris}, {"clara", clara}}
	pace := time.NewTicker(time.Second / shadowRate)
	defer pace.Stop()
	for i := range *shadowMessages {
		<-pace.C
		if i%shadowAhead == 0 {
			await(t, within(t, time.Minute), "the plugin's player to keep up", func() (bool, error) {
				return plugin.count() > sent-shadowAhead, fmt.Errorf("%d of %d", plugin.count(), sent)
			})
		}
		from := senders[i%3]
		if i%4 == 0 {
			id := lab.NewID()
			send(from.c, s.server.Domain, lab.NewEnvelope("MTS-000", from.name, s.group, id, []map[string]string{{"session_id": s.group, "text": fmt.Sprint("会议 ", i)}}))
			if from.name != "boris" {
				fromWeb++
			}
			if from.name == "anna" {
				read = id
			}
			continue
		}
		to := members[(i+i/6)%len(members)]
		if to == from.name {
			to = "fred"
		}
		send(from.c, s.address(to), lab.Text(from.name, to, lab.NewID(), fmt.Sprint("你好 ", i)))
	}

	// 2. The faults.
	for _, f := range planted {
		send(boris, s.address("dora"), lab.Text("boris", "dora", ids[f], "with a fault: "+string(f)))
	}

	// 3. What tlim does otherwise.
	twice := lab.Text("anna", "dora", lab.NewID(), "sent twice")
	send(anna, s.address("dora"), twice)
	send(anna, s.address("dora"), twice)
	send(gast, s.server.Domain, lab.GroupText("gast", s.group, lab.NewID(), "by one who is no member"))
	send(clara, s.address("dora"), lab.Text("boris", "dora", lab.NewID(), "in another's name"))
	send(boris, s.address("dora"), lab.Text("boris", "dora", lab.NewID(), strings.Repeat("long", 800)))
	send(boris, s.address("dora"), lab.Text("boris", "dora", lab.NewID(), "an emoji 😀"))
	send(boris, s.address("dora"), strings.Replace(lab.NewEnvelope("MTT-001", "boris", "dora", lab.NewID(), []map[string]string{{"fileId": "1"}}),
		`[{"fileId":"1"}]`, `[{"z":1,"fileId":"1"}]`, 1))
	send(boris, s.server.Domain, lab.GroupReadReceipt("boris", s.group, lab.NewID(), read))
	send(clara, s.address("boris"), lab.ReadReceipt("clara", "boris", lab.NewID(), lab.NewID()))

	send(boris, s.address("dora"), lab.Text("boris", "dora", revoked, "taken back"))
	send(boris, s.address("dora"), lab.Revoke("boris", "dora", lab.NewID(), revoked))

	// 4. What cannot be compared, and what has no copy.
	check(t, boris.SendMessage(s.address("anna"), lab.NewID(), "no envelope"))
	send(boris, s.address("dora"), strings.Replace(lab.Text("boris", "dora", "THIS", "no id"), `"msg_id":"THIS",`, "", 1))
	await(t, within(t, time.Minute), "the plugin's player to have had all", func() (bool, error) { return plugin.count() >= sent, fmt.Errorf("%d of %d", plugin.count(), sent) })
	await(t, within(t, time.Minute), "most messages to be compared", func() (bool, error) {
		m, err := (&lab.Tlim{MetricsURL: "http://" + shadow.metrics}).Metrics(within(t, soon))
		return m[`tlim_shadow_compared_total{of="message",same="yes"}`] >= float64(*shadowMessages), err
	})
	uncopied := []string{lab.NewID(), lab.NewID()}
	for _, id := range uncopied {
		plugin.store(lab.Envelope{ID: id, Type: "MTT-000", From: "boris", To: "fred", Time: stamp()}, `[{"text":"its copy was lost"}]`, "fred", "boris")
	}
	plugin.store(lab.Envelope{ID: lab.NewID(), Type: "MTB-000", From: "admin", To: "fred", Time: stamp()}, `[{"bizId":"1"}]`, "fred", "admin")

	// 5. The last word.
	r, code := shadow.stop()
	if t.Failed() || testing.Verbose() {
		t.Logf("report: %s", shadow.stdout.String())
	}
	want := map[string]int{
		"message: missing in the table | ":                                   1,
		"message: other body | ":                                             1,
		"message: other msg_to | ":                                           1,
		"message: other msg_from | ":                                         1,
		"message: other msg_type | ":                                         1,
		"message: twice in the table | ":                                     1,
		"offline message: missing in the table | ":                           2, // one lost, one of another
		"offline message: in the table, and tlim makes none | ":              2, // one extra, one of another
		"offline message: twice in the table | ":                             1,
		"offline message: twice in the table | Exactly once":                 2, // of anna and dora
		"offline message: twice in the table | Offline messages":             fromWeb,
		"message: in the table, refused by tlim | Groups":                    1,
		"offline message: in the table, and tlim makes none | Groups":        5,
		"message: in the table, refused by tlim | Identity":                  1,
		"offline message: in the table, and tlim makes none | Identity":      1,
		"message: in the table, refused by tlim | Sizes":                     1,
		"offline message: in the table, and tlim makes none | Sizes":         1,
		"message: missing in the table | 8. Errors to the sender":            1, // the emoji
		"offline message: missing in the table | 8. Errors to the sender":    1,
		"message: other body | Stored bodies":                                1,
		"offline message: in the table, and tlim makes none | Read receipts": 4, // of clara, dora, emil and fred
		"offline message: in the table, and tlim makes none | 6. Revocation": 1,
		"message: in the table, and revoked | 6. Revocation":                 1,
	}
	if got := r.differences(); !maps.Equal(got, want) {
		for key, n := range want {
			if got[key] != n {
				t.Errorf("%s: got %d, want %d", key, got[key], n)
			}
			delete(got, key)
		}
		for key, n := range got {
			t.Errorf("%s: got %d, want none", key, n)
		}
	}
	if reasons, want := r.reasons(), map[string]int{"no envelope: other traffic of the server": 1, "no msg_id: nothing tells the rows apart": 2,
		"made by an HTTP call: no client has sent it": 1}; !maps.Equal(reasons, want) {
		t.Errorf("not compared: got %v, want %v", reasons, want)
	}
	var lost []string
	for _, u := range r.Uncopied {
		lost = append(lost, u.MsgID)
	}
	slices.Sort(lost)
	slices.Sort(uncopied)
	if !slices.Equal(lost, uncopied) || r.MissingAmongCopies != 2 {
		t.Errorf("missing among the copies: got %d, %v, want 2, %v", r.MissingAmongCopies, lost, uncopied)
	}
	if messages := sent - 2; r.Messages.Compared != messages || r.Messages.Same != messages-12 || r.Unexplained != 11 || r.MissingInTable != 2 || !r.Final || code != 1 {
		t.Errorf("got %d compared, %d the same, %d unexplained, %d missing, final %v, exit code %d, want %d, %d, 11, 2, true, 1",
			r.Messages.Compared, r.Messages.Same, r.Unexplained, r.MissingInTable, r.Final, code, messages, messages-12)
	}
	for _, d := range r.Differences {
		if d.Rule != "" || !strings.HasPrefix(d.What, "message") {
			continue
		}
		for _, e := range d.Examples {
			if faults[e.MsgID] == "" {
				t.Errorf("%s: got %s, want one with a fault", d.What, e.MsgID)
			}
		}
	}
	log := shadow.logged.String()
	if first, _, _ := strings.Cut(log, "\n"); !strings.Contains(first, "load the server") || !strings.Contains(first, "300 messages a second") {
		t.Errorf("the first line: got %s, want what copies cost", first)
	}
	if !strings.Contains(log, "compared until now") || strings.Contains(log, ":onlooker@") {
		t.Errorf("got log %s, want reports in it, and no password", log)
	}
}

// recorder passes bytes on to a server and keeps what the client said.
type recorder struct {
	addr string
	said lockedBuffer
}

func record(t *testing.T, target string) *recorder {
	t.Helper()
	listener := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	r := &recorder{addr: listener.Addr().String()}
	var work sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	work.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			closeBoth := func() { _ = client.Close(); _ = server.Close() } // closing twice is harmless
			context.AfterFunc(ctx, closeBoth)
			work.Go(func() { _, _ = io.Copy(io.MultiWriter(server, &r.said), client); closeBoth() }) // it ends with either side
			work.Go(func() { _, _ = io.Copy(client, server); closeBoth() })
		}
	})
	t.Cleanup(func() { cancel(); _ = listener.Close(); work.Wait() })
	return r
}

// A shadow run changes no table, and says nothing but questions to the server. Here nobody plays the plugin: all is missing.
func TestShadowWritesAndSendsNothing(t *testing.T) {
	t.Parallel() // it waits for most of its time
	s := newOldSite(t, []string{"anna", "boris", "dora"})
	anna, boris := s.login("anna", "x[web]", ""), s.login("boris", "phone", "")
	way := record(t, s.server.Component)
	s.config["xmpp.server"] = way.addr
	s.config["receipts.server"], s.config["xmpp.connections"] = "always", 3
	before := s.dump()
	shadow := startShadow(t, s.config)
	const n = 8
	for i := range n {
		check(t, anna.SendMessage(s.address("boris"), fmt.Sprint("live", i), lab.Text("anna", "boris", lab.NewID(), "to a phone")))
		check(t, anna.SendMessage(s.server.Domain, fmt.Sprint("group", i), lab.GroupText("anna", s.group, lab.NewID(), "to all")))
		check(t, boris.SendMessage(s.server.Domain, fmt.Sprint("refused", i), lab.GroupText("boris", "no-such-group", lab.NewID(), "to nobody")))
	}
	r, code := shadow.stop()
	if r.MissingInTable != 2*n || r.Messages.Compared != 3*n || code != 1 {
		t.Errorf("got %d missing in the table of %d, exit code %d, want %d of %d, 1: %s", r.MissingInTable, r.Messages.Compared, code, 2*n, 3*n, shadow.stdout.String())
	}
	if after := s.dump(); after != before {
		t.Errorf("the database: got\n%s\nwant\n%s", after, before)
	}
	for _, m := range append(anna.Drain(), boris.Drain()...) {
		if strings.Contains(m.From, "tlim") {
			t.Errorf("got %s, want nothing of tlim's", m.Raw)
		}
	}
	said := way.said.String()
	for _, stanza := range regexp.MustCompile(`<(message|presence|iq)\b[^>]*>`).FindAllString(said, -1) {
		if !strings.HasPrefix(stanza, "<iq ") || !strings.Contains(stanza, `to="`+s.server.Domain+`"`) && !strings.Contains(stanza, `to="component.`+s.server.Domain+`"`) || !strings.Contains(stanza, `from="tlim-copies.`+s.server.Domain+`"`) {
			t.Errorf("tlim said %s, want questions to the server, and answers to it, alone", stanza)
		}
	}
	if !strings.Contains(said, "packets_notification") {
		t.Errorf("got %d bytes of tlim's without a subscription, want it: nothing was recorded", len(said))
	}
}
