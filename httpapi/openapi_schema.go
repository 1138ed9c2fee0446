package httpapi

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// types are the named schemas of the document. Generators make a type of each: what has no name gets one that says nothing, and
// another one for each endpoint.
type types map[string]object

// add names a schema, and returns the reference to it. A name stands for one schema.
func (t types) add(name string, schema object) (object, error) {
	if before, there := t[name]; there && !reflect.DeepEqual(before, schema) {
		return nil, fmt.Errorf("there are two schemas %s", name)
	}
	t[name] = schema
	return object{"$ref": "#/components/schemas/" + name}, nil
}

// typeName is the beginning of the names of an endpoint's types: FindSessions, AdminUsers.
func typeName(path string) string {
	name := ""
	for part := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '/' || c == '.' || c == '_' }) {
		name += strings.ToUpper(part[:1]) + part[1:]
	}
	return name
}

// operationID is what generators name the function of an endpoint by: findSessions, adminUsers.
func operationID(path string) string {
	name := typeName(path)
	return strings.ToLower(name[:1]) + name[1:]
}

// merged is a copy of a schema with more in it.
func merged(schema, more object) object {
	both := maps.Clone(schema)
	maps.Copy(both, more)
	return both
}

// parameter is the schema of a parameter, or of a field of an object in one, in a JSON body.
func (t types) parameter(f field, owner string) (object, error) {
	if !f.kind.json {
		return f.asText(), nil
	}
	properties := object{}
	for _, inner := range current(f.of) {
		properties[inner.name] = merged(inner.kind.schema, object{"description": inner.text})
	}
	entry := object{"type": "object", "properties": properties}
	if f.open {
		entry["additionalProperties"] = true
	}
	ref, err := t.add(f.typeName(owner, "Entry"), entry)
	return object{"type": "array", "maxItems": maxOf(f.name), "items": ref}, err
}

// typeName is the name of the type of an object, or of those in a list.
func (f field) typeName(owner, suffix string) string {
	if f.each != "" {
		return f.each
	}
	return owner + typeName(f.name) + suffix
}

// answer is the schema of what an endpoint answers with HTTP 200, done or refused: one type, whose result says which.
func (t types) answer(e endpoint, rt route) (object, error) {
	schema, err := t.object(e.answer, typeName(rt.path))
	if err != nil {
		return nil, err
	}
	properties := schema["properties"].(object)
	properties["result"] = object{"type": "string", "description": "ok: done and committed. Else why not: one of the codes above."}
	properties["result_detail"] = object{"type": "string", "description": "Empty when result is ok, else one sentence for people."}
	echoes := func(f field) bool { return f.name == groupID.name }
	if slices.ContainsFunc(e.params, echoes) && !slices.ContainsFunc(e.answer, echoes) {
		properties[groupID.name] = object{"type": "string", "description": "Of a refusal: as it was sent."}
	}
	schema["required"] = append([]string{"result", "result_detail"}, rt.zeros...) // all else may be missing in a refusal
	return t.add(typeName(rt.path)+"Answer", schema)
}

// object is the schema of an answered object. Answers may get more fields, and clients are made so that they read on.
func (t types) object(fields []field, owner string) (object, error) {
	properties := object{}
	required := []string{}
	for _, f := range fields {
		schema := merged(f.kind.schema, object{"description": f.text})
		if f.of != nil {
			name := f.typeName(owner, map[any]string{"array": "Row"}[schema["type"]])
			inner, err := t.object(f.of, name)
			if err != nil {
				return nil, err
			}
			ref, err := t.add(name, inner)
			if err != nil {
				return nil, err
			}
			if schema["type"] == "object" {
				schema = ref
			} else {
				schema["items"] = ref
			}
		}
		properties[f.name] = schema
		if f.kind.schema["type"] != "string" && !f.kind.optional { // texts without a value are left out
			required = append(required, f.name)
		}
	}
	all := object{"type": "object", "properties": properties, "additionalProperties": true}
	if len(required) > 0 {
		all["required"] = required
	}
	return all, nil
}
