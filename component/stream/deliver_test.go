package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tlim/component/stanza"
)

func TestDeliver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.up("")
		r.expect("up")
		err := r.Deliver(t.Context(), []stanza.Delivery{
			{ID: "1", From: "a&b@tlim.im.test", Payload: []byte("<body>1</body>"), To: []stanza.Target{{JID: "u@im.test"}, {JID: "u@im.test/w", Private: true}}},
			{ID: "2", From: "a@tlim.im.test", Payload: []byte("<body>2</body>"), To: nil},
			{ID: "3", From: "a@tlim.im.test", Payload: []byte("<body>3</body>"), To: []stanza.Target{{JID: "u@im.test"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"message chat a&b@tlim.im.test>u@im.test 1|<body>1</body>",
			`message chat a&b@tlim.im.test>u@im.test/w 1|<body>1</body><private xmlns="urn:xmpp:carbons:2"/>`,
			"message chat a@tlim.im.test>u@im.test 3|<body>3</body>",
		} {
			if got := p.text(); got != want {
				t.Errorf("got copy %s\nwant %s", got, want)
			}
		}
		p.drain()
	})
}

// All copies of one member take the same link, whatever its resource, in order, and all links get some.
func TestMembersAreBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Connections: 3}).start()
		peers := []*peer{r.up(""), r.up(""), r.up("")}
		r.expect("up")
		const members, messages = 300, 5 // more members than are computed without allocating
		where := make([]map[string]string, 3)
		var readers sync.WaitGroup
		for i, p := range peers {
			where[i] = map[string]string{}
			readers.Go(func() {
				for {
					st := p.next()
					if isPing(st) {
						p.answer(st, "result", "im.test", "")
						return
					}
					bare, _, _ := strings.Cut(st.To, "/")
					where[i][bare] += st.ID
				}
			})
		}
		for m := range messages {
			d := stanza.Delivery{ID: fmt.Sprint(m), From: "a@tlim.im.test"}
			for i := range members {
				to := fmt.Sprintf("user%d@im.test", i)
				if m%2 == 1 {
					to += "/phone"
				}
				d.To = append(d.To, stanza.Target{JID: to})
			}
			if err := r.Deliver(t.Context(), []stanza.Delivery{d}); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error, 1)
		r.Barrier(func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		readers.Wait()
		total := 0
		for i, got := range where {
			for bare, ids := range got {
				if ids != "01234" {
					t.Errorf("%s got %s on link %d, want 01234", bare, ids, i)
				}
			}
			if total += len(got); len(got) < members/6 {
				t.Errorf("link %d carries %d of %d members, want at least %d", i, len(got), members, members/6)
			}
		}
		if total != members {
			t.Errorf("got %d members reached, want %d", total, members)
		}
		for _, p := range peers {
			p.drain()
		}
	})
}

func TestMulticast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Multicast: true}).start()
		p := r.up("")
		r.expect("up")
		send := func(to ...stanza.Target) {
			if err := r.Deliver(t.Context(), []stanza.Delivery{{ID: "1", From: "a@tlim.im.test", Payload: []byte("<body>x</body>"), To: to}}); err != nil {
				t.Fatal(err)
			}
		}
		few := []stanza.Target{{JID: "a@im.test"}, {JID: "b@im.test"}, {JID: "c@im.test"}, {JID: "d@im.test"}}
		send(few...)
		for _, want := range few {
			if got := p.text(); got != "message chat a@tlim.im.test>"+want.JID+" 1|<body>x</body>" {
				t.Errorf("few targets: got %s, want %s", got, "message chat a@tlim.im.test>"+want.JID+" 1|<body>x</body>")
			}
		}

		// One bad address would end the stream for all: whatever is not surely good goes alone.
		send(append(few, stanza.Target{JID: "e@im.test/web[1]"}, stanza.Target{JID: "f@im.test/x", Private: true}, stanza.Target{JID: "g@other.test"},
			stanza.Target{JID: "@im.test"}, stanza.Target{JID: "h i@im.test"}, stanza.Target{JID: "j@im.test/<"}, stanza.Target{JID: "im.test"})...)
		for _, to := range []string{"f@im.test/x", "g@other.test", "@im.test", "h i@im.test", "j@im.test/<", "im.test"} {
			if got := p.next(); got.To != to || bytes.Contains(got.Inner, []byte("<addresses")) || !bytes.HasPrefix(got.Inner, []byte("<body>x</body>")) {
				t.Errorf("alone: got %s, want <body>x</body> to %s without addresses", line(got), to)
			}
		}
		want := `message chat a@tlim.im.test>im.test 1|<addresses xmlns="http://jabber.org/protocol/address">`
		for _, jid := range []string{"a@im.test", "b@im.test", "c@im.test", "d@im.test", "e@im.test/web[1]"} {
			want += `<address type="bcc" jid="` + jid + `"/>`
		}
		if got := p.text(); got != want+`</addresses><body>x</body>` {
			t.Errorf("together: got %s, want %s", got, want+`</addresses><body>x</body>`)
		}

		var many []stanza.Target
		for i := range 2500 {
			many = append(many, stanza.Target{JID: fmt.Sprintf("u%d@im.test", i)})
		}
		sent := make(chan struct{})
		go func() { send(many...); close(sent) }()
		n := 0
		for _, size := range []int{1000, 1000, 500} {
			st := p.work()
			addresses, _ := st.Child("addresses", "http://jabber.org/protocol/address")
			here := 0
			for a := range addresses.Children() {
				if a.Attr("jid") != many[n].JID || a.Attr("type") != "bcc" {
					t.Fatalf("address %d: got %s, want bcc %s", n, a.Raw, many[n].JID)
				}
				n++
				here++
			}
			if here != size {
				t.Errorf("got %d addresses in one stanza, want %d", here, size)
			}
		}
		<-sent
		p.drain()
	})
}

// Deliver waits for room and goes on when there is some; Post takes from the reserve meanwhile.
func TestFullBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{BufferBytes: 2000, ReserveBytes: 500, WriteTimeout: time.Hour, PingAfter: time.Hour}).start()
		p := r.up("")
		r.expect("up")
		d := stanza.Delivery{ID: "1", From: "a@tlim.im.test", Payload: bytes.Repeat([]byte("x"), 100)}
		for i := range 100 {
			d.To = append(d.To, stanza.Target{JID: fmt.Sprintf("u%d@im.test", i)})
		}
		done := make(chan error, 1)
		go func() { done <- r.Deliver(t.Context(), []stanza.Delivery{d}) }()
		synctest.Wait()
		waiting := r.current.Load().intake().out.waiting()
		if waiting < 2000 || waiting > 2200 {
			t.Errorf("got %d bytes waiting, want 2000 to 2200", waiting)
		}
		posted := 0
		for r.Post([]byte(`<presence id="posted" to="im.test"/>`)) {
			posted++
		}
		if posted < 5 || posted > 20 {
			t.Errorf("got %d stanzas into the reserve, want 5 to 20", posted)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Deliver(ctx, one("late", "u@im.test")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Deliver whose time is up: got %v, want %v", err, context.DeadlineExceeded)
		}
		if _, err := r.IQ(ctx, "get", "im.test", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("IQ whose time is up: got %v, want %v", err, context.DeadlineExceeded)
		}
		select {
		case err := <-done:
			t.Fatalf("Deliver did not wait: %v, want it to", err)
		default:
		}
		copies := 0
		for copies < 100 {
			if st := p.work(); st.Name == "message" {
				if st.To != fmt.Sprintf("u%d@im.test", copies) {
					t.Fatalf("copy %d is for %s, want u%d@im.test", copies, st.To, copies)
				}
				copies++
			} else if posted--; posted < 0 {
				t.Fatalf("got %s, want no more than what was posted", line(st))
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		p.drain()
	})
}

// Many at once: no copy is torn or lost, and each caller's stay in order.
func TestConcurrentDeliver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{BufferBytes: 5000}).start()
		p := r.up("")
		r.expect("up")
		const callers, each = 8, 200
		var work sync.WaitGroup
		for c := range callers {
			work.Go(func() {
				for i := range each {
					id := fmt.Sprintf("%d-%d", c, i)
					if i%10 == 0 {
						for !r.Post([]byte(`<message id="` + id + `" to="u@im.test"/>`)) {
							pass(time.Millisecond)
						}
					} else if err := r.Deliver(t.Context(), one(id, "u@im.test")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		var next [callers]int
		for range callers * each {
			st := p.work()
			var c, i int
			if _, err := fmt.Sscanf(st.ID, "%d-%d", &c, &i); err != nil || next[c] != i {
				t.Fatalf("got %s, want %d-%d", st.ID, c, next[c])
			}
			next[c]++
		}
		work.Wait()
		p.drain()
	})
}
