package httpapi

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// unplain names what in a document generators of clients make no compilable type of, or another one for each mood: schemas with a choice
// (oneOf, anyOf, allOf, several types), a body or an answer in more than one form, an answer that is no named type with result, and two
// names for one parameter.
func unplain(document map[string]any) (faults []string) {
	schemas := document["components"].(map[string]any)["schemas"].(map[string]any)
	var look func(at string, v any)
	look = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, inner := range v {
				switch _, several := inner.([]any); {
				case key == "example":
				case key == "oneOf", key == "anyOf", key == "allOf", key == "not", key == "type" && several:
					faults = append(faults, at+" has "+key)
				default:
					look(at+"/"+key, inner)
				}
			}
		case []any:
			for i, inner := range v {
				look(fmt.Sprint(at, "/", i), inner)
			}
		}
	}
	look("", document)
	for path, item := range document["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			o, at := operation.(map[string]any), method+" "+path
			files := slices.Contains(o["tags"].([]any), any("files"))
			if body, ok := o["requestBody"].(map[string]any); ok && len(body["content"].(map[string]any)) != 1 {
				faults = append(faults, at+" takes more than one body")
			}
			answer, _ := o["responses"].(map[string]any)["200"].(map[string]any)
			content, _ := answer["content"].(map[string]any)
			if answer != nil && len(content) != 1 {
				faults = append(faults, at+" answers in more than one form")
			}
			if answer != nil && !files {
				schema, _ := content["application/json"].(map[string]any)["schema"].(map[string]any)
				ref, _ := schema["$ref"].(string)
				named, _ := schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
				properties, _ := named["properties"].(map[string]any)
				result, _ := properties["result"].(map[string]any)
				if required, _ := named["required"].([]any); result["type"] != "string" || !slices.Contains(required, any("result")) {
					faults = append(faults, at+" answers no named type with result")
				}
			}
			parameters, _ := o["parameters"].([]any)
			seen := map[string]any{}
			for _, p := range parameters {
				name := p.(map[string]any)["name"].(string)
				plain := strings.ToLower(strings.ReplaceAll(name, "_", "")) // msgTo and msg_to
				if seen[plain] != nil {
					faults = append(faults, fmt.Sprintf("%s has %s and %s", at, seen[plain], name))
				}
				seen[plain] = name
			}
		}
	}
	// No object has one field under two names.
	for name, schema := range schemas {
		properties, _ := schema.(map[string]any)["properties"].(map[string]any)
		seen := map[string]string{}
		for field := range properties {
			plain := strings.ToLower(strings.ReplaceAll(strings.TrimRight(field, "_"), "_", ""))
			if seen[plain] != "" {
				faults = append(faults, fmt.Sprintf("%s has %s and %s", name, seen[plain], field))
			}
			seen[plain] = field
		}
	}
	slices.Sort(faults)
	return faults
}

// TestDocumentIsPlain: compiled clients can be generated of it. What would break them is seen.
func TestDocumentIsPlain(t *testing.T) {
	document, _ := served(t, newWhole(t))
	if faults := unplain(document); len(faults) > 0 {
		t.Errorf("got %s, want a document without them", strings.Join(faults, "\n"))
	}
	at := func(path ...string) map[string]any {
		v := map[string]any(document)
		for _, key := range path {
			v = v[key].(map[string]any)
		}
		return v
	}
	schemas := at("components", "schemas")
	body := at("paths", base+"approval", "post", "requestBody", "content")
	answer := at("paths", base+"approval", "post", "responses", "200", "content", "application/json")
	get := at("paths", base+"approval", "get")
	row := schemas["Session"].(map[string]any)["properties"].(map[string]any)
	for _, c := range []struct {
		name  string
		in    map[string]any
		key   string
		value any
		want  []string
	}{
		{"a choice", row, "session_type", map[string]any{"oneOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "integer"}}}, []string{"/components/schemas/Session/properties/session_type has oneOf"}},
		{"types by mood", row, "session_type", map[string]any{"type": []any{"string", "integer"}}, []string{"/components/schemas/Session/properties/session_type has type"}},
		{"an older name of a field", row, "sessionId", map[string]any{"type": "string"}, nil},
		{"a form beside JSON", body, "application/x-www-form-urlencoded", map[string]any{}, []string{"post " + base + "approval takes more than one body"}},
		{"an answer without a name", answer, "schema", map[string]any{"type": "object"}, []string{"post " + base + "approval answers no named type with result"}},
		{"an older name", get, "parameters", append(slices.Clone(get["parameters"].([]any)), map[string]any{"name": "msg_to", "in": "query"}), []string{"get " + base + "approval has msgTo and msg_to"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, there := c.in[c.key]
			c.in[c.key] = c.value
			if got := unplain(document); len(got) == 0 || c.want != nil && !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if c.in[c.key] = before; !there {
				delete(c.in, c.key)
			}
		})
	}
}
