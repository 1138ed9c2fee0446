package lenient

import "github.com/tidwall/gjson"

// Twice finds a key that an object has twice, when it has one: JavaScript takes the last, other readers the first. Keys are
// compared unescaped. What is no object has none.
func Twice(object gjson.Result) (key string, twice bool) {
	if !object.IsObject() {
		return "", false
	}
	var few [16]string // nearly always all
	n := 0
	var many map[string]bool
	object.ForEach(func(name, _ gjson.Result) bool {
		for _, earlier := range few[:min(n, len(few))] {
			twice = twice || earlier == name.Str
		}
		switch {
		case n < len(few):
			few[n] = name.Str
		case many == nil:
			many = map[string]bool{name.Str: true}
		default:
			twice = twice || many[name.Str]
			many[name.Str] = true
		}
		n++
		key = name.Str
		return !twice
	})
	return key, twice
}
