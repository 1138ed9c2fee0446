package component

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/store"
)

// gauges reads a metric by its classes: "other 2, web 1".
func gauges(t *testing.T, reg *prometheus.Registry, name string) string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() { // in the order of their labels
			if v := m.GetGauge().GetValue() + m.GetCounter().GetValue(); v != 0 {
				list = append(list, fmt.Sprintf("%s %.0f", m.GetLabel()[0].GetValue(), v))
			}
		}
	}
	return strings.Join(list, ", ")
}

// silently lets a device send an envelope without asking for an acknowledgement.
func (h *harness) silently(device, envelope string) {
	h.t.Helper()
	h.sendRaw(device, testComponent, "<tlim xmlns=\"im.itonglian.com\"/><body>"+envelope+"</body>")
}

// TestUnasked: whose client never asks for acknowledgements is counted, once its messages are stored.
func TestUnasked(t *testing.T) {
	h := newHarness(t)
	h.metered = prometheus.NewRegistry()
	h.begin(nil)
	check := func(when, messages, clients string) {
		t.Helper()
		if got := gauges(t, h.metered, "tlim_unasked_total"); got != messages {
			t.Errorf("%s: got messages %q, want %q", when, got, messages)
		}
		if got := gauges(t, h.metered, "tlim_unasking_clients"); got != clients {
			t.Errorf("%s: got clients %q, want %q", when, got, clients)
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
	for _, how := range []AcknowledgementMode{AcknowledgementsAlways, AcknowledgementsNever} {
		t.Run(fmt.Sprint(how), func(t *testing.T) {
			h := start(t, func(c *Config) { c.Acknowledgements = how })
			h.silently("lisi/p", text("m1", "lisi", "zhangsan", "a"))
			if h.conveyor.unasked != nil {
				t.Error("got it counted, want not")
			}
		})
	}
}
