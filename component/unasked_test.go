package component

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"tlim/store"
)

// gauges reads a metric by its classes: "other 2, web 1".
func gauges(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	found := make(chan prometheus.Metric, 100)
	c.Collect(found)
	close(found)
	var list []string
	for one := range found {
		var m dto.Metric
		if err := one.Write(&m); err != nil {
			t.Fatal(err)
		}
		if v := m.GetGauge().GetValue() + m.GetCounter().GetValue(); v != 0 {
			list = append(list, fmt.Sprintf("%s %.0f", m.GetLabel()[0].GetValue(), v))
		}
	}
	if len(list) > 1 && list[0] > list[1] {
		list[0], list[1] = list[1], list[0]
	}
	return strings.Join(list, ", ")
}

// silently lets a device send an envelope without asking for a receipt.
func (h *harness) silently(device, envelope string) {
	h.t.Helper()
	h.sendRaw(device, testComponent, "<tlim xmlns=\"im.itonglian.com\"/><body>"+envelope+"</body>")
}

// TestUnasked: whose client never asks for receipts is counted, once its messages are stored.
func TestUnasked(t *testing.T) {
	h := start(t, nil)
	check := func(when, messages, clients string) {
		t.Helper()
		if got := gauges(t, h.unasked.messages); got != messages {
			t.Errorf("%s: messages %q, want %q", when, got, messages)
		}
		if got := gauges(t, h.unasked.clients); got != clients {
			t.Errorf("%s: clients %q, want %q", when, got, clients)
		}
	}
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "a"))
	check("one that asks", "", "")
	h.silently("lisi/p", text("m2", "lisi", "zhangsan", "b"))
	h.silently("lisi/x[web]", text("m3", "lisi", "zhangsan", "c"))
	h.silently("lisi/x[web]", text("m4", "lisi", "zhangsan", "d"))
	check("two that do not", "other 1, web 2", "other 1, web 1")
	h.send("lisi/y[web]", text("m5", "lisi", "zhangsan", "e"))
	check("it asks after all", "other 1, web 2", "other 1")
	h.silently("lisi/x[web]", text("m6", "lisi", "zhangsan", "f"))
	check("not always", "other 1, web 3", "other 1")

	// Neither what is not stored, nor what was refused.
	h.silently("wangwu/p", `{"msg_id":"r1","msg_type":"MTT-100","msg_from":"wangwu","msg_to":"zhangsan","body":[{"msg_id":"m1"}]}`)
	h.silently("wangwu/p", text("m7", "zhangsan", "lisi", "forged"))
	h.silently("wangwu/p", groupText("m8", "wangwu", "none", "no such group"))
	h.silently("wangwu/p", "no JSON")
	h.rec.breakWith(store.ErrUnavailable)
	h.silently("wangwu/p", text("m9", "wangwu", "lisi", "no database"))
	h.rec.breakWith(nil)
	check("nothing stored", "other 1, web 3", "other 1")
	h.silently("wangwu/p", text("m9", "wangwu", "lisi", "again"))
	check("stored", "other 2, web 3", "other 2")
}

// TestUnaskedElsewhere: where nobody needs to ask, or it does not help, nobody is counted.
func TestUnaskedElsewhere(t *testing.T) {
	for _, how := range []ServerReceiptMode{ServerReceiptsAlways, ServerReceiptsNever} {
		h := start(t, func(c *Config) { c.ServerReceipts = how })
		h.silently("lisi/p", text("m1", "lisi", "zhangsan", "a"))
		if h.unasked != nil {
			t.Errorf("%s: counted", how)
		}
	}
}

// TestUnaskedLog: one line a day names some of those who sent last.
func TestUnaskedLog(t *testing.T) {
	var log strings.Builder
	u := newUnasked(prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&log, nil)))
	now := time.UnixMilli(1_600_000_000_000)
	tell := func(want string) {
		t.Helper()
		log.Reset()
		u.tell(now)
		_, got, _ := strings.Cut(log.String(), "clients=")
		if strings.TrimSpace(got) != want {
			t.Errorf("%s, want %q", &log, want)
		}
	}
	tell("")
	u.note("lisi", "x[ios]", false, now)
	u.note("lisi", "x[android]", false, now)
	u.note("zhangsan", "x[android]", true, now)
	tell("") // more may come
	now = now.Add(unaskedFirst)
	tell(`2 messages=2 "for example"="lisi (android), lisi (ios)"`)
	u.note("lisi", "y[ios]", false, now)
	tell("")
	now = now.Add(unaskedPeriod)
	tell(`2 messages=1 "for example"="lisi (ios), lisi (android)"`)
	now = now.Add(unaskedPeriod)
	tell("") // nothing came
	u.note("lisi", "x[ios]", false, now)
	u.note("lisi", "x[ios]", true, now)
	u.note("lisi", "x[android]", true, now)
	tell("") // all of them ask by now
	for i := range 100 {
		u.note(fmt.Sprint("u", i), "[web]", false, now)
	}
	now = now.Add(unaskedPeriod)
	log.Reset()
	u.tell(now)
	if got := log.String(); strings.Count(got, "(web)") != unaskedNames || !strings.Contains(got, "clients=100 messages=100") || !strings.Contains(got, `="u99 (web), u98`) {
		t.Errorf(`got %s, want %v times "(web)", with "clients=100 messages=100", with %q`, got, unaskedNames, `="u99 (web), u98`)
	}
}

// TestUnaskedBounded: however many there are, memory and series stay.
func TestUnaskedBounded(t *testing.T) {
	u := newUnasked(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	now := time.UnixMilli(1_600_000_000_000)
	for i := range 2*knownClients + 5 {
		u.note(fmt.Sprint("u", i), "res"+fmt.Sprint(i), i%2 == 0, now)
	}
	if u.known.Len() != knownClients || u.silent != knownClients/2 {
		t.Errorf("%d known, %d silent, want %d, silent %d", u.known.Len(), u.silent, knownClients, knownClients/2)
	}
	if got, want := gauges(t, u.messages)+"; "+gauges(t, u.clients), fmt.Sprintf("other %d; other %d", knownClients+2, knownClients/2); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
