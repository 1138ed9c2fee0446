package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tlim/scripts/lab"
)

func main() {
	once := flag.Bool("once", false, "end after the last step")
	apart := flag.Bool("ha", false, "two tlim and a database cluster, of which parts die")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	show := run
	if *apart {
		show = runHA
	}
	if err := show(ctx, *once); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// stepTime bounds one step; a stanza takes milliseconds, a presence snapshot seconds.
const stepTime = 30 * time.Second

func run(ctx context.Context, once bool) (err error) {
	d := &demo{}
	defer func() {
		if stopErr := d.stop(); err == nil {
			err = stopErr
		}
	}()
	if err := d.start(ctx); err != nil {
		return err
	}
	for i, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"a 1:1 message reaches the other client, the sender gets an acknowledgement after the commit", d.direct},
		{"a group message reaches the member who is there", d.group},
		{"the absent member finds it in the offline queue", d.queue},
		{"the reader's receipt reaches the author and is counted", d.receipt},
		{"an approval pushed with curl reaches its receiver, and its tracking says that their phone confirmed it", d.approval},
		{"a file uploaded with curl comes by a message, and whole after a break", d.file},
	} {
		stepCtx, cancel := context.WithTimeout(ctx, stepTime)
		err := step.do(stepCtx)
		cancel()
		if err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, step.name, err)
		}
		fmt.Printf("  seen %d: %s\n", i+1, step.name)
	}
	if once {
		fmt.Println("all steps seen")
		return nil
	}
	for _, c := range []*lab.Client{d.zhangsan, d.lisi} { // the users are whoever logs in now
		c.Close()
	}
	fmt.Printf(`
All is running. Chat page: %s/   log in as zhangsan in one window and as lisi in a private one, password "secret" each
Console: %s/admin/   its key: %s (file %s)
XMPP clients: %s, domain %s, users zhangsan, lisi, wangwu, password "secret"; they send to tlim.%s
BOSH: %s   through tlim: %s/xmpp/bosh
HTTP API: %s/plugins/tlim/   documents: %s/plugins/tlim/docs   key: %s
  curl -H 'Authorization: Bearer %s' '%s/plugins/tlim/findSessions?user_id=zhangsan'
Metrics:  %s/metrics   readiness: %s/readyz   log: %s
Ctrl-C ends it.
`, d.tlim.URL, d.tlim.URL, d.tlim.Key, filepath.Join(d.tlim.Dir, "tlim.key"), d.server.C2S, d.server.Domain, d.server.Domain, d.server.HTTPBind, d.tlim.URL, d.tlim.URL, d.tlim.URL, d.tlim.Key, d.tlim.Key, d.tlim.URL, d.tlim.MetricsURL, d.tlim.MetricsURL, d.tlim.Log)
	<-ctx.Done()
	return nil
}

// demo holds the running parts.
type demo struct {
	server         *lab.Server
	tlim           *lab.Tlim
	zhangsan, lisi *lab.Client
	session        string
	messageID      string
}

func (d *demo) start(ctx context.Context) (err error) {
	fmt.Println("starting an Openfire 4.2.0 (the first time on a machine it is fetched from Maven Central) ...")
	users := map[string]string{"zhangsan": "secret", "lisi": "secret", "wangwu": "secret"}
	if d.server, err = lab.StartOpenfire(ctx, lab.Options{Users: users}); err != nil {
		return err
	}
	fmt.Println("building and starting tlim on SQLite ...")
	config := lab.ServerConfig(d.server)
	config["web.xmpp_url"] = d.server.HTTPBind
	if d.tlim, err = lab.StartTlim(ctx, lab.TlimOptions{Config: config}); err != nil {
		return err
	}
	if err = d.tlim.AddUsers(ctx, map[string]string{"zhangsan": "张三", "lisi": "李四", "wangwu": "王五"}); err != nil {
		return err
	}
	to := "tlim." + d.server.Domain
	dial := func(user, resource string) (*lab.Client, error) {
		return lab.Dial(ctx, d.server.C2S, d.server.Domain, user, "secret", resource, lab.WithPresence("", 0), lab.WithDirected(to), lab.WithAck(), lab.WithConfirm())
	}
	if d.zhangsan, err = dial("zhangsan", "pc[web]"); err != nil {
		return err
	}
	d.lisi, err = dial("lisi", "phone[android]")
	return err
}

// stop ends everything in order; an orderly end that fails is the demo's failure.
func (d *demo) stop() error {
	for _, c := range []*lab.Client{d.zhangsan, d.lisi} {
		if c != nil {
			c.Close()
		}
	}
	var err error
	if d.tlim != nil {
		err = d.tlim.Stop()
	}
	if d.server != nil {
		if stopErr := d.server.Stop(); err == nil {
			err = stopErr
		}
	}
	return err
}

func (d *demo) address() string { return "tlim." + d.server.Domain }

func (d *demo) direct(ctx context.Context) error {
	d.messageID = lab.NewID()
	if err := d.zhangsan.SendMessage(d.address(), d.messageID, lab.Text("zhangsan", "lisi", d.messageID, "你好 😀")); err != nil {
		return err
	}
	m, err := d.lisi.WaitFor(ctx, func(m lab.Message) bool { return m.Is("MTT-000", d.messageID) })
	if err != nil {
		return fmt.Errorf("lisi: %w", err)
	}
	e, err := m.Envelope()
	if err != nil {
		return err
	}
	if !strings.Contains(string(e.Body), "你好 😀") {
		return fmt.Errorf("the text came as %s", e.Body)
	}
	return d.acknowledged(ctx, d.messageID)
}

func (d *demo) acknowledged(ctx context.Context, id string) error {
	if _, err := d.zhangsan.WaitFor(ctx, func(m lab.Message) bool { _, yes := m.Acknowledges(id); return yes }); err != nil {
		return fmt.Errorf("the acknowledgement: %w", err)
	}
	return nil
}

func (d *demo) group(ctx context.Context) (err error) {
	if d.session, err = d.tlim.AddSession(ctx, "zhangsan", "zhangsan", "lisi", "wangwu"); err != nil {
		return err
	}
	d.messageID = lab.NewID()
	if err := d.zhangsan.SendMessage(d.address(), d.messageID, lab.GroupText("zhangsan", d.session, d.messageID, "开会")); err != nil {
		return err
	}
	if _, err := d.lisi.WaitFor(ctx, func(m lab.Message) bool { return m.Is("MTS-000", d.messageID) }); err != nil {
		return fmt.Errorf("lisi: %w", err)
	}
	return d.acknowledged(ctx, d.messageID)
}

func (d *demo) queue(ctx context.Context) error {
	answer, err := d.tlim.Get(ctx, "getOffline", url.Values{"user_id": {"wangwu"}})
	if err != nil {
		return err
	}
	rows, _ := answer["message_list"].([]any)
	for _, row := range rows {
		if fields, ok := row.(map[string]any); ok && fields["msg_id"] == d.messageID && fields["delete_user"] == "wangwu" {
			return nil
		}
	}
	return fmt.Errorf("wangwu's queue lacks %s: %v", d.messageID, answer)
}

func (d *demo) receipt(ctx context.Context) error {
	id := lab.NewID()
	if err := d.lisi.SendMessage(d.address(), id, lab.GroupReadReceipt("lisi", d.session, id, d.messageID)); err != nil {
		return err
	}
	if _, err := d.zhangsan.WaitFor(ctx, func(m lab.Message) bool { return m.Is("MTS-100", id) }); err != nil {
		return fmt.Errorf("the author: %w", err)
	}
	answer, err := d.tlim.Get(ctx, "findSessionRead", url.Values{"session_id": {d.session}, "sender": {"zhangsan"}, "start": {"0"}, "length": {"10"}})
	if err != nil {
		return err
	}
	if text := fmt.Sprint(answer["messageReadList"]); !strings.Contains(text, d.messageID) || !strings.Contains(text, "readNum:1") {
		return fmt.Errorf("findSessionRead answers %s", text)
	}
	return nil
}

// approval uses curl, as an integrator would, and then asks what became of it.
func (d *demo) approval(ctx context.Context) error {
	params := `[{bizId:"b1",docTitle:"请假",solId:"s1",spType:"1052M001",wzType:"1",taskId:"t1"}]`
	out, err := exec.CommandContext(ctx, "curl", "-sS", "-G", "-H", "Authorization: Bearer "+d.tlim.Key, d.tlim.URL+"/plugins/tlim/approval",
		"--data-urlencode", "params="+params, "--data-urlencode", "msgTo=lisi").CombinedOutput()
	if err != nil {
		return fmt.Errorf("curl: %w: %s", err, out)
	}
	var answer struct {
		Result string `json:"result"`
		CallID string `json:"call_id"`
	}
	if err := json.Unmarshal(out, &answer); err != nil || answer.Result != "ok" || answer.CallID == "" {
		return fmt.Errorf("the answer is %s", out)
	}
	if _, err := d.lisi.WaitFor(ctx, func(m lab.Message) bool { return m.Is("MTB-000", "") && strings.Contains(m.Body, "请假") }); err != nil {
		return fmt.Errorf("lisi: %w", err)
	}
	return d.tracked(ctx, answer.CallID)
}

// askAgain lies between two questions what became of a notice.
const askAgain = 50 * time.Millisecond

// tracked asks until the confirmation of lisi's phone has come.
func (d *demo) tracked(ctx context.Context, call string) error {
	type receiver struct {
		User      string `json:"user_id"`
		Stored    string `json:"stored"`
		Delivered string `json:"delivered"`
	}
	want := receiver{"lisi", "stored", "confirmed"}
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		var answer struct {
			Receivers []receiver `json:"receivers"`
		}
		if err := d.tlim.Call(ctx, http.MethodGet, "findNotice", url.Values{"call_id": {call}, "length": {"max"}}, &answer); err != nil {
			return err
		}
		if len(answer.Receivers) == 1 && answer.Receivers[0] == want {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("findNotice says %+v, want %+v: %w", answer.Receivers, want, ctx.Err())
		}
	}
}
