package shadow

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
	"tlim/store"
)

// A rule is a heading that readers of a report find.
func TestRulesAreHeadings(t *testing.T) {
	text, err := os.ReadFile("../../../component/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range Rules() {
		if !strings.Contains(string(text), "\n## "+string(rule)+"\n") && !strings.Contains(string(text), "\n### "+string(rule)+"\n") {
			t.Errorf("PROTOCOL.md has no heading %q, want it", rule)
		}
	}
}

// Each refusal has a rule, but for the one that says "later".
func TestEveryRefusalHasARule(t *testing.T) {
	for code := range protocol.Conditions {
		m := &message{msgType: "MTS-000", from: "a", sender: "a"}
		switch code {
		case protocol.TryLater: // not compared
		case protocol.GroupTypeInvalid, protocol.GroupNameEmpty, protocol.GroupOwnerInvalid, protocol.GroupNotCreated: // of HTTP calls
		default:
			if m.ruleOf(code) == Unexplained {
				t.Errorf("%s has no rule, want one", code)
			}
		}
	}
	for _, c := range []struct {
		m    message
		want Rule
	}{
		{message{msgType: "MTS-000", from: "b", sender: "a"}, RuleIdentity},
		{message{msgType: "MTS-000", from: "A", sender: "a"}, RuleGroups},
		{message{msgType: "MTT-101", from: "a", sender: "a"}, RuleRevoke},
		{message{msgType: "MTS-100", from: "a", sender: "a"}, RuleReceipts},
		{message{msgType: "MTS-107", from: "a", sender: "a"}, RuleDissolve},
		{message{msgType: "MTB-000", from: "a", sender: "a"}, RuleTypes},
	} {
		t.Run(c.m.msgType+" of "+c.m.from, func(t *testing.T) {
			if got := c.m.ruleOf(protocol.NotAllowed); got != c.want {
				t.Errorf("error-011 of %s: got %q, want %q", c.m.msgType, got, c.want)
			}
		})
	}
}

func TestSameBody(t *testing.T) {
	for _, c := range []struct {
		ours, theirs string
		rule         Rule
		same         bool
	}{
		{`[{"a":"1","b":2}]`, `[{"a":"1","b":2}]`, "", true},
		{`[{"a":"1","b":2}]`, `[{"b":2,"a":"1"}]`, RuleBodies, true},
		{`[{"a":"1"}]`, `[{a:'1'}]`, RuleBodies, true},
		{`[{"text":"你好 a"}]`, `%5B%7B%22text%22%3A%22%E4%BD%A0%E5%A5%BD+a%22%7D%5D`, RuleBodies, true},
		{`[{"a":1}]`, `[{"a":1.0}]`, "", false},
		{`[{"a":"1"}]`, `[{"a":"2"}]`, "", false},
		{`[{"a":"1"}]`, ``, "", false},
		{`opaque`, `Opaque`, "", false},
	} {
		t.Run(c.ours+" and "+c.theirs, func(t *testing.T) {
			if rule, same := sameBody(c.ours, c.theirs); rule != c.rule || same != c.same {
				t.Errorf("%s and %s: got %q, %v, want %q, %v", c.ours, c.theirs, rule, same, c.rule, c.same)
			}
		})
	}
}

// A report names where two bodies part, and nothing that people wrote.
func TestReportHidesBodies(t *testing.T) {
	b := newBench(t)
	b.copy("m", "MTT-000", 0, nil)
	b.site.rows["m"] = []store.Message{{ID: "1", MsgID: "m", Type: "MTT-000", From: "zhangsan", To: "wangwu", Body: `[{"text":"secret"}]`}}
	b.look(20)
	var text strings.Builder
	r := b.Report(true)
	if err := r.Print(&text); err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{text.String(), string(document)} {
		if strings.Contains(out, "secret") || !strings.Contains(out, "14 characters here, 19 there, the same up to the 10. one") || !strings.Contains(out, "lisi here, wangwu there") {
			t.Errorf("got %s, want where they part alone", out)
		}
	}
	if !strings.Contains(text.String(), "2 unexplained, 0 explained") || !strings.Contains(text.String(), "1 x message: other body (UNEXPLAINED), as m 14") {
		t.Errorf("got %s, want both as unexplained", text.String())
	}
}

// Rows without a copy are told apart by why there is none.
func TestUncopied(t *testing.T) {
	b := newBench(t)
	b.plugin("before", "MTT-000")
	b.look(1) // the first scan
	b.plugin("as they began", "MTT-000")
	b.scan(t.Context())
	b.look(20)
	b.plugin("lost", "MTT-000")
	b.plugin("by HTTP", "MTB-000")
	b.plugin("its copy comes later", "MTT-000")
	b.scan(t.Context())
	b.clock.Move(4 * time.Second)
	b.copy("its copy comes later", "MTT-000", 5*time.Second, nil)
	b.look(20)
	b.LinkDown()
	b.plugin("in a gap", "MTT-000")
	b.scan(t.Context())
	b.Subscribed()
	b.look(20)
	r := b.Report(true)
	if r.MissingAmongCopies != 2 || r.Uncopied[0].MsgID != "lost" || r.Uncopied[0].Detail != "" || r.Uncopied[1].MsgID != "in a gap" || r.Uncopied[1].Detail != "while the copy link was down" {
		t.Errorf("got %+v, want the lost one, and the one of the gap", r.Uncopied)
	}
	if got, want := b.found(), "1/1 0/0 1x not: "+NotHTTP+", 1x not: "+NotBegun; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The end waits for copies and rows, and a second signal ends that.
func TestFinish(t *testing.T) {
	b := newBench(t)
	b.copy("m", "MTT-000", 0, nil)
	b.Comparison.look(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := b.Finish(ctx); !r.Final || r.Messages.Compared != 0 || r.NotCompared != 1 || r.Reasons[0].Reason != NotUndecided || r.Waiting != 0 {
		t.Errorf("got %+v, want one that was not decided", r)
	}
}

// A first scan that fails tells of no row that it is new.
func TestFirstScanFails(t *testing.T) {
	b := newBench(t)
	b.plugin("before", "MTT-000")
	b.site.fail = errors.New("away")
	b.look(5)
	b.site.fail = nil
	b.look(65)
	b.plugin("lost", "MTT-000")
	b.scan(t.Context())
	b.site.fail = errors.New("away again")
	b.scan(t.Context())
	b.site.fail = nil
	b.scan(t.Context())
	b.look(20)
	if r := b.Report(true); r.MissingAmongCopies != 1 || r.Uncopied[0].MsgID != "lost" || r.Reasons[0].Reason != NotScanned || r.Reasons[0].Count != 2 {
		t.Errorf("got %+v, %+v, want the lost one, and two scans that failed", r.Uncopied, r.Reasons)
	}
}
