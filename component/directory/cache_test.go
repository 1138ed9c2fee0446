package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tlim/component/protocol"
	"tlim/store"
)

// What was read before a write must not stay in the cache after it.
func TestLookupDuringAWrite(t *testing.T) {
	h := newHarness(t, Config{}, with{})
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "lisi", Name: "old"}}))
	h.rec.set(func(r *recorder) {
		r.users = func() { // the old name was read
			h.rec.set(func(r *recorder) { r.users = nil })
			check(t, h.AddUsers(t.Context(), []store.User{{ID: "lisi", Name: "new"}}))
		}
	})
	before := must(h.Lookup(t.Context(), []string{"lisi"}))(t)["lisi"].Name
	after := must(h.Lookup(t.Context(), []string{"lisi"}))(t)["lisi"].Name
	if before != "old" || after != "new" {
		t.Errorf("got %q, then %q, want before old, after new", before, after)
	}
}

// Users are read once, also those who are not there, until their rows are written.
func TestLookupReadsOnce(t *testing.T) {
	h := newHarness(t, Config{}, with{})
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "LiSi"}}))
	reads := 0
	h.rec.set(func(r *recorder) { r.users = func() { reads++ } })
	look := func(what string, want int) {
		t.Helper()
		found := must(h.Lookup(t.Context(), []string{"lisi", "nobody", "lisi"}))(t)
		if len(found) != 1 || found["lisi"].ID != "LiSi" || reads != want {
			t.Errorf("%s: got %v after %d reads, want LiSi after %d", what, found, reads, want)
		}
	}
	look("first", 1)
	look("again", 1)
	h.Drop("nobody")
	look("after a write", 2)
}

func TestCanonical(t *testing.T) {
	h := newHarness(t, Config{}, with{})
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "LiSi"}, {ID: "gone"}}))
	check(t, h.RemoveUsers(t.Context(), []string{"gone"}))
	for id, want := range map[string]protocol.Person{
		"lisi":   {ID: "LiSi", Local: "lisi", Bare: "lisi@im.test"},
		"NoBody": {ID: "nobody", Local: "nobody", Bare: "nobody@im.test"},
		"GONE":   {ID: "gone", Local: "gone", Bare: "gone@im.test"},
	} {
		t.Run(fmt.Sprintf("%q", id), func(t *testing.T) {
			if got, err := h.Canonical(t.Context(), id); got != want || err != nil {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
	var refused *protocol.Error
	if _, err := h.Canonical(t.Context(), ""); !errors.As(err, &refused) || refused.Code != protocol.UserIDInvalid {
		t.Errorf("an empty id: got %v, want %v", err, protocol.UserIDInvalid)
	}
	found, users, err := h.Known(t.Context(), []string{"gone", "nobody", "LISI", "\u00ad", "lisi"})
	if err != nil || len(found) != 2 || len(users) != 1 || users[0].ID != "LiSi" {
		t.Errorf("got %v, of whom are there %v, %v, want 2, of whom LiSi is", found, users, err)
	}
}

// Who was seen is handed over once; the administrator and who is known are not.
func TestLearn(t *testing.T) {
	h := newHarness(t, Config{}, with{})
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "lisi"}}))
	must(h.Lookup(t.Context(), []string{"lisi"}))(t)
	h.Learn([]string{"lisi", "admin"})
	select {
	case <-h.Seen():
		t.Error("told of a user, want nothing: nobody was seen")
	default:
	}
	h.Learn([]string{"a", "b", "lisi", "a"})
	<-h.Seen()
	taken := append(h.TakeUnlearned(1, nil), h.TakeUnlearned(10, nil)...)
	if slices.Sort(taken); strings.Join(taken, " ") != "a b" || len(h.TakeUnlearned(10, nil)) != 0 {
		t.Errorf(`got %q, want "a b", and nobody left`, taken)
	}
	for i := range maxUnlearned + 10 {
		h.Learn([]string{fmt.Sprint("u", i)})
	}
	if n := len(h.TakeUnlearned(2*maxUnlearned, nil)); n != maxUnlearned {
		t.Errorf("got %d users who wait, want %d", n, maxUnlearned)
	}
}

// The strongest way in which phones of a user confirm holds, and is known after a start.
func TestConfirms(t *testing.T) {
	h := newHarness(t, Config{}, with{})
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "LiSi"}, {ID: "wangwu"}}))
	h.change(store.Change{Confirming: []store.Confirming{{UserID: "LiSi", How: store.ConfirmsByPings}}}, "lisi")
	check(t, h.LoadConfirms(t.Context()))
	h.RaiseConfirms("lisi", store.ConfirmsByReceipts)
	h.RaiseConfirms("wangwu", store.ConfirmsByReceipts)
	if lisi, wangwu := h.Confirms("lisi"), h.Confirms("wangwu"); lisi != store.ConfirmsByPings || wangwu != store.ConfirmsByReceipts {
		t.Errorf("got lisi %v, wangwu %v, want %v, %v", lisi, wangwu, store.ConfirmsByPings, store.ConfirmsByReceipts)
	}
	h.ForgetConfirms("lisi")
	if got := h.Confirms("lisi"); got != store.ConfirmsNot {
		t.Errorf("after it was forgotten: got %v, want %v", got, store.ConfirmsNot)
	}
}
