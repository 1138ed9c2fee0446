package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// This file finds what a hand that writes Chinese is likely to have typed instead of YAML: signs of full width, other quotation
// marks and blanks, tabs, a colon without a blank. They are looked for in a file with faults only, because as a part of a value
// they can be meant.

// slip is a character that is likely to be a mistake.
type slip struct {
	line, column int
	text         string // what it is and what to do
}

// wideSigns are signs of the full width, by the one that YAML has.
var wideSigns = map[rune]string{
	'：': `":" and a blank`, '，': `"," and a blank`, '｛': `"{"`, '｝': `"}"`, '［': `"["`, '］': `"]"`, '【': `"["`, '】': `"]"`, '＃': `" #"`, '－': `"-"`, '＝': `":" and a blank`,
	'“': `a straight quotation mark`, '”': `a straight quotation mark`, '‘': `a straight quotation mark`, '’': `a straight quotation mark`, '＂': `a straight quotation mark`, '＇': `a straight quotation mark`,
	'、': `"," and a blank`, '；': `":" or ","`, '\u3000': "blanks", '\u00a0': "blanks", '\ufeff': "nothing", '\u200b': "nothing",
}

// findSlips looks outside of comments and of what stands in quotation marks.
func findSlips(text string) (found []slip) {
	for i, line := range strings.Split(text, "\n") {
		if s, any := slipIn(strings.TrimRight(line, "\r")); any {
			s.line = i + 1
			found = append(found, s)
		}
	}
	return found
}

// slipIn finds the first slip of a line.
func slipIn(line string) (slip, bool) {
	if indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]; strings.Contains(indent, "\t") {
		return slip{column: strings.IndexByte(indent, '\t') + 1, text: "a tab (U+0009): YAML is indented by blanks"}, true
	}
	if m := tight.FindStringSubmatchIndex(line); m != nil && knownWord(line[m[2]:m[3]]) {
		word := line[m[2]:m[3]]
		return slip{column: utf8.RuneCountInString(line[:m[3]]) + 1, text: fmt.Sprintf("no colon with a blank behind %s: write \"%s: \"", word, word)}, true
	}
	var quote rune
	before := ' '
	column := 0
	for _, r := range line {
		column++
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case (r == '"' || r == '\'') && strings.ContainsRune(" [{,:", before):
			quote = r
		case r == '#' && before == ' ':
			return slip{}, false
		default:
			if remedy, wide := wideSigns[r]; wide {
				return slip{column: column, text: fmt.Sprintf("%s (U+%04X): write %s, or quotation marks around the value when it is meant", sign(r), r, remedy)}, true
			}
		}
		before = r
	}
	return slip{}, false
}

// tight is a key with its colon, or an equals sign, and the value right behind.
var tight = regexp.MustCompile(`^(?: *(?:- )?|.*[{,] *)([a-z0-9_]+)(?::[^\s:/]| *=)`)

// knownWord says whether a word is the last part of a key.
func knownWord(word string) bool {
	return slices.ContainsFunc(keys, func(k key) bool {
		return last(k.name) == word || k.secret() && last(k.name)+"_file" == word || strings.HasPrefix(k.name, word+".")
	}) || slices.Contains([]string{"name", "key", "key_file", "scopes", "rate"}, word)
}

func sign(r rune) string {
	switch r {
	case '\u3000':
		return "a blank of full width"
	case '\u00a0':
		return "a no-break space"
	case '\ufeff', '\u200b':
		return "a character that cannot be seen"
	}
	return strconv.QuoteRune(r)
}

// maxSlips bounds what is said of a file that is full of them.
const maxSlips = 5

// explain puts the slips in the place of the problems that they make.
func (r *reader) explain() {
	if len(r.Problems) == 0 || len(r.slips) == 0 {
		return
	}
	at := func(line int) *slip {
		i, found := slices.BinarySearchFunc(r.slips, line, func(s slip, line int) int { return cmp.Compare(s.line, line) })
		if !found {
			return nil
		}
		return &r.slips[i]
	}
	said, kept := map[int]bool{}, Problems{}
	for _, p := range r.Problems {
		line := r.lineOf(p)
		switch s := at(line); {
		case s != nil:
			said[line] = true
		case !r.unread:
			kept = append(kept, p)
		}
	}
	if r.unread {
		for _, s := range r.slips {
			said[s.line] = true
		}
	}
	if len(said) == 0 {
		return
	}
	var first Problems
	for _, s := range r.slips {
		if said[s.line] && len(first) < maxSlips {
			first.add("%s:%d:%d: %s", r.file, s.line, s.column, s.text)
		}
	}
	r.Problems = append(first, kept...)
}

// lineOf is the line of the file that a problem is about; 0 where it is about none.
func (r *reader) lineOf(problem string) int {
	if rest, ok := strings.CutPrefix(problem, r.file+":"); ok {
		number, _, _ := strings.Cut(rest, ":")
		line, _ := strconv.Atoi(number) // 0
		return line
	}
	name, _, _ := strings.Cut(problem, ":")
	return r.lines[name]
}

// yamlHints say of what the parser finds what it is likely to come from. Its texts hold nothing of the file, but for those of
// anchors, which are a value that begins with * or &.
var yamlHints = []struct {
	says, hint string
	nowhere    bool // it comes without a line
}{
	{"mapping values are not allowed", "a line is indented more than its neighbours, or the one before it is no KEY: VALUE", false},
	{"could not find expected ':'", "a line is no KEY: VALUE", false},
	{"did not find expected key", "a line is indented otherwise than its neighbours, or text stands behind a quotation mark", false},
	{"did not find expected ',' or '}'", "a brace is not closed, or a comma lacks", false},
	{"did not find expected ',' or ']'", "a bracket is not closed, or a comma lacks", false},
	{"did not find expected node content", "a bracket or a brace is not closed, or a value lacks", false},
	{"did not find expected '-' indicator", "a line is indented otherwise than its neighbours", false},
	{"did not find expected comment or line break", "a value that begins with | or > needs quotation marks", false},
	{"did not find expected alphabetic or numeric character", "a value that begins with * or & needs quotation marks", false},
	{"found unexpected end of stream", "a quotation mark is not closed", false},
	{"found unknown escape character", `between "…" a backslash is written \\; between '…' it stands for itself`, false},
	{"found character that cannot start any token", "a value that begins with @, % or ` needs quotation marks", false},
	{"found undefined tag handle", "a value that begins with ! needs quotation marks", false},
	{"unknown anchor", "a value that begins with * or & needs quotation marks", true},
	{"value contains itself", "a value that begins with * or & needs quotation marks", true},
}

var yamlPlace = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// sayYAML is what the parser said, with what it is likely to come from, behind the file's name. The line can be one too early.
func sayYAML(err error) string {
	text, line := err.Error(), "1" // of the first line it says none
	if m := yamlPlace.FindStringSubmatch(text); m != nil {
		text, line = text[len(m[0]):], cmp.Or(m[1], line)
	}
	for _, h := range yamlHints {
		switch {
		case !strings.Contains(text, h.says):
		case h.nowhere:
			return ": is no YAML: " + h.hint
		default:
			return fmt.Sprintf(":%s: is no YAML here or in the next line: %s", line, h.hint)
		}
	}
	return ": is no YAML, in or near line " + line
}
