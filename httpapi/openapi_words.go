package httpapi

import (
	"cmp"
	"fmt"
)

// The document is put together in English, and then worded in a language: what it says to people are the strings at summary and description, and phrases.

// phrase is a sentence with verbs, for which its args stand. A string among these is worded, too.
type phrase struct {
	format string
	args   []any
}

func say(format string, args ...any) phrase { return phrase{format, args} }

// verbatim is an arg that is the same in every language.
type verbatim string

// paragraphs follow each other: strings and phrases.
type paragraphs []any

// sentence is one that calls are answered with, in an example.
type sentence struct {
	text text
	args []any
}

// wording finds a sentence in a language, by the English one.
type wording func(string) string

// worded is a part of the document in a language.
func worded(v any, l Language, in wording) any {
	switch v := v.(type) {
	case object:
		all := make(object, len(v))
		for key, inner := range v {
			if s, ok := inner.(string); ok && (key == "summary" || key == "description") {
				all[key] = in(s)
			} else {
				all[key] = worded(inner, l, in)
			}
		}
		return all
	case types:
		all := make(types, len(v))
		for name, schema := range v {
			all[name], _ = worded(schema, l, in).(object)
		}
		return all
	case []object:
		all := make([]any, len(v))
		for i := range v {
			all[i] = worded(v[i], l, in)
		}
		return all
	case phrase:
		return v.in(in)
	case paragraphs:
		all := ""
		for i, one := range v {
			if i > 0 {
				all += "\n\n"
			}
			all += fmt.Sprint(argument(one, in))
		}
		return all
	case sentence:
		return v.text.in(l, v.args)
	}
	return v
}

func (p phrase) in(in wording) string {
	args := make([]any, len(p.args))
	for i, arg := range p.args {
		args[i] = argument(arg, in)
	}
	return fmt.Sprintf(in(p.format), args...)
}

func argument(v any, in wording) any {
	switch v := v.(type) {
	case string:
		return in(v)
	case phrase:
		return v.in(in)
	}
	return v
}

func asItIs(english string) string { return english }

// inChinese is a sentence of the document in Chinese. A test looks that it has each.
func inChinese(english string) string { return cmp.Or(chineseDocument[english], english) }
