package doctor

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// maxDeep is how many sentences stand in each other: what was looked at, of rows, of which kind, in which form.
const maxDeep = 5

// InChinese is a sentence of a check, or one of what it asked, in Chinese. Sentences are made in English, where something is seen, and known here again
// by their form: what was in place of a verb is taken over. One that is not known stays as it is.
func InChinese(english string) string {
	return inChinese(english, maxDeep)
}

func inChinese(english string, deep int) string {
	if english == "" || deep == 0 {
		return english
	}
	for _, f := range forms() {
		if f.loose && deep < maxDeep {
			continue
		}
		if m := f.english.FindStringSubmatch(english); m != nil {
			args := m[1:]
			for i, v := range f.verbs {
				if v == "%s" {
					args[i] = inChinese(args[i], deep-1)
				}
			}
			return fill(f.chinese, args)
		}
	}
	return english
}

// form is a sentence with places for what is taken over.
type form struct {
	english *regexp.Regexp
	letters int      // that have to be the same
	verbs   []string // %s can be a sentence; %v is an error, in the words of whoever made it
	loose   bool     // it says so little that it is only taken for the whole sentence
	chinese string
}

// minLetters are those that a sentence has in common with its form, where it stands in another one.
const minLetters = 5

// fill puts texts in place of the verbs of a sentence.
func fill(sentence string, args []string) string {
	return verb.ReplaceAllStringFunc(sentence, func(string) string {
		arg := args[0]
		args = args[1:]
		return arg
	})
}

var verb = regexp.MustCompile(`%[.0-9]*[a-z]`)

// forms are those of the table. What has most letters of its own is tried first: it says more.
var forms = sync.OnceValue(func() []form {
	var list []form
	all := maps.Clone(chinese)
	maps.Copy(all, chineseStore)
	for english, zh := range all {
		var b strings.Builder
		b.WriteString(`(?s)^`)
		letters, own, at := 0, 0, 0
		verbs := verb.FindAllString(english, -1)
		for _, place := range verb.FindAllStringIndex(english, -1) {
			b.WriteString(regexp.QuoteMeta(english[at:place[0]]))
			letters += place[0] - at
			if at = place[1]; english[at-1] == 'd' {
				b.WriteString(`(-?[0-9]+)`)
			} else {
				b.WriteString(`(.*?)`)
			}
		}
		b.WriteString(regexp.QuoteMeta(english[at:]) + `$`)
		for _, r := range verb.ReplaceAllString(english, "") {
			if unicode.IsLetter(r) {
				own++
			}
		}
		list = append(list, form{regexp.MustCompile(b.String()), letters + len(english) - at, verbs, len(verbs) > 0 && own < minLetters, zh})
	}
	slices.SortFunc(list, func(a, b form) int {
		if a.letters != b.letters {
			return b.letters - a.letters
		}
		return strings.Compare(a.english.String(), b.english.String())
	})
	return list
})

// words are what a line of a report has beside its sentences.
type words struct{ remedy, counts string }

var (
	englishWords = words{"%s. Remedy: %s", "%d checks: %d failed, %d with warnings, %d skipped\n"}
	chineseWords = words{"%s。处理：%s", "%d 项检查：%d 项失败，%d 项警告，%d 项跳过\n"}
)

// chineseStatus are the outcomes as people read them.
var chineseStatus = map[Status]string{OK: "正常", Warning: "警告", Failure: "失败", Skipped: "跳过"}

// InChinese is the report in Chinese: ids, outcomes and counts stay.
func (r Report) InChinese() Report {
	checks := make([]Result, len(r.Checks))
	for i, c := range r.Checks {
		c.Name, c.Findings = InChinese(c.Name), slices.Clone(c.Findings)
		for k := range c.Findings {
			f := &c.Findings[k]
			f.Seen, f.Remedy = InChinese(f.Seen), InChinese(f.Remedy)
		}
		checks[i] = c
	}
	r.Checks, r.chinese = checks, true
	return r
}

// outcome is the first word of a line.
func (r Report) outcome(s Status) string {
	if r.chinese {
		return chineseStatus[s]
	}
	return fmt.Sprintf("%-"+strconv.Itoa(len(Failure)+1)+"s", s)
}
