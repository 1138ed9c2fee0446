package system

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// The process is killed in the middle of an approval for thousands: after the restart everybody has exactly one, whether its caller
// comes again or not; and the repeated call answers ok.
func TestApprovalCutShort(t *testing.T) {
	const many = 4000
	w := newWorld(t, openfire, nil)
	approval := func(m lab.Message) bool { return m.Is("MTB-000", "") }
	receivers := make([]string, many)
	var users []string
	var places map[string]int // of those who are there: the first, one in the middle, the last
	var phones map[string]*lab.Client
	var form url.Values
	for cut := false; !cut; { // a call may be over before we see that it has begun: then another one
		for i := range receivers {
			receivers[i] = fmt.Sprintf("%s-%056d", lab.NewID()[:5], i) // as long as an id may be, about
		}
		users, phones = people(t, 3), map[string]*lab.Client{}
		for some := range slices.Chunk(append(slices.Clone(receivers), users...), 500) {
			w.known(some...)
		}
		places = map[string]int{users[0]: 0, users[1]: many / 2, users[2]: many - 1}
		for user, at := range places {
			receivers[at] = user
			phones[user] = w.online(user, "1[android]")
		}
		form = url.Values{"params": {`[{"bizId":"1","docTitle":"请假","taskId":"2"}]`}, "msgTo": {strings.Join(receivers, ",")}, "idempotency_key": {"the night run for " + users[0]}}
		answered := make(chan struct{})
		var err error // how it was answered
		go func() {
			defer close(answered)
			_, err = w.tlim.Post(t.Context(), "approval", form)
		}()
		await(t, within(t, soon), "the call to begin", func() (bool, error) {
			select {
			case <-answered:
				return true, nil
			default:
			}
			samples, err := w.tlim.Metrics(within(t, soon))
			return samples["tlim_notice_calls_open"] == 1, err
		})
		check(t, w.tlim.Kill())
		<-answered
		check(t, w.tlim.Start(within(t, time.Minute)))
		cut = strings.Contains(string(must[[]byte](t)(os.ReadFile(w.tlim.Log))), "notice calls that were cut short are being finished")
		if cut && err == nil {
			t.Error("the call was answered ok although the process was killed within it, want an error")
		}
	}

	// 1. It is finished without being asked for; the id of a message tells that of the call.
	m := must[lab.Message](t)(phones[users[0]].WaitFor(within(t, time.Minute), approval))
	call := must[lab.Envelope](t)(m.Envelope()).ID[:30] + "000000"
	find := func(start, length string) map[string]any {
		t.Helper()
		answer := must[map[string]any](t)(w.tlim.Get(within(t, soon), "findNotice", pairs("call_id", call, "start", start, "length", length)))
		if answer["result"] != "ok" || answer["total"] != float64(many) {
			t.Fatalf("findNotice: got %.300v, want ok, total %v", answer, float64(many))
		}
		return answer
	}
	await(t, within(t, time.Minute), "the end of the call", func() (bool, error) { return find("0", "0")["state"] == "done", nil })

	// 2. A repeat is answered with it.
	for range 2 {
		answer := must[map[string]any](t)(w.tlim.Post(within(t, time.Minute), "approval", form))
		if answer["result"] != "ok" || answer["call_id"] != call {
			t.Errorf("the repeated call: got %v, want ok, call_id %v", answer, call)
		}
	}

	// 3. Everybody has one.
	var served []string
	for _, row := range find("0", "max")["receivers"].([]any) {
		r := row.(map[string]any)
		if r["stored"] != "stored" || r["delivered"] == nil {
			t.Fatalf("got %v, want stored stored, a delivered", r)
		}
		served = append(served, r["user_id"].(string))
	}
	if !slices.Equal(served, receivers) {
		t.Errorf("%d were served, in another order than they were named, want served %v", len(served), receivers)
	}
	for i := 0; i < many; i += 97 {
		if list := w.rows("findSystemHistory", "msg_to", receivers[i], "type", "MTB", "length", "max"); list.Total != 1 || len(list.List) != 1 {
			t.Fatalf("%s has %d messages, want 1", receivers[i], list.Total)
		}
	}
	for user, phone := range phones {
		if user != users[0] {
			must[lab.Message](t)(phone.WaitFor(within(t, time.Minute), approval))
		}
		want := fmt.Sprintf("%s%06x", call[:30], places[user]+1)
		for _, again := range phone.Drain() { // a copy may come again, with its id
			if id := must[lab.Envelope](t)(again.Envelope()).ID; approval(again) && id != want {
				t.Errorf("%s, again: got the id %s, want %s", user, id, want)
			}
		}
	}
}
