package bilingual

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Table is sentences in Chinese by the formats of their English.
type Table struct {
	sentences []sentence // those with the most words of their own first: "%s %s" fits nearly all
}

type sentence struct {
	english *regexp.Regexp
	chinese string
	own     int // bytes of the format that are not verbs
}

// verb is one of a format; "%%" is a sign of its text.
var verb = regexp.MustCompile(`%(\[\d+\])?[#+.0-9]*[a-zA-Z%]`)

// New makes a table of English formats and Chinese ones. These have %s for what the verbs of the English stood for, in the same order, or %[1]s, %[2]s
// and so on where Chinese wants another one, and may leave some out. It panics for a format that has verbs in an order of its own (%[2]s).
func New(sentences map[string]string) *Table {
	t := &Table{}
	for english, chinese := range sentences {
		pattern, own, at := strings.Builder{}, 0, 0
		for _, found := range verb.FindAllStringIndex(english, -1) {
			own += found[0] - at
			pattern.WriteString(regexp.QuoteMeta(english[at:found[0]]))
			switch v := english[found[0]:found[1]]; {
			case v == "%%":
				pattern.WriteByte('%')
				own++
			case strings.Contains(v, "["):
				panic(fmt.Sprintf("bilingual: %q has an order of its own", english))
			default:
				pattern.WriteString("(.*?)")
			}
			at = found[1]
		}
		pattern.WriteString(regexp.QuoteMeta(english[at:]))
		t.sentences = append(t.sentences, sentence{regexp.MustCompile(`(?s)\A` + pattern.String() + `\z`), chinese, own + len(english) - at})
	}
	slices.SortFunc(t.sentences, func(a, b sentence) int {
		return cmp.Or(cmp.Compare(b.own, a.own), strings.Compare(a.english.String(), b.english.String()))
	})
	return t
}

// Chinese is a sentence in Chinese; the sentence itself where the table has none.
func (t *Table) Chinese(english string) string {
	for i := range t.sentences {
		s := &t.sentences[i]
		stood := s.english.FindStringSubmatch(english)
		if stood == nil {
			continue
		}
		args := make([]any, len(stood)-1)
		for i, arg := range stood[1:] {
			args[i] = arg
			if arg != english { // a format of nothing but a verb
				args[i] = t.Chinese(arg)
			}
		}
		return render(s.chinese, args)
	}
	return english
}

// Has says whether the table has a sentence for an English format.
func (t *Table) Has(format string) bool {
	return t.Chinese(format) != format
}

// render fills a format in, of which verbs may be left out.
func render(format string, args []any) string {
	next := 0
	return verb.ReplaceAllStringFunc(format, func(v string) string {
		if v == "%%" {
			return "%"
		}
		if strings.HasPrefix(v, "%[") {
			next = int(v[2]-'0') - 1
		}
		next++
		if next > len(args) {
			return "%!" + v
		}
		return fmt.Sprint(args[next-1])
	})
}
