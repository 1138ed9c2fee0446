package httpapi

import (
	"slices"

	"tlim/component/protocol"
)

// endpoint is what the document says of a route, beside what the route table knows. Tests hold each word of it against the
// handlers: the parameters against what they read, the fields and codes against what they answer.
type endpoint struct {
	tag     string
	summary string  // one line
	text    string  // what else a caller has to know
	params  []field // in the query string or the form
	answer  []field // beside result and result_detail
	// bare: to a call that is no JSON the answer is the one list of these fields, without an object around it. The document has the
	// other one alone.
	bare  bool
	codes []protocol.Code
	// streamed: the answer is written while it is read; when a later part of it cannot be read, the list ends there and
	// result says so.
	streamed bool
}

// field is a parameter, a field of an object in one, or a field of an answer.
type field struct {
	name string
	kind kind
	text string // what it is, with its unit
	// missing is the result when a parameter is absent or empty; "" when it may be.
	missing protocol.Code
	blank   bool // it may be empty all the same
	// wrong is the result when a parameter is not of its kind; "" is the kind's.
	wrong protocol.Code
	older bool    // the name of old callers for another one: it is taken, and not in the document
	of    []field // of the objects of a list
	open  bool    // which may have others, too
	each  string  // the name of such an object's type, where several endpoints have it or the made one says little
}

// kind is a set of values.
type kind struct {
	schema object
	wrong  protocol.Code // the result for a value that is not in it; resultFail comes with HTTP 400
	json   bool          // a parameter that holds JSON
	list   bool          // a parameter that holds many, at most what maxEntries says
	file   bool          // a part of a multipart body

	optional bool // an answered field that is no text and may be absent all the same
}

// The kinds of parameters. What is over a maxLength is error-012.
var (
	userID  = kind{schema: object{"type": "string", "minLength": 1, "maxLength": maxID}, wrong: protocol.UserIDInvalid}
	oneID   = kind{schema: object{"type": "string", "minLength": 1, "maxLength": maxID}}
	count   = kind{schema: object{"type": "integer", "minimum": 0, "maximum": 1<<31 - 1}, wrong: resultFail}
	length  = kind{schema: object{"type": "integer", "minimum": 0, "maximum": 1<<31 - 1}, wrong: resultFail} // or max, as old callers have it
	int32s  = kind{schema: object{"type": "integer", "format": "int32"}, wrong: resultFail}
	bit     = kind{schema: object{"type": "integer", "minimum": 0, "maximum": 1}, wrong: resultFail}
	callKey = kind{schema: object{"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"}, wrong: resultFail}
	anyText = kind{schema: object{"type": "string"}}
	place   = kind{schema: object{"type": "string", "pattern": "^[^,]{1,20},"}, wrong: resultFail}
	// pageSize is how many rows an administrator wants.
	pageSize  = kind{schema: object{"type": "integer", "minimum": 1, "maximum": maxAdminPage}, wrong: resultFail}
	scopeList = kind{schema: object{"type": "string", "pattern": "^ *(admin|business) *(, *(admin|business) *)*$"}, wrong: resultFail}
	callRate  = kind{schema: object{"type": "number", "format": "double", "minimum": 0, "maximum": maxKeyRate}, wrong: resultFail}
	// objects is a JSON array of objects, or a single one. JSON is read leniently, see package lenient.
	objects = kind{schema: object{"type": "array"}, wrong: protocol.NotJSON, json: true, list: true}
	// ids are separated by commas, repeated, or a JSON array.
	ids    = kind{schema: object{"type": "array", "items": object{"type": "string"}}, list: true}
	binary = kind{schema: object{"type": "string", "format": "binary"}, file: true}
)

// The kinds of answered fields.
var (
	words  = kind{schema: object{"type": "string"}}
	millis = kind{schema: object{"type": "string"}}
	number = kind{schema: object{"type": "integer", "format": "int64"}}
	yesNo  = kind{schema: object{"type": "boolean"}}
	mark   = kind{schema: object{"type": "boolean"}, optional: true} // absent for no
	rows   = kind{schema: object{"type": "array"}}
	texts  = kind{schema: object{"type": "array", "items": object{"type": "string"}}}
	real   = kind{schema: object{"type": "number", "format": "double"}}
	// moments are epoch milliseconds; a moment may not have come.
	moments = kind{schema: object{"type": "integer", "format": "int64"}}
	moment  = kind{schema: object{"type": "integer", "format": "int64"}, optional: true}
	// section is an object of its own, which may be absent.
	section = kind{schema: object{"type": "object"}, optional: true}
)

// chars is text of at most max characters.
func chars(max int) kind { return kind{schema: object{"type": "string", "maxLength": max}} }

// wrongCode is the result for a value that is not of the field's kind.
func (f field) wrongCode() protocol.Code {
	if f.wrong != "" {
		return f.wrong
	}
	return f.kind.wrong
}

// description is the field's text, with the maximum of a list.
func (f field) description() phrase {
	if f.kind.list {
		return say("%s At most %d entries.", f.text, maxOf(f.name))
	}
	return say("%s", f.text)
}

// refusals are the results that a call can be refused with at HTTP 200; unreadable says whether one of HTTP 400 is among
// what its parameters can get.
func (e endpoint) refusals() (codes []protocol.Code, unreadable bool) {
	var add func(f field)
	add = func(f field) {
		for _, code := range []protocol.Code{f.missing, f.wrongCode()} {
			switch code {
			case "":
			case resultFail:
				unreadable = true
			default:
				codes = append(codes, code)
			}
		}
		if f.kind.json {
			codes = append(codes, protocol.NotArray)
		}
		if f.kind.schema["maxLength"] != nil || f.kind.list {
			codes = append(codes, protocol.TooLarge)
		}
		if f.kind.json {
			for _, inner := range f.of {
				add(inner)
			}
		}
	}
	for _, f := range e.params {
		add(f)
	}
	codes = append(codes, e.codes...)
	slices.Sort(codes)
	return slices.Compact(codes), unreadable
}
