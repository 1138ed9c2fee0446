package httpapi

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"tlim/component/protocol"
)

// example is one file of the folder examples: a call as it can be sent, and its answer. Tests send each of them.
type example struct {
	Query  string          `json:"query"`            // parameters, as a query string
	Answer json.RawMessage `json:"answer,omitempty"` // JSON; a text is a JSON string; none: the bytes of a file
}

//go:embed examples/*.json
var exampleFiles embed.FS

// exampleOf reads the example of an endpoint.
func exampleOf(endpoint string) (example, error) {
	var e example
	content, err := exampleFiles.ReadFile("examples/" + strings.ReplaceAll(endpoint, "/", ".") + ".json")
	if err == nil {
		err = json.Unmarshal(content, &e)
	}
	return e, err
}

// codeTexts says what each result means.
var codeTexts = []struct {
	code protocol.Code
	text string
}{
	{protocol.BodyEmpty, "the text is empty"},
	{protocol.GroupTypeInvalid, "session_type is missing or invalid"},
	{protocol.GroupNameEmpty, "nothing says what to change"},
	{protocol.GroupOwnerInvalid, "the owner is missing"},
	{protocol.NotJSON, "a parameter is not JSON"},
	{protocol.NotArray, "a parameter is missing, or is not a JSON array of objects"},
	{protocol.GroupIDEmpty, "the session id is missing"},
	{protocol.UserIDInvalid, "a user id is missing, invalid or reserved"},
	{protocol.NoSuchGroup, "there is no such session"},
	{protocol.GroupNotCreated, "none of the members is known"},
	{protocol.NotAllowed, "the caller may not do this"},
	{protocol.TooLarge, "over a size limit, or the database cannot hold it"},
	{protocol.TryLater, "cannot be done now, repeat it later"},
	{protocol.IDConflict, "the message id is missing"},
	{resultFail, "anything else; result_detail says what"},
}

// failureStatuses are the answers that any endpoint can give beside HTTP 200.
var failureStatuses = []struct {
	status  int
	text    string
	results []protocol.Code
	header  string   // that comes with it
	detail  sentence // of the example
}{
	{http.StatusBadRequest, "The request or one of its parameters cannot be read.", []protocol.Code{resultFail}, "", sentence{textNotNumber, []any{"start"}}},
	{http.StatusUnauthorized, "No key or token, or one that is not valid.", []protocol.Code{protocol.NotAllowed}, "WWW-Authenticate", sentence{text: textNoCaller}},
	{http.StatusForbidden, "The caller is known and may not call this, or not with these parameters; or an anonymous call comes from a page of another site, or for a host name that is not this site's.", []protocol.Code{protocol.NotAllowed}, "", sentence{text: textNotAllowed}},
	{http.StatusRequestEntityTooLarge, "The body is over the limit (1 MiB for a form).", []protocol.Code{protocol.TooLarge}, "", sentence{textTooLargeRequest, []any{1 << 20}}},
	{http.StatusTooManyRequests, "The key or the user is over its rate, or the caller has too many calls under way.", []protocol.Code{protocol.TryLater}, "Retry-After", sentence{text: textTooFast}},
	{http.StatusInternalServerError, "A fault of ours; the log says more.", []protocol.Code{resultFail}, "", sentence{text: textFault}},
	{http.StatusServiceUnavailable, "The database is away, or too much is going on. Nothing was changed, or what was changed is safe to repeat.", []protocol.Code{protocol.TryLater}, "Retry-After", sentence{text: textBusy}},
}

// document describes the API in OpenAPI 3.0, which every generator of clients reads. Each endpoint is in it once: with its own path, its
// one answer, and the names of its parameters that callers of today use. It holds nothing of this site but whether there are files, so
// that everybody may read it. It is in English until it is worded.
func (a *API) document() (object, error) {
	named := types{"Failure": failureSchema()}
	paths := object{}
	var err error
	for _, rt := range a.routes() {
		if paths[base+rt.path], err = named.pathItem(rt); err != nil {
			return nil, err
		}
	}
	if a.cfg.Files.Blobs != nil {
		for _, rt := range a.fileRoutes() {
			if paths["/"+rt.path], err = named.pathItem(rt.route); err != nil {
				return nil, err
			}
		}
	}
	var sections []object
	for _, t := range tags {
		sections = append(sections, object{"name": t.name, "description": t.text})
	}
	return object{
		"openapi": "3.0.3",
		"info":    object{"title": "tlim", "version": "1", "description": preface()},
		"servers": []object{{"url": "/", "description": "this server"}},
		"tags":    sections,
		"paths":   paths,
		"components": object{
			"schemas":   named,
			"responses": failureResponses(),
			"headers": object{
				"Retry-After":      object{"description": "Seconds to wait.", "schema": object{"type": "string", "pattern": "^[0-9]+$"}},
				"WWW-Authenticate": object{"description": "Bearer.", "schema": object{"type": "string"}},
			},
			"securitySchemes": object{
				"bearer":       object{"type": "http", "scheme": "bearer", "description": "A key of http.keys, with the scope admin or business, or a user's token."},
				"access_token": object{"type": "apiKey", "in": "query", "name": accessToken.name, "description": "The same as a parameter, in the query string or the body, for callers that can only build URLs. It is never logged here; it may be on its way."},
			},
		},
	}, nil
}

func preface() paragraphs {
	lines := paragraphs{
		"Every endpoint takes POST with JSON (application/json), POST with a form (application/x-www-form-urlencoded, the parameters of GET) and GET alike; only uploads are multipart. Text is UTF-8. Other parameters are ignored, and refused in JSON. A parameter that is given twice, with different values, is refused unless it is a list. Paths are taken in any letter case, with or without a slash behind.",
		"result is ok, and only when the work was done and committed, or one of the codes below. A refusal by the application is HTTP 200; what is wrong with the call itself is HTTP 400 and above, with the same JSON object. " +
			"result_detail is one sentence for people, Chinese or English by http.language. A head of more than 256 KiB, URL included, is HTTP 431 in plain text: send long parameters by POST.",
		"Answers may get more fields. Fields without a value are left out; numbers and lists are always there where result is ok. Times are strings of decimal epoch milliseconds. JSON in parameters of a URL or form is read leniently, as the old server read it: keys without quotes, single quotes, commas too many, line ends in strings; an object with one key twice is error-005.",
		"http.allow_anonymous (none by default) lets calls without a key in: clients all but the business and admin endpoints, all everything.",
	}
	for _, c := range codeTexts {
		lines = append(lines, say("%s: %s.", verbatim("`"+c.code+"`"), c.text))
	}
	return lines
}

// pathItem is a route as the document has it.
func (t types) pathItem(rt route) (object, error) {
	e, ok := described[rt.path]
	if !ok {
		return nil, fmt.Errorf("no description of endpoint %s", rt.path)
	}
	ex, err := exampleOf(rt.path)
	if err != nil {
		return nil, fmt.Errorf("the example of endpoint %s: %w", rt.path, err)
	}
	values := form{}
	if err := values.add(ex.Query); err != nil {
		return nil, fmt.Errorf("the example of endpoint %s: %w", rt.path, err)
	}
	responses, err := t.responses(e, rt, ex)
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", rt.path, err)
	}
	body, err := t.body(e, typeName(rt.path), values)
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", rt.path, err)
	}
	described := callers(rt.callers)
	if e.text != "" {
		described = say("%s %s", e.text, described)
	}
	operation := func(suffix string) object {
		o := object{
			"operationId": operationID(rt.path) + suffix, "tags": []string{e.tag}, "summary": e.summary,
			"description": described, "responses": responses, "security": security(rt.callers.scopes),
		}
		if e.tag == "dropped" || strings.Contains(e.summary, "(deprecated)") {
			o["deprecated"] = true
		}
		return o
	}
	get, post := operation("_get"), operation("")
	if len(e.documented()) > 0 {
		get["parameters"], post["requestBody"] = e.query(values), body
	}
	switch {
	case e.uploads(), e.bare, rt.postOnly():
		return object{"post": post}, nil
	case e.tag == "files":
		get["operationId"] = post["operationId"]
		return object{"get": get}, nil
	}
	return object{"get": get, "post": post}, nil
}

// documented are the parameters without the older names.
func (e endpoint) documented() []field { return current(e.params) }

func current(fields []field) []field {
	return slices.DeleteFunc(slices.Clone(fields), func(f field) bool { return f.older })
}

// uploads says whether the endpoint takes a file, and so nothing but POST.
func (e endpoint) uploads() bool {
	return slices.ContainsFunc(e.params, func(f field) bool { return f.kind.file })
}

// callers says who may call.
func callers(r rights) phrase {
	if r.scopes&scopeAnybody != 0 {
		return say("Everybody may call.")
	}
	list := say("admin keys")
	if r.scopes&scopeBusiness != 0 {
		list = say("%s, business keys", list)
	}
	switch {
	case r.scopes&scopeUser == 0:
	case len(r.user) == 0:
		list = say("%s, user tokens", list)
	default:
		when := r.user[0].says
		for _, rule := range r.user[1:] {
			when = say("%s and %s", when, rule.says)
		}
		list = say("%s, user tokens when %s", list, when)
	}
	return say("Callers: %s.", list)
}

// security lists the credentials of which any one lets a caller in.
func security(s scope) []object {
	if s&scopeAnybody != 0 {
		return []object{{}}
	}
	return []object{{"bearer": []string{}}, {accessToken.name: []string{}}}
}

// query are the parameters of GET.
func (e endpoint) query(values form) []object {
	var list []object
	for _, f := range e.documented() {
		p := object{"name": f.name, "in": "query", "description": f.description()}
		if f.missing != "" {
			p["required"] = true
		}
		p["schema"] = f.asText()
		if v := values[f.name]; len(v) > 0 {
			p["example"] = f.sample(v[0])
		}
		list = append(list, p)
	}
	return list
}

// body is that of POST: JSON, or the parts of an upload. The same as a form is not in the document: generators take the first of several
// bodies for the types and another one for the call.
func (t types) body(e endpoint, name string, values form) (object, error) {
	properties, sample := object{}, object{}
	var required []string
	for _, f := range e.documented() {
		schema, err := t.parameter(f, name)
		if err != nil {
			return nil, err
		}
		properties[f.name] = merged(schema, object{"description": f.description()})
		if f.missing != "" {
			required = append(required, f.name)
		}
		if v := values[f.name]; len(v) > 0 {
			sample[f.name] = f.sample(v[0])
			if f.kind.json {
				sample[f.name] = json.RawMessage(v[0])
			}
		}
	}
	schema := object{"type": "object", "properties": properties}
	if required != nil {
		schema["required"] = required
	}
	kind := "multipart/form-data"
	if !e.uploads() {
		kind = "application/json"
		var err error
		if schema, err = t.add(name+"Body", schema); err != nil {
			return nil, err
		}
	}
	media := object{"schema": schema}
	if len(sample) > 0 {
		media["example"] = sample
	}
	return object{"required": true, "content": object{kind: media}}, nil
}

// asText is the schema of a parameter in a URL: of one that holds JSON it is a string, so that a client need not know that.
func (f field) asText() object {
	switch {
	case f.kind.json:
		return object{"type": "string"}
	case f.kind.list:
		return merged(f.kind.schema, object{"maxItems": maxOf(f.name)})
	}
	return merged(f.kind.schema, nil)
}

// sample is an example of a parameter in a URL.
func (f field) sample(text string) any {
	switch {
	case f.kind.list && !f.kind.json:
		return strings.Split(text, ",")
	case f.kind.schema["type"] == "integer", f.kind.schema["type"] == "number":
		return json.RawMessage(text)
	}
	return text
}

// responses are all answers of an endpoint.
func (t types) responses(e endpoint, rt route, ex example) (object, error) {
	all := object{}
	for _, f := range failureStatuses {
		all[fmt.Sprint(f.status)] = object{"$ref": "#/components/responses/" + fmt.Sprint(f.status)}
	}
	if e.uploads() {
		codes, _ := e.refusals()
		all["507"] = failed("The files of the owner would be more than files.quota (error-012), or too little disk is free (error-013).", sentence{text: textNoRoom}, protocol.TryLater, protocol.TooLarge)
		all["400"] = failed("The request or one of its parameters cannot be read, or is refused.", sentence{text: textNoFile}, append([]protocol.Code{resultFail}, codes...)...)
	}
	switch {
	case e.tag == "dropped":
		all["410"] = object{"$ref": "#/components/responses/410"}
		delete(all, "503")
		return all, nil
	case e.tag == "files" && !e.uploads():
		bytes := object{"content": object{"*/*": object{"schema": object{"type": "string", "format": "binary"}}}}
		whole := object{"description": "The file.", "headers": object{"ETag": object{"schema": object{"type": "string"}}, "Content-Disposition": object{"schema": object{"type": "string"}}}}
		whole["content"] = bytes["content"]
		all["200"] = whole
		all["206"] = object{"description": "The range that was asked for.", "content": bytes["content"]}
		all["302"] = object{"description": "To the old system, see files.fallback_url.", "headers": object{"Location": object{"schema": object{"type": "string"}}}}
		all["304"] = object{"description": "Unchanged."}
		all["404"] = object{"$ref": "#/components/responses/404"}
		all["412"] = object{"description": "A condition does not hold."}
		all["415"] = failed("No small picture can be made of this one: it has too many pixels, or is broken.", sentence{text: textNoThumbnail}, protocol.TooLarge)
		all["416"] = object{"description": "No such range."}
	case e.tag == "files" && len(e.answer) == 0:
		all["200"] = object{"description": "Done.", "content": object{"text/plain": object{"schema": object{"type": "string"}, "example": ex.Answer}}}
	case e.tag == "files":
		fields := object{}
		for _, f := range e.answer {
			fields[f.name] = merged(f.kind.schema, object{"description": f.text})
		}
		ref, err := t.add(typeName(rt.path)+"Answer", object{"type": "object", "properties": fields, "required": slices.Sorted(maps.Keys(fields)), "additionalProperties": true})
		if err != nil {
			return nil, err
		}
		all["200"] = object{"description": "Done.", "content": object{"application/json": object{"schema": ref, "example": ex.Answer}}}
	default:
		ref, err := t.answer(e, rt)
		if err != nil {
			return nil, err
		}
		sample := ex.Answer
		if e.bare {
			sample = fmt.Appendf(nil, `{%q:%s,"result":"ok","result_detail":""}`, e.answer[0].name, ex.Answer)
		}
		all["200"] = object{"description": e.verdict(), "content": object{"application/json": object{"schema": ref, "example": sample}}}
	}
	return all, nil
}

// verdict says which results come with HTTP 200.
func (e endpoint) verdict() phrase {
	codes, _ := e.refusals()
	if len(codes) == 0 {
		return say("Done.")
	}
	return say("Done, or refused (%s): result says which.", codesIn(codes))
}

// failureSchema is the object of any failure.
func failureSchema() object {
	return object{"type": "object", "required": []string{"result", "result_detail"}, "properties": object{
		"result":        object{"type": "string", "description": "One of the codes above, such as error-013."},
		"result_detail": object{"type": "string", "description": "One sentence for people."},
		"session_id":    object{"type": "string", "description": "As it was sent."},
	}, "additionalProperties": true}
}

// failed is a failing answer with one of these results.
func failed(text string, why sentence, results ...protocol.Code) object {
	return object{"description": say("%s result: %s.", text, codesIn(results)), "content": object{"application/json": object{
		"schema":  object{"$ref": "#/components/schemas/Failure"},
		"example": object{"result": results[0], "result_detail": why}}}}
}

// codesIn lists codes for people.
func codesIn(codes []protocol.Code) verbatim {
	names := make([]string, len(codes))
	for i, c := range codes {
		names[i] = string(c)
	}
	return verbatim(strings.Join(names, ", "))
}

func failureResponses() object {
	all := object{}
	add := func(status int, text, header string, why sentence, results ...protocol.Code) {
		r := failed(text, why, results...)
		if header != "" {
			r["headers"] = object{header: object{"$ref": "#/components/headers/" + header}}
		}
		all[fmt.Sprint(status)] = r
	}
	for _, f := range failureStatuses {
		add(f.status, f.text, f.header, f.detail, f.results...)
	}
	add(http.StatusNotFound, "There is no such file, or it is not for this caller.", "", sentence{text: textNoSuchFile}, resultFail)
	add(http.StatusGone, "The endpoint was dropped.", "", sentence{textGone, []any{"findSessionRead"}}, resultFail)
	return all
}
