package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// texts are the files whose references are followed, by their path from the top of the repository.
func texts(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	top := os.DirFS("../..")
	err := fs.WalkDir(top, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", ".run", ".build", "testdata", "node_modules", "dist"}, entry.Name()):
			return fs.SkipDir
		case !entry.Type().IsRegular(), entry.Name() == "references_test.go": // the references in here are made up
			return nil
		}
		ending := path.Ext(name)
		if !slices.Contains([]string{".go", ".md", ".yaml", ".yml", ".sh", ".sql", ".service", ""}, ending) {
			return nil
		}
		data, err := fs.ReadFile(top, name)
		if ending == "" && !strings.HasPrefix(string(data), "#!") { // a command that was built, a list of names
			return err
		}
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// heading is one of a document.
type heading struct {
	number string // of "## 5. Offline messages": 5
	name   string // and: Offline messages
	anchor string // as GitHub links to it
}

var numbered = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)*)\. (.*)$`)

// headings are those of a Markdown text.
func headings(text string) (list []heading) {
	fenced := false
	seen := map[string]int{}
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		title := strings.TrimLeft(line, "#")
		if fenced || title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		title = strings.ReplaceAll(strings.TrimSpace(title), "`", "")
		h := heading{name: title, anchor: anchorOf(title)}
		if m := numbered.FindStringSubmatch(title); m != nil {
			h.number, h.name = m[1], m[2]
		}
		if n := seen[h.anchor]; n > 0 {
			h.anchor = fmt.Sprintf("%s-%d", h.anchor, n)
		}
		seen[anchorOf(title)]++
		list = append(list, h)
	}
	return list
}

// anchorOf is how GitHub links to a heading: small letters, digits, hyphens for blanks, nothing else.
func anchorOf(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}

var (
	// lineBreak is a break within a sentence, with what begins the next line of a comment.
	lineBreak = regexp.MustCompile(`[ \t]*\n[ \t]*(?:(?://|#|--)[ \t]*)?`)
	// mention is a document's name, in backticks (\x60) or not, and what may follow it: a section's number, or its heading.
	mention = regexp.MustCompile(`(?:^|[^/A-Za-z0-9._-])((?:[A-Za-z0-9._-]+/)*[A-Za-z0-9_-]+\.md)\b\x60?(?:(?:,? sections? ([0-9]+(?:\.[0-9]+)*)(?: and ([0-9]+(?:\.[0-9]+)*))?)|,? "([^"]+)")?`)
	// short is a reference that this test could not follow.
	short = regexp.MustCompile(`\b(?:PROTOCOL|SCHEMA|CONFIG) [0-9]+`)
	// link is a link of Markdown that stays in the repository.
	link = regexp.MustCompile(`\]\(([^()#: ]*)(?:#([^() ]*))?\)`)
)

// dangling says which references of these texts lead nowhere.
func dangling(all map[string]string) (problems []string) {
	outlines := map[string][]heading{}
	for name, text := range all {
		if path.Ext(name) == ".md" {
			outlines[name] = headings(text)
		}
	}
	// find is the document that a file means: beside itself, from the top, or the only one of that name.
	find := func(from, name string) (string, bool) {
		for _, candidate := range []string{path.Join(path.Dir(from), name), path.Clean(name)} {
			if _, ok := outlines[candidate]; ok {
				return candidate, true
			}
		}
		found := ""
		for document := range outlines {
			if strings.HasSuffix(document, "/"+name) {
				if found != "" {
					return "", false
				}
				found = document
			}
		}
		return found, found != ""
	}
	has := func(document string, is func(heading) bool) bool { return slices.ContainsFunc(outlines[document], is) }

	for from, text := range all {
		complain := func(format string, args ...any) {
			problems = append(problems, from+": "+fmt.Sprintf(format, args...))
		}
		for _, m := range mention.FindAllStringSubmatch(lineBreak.ReplaceAllString(text, " "), -1) {
			document, ok := find(from, m[1])
			if !ok {
				complain("%s is no document, or several", m[1])
				continue
			}
			for _, number := range m[2:4] {
				if number != "" && !has(document, func(h heading) bool { return h.number == number }) {
					complain("%s has no section %s", document, number)
				}
			}
			if name := m[4]; name != "" && !has(document, func(h heading) bool { return h.name == name }) {
				complain("%s has no heading %q", document, name)
			}
		}
		for _, m := range short.FindAllString(text, -1) {
			complain("%s: write the document's name with .md, and its heading", m)
		}
		if path.Ext(from) != ".md" {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := from
			if m[1] != "" {
				target = path.Join(path.Dir(from), m[1])
			}
			if _, known := all[target]; !known {
				if _, err := os.Stat(filepath.Join("../..", target)); err != nil {
					complain("a link leads to %s, which is not there", target)
				}
				continue
			}
			if m[2] != "" && !has(target, func(h heading) bool { return h.anchor == m[2] }) {
				complain("a link leads to %s#%s, which is no heading", target, m[2])
			}
		}
	}
	slices.Sort(problems)
	return problems
}

// Whoever follows a reference of a comment or a document finds the heading that it names.
func TestReferencesLeadSomewhere(t *testing.T) {
	all := texts(t)
	if len(all) < 300 || all["scripts/test"] == "" || all["component/PROTOCOL.md"] == "" {
		t.Fatalf("%d files were read, scripts/test and PROTOCOL.md not among them, want at least 300, a scripts/test, a component/PROTOCOL.md", len(all))
	}
	for _, problem := range dangling(all) {
		t.Errorf("got %s, want all references to lead somewhere", problem)
	}
}

// The test of references can fail.
func TestDanglingReferencesAreFound(t *testing.T) {
	documents := map[string]string{
		"a/RULES.md":    "# The rules\n\n## 1. First things\n\n```\n## 2. In a fence\n```\n\n### What `holds`, and why\n",
		"b/README.md":   "# Here\n",
		"c/README.md":   "# There\n\n## Twice\n\n## Twice\n",
		"top/OTHERS.md": "# Others\n",
	}
	for _, c := range []struct {
		name, file, text, want string
	}{
		{"section", "x/x.go", "// see RULES.md section 1", ""},
		{"section in a fence", "x/x.go", "// see RULES.md section 2", "a/RULES.md has no section 2"},
		{"two sections", "x/x.go", "// see RULES.md sections 1 and 3", "a/RULES.md has no section 3"},
		{"broken line", "x/x.go", "// see RULES.md\n\t// section 7", "a/RULES.md has no section 7"},
		{"heading", "x/x.go", "// see RULES.md, \"First things\"", ""},
		{"heading with code", "x/x.sh", "# see a/RULES.md, \"What holds, and why\"", ""},
		{"no heading", "x/x.yaml", "key: 1 # RULES.md, \"Last things\"", `a/RULES.md has no heading "Last things"`},
		{"after a backtick", "x/x.md", "`a/RULES.md`, \"First things\"", ""},
		{"no heading after a backtick", "x/x.md", "`a/RULES.md`, \"Last things\"", `a/RULES.md has no heading "Last things"`},
		{"no section after a backtick", "x/x.md", "`a/RULES.md` section 7", "a/RULES.md has no section 7"},
		{"short form", "x/x.go", "// see PROTOCOL 4", "PROTOCOL 4: write the document's name with .md, and its heading"},
		{"no document", "x/x.go", "// see NOTHING.md", "NOTHING.md is no document, or several"},
		{"one of two", "x/x.go", "// see README.md", "README.md is no document, or several"},
		{"the nearest of two", "b/x.go", "// see README.md", ""},
		{"anchor", "x/x.md", "[that](../a/RULES.md#what-holds-and-why)", ""},
		{"numbered anchor", "x/x.md", "[that](../a/RULES.md#1-first-things)", ""},
		{"second anchor", "x/x.md", "[that](../c/README.md#twice-1)", ""},
		{"no anchor", "x/x.md", "[that](../a/RULES.md#first-things)", "a link leads to a/RULES.md#first-things, which is no heading"},
		{"own anchor", "x/x.md", "# Own\n[that](#own)", ""},
		{"no own anchor", "x/x.md", "# Own\n[that](#other)", "a link leads to x/x.md#other, which is no heading"},
		{"no file", "x/x.md", "[that](nothing.png)", "a link leads to x/nothing.png, which is not there"},
		{"address", "x/x.md", "[that](https://example.com/a#b)", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := map[string]string{c.file: c.text}
			for name, text := range documents {
				all[name] = text
			}
			var want []string
			if c.want != "" {
				want = []string{c.file + ": " + c.want}
			}
			if got := dangling(all); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
