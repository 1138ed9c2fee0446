package httpapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"tlim/component/lenient"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// The lengths of the tables' columns, in characters.
const (
	maxID   = 64
	maxTime = 20
	maxName = 256
	maxCode = 128 // push codes; a JPush registration id has 19
)

// request is a call as its handler sees it. The decoders below keep their first failure in err and answer zero values after
// it, so a handler reads all its parameters and looks at err once.
type request struct {
	http        *http.Request
	form        form
	json        bool // its parameters came as JSON
	caller      caller
	ctx         context.Context // bounds the decoders' look-ups
	canonicalID func(context.Context, string) (string, error)
	payer       payer  // on whose account it is
	release     func() // gives back its slot
	leave       func() // and its part of the payer's share
	charge      func(weight int)
	err         error

	path  string                           // the endpoint's
	asked func(endpoint, parameter string) // see [API]
}

// refuse keeps the first failure.
func (r *request) refuse(err error) {
	if r.err == nil {
		r.err = err
	}
}

// values are those of a parameter, as often as it was sent. Every decoder reads through here or [request.within]: what handlers
// read is compared with what the document names.
func (r *request) values(name string) []string {
	if r.asked != nil {
		r.asked(r.path, name)
	}
	return r.form[name]
}

// first is the first value of a parameter, "" when it is absent.
func (r *request) first(name string) string {
	if v := r.values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// has says whether a parameter was sent, be it empty.
func (r *request) has(name string) bool { return len(r.values(name)) > 0 }

// within is a field of an object inside parameter name.
func (r *request) within(name string, o gjson.Result, key string) gjson.Result {
	if r.asked != nil {
		r.asked(r.path, name+"."+key)
	}
	return o.Get(key)
}

// text is an optional parameter of at most max characters.
func (r *request) text(name string, max int) string {
	v := r.first(name)
	r.fits(name, v, max)
	return v
}

func (r *request) fits(name, value string, max int) {
	if len(value) > max && utf8.RuneCountInString(value) > max {
		r.refuse(refusal(protocol.TooLarge, textTooLong, name, max))
	}
}

// id is an id that has to be there; code is the error when it is not.
func (r *request) id(name string, code protocol.Code) string {
	v := r.text(name, maxID)
	if v == "" {
		r.refuse(refusal(code, textMissing, name))
	}
	return v
}

// user is the canonical id of a user that has to be there.
func (r *request) user(name string) string { return r.userAs(name, protocol.UserIDInvalid) }

// userAs is user with another error for an id that is missing or cannot be.
func (r *request) userAs(name string, code protocol.Code) string {
	return r.canonicalAs(name, r.id(name, code), code)
}

// canonical maps a user id that came in parameter name to the directory's.
func (r *request) canonical(name, id string) string {
	return r.canonicalAs(name, id, protocol.UserIDInvalid)
}

func (r *request) canonicalAs(name, id string, code protocol.Code) string {
	r.fits(name, id, maxID)
	if r.err != nil {
		return ""
	}
	canonical, err := r.canonicalID(r.ctx, id)
	var refused *protocol.Error
	switch {
	case errors.As(err, &refused) && refused.Code == protocol.UserIDInvalid:
		r.refuse(refusal(code, textBadUser, name, id))
	case err != nil:
		r.refuse(err)
	}
	return canonical
}

// culprit names the user id that made a call over many ids fail with error-008. The ids are looked up one by one only here:
// 10,000 look-ups are for the component to do at once.
func (r *request) culprit(name string, ids []string, err error) error {
	var refused *protocol.Error
	if !errors.As(err, &refused) || refused.Code != protocol.UserIDInvalid {
		return err
	}
	for _, id := range ids {
		canonical := r.canonical(name, id)
		if canonical == reservedUser {
			r.refuse(refusal(protocol.UserIDInvalid, textReserved, id))
		}
		if r.err != nil {
			return r.err
		}
	}
	return err
}

// moment is a time in epoch milliseconds: absent or empty is 0.
func (r *request) moment(name string) int64 {
	v := strings.TrimSpace(r.first(name))
	if v == "" {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 || n > maxMoment {
		r.refuse(badRequest(textBadMoment, name))
	}
	return n
}

// maxMoment is the last one that has 13 digits: times of messages are compared as texts.
const maxMoment = 9_999_999_999_999

// language is that in which words are wanted.
func (a *API) language(r *request) Language {
	switch l := Language(r.first("language")); l {
	case "":
		return a.cfg.Language
	case Chinese, English:
		return l
	}
	r.refuse(badRequest(textBadLanguage, "language"))
	return ""
}

// count is a number of rows: absent or empty is 0.
func (r *request) count(name string) int {
	v := strings.TrimSpace(r.first(name))
	if v == "" {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		r.refuse(badRequest(textNotNumber, name))
	}
	return int(n)
}

// window reads start and length (or max).
func (r *request) window() (start, length int) {
	return r.count("start"), r.length()
}

// length is a number of rows, or max.
func (r *request) length() int {
	if strings.EqualFold(strings.TrimSpace(r.first("length")), "max") {
		return math.MaxInt
	}
	return r.count("length")
}

// page reads start, length and before.
func (r *request) page() store.Page {
	var p store.Page
	p.Start, p.Length = r.window()
	if before := r.first("before"); before != "" {
		var ok bool
		p.BeforeTime, p.BeforeID, ok = strings.Cut(before, ",")
		if !ok || p.BeforeTime == "" || len(p.BeforeTime) > maxTime || utf8.RuneCountInString(p.BeforeID) > maxID {
			r.refuse(badRequest(textBadBefore))
		}
		if p.Start != 0 {
			r.refuse(badRequest(textBeforeAndStart))
		}
	}
	return p
}

// field is a text field of an object inside parameter name. What JSON escapes can hide is checked again.
func (r *request) field(name string, o gjson.Result, key string, max int) string {
	v := r.within(name, o, key)
	if v.Type == gjson.Null {
		return ""
	}
	text := v.String()
	if !stanza.ValidXML(text) {
		r.refuse(badRequest(textBadCharacters, name))
	}
	r.fits(name+"."+key, text, max)
	return text
}

// member is the canonical id of the user that an object names; "" when it names none.
func (r *request) member(name string, o gjson.Result) string {
	id := r.memberID(name, o)
	if id == "" {
		return ""
	}
	if !stanza.ValidXML(id) {
		r.refuse(badRequest(textBadCharacters, name))
	}
	return r.canonical(name, id)
}

// memberID is the user id of an object; some clients write userId.
func (r *request) memberID(name string, o gjson.Result) string {
	for _, key := range []string{"user_id", "userId"} {
		if id := r.within(name, o, key); id.Type == gjson.String || id.Type == gjson.Number {
			text, ok := lenient.Text(id)
			if !ok {
				r.refuse(refusal(protocol.NotJSON, textOddNumber, name, shortened(id.Raw)))
			}
			if text != "" {
				return text
			}
		}
	}
	return ""
}
