package lenient

import "github.com/tidwall/gjson"

// Keys are those of an object so far. An object that has a key twice says two things: JavaScript takes the last, other readers
// the first.
type Keys struct {
	few  [16]string // nearly always all
	n    int
	many map[string]bool
}

// Again notes an unescaped key, and says whether it was there before.
func (k *Keys) Again(key string) bool {
	if k.n < len(k.few) {
		for _, earlier := range k.few[:k.n] {
			if earlier == key {
				return true
			}
		}
		k.few[k.n] = key
		k.n++
		return false
	}
	if k.many == nil {
		k.many = make(map[string]bool, 2*len(k.few))
		for _, earlier := range k.few {
			k.many[earlier] = true
		}
	}
	again := k.many[key]
	k.many[key] = true
	return again
}

// Twice finds a key that an object has twice, when it has one. What is no object has none.
func Twice(object gjson.Result) (key string, twice bool) {
	if !object.IsObject() {
		return "", false
	}
	var keys Keys
	object.ForEach(func(name, _ gjson.Result) bool {
		key, twice = name.Str, keys.Again(name.Str)
		return !twice
	})
	return key, twice
}
