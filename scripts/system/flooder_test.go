package system

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// flood is what one user sends to make work for everybody: each stanza names, addresses or provokes as much as it can.
func flood(w *world, me, group string) []string {
	ids := func(kind, to string, n int) string {
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, `,{"msg_id":%q,"session_id":%q}`, lab.NewID(), group)
		}
		return w.stanza(fmt.Sprintf(`{"msg_id":%q,"msg_type":%q,"msg_from":%q,"msg_to":%q,"msg_time":"1","body":[%s]}`, lab.NewID(), kind, me, to, b.String()[1:]))
	}
	list := []string{
		ids("MTT-100", me, 200), ids("MTT-100", me, 201), ids("MTT-101", me, 200), ids("MTT-101", me, 500), ids("MTC-000", me, 200),
		ids("MTS-100", group, 200), ids("MTS-101", group, 200),
		w.stanza(fmt.Sprintf(`{"msg_id":%q,"msg_type":"MTS-000","msg_from":%q,"msg_to":%q,"msg_time":"1","body":[{"session_id":%q,"text":%q}]}`,
			lab.NewID(), me, group, group, strings.Repeat("好", 3000))),
		w.stanza("no JSON"), w.stanza(`{"msg_type":"MTT-000","body":` + strings.Repeat("[", 20_000)),
		`<message type="chat" to="` + me + "@" + w.component + `">` + strings.Repeat(`<composing xmlns="http://jabber.org/protocol/chatstates"/>`, 500) + `</message>`,
		`<presence type="unavailable" to="` + w.component + `"/>`, `<presence to="` + w.component + `"/>`,
	}
	for _, q := range []string{`<ping xmlns="urn:xmpp:ping"/>`, `<query xmlns="http://jabber.org/protocol/disco#info"/>`, `<x xmlns="urn:x"/>`, `<token xmlns="urn:tlim:token"/>`} {
		list = append(list, `<iq type="get" id="`+lab.NewID()+`" to="`+w.component+`">`+q+`</iq>`)
	}
	return list
}

func (w *world) stanza(body string) string {
	return `<message type="chat" id="` + lab.NewID() + `" to="` + w.component + `"><body>` + lab.Escape(body) + `</body></message>`
}

// A user who floods, by everything that costs more than a message, is held up themselves; another pair's chat goes on, and the
// database holds no more of them than their rate allows.
func TestFloodLeavesOthersAlone(t *testing.T) {
	w := newWorld(t, openfire, map[string]any{"limits.per_user_rate": 20, "limits.per_user_burst": 40, "limits.per_user_inflight": 64})
	names := people(t, 3)
	evil, sender, receiver := w.online(names[0], "evil"), w.online(names[1], "1"), w.online(names[2], "2")
	members := map[string]string{}
	for i := range 50 {
		members[fmt.Sprintf("absent%d-of-%s", i, names[0])] = "x"
	}
	check(t, w.tlim.AddUsers(within(t, soon), members))
	list := []string{names[0]}
	for user := range members {
		list = append(list, user)
	}
	group := w.group(append([]string{names[0]}, list...)...)
	losses := w.metric("tlim_link_losses_total")

	const rounds = 20
	sent := make(chan error, 1) // the one result
	go func() {
		var err error
		for i := 0; i < rounds && err == nil; i++ {
			for _, stanza := range flood(w, names[0], group) {
				if err = evil.Send(stanza); err != nil {
					break
				}
			}
		}
		if err == nil {
			err = evil.Sync(within(t, patience)) // the server has read it all
		}
		sent <- err
	}()
	began := time.Now()
	var took []time.Duration
	for over := false; !over || len(took) < 20; {
		id, at := lab.NewID(), time.Now()
		w.send(sender, id, lab.Text(names[1], names[2], id, "goes on")) // accepted at once: nothing of it is refused
		w.receive(receiver, id)
		took = append(took, time.Since(at))
		time.Sleep(max(0, 60*time.Millisecond-time.Since(at))) // below the rate
		select {
		case err := <-sent:
			check(t, err)
			over = true
		default:
		}
	}
	check(t, sender.Ping(within(t, soon), w.component)) // and tlim has read it all
	lasted := time.Since(began)

	// Each of these counts 12 or more. The last one may go into debt.
	taken := 0.0
	for _, kind := range []string{"MTT-100", "MTT-101", "MTS-100", "MTS-101", "MTS-"} {
		taken += w.metric(`tlim_messages_total{kind="` + kind + `"}`)
	}
	if most := (40+20*lasted.Seconds())/12 + 1; taken > most {
		t.Errorf("%v of what costs much were taken in %s, want at most %.0f", taken, lasted, most)
	}
	refused, named := w.metric(`tlim_refused_total{code="error-013"}`), w.metric(`tlim_refused_total{code="error-012"}`)
	if refused < rounds || named == 0 {
		t.Errorf("refused: %v for the rate, %v for their size, want at least %v, named > 0", refused, named, rounds)
	}
	if now := w.metric("tlim_link_losses_total"); now != losses || w.metric("tlim_unanswered_total") != 0 {
		t.Errorf("the link was lost %v times, %v answers had no room, want now %v, metric 0", now-losses, w.metric("tlim_unanswered_total"), losses)
	}
	var bytes int64
	for _, file := range []string{"tlim.db", "tlim.db-wal"} {
		if info, err := os.Stat(filepath.Join(w.tlim.Dir, file)); err == nil {
			bytes += info.Size()
		}
	}
	// One is 50 KiB of copies at most, and what is sent is stored for those who are absent.
	if most := int64(16<<20) + int64(40+20*lasted.Seconds())*(100<<10); bytes > most {
		t.Errorf("the database has %d MiB after %s, want bytes at most %v", bytes>>20, lasted, most)
	}
	slices.Sort(took)
	t.Logf("%d stanzas of one user in %s: %v refused for the rate, %v for their size, %v answers over the budget; the database has %d MiB; %d messages of others took %s in the middle, %s at most",
		rounds*len(flood(w, names[0], group)), lasted.Round(time.Millisecond), refused, named, w.metric("tlim_link_answers_over_budget_total"), bytes>>20,
		len(took), took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
}
