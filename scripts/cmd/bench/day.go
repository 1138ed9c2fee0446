package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tlim/component/pause"
	"tlim/scripts/lab"
)

// daySize is a working day at its busiest, as far as it fits on one machine with its clients.
type daySize struct {
	users, sessions, groups int
	rate                    float64 // messages a second, of all together
	time                    time.Duration
}

const (
	// dayGroupShare of the messages go to groups, the rest to one user.
	dayGroupShare = 0.35
	// dayReconnects is how often a phone that somebody has comes back under its resource: a phone each second.
	dayReconnects = time.Second
	// dayLogin is for one login: Openfire 4.2 may leave that of a resource that just died without an answer, or forget its route when it ends
	// the dead one, so that nothing reaches the session that sends. Phones ping themselves and try again.
	dayLogin = 10 * time.Second
	// dayNotices is how often a business system sends an approval to dayReceivers users.
	dayNotices   = 10 * time.Second
	dayReceivers = 100
	// daySettle is for what is under way at the end.
	daySettle = 20 * time.Second
	// daySeed makes the same groups and the same stories each time.
	daySeed = 20261202
	// dayMark begins the id of each message; the Unix time in ns at which it was sent follows.
	dayMark = "benchday-"
)

// dayGroups has each user in about seven groups: most are small, some are those of departments.
func dayGroups(size daySize, random *rand.Rand) [][]int {
	groups := make([][]int, size.groups)
	for i := range groups {
		n := 8
		switch p := random.Float64(); {
		case p < 0.05:
			n = 150
		case p < 0.30:
			n = 30
		}
		groups[i] = random.Perm(size.users)[:min(n, size.users)]
	}
	return groups
}

// day is what the clients have got.
type day struct {
	mu      sync.Mutex
	ones    []float64 // ms from the sending to each copy of a message to one user
	groups  []float64 // likewise to a group
	acks    []float64 // ms from the sending to the acknowledgement
	refused map[string]int
	wrote   map[string]dayMessage // that are not acknowledged yet
	hung    int                   // logins without an answer
	deaf    int                   // logins whose session nothing reaches
	again   int                   // messages that were repeated
}

// dayMessage is one that was sent, to be repeated.
type dayMessage struct {
	from   int
	stanza string
}

var dayMarkBytes, groupKind = []byte(dayMark), []byte("MTS-000")

// stanza is called by the clients' readers.
func (d *day) stanza(raw []byte) {
	now := time.Now().UnixNano()
	at := bytes.Index(raw, dayMarkBytes)
	if at < 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case bytes.Contains(raw[:min(len(raw), headOfError)], errorBytes):
		d.refused[string(raw)]++
	case bytes.Contains(raw, ackBytes):
		for ; at >= 0; at = bytes.Index(raw, dayMarkBytes) {
			id, ms := dayID(raw[at:], now)
			if _, waits := d.wrote[id]; waits {
				delete(d.wrote, id)
				d.acks = append(d.acks, ms)
			}
			raw = raw[at+len(dayMark):]
		}
	case bytes.Contains(raw, groupKind):
		_, ms := dayID(raw[at:], now)
		d.groups = append(d.groups, ms)
	default:
		_, ms := dayID(raw[at:], now)
		d.ones = append(d.ones, ms)
	}
}

// dayID is the id that stands there, and for how long its message has been under way.
func dayID(raw []byte, now int64) (id string, ms float64) {
	end := len(dayMark)
	for end < len(raw) && raw[end] >= '0' && raw[end] <= '9' {
		end++
	}
	sent, _ := strconv.ParseInt(string(raw[len(dayMark):end]), 10, 64) // we wrote it
	return string(raw[:end]), float64(now-sent) / 1e6
}

// measureDay logs a site in and lets it work: chats, groups, phones that come back, approvals by HTTP. Nothing is made faster than it would be
// there, so what is measured is how long people wait, and what each part costs meanwhile.
func measureDay(ctx context.Context, r *rig, p plan, report *report) (err error) {
	size, random := p.day, rand.New(rand.NewPCG(daySeed, 0))
	if err := enoughFiles(size.sessions); err != nil {
		return err
	}
	db, err := newMariaDB(ctx, r.mariadb, "bench_day")
	if err != nil {
		return err
	}
	site, err := r.startSite(ctx, "tlim-day", db.config())
	if err != nil {
		return err
	}
	users := presenceUsers(size.users)
	say("day: %d users and %d groups by HTTP", size.users, size.groups)
	for list := range slices.Chunk(users, 500) {
		names := map[string]string{}
		for _, user := range list {
			names[user] = user
		}
		if err := site.AddUsers(ctx, names); err != nil {
			return err
		}
	}
	groups := dayGroups(size, random)
	sessions := make([]string, len(groups))
	calls, callCtx := errgroup.WithContext(ctx)
	calls.SetLimit(8)
	for i, members := range groups {
		calls.Go(func() (err error) {
			var names []string
			for _, m := range members {
				names = append(names, users[m])
			}
			sessions[i], err = site.AddSession(callCtx, names[0], names...)
			return err
		})
	}
	if err := calls.Wait(); err != nil {
		return err
	}
	of := make([][]int, size.users) // the groups of each user
	for i, members := range groups {
		for _, m := range members {
			of[m] = append(of[m], i)
		}
	}

	d := &day{refused: map[string]int{}, wrote: map[string]dayMessage{}}
	dial := func(ctx context.Context, i int) (*lab.Client, error) {
		return lab.Dial(ctx, r.server.C2S, r.domain, users[i], password, "phone", lab.WithPresence("", 0), lab.WithEach(d.stanza))
	}
	clients := make([]*lab.Client, size.sessions)
	defer func() {
		for _, c := range clients {
			if c != nil {
				c.Kill()
			}
		}
	}()
	began := time.Now()
	logins, loginCtx := errgroup.WithContext(ctx)
	logins.SetLimit(presenceLogins)
	for i := range clients {
		logins.Go(func() (err error) {
			clients[i], err = dial(loginCtx, i)
			return err
		})
	}
	if err := logins.Wait(); err != nil {
		return err
	}
	say("day: %d sessions logged in, %.0f a second", len(clients), float64(len(clients))/time.Since(began).Seconds())
	if _, err := awaitMetric(ctx, site, "tlim_devices", func(v float64) bool { return v >= float64(size.sessions) }); err != nil {
		return err
	}

	before, err := site.Metrics(ctx)
	if err != nil {
		return err
	}
	pids := map[string]int{"tlim": site.PID(), "the server": r.server.PID, "the database": r.mariadb.PID}
	used, watches := map[string]float64{}, map[string]*memoryWatch{}
	for name, pid := range pids {
		if used[name], err = cpuSeconds(pid); err != nil {
			return err
		}
		watches[name] = watchMemory(pid, time.Second)
	}
	start := time.Now()
	sent, reconnects, notices, workErr := d.work(ctx, r, size, random, site, clients, dial, sessions, of, users)
	took := time.Since(start).Seconds()
	resident := map[string][]float64{}
	for name, w := range watches {
		list, watchErr := w.stop()
		workErr = errors.Join(workErr, watchErr)
		resident[name] = list
	}
	if workErr != nil {
		return workErr
	}
	after, err := site.Metrics(ctx)
	if err != nil {
		return err
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	for text, n := range d.refused {
		say("day: %d refused: %s", n, text)
	}
	mode := fmt.Sprintf("%s sessions, %s groups, %.0f messages/s, %s", amount(int64(size.sessions)), amount(int64(size.groups)), size.rate, size.time)
	one := func(what, unit string, value float64, all []float64, goals ...Goal) {
		s := &Series{Part: "day", Mode: mode + ": " + what, Unit: unit}
		s.add(Sample{Value: value, Count: sent, Seconds: took, All: all})
		report.add(s)
		for _, g := range goals {
			report.goal(s, g)
		}
	}
	for _, w := range []struct {
		what string
		list []float64
	}{{"to one user", d.ones}, {"to a group, each copy", d.groups}, {"acknowledgement", d.acks}} {
		slices.Sort(w.list)
		if len(w.list) == 0 {
			return fmt.Errorf("day: nothing came of %q", w.what)
		}
		one(w.what+", p50", "ms", quantile(w.list, 0.5), nil)
		one(w.what+", p99", "ms", quantile(w.list, 0.99), nil)
	}
	one("copies that came", "a second", float64(len(d.ones)+len(d.groups))/took, nil)
	one("messages sent", "messages", float64(sent), nil)
	one("phones that came back; approvals to 100", "", float64(reconnects), []float64{float64(reconnects), float64(notices)})
	one("logins that the server left unanswered; that nothing reached", "", float64(d.hung), []float64{float64(d.hung), float64(d.deaf)})
	one("messages repeated", "messages", float64(d.again), nil)
	one("not acknowledged", "messages", float64(len(d.wrote)), nil, atMost("none", float64(len(d.wrote)), 0))
	for _, name := range []string{"tlim", "the server", "the database"} {
		now, err := cpuSeconds(pids[name])
		if err != nil {
			return err
		}
		one("CPU of "+name, "% of a core", 100*(now-used[name])/took, nil)
		report.memory("day", mode+": memory of "+name, resident[name])
	}
	one("snapshots", "a second", (after[snapshotsMetric]-before[snapshotsMetric])/took, nil)
	one("one snapshot, mean", "ms", 1e3*(after[snapshotsSum]-before[snapshotsSum])/max(1, after[snapshotsMetric]-before[snapshotsMetric]), nil)
	return nil
}

const snapshotsSum = "tlim_snapshot_seconds_sum"

// quantile of a sorted list.
func quantile(sorted []float64, q float64) float64 {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// work sends what the plan has, and returns when all of it was acknowledged or nobody waits any more.
func (d *day) work(ctx context.Context, r *rig, size daySize, random *rand.Rand, site *lab.Tlim, clients []*lab.Client, dial func(context.Context, int) (*lab.Client, error),
	sessions []string, of [][]int, users []string) (sent, reconnects, notices int, err error) {
	address := "tlim-day." + r.domain
	pace, back, notice := time.NewTicker(time.Duration(float64(time.Second)/size.rate)), time.NewTicker(dayReconnects), time.NewTicker(dayNotices)
	defer pace.Stop()
	defer back.Stop()
	defer notice.Stop()
	beside, besideCtx := errgroup.WithContext(ctx)
	returned := make(chan int, len(clients)) // room for all: nobody waits
	away := map[int]bool{}
	end := time.After(size.time)
	say("day: working for %s", size.time)
	for working := true; working; {
		select {
		case <-ctx.Done():
			return sent, reconnects, notices, errors.Join(ctx.Err(), beside.Wait())
		case <-besideCtx.Done():
			return sent, reconnects, notices, beside.Wait()
		case <-end:
			working = false
		case <-back.C:
			i := random.IntN(len(clients))
			if away[i] {
				continue
			}
			away[i] = true
			reconnects++
			beside.Go(func() error {
				clients[i].Kill()
				for {
					login, cancel := context.WithTimeout(besideCtx, dayLogin)
					client, err := dial(login, i)
					failed := &d.hung
					if err == nil {
						failed = &d.deaf
						if err = client.Ping(login, users[i]+"@"+r.domain+"/phone"); err != nil {
							client.Kill()
						}
					}
					cancel()
					if err == nil {
						clients[i] = client
						returned <- i
						return nil
					}
					if besideCtx.Err() != nil {
						return besideCtx.Err()
					}
					d.mu.Lock()
					*failed++
					d.mu.Unlock()
				}
			})
		case i := <-returned:
			delete(away, i)
		case <-notice.C:
			var to []string
			for range dayReceivers {
				to = append(to, users[random.IntN(len(users))])
			}
			slices.Sort(to)
			beside.Go(func() error {
				_, err := site.Post(besideCtx, "approval", url.Values{"params": {approvalBody}, "msgTo": {strings.Join(slices.Compact(to), ",")}})
				return err
			})
			notices++
		case <-pace.C:
			i := random.IntN(len(clients))
			if away[i] {
				continue
			}
			kind, to, field := "MTT-000", users[random.IntN(len(users))], ""
			if random.Float64() < dayGroupShare && len(of[i]) > 0 {
				kind, to = "MTS-000", sessions[of[i][random.IntN(len(of[i]))]]
				field = `"session_id":"` + to + `",`
			} else if to == users[i] {
				continue
			}
			id := dayMark + strconv.FormatInt(time.Now().UnixNano(), 10)
			stanza := `<message type="chat" to="` + address + `" id="` + id + `"><tlim xmlns="im.itonglian.com" ack="1"/><body>{"version":"2.1.0","msg_type":"` + kind +
				`","msg_from":"` + users[i] + `","msg_to":"` + to + `","msg_time":"1700000000000","msg_id":"` + id + `","body":[{` + field + `"text":"` + text + `"}]}</body></message>`
			d.mu.Lock()
			d.wrote[id] = dayMessage{i, stanza}
			d.mu.Unlock()
			if err := clients[i].Send(stanza); err != nil {
				return sent, reconnects, notices, errors.Join(err, beside.Wait())
			}
			sent++
		}
	}
	if err := beside.Wait(); err != nil {
		return sent, reconnects, notices, err
	}
	if err := d.settle(ctx); err != nil {
		return sent, reconnects, notices, err
	}
	// What was under way when its sender's socket died: clients repeat it.
	for _, m := range d.waiting() {
		if err := clients[m.from].Send(m.stanza); err != nil {
			return sent, reconnects, notices, err
		}
		d.again++
	}
	return sent, reconnects, notices, d.settle(ctx)
}

// settle waits until all is acknowledged, daySettle at most.
func (d *day) settle(ctx context.Context) error {
	for until := time.Now().Add(daySettle); time.Now().Before(until) && len(d.waiting()) > 0; {
		if err := pause.For(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (d *day) waiting() []dayMessage {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Values(d.wrote))
}
