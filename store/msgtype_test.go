package store_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tlim/store"
)

// oddTypes are what a sender could call a message, and what a legacy table can hold.
var oddTypes = []string{
	"MTT-000", "MTS-000", "MTB-000", "MTC-000", "MTB-100", "MTB-MTT", "MTB-000MTT", "MTB-100 ", "MTS-000MTT", "MTC-1001", "MTT-", "MTS-", "MTB-", "MTT", "MTS.", "MTT.0",
	"xMTT-1", " MTS-000", "1MTB-MTS", "-MTT", "mtt-000", "Mts-000", "MTT-你", "MTT-０", "MTT-1\n", "MTT-a-b", "MTS-000\u00ad", "ＭＴＴ-0", "MTX-000", "TMTT-", "MTT_000", "",
	"MTT-0123456789abcdef", "MTT-0123456789abcdefg", "MTT-0\x00",
}

func TestValidType(t *testing.T) {
	pattern := regexp.MustCompile(`^MT[TSBC]-[0-9A-Za-z]{1,16}$`)
	for _, odd := range oddTypes {
		t.Run(fmt.Sprintf("%q", odd), func(t *testing.T) {
			valid := pattern.MatchString(odd)
			if got := store.ValidType(odd); got != valid {
				t.Errorf("%q is valid: got %v, want %v", odd, got, valid)
			}
			if family := store.FamilyOf(odd); valid && family != odd[:3] || family != "" && !strings.HasPrefix(odd, family+"-") {
				t.Errorf("%q: got the family %q, want what stands before the dash", odd, family)
			}
		})
	}
}

// TestFamilies: a row is in the histories of the family that Go says, whatever its type is called.
func TestFamilies(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, _ := owned(t, cfg)
		db := e.raw(t, cfg)
		want := map[string][]string{}
		for i, odd := range oddTypes {
			if strings.Contains(odd, "\x00") || len(odd) > 20 {
				continue // no table holds it
			}
			id := fmt.Sprint("m", i)
			run(t, db, fmt.Sprintf("INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, session_id) VALUES ('%s', '%s', '%s', 'a', 'b', '%s', 'g')", id, id, odd, clock(i)))
			if strings.EqualFold(store.FamilyOf(strings.ToUpper(odd)), store.FamilyOf(odd)) { // legacy columns may take letter cases for one
				want[store.FamilyOf(odd)] = append(want[store.FamilyOf(odd)], id)
			}
		}
		page := store.Page{Length: 100}
		for family, read := range map[string]func() ([]store.Message, int64, error){
			store.FamilyChat:     func() ([]store.Message, int64, error) { return s.ChatHistory(ctx, "a", "b", page) },
			store.FamilyGroup:    func() ([]store.Message, int64, error) { return s.GroupHistory(ctx, "g", page) },
			store.FamilyBusiness: func() ([]store.Message, int64, error) { return s.NoticeHistory(ctx, "b", "", page) },
		} {
			t.Run(family, func(t *testing.T) {
				found, _, err := read()
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, m := range found {
					if store.FamilyOf(strings.ToUpper(m.Type)) == store.FamilyOf(m.Type) {
						got = append(got, m.MsgID)
					}
				}
				slices.Reverse(got)
				equal(t, family, got, want[family])
			})
		}
		notices, _, err := s.NoticeHistory(ctx, "b", "MTB-100", page)
		if err != nil || len(notices) == 0 || notices[len(notices)-1].Type != "MTB-100" {
			t.Errorf("system messages: %v, %v, want some notices, Type MTB-100, no error", notices, err)
		}
		// Nothing of it is lost to those who ask by id.
		for i, odd := range oddTypes {
			if found, err := s.MessagesByID(ctx, []string{fmt.Sprint("m", i)}); err != nil || len(found) == 0 && len(odd) <= 20 && !strings.Contains(odd, "\x00") {
				t.Errorf("%q: got it not found (%v), want it found", odd, err)
			}
		}
	})
}
