package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tlim/store"
)

// longHistory is a group of n messages, newest last, with many equal times, a duplicate msg_id and rows without a time, as
// legacy tables have them. It returns row ids, newest first where that is defined.
func longHistory(t *testing.T, s *store.Store, n int) (dated, timeless map[string]bool) {
	t.Helper()
	dated, timeless = map[string]bool{}, map[string]bool{}
	changes := []store.Change{{Groups: []store.Group{{ID: "long", Name: "long"}}}}
	for i := range n {
		m := &store.Message{ID: fmt.Sprintf("r%05d", i), MsgID: fmt.Sprintf("m%05d", i), Type: "MTS-000", From: "z", To: "long", SessionID: "long", Body: "[]",
			Time: strconv.Itoa(1544602393000 + i/7)}
		if i%50 == 49 {
			m.MsgID = fmt.Sprintf("m%05d", i-1) // the same message twice
		}
		if i%500 == 3 {
			m.Time = ""
			timeless[m.ID] = true
		} else {
			dated[m.ID] = true
		}
		changes = append(changes, store.Change{Message: m})
	}
	for chunk := range slices.Chunk(changes, 100) {
		apply(t, s, chunk)
	}
	return dated, timeless
}

// TestHistoryStreams: all rows once each, whatever their times and ids, in pieces.
func TestHistoryStreams(t *testing.T) {
	s := emptyStore(t)
	const n = 2*historyPage + 517
	dated, timeless := longHistory(t, s, n)
	l := newLabOver(t, s)
	var answer struct {
		List []struct {
			ID   string `json:"id_"`
			Time string `json:"msg_time"`
		} `json:"message_list"`
		Total  int
		Result string
	}
	a := l.get(t, "findSessionHistory", "session_id=long&length=max")
	if err := json.Unmarshal([]byte(a.body), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Total != n || answer.Result != "ok" || len(answer.List) != n {
		t.Errorf("%d rows, total %d, want %d; %s", len(answer.List), answer.Total, n, answer.Result)
	}
	last := "9"
	for i, row := range answer.List {
		if row.Time > last {
			t.Fatalf("row %d: %s comes after %s, want the newest first", i, row.Time, last)
		}
		last = row.Time
		if !dated[row.ID] && !timeless[row.ID] {
			t.Fatalf("row %s comes twice, or from nowhere, want each once", row.ID)
		}
		if timeless[row.ID] != (i >= len(answer.List)-n/500-1) {
			t.Fatalf("row %d is %q, want timeless %v", i, row, (i >= len(answer.List)-n/500-1))
		}
		delete(dated, row.ID)
	}
	// From the middle, to an end that is given.
	part := l.get(t, "findSessionHistory", fmt.Sprintf("session_id=long&start=10&length=%d", historyPage+500))
	var rows struct {
		List []struct {
			ID string `json:"id_"`
		} `json:"message_list"`
	}
	if err := json.Unmarshal([]byte(part.body), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows.List) != historyPage+500 {
		t.Fatalf("%d rows, want %d", len(rows.List), historyPage+500)
	}
	for i, row := range rows.List {
		if row.ID != answer.List[10+i].ID {
			t.Fatalf("row %d is %s, want %s", i, row.ID, answer.List[10+i].ID)
		}
	}
}

// TestHistoryByKeyset pages as a client does: before=<msg_time>,<msg_id> of the last row.
func TestHistoryByKeyset(t *testing.T) {
	s := emptyStore(t)
	const n = 300
	var changes []store.Change
	for i := range n {
		changes = append(changes, store.Change{Message: &store.Message{ID: fmt.Sprintf("r%d", i), MsgID: fmt.Sprintf("m%d", i), Type: "MTT-000", From: "z", To: "l",
			SessionID: "z", Body: "[]", Time: strconv.Itoa(1544602393000 + i/3)}})
	}
	apply(t, s, changes)
	l := newLabOver(t, s)
	seen := map[string]bool{}
	for before := ""; ; {
		v := l.get(t, "findChatHistory", "session_id=l&user_id=z&length=20"+before).object(t)
		rows := v["message_list"].([]any)
		if len(rows) == 0 {
			break
		}
		if v["total"] != float64(n) {
			t.Fatalf("total is %v, want %v", v["total"], float64(n))
		}
		for _, r := range rows {
			row := r.(map[string]any)
			id := row["msg_id"].(string)
			if seen[id] {
				t.Fatalf("%s comes twice, want once", id)
			}
			seen[id] = true
			before = "&before=" + row["msg_time"].(string) + "," + id
		}
	}
	if len(seen) != n {
		t.Errorf("%d messages, want %d", len(seen), n)
	}
}

// TestWalkEndsHonestly: a database that goes away in the middle of a streamed answer shows in its result.
func TestWalkEndsHonestly(t *testing.T) {
	s := seeded(t)
	l := newLabOver(t, s)
	reads := &breaking{Store: s}
	l.reads = reads
	a := l.get(t, "findSessionHistory", "session_id=g1&length=max")
	v := a.object(t)
	if a.status != 200 || v["result"] != "error-013" || len(v["message_list"].([]any)) != historyPage-1 || v["total"] != float64(5000) {
		t.Errorf("got %d, %d rows, %.200s, want 200, error-013, %d rows of 5000", a.status, len(v["message_list"].([]any)), a.body[len(a.body)-200:], historyPage-1)
	}
	// Before the first row it is a plain failure.
	reads.calls = 1
	a = l.get(t, "findSessionHistory", "session_id=g1&length=max")
	if v := a.object(t); a.status != 503 || v["message_list"] != nil || v["total"] != float64(0) || v["session_id"] != "g1" {
		t.Errorf("got %d %s, want 503, message_list nil, total 0, session_id g1", a.status, a.body)
	}
}

// breaking is a store whose second page cannot be read.
type breaking struct {
	*store.Store
	calls int
}

func (b *breaking) GroupHistory(_ context.Context, _ string, p store.Page) ([]store.Message, int64, error) {
	if b.calls++; b.calls > 1 {
		return nil, 0, fmt.Errorf("read: %w", store.ErrUnavailable)
	}
	rows := make([]store.Message, p.Length)
	for i := range rows {
		rows[i] = store.Message{ID: strconv.Itoa(i), MsgID: strconv.Itoa(i), Time: strconv.Itoa(1544602399999 - i)}
	}
	return rows, 5000, nil
}

// TestWalkOneTime: a whole piece of one time is passed by message id.
func TestWalkOneTime(t *testing.T) {
	var rows []store.Message
	for i := range 3 * historyPage {
		rows = append(rows, store.Message{ID: fmt.Sprintf("%06d", i), MsgID: fmt.Sprintf("%06d", 999_999-i), Time: "5"})
	}
	got := 0
	total, err := walk(context.Background(), store.Page{Length: math.MaxInt}, func(_ context.Context, p store.Page) ([]store.Message, int64, error) {
		from := p.Start
		if p.BeforeTime != "" {
			from = slices.IndexFunc(rows, func(m store.Message) bool { return m.MsgID < p.BeforeID })
		}
		if from < 0 {
			return nil, int64(len(rows)), nil
		}
		return rows[from:min(from+p.Length, len(rows))], int64(len(rows)), nil
	}, func(m store.Message) error {
		if m.ID != rows[got].ID {
			return errors.New("out of order: " + m.ID)
		}
		got++
		return nil
	})
	if err != nil || got != len(rows) || total != int64(len(rows)) {
		t.Errorf("%d of %d rows: %v, want %d, total %d, no error", got, total, err, len(rows), int64(len(rows)))
	}
}

// TestReadCountsInPieces: more messages than one read covers.
func TestReadCountsInPieces(t *testing.T) {
	s := emptyStore(t)
	changes := []store.Change{{Groups: []store.Group{{ID: "long"}}}}
	const n = 2*historyPage + 200
	for i := range n {
		id := fmt.Sprintf("m%05d", i)
		c := store.Change{Message: &store.Message{ID: id, MsgID: id, Type: "MTS-000", From: "z", To: "long", SessionID: "long", Time: strconv.Itoa(1544602393000 + i)}}
		if i%100 == 0 {
			c.Receipts = []store.Receipt{{ID: "r" + id, MsgID: id, Sender: "z", Reader: "l", Status: 1}}
		}
		changes = append(changes, c)
	}
	for chunk := range slices.Chunk(changes, 500) {
		apply(t, s, chunk)
	}
	l := newLabOver(t, s)
	v := l.get(t, "findSessionRead", "session_id=long&sender=z&length=max").object(t)
	if rows := v["messageReadList"].([]any); len(rows) != n/100 || v["result"] != "ok" {
		t.Errorf("%d rows, want %d", len(rows), n/100)
	}
}

// TestLargeHistory: pieces of large messages are short; no answer is.
func TestLargeHistory(t *testing.T) {
	s := emptyStore(t)
	const n = 50
	changes := []store.Change{{Groups: []store.Group{{ID: "big"}}}}
	var want []string
	for i := range n {
		id := fmt.Sprintf("m%02d", i)
		body := `[{"session_id":"big","text":"` + strings.Repeat("x", 60_000) + `"}]`
		changes = append(changes, store.Change{Message: &store.Message{ID: "r" + id, MsgID: id, Type: "MTS-000", From: "z", To: "big", SessionID: "big",
			Time: strconv.Itoa(1544602393000 + i/2), Body: body}})
		want = append(want, fmt.Sprintf("m%02d", n-1-i))
	}
	apply(t, s, changes)
	l := newLabOver(t, s)
	counting := &countingReads{Store: s}
	l.reads = counting
	read := func(call, query, list string) []string {
		t.Helper()
		var got []string
		for _, row := range l.get(t, call, query).object(t)[list].([]any) {
			got = append(got, row.(map[string]any)["msg_id"].(string))
		}
		return got
	}
	for query, rows := range map[string][]string{"length=max": want, "length=40": want[:40], "start=10&length=30": want[10:40]} {
		t.Run(query, func(t *testing.T) {
			counting.pages = 0
			if got := read("findSessionHistory", "session_id=big&"+query, "message_list"); !slices.Equal(got, rows) || counting.pages < 2 {
				t.Errorf("got %v in %d pieces, want %v, pages at least 2", got, counting.pages, rows)
			}
		})
	}
	got := read("syncMessage", "msg_to=big&msg_id=m00", "messageList")
	if slices.Sort(got); len(got) != n || !slices.Equal(slices.Compact(got), got) {
		t.Errorf("to sync: got %d ids, %d of them different, want %d", len(got), len(slices.Compact(slices.Clone(got))), n)
	}
}
