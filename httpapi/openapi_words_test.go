package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var han = regexp.MustCompile(`[\p{Han}：，。]`)

// threeWords are words of English in a row. Names of parameters, words for programs and code stand in Chinese sentences, too.
var threeWords = regexp.MustCompile("[A-Za-z]+ [A-Za-z]+ [A-Za-z]+")

// TestDocumentInChinese: each sentence of the document has its Chinese, which has the same verbs, and nothing else has one.
func TestDocumentInChinese(t *testing.T) {
	document, err := newWhole(t).document()
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	worded(document, Chinese, func(english string) string {
		asked[english] = true
		return english
	})
	verbs := regexp.MustCompile(`%[sd]`)
	code := regexp.MustCompile("`[^`]*`")
	for _, english := range slices.Sorted(maps.Keys(asked)) {
		chinese, ok := chineseDocument[english]
		switch {
		case english == "%s", chinese == "%s%s": // no words
		case !ok:
			t.Errorf("got no Chinese for %q", english)
		case !han.MatchString(chinese), threeWords.MatchString(code.ReplaceAllString(chinese, "")):
			t.Errorf("%q: got %q, want it in Chinese", english, chinese)
		case !slices.Equal(verbs.FindAllString(english, -1), verbs.FindAllString(chinese, -1)):
			t.Errorf("%q: got %q, want the same verbs", english, chinese)
		}
	}
	for english := range chineseDocument {
		if !asked[english] {
			t.Errorf("got Chinese for %q, which the document does not say", english)
		}
	}
}

// TestDocumentSpeaksTheLanguage: of the configuration, or of the caller who names one. It is the same document.
func TestDocumentSpeaksTheLanguage(t *testing.T) {
	summary := func(l *lab, query string) any {
		a := l.do(t, http.MethodGet, "openapi.json", query, "")
		var document struct {
			Paths map[string]map[string]struct{ Summary string }
		}
		if err := json.Unmarshal([]byte(a.body), &document); err != nil {
			t.Fatal(err)
		}
		return document.Paths[base+"addSession"]["post"].Summary
	}
	for _, c := range []struct {
		language, query, lang, want string
	}{
		{"zh", "", "zh-CN", "建群"}, {"zh", "language=en", "zh-CN", "Makes a group"},
		{"en", "", "en", "Makes a group"}, {"en", "language=zh", "en", "建群"},
	} {
		t.Run(c.language+" "+c.query, func(t *testing.T) {
			l := newLab(t, func(cfg *Config) { cfg.Language = Language(c.language) })
			if got := summary(l, c.query); got != c.want {
				t.Errorf("the document: got %v, want %s", got, c.want)
			}
			if page := l.do(t, http.MethodGet, "docs/", "", "").body; !strings.Contains(page, `<html lang="`+c.lang+`">`) {
				t.Errorf("the page: got %.60s, want lang=%q", page, c.lang)
			}
			if a := l.do(t, http.MethodGet, "openapi.json", "language=fr", ""); a.status != http.StatusBadRequest || a.object(t)["result"] != "fail" {
				t.Errorf("another language: got %d %s, want 400, fail", a.status, a.body)
			}
		})
	}
	chinese, _ := served(t, newWhole(t))
	document, err := newWhole(t).documents()
	if err != nil {
		t.Fatal(err)
	}
	var english object
	if err := json.Unmarshal(document[English], &english); err != nil {
		t.Fatal(err)
	}
	if got, want := wordless(map[string]any(chinese)), wordless(map[string]any(english)); !reflect.DeepEqual(got, want) {
		t.Error("got another document in Chinese, want the same but for its words")
	}
}

// wordless is a document without what is said to people.
func wordless(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if _, words := inner.(string); words && (key == "description" || key == "summary" || key == "result_detail") {
				delete(v, key)
			} else {
				v[key] = wordless(inner)
			}
		}
	case []any:
		for i := range v {
			v[i] = wordless(v[i])
		}
	}
	return v
}

// TestWordsOfThePage: start.js has Chinese for words that Swagger UI shows, and for no others.
func TestWordsOfThePage(t *testing.T) {
	script, err := docsFiles.ReadFile("docs/start.js")
	if err != nil {
		t.Fatal(err)
	}
	bundle := newLab(t).do(t, http.MethodGet, "docs/swagger-ui-bundle.js", "", "").body
	list := regexp.MustCompile(`(?m)^  "([^"]+)": "(.+)",$`).FindAllStringSubmatch(string(script), -1)
	if len(list) < 30 {
		t.Fatalf("got %d words, want those of the page", len(list))
	}
	for _, words := range list {
		if !strings.Contains(bundle, `"`+words[1]+`"`) && !strings.Contains(bundle, `"`+words[1]+` "`) {
			t.Errorf("Swagger UI does not say %q", words[1])
		}
		if !han.MatchString(words[2]) {
			t.Errorf("%q: got %q, want it in Chinese", words[1], words[2])
		}
	}
}
