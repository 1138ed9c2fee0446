package store_test

import (
	"bufio"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlim/store"
)

var sizeMessages = flag.Int("size.messages", 10_000, "how many messages TestSize makes in the plugin's tables, some 650 bytes each; the figures in the documents are of 10000000")

var sizeProgram = flag.String("size.program", "", "a tlim that TestSize starts on what it made, for its time and memory: scripts/size has it")

// sizeSmall is the table that a large one is compared with.
const sizeSmall = 10_000

// site is a database as the plugin leaves it: messages from many users to each other and into many groups, one of them with a tenth of all, a
// queue of a tenth as many rows, receipts, notices. The same every time.
type site struct {
	messages, queue, users, groups int
}

func siteOf(messages int) site {
	return site{messages, messages / 10, max(50, messages/200), max(20, messages/500)}
}

// fill makes the rows in pieces, so that no transaction is large. Of the numbers i each statement makes those from first to last.
func (s site) fill(t *testing.T, e engine, db *sql.DB) {
	concat := func(parts ...string) string {
		if e.name == "mysql" {
			return "CONCAT(" + strings.Join(parts, ", ") + ")"
		}
		return strings.Join(parts, " || ")
	}
	digits := func(letter, number string, n int) string {
		if e.name == "mysql" {
			return fmt.Sprintf("CONCAT('%s', LPAD(%s, %d, '0'))", letter, number, n)
		}
		return fmt.Sprintf("printf('%s%%0%dd', %s)", letter, n, number)
	}
	user := func(number string) string { return digits("u", number, 5) }
	whole := "/" // its result is a whole number
	if e.name == "mysql" {
		whole = "DIV"
	}
	of := func(n int) string { return fmt.Sprintf("(i * 2654435761 %s 7) %% %d", whole, n) }
	group := "CASE WHEN i % 10 = 1 THEN 'g00000' ELSE " + digits("g", of(s.groups), 5) + " END"
	at := "CAST(1500000000000 + i * 1000 AS char)"
	from, to := user(of(s.users)), user("(i * 31) % "+strconv.Itoa(s.users))
	// Of ten messages five are of groups, one of them of the large one; four of two users, a few of them of a pair that talks a lot; one is a notice.
	kind := "CASE WHEN i % 10 < 5 THEN 'MTS-000' WHEN i % 10 = 9 THEN 'MTB-100' ELSE 'MTT-000' END"
	body := concat(`'[{"text":"'`, `'Bitte bis morgen durchsehen, danke. 请查收 '`, "i", `'"}]'`)
	pair := "i % 200 = 7"
	message := []string{digits("r", "i", 23), digits("m", "i", 23), kind,
		"CASE WHEN i % 10 = 9 THEN 'admin' WHEN " + pair + " THEN 'u00001' ELSE " + from + " END",
		"CASE WHEN i % 10 < 5 THEN " + group + " WHEN " + pair + " THEN 'u00002' ELSE " + to + " END", at, body,
		"CASE WHEN i % 10 < 5 THEN " + group + " WHEN i % 10 = 9 THEN 'admin' WHEN " + pair + " THEN 'u00001' ELSE " + from + " END"}
	const piece = 100_000
	insert := func(table string, n int, columns ...string) {
		t.Helper()
		for first := 0; first < n; first += piece {
			last := min(first+piece, n) - 1
			numbers := fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT %s FROM n", first, last, strings.Join(columns, ", "))
			if e.name == "mysql" {
				numbers = "SELECT " + strings.Join(columns, ", ") + fmt.Sprintf(" FROM (SELECT seq AS i FROM seq_%d_to_%d) n", first, last)
			}
			run(t, db, "INSERT INTO "+table+" "+numbers)
		}
	}
	insert("ofmessage", s.messages, message...)
	owner := "CASE WHEN i % 10 = 3 THEN 'u00002' ELSE " + user("i % "+strconv.Itoa(s.users)) + " END" // one who was away for long
	insert("ofcustomoffline", s.queue, slices.Concat([]string{digits("q", "i", 23)}, message[1:5], []string{at, "'[]'", message[7], "i % 2", owner})...)
	insert("ofstatus", s.queue, digits("s", "i", 23), digits("m", "i "+whole+" 4 * 10", 23), from, user("i % "+strconv.Itoa(s.users)), "1")
	insert("ofsession", s.groups, digits("g", "i", 5), "0", "'项目组'", at, at, "NULL", "0", user("i % "+strconv.Itoa(s.users)), "NULL")
	insert("ofsubscriber", 20*s.groups, user(fmt.Sprintf("((i %% %d) * 7 + (i %s %d) * 37) %% %d", s.groups, whole, s.groups, s.users)), "'李四'", "NULL", "NULL", digits("g", "i % "+strconv.Itoa(s.groups), 5), at)
	insert("ofchat", 4*s.users, digits("c", "i", 23), "'张三'", user("i % "+strconv.Itoa(s.users)), user("i * 7 % "+strconv.Itoa(s.users)), at, at, "NULL")
	insert("ofpubact", s.groups, digits("a", "i", 23), "'放假通知'", "'c'", user("i % "+strconv.Itoa(s.users)), at, digits("g", "i", 5))
	insert("ofstyle", s.users, digits("y", "i", 23), "'theme'", "3", user("i"))
}

// measured are the answers that people wait for, and the cleaning.
func (s site) measured() []struct {
	name string
	ask  func(*store.Store) (int, error)
} {
	half := fmt.Sprint(1500000000000 + s.messages/2*1000)
	rows := func(list []store.Message, _ int64, err error) (int, error) { return len(list), err }
	return []struct {
		name string
		ask  func(*store.Store) (int, error)
	}{
		{"a group's history, newest page", func(s *store.Store) (int, error) {
			return rows(s.GroupHistory(ctx, "g00000", store.Page{Length: 50, NoTotal: true}))
		}},
		{"the same, a page in the middle by before=", func(s *store.Store) (int, error) {
			return rows(s.GroupHistory(ctx, "g00000", store.Page{Length: 50, BeforeTime: half, NoTotal: true}))
		}},
		{"the same, the oldest page by before=", func(s *store.Store) (int, error) {
			return rows(s.GroupHistory(ctx, "g00000", store.Page{Length: 50, BeforeTime: "1500000600000", NoTotal: true}))
		}},
		{"a history of two, newest page", func(s *store.Store) (int, error) {
			return rows(s.ChatHistory(ctx, "u00001", "u00002", store.Page{Length: 50, NoTotal: true}))
		}},
		{"getOffline, a page", func(s *store.Store) (int, error) {
			list, err := s.Offline(ctx, "u00002", "", "", "", 100)
			return len(list), err
		}},
		{"findWebSessions", func(s *store.Store) (int, error) {
			groups, err := s.WebGroupsOf(ctx, "u00003", 0)
			if err != nil {
				return 0, err
			}
			chats, err := s.ChatsOf(ctx, "u00003")
			return len(groups) + len(chats), err
		}},
		{"findStatusList", func(s *store.Store) (int, error) {
			counts, err := s.ReceiptCounts(ctx, []string{fmt.Sprintf("m%023d", 10), fmt.Sprintf("m%023d", 20), fmt.Sprintf("m%023d", 30)})
			return len(counts), err
		}},
		{"hasUnread", func(s *store.Store) (int, error) {
			found, err := s.HasOffline(ctx, "u00002")
			return map[bool]int{true: 1}[found], err
		}},
		{"clean-up, a page", func(s *store.Store) (int, error) {
			list, err := s.OldMessages(ctx, 1500000600000, store.Old{}, 500)
			return len(list), err
		}},
	}
}

// TestSize makes a site in the plugin's tables, adopts it, and asks for what people wait for; no plan reads a table. With -size.messages it
// prints figures beside those of a small site: README.md of deploy has them.
func TestSize(t *testing.T) {
	onShared(t, func(t *testing.T, e engine) {
		sites := []site{siteOf(sizeSmall)}
		if *sizeMessages > sizeSmall {
			sites = append(sites, siteOf(*sizeMessages))
		}
		stores := make([]*store.Store, len(sites))
		for i, w := range sites {
			stores[i] = sized(t, e, w)
		}
		// One after the other, so that what else the machine does is the same for both.
		for n, m := range sites[0].measured() {
			times := make([][]time.Duration, len(sites))
			for range 41 {
				for i, w := range sites {
					begun := time.Now()
					rows, err := w.measured()[n].ask(stores[i])
					times[i] = append(times[i], time.Since(begun))
					if err != nil || rows == 0 {
						t.Fatalf("%s: got %d rows, %v, want some", m.name, rows, err)
					}
				}
			}
			var medians []time.Duration
			for _, list := range times {
				slices.Sort(list)
				medians = append(medians, list[len(list)/2])
			}
			if len(sites) > 1 {
				t.Logf("%s: %s: %.2f ms of %d messages, %.2f of %d: %.1f times", e.name, m.name, ms(medians[1]), *sizeMessages, ms(medians[0]), sizeSmall, float64(medians[1])/float64(medians[0]))
			}
		}
	})
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// sized makes a site and adopts it.
func sized(t *testing.T, e engine, w site) *store.Store {
	cfg := e.fresh(t, oldTables(e, varchar64, " CHARACTER SET utf8mb4")...)
	begun := time.Now()
	lap := func(format string, args ...any) {
		t.Logf("%s: %s: %v", e.name, fmt.Sprintf(format, args...), time.Since(begun).Round(time.Millisecond))
		begun = time.Now()
	}
	raw := e.raw(t, cfg)
	w.fill(t, e, raw)
	lap("%d messages and the rest made", w.messages)
	must[any](t)(nil, raw.Close())
	waited := beside(t, e, cfg)
	if *sizeProgram == "" {
		must[any](t)(nil, must[*store.Store](t)(store.Open(ctx, cfg)).Close())
	} else {
		lap("the program, first: %s", serves(t, cfg))
	}
	lap("the first start, which adds tables and columns; writers waited for %v at most", waited())
	m := migrator(t, cfg, func(p store.Progress) {
		if p.Done {
			t.Logf("%s: %s of %d rows: %v, writers wait: %v", e.name, p.What, p.Total, p.Took.Round(time.Millisecond), p.Locks)
		}
	})
	waited = beside(t, e, cfg)
	r, err := m.Up(ctx)
	must[any](t)(nil, err)
	must[any](t)(nil, m.Close())
	equal(t, "indexes", len(r.Added), 15)
	lap("tlim migrate up; writers waited for %v at most", waited())
	analyze := "ANALYZE"
	if e.name == "mysql" {
		analyze = "ANALYZE TABLE ofmessage, ofcustomoffline, ofstatus, ofsession, ofsubscriber, ofchat"
	}
	raw = e.raw(t, cfg)
	run(t, raw, analyze)
	lap("statistics")
	impatient := cfg
	impatient.MaxWait = time.Second
	x := must[*store.Examination](t)(store.Examine(ctx, impatient))
	must[store.Return](t)(x.Return(ctx))
	must[any](t)(nil, x.Close())
	lap("the plan of tlim migrate down")
	if e.name == "mysql" {
		plans(t, raw, w)
		var pool, size int
		must[any](t)(nil, raw.QueryRow("SELECT @@innodb_buffer_pool_size DIV 1048576, (SELECT SUM(data_length + index_length) DIV 1048576 FROM information_schema.tables WHERE table_schema = DATABASE())").Scan(&pool, &size))
		t.Logf("mysql: a buffer pool of %d MiB, tables and indexes of %d", pool, size)
	}
	must[any](t)(nil, raw.Close())
	lap("plans of all reads")
	if *sizeProgram != "" {
		lap("the program, again: %s", serves(t, cfg))
	}
	s := must[*store.Store](t)(store.Open(ctx, cfg))
	t.Cleanup(func() { must[any](t)(nil, s.Close()) })
	lap("another start")
	return s
}

// beside writes a message after the other into the plugin's table, as the plugin does, until the function that it returns is called, which says how
// long the slowest took. SQLite is alone with its file.
func beside(t *testing.T, e engine, cfg store.Config) (slowest func() time.Duration) {
	t.Helper()
	if e.name != "mysql" {
		return func() time.Duration { return 0 }
	}
	raw := e.raw(t, cfg)
	stop, result := make(chan struct{}), make(chan time.Duration)
	go func() {
		var longest time.Duration
		for {
			begun := time.Now()
			if _, err := raw.Exec("INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) VALUES (UUID(), UUID(), 'MTT-000', 'u00001', 'u00009', '1500000000000', '[]', 'u00001')"); err != nil {
				t.Error(err)
			}
			longest = max(longest, time.Since(begun))
			select {
			case <-stop:
				result <- longest
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		longest := <-result
		must[any](t)(nil, raw.Close())
		return longest.Round(time.Millisecond)
	}
}

// serves starts the program on the database until it says that it has started, and says how long that took and how much memory.
func serves(t *testing.T, cfg store.Config) string {
	t.Helper()
	cmd := exec.Command(*sizeProgram, "serve")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "TLIM_STORE_DRIVER="+cfg.Driver, "TLIM_STORE_DSN="+cfg.DSN, "TLIM_XMPP_DOMAIN=im.test", "TLIM_XMPP_SECRET=none", "TLIM_XMPP_SERVER=127.0.0.1:1",
		"TLIM_HTTP_LISTEN=127.0.0.1:0", "TLIM_METRICS_LISTEN=127.0.0.1:0")
	out := must[io.ReadCloser](t)(cmd.StderrPipe())
	begun := time.Now()
	must[any](t)(nil, cmd.Start())
	var said []string
	took := time.Duration(0)
	memory := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said = append(said, lines.Text())
		if took == 0 && strings.Contains(lines.Text(), "started") {
			took = time.Since(begun)
			status := must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)))
			memory = regexp.MustCompile(`VmHWM:\s*(.*)`).FindStringSubmatch(string(status))[1]
			must[any](t)(nil, cmd.Process.Signal(os.Interrupt))
		}
	}
	if err := cmd.Wait(); err != nil || took == 0 {
		t.Fatalf("got %v, want a start and an end; it said\n%s", err, strings.Join(said, "\n"))
	}
	return fmt.Sprintf("started after %v with %s of memory at most", took.Round(time.Millisecond), memory)
}

// plans looks for statements that read a filled table, or a whole index of it. SQLite's are read by TestEveryReadHasAnIndex.
func plans(t *testing.T, raw *sql.DB, w site) {
	t.Helper()
	values := map[string]string{"session_id": "g00003", "msg_from": "u00001", "msg_to": "u00002", "msg_type": "MTB-100", "delete_user": "u00003", "user_id": "u00003", "session_user": "u00003",
		"chat_user": "u00003", "chat_other": "u00004", "sender": "u00003", "reader": "u00004"}
	asked := 0
	for _, query := range store.EveryQuery() {
		if strings.Contains(query, "tlim_") { // empty here
			continue
		}
		query = store.MySQLText(query, values)
		if strings.Contains(query, " ORDER BY ") { // it is read by pages
			query += " LIMIT 100"
		}
		rows, err := raw.Query("EXPLAIN " + query)
		if err != nil {
			t.Errorf("got %v, want a plan of: %s", err, query)
			continue
		}
		asked++
		columns := must[[]string](t)(rows.Columns())
		for rows.Next() {
			step, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
			for i := range step {
				into[i] = &step[i]
			}
			must[any](t)(nil, rows.Scan(into...))
			how, read := step[slices.Index(columns, "type")].String, step[slices.Index(columns, "rows")].String
			if n, _ := strconv.Atoi(read); (how == "ALL" || how == "index") && n > w.messages/100 {
				t.Errorf("got %s of %s rows, want an index\n  in: %s", how, read, query)
			}
		}
		must[any](t)(nil, rows.Err())
	}
	if asked < 60 {
		t.Errorf("got %d plans, want 60 and more", asked)
	}
}
