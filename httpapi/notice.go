package httpapi

import (
	"context"
	"errors"
	"slices"
	"strings"

	"tlim/component"
	"tlim/component/protocol"
	"tlim/component/stanza"
)

// notice makes the handler that pushes a business message of one type: approval, systemMessage.
func (a *API) notice(kind string) func(context.Context, *request) (any, error) {
	return func(ctx context.Context, r *request) (any, error) {
		body, objects := r.array("params")
		if r.err == nil && !r.has("params") {
			r.refuse(refusal(protocol.NotArray, textMissing, "params"))
		}
		if len(objects) == 0 {
			r.refuse(refusal(protocol.NotArray, textEmptyArray, "params"))
		}
		receivers, users := r.receivers()
		key := r.idempotencyKey()
		if r.err != nil {
			return nil, r.err
		}
		noticed, err := a.svc.Notify(ctx, component.Notice{Type: kind, Body: body, Receivers: receivers, Caller: r.caller.name, Asker: a.asker(r), Key: key})
		var out leftOut
		var refused *protocol.Error
		switch {
		case err == nil:
			return object{"call_id": noticed.CallID, skippedName: out.rows(noticed.Skipped)}, nil
		case errors.As(err, &refused) && refused.Code == protocol.IDConflict:
			return nil, refusal(protocol.IDConflict, textKeyUsed)
		case errors.As(err, &refused) && refused.Skipped != nil: // they can be ids, but are nobody's
			f := refusal(refused.Code, textNobody)
			f.skipped = out.rows(refused.Skipped)
			return nil, f
		}
		return nil, r.culprit("msgTo", users, err)
	}
}

// Where an idempotency key may stand: integrators that can only build URLs have no headers.
const (
	keyHeader         = "Idempotency-Key"
	keyParameter      = "idempotency_key"
	maxIdempotencyKey = 255
)

// idempotencyKey is what a repeated call has in common with the first; "" without one.
func (r *request) idempotencyKey() (key string) {
	odd := func(c rune) bool { return c < ' ' || c > '~' }
	for _, given := range append(slices.Clone(r.http.Header.Values(keyHeader)), r.values(keyParameter)...) {
		switch {
		case given == "": // as absent: one key for all calls of an integrator whose variable is not set would lose them
		case len(given) > maxIdempotencyKey, strings.Trim(given, " ") != given, strings.ContainsFunc(given, odd), key != "" && given != key:
			r.refuse(badRequest(textBadKeyText, keyHeader, keyParameter, maxIdempotencyKey))
		default:
			key = given
		}
	}
	return key
}

// findNotice says what became of a call that pushed a notice, receiver by receiver.
func (a *API) findNotice(ctx context.Context, r *request) (any, error) {
	id := r.text("call_id", maxID)
	if id == "" {
		r.refuse(badRequest(textMissing, "call_id"))
	}
	start, length := r.window()
	if r.err != nil {
		return nil, r.err
	}
	notice, found, err := a.svc.Notice(ctx, id)
	if err == nil && !found {
		err = refusal(resultFail, textNoSuchCall, id)
	}
	if err != nil {
		return nil, err
	}
	type row struct {
		Delivered string `json:"delivered,omitempty"`
		MsgID     string `json:"msg_id"`
		Time      string `json:"msg_time,omitempty"`
		Pushed    string `json:"pushed,omitempty"`
		Read      int    `json:"read"`
		Stored    string `json:"stored"`
		User      string `json:"user_id"`
	}
	state := "done"
	if notice.Open {
		state = "open"
	}
	s := &stream{list: "receivers", rest: func() object { return object{"state": state, "total": notice.Total} }}
	s.run = func(ctx context.Context, emit func(any) error) error {
		for after, left := start, length; left > 0; {
			ctx, cancel := s.page(ctx, readWeight)
			list, err := a.svc.TrackNotice(ctx, notice, after, left)
			cancel()
			if err != nil || len(list) == 0 {
				return err
			}
			for _, c := range list {
				if err := emit(row{c.Delivered, c.MsgID, c.Time, c.Pushed, c.Read, c.Stored, c.User}); err != nil {
					return err
				}
			}
			after, left = list[len(list)-1].Number, left-len(list)
		}
		return nil
	}
	return s, nil
}

// receivers reads msgTo (msg_to in document 1.3): repeated, comma-separated or a JSON array. A receiver named twice gets one
// message. What begins with @ is a group of receivers (@all, @session:<id>) and no user id; users are those of all that are.
func (r *request) receivers() (all, users []string) {
	name := "msgTo"
	switch older := r.values("msg_to"); {
	case !r.has(name):
		name = "msg_to"
	case len(older) > 0 && !slices.Equal(older, r.values(name)):
		r.refuse(badRequest(textGivenTwice, name))
	}
	for _, id := range r.list(name, protocol.UserIDInvalid) {
		all = append(all, id)
		switch group, isGroup := strings.CutPrefix(id, "@session:"); {
		case isGroup:
			r.fits(name, group, maxID)
			if group == "" {
				r.refuse(refusal(protocol.GroupIDEmpty, textBadUser, name, id))
			}
		case id == "@all":
		case strings.HasPrefix(id, "@"):
			r.refuse(refusal(protocol.UserIDInvalid, textBadUser, name, shortened(id)))
		case !stanza.ValidXML(id):
			r.refuse(badRequest(textBadCharacters, name))
		default:
			r.fits(name, id, maxID)
			users = append(users, id)
		}
		if r.err != nil {
			return nil, nil
		}
	}
	if r.err == nil && len(all) == 0 {
		r.refuse(refusal(protocol.UserIDInvalid, textMissing, "msgTo"))
	}
	return all, users
}

// shortened keeps an answer from echoing a megabyte.
func shortened(s string) string {
	if runes := []rune(s); len(runes) > maxID {
		return string(runes[:maxID]) + "..."
	}
	return s
}
