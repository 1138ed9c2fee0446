package protocol

import (
	"cmp"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"tlim/component/lenient"
	"tlim/component/stanza"
)

// Envelope is the JSON envelope of one message (PROTOCOL.md section 2), checked as far as it can be without the database.
type Envelope struct {
	Type    string
	MsgID   string
	From    string // as the sender wrote it
	To      string
	Opaque  bool // compressed or encrypted: the body is not the server's to read
	Flags   string
	Body    string   // as stored: JSON text of the array, or the opaque text
	Objects []Object // of the body, unless it is opaque
	Text    string   // the whole envelope, which every copy carries: as received where that is strict JSON, else its strict form
	Hinted  []string // groups that an opaque body names all the same
	rules   Rules
}

// Object holds the fields of one body object that the server reads.
type Object struct {
	MsgID   string
	GroupID string
	UserIDs []string // user_id, and those of subscribers
}

const (
	MaxID       = 64   // characters of ids
	MaxName     = 256  // characters of names and pictures
	maxShort    = 20   // characters of msg_time
	maxText     = 3000 // characters of text
	MaxPayload  = 512 << 10
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

// Rules are what the reading of an envelope depends on, by its msg_type.
type Rules struct {
	Objects  bool // the server acts on ids in the body objects
	Bodyless bool // the type says all: the body may be missing
	Group    bool // it belongs to a group, which an opaque body may name
}

// ParseEnvelope reads the text of a message body. rules is false for a msg_type that is not valid; it is asked once, also where another field is at
// fault, so that the caller knows what that is a fault of. The second value counts inner fields longer than documented.
func ParseEnvelope(text string, rules func(msgType string) (Rules, bool), lim Limits) (*Envelope, int, error) {
	// 1. JSON, strict or nearly so
	if strings.TrimSpace(text) == "" {
		return nil, 0, Refuse(BodyEmpty, "the body is empty")
	}
	strict, err := lenient.JSON(text)
	if err != nil {
		return nil, 0, Refuse(NotJSON, "the body is not JSON: %v", err)
	}
	root := gjson.Parse(strict)
	if !root.IsObject() {
		return nil, 0, Refuse(NotJSON, "the body is not a JSON object")
	}

	// 2. the fields, each once
	var fields [10]gjson.Result
	err = pick(root, envelopeFields, fields[:])
	var text10 [9]string
	for i := 0; i < len(text10) && err == nil; i++ {
		text10[i], err = scalar(envelopeFields[i], fields[i])
	}
	if err != nil {
		if msgType, ok := typeOf(root); ok {
			rules(msgType)
		}
		return nil, 0, err
	}
	compress, encrypt, version := text10[0], text10[2], text10[3]
	e := &Envelope{MsgID: text10[4], Type: text10[5], From: text10[6], To: text10[7], Text: strict}
	valid := false
	if e.rules, valid = rules(e.Type); !valid {
		return nil, 0, Refuse(TypeInvalid, "msg_type is not MTT-, MTS-, MTB- or MTC- with 1 to 16 letters or digits behind it")
	}
	if err := checkLengths(e, text10[8], compress, encrypt, version); err != nil {
		return nil, 0, err
	}
	e.Opaque = compress == "1" || encrypt == "1"
	if compress != "" || encrypt != "" || version != "" {
		e.Flags = cmp.Or(compress, defaultBits) + "," + cmp.Or(encrypt, defaultBits) + "," + cmp.Or(version, "2.0.0")
	}
	if e.Flags == emptyFlags {
		e.Flags = ""
	}

	// 3. the body
	long, err := e.readBody(fields[9], lim)
	return e, long, err
}

// typeOf finds the one msg_type of an envelope that has another fault.
func typeOf(root gjson.Result) (msgType string, ok bool) {
	const name = "msg_type"
	n := 0
	root.ForEach(func(key, value gjson.Result) bool {
		if strings.EqualFold(key.Str, name) {
			n++
			msgType, ok = lenient.Text(value)
			ok = ok && key.Str == name
		}
		return true
	})
	return msgType, ok && n == 1
}

func checkLengths(e *Envelope, msgTime, compress, encrypt, version string) error {
	for _, f := range []struct {
		name, value string
		max         int
	}{
		{"msg_id", e.MsgID, MaxID}, {"msg_from", e.From, MaxID}, {"msg_to", e.To, MaxID},
		{"msg_time", msgTime, maxShort},
		{"compress", compress, 1}, {"encrypt", encrypt, 1}, {"version", version, 16},
	} {
		if len(f.value) > f.max && utf8.RuneCountInString(f.value) > f.max {
			return Refuse(TooLarge, "%s is longer than %d characters", f.name, f.max)
		}
		if strings.ContainsFunc(f.value, oddInID) {
			return Refuse(NotJSON, "%s holds a control character, or one that XML forbids", f.name)
		}
	}
	if strings.ContainsAny(version+compress+encrypt, ",") {
		return Refuse(NotJSON, "version, compress or encrypt holds a comma")
	}
	return nil
}

// pick finds the named fields of a JSON object. It refuses a key that comes twice, and a name in another letter case.
func pick(obj gjson.Result, names []string, into []gjson.Result) (err error) {
	var keys lenient.Keys
	obj.ForEach(func(key, value gjson.Result) bool {
		if keys.Again(key.Str) {
			err = Refuse(NotJSON, "%.64s is given twice or in another letter case", key.Str)
			return false
		}
		for i, name := range names {
			if len(key.Str) < len(name) || !strings.EqualFold(key.Str, name) {
				continue
			}
			if key.Str != name {
				err = Refuse(NotJSON, "%s is given twice or in another letter case", name)
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
		return "", Refuse(NotJSON, "%s is a number that JavaScript reads otherwise than it is written: put it in quotes", name)
	}
	return "", Refuse(NotJSON, "%s is not a string", name)
}

// readBody takes the body as an array or as a string that holds one.
func (e *Envelope) readBody(body gjson.Result, lim Limits) (long int, err error) {
	switch {
	case body.Type == gjson.String:
		e.Body = body.Str
	case body.IsArray() || e.Opaque && body.Exists():
		e.Body = body.Raw
	case body.Type == gjson.Null && e.rules.Bodyless:
	default:
		return 0, Refuse(NotArray, "body is not an array")
	}
	if e.rules.Bodyless && e.Body == "" {
		e.Body = "[]"
		return 0, nil
	}
	if len(e.Body) > lim.Body {
		return 0, Refuse(TooLarge, "the body is larger than %d bytes", lim.Body)
	}
	if e.Opaque {
		return 0, e.readHints(body)
	}
	array := body
	if body.Type == gjson.String {
		strict, err := lenient.JSON(e.Body)
		if err != nil {
			return 0, Refuse(NotArray, "body is a string that holds no array: %v", err)
		}
		if array = gjson.Parse(strict); !array.IsArray() {
			return 0, Refuse(NotArray, "body is a string that holds no array")
		}
		if strict != e.Body { // clients parse it too
			if e.Body = strict; len(strict) > lim.Body {
				return 0, Refuse(TooLarge, "the body is larger than %d bytes", lim.Body)
			}
			e.Text = e.Text[:body.Index] + lenient.String(strict) + e.Text[body.Index+len(body.Raw):]
		}
	}
	array.ForEach(func(_, element gjson.Result) bool {
		var o Object
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
	if !e.rules.Group {
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
		var o Object
		if element.IsObject() {
			if err = o.read(element); err == nil && o.GroupID != "" {
				e.Hinted = append(e.Hinted, o.GroupID)
			}
		}
		return err == nil
	})
	return err
}

func (e *Envelope) readObject(element gjson.Result, lim Limits) (o Object, long int, err error) {
	if !element.IsObject() {
		if e.rules.Objects {
			err = Refuse(NotArray, "body holds something else than objects")
		}
		return o, 0, err
	}
	if e.rules.Objects {
		if err := o.read(element); err != nil {
			return o, 0, err
		}
	}
	long, err = CheckFields(element, lim)
	return o, long, err
}

// CheckFields counts the fields of a body object, and of the subscribers in it, that are longer than documented.
func CheckFields(object gjson.Result, lim Limits) (long int, err error) {
	var keys lenient.Keys
	object.ForEach(func(key, value gjson.Result) bool {
		if keys.Again(key.Str) && object.IsObject() {
			err = Refuse(NotJSON, "%.64s is given twice or in another letter case", key.Str)
			return false
		}
		max, known := innerLimits[key.Str]
		switch {
		case key.Str == "text":
			if len(value.Str) > maxText && utf8.RuneCountInString(value.Str) > maxText {
				err = Refuse(TooLarge, "text is longer than %d characters", maxText)
			}
		case key.Str == "subscribers":
			value.ForEach(func(_, member gjson.Result) bool {
				var n int
				n, err = CheckFields(member, lim)
				long += n
				return err == nil
			})
		case known && value.Type == gjson.String && len(value.Str) > max && utf8.RuneCountInString(value.Str) > max:
			long++
			if lim.Strict {
				err = Refuse(TooLarge, "%s is longer than %d characters", key.Str, max)
			}
		}
		return err == nil
	})
	return long, err
}

func (o *Object) read(element gjson.Result) error {
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
		if len(id) > MaxID && utf8.RuneCountInString(id) > MaxID {
			return Refuse(TooLarge, "an id in the body is longer than %d characters", MaxID)
		}
		if strings.ContainsFunc(id, oddInID) {
			return Refuse(NotJSON, "an id in the body holds a control character, or one that XML forbids")
		}
	}
	return err
}

// GroupID is the one group that the objects of an MTS-* name; "" when none does.
func (e *Envelope) GroupID() (string, error) {
	id := ""
	for i, o := range e.Objects {
		if i == 0 {
			id = o.GroupID
		} else if o.GroupID != "" && o.GroupID != id {
			return "", Refuse(NotArray, "the body names two sessions")
		}
	}
	return id, nil
}

// MsgIDs are the messages that a receipt or a revoke names, each once.
func (e *Envelope) MsgIDs() []string {
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

// CountNamed is how many users the body names.
func (e *Envelope) CountNamed() (n int) {
	for i := range e.Objects {
		n += len(e.Objects[i].UserIDs)
	}
	return n
}

// Named are the local parts of the users whom a notice names. Only former members are looked for among them: a notice must
// not be a way to write to anybody.
func (e *Envelope) Named() map[string]bool {
	names := map[string]bool{}
	for _, o := range e.Objects {
		for _, id := range o.UserIDs {
			if local, err := stanza.Localpart(id); err == nil {
				names[local] = true
			}
		}
	}
	return names
}
