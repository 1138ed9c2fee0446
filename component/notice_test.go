package component

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

func TestNotices(t *testing.T) {
	h := start(t, nil)
	h.blind()
	for _, n := range []int{1, 500, 1200} {
		t.Run(fmt.Sprint(n, " receivers"), func(t *testing.T) {
			var ids []string
			for i := range n {
				ids = append(ids, fmt.Sprintf("staff%04d", i))
			}
			ids = append(ids, "STAFF0000", ids[0]) // duplicates
			h.rec.set(func(r *recordingStore) { r.batches = 0 })
			h.rec.take()
			if _, err := h.Notify(t.Context(), Notice{Type: "MTB-100", Body: `[{"title":"t"}]`, Receivers: ids}); err != nil {
				t.Fatal(err)
			}
			h.sync()
			d, _ := h.sender.take()
			if len(d) != n {
				t.Errorf("got %d copies, want %d", len(d), n)
			}
			var batches int
			h.rec.set(func(r *recordingStore) { batches = r.batches })
			if want := (n + noticeSlice - 1) / noticeSlice; batches != want {
				t.Errorf("got %d transactions, want %d", batches, want)
			}
			messages, queued := 0, map[string]bool{}
			for _, c := range h.rec.take() {
				if c.Message != nil {
					messages++
				}
				for _, row := range c.Offline {
					queued[row.Owner] = true
				}
			}
			if messages != n || len(queued) != n {
				t.Errorf("got %d messages, %d queues, want %d of each", messages, len(queued), n)
			}
		})
	}
}

func TestNoticeReceivers(t *testing.T) {
	h := start(t, nil)
	h.blind()
	if err := h.RemoveUsers(t.Context(), []string{"zhaoliu"}); err != nil {
		t.Fatal(err)
	}
	id := h.makeGroup("zhangsan", "zhangsan", "lisi")
	for name, c := range map[string]struct {
		to   []string
		want string
		code protocol.Code
	}{
		"group":          {[]string{"@session:" + id}, "lisi zhangsan", ""},
		"group and user": {[]string{"LISI", "@session:" + id, "wangwu"}, "lisi wangwu zhangsan", ""},
		"all":            {[]string{"@all"}, "lisi wangwu zhangsan", ""},
		"unknown group":  {[]string{"@session:nowhere"}, "", protocol.NoSuchGroup},
		"nobody":         {nil, "", protocol.UserIDInvalid},
		"empty":          {[]string{"lisi", ""}, "", protocol.UserIDInvalid},
		"impossible":     {[]string{"\u0001"}, "", protocol.UserIDInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			h.sender.take()
			_, err := h.Notify(t.Context(), Notice{Type: "MTB-000", Body: `[{}]`, Receivers: c.to})
			h.sync()
			d, _ := h.sender.take()
			var to []string
			for _, copied := range d {
				local, _, _ := strings.Cut(copied.To[0].JID, "@")
				to = append(to, local)
			}
			slices.Sort(to)
			if codeOf(err) != c.code || strings.Join(to, " ") != c.want {
				t.Errorf("got %v, to %v, want %v, to %v", err, to, c.code, c.want)
			}
		})
	}
	if _, err := h.Notify(t.Context(), Notice{Type: "MTB-000", Body: "[\"\u0001\"]", Receivers: []string{"lisi"}}); codeOf(err) != protocol.NotJSON {
		t.Errorf("a control character: got %v, want %v", err, protocol.NotJSON)
	}
	if _, err := h.Notify(t.Context(), Notice{Type: "MTB-000", Body: `["` + strings.Repeat("x", 65536) + `"]`, Receivers: []string{"lisi"}}); codeOf(err) != protocol.TooLarge {
		t.Errorf("a body that is too large: got %v, want %v", err, protocol.TooLarge)
	}
}

// TestNoticeSlicesLetChatPass: a call to thousands is no wall. When a slice fails it is tried again until it is stored, whether
// the caller waits or not.
func TestNoticeSlicesLetChatPass(t *testing.T) {
	h := start(t, nil)
	h.blind()
	var ids []string
	for i := range 2 * noticeSlice {
		ids = append(ids, fmt.Sprintf("staff%04d", i))
	}
	h.rec.set(func(r *recordingStore) {
		r.commit = func(commit func() error) error {
			r.set(func(r *recordingStore) { r.commit = nil })
			h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
			return commit()
		}
	})
	notify := func() error {
		_, err := h.Notify(t.Context(), Notice{Type: "MTB-000", Body: `[{}]`, Receivers: ids})
		return err
	}
	if err := notify(); err != nil {
		t.Error(err)
	}
	h.sync()
	d, _ := h.sender.take()
	at := slices.IndexFunc(d, func(copied stanza.Delivery) bool { return copied.ID == "m1" })
	if len(d) != 2*noticeSlice+1 || at != noticeSlice {
		t.Errorf("got %d copies, the chat message as number %d, want it between the slices", len(d), at)
	}

	ctx, leave := context.WithCancel(t.Context())
	failed := make(chan struct{}, 1000)
	h.rec.failWhen(func(c store.Change) error {
		if c.Message != nil && c.Message.To == ids[len(ids)-1] {
			failed <- struct{}{}
			return store.ErrUnavailable
		}
		return nil
	})
	done := make(chan error, 1)
	go func() {
		_, err := h.Notify(ctx, Notice{Type: "MTB-000", Body: `[{}]`, Receivers: ids})
		done <- err
	}()
	<-failed
	leave()
	if err := <-done; !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("the second slice failed: got %v, want %v", err, protocol.ErrUnavailable)
	}
	h.sync()
	if d, _ := h.sender.take(); len(d) != noticeSlice {
		t.Errorf("got %d copies, want those of the first slice", len(d))
	}
	u := h.calls.Next()
	h.rec.failWhen(nil) // the database is back, and nobody asks again
	<-u.Over()
	h.sync()
	if d, _ := h.sender.take(); len(d) != noticeSlice || u.Err() != nil {
		t.Errorf("got %d copies (error %v), want those of the second slice", len(d), u.Err())
	}
}
