package httpapi

import (
	"errors"
	"strings"

	"github.com/tidwall/gjson"

	"tlim/component/lenient"
	"tlim/component/protocol"
)

// maxEntries is how many entries each list parameter may hold. The request's size bounds a list only at some hundred thousand
// entries, each of which costs many times its bytes and, further on, rows. A list parameter that is not named here is a fault:
// its endpoint answers 500.
var maxEntries = map[string]int{
	"clear":       1_000,  // what one page of a queue holds
	"msgTo":       20_000, // each entry once; everybody is @all
	"msg_to":      20_000,
	"params":      1_000, // a body of limits.body holds fewer real ones
	"subscribers": 10_000,
	"userList":    10_000,
	"user_ids":    200, // what a page shows at once
}

// maxOf is how many entries a list parameter may hold.
func maxOf(name string) int {
	maxLength, ok := maxEntries[name]
	if !ok {
		panic("list parameter " + name + " has no maximum")
	}
	return maxLength
}

func (r *request) tooMany(name string) {
	r.refuse(refusal(protocol.TooLarge, textTooMany, name, maxOf(name)))
}

// list is a parameter that names many: repeated, separated by commas, or a JSON array of strings and numbers. Each entry comes
// once, without the blanks around it. wrong is the error for an entry of an array that is no text.
func (r *request) list(name string, wrong protocol.Code) []string {
	var entries []string
	seen, maxLength := map[string]bool{"": true}, maxOf(name)
	add := func(entry string) bool {
		if entry = strings.TrimSpace(entry); seen[entry] {
			return true
		}
		if len(entries) == maxLength {
			r.tooMany(name)
			return false
		}
		seen[entry] = true
		entries = append(entries, entry)
		return true
	}
	for _, v := range r.values(name) {
		if strings.HasPrefix(strings.TrimSpace(v), "[") {
			strict, err := lenient.JSON(v)
			if err != nil {
				r.refuse(badJSON(name, err))
				return nil
			}
			gjson.Parse(strict).ForEach(func(_, entry gjson.Result) bool {
				if entry.Type != gjson.String && entry.Type != gjson.Number {
					text := textBadEntry
					if wrong == protocol.UserIDInvalid {
						text = textBadUser
					}
					r.refuse(refusal(wrong, text, name, shortened(entry.Raw)))
					return false
				}
				text, ok := lenient.Text(entry)
				if !ok {
					r.refuse(refusal(protocol.NotJSON, textOddNumber, name, shortened(entry.Raw)))
				}
				return ok && add(text)
			})
		} else {
			for entry := range strings.SplitSeq(v, ",") {
				if !add(entry) {
					break
				}
			}
		}
		if r.err != nil {
			return nil
		}
	}
	r.charge(len(entries) / weighing)
	return entries
}

// badJSON says where a parameter stops being JSON.
func badJSON(name string, err error) *failure {
	var where *lenient.SyntaxError
	if errors.As(err, &where) {
		return refusal(protocol.NotJSON, textNotJSON, name, where.Character)
	}
	return refusal(protocol.NotJSON, textTooDeep, name) // of the rest, invalid UTF-8 comes in by no door
}

// array is a parameter that holds a JSON array of objects, or a single object, read leniently; empty when it is absent.
// The text is the strict JSON of the array: as given, when it was that already.
func (r *request) array(name string) (strict string, objects []gjson.Result) {
	raw := r.first(name)
	if strings.TrimSpace(raw) == "" {
		return "", nil
	}
	strict, err := lenient.JSON(raw)
	if err != nil {
		r.refuse(badJSON(name, err))
		return "", nil
	}
	list := gjson.Parse(strict)
	if list.IsObject() {
		strict = "[" + strict + "]"
		list = gjson.Parse(strict)
	}
	if !list.IsArray() {
		r.refuse(refusal(protocol.NotArray, textNotArray, name))
		return "", nil
	}
	maxLength := maxOf(name)
	objects = []gjson.Result{}
	list.ForEach(func(_, o gjson.Result) bool {
		switch {
		case !o.IsObject():
			r.refuse(refusal(protocol.NotArray, textNotArray, name))
			return false
		case len(objects) == maxLength:
			r.tooMany(name)
			return false
		}
		if key, twice := lenient.Twice(o); twice {
			r.refuse(refusal(protocol.NotJSON, textTwice, name, shortened(key)))
			return false
		}
		objects = append(objects, o)
		return true
	})
	if r.err != nil {
		return "", nil
	}
	r.charge(len(objects) / weighing)
	return strict, objects
}
