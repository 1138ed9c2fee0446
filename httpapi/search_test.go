package httpapi

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlim/store"
)

func TestMentions(t *testing.T) {
	for _, c := range []struct {
		body, text string
		want       bool
	}{
		{`[{"session_id":"g1","text":"Guten Tag"}]`, "guten", true},
		{`[{"session_id":"g1","text":"x"}]`, "g1", false},
		{`[{"session_id":"g1","text":"x"}]`, "session", false},
		{`[{"session_id":"g1","text":"x"}]`, "text", false},
		{`[{"fileId":"abc","name":"bericht.pdf"}]`, "abc", false},
		{`[{"fileId":"abc","name":"bericht.pdf"}]`, "BERICHT", true},
		{`[{"a":1},{"b":{"c":["\u4f60\u597d"]}}]`, "你好", true},
		{`[{"text":"a\/b \"q\""}]`, `a/b "Q"`, true},
		{`[{"text":"\u00c9t\u00e9"}]`, "été", true},
		{`[{"text":12345}]`, "234", false},
		{`["just text"]`, "just", true},
		{`not json: hello`, "hello", false},
		{``, "x", false},
	} {
		t.Run(c.text+" in "+c.body, func(t *testing.T) {
			if got := mentions(c.body, c.text); got != c.want {
				t.Errorf("%q in %s: got %v, want %v", c.text, c.body, got, c.want)
			}
		})
	}
}

// longChat is n messages of z and l in turn, every tenth of which holds the word.
func longChat(t *testing.T, s *store.Store, n int) (want []string) {
	t.Helper()
	var changes []store.Change
	for i := range n {
		m := &store.Message{ID: fmt.Sprintf("r%05d", i), MsgID: fmt.Sprintf("m%05d", i), Type: "MTT-000", From: "z", To: "l", SessionID: "z", Body: `[{"text":"nothing"}]`,
			Time: strconv.Itoa(1544602393000 + i/3)}
		if i%2 == 1 {
			m.From, m.To, m.SessionID = "l", "z", "l"
		}
		if i%10 == 0 {
			m.Body = `[{"text":"the Word"}]`
			want = append(want, m.MsgID)
		} else if i%10 == 5 {
			m.Body = `[{"text":"nothing","word_id":"word"}]` // what LIKE finds, and nobody reads
		}
		changes = append(changes, store.Change{Message: m})
	}
	for chunk := range slices.Chunk(changes, 500) {
		apply(t, s, chunk)
	}
	slices.Reverse(want)
	return want
}

// found reads a page of a search.
func found(t *testing.T, l *lab, query string) (ids []string, total int, next string) {
	t.Helper()
	a := l.get(t, "findChatHistory", "session_id=l&user_id=z&text=word&"+query)
	v := a.object(t)
	if a.status != 200 || v["result"] != "ok" {
		t.Fatalf("%s: got %d %s, want 200, ok", query, a.status, a.body)
	}
	for _, row := range v["message_list"].([]any) {
		ids = append(ids, row.(map[string]any)["msg_id"].(string))
	}
	next, _ = v["next"].(string)
	return ids, int(v["total"].(float64)), next
}

func TestSearchPages(t *testing.T) {
	s := emptyStore(t)
	want := longChat(t, s, 3*searchWindow)
	l := newLabOver(t, s)
	all, total, next := found(t, l, "length=max")
	if !slices.Equal(all, want) || total != len(want) || next != "" {
		t.Errorf(`all: %d of %d, total %d, next %q, want all %v, next ""`, len(all), len(want), total, next, want)
	}
	if ids, total, next := found(t, l, "start=3&length=4"); !slices.Equal(ids, want[3:7]) || total != 7 || next == "" {
		t.Errorf("from 3: got %v, total %d, next %q, want %v, total 7, a next", ids, total, next, want[3:7])
	}
	if ids, total, next := found(t, l, ""); len(ids) != 0 || total != 0 || next != "" {
		t.Errorf(`length 0: %v, total %d, next %q, want no ids, total 0, next ""`, ids, total, next)
	}
	var paged []string
	for query := "length=70"; ; {
		ids, _, next := found(t, l, query)
		paged = append(paged, ids...)
		if next == "" {
			break
		}
		query = "length=70&before=" + next
	}
	if !slices.Equal(paged, want) {
		t.Errorf("paged: %d of %d, want paged %v", len(paged), len(want), want)
	}
}

// TestSearchIsBounded: one call reads so much and no more, by count and by time, and says where to go on.
func TestSearchIsBounded(t *testing.T) {
	s := seeded(t)
	l := newLabOver(t, s)
	looks := 0
	endless := func(_ context.Context, p store.Page, window int) ([]store.Message, store.Place, error) {
		looks++
		if window != searchWindow || p.Length != maxSearchRows {
			t.Errorf("got a window of %d, a page of %d, want %d, %d", window, p.Length, searchWindow, maxSearchRows)
		}
		return nil, store.Place{Time: strconv.Itoa(9999 - looks), ID: "m"}, nil
	}
	run := func() object {
		looks = 0
		st := l.search(object{}, store.Page{Length: math.MaxInt}, "x", endless)
		st.ctx, st.pageTime = t.Context(), time.Minute
		if err := st.run(t.Context(), func(any) error { return nil }); err != nil {
			t.Fatal(err)
		}
		return st.rest()
	}
	if v := run(); looks != maxSearchReads || v["next"] != fmt.Sprintf("%d,m", 9999-maxSearchReads) || v["total"] != 0 {
		t.Errorf("by count: %d looks, %v, want %d, next %v, total 0", looks, v, maxSearchReads, fmt.Sprintf("%d,m", 9999-maxSearchReads))
	}
	now := testTime
	l.cfg.Clock = func() time.Time {
		now = now.Add(maxSearchTime / 2)
		return now
	}
	if v := run(); looks != 3 || v["next"] != "9996,m" {
		t.Errorf(`by time: %d looks, %v, want 3, next "9996,m"`, looks, v)
	}
}

// TestOneTotal: a streamed history is counted once, not once a page.
func TestOneTotal(t *testing.T) {
	s := emptyStore(t)
	longHistory(t, s, 3*historyPage)
	l := newLabOver(t, s)
	counting := &countingReads{Store: s}
	l.reads = counting
	if a := l.get(t, "findSessionHistory", "session_id=long&length=max"); a.object(t)["total"] != float64(3*historyPage) {
		t.Errorf("got %.200s, want total %v", a.body, float64(3*historyPage))
	}
	if counting.counted != 1 || counting.pages < 4 {
		t.Errorf("%d counts for %d pages, want 1, pages at least 4", counting.counted, counting.pages)
	}
}

type countingReads struct {
	*store.Store
	counted, pages int
}

func (c *countingReads) GroupHistory(ctx context.Context, group string, p store.Page) ([]store.Message, int64, error) {
	c.pages++
	if !p.NoTotal {
		c.counted++
	}
	return c.Store.GroupHistory(ctx, group, p)
}

// TestSyncInWindows: messages of others between those to the user, over several windows.
func TestSyncInWindows(t *testing.T) {
	s := emptyStore(t)
	var changes []store.Change
	var want []string
	for i := range 2*syncWindow + 100 {
		m := &store.Message{ID: fmt.Sprintf("r%05d", i), MsgID: fmt.Sprintf("m%05d", i), Type: "MTT-000", From: "z", To: "w", SessionID: "z", Body: "[]", Time: strconv.Itoa(1544602393000 + i/2)}
		if i%999 == 0 || i == 2*syncWindow+99 {
			m.To = "l"
			want = append(want, m.MsgID)
		}
		changes = append(changes, store.Change{Message: m})
	}
	for chunk := range slices.Chunk(changes, 5000) {
		apply(t, s, chunk)
	}
	l := newLabOver(t, s)
	var got []string
	for _, row := range l.get(t, "syncMessage", "msg_to=l&msg_id=m00000").object(t)["messageList"].([]any) {
		got = append(got, row.(map[string]any)["msg_id"].(string))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d messages, want %d", len(got), len(want))
	}
}

// TestSyncOfGroups: whoever was a member knows a group's id, and where accounts can be registered they may take it for a name.
func TestSyncOfGroups(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"g1", "G1"} {
		t.Run(name, func(t *testing.T) {
			if a := l.do(t, http.MethodGet, "syncMessage", "msg_to="+name+"&msg_id=m1", "", "Authorization", "Bearer "+l.token(t, "g1")); a.status != 200 || !strings.Contains(a.body, `"messageList":[]`) {
				t.Errorf("a user called %s reads the group's messages: got %d %s, want 200, body with %q", name, a.status, a.body, `"messageList":[]`)
			}
		})
	}
	if a := l.get(t, "syncMessage", "msg_to=g1&msg_id=m1"); strings.Count(a.body, `"msg_id"`) != 3 {
		t.Errorf("an administrator reads %s, want 3 times %q", a.body, `"msg_id"`)
	}
}

// TestAnnouncementsInPages: more than one read takes, each once, in order.
func TestAnnouncementsInPages(t *testing.T) {
	s := emptyStore(t)
	c := store.Change{Groups: []store.Group{{ID: "g"}}}
	for i := range 2*postPage + 1 {
		c.Announcements = append(c.Announcements, store.Announcement{ID: fmt.Sprintf("a%04d", i), SessionID: "g", Title: strings.Repeat("x", 200)})
	}
	apply(t, s, []store.Change{c})
	rows := newLabOver(t, s).get(t, "findPubactList", "session_id=g").object(t)["pubactList"].([]any)
	if len(rows) != 2*postPage+1 {
		t.Fatalf("%d rows, want %d", len(rows), 2*postPage+1)
	}
	for i, row := range rows {
		if id := row.(map[string]any)["id_"]; id != fmt.Sprintf("a%04d", i) {
			t.Fatalf("row %d is %v, want %v", i, id, fmt.Sprintf("a%04d", i))
		}
	}
}
