package protocol

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tlim/component/stanza"
)

var (
	// refusal is where one is made, with its sentence or the name of a constant.
	refusal = regexp.MustCompile(`\bRefuse\((?:[A-Za-z.]|Code\([^()]*\))+, ("(?:[^"\\]|\\.)*"|[a-zA-Z]+)`)
	// constant is a sentence that has a name.
	constant = regexp.MustCompile(`(?m)^\s*(?:const )?([a-zA-Z]+)\s+= ("(?:[^"\\]|\\.)*")$`)
	verb     = regexp.MustCompile(`%[.0-9]*[a-z]`)
)

// Each refusal of the component has its sentence in Chinese, with the same verbs in the same order.
func TestRefusalsHaveChinese(t *testing.T) {
	var formats []string
	err := fs.WalkDir(os.DirFS(".."), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		source, err := fs.ReadFile(os.DirFS(".."), name)
		if err != nil {
			return err
		}
		named := map[string]string{}
		for _, m := range constant.FindAllStringSubmatch(string(source), -1) {
			named[m[1]] = m[2]
		}
		found := refusal.FindAllStringSubmatch(string(source), -1)
		for _, m := range found {
			literal := m[1]
			if !strings.HasPrefix(literal, `"`) {
				literal = named[literal]
			}
			if literal == "" {
				continue // a constant of a neighbour, which is looked at there
			}
			format, err := strconv.Unquote(literal)
			if err != nil {
				t.Errorf("%s: got %v of %s, want a string", name, err, literal)
			}
			formats = append(formats, format)
		}
		if n := strings.Count(strings.ReplaceAll(string(source), "func Refuse(", ""), "Refuse("); n != len(found) {
			t.Errorf("%s: %d refusals were read of %d, want each with its sentence or a constant in the call", name, len(found), n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(formats) < 80 {
		t.Errorf("%d refusals were read, want those of the whole component", len(formats))
	}
	for _, format := range formats {
		zh := sentences[format]
		if zh == "" {
			t.Errorf("%q has no sentence in Chinese, want one in chinese.go", format)
		}
		if got, want := verb.FindAllString(zh, -1), verb.FindAllString(format, -1); !slices.Equal(got, want) {
			t.Errorf("%q has the verbs %q in Chinese, want %q", format, got, want)
		}
	}
	formats = append(formats, AsError(os.ErrClosed).Text)
	for format := range sentences {
		if !slices.Contains(formats, format) {
			t.Errorf("nothing is refused by %q, want only sentences that are said", format)
		}
	}
}

// An error stanza says its sentence in the language of the site, and which that is.
func TestErrorStanzaHasALanguage(t *testing.T) {
	st := &stanza.Stanza{ID: "s1", From: "lisi@im.test/1", To: "tlim.im.test"}
	refused := AsError(Refuse(TooLarge, "text is longer than %d characters", 3000))
	for language, want := range map[Language]string{
		English: ` xml:lang="en">error-012: text is longer than 3000 characters</text>`,
		Chinese: ` xml:lang="zh">error-012: text 超过 3000 个字符</text>`,
	} {
		t.Run(string(language), func(t *testing.T) {
			got := string(ErrorStanza(st, refused, language))
			if !strings.Contains(got, `<text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"`+want+`<code xmlns="urn:tlim:errors">error-012</code>`) {
				t.Errorf("%s: got %s, want %s in it", language, got, want)
			}
		})
	}
	if got := string(ErrorStanza(st, &Error{Code: TryLater, Text: "no words for it"}, Chinese)); !strings.Contains(got, ` xml:lang="en">error-013: no words for it<`) {
		t.Errorf("without a sentence in Chinese: got %s, want the English one, and that it is English", got)
	}
}
