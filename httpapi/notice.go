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
		receivers := r.receivers()
		if r.err != nil {
			return nil, r.err
		}
		return object{}, a.svc.Notify(ctx, component.Notice{Type: kind, Body: body, Receivers: receivers})
	}
}

// receivers reads msgTo (msg_to in document 1.3): repeated, comma-separated or a JSON array. A receiver named twice gets one
// message. What begins with @ is a group of receivers (@all, @session:<id>) and no user id.
func (r *request) receivers() []string {
	name := "msgTo"
	if !r.has(name) {
		name = "msg_to"
	}
	var all []string
	for _, v := range r.form[name] {
		if strings.HasPrefix(strings.TrimSpace(v), "[") {
			strict, err := lenient.JSON(v)
			if err != nil {
				r.refuse(refusal(component.NotJSON, textNotJSON, name))
				return nil
			}
			for _, id := range gjson.Parse(strict).Array() {
				if id.Type != gjson.String && id.Type != gjson.Number {
					r.refuse(refusal(component.UserIDInvalid, textBadUser, name, shortened(id.Raw)))
					return nil
				}
				all = append(all, id.String())
			}
			continue
		}
		all = append(all, strings.Split(v, ",")...)
	}

	seen := make(map[string]bool, len(all))
	var receivers []string
	for _, id := range all {
		if id = strings.TrimSpace(id); id == "" {
			continue
		}
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
			id = r.spelled(name, id)
		}
		if r.err != nil {
			return nil
		}
		if !seen[id] {
			seen[id] = true
			receivers = append(receivers, id)
		}
	}
	if len(receivers) == 0 {
		r.refuse(refusal(component.UserIDInvalid, textMissing, "msgTo"))
	}
	return receivers
}

// shortened keeps an answer from echoing a megabyte.
func shortened(s string) string {
	if runes := []rune(s); len(runes) > idLength {
		return string(runes[:idLength]) + "..."
	}
	return s
}
