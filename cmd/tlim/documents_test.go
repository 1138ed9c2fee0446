package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// documents are those that describe the product to its users, from the top of the repository.
var documents = []string{"README.md", "CHANGELOG.md", "deploy/README.md", "component/PROTOCOL.md", "httpapi/HTTP.md", "store/SCHEMA.md", "cmd/tlim/CONFIG.md"}

func readDocument(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestConfigurationDocumentIsTheDefaults(t *testing.T) {
	text := readDocument(t, "cmd/tlim/CONFIG.md")
	_, block, found := strings.Cut(text, "```yaml\n")
	block, _, ended := strings.Cut(block, "```\n")
	if !found || !ended {
		t.Fatal("CONFIG.md has no block of YAML")
	}
	dir := t.TempDir()
	got, problems := parse([]byte(block), "CONFIG.md", dir, nil, nil)
	want, _ := parse(nil, "CONFIG.md", dir, nil, nil)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the document says\n%+v\nthe defaults are\n%+v", got, want)
	}
	if len(problems) != 2 || problems[0] != noDomain || problems[1] != noSecret {
		t.Errorf("the document's block has problems besides its missing domain and secret: %q", problems)
	}
	for _, k := range keys {
		if word := regexp.MustCompile(`\b` + regexp.QuoteMeta(last(k.name)) + `\b`); !word.MatchString(block) {
			t.Errorf("CONFIG.md lacks %s", k.name)
		}
	}
}

// README's table of keys names keys by section and last parts: "xmpp.server, domain, secret".
func TestReadmeNamesKnownKeys(t *testing.T) {
	_, table, _ := strings.Cut(readDocument(t, "README.md"), "| key | default | meaning |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := 0
	for _, row := range strings.Split(table, "\n")[1:] {
		cell := strings.TrimSpace(strings.Split(row, "|")[1])
		var section, stem string
		for i, name := range regexp.MustCompile(`, | or `).Split(cell, -1) {
			switch {
			case i == 0 || strings.Contains(name, "."):
				at := strings.LastIndex(name, ".")
				section, stem = name[:at], name[:strings.LastIndex(name, "_")+1]
			case strings.HasPrefix(name, "_"):
				name = strings.TrimSuffix(stem, "_") + name
			default:
				name = section + "." + name
			}
			known := false
			for _, k := range keys {
				known = known || k.name == name || strings.HasPrefix(k.name, name+".")
			}
			if !known {
				t.Errorf("the README's table names %s, which is no key", name)
			}
			rows++
		}
	}
	if rows < 20 {
		t.Errorf("the README's table has %d keys only", rows)
	}
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
				t.Errorf("%.20s: the heading %s is unknown, doubled, or not in its place", release, heading)
			}
		}
	}
}

// A name of a file in a document is that of a file in this repository.
func TestDocumentsNameFilesThatAreThere(t *testing.T) {
	local := regexp.MustCompile(`\]\(([^):#]+)\)|\b((?:facts|shared|docs|deploy|component|httpapi|store|cmd/tlim|scripts)/[A-Za-z._-]+\.(?:md|go|yaml|service))\b`)
	for _, name := range documents {
		for _, m := range local.FindAllStringSubmatch(readDocument(t, name), -1) {
			file := m[1]
			base := filepath.Dir(name)
			if file == "" {
				file, base = m[2], "."
			}
			if _, err := os.Stat(filepath.Join("../..", base, file)); err != nil {
				t.Errorf("%s names %s, which is not there", name, file)
			}
		}
	}
}
