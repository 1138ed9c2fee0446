package stream

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"tlim/component/stanza"
)

// What a phone gets of a list stands together, in order, directly between its pings, from the address of the same link.
func TestRuns(t *testing.T) {
	for _, connections := range []int{1, 3} {
		t.Run(fmt.Sprintf("links=%d", connections), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Config{Connections: connections}).start()
				var peers []*peer
				for range connections {
					peers = append(peers, r.up(""))
				}
				r.expect("up")
				d := []stanza.Delivery{
					{ID: "1", From: "a@tlim.im.test", Payload: []byte("<body>1</body>"), To: []stanza.Target{{JID: "u@im.test/w[web]", Private: true}}},
					{ID: "2", From: "b&c@tlim.im.test", Payload: []byte("<body>2</body>")},
				}
				copyOf := func(i int, jid string) stanza.RunCopy {
					return stanza.RunCopy{Delivery: i, Target: stanza.Target{JID: jid, Private: true, Request: i == 1}}
				}
				runs := []stanza.Run{
					{JID: "u@im.test/p", Front: "p0", Ping: "p1", Of: []stanza.RunCopy{copyOf(0, "u@im.test/p"), copyOf(1, "u@im.test/p")}},
					{JID: "v@im.test/p", Of: []stanza.RunCopy{copyOf(1, "v@im.test/p")}},
					{JID: "x@im.test/p", Ping: "p2", Of: []stanza.RunCopy{copyOf(0, "x@im.test/p")}},
				}
				if err := r.Deliver(t.Context(), d, runs...); err != nil {
					t.Fatal(err)
				}
				texts, domains := make([]string, connections), make([]string, connections)
				var readers sync.WaitGroup
				for i, p := range peers {
					readers.Go(func() {
						for {
							st := p.next()
							if isPing(st) && st.To == "im.test" {
								domains[i] = st.From
								p.answer(st, "result", "im.test", "")
								return
							}
							texts[i] += line(st) + "\n"
						}
					})
				}
				routed := make(chan error, 1)
				r.Barrier(func(err error) { routed <- err })
				if err := <-routed; err != nil {
					t.Fatal(err)
				}
				readers.Wait()
				const private, request = `<private xmlns="urn:xmpp:carbons:2"/>`, `<request xmlns="urn:xmpp:receipts"/>`
				at := 0 // the link of u
				for who, lines := range map[string]string{
					"u": "iq get C>u@im.test/p p0|" + pingPayload + "\n" +
						"message chat a@tlim.im.test>u@im.test/p 1|<body>1</body>" + private + "\n" +
						"message chat b&c@tlim.im.test>u@im.test/p 2|<body>2</body>" + request + private + "\n" +
						"iq get C>u@im.test/p p1|" + pingPayload + "\n",
					"u, web": "message chat a@tlim.im.test>u@im.test/w[web] 1|<body>1</body>" + private + "\n",
					"v":      "message chat b&c@tlim.im.test>v@im.test/p 2|<body>2</body>" + request + private + "\n",
					"x": "message chat a@tlim.im.test>x@im.test/p 1|<body>1</body>" + private + "\n" +
						"iq get C>x@im.test/p p2|" + pingPayload + "\n",
				} {
					found := 0
					for i, text := range texts {
						if strings.Contains(text, strings.ReplaceAll(lines, "C>", domains[i]+">")) {
							found++
							if who == "u" {
								at = i
							}
						}
					}
					if found != 1 {
						t.Errorf("what is for %s stands on %d links, want 1:\n%s\nin\n%s", who, found, lines, strings.Join(texts, "\n"))
					}
				}
				if n := strings.Count(strings.Join(texts, ""), "\n"); n != 8 {
					t.Errorf("got %d stanzas, want 8", n)
				}

				// The answer goes to the handler, whoever sends it: it knows whom it has asked. What it does not know is stray.
				peers[at].answer(stanza.Stanza{ID: "p1", From: domains[at]}, "result", "u@im.test/p", "")
				r.expect("answered result p1 u@im.test/p")
				peers[at].answer(stanza.Stanza{ID: "p2", From: domains[at]}, "error", "x@im.test/p", pingPayload)
				r.expect("answered error p2 x@im.test/p")
				peers[at].answer(stanza.Stanza{ID: "other", From: domains[at]}, "result", "u@im.test/p", "")
				for _, p := range peers {
					p.drain()
				}
			})
		})
	}
}

// Nothing of others comes in between, also where the buffer is full by what stands in front: pings around what was sent later, or earlier, would prove
// less.
func TestRunsByMulticastAreOnePiece(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Multicast: true, BufferBytes: 300}).start()
		p := r.up("")
		r.expect("up")
		d := []stanza.Delivery{{ID: "1", From: "a@tlim.im.test", Payload: []byte("<body>1</body>")}}
		var runs []stanza.Run
		var want []string
		for i := range 6 {
			jid := fmt.Sprintf("u%d@im.test/p", i)
			runs = append(runs, stanza.Run{JID: jid, Front: fmt.Sprint("f", i), Ping: fmt.Sprint("p", i), Of: []stanza.RunCopy{{Target: stanza.Target{JID: jid, Private: true}}}})
			want = append(want, fmt.Sprint("f", i))
		}
		want = append(want, "1")
		for i := range 6 {
			want = append(want, fmt.Sprint("p", i))
		}
		delivered := make(chan error, 1)
		go func() { delivered <- r.Deliver(t.Context(), d, runs...) }()
		synctest.Wait()
		if !r.Post([]byte(`<message id="other"/>`)) {
			t.Fatal("there was no room for another stanza, want some")
		}
		var got []string
		for len(got) < len(want)+1 {
			got = append(got, p.next().ID)
		}
		if err := <-delivered; err != nil {
			t.Fatal(err)
		}
		if want := append(want, "other"); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		p.drain()
	})
}

// With multicast the copies go together as they would without pings, and the pings stand in front of all of them and behind.
func TestRunsByMulticast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Multicast: true}).start()
		p := r.up("")
		r.expect("up")
		d := []stanza.Delivery{{ID: "1", From: "a@tlim.im.test", Payload: []byte("<body>1</body>"), To: []stanza.Target{{JID: "w@im.test"}}}}
		var runs []stanza.Run
		for i := range 6 {
			jid := fmt.Sprintf("u%d@im.test/p", i)
			runs = append(runs, stanza.Run{JID: jid, Front: fmt.Sprint("f", i), Ping: fmt.Sprint("p", i), Of: []stanza.RunCopy{{Target: stanza.Target{JID: jid, Private: true}}}})
		}
		if err := r.Deliver(t.Context(), d, runs...); err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			if got := line(p.next()); !strings.HasPrefix(got, fmt.Sprintf("iq get tlim.im.test>u%d@im.test/p f%d|", i, i)) {
				t.Errorf("in front of the copies: got %s, want beginning with %q", got, fmt.Sprintf("iq get tlim.im.test>u%d@im.test/p f%d|", i, i))
			}
		}
		if got := line(p.next()); got != "message chat a@tlim.im.test>w@im.test 1|<body>1</body>" {
			t.Errorf(`alone: got %s, want "message chat a@tlim.im.test>w@im.test 1|<body>1</body>"`, got)
		}
		together := p.next()
		addresses, _ := together.Child("addresses", "http://jabber.org/protocol/address")
		n := 0
		for range addresses.Children() {
			n++
		}
		if n != 6 || !strings.HasSuffix(line(together), `<body>1</body><private xmlns="urn:xmpp:carbons:2"/>`) {
			t.Errorf("got %d together: %s, want 6, without a ping or a request", n, line(together))
		}
		for i := range 6 {
			if got := line(p.next()); !strings.HasPrefix(got, fmt.Sprintf("iq get tlim.im.test>u%d@im.test/p p%d|", i, i)) {
				t.Errorf("behind the copies: got %s, want beginning with %q", got, fmt.Sprintf("iq get tlim.im.test>u%d@im.test/p p%d|", i, i))
			}
		}
		p.drain()
	})
}
