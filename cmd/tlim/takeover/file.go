package takeover

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// File is a tlim.yaml in the making.
type File struct {
	head    []string
	entries []entry
	dropped []string

	// ToDo is what an administrator has to do before tlim can run, Notes what may be news to them. Neither holds a secret.
	ToDo, Notes []string
}

// entry is a key with what is said of it.
type entry struct {
	key   string
	value string // as YAML has it
	off   bool   // the key is written as a comment
	notes []string
}

// Taken counts the keys that the file sets.
func (f *File) Taken() (n int) {
	for _, e := range f.entries {
		if !e.off {
			n++
		}
	}
	return n
}

// set gives a key a text, a number or a switch. The notes say where it comes from. A text that is no UTF-8, which no YAML can hold, is
// to be written by hand.
func (f *File) set(key string, value any, notes ...string) {
	if text, ok := value.(string); ok && !utf8.ValidString(text) {
		const why = "what Openfire has holds bytes that are no UTF-8"
		f.leave(key, "", append(notes, why)...)
		f.todo("write %s: %s", key, why)
		return
	}
	f.entries = append(f.entries, entry{key, scalar(value), false, notes})
}

// PutData names the folder below which tlim writes: the file of its key, uploads, and an SQLite database that has no folder of its own yet.
func (f *File) PutData(folder string) {
	at := "data: where the service may write"
	for i, e := range f.entries {
		if e.key == "store.dsn" && slices.ContainsFunc(f.entries, func(e entry) bool { return e.key == "store.driver" && e.value == "sqlite" }) {
			f.entries[i].value = scalar(filepath.Join(folder, e.value))
		}
	}
	f.set("http.key_file", filepath.Join(folder, "tlim.key"), at)
	f.set("files.dir", filepath.Join(folder, "files"), at)
}

// leave writes a key as a comment, for an administrator to fill in.
func (f *File) leave(key string, value any, notes ...string) {
	f.entries = append(f.entries, entry{key, scalar(value), true, notes})
}

func (f *File) drop(name, why string) {
	f.dropped = append(f.dropped, name+": "+why)
}

func (f *File) todo(format string, args ...any) {
	f.ToDo = append(f.ToDo, fmt.Sprintf(format, args...))
}

func (f *File) note(format string, args ...any) {
	f.Notes = append(f.Notes, fmt.Sprintf(format, args...))
}

// broken says whether a character ends a line for YAML, or is not seen: it is written as an escape.
func broken(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Cf)
}

// scalar is a value in one line.
func scalar(value any) string {
	if text, ok := value.(string); ok {
		value = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
		if strings.ContainsFunc(text, broken) || strings.Contains(text, "${") {
			value.(*yaml.Node).Style = yaml.DoubleQuotedStyle
		}
	}
	text, err := yaml.Marshal(value)
	if err != nil {
		panic(err) // of a valid text, a number or a switch: cannot be
	}
	return strings.TrimSuffix(string(text), "\n")
}

// Text is the file.
func (f *File) Text() []byte {
	var b strings.Builder
	for _, line := range f.head {
		fmt.Fprintf(&b, "# %s\n", line)
	}
	var open []string // sections of the entry before
	for _, e := range f.entries {
		parts := strings.Split(e.key, ".")
		sections := parts[:len(parts)-1]
		same := 0
		for same < len(open) && same < len(sections) && open[same] == sections[same] {
			same++
		}
		if same == 0 {
			b.WriteByte('\n')
		}
		for i, s := range sections[same:] {
			fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", same+i), s)
		}
		open = slices.Clone(sections)
		indent := strings.Repeat("  ", len(sections))
		for _, note := range e.notes {
			fmt.Fprintf(&b, "%s# %s\n", indent, note)
		}
		mark := ""
		if e.off {
			mark = "# "
		}
		fmt.Fprintf(&b, "%s%s%s: %s\n", indent, mark, parts[len(parts)-1], e.value)
	}
	if len(f.dropped) > 0 {
		b.WriteString("\n# Dropped:\n")
		for _, line := range f.dropped {
			fmt.Fprintf(&b, "# - %s\n", line)
		}
	}
	return []byte(b.String())
}
