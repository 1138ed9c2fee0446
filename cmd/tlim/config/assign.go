package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxSecret bounds a secret in a file: somebody named the wrong file otherwise.
const maxSecret = 64 << 10

// secretFile reads a secret that stands in a file, without its line end. Errors do not name the file: who writes the secret itself
// where the file's name belongs would read it in a log.
func (r *reader) secretFile(origin, path string) string {
	data, err := readLimited(absolute(r.dir, path), maxSecret)
	if errors.Is(err, fs.ErrNotExist) {
		r.add("%s: there is no such file; a relative name is relative to %s", origin, r.dir)
		return ""
	}
	if err != nil {
		r.add("%s: the file cannot be read: %v", origin, err)
		return ""
	}
	text, err := SecretText(data)
	if err != nil {
		r.add("%s: %v", origin, err)
	}
	return text
}

// SecretText reads the text of a file that has one secret, in one line. Errors show nothing of it.
func SecretText(data []byte) (string, error) {
	wide := bytes.HasPrefix(data, []byte{0xFF, 0xFE}) || bytes.HasPrefix(data, []byte{0xFE, 0xFF})
	if !wide && !utf8.Valid(data) {
		return "", errors.New("the file " + notUTF8)
	}
	data, err := decodeText(data)
	if err != nil {
		return "", fmt.Errorf("in the file, %w", err)
	}
	text := unwrapped(string(data))
	switch {
	case text == "":
		return "", errors.New("the file is empty")
	case strings.ContainsAny(text, "\r\n"):
		return "", errors.New("the file has more than one line; a secret is one line")
	}
	return text, nil
}

// assign reads a text, a list of texts or a list of keys into a field.
func (r *reader) assign(field reflect.Value, raw any, origin string) {
	if field.Kind() == reflect.Slice {
		r.assignList(field, raw, origin)
		return
	}
	if isSection(field.Type()) {
		r.assignSection(field, raw, origin)
		return
	}
	text, ok := raw.(string)
	if !ok {
		r.add("%s: a single value is expected here", origin)
		return
	}
	if !utf8.ValidString(text) {
		r.add("%s: %s", origin, notUTF8)
		return
	}
	if err := assignText(field, text); err != nil {
		r.add("%s: %s %v", origin, quoted(text), err)
	}
}

// assignList reads a list, or a text as the command line and the environment have it: values with commas between them,
// or YAML when it begins with a bracket.
func (r *reader) assignList(field reflect.Value, raw any, origin string) {
	if text, ok := raw.(string); ok {
		if raw = r.listOf(text, field.Type(), origin); raw == nil {
			return
		}
	}
	items, _ := raw.([]any)
	list := reflect.MakeSlice(field.Type(), len(items), len(items))
	for i, item := range items {
		if item == nil {
			r.add("%s: element %d is empty", origin, i+1)
			continue
		}
		r.assign(list.Index(i), item, fmt.Sprintf("%s: element %d", origin, i+1))
	}
	field.Set(list)
}

func (r *reader) listOf(text string, t reflect.Type, origin string) any {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "[") && !isSection(t.Elem()) {
		list := []any{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" || t == reflect.TypeFor[Servers]() { // an address that is missing is said
				list = append(list, part)
			}
		}
		return list
	}
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil || len(n.Content) == 0 || n.Content[0].Kind != yaml.SequenceNode {
		r.add("%s: is no list: write it like [{name: crm, key_file: crm.key, scopes: [business]}]", origin)
		return nil
	}
	inner := reader{file: origin, dir: r.dir, lines: map[string]int{}}
	list := inner.tree(n.Content[0], t, "")
	r.Problems = append(r.Problems, inner.Problems...)
	return list
}

// assignSection reads an element of a list that has keys of its own.
func (r *reader) assignSection(field reflect.Value, raw any, origin string) {
	values, ok := raw.(map[string]any)
	if !ok {
		r.add("%s: keys and values are expected here", origin)
		return
	}
	for i := range field.NumField() {
		name := field.Type().Field(i).Tag.Get("yaml")
		target := field.Field(i)
		if isSecret(target.Type()) {
			direct, fromFile := values[name], values[name+"_file"]
			if direct != nil && fromFile != nil {
				r.add("%s: %s and %s_file are both given: which one counts?", origin, name, name)
				continue
			}
			if fromFile != nil {
				direct = r.secretFile(fmt.Sprintf("%s: %s_file", origin, name), fmt.Sprint(fromFile))
			}
			if direct != nil {
				target.Addr().Interface().(secretValue).reveal(fmt.Sprint(direct))
			}
		} else if value := values[name]; value != nil {
			r.assign(target, value, origin+": "+name)
		}
	}
}

// assignText reads one value by the rules of its type.
func assignText(field reflect.Value, text string) error {
	if u, ok := field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return errors.New("holds a control character")
	}
	switch field.Kind() {
	case reflect.String:
		field.SetString(strings.TrimSpace(text))
	case reflect.Bool:
		var s Switch
		if err := s.UnmarshalText([]byte(text)); err != nil {
			return errors.New("is neither true nor false")
		}
		field.SetBool(bool(s))
	case reflect.Int:
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return errors.New("is no whole number")
		}
		field.SetInt(int64(n))
	case reflect.Float64:
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || n != n || n > 1e12 || n < -1e12 {
			return errors.New("is no number")
		}
		field.SetFloat(n)
	default:
		return fmt.Errorf("cannot be read as %s", field.Type())
	}
	return nil
}
