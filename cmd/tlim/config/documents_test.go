package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestConfigurationDocumentIsTheDefaults(t *testing.T) {
	text := readText(t, "../CONFIG.md")
	_, block, found := strings.Cut(text, "```yaml\n")
	block, _, ended := strings.Cut(block, "```\n")
	if !found || !ended {
		t.Fatalf("CONFIG.md, a block of YAML: got begin %v, end %v, want both", found, ended)
	}
	dir := t.TempDir()
	got, problems := parse([]byte(block), "CONFIG.md", dir, nil, nil)
	want, _ := parse(nil, "CONFIG.md", dir, nil, nil)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got from the document\n%+v\nwant the defaults\n%+v", got, want)
	}
	if len(problems) != 2 || problems[0] != noDomain || problems[1] != noSecret {
		t.Errorf("the document's block has problems besides its missing domain and secret: got %q, want 2 problems, problems %v, problems %v", problems, noDomain, noSecret)
	}
	for _, k := range keys {
		if word := regexp.MustCompile(`\b` + regexp.QuoteMeta(last(k.name)) + `\b`); !word.MatchString(block) {
			t.Errorf("CONFIG.md lacks %s, want it", k.name)
		}
	}
}

// README's table of keys names keys by section and last parts: "xmpp.server, domain, secret".
func TestReadmeNamesKnownKeys(t *testing.T) {
	_, table, _ := strings.Cut(readText(t, "../../../README.md"), "| key | default | meaning |\n")
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
				t.Errorf("the README's table names %s, want keys alone", name)
			}
			rows++
		}
	}
	if rows < 20 {
		t.Errorf("the README's table has %d keys only, want at least 20", rows)
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
