package component

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"tlim/component/lenient"
	"tlim/store"
)

// Envelope is the JSON envelope of one message (PROTOCOL.md section 2), checked as far as it can be without the database.
type Envelope struct {
	Kind    *Kind
	Type    string
	MsgID   string
	From    string // as the sender wrote it
	To      string
	Opaque  bool // compressed or encrypted: the body is not the server's to read
	Flags   string
	Body    string   // as stored: JSON text of the array, or the opaque text
	Objects []object // of the body, unless it is opaque
	Text    string   // the whole envelope, which every copy carries: as received where that is strict JSON, else its strict form
	hinted  []string // groups that an opaque body names all the same
}

// object holds the fields of one body object that the server reads.
type object struct {
	MsgID   string
	GroupID string
	UserIDs []string // user_id, and those of subscribers
}

// Limits are the sizes that PROTOCOL.md section 2 names; bytes unless said otherwise.
type Limits struct {
	Body          int  // of the body text
	Strict        bool // inner fields that are too long are refused instead of counted
	ClientNotices bool // clients may send MTB-000 and MTB-100
	GroupMembers  int  // to which groups may grow; 0: no limit
	GroupPosts    int  // announcements that a group may have, posted without a key; 0: no limit
	UserStyles    int  // settings that a user may have, set without a key; 0: no limit
	GroupsPerUser int  // that a user may own who makes them without a key; 0: no limit
}

const (
	maxID       = 64   // characters of ids
	maxShort    = 20   // characters of msg_time
	maxText     = 3000 // characters of text
	maxPayload  = 512 << 10
	emptyFlags  = "0,0,2.0.0"
	defaultBits = "0"
)

// envelopeFields are the fields that the server knows. A known field twice, or in another letter case, is refused: a
// JavaScript client takes the last of two and knows no folding, so it could read another sender than the server checked.
var envelopeFields = []string{"compress", "encode", "encrypt", "version", "msg_id", "msg_type", "msg_from", "msg_to", "msg_time", "body"}

// objectFields are the fields of body objects that the server acts on.
var objectFields = []string{"session_id", "msg_id", "user_id", "subscribers"}

// innerLimits are the documented lengths of inner fields, in characters. Real clients exceed them.
var innerLimits = map[string]int{
	"fileId": 64, "session_name": 256, "user_name": 256, "session_user": 64,
	"confId": 64, "confPwd": 64, "confName": 256, "confHost": 64, "confTime": 64,
	"title": 100, "content": 2000, "ts": 20, "url": 300, "mark": 200, "random": 100, "typeName": 200,
}

// parseEnvelope reads the text of a message body. The second value counts inner fields longer than documented.
func parseEnvelope(text string, kinds *kindTable, lim Limits) (*Envelope, int, error) {
	// 1. JSON, strict or nearly so
	if strings.TrimSpace(text) == "" {
		return nil, 0, refuse(BodyEmpty, "the body is empty")
	}
	strict, err := lenient.JSON(text)
	if err != nil {
		return nil, 0, refuse(NotJSON, "the body is not JSON: %v", err)
	}
	root := gjson.Parse(strict)
	if !root.IsObject() {
		return nil, 0, refuse(NotJSON, "the body is not a JSON object")
	}

	// 2. the fields, each once
	var fields [10]gjson.Result
	if err := pick(root, envelopeFields, fields[:]); err != nil {
		return nil, 0, err
	}
	var text10 [9]string
	for i := range text10 {
		if text10[i], err = scalar(envelopeFields[i], fields[i]); err != nil {
			return nil, 0, err
		}
	}
	compress, encrypt, version := text10[0], text10[2], text10[3]
	e := &Envelope{MsgID: text10[4], Type: text10[5], From: text10[6], To: text10[7], Text: strict}
	e.Kind = kinds.of(e.Type)
	if e.Kind == nil {
		return nil, 0, refuse(TypeInvalid, "msg_type is not MTT-, MTS-, MTB- or MTC- with 1 to 16 letters or digits behind it")
	}
	if err := checkLengths(e, text10[8], compress, encrypt, version); err != nil {
		return nil, 0, err
	}
	e.Opaque = compress == "1" || encrypt == "1"
	if compress != "" || encrypt != "" || version != "" {
		e.Flags = orDefault(compress, defaultBits) + "," + orDefault(encrypt, defaultBits) + "," + orDefault(version, "2.0.0")
	}
	if e.Flags == emptyFlags {
		e.Flags = ""
	}

	// 3. the body
	long, err := e.readBody(fields[9], lim)
	return e, long, err
}

func checkLengths(e *Envelope, msgTime, compress, encrypt, version string) error {
	for _, f := range []struct {
		name, value string
		max         int
	}{
		{"msg_id", e.MsgID, maxID}, {"msg_from", e.From, maxID}, {"msg_to", e.To, maxID},
		{"msg_time", msgTime, maxShort},
		{"compress", compress, 1}, {"encrypt", encrypt, 1}, {"version", version, 16},
	} {
		if len(f.value) > f.max && utf8.RuneCountInString(f.value) > f.max {
			return refuse(TooLarge, "%s is longer than %d characters", f.name, f.max)
		}
		if strings.ContainsFunc(f.value, oddInID) {
			return refuse(NotJSON, "%s holds a control character, or one that XML forbids", f.name)
		}
	}
	if strings.ContainsAny(version+compress+encrypt, ",") {
		return refuse(NotJSON, "version, compress or encrypt holds a comma")
	}
	return nil
}

// oddInID says whether a character can be in no id. Half a surrogate reads as U+FFFD here and as itself in a JavaScript client: two
// ids to one of them, one to the other.
func oddInID(c rune) bool {
	return c < ' ' || c == 0x7F || c == utf8.RuneError || c == 0xFFFE || c == 0xFFFF
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// pick finds the named fields of a JSON object. It refuses a key that comes twice, and a name in another letter case.
func pick(obj gjson.Result, names []string, into []gjson.Result) (err error) {
	var keys lenient.Keys
	obj.ForEach(func(key, value gjson.Result) bool {
		if keys.Again(key.Str) {
			err = refuse(NotJSON, "%.64s is given twice or in another letter case", key.Str)
			return false
		}
		for i, name := range names {
			if len(key.Str) < len(name) || !strings.EqualFold(key.Str, name) {
				continue
			}
			if key.Str != name {
				err = refuse(NotJSON, "%s is given twice or in another letter case", name)
				return false
			}
			into[i] = value
			return true
		}
		return true
	})
	return err
}

// scalar reads a string, or a number where a string is expected.
func scalar(name string, value gjson.Result) (string, error) {
	text, ok := lenient.Text(value)
	switch {
	case ok:
		return text, nil
	case value.Type == gjson.Number:
		return "", refuse(NotJSON, "%s is a number that JavaScript reads otherwise than it is written: put it in quotes", name)
	}
	return "", refuse(NotJSON, "%s is not a string", name)
}

// readBody takes the body as an array or as a string that holds one.
func (e *Envelope) readBody(body gjson.Result, lim Limits) (long int, err error) {
	switch {
	case body.Type == gjson.String:
		e.Body = body.Str
	case body.IsArray() || e.Opaque && body.Exists():
		e.Body = body.Raw
	case body.Type == gjson.Null && e.Kind.bare:
	default:
		return 0, refuse(NotArray, "body is not an array")
	}
	if e.Kind.bare && e.Body == "" {
		e.Body = "[]"
		return 0, nil
	}
	if len(e.Body) > lim.Body {
		return 0, refuse(TooLarge, "the body is larger than %d bytes", lim.Body)
	}
	if e.Opaque {
		return 0, e.readHints(body)
	}
	array := body
	if body.Type == gjson.String {
		strict, err := lenient.JSON(e.Body)
		if err != nil {
			return 0, refuse(NotArray, "body is a string that holds no array: %v", err)
		}
		if array = gjson.Parse(strict); !array.IsArray() {
			return 0, refuse(NotArray, "body is a string that holds no array")
		}
		if strict != e.Body { // clients parse it too
			if e.Body = strict; len(strict) > lim.Body {
				return 0, refuse(TooLarge, "the body is larger than %d bytes", lim.Body)
			}
			e.Text = e.Text[:body.Index] + lenient.String(strict) + e.Text[body.Index+len(body.Raw):]
		}
	}
	array.ForEach(func(_, element gjson.Result) bool {
		var o object
		var n int
		o, n, err = e.readObject(element, lim)
		e.Objects = append(e.Objects, o)
		long += n
		return err == nil
	})
	return long, err
}

// readHints finds the groups that an opaque group message names in objects which can be read all the same: a client that does not
// look at the flags reads them.
func (e *Envelope) readHints(body gjson.Result) error {
	if e.Kind.scope != scopeGroup {
		return nil
	}
	if body.Type == gjson.String {
		strict, err := lenient.JSON(e.Body)
		if err != nil {
			return nil // opaque indeed
		}
		body = gjson.Parse(strict)
	}
	if body.IsObject() {
		body = gjson.Parse("[" + body.Raw + "]")
	}
	var err error
	body.ForEach(func(_, element gjson.Result) bool {
		var o object
		if element.IsObject() {
			if err = o.read(element); err == nil && o.GroupID != "" {
				e.hinted = append(e.hinted, o.GroupID)
			}
		}
		return err == nil
	})
	return err
}

func (e *Envelope) readObject(element gjson.Result, lim Limits) (o object, long int, err error) {
	if !element.IsObject() {
		if e.Kind.reads {
			err = refuse(NotArray, "body holds something else than objects")
		}
		return o, 0, err
	}
	if e.Kind.reads {
		if err := o.read(element); err != nil {
			return o, 0, err
		}
	}
	long, err = checkFields(element, lim)
	return o, long, err
}

// checkFields counts the fields of a body object, and of the subscribers in it, that are longer than documented.
func checkFields(object gjson.Result, lim Limits) (long int, err error) {
	var keys lenient.Keys
	object.ForEach(func(key, value gjson.Result) bool {
		if keys.Again(key.Str) && object.IsObject() {
			err = refuse(NotJSON, "%.64s is given twice or in another letter case", key.Str)
			return false
		}
		max, known := innerLimits[key.Str]
		switch {
		case key.Str == "text":
			if len(value.Str) > maxText && utf8.RuneCountInString(value.Str) > maxText {
				err = refuse(TooLarge, "text is longer than %d characters", maxText)
			}
		case key.Str == "subscribers":
			value.ForEach(func(_, member gjson.Result) bool {
				var n int
				n, err = checkFields(member, lim)
				long += n
				return err == nil
			})
		case known && value.Type == gjson.String && len(value.Str) > max && utf8.RuneCountInString(value.Str) > max:
			long++
			if lim.Strict {
				err = refuse(TooLarge, "%s is longer than %d characters", key.Str, max)
			}
		}
		return err == nil
	})
	return long, err
}

func (o *object) read(element gjson.Result) error {
	var fields [4]gjson.Result
	if err := pick(element, objectFields, fields[:]); err != nil {
		return err
	}
	var err error
	if o.GroupID, err = scalar("session_id", fields[0]); err != nil {
		return err
	}
	if o.MsgID, err = scalar("msg_id", fields[1]); err != nil {
		return err
	}
	user, err := scalar("user_id", fields[2])
	if err != nil {
		return err
	}
	if user != "" {
		o.UserIDs = append(o.UserIDs, user)
	}
	fields[3].ForEach(func(_, member gjson.Result) bool {
		var one [1]gjson.Result
		if err = pick(member, objectFields[2:3], one[:]); err != nil {
			return false
		}
		if user, err = scalar("user_id", one[0]); err == nil && user != "" {
			o.UserIDs = append(o.UserIDs, user)
		}
		return err == nil
	})
	for _, id := range append([]string{o.GroupID, o.MsgID}, o.UserIDs...) {
		if len(id) > maxID && utf8.RuneCountInString(id) > maxID {
			return refuse(TooLarge, "an id in the body is longer than %d characters", maxID)
		}
		if strings.ContainsFunc(id, oddInID) {
			return refuse(NotJSON, "an id in the body holds a control character, or one that XML forbids")
		}
	}
	return err
}

// groupID is the one group that the objects of an MTS-* name; "" when none does.
func (e *Envelope) groupID() (string, error) {
	id := ""
	for i, o := range e.Objects {
		if i == 0 {
			id = o.GroupID
		} else if o.GroupID != "" && o.GroupID != id {
			return "", refuse(NotArray, "the body names two sessions")
		}
	}
	return id, nil
}

// msgIDs are the messages that a receipt or a revoke names, each once.
func (e *Envelope) msgIDs() []string {
	ids := make([]string, 0, len(e.Objects))
	seen := make(map[string]bool, len(e.Objects))
	for _, o := range e.Objects {
		if o.MsgID != "" && !seen[o.MsgID] {
			seen[o.MsgID] = true
			ids = append(ids, o.MsgID)
		}
	}
	return ids
}

// serverMade writes the envelope of a message that the server itself originates. asArray sends the body as a real array
// instead of the string that shipped clients expect.
func serverMade(kind, msgID, from, to, msgTime, body string, asArray bool) string {
	m := store.Message{MsgID: msgID, Type: kind, From: from, To: to, Time: msgTime, Body: body}
	return writeEnvelope(m, "0", "0", "2.0.0", asArray)
}

func writeEnvelope(m store.Message, compress, encrypt, version string, asArray bool) string {
	b := make([]byte, 0, len(m.Body)+len(m.Body)/8+240)
	b = append(b, `{"body":`...)
	if asArray {
		b = append(b, m.Body...)
	} else {
		b = lenient.AppendString(b, m.Body)
	}
	for _, f := range [...][2]string{
		{"compress", compress}, {"encode", "1"}, {"encrypt", encrypt}, {"msg_from", m.From}, {"msg_id", m.MsgID}, {"msg_time", m.Time},
		{"msg_to", m.To}, {"msg_type", m.Type}, {"version", version},
	} {
		b = append(b, ',', '"')
		b = append(b, f[0]...)
		b = append(b, '"', ':')
		b = lenient.AppendString(b, f[1])
	}
	return string(append(b, '}'))
}
