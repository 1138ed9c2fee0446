package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
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
		t.Run(name, func(t *testing.T) {
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
		})
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
			t.Errorf("the table of commands in CONFIG.md lacks %s", c.CommandPath())
		}
	}
	look(rootCommand())
}
