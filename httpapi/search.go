package httpapi

import (
	"context"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"tlim/store"
)

// A search has no index to go by: it reads a conversation, newest first. One call looks so far and no further; where it
// stopped, its answer holds `next`, which the client sends as `before` to go on.
const (
	maxSearch      = 100              // characters of what is looked for
	searchWindow   = 2000             // messages that one read looks at
	maxSearchRows  = 500              // messages that one read answers
	maxSearchReads = 20               // reads of one call
	maxSearchTime  = 10 * time.Second // of one call
	searchWeight   = 2                // of one read
)

// look is one read of a search, see [store.Store.SearchGroup].
type look func(ctx context.Context, p store.Page, window int) ([]store.Message, store.Place, error)

// search streams the messages that hold text. total counts those found, the skipped ones included.
func (a *API) search(fields object, page store.Page, text string, read look) *stream {
	s := &stream{list: "message_list", rest: func() object { return fields }}
	s.run = func(ctx context.Context, emit func(any) error) error {
		fields["total"] = 0
		found, began := 0, a.cfg.Clock()
		p := store.Page{Length: maxSearchRows, BeforeTime: page.BeforeTime, BeforeID: page.BeforeID}
		for reads := 1; page.Length > 0; reads++ {
			ctx, cancel := s.page(ctx, searchWeight)
			messages, end, err := read(ctx, p, searchWindow)
			cancel()
			if err != nil {
				return err
			}
			for _, m := range messages {
				if !mentions(m.Body, text) {
					continue
				}
				if found++; found > page.Start {
					if err := emit(messageRow(m)); err != nil {
						return err
					}
				}
				fields["total"] = found
				if found-page.Start >= page.Length {
					fields["next"] = cursor(store.Place{Time: m.Time, ID: m.MsgID})
					return nil
				}
			}
			if len(messages) == maxSearchRows { // there may be more before end
				last := messages[len(messages)-1]
				end = store.Place{Time: last.Time, ID: last.MsgID}
			}
			if end.Time == "" {
				return nil
			}
			p.BeforeTime, p.BeforeID = end.Time, end.ID
			if reads == maxSearchReads || a.cfg.Clock().Sub(began) > maxSearchTime {
				fields["next"] = cursor(end)
				return nil
			}
		}
		return nil
	}
	return s
}

// cursor is a place as parameter before takes it; "" for a row without a time, behind which no keyset gets.
func cursor(p store.Place) string {
	if p.Time == "" {
		return ""
	}
	return p.Time + "," + p.ID
}

// mentions says whether what people read in a body holds text, in any letter case: ids do not count.
func mentions(body, text string) bool {
	want := strings.ToLower(text)
	var in func(v gjson.Result) bool
	in = func(v gjson.Result) bool {
		switch {
		case v.Type == gjson.String:
			return strings.Contains(strings.ToLower(v.String()), want)
		case !v.IsArray() && !v.IsObject():
			return false
		}
		hit := false
		v.ForEach(func(key, value gjson.Result) bool {
			name := key.String()
			hit = !strings.HasSuffix(name, "_id") && !strings.HasSuffix(name, "Id") && in(value)
			return !hit
		})
		return hit
	}
	return gjson.Valid(body) && in(gjson.Parse(body))
}
