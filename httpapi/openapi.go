package httpapi

import (
	"embed"
	"encoding/json"
	"fmt"
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
	header  string // that comes with it
	detail  text   // of the example
}{
	{http.StatusBadRequest, "The request or one of its parameters cannot be read.", []protocol.Code{resultFail}, "", text{en: "parameter start is not a valid number"}},
	{http.StatusUnauthorized, "No key or token, or one that is not valid.", []protocol.Code{protocol.NotAllowed}, "WWW-Authenticate", textNoCaller},
	{http.StatusForbidden, "The caller is known and may not call this, or not with these parameters; or an anonymous call comes from a page of another site, or for a host name that is not this site's.", []protocol.Code{protocol.NotAllowed}, "", textNotAllowed},
	{http.StatusRequestEntityTooLarge, "The body is over the limit (1 MiB for a form).", []protocol.Code{protocol.TooLarge}, "", text{en: "the request is larger than 1048576 bytes"}},
	{http.StatusTooManyRequests, "The key or the user is over its rate, or the caller has too many calls under way.", []protocol.Code{protocol.TryLater}, "Retry-After", textTooFast},
	{http.StatusInternalServerError, "A fault of ours; the log says more.", []protocol.Code{resultFail}, "", textFault},
	{http.StatusServiceUnavailable, "The database is away, or too much is going on. Nothing was changed, or what was changed is safe to repeat.", []protocol.Code{protocol.TryLater}, "Retry-After", textBusy},
}

// document describes the API in OpenAPI 3.1. It holds nothing of this site but whether there are files, so that everybody may read it.
func (a *API) document() ([]byte, error) {
	paths := object{}
	for _, rt := range a.routes() {
		item, err := pathItem(rt, rt.path, "")
		if err != nil {
			return nil, err
		}
		paths[base+rt.path] = item
	}
	if a.cfg.Files.Blobs != nil {
		for _, rt := range a.fileRoutes() {
			for prefix, suffix := range map[string]string{"/": "", base: "_below"} {
				item, err := pathItem(rt.route, rt.path, suffix)
				if err != nil {
					return nil, err
				}
				paths[prefix+rt.path] = item
			}
		}
	}
	var named []object
	for _, t := range tags {
		named = append(named, object{"name": t.name, "description": t.text})
	}
	return json.Marshal(object{
		"openapi": "3.1.0",
		"info":    object{"title": "tlim", "version": "1", "description": strings.Join(preface(), "\n\n")},
		"servers": []object{{"url": "/", "description": "this server"}},
		"tags":    named,
		"paths":   paths,
		"components": object{
			"schemas":   object{"Failure": failureSchema()},
			"responses": failureResponses(),
			"headers": object{
				"Retry-After":      object{"description": "Seconds to wait.", "schema": object{"type": "string", "pattern": "^[0-9]+$"}},
				"WWW-Authenticate": object{"description": "Bearer.", "schema": object{"type": "string"}},
			},
			"securitySchemes": object{
				"bearer":       object{"type": "http", "scheme": "bearer", "description": "A key of http.keys, with the scope admin or business, or a user's token."},
				"access_token": object{"type": "apiKey", "in": "query", "name": "access_token", "description": "The same as a parameter, in the query string or the form, for callers that can only build URLs. It is never logged here; it may be on its way."},
			},
		},
	})
}

func preface() []string {
	lines := []string{
		"Every endpoint answers GET and POST (application/x-www-form-urlencoded) alike; only uploads are multipart. Text is UTF-8. Other parameters are ignored. Paths are taken in any letter case, with or without a slash behind.",
		"result is ok, and only when the work was done and committed, or one of the codes below. A refusal by the application is HTTP 200; what is wrong with the call itself is HTTP 400 and above, with the same JSON object. " +
			"result_detail is one sentence for people, Chinese or English by http.language. A head of more than 256 KiB, URL included, is HTTP 431 in plain text: send long parameters by POST.",
		"Fields without a value are left out; numbers and lists are always there. Times are strings of decimal epoch milliseconds. JSON in parameters is read leniently, as the old server read it: keys without quotes, single quotes, commas too many, line ends in strings; an object with one key twice is error-005.",
		"http.allow_anonymous (none by default) lets calls without a key in: clients all but the business and admin endpoints, all everything.",
	}
	for _, c := range codeTexts {
		lines = append(lines, "`"+string(c.code)+"`: "+c.text+".")
	}
	return lines
}

// pathItem is a route as the document has it. suffix tells the operations of one route apart.
func pathItem(rt route, name, suffix string) (object, error) {
	e, ok := described[name]
	if !ok {
		return nil, fmt.Errorf("no description of endpoint %s", name)
	}
	ex, err := exampleOf(name)
	if err != nil {
		return nil, fmt.Errorf("the example of endpoint %s: %w", name, err)
	}
	values := form{}
	if err := values.add(ex.Query); err != nil {
		return nil, fmt.Errorf("the example of endpoint %s: %w", name, err)
	}
	operation := func(method string) object {
		o := object{
			"operationId": strings.ReplaceAll(name, "/", "_") + suffix + "_" + method, "tags": []string{e.tag}, "summary": e.summary,
			"description": strings.TrimSpace(e.text + " " + callers(rt.callers)), "responses": e.responses(rt, ex), "security": security(rt.callers.scopes),
		}
		if e.tag == "dropped" || strings.Contains(e.summary, "(deprecated)") {
			o["deprecated"] = true
		}
		return o
	}
	get, post := operation("get"), operation("post")
	if len(e.params) > 0 {
		get["parameters"], post["requestBody"] = e.query(values), e.body(values)
	}
	if e.uploads() || rt.postOnly() {
		return object{"post": post}, nil
	}
	return object{"get": get, "post": post}, nil
}

// uploads says whether the endpoint takes a file, and so nothing but POST.
func (e endpoint) uploads() bool {
	return slices.ContainsFunc(e.params, func(f field) bool { return f.kind.file })
}

// callers says who may call.
func callers(r rights) string {
	if r.scopes&scopeAnybody != 0 {
		return "Everybody may call."
	}
	text := "Callers: admin keys"
	if r.scopes&scopeBusiness != 0 {
		text += ", business keys"
	}
	if r.scopes&scopeUser == 0 {
		return text + "."
	}
	text += ", user tokens"
	for i, rule := range r.user {
		text += map[bool]string{true: " when ", false: " and "}[i == 0] + rule.says
	}
	return text + "."
}

// security lists the credentials of which any one lets a caller in, with the scope it needs.
func security(s scope) []object {
	if s&scopeAnybody != 0 {
		return []object{{}}
	}
	var any []object
	for _, one := range []struct {
		bit  scope
		name string
	}{{scopeAdmin, "admin"}, {scopeBusiness, "business"}, {scopeUser, "user"}} {
		if s&one.bit != 0 {
			any = append(any, object{"bearer": []string{one.name}}, object{"access_token": []string{one.name}})
		}
	}
	return any
}

// query are the parameters of GET.
func (e endpoint) query(values form) []object {
	var list []object
	for _, f := range e.params {
		p := object{"name": f.name, "in": "query", "description": f.description()}
		if f.missing != "" {
			p["required"] = true
		}
		if f.kind.json {
			media := object{"schema": f.json()}
			if v := values[f.name]; len(v) > 0 {
				media["example"] = json.RawMessage(v[0])
			}
			p["content"] = object{"application/json": media}
		} else {
			p["schema"] = f.kind.schema
			if v := values[f.name]; len(v) > 0 {
				p["example"] = f.value(v[0])
			}
		}
		list = append(list, p)
	}
	return list
}

// body is the form of POST.
func (e endpoint) body(values form) object {
	properties, encoding, sample := object{}, object{}, object{}
	var required []string
	for _, f := range e.params {
		schema := object{"description": f.description()}
		if f.kind.json {
			schema = f.json()
			schema["description"] = f.description()
			encoding[f.name] = object{"contentType": "application/json"}
		} else {
			for k, v := range f.kind.schema {
				schema[k] = v
			}
		}
		if f.missing != "" {
			required = append(required, f.name)
		}
		properties[f.name] = schema
		if v := values[f.name]; len(v) > 0 {
			sample[f.name] = f.value(v[0])
		}
	}
	schema := object{"type": "object", "properties": properties}
	if required != nil {
		schema["required"] = required
	}
	media := object{"schema": schema}
	if len(encoding) > 0 {
		media["encoding"] = encoding
	}
	if len(sample) > 0 {
		media["example"] = sample
	}
	kind := "application/x-www-form-urlencoded"
	if e.uploads() {
		kind = "multipart/form-data"
	}
	return object{"content": object{kind: media}}
}

// value is an example of a parameter as its schema has it.
func (f field) value(text string) any {
	if f.kind.json || f.kind.schema["type"] == "integer" {
		return json.RawMessage(text)
	}
	return text
}

// json is the schema of a parameter that holds JSON.
func (f field) json() object {
	properties := object{}
	for _, inner := range f.of {
		schema := object{"description": inner.text}
		for k, v := range inner.kind.schema {
			if schema[k] = v; k == "type" { // ids are numbers in old systems, and clients send them as such
				schema[k] = []string{v.(string), "number"}
			}
		}
		properties[inner.name] = schema
	}
	return object{"type": "array", "maxItems": maxOf(f.name), "items": object{"type": "object", "properties": properties}}
}

// schema is that of an answered field.
func (f field) schema() object {
	schema := object{"description": f.text}
	for k, v := range f.kind.schema {
		schema[k] = v
	}
	switch {
	case f.of == nil:
	case schema["type"] == "object":
		for k, v := range answered(f.of) {
			schema[k] = v
		}
	default:
		schema["items"] = answered(f.of)
	}
	return schema
}

// answered is the schema of an answered object: all its fields and no others; texts without a value are left out.
func answered(fields []field) object {
	properties := object{}
	required := []string{}
	for _, f := range fields {
		properties[f.name] = f.schema()
		if f.kind.schema["type"] != "string" && !f.kind.optional {
			required = append(required, f.name)
		}
	}
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

// responses are all answers of an endpoint.
func (e endpoint) responses(rt route, ex example) object {
	all := object{}
	for _, f := range failureStatuses {
		all[fmt.Sprint(f.status)] = object{"$ref": "#/components/responses/" + fmt.Sprint(f.status)}
	}
	if e.uploads() {
		codes, _ := e.refusals()
		all["507"] = failed("The files of the owner would be more than files.quota (error-012), or too little disk is free (error-013).", textNoRoom.en, protocol.TryLater, protocol.TooLarge)
		all["400"] = failed("The request or one of its parameters cannot be read, or is refused.", textNoFile.en, append([]protocol.Code{resultFail}, codes...)...)
	}
	switch {
	case e.tag == "dropped":
		all["410"] = object{"$ref": "#/components/responses/410"}
		delete(all, "503")
		return all
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
		all["415"] = failed("No small picture can be made of this one: it has too many pixels, or is broken.", textNoThumbnail.en, protocol.TooLarge)
		all["416"] = object{"description": "No such range."}
	case e.tag == "files" && len(e.answer) == 0:
		all["200"] = object{"description": "Done.", "content": object{"text/plain": object{"schema": object{"type": "string"}, "example": ex.Answer}}}
	case e.tag == "files":
		schema := answered(e.answer)
		schema["required"] = []string{e.answer[0].name}
		all["200"] = object{"description": "Done.", "content": object{"application/json": object{"schema": schema, "example": ex.Answer}}}
	default:
		all["200"] = object{"description": e.verdict(), "content": object{"application/json": object{"schema": e.schema(rt), "example": ex.Answer}}}
	}
	return all
}

// verdict says which results come with HTTP 200.
func (e endpoint) verdict() string {
	codes, _ := e.refusals()
	if len(codes) == 0 {
		return "Done."
	}
	names := make([]string, len(codes))
	for i, c := range codes {
		names[i] = string(c)
	}
	return "Done, or refused (" + strings.Join(names, ", ") + "): result says which."
}

// schema is that of an answer with HTTP 200: done or refused.
func (e endpoint) schema(rt route) object {
	done := answered(append([]field{{name: "result", kind: words}, {name: "result_detail", kind: words}}, e.answer...))
	if e.bare {
		done = object{"type": "array", "items": answered(e.answer)}
	} else {
		done["properties"].(object)["result"] = object{"const": "ok"}
		done["properties"].(object)["result_detail"] = object{"const": ""}
		done["required"] = append(done["required"].([]string), "result", "result_detail")
	}
	codes, _ := e.refusals()
	if e.streamed {
		codes = append(codes, protocol.TryLater, resultFail)
	}
	if len(codes) == 0 {
		return done
	}
	slices.Sort(codes)
	refused := failureSchema()
	properties := refused["properties"].(object)
	properties["result"] = object{"enum": slices.Compact(codes)}
	if e.streamed {
		for _, f := range e.answer {
			properties[f.name] = f.schema()
		}
	}
	for _, f := range e.answer {
		if f.name == skippedName {
			properties[f.name] = f.schema()
		}
	}
	for _, zero := range rt.zeros {
		properties[zero] = object{"type": "integer"}
		refused["required"] = append(refused["required"].([]string), zero)
	}
	refused["additionalProperties"] = false
	return object{"oneOf": []object{done, refused}}
}

// failureSchema is the object of any failure.
func failureSchema() object {
	var codes []protocol.Code
	for _, c := range codeTexts {
		codes = append(codes, c.code)
	}
	return object{"type": "object", "required": []string{"result", "result_detail"}, "properties": object{
		"result":        object{"enum": codes},
		"result_detail": object{"type": "string", "minLength": 1, "description": "One sentence for people."},
		"session_id":    object{"type": "string", "description": "As it was sent."},
	}, "additionalProperties": object{"type": "integer", "description": "The numbers of the answer."}}
}

// failed is a failing answer with one of these results.
func failed(text, detail string, results ...protocol.Code) object {
	return object{"description": text, "content": object{"application/json": object{
		"schema":  object{"allOf": []object{{"$ref": "#/components/schemas/Failure"}, {"properties": object{"result": object{"enum": results}}}}},
		"example": object{"result": results[0], "result_detail": detail}}}}
}

func failureResponses() object {
	all := object{}
	add := func(status int, text, header, detail string, results ...protocol.Code) {
		r := failed(text, detail, results...)
		if header != "" {
			r["headers"] = object{header: object{"$ref": "#/components/headers/" + header}}
		}
		all[fmt.Sprint(status)] = r
	}
	for _, f := range failureStatuses {
		add(f.status, f.text, f.header, f.detail.en, f.results...)
	}
	add(http.StatusNotFound, "There is no such file, or it is not for this caller.", "", textNoSuchFile.en, resultFail)
	add(http.StatusGone, "The endpoint was dropped.", "", fmt.Sprintf(textGone.en, "findSessionRead"), resultFail)
	return all
}
