package main

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// documents are those that describe the product to its users, from the top of the repository.
var documents = []string{"README.md", "CHANGELOG.md", ".github/CONTRIBUTING.md", "component/README.md", "deploy/README.md", "deploy/README.zh-CN.md", "deploy/FROM-THE-PLUGIN.md", "deploy/FIGURES.md", "component/PROTOCOL.md", "component/PROTOCOL.zh-CN.md", "httpapi/HTTP.md", "httpapi/HTTP.zh-CN.md", "store/SCHEMA.md", "cmd/tlim/CONFIG.md"}

func readDocument(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestChangelogHasEachHeadingOnce(t *testing.T) {
	want := []string{"Security", "Changed", "Deprecated", "Removed", "Added", "Fixed"}
	for _, release := range strings.Split(readDocument(t, "CHANGELOG.md"), "\n## ")[1:] {
		at := 0
		for _, line := range strings.Split(release, "\n") {
			heading, is := strings.CutPrefix(line, "### ")
			if !is {
				continue
			}
			for at < len(want) && want[at] != heading {
				at++
			}
			if at++; at > len(want) {
				t.Errorf("%.20s: the heading %s is unknown, doubled, or not in its place, want each once in order", release, heading)
			}
		}
	}
}

// A name of a file in a document is that of a file in this repository.
func TestDocumentsNameFilesThatAreThere(t *testing.T) {
	local := regexp.MustCompile(`\b(?:facts|shared|docs|deploy|component|httpapi|store|cmd/tlim|scripts)/[A-Za-z._/-]+\.(?:md|go|yaml|service)\b`) // for links see references_test.go
	for _, name := range documents {
		t.Run(name, func(t *testing.T) {
			for _, file := range local.FindAllString(readDocument(t, name), -1) {
				if _, err := os.Stat(filepath.Join("../..", file)); err != nil {
					t.Errorf("%s names %s, want a file that is there", name, file)
				}
			}
		})
	}
}

// Pictures are small and whole, and each stands in a document.
func TestPicturesOfDocuments(t *testing.T) {
	const folder = "../../deploy/pictures"
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		t.Error("deploy/pictures is empty, want the pictures of the documents")
	}
	var all strings.Builder
	for _, name := range documents {
		all.WriteString(readDocument(t, name))
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 150<<10 {
			t.Errorf("%s has %d bytes, want at most 150 KiB", e.Name(), len(data))
		}
		if !strings.Contains(all.String(), "pictures/"+e.Name()+")") {
			t.Errorf("no document shows %s, want one", e.Name())
		}
		switch filepath.Ext(e.Name()) {
		case ".svg":
			err = xml.Unmarshal(data, new(struct {
				XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
			}))
		case ".png":
			_, err = png.DecodeConfig(bytes.NewReader(data))
		default:
			t.Errorf("got the picture %s, want SVG or PNG", e.Name())
		}
		if err != nil {
			t.Errorf("%s: got %v, want a picture", e.Name(), err)
		}
	}
}

// CONFIG.md has a row on each command that does something.
func TestConfigurationDocumentNamesEveryCommand(t *testing.T) {
	text := readDocument(t, "cmd/tlim/CONFIG.md")
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			look(sub)
		}
		if !c.HasSubCommands() && !strings.Contains(text, "\n| `"+c.CommandPath()+"`") && !strings.Contains(text, "\n| `"+c.CommandPath()+" ") {
			t.Errorf("the table of commands in CONFIG.md lacks %s, want it", c.CommandPath())
		}
	}
	look(rootCommand())
}

// A file and a function of it, as component/README.md has them: `revoke.go`, `decision.remove`.
var placed = regexp.MustCompile("`([a-z./]+\\.go)`(?:, `([A-Za-z.]+)`)?")

// lost lists the files and functions that a text names and that are not below folder.
func lost(t *testing.T, folder, text string) (names []string) {
	t.Helper()
	for _, m := range placed.FindAllStringSubmatch(text, -1) {
		source, err := os.ReadFile(filepath.Join(folder, m[1]))
		if err != nil {
			names = append(names, m[1])
			continue
		}
		declared := "func " + m[2]
		if receiver, method, is := strings.Cut(m[2], "."); is {
			declared = `func \([a-z]+ \*?` + receiver + `\) ` + method
		}
		if m[2] != "" && !regexp.MustCompile(`(?m)^`+declared+`\(`).Match(source) {
			names = append(names, m[1]+" "+m[2])
		}
	}
	return names
}

// maxReadmeLines and maxReadmeColumns are two pages: who changes component reads its README to the end.
const (
	maxReadmeLines   = 126
	maxReadmeColumns = 140
)

// component/README.md names files and functions that are there, and every package, on two pages.
func TestComponentReadmeLeadsToTheCode(t *testing.T) {
	const folder = "../../component"
	text := readDocument(t, "component/README.md")
	if names := lost(t, folder, text); len(names) > 0 {
		t.Errorf("component/README.md names %q, want what is there", names)
	}
	if n := len(placed.FindAllString(text, -1)); n < 30 {
		t.Errorf("got %d places, want all of the table", n)
	}
	if got, want := lost(t, folder, "`nothing.go`; `revoke.go`, `decision.nothing`; `revoke.go`, `revoke`"), []string{"nothing.go", "revoke.go decision.nothing"}; !slices.Equal(got, want) {
		t.Errorf("of a made-up text: got %q, want %q", got, want)
	}
	lines := strings.Split(text, "\n")
	if n := len(lines); n > maxReadmeLines {
		t.Errorf("component/README.md: got %d lines, want at most %d", n, maxReadmeLines)
	}
	for n, line := range lines {
		if columns := utf8.RuneCountInString(line); columns > maxReadmeColumns {
			t.Errorf("component/README.md, line %d: got %d columns, want at most %d", n+1, columns, maxReadmeColumns)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(text, "| package | is |")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, e := range entries {
		if e.IsDir() && e.Name() != "testdata" && !strings.Contains(table, "`"+e.Name()+"`") {
			t.Errorf("the table of packages in component/README.md lacks %s, want it", e.Name())
		}
	}
}

// namedCommand is what follows "tlim" in a document's code: `sudo -u tlim tlim migrate utf8mb4 --yes`.
var namedCommand = regexp.MustCompile("(?m)(?:^|`|&& |-u tlim )tlim ((?:[a-z0-9-]+ ?)+)")

// namedKey is a configuration key in backticks, with its value or without: `web.chat: off`.
var namedKey = regexp.MustCompile("`((?:xmpp|store|http|web|files|push|offline|cleanup|metrics|directory|limits)(?:\\.[a-z0-9_]+)+)(?:: [^`]*)?`")

// unknownNames lists the commands and keys that a text names and that are not there.
func unknownNames(text, keys string) (names []string) {
	for _, m := range namedCommand.FindAllStringSubmatch(text, -1) {
		if found, _, err := rootCommand().Find(strings.Fields(m[1])); err != nil || !found.Runnable() || found.HasSubCommands() {
			names = append(names, "tlim "+strings.TrimSpace(m[1]))
		}
	}
	for _, m := range namedKey.FindAllStringSubmatch(text, -1) {
		section, key, _ := strings.Cut(m[1], ".")
		if !regexp.MustCompile(`(?m)^` + section + `:.*\n(?: .*\n|#.*\n|\n)*?  (?:` + regexp.QuoteMeta(key) + `|` + regexp.QuoteMeta(strings.TrimSuffix(key, "_file")) + `):`).MatchString(keys) {
			names = append(names, m[1])
		}
	}
	return names
}

// The Chinese README names commands and keys that are there.
func TestChineseReadmeNamesWhatIsThere(t *testing.T) {
	text, keys := strings.ReplaceAll(readDocument(t, "deploy/README.zh-CN.md"), "`xmpp.component.idle`", ""), readDocument(t, "deploy/tlim.yaml") // that one is Openfire's
	if names := unknownNames(text, keys); len(names) > 0 {
		t.Errorf("deploy/README.zh-CN.md names %q, want commands and keys that are there", names)
	}
	if n := len(namedCommand.FindAllString(text, -1)) + len(namedKey.FindAllString(text, -1)); n < 40 {
		t.Errorf("got %d commands and keys, want all of the document", n)
	}
	if got, want := unknownNames("`sudo -u tlim tlim nothing`, `tlim migrate`, `tlim status`, `web.nothing: on`, `web.chat: off`", keys), []string{"tlim nothing", "tlim migrate", "web.nothing"}; !slices.Equal(got, want) {
		t.Errorf("of a made-up text: got %q, want %q", got, want)
	}
}
