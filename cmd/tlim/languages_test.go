package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// translated are the documents that stand in two languages, English first: what one says the other says under the heading at the same place.
var translated = [][2]string{
	{"component/PROTOCOL.md", "component/PROTOCOL.zh-CN.md"},
	{"httpapi/HTTP.md", "httpapi/HTTP.zh-CN.md"},
}

// passage is what a document has under one heading.
type passage struct {
	heading string // as it stands there, with its level
	level   int
	code    []string // its blocks, with what opens them
	tables  []int    // their rows, with the row of names and the line below it
	items   int      // of lists
}

var listItem = regexp.MustCompile(`^ *(?:-|[0-9]{1,2}\.) `) // a line may begin with the 404 that ends a sentence

// passagesOf are those of a Markdown text; the first is what stands before any heading.
func passagesOf(text string) []passage {
	passages := []passage{{}}
	fenced, inTable := false, false
	for _, line := range strings.Split(text, "\n") {
		p := &passages[len(passages)-1]
		fence := strings.HasPrefix(line, "```")
		switch {
		case fence && !fenced:
			p.code = append(p.code, line)
		case fenced:
			p.code[len(p.code)-1] += "\n" + line
		case strings.HasPrefix(line, "#"):
			passages = append(passages, passage{heading: line, level: strings.Index(line+" ", " ")})
		case strings.HasPrefix(line, "|") && inTable:
			p.tables[len(p.tables)-1]++
		case strings.HasPrefix(line, "|"):
			p.tables = append(p.tables, 1)
		case listItem.MatchString(line):
			p.items++
		}
		fenced = fenced != fence
		inTable = !fenced && strings.HasPrefix(line, "|")
	}
	return passages
}

// apart says under which headings two texts differ in what needs no translation.
func apart(one, other string) (problems []string) {
	a, b := passagesOf(one), passagesOf(other)
	for i := range min(len(a), len(b)) {
		here, there := a[i], b[i]
		if here.level != there.level {
			return append(problems, fmt.Sprintf("%q stands where the other has %q: a heading is missing in one of them, or in another place", here.heading, there.heading))
		}
		complain := func(format string, args ...any) {
			problems = append(problems, fmt.Sprintf("under %q, in the other %q: ", here.heading, there.heading)+fmt.Sprintf(format, args...))
		}
		if !slices.Equal(here.tables, there.tables) {
			complain("tables of %v lines and of %v", here.tables, there.tables)
		}
		if here.items != there.items {
			complain("%d items of lists and %d", here.items, there.items)
		}
		if len(here.code) != len(there.code) {
			complain("%d blocks of code and %d", len(here.code), len(there.code))
			continue
		}
		for k := range here.code {
			if here.code[k] != there.code[k] {
				complain("a block of code is\n%s\nand\n%s", here.code[k], there.code[k])
			}
		}
	}
	if n := min(len(a), len(b)); len(a) != len(b) {
		longer, rest := "the first", a[n:]
		if len(b) > n {
			longer, rest = "the other", b[n:]
		}
		problems = append(problems, fmt.Sprintf("only %s has %q", longer, rest[0].heading))
	}
	return problems
}

// Whoever changes a document that stands in two languages changes both: add the same row, item or example under the heading that is named here.
func TestDocumentsSayTheSameInBothLanguages(t *testing.T) {
	for _, pair := range translated {
		t.Run(pair[0], func(t *testing.T) {
			english, chinese := readDocument(t, pair[0]), readDocument(t, pair[1])
			for _, problem := range apart(english, chinese) {
				t.Errorf("%s and %s: got %s, want the same in both", pair[0], pair[1], problem)
			}
			if n := len(passagesOf(english)); n < 10 {
				t.Errorf("%s has %d headings, want those of the whole document", pair[0], n)
			}
			for i, document := range []string{english, chinese} {
				name := pair[1-i][strings.LastIndex(pair[1-i], "/")+1:]
				if first := strings.SplitN(document, "\n", 4); len(first) < 4 || !strings.Contains(first[2], "]("+name+")") {
					t.Errorf("%s: got %.200q at its top, want a link to %s in the line below the title", pair[i], document, name)
				}
			}
		})
	}
}

// The test of the two languages can fail.
func TestDifferencesOfLanguagesAreFound(t *testing.T) {
	const text = "# One\n\n| a |\n|---|\n| b |\n\n- c\n\n```\n# d\n| e |\n```\n\n## Two\n\n1. f\n"
	for _, c := range []struct{ name, other, want string }{
		{"a translation", "# 一\n\n| 甲 |\n|---|\n| 乙 |\n\n- 丙\n\n```\n# d\n| e |\n```\n\n## 二\n\n1. 己\n", ""},
		{"a row", strings.Replace(text, "| b |\n", "", 1), `under "# One", in the other "# One": tables of [3] lines and of [2]`},
		{"a table", strings.Replace(text, "1. f", "1. f\n\n| g |", 1), `under "## Two", in the other "## Two": tables of [] lines and of [1]`},
		{"an item", strings.Replace(text, "1. f", "1. f\n2. g", 1), `under "## Two", in the other "## Two": 1 items of lists and 2`},
		{"code", strings.Replace(text, "# d", "# D", 1), "under \"# One\", in the other \"# One\": a block of code is\n```\n# d\n| e |\n```\nand\n```\n# D\n| e |\n```"},
		{"a block", text + "```\n```\n", `under "## Two", in the other "## Two": 0 blocks of code and 1`},
		{"a level", strings.Replace(text, "## Two", "### Two", 1), `"## Two" stands where the other has "### Two": a heading is missing in one of them, or in another place`},
		{"a heading", text + "## Three\n", `only the other has "## Three"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(apart(text, c.other), "; "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
