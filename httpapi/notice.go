package httpapi

import (
	"context"
	"strings"

	"github.com/tidwall/gjson"

	"tlim/component"
	"tlim/component/lenient"
)

// notice makes the handler that pushes a business message of one type: approval, systemMessage.
func (a *API) notice(kind string) func(context.Context, *request) (any, error) {
	return func(ctx context.Context, r *request) (any, error) {
		body, objects := r.array("params")
		if r.err == nil && !r.has("params") {
			r.refuse(refusal(component.NotArray, textMissing, "params"))
		}
		if len(objects) == 0 {
			r.refuse(refusal(component.NotArray, textEmptyArray, "params"))
		}
		receivers, users := r.receivers()
		if r.err != nil {
			return nil, r.err
		}
		err := a.svc.Notify(ctx, component.Notice{Type: kind, Body: body, Receivers: receivers})
		return object{}, r.culprit("msgTo", users, err)
	}
}

// receivers reads msgTo (msg_to in document 1.3): repeated, comma-separated or a JSON array. A receiver named twice gets one
// message. What begins with @ is a group of receivers (@all, @session:<id>) and no user id; users are those of all that are.
func (r *request) receivers() (all, users []string) {
	name := "msgTo"
	if !r.has(name) {
		name = "msg_to"
	}
	var names []string
	for _, v := range r.values(name) {
		if strings.HasPrefix(strings.TrimSpace(v), "[") {
			strict, err := lenient.JSON(v)
			if err != nil {
				r.refuse(refusal(component.NotJSON, textNotJSON, name))
				return nil, nil
			}
			for _, id := range gjson.Parse(strict).Array() {
				if id.Type != gjson.String && id.Type != gjson.Number {
					r.refuse(refusal(component.UserIDInvalid, textBadUser, name, shortened(id.Raw)))
					return nil, nil
				}
				names = append(names, id.String())
			}
			continue
		}
		names = append(names, strings.Split(v, ",")...)
	}

	seen := make(map[string]bool, len(names))
	for _, id := range names {
		if id = strings.TrimSpace(id); id == "" || seen[id] {
			continue
		}
		seen[id] = true
		all = append(all, id)
		switch group, isGroup := strings.CutPrefix(id, "@session:"); {
		case isGroup:
			r.fits(name, group, idLength)
			if group == "" {
				r.refuse(refusal(component.GroupIDEmpty, textBadUser, name, id))
			}
		case id == "@all":
		case strings.HasPrefix(id, "@"):
			r.refuse(refusal(component.UserIDInvalid, textBadUser, name, shortened(id)))
		case !carriable(id):
			r.refuse(badRequest(textBadCharacters, name))
		default:
			r.fits(name, id, idLength)
			users = append(users, id)
		}
		if r.err != nil {
			return nil, nil
		}
	}
	if len(all) == 0 {
		r.refuse(refusal(component.UserIDInvalid, textMissing, "msgTo"))
	}
	return all, users
}

// shortened keeps an answer from echoing a megabyte.
func shortened(s string) string {
	if runes := []rune(s); len(runes) > idLength {
		return string(runes[:idLength]) + "..."
	}
	return s
}
