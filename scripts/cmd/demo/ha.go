package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tlim/scripts/lab"
)

const (
	// haTime bounds one message, and what a part takes to be back.
	haTime = 2 * time.Minute
	// sayAgain is how long a client waits for an acknowledgement before it sends the same message again.
	sayAgain = time.Second
	haKey    = "the-key-of-the-demo"
)

// ha is a site of which parts die: an Openfire, three nodes of a database, two tlim.
type ha struct {
	server          *lab.Server
	cluster         *lab.Galera
	leader, standby *lab.Tlim
	zhangsan, lisi  *lab.Client
	said            []string // msg_ids, acknowledged and seen
}

// runHA lets two clients chat while the tlim that leads and the database node in use are killed.
func runHA(ctx context.Context, once bool) (err error) {
	h := &ha{}
	defer func() { err = errors.Join(err, h.stop()) }()
	if err := h.start(ctx); err != nil {
		return err
	}
	for i, step := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"zhangsan and lisi chat", h.chat},
		{"the tlim that leads is killed, and they go on", h.killLeader},
		{"the killed one is started again, and stands by", h.leaderBack},
		{"the database node in use is killed, and they go on", h.killNode},
		{"the node is started again, and has what it missed", h.nodeBack},
		{"all that was acknowledged is in the history, once, on every node", h.judge},
	} {
		stepCtx, cancel := context.WithTimeout(ctx, haTime)
		told, err := step.do(stepCtx)
		cancel()
		if err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, step.name, err)
		}
		fmt.Printf("  seen %d: %s (%s)\n", i+1, step.name, told)
	}
	if once {
		fmt.Println("all steps seen")
		return nil
	}
	for _, c := range []*lab.Client{h.zhangsan, h.lisi} { // the users are whoever logs in now
		c.Close()
	}
	fmt.Printf(`
All is running. It leads: %s (process %d); it stands by: %s (process %d): kill one of them.
Who leads, and which node does the work: %s/readyz   %s/readyz
Chat page: %s/   users zhangsan, lisi, password "secret"; key of the HTTP API: %s
XMPP clients: %s, domain %s; they send to tlim.%s
Database nodes: scripts/galera status --dir %s; kill N and heal N do what they say.
Logs: %s   %s
Ctrl-C ends it.
`, h.leader.URL, h.leader.PID(), h.standby.URL, h.standby.PID(), h.leader.MetricsURL, h.standby.MetricsURL, h.leader.URL, haKey, h.server.C2S, h.server.Domain, h.server.Domain, h.cluster.Dir, h.leader.Log, h.standby.Log)
	<-ctx.Done()
	return nil
}

func (h *ha) start(ctx context.Context) error {
	fmt.Println("starting an Openfire 4.2.0 and a MariaDB cluster of three nodes ...")
	var starting sync.WaitGroup
	var failed [2]error
	starting.Go(func() {
		h.server, failed[0] = lab.StartOpenfire(ctx, lab.Options{Users: map[string]string{"zhangsan": "secret", "lisi": "secret"}, Properties: map[string]string{"xmpp.component.idle": "60000"}})
	})
	starting.Go(func() { h.cluster, failed[1] = lab.StartGalera(ctx) })
	starting.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		return err
	}
	fmt.Println("building tlim and starting two of it ...")
	config := lab.ServerConfig(h.server)
	config["store.driver"], config["store.dsn"], config["standby.enabled"] = "mysql", h.cluster.DSN, true
	config["files.dir"] = filepath.Join(h.cluster.Dir, "files") // both see it
	config["web.xmpp_url"] = h.server.HTTPBind
	config["http.keys"] = []map[string]any{{"name": "demo", "key": haKey, "scopes": []string{"admin"}}}
	for _, t := range []**lab.Tlim{&h.leader, &h.standby} {
		var err error
		if *t, err = lab.StartTlim(ctx, lab.TlimOptions{Unready: true, Config: config}); err != nil {
			return err
		}
		(*t).Key = haKey
		if err := (*h.leader).AwaitReady(ctx); err != nil {
			return err
		}
	}
	if err := h.leader.AddUsers(ctx, map[string]string{"zhangsan": "张三", "lisi": "李四"}); err != nil {
		return err
	}
	for _, c := range []struct {
		client         **lab.Client
		user, resource string
	}{{&h.zhangsan, "zhangsan", "pc[web]"}, {&h.lisi, "lisi", "phone[android]"}} {
		var err error
		if *c.client, err = lab.Dial(ctx, h.server.C2S, h.server.Domain, c.user, "secret", c.resource, lab.WithPresence("", 0), lab.WithDirected(h.address()), lab.WithAck(), lab.WithConfirm()); err != nil {
			return err
		}
	}
	return nil
}

func (h *ha) stop() error {
	for _, c := range []*lab.Client{h.zhangsan, h.lisi} {
		if c != nil {
			c.Close()
		}
	}
	var errs []error
	for _, t := range []*lab.Tlim{h.standby, h.leader} {
		if t != nil {
			errs = append(errs, t.Stop())
		}
	}
	if h.server != nil {
		errs = append(errs, h.server.Stop())
	}
	if h.cluster != nil {
		errs = append(errs, h.cluster.Stop(), os.RemoveAll(filepath.Join(h.cluster.Dir, "files")))
	}
	return errors.Join(errs...)
}

func (h *ha) address() string { return "tlim." + h.server.Domain }

// say sends a message of zhangsan's until it is acknowledged, as each client should: again under the same msg_id. It returns when lisi has it.
func (h *ha) say(ctx context.Context, text string) error {
	id := lab.NewID()
	body := lab.Text("zhangsan", "lisi", id, text)
	for done := false; !done; {
		if err := h.zhangsan.SendMessage(h.address(), id, body); err != nil {
			return err
		}
		waiting, cancel := context.WithTimeout(ctx, sayAgain)
		_, err := h.zhangsan.WaitFor(waiting, func(m lab.Message) bool { _, yes := m.Acknowledges(id); return yes })
		cancel()
		if done = err == nil; !done && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the acknowledgement: %w", err)
		}
	}
	if _, err := h.lisi.WaitFor(ctx, func(m lab.Message) bool { return m.Is("MTT-000", id) }); err != nil {
		return fmt.Errorf("lisi: %w", err)
	}
	h.said = append(h.said, id)
	return nil
}

// goOn says ten things, and tells how long the first took.
func (h *ha) goOn(ctx context.Context, since time.Time) (string, error) {
	var pause time.Duration
	for i := range 10 {
		if err := h.say(ctx, fmt.Sprintf("还在吗? %d", i)); err != nil {
			return "", err
		}
		if i == 0 {
			pause = time.Since(since)
		}
	}
	return fmt.Sprintf("the first message was acknowledged and seen after %.1f s", pause.Seconds()), nil
}

func (h *ha) chat(ctx context.Context) (string, error) { return h.goOn(ctx, time.Now()) }

func (h *ha) killLeader(ctx context.Context) (string, error) {
	if _, err := h.await(ctx, h.leader, func(s haState) bool { return s.Other.Alive }); err != nil { // else nobody stands by yet
		return "", err
	}
	killed := time.Now()
	if err := h.leader.Kill(); err != nil {
		return "", err
	}
	h.leader, h.standby = h.standby, h.leader
	return h.goOn(ctx, killed)
}

func (h *ha) leaderBack(ctx context.Context) (string, error) {
	if err := h.standby.Start(ctx); err != nil {
		return "", err
	}
	s, err := h.await(ctx, h.standby, func(s haState) bool { return s.Role == "standby" && s.Other.Alive })
	return fmt.Sprintf("its role is %s, the other one leads", s.Role), err
}

func (h *ha) killNode(ctx context.Context) (string, error) {
	n, err := h.node(ctx)
	if err != nil {
		return "", err
	}
	killed := time.Now()
	if err := h.cluster.Kill(ctx, n); err != nil {
		return "", err
	}
	text, err := h.goOn(ctx, killed)
	if err != nil {
		return "", err
	}
	now, err := h.node(ctx)
	if err == nil && now == n {
		err = fmt.Errorf("the work is on node %d, which is dead", n)
	}
	return fmt.Sprintf("node %d; %s, the work is on node %d", n, text, now), err
}

// node is the number of the node that does the work.
func (h *ha) node(ctx context.Context) (int, error) {
	s, err := h.await(ctx, h.leader, func(s haState) bool { return s.Database.Server != "" })
	if err != nil {
		return 0, err
	}
	n := slices.Index(h.cluster.Addresses, s.Database.Server) + 1
	if n == 0 {
		return 0, fmt.Errorf("the work is on %s, which is none of %v", s.Database.Server, h.cluster.Addresses)
	}
	return n, nil
}

func (h *ha) nodeBack(ctx context.Context) (string, error) {
	for n := 1; n <= len(h.cluster.Addresses); n++ {
		if h.cluster.Lives(n) {
			continue
		}
		return fmt.Sprintf("node %d", n), h.cluster.Heal(ctx, n)
	}
	return "", errors.New("all nodes live, want one dead")
}

// judge holds the history against what was acknowledged, and counts the rows on each node.
func (h *ha) judge(ctx context.Context) (string, error) {
	var answer struct {
		List []struct {
			ID string `json:"msg_id"`
		} `json:"message_list"`
	}
	if err := h.leader.Call(ctx, "GET", "findChatHistory", url.Values{"user_id": {"zhangsan"}, "session_id": {"lisi"}, "start": {"0"}, "length": {"max"}}, &answer); err != nil {
		return "", err
	}
	times := map[string]int{}
	for _, m := range answer.List {
		times[m.ID]++
	}
	for _, id := range h.said {
		if times[id] != 1 {
			return "", fmt.Errorf("%s is in the history %d times", id, times[id])
		}
	}
	for n := 1; n <= len(h.cluster.Addresses); n++ {
		rows, err := h.cluster.Count(ctx, n, "ofmessage")
		if err != nil {
			return "", err
		}
		if rows != len(h.said) {
			return "", fmt.Errorf("node %d has %d messages, want %d", n, rows, len(h.said))
		}
	}
	return fmt.Sprintf("%d messages", len(h.said)), nil
}

// haState is what of /readyz is looked at.
type haState struct {
	Role     string
	Other    struct{ Alive bool }
	Database struct{ Server string }
}

// await asks /readyz of a tlim until it is as wanted.
func (h *ha) await(ctx context.Context, t *lab.Tlim, wanted func(haState) bool) (haState, error) {
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		var s haState
		_, text, err := t.Ready(ctx)
		if err == nil {
			err = json.Unmarshal([]byte(text), &s)
		}
		if err == nil && wanted(s) {
			return s, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return s, fmt.Errorf("/readyz says %s, %w", text, errors.Join(err, ctx.Err()))
		}
	}
}
