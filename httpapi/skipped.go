package httpapi

import (
	"errors"
	"strings"

	"github.com/tidwall/gjson"

	"tlim/component/protocol"
)

// Why a handler leaves out an entry of a list; the component has reasons of its own.
const (
	skipMissing protocol.SkipReason = "missing" // it names no user
	skipType    protocol.SkipReason = "type"    // it is neither to be added nor to be removed
)

// skippedRow is somebody whom a call named and who was left out.
type skippedRow struct {
	Reason protocol.SkipReason `json:"reason"`
	UserID string              `json:"user_id,omitempty"`
}

// leftOut are those whom a call over a list of users does not reach.
type leftOut struct {
	given  map[string]string // what the caller wrote, by the spelling that the component gets
	before []protocol.Skipped
	seen   map[protocol.Skipped]bool
}

// note remembers how the caller writes a user whom an entry of a list names, and an entry that names none.
func (l *leftOut) note(r *request, name string, o gjson.Result, user string) {
	switch {
	case user != "":
		if l.given == nil {
			l.given = map[string]string{}
		}
		if _, twice := l.given[user]; !twice {
			l.given[user] = r.memberID(name, o)
		}
	case r.err == nil:
		l.add("", skipMissing)
	}
}

// add leaves somebody out, once for each reason.
func (l *leftOut) add(user string, reason protocol.SkipReason) {
	one := protocol.Skipped{UserID: user, Reason: reason}
	if l.seen[one] {
		return
	}
	if l.seen == nil {
		l.seen = map[protocol.Skipped]bool{}
	}
	l.seen[one] = true
	l.before = append(l.before, one)
}

// rows are all of them, with those of the component. The list is never null.
func (l *leftOut) rows(more []protocol.Skipped) []skippedRow {
	rows := make([]skippedRow, 0, len(l.before)+len(more))
	for _, list := range [][]protocol.Skipped{l.before, more} {
		for _, s := range list {
			if id, ok := l.given[s.UserID]; ok {
				s.UserID = id
			}
			rows = append(rows, skippedRow{s.Reason, s.UserID})
		}
	}
	return rows
}

// tell writes down those whom the component does not hear of.
func (l *leftOut) tell(a *API, r *request) {
	if len(l.before) == 0 || r.err != nil {
		return
	}
	named := l.before[:min(len(l.before), maxSkippedNamed)]
	some := make([]string, len(named))
	for i, s := range named {
		some[i] = s.UserID + " (" + string(s.Reason) + ")"
	}
	a.log.Info("entries of a call's list are not for anybody", "endpoint", r.path, "caller", r.caller.name, "entries", len(l.before), "some", strings.Join(some, ", "))
}

// maxSkippedNamed is how many a log line gives as examples.
const maxSkippedNamed = 10

// refused makes a refusal that says that there was nobody else, or no room for some, name them.
func (l *leftOut) refused(err error) error {
	var refused *protocol.Error
	if !errors.As(err, &refused) || refused.Code != protocol.GroupNotCreated && refused.Code != protocol.UserIDInvalid && len(refused.Skipped) == 0 {
		return err
	}
	f := failureOf(err)
	f.skipped = l.rows(refused.Skipped)
	return f
}

// asker says to the component who asks: nothing of one with a key.
func (a *API) asker(r *request) string {
	switch {
	case r.caller.user != "":
		return "user " + r.caller.user
	case r.caller.keyed:
		return ""
	}
	return "address " + clientAddr(r.http, a.cfg.TrustedProxies).String()
}
