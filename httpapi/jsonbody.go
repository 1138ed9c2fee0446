package httpapi

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"tlim/component/lenient"
	"tlim/component/stanza"
)

// addJSON adds the fields of a JSON object to f, each as the parameter of that name of an endpoint: what a form has as text may be a
// number, and what it has as a list is one. null is as absent. It refuses, by name, what a form could not say: a field that the
// endpoint does not have, one that is there twice, a value of another type.
func (f form) addJSON(content string, e endpoint) (err error) {
	content = strings.TrimPrefix(content, "\ufeff")
	if strings.TrimSpace(content) == "" {
		return nil
	}
	if !utf8.ValidString(content) || !json.Valid([]byte(content)) {
		return badRequest(textNotJSONBody)
	}
	body := gjson.Parse(content)
	if !body.IsObject() {
		return badRequest(textNoObject)
	}
	seen := map[string]bool{}
	body.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		if seen[name] {
			err = badRequest(textFieldTwice, shortened(name))
			return false
		}
		seen[name] = true
		if value.Type == gjson.Null {
			return true
		}
		var text string
		if text, err = e.parameter(name, value); err == nil {
			f[name] = append(f[name], text)
		}
		return err == nil
	})
	return err
}

// accessToken is the parameter of every endpoint.
var accessToken = field{name: "access_token", kind: anyText}

// parameter is a field of a JSON body as a form has it.
func (e endpoint) parameter(name string, value gjson.Result) (string, error) {
	params := append(slices.Clone(e.params), accessToken)
	at := slices.IndexFunc(params, func(p field) bool { return p.name == name })
	if at < 0 {
		return "", badRequest(textUnknownField, shortened(name))
	}
	kind, text := params[at].kind, value.Raw
	switch {
	case value.Type == gjson.String:
		if text = value.String(); halved(text, value.Raw) {
			return "", badRequest(textBadCharacters, name)
		}
	case kind.json: // its decoder says what is wrong with it
	case value.Type == gjson.Number:
		var same bool
		if text, same = lenient.Text(value); !same {
			return "", badRequest(textOddNumber, name, shortened(text))
		}
	case value.IsArray() && kind.list:
	case value.IsBool() && kind.yesNo():
		text = map[bool]string{false: "0", true: "1"}[value.Bool()]
	default:
		return "", badRequest(textBadType, name)
	}
	if !stanza.ValidXML(text) {
		return "", badRequest(textBadCharacters, name)
	}
	return text, nil
}

// halved says whether a string of JSON held half a surrogate, for which readers put something else.
func halved(text, raw string) bool {
	replaced := strings.Count(text, "\ufffd")
	return replaced > 0 && replaced != strings.Count(raw, "\ufffd")+strings.Count(lower(raw), `\ufffd`)
}

// yesNo says whether a parameter is 0 or 1.
func (k kind) yesNo() bool { return k.schema["type"] == "integer" && k.schema["maximum"] == 1 }

// once refuses a parameter that was sent more than once, where one is meant: which of its values counts would be a guess. The same value
// again is none.
func (r *request) once(e endpoint) error {
	for _, p := range e.params {
		if p.kind.list && !p.kind.json || p.name == keyParameter { // whose header counts, too
			continue
		}
		if err := r.form.once(p.name); err != nil {
			return err
		}
	}
	return nil
}

func (f form) once(name string) error {
	for _, v := range f[name] {
		if v != f[name][0] {
			return badRequest(textGivenTwice, name)
		}
	}
	return nil
}
